/** What the dashboard reads: `GET /v1/stats`, and of `GET /v1/info` what does not change. */

export interface Percentiles {
  count: number;
  p50_us: number;
  p90_us: number;
  p99_us: number;
  max_us: number;
}

export interface Latency {
  window_s: number;
  total: Percentiles | null;
  queued: Percentiles | null;
  setup: Percentiles | null;
}

export interface Stats {
  uptime_ms: number;
  memory_bytes: number | null;
  problem: string | null;
  workers: { configured: number; connected: number; running: number; warm_sandboxes: number };
  queue: { capacity: number; classes: { class: string; waiting: number; oldest_ms: number | null }[] };
  submissions: { waiting: number; active: number };
  rates: { window_s: number; runs_per_s: number; tests_per_s: number }[];
  latency: Latency[];
  window_s: number;
  statuses: Record<string, number>;
  verdicts: Record<string, number>;
  compile_cache: { lookups: number; hits: number };
  history: { step_ms: number; runs: number[]; tests: number[] };
}

export interface Layer {
  name: string;
  enforced: boolean;
  detail: string;
}

export interface HostInfo {
  version: string;
  host: { kernel: string; arch: string; cgroup: string; rootless: boolean };
  layers: Layer[];
  degraded: string[];
}
