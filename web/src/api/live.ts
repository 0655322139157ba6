import { decode, toBase64 } from "./bytes";
import { apiKey } from "./key";
import { Problem, isProblemDocument, problemFrom } from "./problem";
import { watchSilence } from "./silence";
import type { Encoding, ProblemDocument, RunRequest, RunResult, Stage } from "./types";

/** A terminal's size in characters. */
export interface Size {
  rows: number;
  cols: number;
}

/** What a program used so far. */
export interface Sample {
  wall_us: number;
  cpu_us: number | null;
  memory_bytes: number | null;
  processes: number | null;
}

/** What happens during a live run, in this order; exactly one of the last two ends it. */
export interface LiveEvents {
  queued(id: string): void;
  compiling(): void;
  compiled(stage: Stage): void;
  started(): void;
  output(stream: "stdout" | "stderr", bytes: Uint8Array<ArrayBuffer>): void;
  usage(sample: Sample): void;
  finished(result: RunResult): void;
  failed(problem: Problem): void;
}

type ServerMessage =
  | { type: "queued"; id: string }
  | { type: "compiling" }
  | { type: "compiled"; compile: Stage }
  | { type: "started" }
  | { type: "stdout" | "stderr"; data: string; encoding?: Encoding }
  | ({ type: "usage" } & Sample)
  | { type: "finished"; result: RunResult }
  | { type: "error"; problem: ProblemDocument };

/** A run that can be spoken to while it goes on. */
export interface LiveRun {
  stdin(bytes: Uint8Array): void;
  eof(): void;
  resize(size: Size): void;
  signal(name: string): void;
  cancel(): void;
}

/** Thrown when no WebSocket can be opened although the service may well be there. */
export class NoLiveConnection extends Error {
  override readonly name = "NoLiveConnection";
}

/** How long the service may take to accept a WebSocket. */
const OPEN_TIMEOUT_MS = 10_000;
/** Close code of "try again later". */
const TRY_AGAIN_LATER = 1013;
/** What a WebSocket may carry at once; a pasted megabyte goes in pieces. */
const STDIN_CHUNK_BYTES = 48 * 1024;

function liveUrl(): string {
  const url = new URL("/v1/runs/ws", location.href);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  return url.href;
}

function protocols(): string[] {
  const key = apiKey();
  return key === null ? ["brig.v1"] : ["brig.v1", `brig.bearer.${key}`];
}

function open(): Promise<WebSocket> {
  return new Promise((resolve, reject) => {
    let socket: WebSocket;
    try {
      socket = new WebSocket(liveUrl(), protocols());
    } catch {
      reject(new NoLiveConnection()); // a key with characters that a subprotocol cannot have
      return;
    }
    const timer = setTimeout(() => {
      socket.close();
      reject(new NoLiveConnection());
    }, OPEN_TIMEOUT_MS);
    socket.onopen = () => {
      clearTimeout(timer);
      resolve(socket);
    };
    socket.onclose = () => {
      clearTimeout(timer);
      reject(new NoLiveConnection());
    };
  });
}

function dispatch(message: ServerMessage, events: LiveEvents): void {
  switch (message.type) {
    case "queued":
      { events.queued(message.id); return; }
    case "compiling":
      { events.compiling(); return; }
    case "compiled":
      { events.compiled(message.compile); return; }
    case "started":
      { events.started(); return; }
    case "stdout":
    case "stderr":
      { events.output(message.type, decode(message.data, message.encoding)); return; }
    case "usage":
      { events.usage(message); return; }
    case "finished":
      { events.finished(message.result); return; }
    case "error": {
      const document = isProblemDocument(message.problem)
        ? message.problem
        : { type: "about:blank", title: "Error", status: 500, detail: "The service failed." };
      events.failed(problemFrom(document, null)); return;
    }
  }
}

/** Starts a run and follows it. Rejects with `NoLiveConnection` when there is no WebSocket to be had. */
export async function startLive(run: RunRequest, pty: Size | null, events: LiveEvents): Promise<LiveRun> {
  const socket = await open();
  let ended = false;
  const send = (message: unknown): void => {
    if (!ended && socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message));
  };
  const fail = (problem: Problem): void => {
    if (ended) return;
    ended = true;
    watch.stop();
    events.failed(problem);
  };
  const lost = (): void => fail(new Problem("cut_off", "The connection was lost while the program ran."));
  const watch = watchSilence(() => {
    lost();
    socket.close();
  });
  socket.onmessage = ({ data }: MessageEvent<string>) => {
    if (ended) return;
    watch.heard();
    const message = JSON.parse(data) as ServerMessage;
    ended = message.type === "finished" || message.type === "error";
    if (ended) watch.stop();
    dispatch(message, events);
  };
  socket.onclose = ({ code }) => {
    if (code === TRY_AGAIN_LATER) fail(new Problem("queue_full", "The service has no room for this run."));
    else lost();
  };
  send({ type: "start", run: pty === null ? run : { ...run, pty } });
  return {
    stdin(bytes) {
      for (let at = 0; at < bytes.length; at += STDIN_CHUNK_BYTES) {
        const data = toBase64(bytes.subarray(at, at + STDIN_CHUNK_BYTES));
        send({ type: "stdin", data, encoding: "base64" });
      }
    },
    eof: () => send({ type: "eof" }),
    resize: (size) => send({ type: "resize", ...size }),
    signal: (name) => send({ type: "signal", signal: name }),
    cancel: () => send({ type: "cancel" }),
  };
}
