/** The limits as people set them: names, units, bounds, and what each is for. */

import type { LimitName, Limits } from "../api/types";
import { bytes, count } from "../ui/format";

export interface LimitField {
  name: LimitName;
  title: string;
  unit: string;
  /** How many of the API's units one of the shown unit is. */
  factor: number;
  explains: string;
}

const MIB = 2 ** 20;

export const LIMIT_FIELDS: readonly LimitField[] = [
  { name: "cpu_time_ms", title: "CPU time", unit: "ms", factor: 1, explains: "Time on a processor, of all threads and processes together." },
  { name: "wall_time_ms", title: "Wall time", unit: "ms", factor: 1, explains: "Time on the clock, waiting included." },
  { name: "memory_bytes", title: "Memory", unit: "MiB", factor: MIB, explains: "Of all processes together, files in /box and /tmp included." },
  { name: "stack_bytes", title: "Stack", unit: "MiB", factor: MIB, explains: "Of the main thread." },
  { name: "processes", title: "Processes", unit: "", factor: 1, explains: "Processes and threads at the same time." },
  { name: "cpus", title: "Processors", unit: "", factor: 1, explains: "How much of how many processors: 0.5 is half of one." },
  { name: "output_bytes", title: "Output", unit: "KiB", factor: 1024, explains: "For each of standard output and standard error." },
  { name: "disk_bytes", title: "Files in all", unit: "MiB", factor: MIB, explains: "What the program can write to /box and /tmp." },
  { name: "file_size_bytes", title: "One file", unit: "MiB", factor: MIB, explains: "The largest file that it can write." },
  { name: "open_files", title: "Open files", unit: "", factor: 1, explains: "At the same time, in one process." },
];

/** A limit in the unit of its field, without needless digits. */
export const inUnit = (field: LimitField, value: number): string => String(Number((value / field.factor).toFixed(3)));

/** A limit in words. */
export function inWords(name: LimitName, value: number): string {
  if (name.endsWith("_bytes")) return bytes(value);
  if (name.endsWith("_ms")) return value % 1000 === 0 ? `${value / 1000} s` : `${count(value)} ms`;
  return String(value);
}

export type Parsed = { value: number | null } | { error: string };

/** What was typed into a limit's field: nothing for the default, a number, or what is wrong with it. */
export function parseLimit(field: LimitField, text: string, max: Limits | null): Parsed {
  const plain = text.trim().replace(",", ".");
  if (plain === "") return { value: null };
  if (!/^\d*\.?\d+$/.test(plain)) return { error: `${field.title} must be a number${field.unit && ` of ${field.unit}`}.` };
  const exact = Number(plain) * field.factor;
  const value = field.name === "cpus" ? exact : Math.round(exact);
  if (value <= 0) return { error: `${field.title} must be more than 0.` };
  const most = max?.[field.name];
  if (most !== undefined && value > most) {
    return { error: `${field.title} may be at most ${inUnit(field, most)}${field.unit && ` ${field.unit}`} here.` };
  }
  return { value };
}

/** Splits a line into arguments as a shell would, quotes and backslashes included, nothing else. */
export function splitArguments(line: string): { args: string[] } | { error: string } {
  const args: string[] = [];
  let word: string | null = null;
  let quote: string | null = null;
  for (let at = 0; at < line.length; at++) {
    const char = line.charAt(at);
    if (quote !== null) {
      if (char === quote) quote = null;
      else if (char === "\\" && quote === '"' && at + 1 < line.length) word = (word ?? "") + line.charAt(++at);
      else word = (word ?? "") + char;
    } else if (char === '"' || char === "'") {
      quote = char;
      word ??= "";
    } else if (char === "\\" && at + 1 < line.length) {
      word = (word ?? "") + line.charAt(++at);
    } else if (/\s/.test(char)) {
      if (word !== null) args.push(word);
      word = null;
    } else {
      word = (word ?? "") + char;
    }
  }
  if (quote !== null) return { error: `A ${quote} is not closed.` };
  if (word !== null) args.push(word);
  return { args };
}

/** The line that `splitArguments` makes `args` of. */
export function joinArguments(args: readonly string[]): string {
  return args.map((arg) => (/^[\w@%+=:,./-]+$/.test(arg) ? arg : `'${arg.replace(/'/g, `'"'"'`)}'`)).join(" ");
}

/** Reads `NAME=value` lines. */
export function parseEnvironment(text: string): { env: Record<string, string> } | { error: string } {
  const env: Record<string, string> = {};
  for (const line of text.split("\n")) {
    if (line.trim() === "") continue;
    const at = line.indexOf("=");
    const name = line.slice(0, at).trim();
    if (at < 0 || !/^[A-Za-z_]\w*$/.test(name)) {
      return { error: `“${line.trim()}” is not of the form NAME=value.` };
    }
    env[name] = line.slice(at + 1);
  }
  return { env };
}

export const environmentText = (env: Record<string, string>): string =>
  Object.entries(env)
    .map(([name, value]) => `${name}=${value}`)
    .join("\n");

/** What is wrong with a file's name, or null. The service says the same, later. */
export function nameTrouble(name: string, others: readonly string[]): string | null {
  if (name === "") return "A file needs a name.";
  if (name.startsWith("/")) return "Names are relative: no leading slash.";
  const parts = name.split("/");
  if (parts.some((part) => part === "" || part === "." || part === "..")) return "A name has no empty parts, “.” or “..”.";
  if (parts.some((part) => new TextEncoder().encode(part).length > 255)) return "A part of a name may have at most 255 bytes.";
  if (others.includes(name)) return `There is already a file named ${name}.`;
  if (others.some((other) => other.startsWith(`${name}/`) || name.startsWith(`${other}/`))) return "A file cannot be a folder too.";
  return null;
}
