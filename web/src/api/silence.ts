/** Tells a connection that has nothing to say from one that is dead: a lost network closes no socket. */

/** How often it is looked whether anything was heard. */
const LOOK_MS = 4_000;
/** So many looks in a row without a word, and the service is asked whether it is there. */
const SILENT_LOOKS = 3;
/** How long it may take to answer. */
const ANSWER_MS = 5_000;

/** Whether the service answers, on a connection of its own. */
async function reachable(): Promise<boolean> {
  try {
    await fetch("/healthz", { cache: "no-store", signal: AbortSignal.timeout(ANSWER_MS) });
    return true;
  } catch {
    return false;
  }
}

/** What keeps an ear on a connection. */
export interface Watch {
  /** Something came. */
  heard(): void;
  stop(): void;
}

/**
 * Calls `lost` once when nothing was heard for about twelve seconds and the service cannot be reached otherwise
 * either. Looks are counted, not time: a page that slept has not waited.
 */
export function watchSilence(lost: () => void): Watch {
  let [looks, asking, stopped] = [0, false, false];
  const stop = (): void => {
    stopped = true;
    clearInterval(timer);
  };
  const look = async (): Promise<void> => {
    looks += 1;
    if (asking || looks < SILENT_LOOKS) return;
    asking = true;
    const there = await reachable();
    asking = false;
    // Something may have come while the question was on its way.
    if (there || stopped || looks < SILENT_LOOKS) return;
    stop();
    lost();
  };
  const timer = setInterval(() => void look(), LOOK_MS);
  return { heard: () => (looks = 0), stop };
}
