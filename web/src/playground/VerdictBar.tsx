import { useEffect } from "preact/hooks";
import { announce } from "../ui/announce";
import { bytes, time } from "../ui/format";
import { now, useClock } from "./clock";
import { goTo } from "./EditorPane";
import { firstError } from "./marks";
import { busy, marks, notLive, phase, problem, result, type Phase } from "./run";
import { Trouble } from "./Trouble";
import { verdictOf } from "./verdict";

const DOING: Partial<Record<Phase, string>> = {
  connecting: "Connecting",
  queued: "Waiting for a place",
  compiling: "Compiling",
  running: "Running",
};

/** What was said last: the bar comes and goes with its tab, and nobody wants to hear the same again. */
let said = "";

/** What is going on, or what came of it: in words, as a bar of phases, and in the main figures. */
export function VerdictBar() {
  useClock(busy());
  const answer = result.value;
  const verdict = answer === null ? null : verdictOf(answer);
  const doing = DOING[phase.value];
  const words = verdict === null ? doing : `${verdict.title}. ${verdict.reason}`;
  useEffect(() => {
    if (words === undefined || words === said) return;
    said = words;
    announce(words);
  }, [words]);
  if (phase.value === "idle") {
    return (
      <div class="verdict idle">
        <p class="verdict-reason">Run the program to see what it writes and what it costs.</p>
      </div>
    );
  }
  return (
    <div class="verdict">
      <Trouble />
      {doing !== undefined && (
        <p class="verdict-line">
          <strong class="verdict-title plain">{doing}</strong>
          <span class="verdict-figures">{((now.value - marks.value.asked) / 1000).toFixed(1)} s</span>
        </p>
      )}
      {verdict !== null && (
        <>
          <p class="verdict-line">
            <strong class={`verdict-title ${verdict.tone}`} data-status={answer?.status}>
              {verdict.title}
            </strong>
            <Figures />
          </p>
          <p class="verdict-reason">
            {verdict.reason} <FirstError />
          </p>
        </>
      )}
      {phase.value === "ended" && answer === null && problem.value === null && (
        <>
          <p class="verdict-line">
            <strong class="verdict-title plain">Stopped</strong>
          </p>
          <p class="verdict-reason">There is no result: the run was given up before it had ended.</p>
        </>
      )}
      {notLive.value && phase.value === "ended" && result.value !== null && (
        <p class="hint">Live output is not available here; the output came when the program had ended.</p>
      )}
      {answer !== null && answer.degraded.length > 0 && (
        <p class="hint">This host does not enforce: {answer.degraded.join(", ")}.</p>
      )}
      <PhaseBar />
    </div>
  );
}

function Figures() {
  const usage = result.value?.run?.usage;
  if (!usage) return null;
  const { cpu_user_us: user, cpu_system_us: system, memory_peak_bytes: peak, wall_us: wall } = usage;
  return (
    <span class="verdict-figures">
      {wall !== null && <span>{time(wall)} wall</span>}
      {user !== null && system !== null && <span>{time(user + system)} CPU</span>}
      {peak !== null && <span>{bytes(peak)}</span>}
    </span>
  );
}

function FirstError() {
  const error = firstError.value;
  if (error === null) return null;
  return (
    <button type="button" class="link" onClick={() => (goTo.value = { path: error.path, line: error.line, column: error.column })}>
      Go to {error.path}:{error.line}
    </button>
  );
}

const PHASES = [
  ["queued_us", "queue", "queued"],
  ["compile_us", "compile", "compiling"],
  ["setup_us", "setup", "sandbox set-up"],
  ["run_us", "run", "running"],
] as const;

/** Where the time went. Phases too short to see get a hair's width. */
function PhaseBar() {
  const timings = result.value?.timings;
  const parts = timings === undefined ? livePhases() : PHASES.map(([field, name, title]) => ({ name, title, us: timings[field] }));
  const total = parts.reduce((sum, { us }) => sum + us, 0);
  if (total <= 0) return null;
  const seen = parts.filter(({ us }) => us > 0);
  return (
    <figure class="phases" aria-label={`Phases: ${seen.map(({ title, us }) => `${title} ${time(us)}`).join(", ")}`}>
      <div class="phases-bar" aria-hidden="true">
        {seen.map(({ name, us }) => (
          <span key={name} class={`phase phase-${name}`} style={{ flexGrow: us / total }} />
        ))}
      </div>
      <ul class="phases-legend" aria-hidden="true">
        {seen.map(({ name, title, us }) => (
          <li key={name}>
            <span class={`swatch phase-${name}`} />
            {title} <b>{time(us)}</b>
          </li>
        ))}
      </ul>
    </figure>
  );
}

/** The phases so far, by the page's clock. */
function livePhases(): { name: string; title: string; us: number }[] {
  const { asked, compiling, started, ended } = marks.value;
  const end = ended ?? now.value;
  const us = (from: number | undefined, to: number | undefined): number => (from === undefined ? 0 : Math.max(0, ((to ?? end) - from) * 1000));
  return [
    { name: "queue", title: "queued", us: us(asked, compiling ?? started) },
    { name: "compile", title: "compiling", us: us(compiling, started) },
    { name: "run", title: "running", us: us(started, undefined) },
  ];
}
