/** What became of a run, in words. */

import type { Problem } from "../api/problem";
import type { RunResult, RunStatus } from "../api/types";
import { sentence } from "../ui/format";

export type Tone = "good" | "bad" | "warn" | "plain";

export interface Verdict {
  title: string;
  tone: Tone;
  /** Why, in a sentence. */
  reason: string;
}

const TITLES: Record<RunStatus, [string, Tone]> = {
  ok: ["Finished", "good"],
  compile_error: ["Does not compile", "bad"],
  runtime_error: ["Failed", "bad"],
  time_limit_exceeded: ["Out of time", "warn"],
  memory_limit_exceeded: ["Out of memory", "warn"],
  output_limit_exceeded: ["Too much output", "warn"],
  security_violation: ["Forbidden system call", "bad"],
  cancelled: ["Stopped", "plain"],
  internal_error: ["The service failed", "bad"],
};

export function verdictOf(result: RunResult): Verdict {
  const [title, tone] = TITLES[result.status];
  if (result.status === "internal_error") {
    return { title, tone, reason: `${sentence(result.message)} It is not your program’s fault; run it again.` };
  }
  // Only the first line: the compiler’s words are in the output.
  return { title, tone, reason: sentence((result.message.split("\n")[0] ?? "").replace(/:$/, "")) };
}

/** What to say and what to do when the service did not run a program. */
export function adviceOf(problem: Problem): { title: string; text: string } {
  const detail = sentence(problem.message);
  switch (problem.kind) {
    case "key_missing":
      return { title: "A key is needed", text: "This service runs programs for those who have a key. Enter yours; it is kept until this tab is closed." };
    case "forbidden":
      return { title: "Not allowed", text: `${detail} Another key may be allowed to.` };
    case "not_found":
      return { title: "Not found", text: detail };
    case "invalid":
      return { title: "The request was refused", text: problem.errors.length > 0 ? "Something in it is not as the service takes it:" : detail };
    case "too_large":
      return { title: "Too large", text: `${detail} Make the files or the input smaller.` };
    case "rate":
      return { title: "Too many runs", text: `${detail} The run is tried again by itself.` };
    case "queue_full":
      return { title: "The service is busy", text: "All places in its queue are taken. The run is tried again by itself." };
    case "draining":
      return { title: "The service is restarting", text: "It takes no new runs just now. The run is tried again by itself." };
    case "offline":
      return { title: "The service cannot be reached", text: "Either it is down or your network is. The run is tried again by itself; your work is kept in this browser." };
    case "cut_off":
      return { title: "The run was cut off", text: "The connection was lost while the program ran. What it wrote until then is below; run it again when the service answers." };
    case "no_live":
      return { title: "No live terminal", text: "A terminal needs a WebSocket, and something between this page and the service does not let one through. Switch the input to “Text” and run again." };
    case "internal":
      return { title: "The service failed", text: `${detail} Run it again; if it keeps happening, its operator should know.` };
  }
}
