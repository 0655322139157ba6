import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { announce } from "../ui/announce";
import { runNow } from "./actions";
import { now, useClock } from "./clock";
import { KeyForm } from "./KeyForm";
import { cancel, phase, problem, retryAt, retryNow } from "./run";
import { adviceOf } from "./verdict";

/** How often a service that could not be reached is looked for. */
const LOOK_MS = 3_000;

/** Why the service did not run the program, and what to do. */
export function Trouble() {
  const trouble = problem.value;
  useClock(phase.value === "waiting");
  const advice = trouble === null ? null : adviceOf(trouble);
  useEffect(() => {
    if (advice !== null) announce(`${advice.title}. ${advice.text}`);
  }, [advice?.title, advice?.text]);
  if (trouble === null || advice === null) return null;
  return (
    <div class="trouble" data-problem={trouble.kind}>
      <p class="trouble-title">{advice.title}</p>
      <p>{advice.text}</p>
      {trouble.errors.length > 0 && (
        <ul class="trouble-errors">
          {trouble.errors.map(({ pointer, detail }) => (
            <li key={pointer + detail}>
              <code>{pointer.slice(1) || "the request"}</code> {detail}
            </li>
          ))}
        </ul>
      )}
      {trouble.kind === "key_missing" && <KeyForm onKey={() => void runNow()} />}
      {phase.value === "waiting" && <Countdown />}
      {trouble.kind === "cut_off" && <WhenBack />}
    </div>
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

/** Says when the service answers again. */
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
  return <p role="status">{back.value ? "The service answers again." : "Waiting for the service …"}</p>;
}
