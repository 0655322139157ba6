import { signal, useSignal, useSignalEffect } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { fromBase64, toBase64, utf8 } from "../api/bytes";
import { Editor } from "../editor/editor";
import { bytes } from "../ui/format";
import { announce } from "../ui/announce";
import { nameTrouble } from "./limits";
import { marksOf } from "./marks";
import { activePath, addFile, beforeRead, entry, files, language, removeFile, renameFile, revision, setContent, update } from "./workspace";

/** A place that the editor should show; set by whoever mentions one. */
export const goTo = signal<{ path: string; line: number; column: number | null } | null>(null);

/** Files larger than this are not taken; the service's own bound may be lower, and says so. */
const MAX_UPLOAD_BYTES = 8 * 1024 * 1024;

interface Props {
  onRun(): void;
}

/** Tabs of the files, and the editor for the chosen one. */
export function EditorPane({ onRun }: Props) {
  return (
    <section class="pane editor-pane" aria-label="Program">
      <FileTabs />
      <Code onRun={onRun} />
      <p class="visually-hidden" id="editor-hint">
        Tab indents. Press Escape, then Tab, to leave the editor. Control or Command with Enter runs the program.
      </p>
    </section>
  );
}

function Code({ onRun }: Props) {
  const host = useRef<HTMLDivElement>(null);
  const editor = useRef<Editor | null>(null);
  const run = useRef(onRun);
  run.current = onRun;
  useEffect(() => {
    if (host.current === null) return;
    const made = new Editor({
      parent: host.current,
      label: "Program text",
      onChange: setContent,
      onRun: () => run.current(),
    });
    editor.current = made;
    const stop = beforeRead(() => made.flush());
    revision.value += 1;
    return () => {
      stop();
      made.destroy();
      editor.current = null;
    };
  }, []);
  useShowFile(editor);
  useSignalEffect(() => {
    const marks = marksOf(activePath.value);
    editor.current?.mark(marks);
  });
  useSignalEffect(() => {
    const place = goTo.value;
    if (place === null) return;
    activePath.value = place.path;
    // After the effect that shows the file.
    queueMicrotask(() => {
      editor.current?.goTo(place.line, place.column);
      goTo.value = null;
    });
  });
  const file = files.value.find(({ path }) => path === activePath.value);
  const binary = file?.encoding === "base64";
  return (
    <div class="code">
      <div class="code-host" ref={host} hidden={binary} />
      {binary && <p class="code-binary">A binary file of {bytes(fromBase64(file.content).length)}. It is given to the program as it is.</p>}
    </div>
  );
}

function useShowFile(editor: { current: Editor | null }): void {
  const seen = useRef({ revision: -1, language: "" });
  useSignalEffect(() => {
    const path = activePath.value;
    const chosen = language.value;
    const now = { revision: revision.value, language: chosen?.id ?? "" };
    const made = editor.current;
    if (made === null) return;
    if (now.language !== seen.current.language) made.forget();
    seen.current = now;
    const file = files.peek().find((item) => item.path === path);
    if (file !== undefined && file.encoding !== "base64") made.show(path, file.content, chosen);
    made.mark(marksOf(path));
  });
}

function FileTabs() {
  const renaming = useSignal<string | null>(null);
  const adding = useSignal(false);
  const upload = useRef<HTMLInputElement>(null);
  const many = files.value.length > 1;
  return (
    <div class="files">
      <ul class="files-list">
        {files.value.map(({ path }) => (
          <li key={path} class={`file${path === activePath.value ? " chosen" : ""}`}>
            {renaming.value === path ? (
              <NameField label={`New name of ${path}`} value={path} others={others(path)} onDone={(name) => { if (name !== null && name !== path) renameFile(path, name); renaming.value = null; }} />
            ) : (
              <>
                <button type="button" class="file-name" aria-current={path === activePath.value ? "true" : undefined} title={path === activePath.value ? "Click again to rename" : undefined} onClick={() => (path === activePath.value ? (renaming.value = path) : (activePath.value = path))}>
                  {path}
                  {many && path === entry.value && <span class="file-entry" title="A run starts with this file">entry</span>}
                </button>
                {path === activePath.value && many && (
                  <button type="button" class="file-remove" aria-label={`Remove ${path}`} onClick={() => { removeFile(path); announce(`${path} removed.`); }}>
                    ×
                  </button>
                )}
              </>
            )}
          </li>
        ))}
        {adding.value && (
          <li class="file chosen">
            <NameField label="Name of the new file" value="" others={others()} onDone={(name) => { adding.value = false; if (name !== null) addFile({ path: name, content: "" }); }} />
          </li>
        )}
      </ul>
      <div class="files-actions">
        {many && activePath.value !== entry.value && (
          <button type="button" class="button quiet small" onClick={() => update({ entry: activePath.value })}>
            Make entry
          </button>
        )}
        <button type="button" class="button quiet small" onClick={() => (adding.value = true)}>
          Add file
        </button>
        <button type="button" class="button quiet small" onClick={() => upload.current?.click()}>
          Upload
        </button>
        <input ref={upload} class="visually-hidden" type="file" multiple tabIndex={-1} aria-label="Files to upload" onChange={(event) => void takeUploads(event.currentTarget)} />
      </div>
    </div>
  );
}

const others = (path?: string): string[] => files.value.map((file) => file.path).filter((name) => name !== path);

async function takeUploads(input: HTMLInputElement): Promise<void> {
  const chosen = [...(input.files ?? [])];
  input.value = "";
  for (const file of chosen) {
    if (file.size > MAX_UPLOAD_BYTES) {
      announce(`${file.name} is larger than ${bytes(MAX_UPLOAD_BYTES)} and was left out.`);
      continue;
    }
    const content = new Uint8Array(await file.arrayBuffer());
    const text = content.includes(0) ? null : utf8(content);
    addFile(text === null ? { path: file.name, content: toBase64(content), encoding: "base64" } : { path: file.name, content: text });
    announce(`${file.name} added.`);
  }
}

interface NameProps {
  label: string;
  value: string;
  others: string[];
  onDone(name: string | null): void;
}

function NameField({ label, value, others: taken, onDone }: NameProps) {
  const text = useSignal(value);
  const field = useRef<HTMLInputElement>(null);
  const done = useRef(false);
  useEffect(() => {
    field.current?.focus();
    field.current?.select();
  }, []);
  const trouble = nameTrouble(text.value.trim(), taken);
  const end = (name: string | null): void => {
    if (done.current) return;
    done.current = true;
    onDone(name);
  };
  return (
    <form class="file-form" onSubmit={(event) => { event.preventDefault(); if (trouble === null) end(text.value.trim()); }}>
      <input
        ref={field}
        class="file-input mono"
        aria-label={label}
        aria-invalid={trouble !== null && text.value !== ""}
        aria-describedby="file-trouble"
        value={text.value}
        spellcheck={false}
        onInput={(event) => (text.value = event.currentTarget.value)}
        onKeyDown={(event) => event.key === "Escape" && end(null)}
        onBlur={() => end(trouble === null ? text.value.trim() : null)}
      />
      <span class="file-trouble" id="file-trouble" role="alert">
        {text.value !== "" && trouble}
      </span>
    </form>
  );
}
