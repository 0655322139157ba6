/** What became of a run, in words. */

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
