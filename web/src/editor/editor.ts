/** One CodeMirror that shows one file at a time, and keeps each file's undo history and place. */

import { closeBrackets, closeBracketsKeymap, autocompletion, completionKeymap } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap, indentWithTab } from "@codemirror/commands";
import { bracketMatching, indentOnInput, indentUnit } from "@codemirror/language";
import { lintGutter, setDiagnostics, type Diagnostic } from "@codemirror/lint";
import { highlightSelectionMatches, searchKeymap } from "@codemirror/search";
import { Compartment, EditorState, type Extension } from "@codemirror/state";
import { EditorView, drawSelection, highlightActiveLineGutter, highlightSpecialChars, keymap, lineNumbers } from "@codemirror/view";
import type { Language } from "../api/types";
import { cspNonce } from "../ui/nonce";
import { loadMode, modeName } from "./modes";
import { theme } from "./theme";

/** A mark at a place in a file, lines and columns counted from 1. */
export interface Mark {
  line: number;
  column: number | null;
  message: string;
  severity: "error" | "warning" | "info";
}

export interface Options {
  parent: HTMLElement;
  label: string;
  /** Called after a pause in typing, and when `flush` is. */
  onChange(path: string, content: string): void;
  onRun(): void;
}

/**
 * Text typed over a selection. Left to itself, Chromium would put it into the page with a `style`
 * attribute, which the page's policy forbids, and only then would the editor take it over.
 */
const typeOverSelection = EditorView.domEventHandlers({
  beforeinput(event, view) {
    const { data } = event;
    const { from, to, empty } = view.state.selection.main;
    if (event.inputType !== "insertText" || data === null || empty || view.composing || view.state.selection.ranges.length > 1) return false;
    const insert = (): ReturnType<typeof view.state.update> => view.state.update(view.state.replaceSelection(data), { userEvent: "input.type", scrollIntoView: true });
    if (!view.state.facet(EditorView.inputHandler).some((handle) => handle(view, from, to, data, insert))) view.dispatch(insert());
    event.preventDefault();
    return true;
  },
});

/** How long typing may pause before the text is handed over. */
const PAUSE_MS = 200;

export class Editor {
  readonly #view: EditorView;
  readonly #options: Options;
  readonly #mode = new Compartment();
  readonly #states = new Map<string, EditorState>();
  #path = "";
  #dirty = false;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(options: Options) {
    this.#options = options;
    this.#view = new EditorView({ parent: options.parent, state: this.#state("") });
  }

  /** Shows `path`, as it was left if its content is still `content`. */
  show(path: string, content: string, language: Language | null): void {
    this.flush();
    if (this.#path !== "") this.#states.set(this.#path, this.#view.state);
    const kept = this.#states.get(path);
    this.#path = path;
    this.#view.setState(kept?.doc.toString() === content ? kept : this.#state(content));
    void this.#colour(path, language);
  }

  /** Forgets all files: their names will mean something else. */
  forget(): void {
    this.flush();
    this.#states.clear();
    this.#path = "";
  }

  /** Hands over what was typed since the last pause. */
  flush(): void {
    clearTimeout(this.#timer);
    if (!this.#dirty) return;
    this.#dirty = false;
    this.#options.onChange(this.#path, this.#view.state.doc.toString());
  }

  /** Puts marks at lines of the shown file. */
  mark(marks: Mark[]): void {
    const { doc } = this.#view.state;
    const diagnostics = marks
      .filter(({ line }) => line >= 1 && line <= doc.lines)
      .map(({ line, column, message, severity }): Diagnostic => {
        const at = doc.line(line);
        const from = Math.min(at.from + Math.max((column ?? 1) - 1, 0), at.to);
        const word = column === null ? null : this.#view.state.wordAt(from);
        return { from: column === null ? at.from : from, to: word?.to ?? at.to, message, severity };
      });
    this.#view.dispatch(setDiagnostics(this.#view.state, diagnostics));
  }

  /** Puts the cursor somewhere and the focus into the editor. */
  goTo(line: number, column: number | null): void {
    const { doc } = this.#view.state;
    const at = doc.line(Math.min(Math.max(line, 1), doc.lines));
    const anchor = Math.min(at.from + Math.max((column ?? 1) - 1, 0), at.to);
    this.#view.dispatch({ selection: { anchor }, effects: EditorView.scrollIntoView(anchor, { y: "center" }) });
    this.#view.focus();
  }

  destroy(): void {
    this.flush();
    this.#view.destroy();
  }

  async #colour(path: string, language: Language | null): Promise<void> {
    const name = modeName(path, language);
    let mode: Extension = [];
    try {
      if (name !== null) mode = await loadMode(name);
    } catch {
      // The chunk could not be fetched: the text stays plain, and is tried again when next shown.
    }
    if (this.#path === path) this.#view.dispatch({ effects: this.#mode.reconfigure(mode) });
  }

  #changed(): void {
    this.#dirty = true;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.flush(), PAUSE_MS);
  }

  #state(doc: string): EditorState {
    return EditorState.create({
      doc,
      extensions: [
        EditorView.cspNonce.of(cspNonce()),
        lineNumbers(),
        lintGutter(),
        highlightActiveLineGutter(),
        highlightSpecialChars(),
        history(),
        drawSelection(),
        typeOverSelection,
        indentUnit.of("    "),
        indentOnInput(),
        bracketMatching(),
        closeBrackets(),
        autocompletion({ activateOnTyping: false }),
        highlightSelectionMatches(),
        theme,
        this.#mode.of([]),
        EditorView.contentAttributes.of({ tabindex: "0", "aria-label": this.#options.label, "aria-describedby": "editor-hint" }),
        EditorView.updateListener.of((update) => {
          if (update.docChanged) this.#changed();
        }),
        keymap.of([
          { key: "Mod-Enter", preventDefault: true, run: () => (this.#options.onRun(), true) },
          ...closeBracketsKeymap,
          ...defaultKeymap,
          ...searchKeymap,
          ...historyKeymap,
          ...completionKeymap,
          indentWithTab,
        ]),
      ],
    });
  }
}
