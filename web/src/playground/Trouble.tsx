import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { announce } from "../ui/announce";
import { ProblemBox } from "../ui/ProblemBox";
import { runNow } from "./actions";
import { now, useClock } from "./clock";
import { cancel, phase, problem, retryAt, retryNow } from "./run";

/** How often a service that could not be reached is looked for. */
const LOOK_MS = 3_000;

/** Why the service did not run the program, and what to do. */
export function Trouble() {
  const trouble = problem.value;
  const waiting = phase.value === "waiting";
  useClock(waiting);
  if (trouble === null) return null;
  return (
    <ProblemBox problem={trouble} onKey={() => void runNow()}>
      {waiting && <Countdown />}
      {trouble.kind === "cut_off" && <WhenBack />}
    </ProblemBox>
  );
}

function Countdown() {
  void now.value; // ticks
  const seconds = Math.max(0, Math.ceil(((retryAt.value ?? 0) - Date.now()) / 1000));
  return (
    <p class="trouble-actions">
      <span>Next try in {seconds} s.</span>
      <button type="button" class="button small" onClick={retryNow}>
        Try now
      </button>
      <button type="button" class="button quiet small" onClick={cancel}>
        Give up
      </button>
    </p>
  );
}

/** Says when the service answers again, and offers the run once more: it would throw away what there is to read. */
function WhenBack() {
  const back = useSignal(false);
  useEffect(() => {
    const look = async (): Promise<void> => {
      const answer = await fetch("/readyz").catch(() => null);
      if (answer?.ok !== true) return;
      clearInterval(timer);
      back.value = true;
      announce("The service answers again.");
    };
    const timer = setInterval(() => void look(), LOOK_MS);
    void look();
    return () => clearInterval(timer);
  }, []);
  return (
    <p class="trouble-actions">
      <span>{back.value ? "The service answers again." : "Waiting for the service …"}</span>
      {back.value && (
        <button type="button" class="button small" onClick={() => void runNow()}>
          Run again
        </button>
      )}
    </p>
  );
}
