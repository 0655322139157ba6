import { useEffect, useRef } from "preact/hooks";
import { language, runRequest } from "../playground/workspace";
import { announce } from "../ui/announce";
import { plural, sentence } from "../ui/format";
import { ProblemBox } from "../ui/ProblemBox";
import { scrolling } from "../ui/scrolling";
import "./judge.css";
import { busy, cancel, final, phase, problem, start } from "./judging";
import { Results } from "./Results";
import { Settings } from "./Settings";
import { keep, tests } from "./tests";
import { TestList } from "./TestList";
import { points, verdictTone, verdictWords } from "./words";

let kept = false;

/** Judging the program against tests: what to judge it by above, what came of it below. */
export function JudgePanel() {
  if (!kept) {
    kept = true;
    keep();
  }
  return (
    <div class="judge">
      <TestList />
      <Settings />
      <Actions />
      <Trouble />
      <Outcome />
      <Results />
    </div>
  );
}

const judgeNow = (): void => void start(runRequest());

function Actions() {
  void phase.value;
  const count = tests.value.length;
  const row = useRef<HTMLDivElement>(null);
  // What comes of it is below, and what was asked for above no longer matters.
  const judgeAndLook = (): void => {
    judgeNow();
    requestAnimationFrame(() => row.current?.scrollIntoView({ block: "start", behavior: scrolling() }));
  };
  return (
    <div class="judge-actions" ref={row}>
      {busy() ? (
        <button type="button" class="button danger" onClick={() => void cancel()}>
          Cancel
        </button>
      ) : (
        <button type="button" class="button primary" disabled={count === 0 || language.value?.available !== true} onClick={judgeAndLook}>
          Judge against {plural(count, "test")}
        </button>
      )}
    </div>
  );
}

function Trouble() {
  const trouble = problem.value;
  if (trouble === null) return null;
  return trouble.passes ? (
    <ProblemBox problem={trouble} text={`${sentence(trouble.message)} Judge again in a moment.`} onKey={judgeNow} />
  ) : (
    <ProblemBox problem={trouble} onKey={judgeNow} />
  );
}

/** The verdict on everything. */
function Outcome() {
  const whole = final.value;
  const said = useRef("");
  const words =
    whole === null ? null : whole.state === "cancelled" ? "Cancelled" : whole.verdict === null ? null : verdictWords(whole.verdict);
  useEffect(() => {
    if (words !== null && whole !== null && said.current !== whole.id) {
      said.current = whole.id;
      announce(`${words}. ${whole.message ?? ""}`);
    }
  }, [words, whole?.id]);
  if (whole === null || words === null) return null;
  const passed = whole.tests.filter(({ verdict }) => verdict === "accepted").length;
  return (
    <div class="judge-outcome" data-verdict={whole.verdict ?? whole.state}>
      <p class="verdict-line">
        <strong class={`verdict-title ${whole.verdict === null ? "plain" : verdictTone(whole.verdict)}`}>{words}</strong>
        <span class="verdict-figures">
          <span>
            {passed} of {plural(whole.tests.length, "test")} accepted
          </span>
          {whole.score !== null && (
            <span>
              {points(whole.score)} of {points(whole.max_score)} points
            </span>
          )}
        </span>
      </p>
      {whole.message !== null && whole.message !== "" && <p class="verdict-reason">{sentence(whole.message.split("\n")[0] ?? "")}</p>}
      {whole.verdict === "compile_error" && whole.compile !== null && (
        // A region that scrolls must take the focus, or a keyboard cannot scroll it.
        // eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex
        <pre class="text compiler" role="region" aria-label="What the compiler said" tabIndex={0}>
          {whole.compile.stderr || whole.compile.stdout}
        </pre>
      )}
    </div>
  );
}
