import { signal, useSignalEffect } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { fromBase64 } from "../api/bytes";
import { Editor } from "../editor/editor";
import { bytes } from "../ui/format";
import { FileTabs } from "./FileTabs";
import { marksOf } from "./marks";
import { activePath, beforeRead, files, language, revision, setContent } from "./workspace";

/** A place that the editor should show; set by whoever mentions one. */
export const goTo = signal<{ path: string; line: number; column: number | null } | null>(null);

interface Props {
  onRun(): void;
}

/** Tabs of the files, and the editor for the chosen one. */
export function EditorPane({ onRun }: Props) {
  return (
    <section class="pane editor-pane" aria-label="Program">
      <FileTabs onAdded={(path) => (goTo.value = { path, line: 1, column: null })} />
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
