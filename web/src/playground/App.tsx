import { useEffect } from "preact/hooks";
import type { FunctionComponent } from "preact";
import { signal } from "@preact/signals";
import { Announcer } from "../ui/announce";
import { Tabs, type Tab } from "../ui/Tabs";
import { lowerTab, runNow, sideTab } from "./actions";
import { CostPane } from "./CostPane";
import { EditorPane } from "./EditorPane";
import { FilesPane } from "./FilesPane";
import { InputPane } from "./InputPane";
import { choose, keep, linkNotice, load, loadProblem, startOver } from "./load";
import { LoadTrouble } from "./LoadTrouble";
import { OptionsPane, troubles } from "./OptionsPane";
import { OutputPane } from "./OutputPane";
import { busy, cancel, phase, result, shown } from "./run";
import { ShareDialog, sharing } from "./ShareDialog";
import { TerminalPane } from "./TerminalPane";
import { VerdictBar } from "./VerdictBar";
import { currentWork, language, languages, settings } from "./workspace";

/** The Judge tab comes with its own code, when it is first looked at. */
const judge = Object.values(import.meta.glob<{ JudgePanel: FunctionComponent }>("../judge/index.tsx"))[0];
const JudgePanel = signal<FunctionComponent | null>(null);

export function App() {
  useEffect(() => {
    void load(true);
    const stop = keep();
    const keys = (event: KeyboardEvent): void => {
      if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || event.defaultPrevented) return;
      event.preventDefault();
      void runNow();
    };
    document.addEventListener("keydown", keys);
    // What was typed in the last moment is kept as well.
    const leave = (): void => void currentWork();
    window.addEventListener("pagehide", leave);
    return () => {
      stop();
      document.removeEventListener("keydown", keys);
      window.removeEventListener("pagehide", leave);
    };
  }, []);
  return (
    <>
      <Header />
      <Notices />
      <main class="work">
        <div class="left">
          <EditorPane onRun={() => void runNow()} />
          <section class="pane lower" aria-label="Input and options">
            <Lower />
          </section>
        </div>
        <section class="pane side" id="results" aria-label="Results">
          <Side />
        </section>
      </main>
      <ShareDialog />
      <Announcer />
    </>
  );
}

function Header() {
  return (
    <header class="top">
      <h1 class="wordmark">
        <a href="/">brig</a>
      </h1>
      <LanguageChoice />
      <button type="button" class="button quiet" onClick={startOver} disabled={language.value === null}>
        Example
      </button>
      <span class="top-space" />
      <nav class="top-links" aria-label="Service">
        <a href="/status">Status</a>
        <a href="/docs">API</a>
      </nav>
      <button type="button" class="button" onClick={() => (sharing.value = true)} disabled={language.value === null}>
        Share
      </button>
      <RunButton />
    </header>
  );
}

const MAC = /Mac|iPhone|iPad/.test(navigator.userAgent);

function RunButton() {
  void phase.value;
  if (busy()) {
    return (
      <button type="button" class="button danger run" onClick={cancel}>
        Stop
      </button>
    );
  }
  const usable = language.value?.available === true;
  return (
    <button type="button" class="button primary run" disabled={!usable} onClick={() => void runNow()} title={`${MAC ? "⌘" : "Ctrl+"}Enter`}>
      Run
    </button>
  );
}

function LanguageChoice() {
  const all = languages.value;
  const usable = all.filter(({ available }) => available);
  const rest = all.filter(({ available }) => !available);
  const chosen = language.value;
  return (
    <div class="language">
      <label class="visually-hidden" for="language">
        Language
      </label>
      <select
        id="language"
        class="input"
        disabled={all.length === 0}
        value={chosen?.id ?? ""}
        onChange={(event) => {
          const next = all.find(({ id }) => id === event.currentTarget.value);
          if (next !== undefined) choose(next);
        }}
      >
        {chosen === null && <option value="">Loading …</option>}
        {usable.map(({ id, name }) => (
          <option key={id} value={id}>
            {name}
          </option>
        ))}
        {rest.length > 0 && (
          <optgroup label="Not installed here">
            {rest.map(({ id, name, unavailable_reason: reason }) => (
              <option key={id} value={id} disabled title={reason ?? ""}>
                {name}
              </option>
            ))}
          </optgroup>
        )}
      </select>
      {chosen !== null && <span class="version">{chosen.version}</span>}
    </div>
  );
}

function Notices() {
  const trouble = loadProblem.value;
  if (trouble === null && linkNotice.value === null) return null;
  return (
    <div class="notices" role="region" aria-label="Notices">
      {trouble !== null && <LoadTrouble own />}
      {linkNotice.value !== null && (
        <p class="notice">
          {linkNotice.value}
          <button type="button" class="button quiet small" onClick={() => (linkNotice.value = null)}>
            Dismiss
          </button>
        </p>
      )}
    </div>
  );
}

function Lower() {
  const set = settings.value;
  const changed = set.args.length + set.compilerArgs.length + set.outputFiles.length + Object.keys(set.env).length + Object.keys(set.limits).length;
  const badge = troubles.value.size > 0 ? "!" : changed > 0 ? String(changed) : undefined;
  return (
    <Tabs
      label="Input and options"
      tabs={[
        { id: "input", title: "Input" },
        { id: "options", title: "Options and limits", badge },
      ]}
      chosen={lowerTab.value}
      onChoose={(id) => (lowerTab.value = id)}
    >
      {/* Both stay: what is wrong in a field must not be forgotten, and counted all the same. */}
      <div class="panel-fill" hidden={lowerTab.value !== "input"}>
        <InputPane />
      </div>
      <div class="panel-fill" hidden={lowerTab.value !== "options"}>
        <OptionsPane />
      </div>
    </Tabs>
  );
}

function Side() {
  const files = result.value?.output_files.length ?? 0;
  const asked = (shown.value?.output_files?.length ?? 0) > 0;
  const tabs: Tab[] = [
    { id: "output", title: settings.value.mode === "terminal" ? "Terminal" : "Output" },
    { id: "cost", title: "Cost" },
    ...(asked || files > 0 ? [{ id: "files", title: "Files", badge: files > 0 ? String(files) : undefined }] : []),
    ...(judge === undefined ? [] : [{ id: "judge", title: "Judge" }]),
  ];
  const chosen = tabs.some(({ id }) => id === sideTab.value) ? sideTab.value : "output";
  return (
    <Tabs
      label="Results"
      tabs={tabs}
      chosen={chosen}
      onChoose={(id) => {
        sideTab.value = id;
        if (id === "judge" && JudgePanel.value === null) void judge?.().then((module) => (JudgePanel.value = module.JudgePanel));
      }}
    >
      <SidePanel chosen={chosen} />
    </Tabs>
  );
}

function SidePanel({ chosen }: { chosen: string }) {
  const terminal = settings.value.mode === "terminal";
  const Judge = JudgePanel.value;
  return (
    <>
      {/* Of the run; what is judged has a verdict of its own. */}
      {chosen !== "judge" && <VerdictBar />}
      {/* Kept while another tab is looked at: a terminal cannot be made anew with what is in it. */}
      {terminal && (
        <div class="panel-fill" hidden={chosen !== "output"}>
          <TerminalPane />
        </div>
      )}
      {chosen === "output" && !terminal && <OutputPane />}
      {chosen === "cost" && <CostPane />}
      {chosen === "files" && <FilesPane />}
      {chosen === "judge" && Judge !== null && <Judge />}
    </>
  );
}
