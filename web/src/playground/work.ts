/** One piece of work in one language, and reading it from where it may have been tampered with. */

import type { Language, LimitName, Limits, SourceFile } from "../api/types";

/** Whether a program's input is a text given beforehand, or typed while it runs. */
export type InputMode = "box" | "terminal";

export interface Work {
  files: SourceFile[];
  entry: string;
  stdin: string;
  args: string[];
  env: Record<string, string>;
  compilerArgs: string[];
  limits: Partial<Limits>;
  outputFiles: string[];
  mode: InputMode;
}

/** What one begins with in `language`: its example. */
export function defaultWork(language: Language | null): Work {
  const path = language?.source_name ?? "main.txt";
  return {
    files: [{ path, content: language?.example ?? "" }],
    entry: path,
    stdin: "",
    args: [],
    env: {},
    compilerArgs: [],
    limits: {},
    outputFiles: [],
    mode: "box",
  };
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const strings = (value: unknown): string[] =>
  Array.isArray(value) ? value.filter((item): item is string => typeof item === "string") : [];

function stringMap(value: unknown): Record<string, string> {
  if (!isRecord(value)) return {};
  return Object.fromEntries(
    Object.entries(value).filter((pair): pair is [string, string] => typeof pair[1] === "string"),
  );
}

const LIMIT_NAMES: readonly LimitName[] = [
  "cpu_time_ms",
  "wall_time_ms",
  "memory_bytes",
  "stack_bytes",
  "processes",
  "open_files",
  "file_size_bytes",
  "disk_bytes",
  "disk_inodes",
  "output_bytes",
  "cpus",
];

function limits(value: unknown): Partial<Limits> {
  if (!isRecord(value)) return {};
  return Object.fromEntries(
    LIMIT_NAMES.map((name) => [name, value[name]] as const).filter(
      ([, limit]) => typeof limit === "number" && Number.isFinite(limit) && limit > 0,
    ),
  );
}

function file(value: unknown): SourceFile | null {
  if (!isRecord(value) || typeof value["path"] !== "string" || typeof value["content"] !== "string") return null;
  const { path, content } = value;
  return value["encoding"] === "base64" ? { path, content, encoding: "base64" } : { path, content };
}

/** Reads a share document, or null when it is none. What it does not know it leaves out. */
export function workOf(document: unknown): { language: string; work: Work } | null {
  if (!isRecord(document) || document["version"] !== 1 || typeof document["language"] !== "string") return null;
  const files = (Array.isArray(document["files"]) ? document["files"] : [])
    .map(file)
    .filter((item): item is SourceFile => item !== null);
  const first = files[0];
  if (first === undefined) return null;
  const entry = document["entry"];
  const work: Work = {
    files,
    entry: files.find(({ path }) => path === entry)?.path ?? first.path,
    stdin: typeof document["stdin"] === "string" ? document["stdin"] : "",
    args: strings(document["args"]),
    env: stringMap(document["env"]),
    compilerArgs: strings(document["compiler_args"]),
    limits: limits(document["limits"]),
    outputFiles: strings(document["output_files"]),
    mode: document["mode"] === "terminal" ? "terminal" : "box",
  };
  return { language: document["language"], work };
}

