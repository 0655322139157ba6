/** Submissions, as the service takes and shows them. */

import type { Stage } from "../api/types";

export type Verdict =
  | "accepted"
  | "wrong_answer"
  | "presentation_error"
  | "time_limit_exceeded"
  | "memory_limit_exceeded"
  | "output_limit_exceeded"
  | "runtime_error"
  | "security_violation"
  | "compile_error"
  | "judge_error"
  | "skipped"
  | "cancelled"
  | "internal_error";

export interface TestResult {
  id: string;
  group: string | null;
  verdict: Verdict | null;
  score: number;
  points: number;
  message: string | null;
  checker_message: string | null;
  stage: Stage | null;
}

export interface GroupResult {
  id: string;
  verdict: Verdict | null;
  score: number;
  points: number;
}

export interface Submission {
  id: string;
  state: "queued" | "compiling" | "judging" | "finished" | "cancelled";
  verdict: Verdict | null;
  score: number | null;
  max_score: number;
  message: string | null;
  compile: Stage | null;
  tests: TestResult[];
  groups: GroupResult[];
  usage: { cpu_time_max_us: number; cpu_time_total_us: number; memory_peak_bytes: number | null };
}

export type CheckerType = "lines" | "exact" | "tokens" | "tokens_ci" | "float" | "sorted_lines" | "program";
export type Stop = "first_failure" | "group_failure" | "never";
export type Scoring = "sum" | "min" | "all";
