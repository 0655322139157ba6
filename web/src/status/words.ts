/** Figures of the dashboard, in words. */

import { plural } from "../ui/format";

/** "3.4", "120": a rate a second, as exact as it is worth. */
export function rate(perSecond: number): string {
  if (perSecond === 0) return "0";
  return perSecond < 10 ? perSecond.toFixed(perSecond < 0.1 ? 2 : 1) : Math.round(perSecond).toLocaleString("en-GB");
}

/** "2 days 3 h", "4 h 5 min", "6 min", "7 s". */
export function uptime(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  const [days, hours, minutes] = [Math.floor(seconds / 86_400), Math.floor(seconds / 3600) % 24, Math.floor(seconds / 60) % 60];
  if (days > 0) return `${plural(days, "day")} ${hours} h`;
  if (hours > 0) return `${hours} h ${minutes} min`;
  return minutes > 0 ? `${minutes} min` : `${seconds} s`;
}

export interface Part {
  name: string;
  words: string;
  count: number;
  /** Of all, 0 to 1. */
  share: number;
  tone: "good" | "bad" | "warn" | "plain" | "failed";
}

const TONES: Record<string, Part["tone"]> = {
  ok: "good",
  accepted: "good",
  compile_error: "plain",
  skipped: "plain",
  cancelled: "plain",
  time_limit_exceeded: "warn",
  memory_limit_exceeded: "warn",
  output_limit_exceeded: "warn",
  runtime_error: "bad",
  wrong_answer: "bad",
  presentation_error: "bad",
  security_violation: "bad",
  judge_error: "failed",
  internal_error: "failed",
};

/** Counts by result, most frequent first. */
export function mix(counts: Record<string, number>): Part[] {
  const all = Object.values(counts).reduce((sum, count) => sum + count, 0);
  return Object.entries(counts)
    .filter(([, count]) => count > 0)
    .map(([name, count]) => ({ name, words: name.replaceAll("_", " "), count, share: count / all, tone: TONES[name] ?? "plain" }))
    .sort((a, b) => b.count - a.count || a.name.localeCompare(b.name));
}

export const percent = (share: number): string => {
  const value = share * 100;
  return value > 0 && value < 1 ? "< 1 %" : value > 99 && value < 100 ? "> 99 %" : `${Math.round(value)} %`;
};
