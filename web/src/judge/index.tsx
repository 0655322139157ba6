import { useEffect, useRef } from "preact/hooks";
import { KeyForm } from "../playground/KeyForm";
import { adviceOf } from "../playground/verdict";
import { language, runRequest } from "../playground/workspace";
import { announce } from "../ui/announce";
import { plural } from "../ui/format";
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
  return (
    <div class="judge-actions">
      {busy() ? (
        <button type="button" class="button danger" onClick={() => void cancel()}>
          Cancel
        </button>
      ) : (
        <button type="button" class="button primary" disabled={count === 0 || language.value?.available !== true} onClick={judgeNow}>
          Judge against {plural(count, "test")}
        </button>
      )}
    </div>
  );
}

function Trouble() {
  const trouble = problem.value;
  const advice = trouble === null ? null : adviceOf(trouble);
  useEffect(() => {
    if (advice !== null) announce(`${advice.title}. ${advice.text}`);
  }, [advice?.title, advice?.text]);
  if (trouble === null || advice === null) return null;
  return (
    <div class="trouble" data-problem={trouble.kind}>
      <p class="trouble-title">{advice.title}</p>
      <p>{trouble.passes ? `${trouble.message.replace(/\.?$/, ".")} Judge again in a moment.` : advice.text}</p>
      {trouble.errors.length > 0 && (
        <ul class="trouble-errors">
          {trouble.errors.map(({ pointer, detail }) => (
            <li key={pointer + detail}>
              <code>{pointer.slice(1) || "the request"}</code> {detail}
            </li>
          ))}
        </ul>
      )}
      {trouble.kind === "key_missing" && <KeyForm onKey={judgeNow} />}
    </div>
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
      {whole.message !== null && whole.message !== "" && <p class="verdict-reason">{whole.message.split("\n")[0]}</p>}
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
