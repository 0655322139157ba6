/** A submission on its way: uploaded, sent, followed, cancelled. */

import { batch, signal } from "@preact/signals";
import { request } from "../api/client";
import { Problem } from "../api/problem";
import { watchSilence } from "../api/silence";
import type { RunRequest } from "../api/types";
import { submissionOf, isLarge, type Judged, type Sent } from "./request";
import { EventReader } from "./sse";
import { bytesOf, checker, EMPTY_GROUP, groups, groupSettings, stop, tests, type Data, type TestCase } from "./tests";
import type { Submission, TestResult } from "./types";

export type Phase = "idle" | "uploading" | "sending" | Submission["state"];

export const phase = signal<Phase>("idle");
/** What is judged: the program and the tests as they were when they were sent. */
export const judged = signal<{ program: RunRequest; tests: TestCase[] } | null>(null);
/** Results so far, by the test's name. The last word on a test counts. */
export const results = signal<ReadonlyMap<string, TestResult>>(new Map());
export const final = signal<Submission | null>(null);
export const problem = signal<Problem | null>(null);
/** Whether the connection was lost and is being made again. */
export const reconnecting = signal(false);

const AGAIN_MS = 1_000;
/** So often in a row is a connection made again before it is given up. */
const MOST_TRIES = 60;

let abort: AbortController | null = null;
let id: string | null = null;

export const busy = (): boolean => !["idle", "finished", "cancelled"].includes(phase.value);

/** Uploads of what was uploaded before; bytes do not change. */
const uploaded = new WeakMap<object, string>();

async function send(data: Data, signal: AbortSignal): Promise<Sent> {
  if ("text" in data && !isLarge(data)) return data;
  const known = uploaded.get(data);
  if (known !== undefined) return { blob: known };
  const response = await request("/v1/blobs", { method: "POST", body: new Blob([bytesOf(data) as BlobPart]), signal });
  const { hash } = (await response.json()) as { hash: string };
  uploaded.set(data, hash);
  return { blob: hash };
}

/** Judges `program` against the tests as they are. */
export async function start(program: RunRequest): Promise<void> {
  abort?.abort();
  const own = new AbortController();
  abort = own;
  id = null;
  const cases = tests.value;
  batch(() => {
    phase.value = "uploading";
    judged.value = { program, tests: cases };
    results.value = new Map();
    final.value = null;
    problem.value = null;
    reconnecting.value = false;
  });
  try {
    const sent: Judged["tests"] = [];
    for (const test of cases) {
      sent.push({ test, stdin: await send(test.stdin, own.signal), expected: await send(test.expected, own.signal) });
    }
    phase.value = "sending";
    const named = groups.value.map((name) => ({ name, settings: groupSettings.value[name] ?? EMPTY_GROUP }));
    const body = submissionOf(program, { tests: sent, groups: named, checker: checker.value, stop: stop.value });
    const response = await request("/v1/submissions", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
      signal: own.signal,
    });
    const accepted = (await response.json()) as { id: string };
    id = accepted.id;
    phase.value = "queued";
    await follow(accepted.id, own.signal);
  } catch (cause) {
    if (own.signal.aborted) return;
    problem.value = cause instanceof Problem ? cause : new Problem("internal", cause instanceof Error ? cause.message : String(cause));
    phase.value = "idle";
  }
}

/** Ends what is judged. */
export async function cancel(): Promise<void> {
  if (id === null) {
    abort?.abort();
    phase.value = "idle";
    return;
  }
  try {
    await request(`/v1/submissions/${id}`, { method: "DELETE" });
  } catch (cause) {
    // It may have ended in the meantime; its events say so.
    if (!(cause instanceof Problem) || cause.kind !== "invalid") problem.value = cause instanceof Problem ? cause : null;
  }
}

/** Takes the events until the result is there; a connection that breaks is made again behind the last event. */
async function follow(submission: string, signal: AbortSignal): Promise<void> {
  const heard = { last: "", tries: 0 };
  for (; heard.tries < MOST_TRIES; heard.tries++) {
    try {
      if (await listen(submission, heard, signal)) return;
    } catch (cause) {
      if (signal.aborted || (cause instanceof Problem && !cause.passes && cause.kind !== "internal")) throw cause;
    }
    reconnecting.value = true;
    await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
  }
  throw new Problem("offline", "The connection was lost. The submission is judged all the same; judge again to see a result.");
}

/** Takes the events of one connection, from behind the last one on; whether the result was among them. */
async function listen(submission: string, heard: { last: string; tries: number }, signal: AbortSignal): Promise<boolean> {
  signal.throwIfAborted();
  const headers: Record<string, string> = heard.last === "" ? {} : { "Last-Event-ID": heard.last };
  const connection = new AbortController();
  const watch = watchSilence(() => connection.abort());
  const abort = (): void => connection.abort();
  signal.addEventListener("abort", abort);
  try {
    const response = await request(`/v1/submissions/${submission}/events`, { headers, signal: connection.signal });
    reconnecting.value = false;
    const reader = new EventReader();
    const stream = response.body?.pipeThrough(new TextDecoderStream()).getReader();
    for (let piece = await stream?.read(); piece?.value !== undefined; piece = await stream?.read()) {
      watch.heard();
      for (const event of reader.read(piece.value)) {
        heard.tries = 0;
        if (event.id !== "") heard.last = event.id;
        if (take(event.name, event.data)) return true;
      }
    }
    return false;
  } finally {
    watch.stop();
    signal.removeEventListener("abort", abort);
  }
}

/** Takes one event; whether it was the last. */
function take(name: string, data: string): boolean {
  if (name === "state") {
    phase.value = (JSON.parse(data) as { state: Submission["state"] }).state;
  } else if (name === "test") {
    const test = JSON.parse(data) as TestResult;
    results.value = new Map(results.value).set(test.id, test);
  } else if (name === "finished") {
    const whole = JSON.parse(data) as Submission;
    batch(() => {
      final.value = whole;
      results.value = new Map(whole.tests.map((test) => [test.id, test]));
      phase.value = whole.state === "cancelled" ? "cancelled" : "finished";
    });
    return true;
  }
  return false;
}
