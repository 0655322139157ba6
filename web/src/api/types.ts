/** The service's answers and requests, as its `/openapi.json` describes them. */

export type Encoding = "utf-8" | "base64";

/** Limits of a stage; what is left out takes the language's default. */
export interface Limits {
  cpu_time_ms: number;
  wall_time_ms: number;
  memory_bytes: number;
  stack_bytes: number;
  processes: number;
  open_files: number;
  file_size_bytes: number;
  disk_bytes: number;
  disk_inodes: number;
  output_bytes: number;
  cpus: number;
}

export type LimitName = keyof Limits;

export interface Language {
  id: string;
  name: string;
  aliases: string[];
  version: string | null;
  available: boolean;
  unavailable_reason: string | null;
  source_name: string;
  extensions: string[];
  compiled: boolean;
  default_limits: Limits;
  max_limits: Limits;
  compile_default_limits: Limits | null;
  compile_max_limits: Limits | null;
  example: string;
}

/** What the page uses of `GET /v1/info`. */
export interface Info {
  name: string;
  version: string;
  auth: { key_required: boolean; insecure_no_keys: boolean };
  degraded: string[];
  limits: {
    body_bytes: number;
    files: number;
    command_line_bytes: number;
    output_files: number;
    output_files_bytes: number;
  };
}

export interface SourceFile {
  path: string;
  content: string;
  encoding?: Encoding;
}

export interface RunRequest {
  language: string;
  files: SourceFile[];
  entry?: string;
  stdin?: string;
  args?: string[];
  env?: Record<string, string>;
  compiler_args?: string[];
  limits?: Partial<Limits>;
  output_files?: string[];
}

export type Outcome =
  | "exited"
  | "signaled"
  | "cpu_time_limit"
  | "wall_time_limit"
  | "memory_limit"
  | "output_limit"
  | "policy_violation"
  | "cancelled"
  | "sandbox_error";

/** What a stage used. A figure that the host cannot give is null. */
export interface Usage {
  cpu_user_us: number | null;
  cpu_system_us: number | null;
  wall_us: number | null;
  memory_peak_bytes: number | null;
  processes_peak: number | null;
  page_faults_minor: number | null;
  page_faults_major: number | null;
  context_switches_voluntary: number | null;
  context_switches_involuntary: number | null;
  read_bytes: number | null;
  written_bytes: number | null;
  cpu_throttled_us: number | null;
  cpu_throttled_periods: number | null;
  oom_kills: number | null;
}

export interface Stage {
  outcome: Outcome;
  exit_code: number | null;
  signal: string | null;
  stdout: string;
  stdout_encoding: Encoding;
  stdout_bytes: number;
  stdout_truncated: boolean;
  stderr: string;
  stderr_encoding: Encoding;
  stderr_bytes: number;
  stderr_truncated: boolean;
  violation: { syscall: string } | null;
  cached: boolean;
  limits: Limits;
  usage: Usage;
}

export type RunStatus =
  | "ok"
  | "compile_error"
  | "runtime_error"
  | "time_limit_exceeded"
  | "memory_limit_exceeded"
  | "output_limit_exceeded"
  | "security_violation"
  | "cancelled"
  | "internal_error";

export interface OutputFile {
  path: string;
  content: string;
  encoding: Encoding;
  bytes: number;
}

export interface Timings {
  queued_us: number;
  compile_us: number;
  setup_us: number;
  run_us: number;
  total_us: number;
}

export interface RunResult {
  id: string;
  status: RunStatus;
  message: string;
  language: { id: string; version: string | null };
  compile: Stage | null;
  run: Stage | null;
  output_files: OutputFile[];
  degraded: string[];
  timings: Timings;
}

export interface FieldError {
  pointer: string;
  detail: string;
}

/** An `application/problem+json` document. */
export interface ProblemDocument {
  type: string;
  title: string;
  status: number;
  detail: string;
  errors?: FieldError[];
}

/** Everything that a permalink holds: a run, and where its input comes from. */
export interface ShareDocument extends RunRequest {
  version: 1;
  mode?: "box" | "terminal";
}

export interface Share {
  id: string;
  url: string;
  expires_at: string;
}
