import { signal, useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { decode, toBase64, utf8 } from "../api/bytes";
import { run } from "../api/client";
import { Problem } from "../api/problem";
import { bytes, plural, time } from "../ui/format";
import { DiffView } from "./DiffView";
import { busy, final, judged, phase, reconnecting, results } from "./judging";
import { bytesOf, type TestCase } from "./tests";
import type { GroupResult, TestResult } from "./types";
import { points, verdictTone, verdictWords } from "./words";

const DOING: Partial<Record<string, string>> = {
  uploading: "Uploading tests",
  sending: "Sending",
  queued: "Waiting for a place",
  compiling: "Compiling",
  judging: "Judging",
};

/** The test whose details are shown. */
const chosen = signal<string | null>(null);

/** Results, one by one as they come. */
export function Results() {
  const all = judged.value?.tests ?? [];
  const doing = DOING[phase.value];
  const failed = final.value?.tests.find(({ verdict }) => verdict !== null && verdict !== "accepted" && verdict !== "skipped");
  // The first failure is what one wants to see.
  useEffect(() => {
    chosen.value = failed?.id ?? null;
  }, [final.value?.id, failed?.id]);
  if (all.length === 0) return null;
  const known = [...results.value.values()].filter(({ verdict }) => verdict !== null).length;
  return (
    <section class="judge-results" aria-label="Results of tests">
      {busy() && doing !== undefined && (
        <p class="verdict-line">
          <strong class="verdict-title plain">{reconnecting.value ? "Connecting again" : doing}</strong>
          <span class="verdict-figures">
            {known} of {plural(all.length, "test")}
          </span>
        </p>
      )}
      {busy() && <progress class="judge-progress" aria-label="Tests judged" max={all.length} value={known} />}
      <Groups groups={final.value?.groups ?? []} />
      <div class="judge-scroll">
        <table class="judge-table">
          <thead>
            <tr>
              <th scope="col">Test</th>
              <th scope="col">Result</th>
              <th scope="col" class="figure">
                CPU
              </th>
              <th scope="col" class="figure">
                Memory
              </th>
              <th scope="col" class="figure">
                Points
              </th>
            </tr>
          </thead>
          <tbody>
            {all.map((test) => (
              <Row key={test.key} test={test} result={results.value.get(test.name.trim())} />
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

function Groups({ groups }: { groups: GroupResult[] }) {
  if (groups.length === 0) return null;
  return (
    <ul class="judge-group-results" aria-label="Groups">
      {groups.map(({ id, verdict, score, points: worth }) => (
        <li key={id}>
          <span class="mono">{id}</span>{" "}
          <b class={verdict === null ? "" : verdictTone(verdict)}>
            {points(score)} of {points(worth)}
          </b>
        </li>
      ))}
    </ul>
  );
}

function Row({ test, result }: { test: TestCase; result: TestResult | undefined }) {
  const name = test.name.trim();
  const verdict = result?.verdict ?? null;
  const usage = result?.stage?.usage;
  const open = chosen.value === name && result !== undefined && verdict !== null;
  const cpu = usage === undefined || usage.cpu_user_us === null || usage.cpu_system_us === null ? null : usage.cpu_user_us + usage.cpu_system_us;
  return (
    <>
      <tr data-test={name} data-verdict={verdict ?? "waiting"}>
        <th scope="row">
          {verdict === null ? (
            <span class="mono">{name}</span>
          ) : (
            <button type="button" class="link mono" aria-expanded={open} onClick={() => (chosen.value = open ? null : name)}>
              {name}
            </button>
          )}
          {test.group.trim() !== "" && <span class="hint"> {test.group.trim()}</span>}
        </th>
        <td>{verdict === null ? <span class="hint">{busy() ? "…" : "–"}</span> : <span class={`judge-verdict ${verdictTone(verdict)}`}>{verdictWords(verdict)}</span>}</td>
        <td class="figure">{cpu === null ? "" : time(cpu)}</td>
        <td class="figure">{usage?.memory_peak_bytes === undefined || usage.memory_peak_bytes === null ? "" : bytes(usage.memory_peak_bytes)}</td>
        <td class="figure">{result === undefined || verdict === null || result.points === 0 ? "" : `${points(result.score)} of ${points(result.points)}`}</td>
      </tr>
      {open && (
        <tr>
          <td colSpan={5} class="judge-details">
            <Details test={test} result={result} />
          </td>
        </tr>
      )}
    </>
  );
}

/** Why a test ended as it did. */
function Details({ test, result }: { test: TestCase; result: TestResult }) {
  const { message, checker_message: said, stage, verdict } = result;
  const differs = verdict === "wrong_answer" || verdict === "presentation_error";
  return (
    <>
      {message !== null && message !== "" && <p>{message}</p>}
      {said !== null && said !== "" && said !== message && (
        <p>
          <span class="label">The checker says</span> {said}
        </p>
      )}
      <Block title="Input" text={"text" in test.stdin ? test.stdin.text : null} bytes={bytesOf(test.stdin).length} />
      {stage !== null && differs && <Output test={test} result={result} />}
      {stage !== null && !differs && stage.stdout !== "" && stage.stdout_encoding === "utf-8" && <Block title="Output" text={stage.stdout} bytes={stage.stdout_bytes} />}
      {stage !== null && stage.stderr !== "" && stage.stderr_encoding === "utf-8" && <Block title="Standard error" text={stage.stderr} bytes={stage.stderr_bytes} />}
    </>
  );
}

/** As much of a text as is shown. */
const MAX_SHOWN_CHARS = 4_000;

function Block({ title, text, bytes: length }: { title: string; text: string | null; bytes: number }) {
  const shown = text?.slice(0, MAX_SHOWN_CHARS) ?? "";
  const cut = text === null || length > new TextEncoder().encode(shown).length;
  return (
    <div class="judge-block">
      <p class="label">
        {title}
        {cut && `, ${text === null ? "" : "the beginning of "}${bytes(length)}`}
      </p>
      {shown !== "" && (
        // A region that scrolls must take the focus, or a keyboard cannot scroll it.
        // eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex
        <pre class="text judge-text" role="region" aria-label={title} tabIndex={0}>
          {shown}
        </pre>
      )}
    </div>
  );
}

/** Expected and actual output. A result has the beginning of a long output only; the whole takes another run. */
function Output({ test, result }: { test: TestCase; result: TestResult }) {
  const again = useSignal<{ text: string | null; whole: boolean } | null>(null);
  const trouble = useSignal("");
  const running = useSignal(false);
  const expected = utf8(bytesOf(test.expected));
  const stage = result.stage;
  if (stage === null) return null;
  const part = utf8(decode(stage.stdout, stage.stdout_encoding));
  const cut = stage.stdout_truncated || decode(stage.stdout, stage.stdout_encoding).length < stage.stdout_bytes;
  const more = async (): Promise<void> => {
    running.value = true;
    trouble.value = "";
    try {
      again.value = await runAgain(test);
    } catch (cause) {
      trouble.value = cause instanceof Problem ? cause.message : String(cause);
    }
    running.value = false;
  };
  const actual = again.value === null ? part : again.value.text;
  if (expected === null || actual === null) return <p class="hint">Expected or actual output is no text; the checker’s message is all there is to show.</p>;
  const whole = again.value === null ? !cut : again.value.whole;
  return (
    <>
      <DiffView expected={expected} actual={actual} whole={whole} />
      {again.value !== null && <p class="hint">This output is of another run of the program on this test’s input, made just now: what was judged is not kept. It may differ.</p>}
      {cut && again.value === null && (
        <p class="hint">
          The result has the first {bytes(decode(stage.stdout, stage.stdout_encoding).length)} of {bytes(stage.stdout_bytes)} that the program wrote.{" "}
          <button type="button" class="link" disabled={running.value} onClick={() => void more()}>
            {running.value ? "Running …" : "Run it again on this input to see the rest"}
          </button>
        </p>
      )}
      {trouble.value !== "" && <p class="field-error">{trouble.value}</p>}
    </>
  );
}

/** Runs what was judged on one test's input. */
async function runAgain(test: TestCase): Promise<{ text: string | null; whole: boolean }> {
  const program = judged.value?.program;
  if (program === undefined) return { text: null, whole: false };
  const input = bytesOf(test.stdin);
  const text = utf8(input);
  const stdin = text === null ? { stdin: toBase64(input), stdin_encoding: "base64" } : { stdin: text };
  const answer = await run({ ...program, output_files: [], ...stdin });
  const stage = answer.run;
  return stage === null ? { text: null, whole: false } : { text: utf8(decode(stage.stdout, stage.stdout_encoding)), whole: !stage.stdout_truncated };
}
