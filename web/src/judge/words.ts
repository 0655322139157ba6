/** What became of tests, in words. */

import type { Tone } from "../playground/verdict";
import type { CheckerType, Scoring, Stop, Verdict } from "./types";

const VERDICTS: Record<Verdict, [string, Tone]> = {
  accepted: ["Accepted", "good"],
  wrong_answer: ["Wrong answer", "bad"],
  presentation_error: ["Presentation error", "bad"],
  time_limit_exceeded: ["Out of time", "warn"],
  memory_limit_exceeded: ["Out of memory", "warn"],
  output_limit_exceeded: ["Too much output", "warn"],
  runtime_error: ["Failed", "bad"],
  security_violation: ["Forbidden system call", "bad"],
  compile_error: ["Does not compile", "bad"],
  judge_error: ["Checker failed", "warn"],
  skipped: ["Skipped", "plain"],
  cancelled: ["Cancelled", "plain"],
  internal_error: ["The service failed", "bad"],
};

export const verdictWords = (verdict: Verdict): string => VERDICTS[verdict][0];
export const verdictTone = (verdict: Verdict): Tone => VERDICTS[verdict][1];

export const CHECKERS: Record<CheckerType, string> = {
  lines: "Lines (white space at their ends ignored)",
  exact: "Exact bytes",
  tokens: "Tokens (any white space between)",
  tokens_ci: "Tokens, upper or lower case",
  float: "Numbers within a tolerance",
  sorted_lines: "Lines in any order",
  program: "A checker program",
};

export const STOPS: Record<Stop, string> = {
  first_failure: "at the first failing test",
  group_failure: "in a group at its first failure",
  never: "never: run every test",
};

export const SCORINGS: Record<Scoring, string> = {
  sum: "sum of its tests",
  min: "least part of any test",
  all: "all or nothing",
};

/** "40", "33.33": points, as exact as they are. */
export const points = (value: number): string => String(Math.round(value * 100) / 100);
