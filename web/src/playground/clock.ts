import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";

/** The page's clock, for what counts up or down before one's eyes. */
export const now = signal(performance.now());

/** How often it ticks while someone looks. */
const TICK_MS = 100;

/** Keeps the clock going while `wanted`. */
export function useClock(wanted: boolean): void {
  useEffect(() => {
    if (!wanted) return;
    const timer = setInterval(() => (now.value = performance.now()), TICK_MS);
    return () => clearInterval(timer);
  }, [wanted]);
}
