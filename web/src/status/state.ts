/** What the dashboard knows, asked for again and again while it is looked at. */

import { signal } from "@preact/signals";
import { getJson } from "../api/client";
import { Problem } from "../api/problem";
import type { HostInfo, Stats } from "./types";

const EVERY_MS = 2_000;
/** A service that does not answer in this time is taken for one that cannot be reached. */
const ANSWER_MS = 10_000;

export const stats = signal<Stats | null>(null);
export const host = signal<HostInfo | null>(null);
/** Why the last question had no answer; the figures are then those of before. */
export const trouble = signal<Problem | null>(null);
/** When the figures came, by this machine's clock. */
export const seen = signal<Date | null>(null);

async function ask(): Promise<void> {
  try {
    const next = await getJson<Stats>("/v1/stats", AbortSignal.timeout(ANSWER_MS));
    const restarted = stats.peek() !== null && next.uptime_ms < (stats.peek()?.uptime_ms ?? 0);
    // What it enforces can be something else after a restart.
    if (host.peek() === null || restarted) host.value = await getJson<HostInfo>("/v1/info", AbortSignal.timeout(ANSWER_MS));
    stats.value = next;
    seen.value = new Date();
    trouble.value = null;
  } catch (cause) {
    trouble.value = cause instanceof Problem ? cause : new Problem("offline", "The service does not answer.");
  }
}

let asking: Promise<void> | null = null;

/** Asks now, unless that is being done. */
export function askNow(): Promise<void> {
  asking ??= ask().finally(() => (asking = null));
  return asking;
}

/** Asks for as long as the page is looked at, until the returned function is called. */
export function follow(): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let stopped = false;
  const next = async (): Promise<void> => {
    clearTimeout(timer);
    if (stopped || document.hidden) return;
    await askNow();
    clearTimeout(timer);
    timer = setTimeout(() => void next(), EVERY_MS);
  };
  const look = (): void => void next();
  document.addEventListener("visibilitychange", look);
  void next();
  return () => {
    stopped = true;
    clearTimeout(timer);
    document.removeEventListener("visibilitychange", look);
  };
}
