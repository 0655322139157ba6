/** A run from the button to the verdict: what state it is in, and what may be done about it. */

import { batch, signal } from "@preact/signals";
import * as api from "../api/client";
import { decode } from "../api/bytes";
import { NoLiveConnection, startLive, type LiveRun, type Sample, type Size } from "../api/live";
import { Problem } from "../api/problem";
import type { RunRequest, RunResult, Stage } from "../api/types";
import { OutputLog } from "./log";

export type Phase = "idle" | "connecting" | "queued" | "compiling" | "running" | "waiting" | "ended";

/** When what began, on the page's clock, in milliseconds. */
export interface Marks {
  asked: number;
  queued?: number;
  compiling?: number;
  started?: number;
  ended?: number;
}

/** A terminal that a run is shown in. */
export interface Terminal {
  size: Size;
  write(bytes: Uint8Array): void;
}

export const phase = signal<Phase>("idle");
export const marks = signal<Marks>({ asked: 0 });
export const samples = signal<Sample[]>([]);
export const compiled = signal<Stage | null>(null);
export const result = signal<RunResult | null>(null);
export const problem = signal<Problem | null>(null);
/** When a run that has to wait is tried again, on the page's clock. */
export const retryAt = signal<number | null>(null);
/** Set when a run could not be followed live, and its output came at the end. */
export const notLive = signal(false);
/** The request that the shown results belong to. */
export const shown = signal<RunRequest | null>(null);
/** The output so far, and a number that changes whenever it does. */
export const log = signal(new OutputLog());
export const logVersion = signal(0);

export const busy = (): boolean => !["idle", "ended"].includes(phase.value);

/** How often a run that meets a passing problem is tried again. */
const MAX_RETRIES = 8;
const FIRST_RETRY_SECONDS = 2;
const LONGEST_RETRY_SECONDS = 30;
/** The most samples kept; beyond that every other one is dropped. */
const MAX_SAMPLES = 2_000;

interface Current {
  request: RunRequest;
  terminal: Terminal | null;
  retries: number;
  live: LiveRun | null;
  abort: AbortController;
  timer: ReturnType<typeof setTimeout> | undefined;
}

let current: Current | null = null;
let frame = 0;

/** Begins a run; one that is going on is cancelled. */
export function start(request: RunRequest, terminal: Terminal | null): void {
  cancel();
  current = { request, terminal, retries: 0, live: null, abort: new AbortController(), timer: undefined };
  void attempt(current);
}

/** Ends the run, wherever it is. */
export function cancel(): void {
  const run = current;
  if (run === null) return;
  clearTimeout(run.timer);
  if (run.live !== null) {
    run.live.cancel(); // the service answers with what there was so far
    return;
  }
  run.abort.abort();
  current = null;
  finish({ problem: null, result: null });
}

/** Tries a waiting run again at once. */
export function retryNow(): void {
  const run = current;
  if (run === null || phase.value !== "waiting") return;
  clearTimeout(run.timer);
  void attempt(run);
}

export const typed = (bytes: Uint8Array): void => current?.live?.stdin(bytes);
export const endInput = (): void => current?.live?.eof();
export const resized = (size: Size): void => current?.live?.resize(size);

function reset(run: Current): void {
  batch(() => {
    phase.value = "connecting";
    marks.value = { asked: performance.now() };
    samples.value = [];
    compiled.value = null;
    result.value = null;
    problem.value = null;
    retryAt.value = null;
    notLive.value = false;
    shown.value = run.request;
    log.value = new OutputLog();
    logVersion.value += 1;
  });
}

function finish(end: { problem: Problem | null; result: RunResult | null }): void {
  batch(() => {
    log.value.end();
    logVersion.value += 1;
    marks.value = { ...marks.value, ended: performance.now() };
    problem.value = end.problem;
    result.value = end.result;
    phase.value = "ended";
  });
}

async function attempt(run: Current): Promise<void> {
  reset(run);
  try {
    run.live = await follow(run);
    // The run may have been stopped while the connection was made.
    if (current !== run) run.live.cancel();
  } catch (error) {
    if (!(error instanceof NoLiveConnection)) throw error;
    if (current === run) await post(run);
  }
}

function follow(run: Current): Promise<LiveRun> {
  const mine = (action: () => void) => () => {
    if (current === run) action();
  };
  const mark = (name: keyof Marks, next: Phase) =>
    mine(() =>
      batch(() => {
        marks.value = { ...marks.value, [name]: performance.now() };
        phase.value = next;
      }),
    );
  return startLive(run.request, run.terminal?.size ?? null, {
    queued: mark("queued", "queued"),
    compiling: mark("compiling", "compiling"),
    compiled: (stage) => mine(() => (compiled.value = stage))(),
    started: mine(() => {
      mark("started", "running")();
      if (run.terminal === null) run.live?.eof();
    }),
    output: (stream, bytes) =>
      mine(() => {
        run.terminal?.write(bytes);
        take(stream, bytes);
      })(),
    usage: (sample) => mine(() => addSample(sample))(),
    finished: (answer) =>
      mine(() => {
        current = null;
        addLast(answer);
        finish({ problem: null, result: answer });
      })(),
    failed: (trouble) => mine(() => fail(run, trouble))(),
  });
}

/** Runs without following: where no WebSocket comes through. */
async function post(run: Current): Promise<void> {
  if (run.terminal !== null) {
    const offline = await api.info().then(
      () => null,
      (error: unknown) => (error instanceof Problem ? error : null),
    );
    if (current !== run) return;
    fail(run, offline ?? new Problem("no_live", "A live terminal needs a WebSocket, and none could be opened."));
    return;
  }
  phase.value = "running";
  notLive.value = true;
  try {
    const answer = await api.run(run.request, run.abort.signal);
    if (current !== run) return;
    const stage = answer.run;
    if (stage !== null) {
      log.value.take("stdout", decode(stage.stdout, stage.stdout_encoding));
      log.value.take("stderr", decode(stage.stderr, stage.stderr_encoding));
    }
    current = null;
    compiled.value = answer.compile;
    finish({ problem: null, result: answer });
  } catch (error) {
    if (current !== run) return;
    fail(run, error instanceof Problem ? error : new Problem("internal", String(error)));
  }
}

/**
 * What a problem means for a run as far as it came. What a program wrote is not thrown away unasked, so one that
 * had begun is cut off, whatever it was that ended it; one that had not is only put off.
 */
function forRun(problem: Problem, begun: boolean): Problem {
  if (begun && problem.passes) return new Problem("cut_off", problem.message);
  if (!begun && problem.kind === "cut_off") return new Problem("offline", problem.message);
  return problem;
}

function fail(run: Current, cause: Problem): void {
  run.live = null;
  const trouble = forRun(cause, marks.value.started !== undefined);
  if (!trouble.passes || run.retries >= MAX_RETRIES) {
    current = null;
    finish({ problem: trouble, result: null });
    return;
  }
  const backOff = Math.min(FIRST_RETRY_SECONDS * 2 ** run.retries, LONGEST_RETRY_SECONDS);
  const seconds = Math.max(trouble.retryAfterSeconds ?? backOff, 1);
  run.retries += 1;
  batch(() => {
    phase.value = "waiting";
    problem.value = trouble;
    retryAt.value = Date.now() + seconds * 1000;
  });
  run.timer = setTimeout(() => void attempt(run), seconds * 1000);
}

function take(stream: "stdout" | "stderr", bytes: Uint8Array<ArrayBuffer>): void {
  log.value.take(stream, bytes);
  // Many messages may come between two frames; the page looks once.
  if (frame === 0) {
    frame = requestAnimationFrame(() => {
      frame = 0;
      logVersion.value += 1;
    });
  }
}

/** Where the lines end: samples come a few times a second, and the end is between two of them. */
function addLast({ run }: RunResult): void {
  if (run === null || samples.value.length === 0) return;
  const { wall_us: wall, cpu_user_us: user, cpu_system_us: system } = run.usage;
  const before = samples.value.at(-1);
  if (wall === null || before === undefined || wall <= before.wall_us) return;
  const cpu = user === null || system === null ? null : user + system;
  addSample({ wall_us: wall, cpu_us: cpu, memory_bytes: null, processes: null });
}

function addSample(sample: Sample): void {
  const kept = samples.value.length < MAX_SAMPLES ? samples.value : samples.value.filter((_, at) => at % 2 === 0);
  samples.value = [...kept, sample];
}
