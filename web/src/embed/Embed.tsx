import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { runNow } from "../playground/actions";
import { EditorPane } from "../playground/EditorPane";
import { pack } from "../playground/fragment";
import { linkNotice, load, loadProblem } from "../playground/load";
import { LoadTrouble } from "../playground/LoadTrouble";
import { OutputPane } from "../playground/OutputPane";
import { busy, cancel, phase } from "../playground/run";
import { TerminalPane } from "../playground/TerminalPane";
import { VerdictBar } from "../playground/VerdictBar";
import { language, settings, shareDocument, update } from "../playground/workspace";
import { Announcer } from "../ui/announce";
import { asTyped } from "../ui/plain";
import { connect } from "./bridge";

/** A program in somebody else's page: its text, a button, what it wrote. It never runs by itself. */
export function Embed() {
  useEffect(() => {
    let disconnect = (): void => undefined;
    // Only then can a program be set: its language must be known.
    void load(false).then(() => (disconnect = connect()));
    return () => disconnect();
  }, []);
  void phase.value;
  const running = busy();
  return (
    <>
      <main class="embed">
        <EditorPane onRun={() => void runNow()} />
        <div class="embed-bar">
          {running ? (
            <button type="button" class="button danger run" onClick={cancel}>
              Stop
            </button>
          ) : (
            <button type="button" class="button primary run" disabled={language.value?.available !== true} onClick={() => void runNow()}>
              Run
            </button>
          )}
          <span class="embed-language">{language.value?.name}</span>
          <OpenLink />
        </div>
        <section class="pane embed-results" aria-label="Results">
          <Notices />
          {phase.value !== "idle" && <VerdictBar />}
          {settings.value.mode === "terminal" ? <TerminalPane /> : phase.value !== "idle" && <OutputPane />}
          {settings.value.mode === "box" && <Stdin />}
        </section>
      </main>
      <Announcer />
    </>
  );
}

function Notices() {
  if (loadProblem.value !== null) return <LoadTrouble own={false} />;
  return linkNotice.value === null ? null : <p class="hint">{linkNotice.value}</p>;
}

function Stdin() {
  return (
    <details class="embed-input" open={settings.value.stdin !== ""}>
      <summary>Input</summary>
      <textarea
        class="stdin mono"
        aria-label="Standard input"
        rows={3}
        {...asTyped}
        value={settings.value.stdin}
        onInput={(event) => update({ stdin: event.currentTarget.value })}
      />
    </details>
  );
}

/** Leads to the playground with the program as it now stands. */
function OpenLink() {
  const href = useSignal("/");
  const refresh = (): void => void pack(shareDocument()).then((fragment) => (href.value = `/${fragment}`));
  useEffect(refresh, [settings.value]);
  return (
    <a class="embed-open" href={href.value} target="_blank" rel="noopener">
      Open in the playground
    </a>
  );
}
