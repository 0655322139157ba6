/** Highlighting for languages that neither CodeMirror nor its legacy modes know. */

import type { StreamParser } from "@codemirror/language";

/** What there is to tell apart in a language, lexically. */
export interface Lexicon {
  name: string;
  keywords: string;
  atoms?: string;
  builtins?: string;
  /** Letters of either case mean the same. */
  foldCase?: boolean;
  lineComment: string;
  blockComment?: [string, string];
  /** Delimiters of strings; a longer one goes before one that it begins with. */
  strings: string[];
  /** What takes a string's next character literally, if anything. */
  escape?: string;
  /** Matched in order before words and numbers, at the place of reading. */
  special?: [RegExp, string][];
  word?: RegExp;
}

interface State {
  /** What ends the comment or string that the place of reading is in. */
  until: string | null;
  token: "comment" | "string";
}

const NUMBER = /^\d[\d_]*(?:#[\da-fA-F_]+#)?(?:\.\d[\d_]*)?(?:[eE][+-]?\d+)?|^0[xXbBoO][\da-fA-F_]+/;

const set = (words: string | undefined): Set<string> => new Set((words ?? "").split(/\s+/).filter(Boolean));

/** A parser that colours by `lexicon`. */
export function wordParser(lexicon: Lexicon): StreamParser<State> {
  const kinds: [Set<string>, string][] = [
    [set(lexicon.keywords), "keyword"],
    [set(lexicon.atoms), "atom"],
    [set(lexicon.builtins), "variableName.standard"],
  ];
  const word = lexicon.word ?? /^[A-Za-z_]\w*/;
  const within = (stream: Stream, state: State): string => {
    while (!stream.eol()) {
      if (state.token === "string" && lexicon.escape !== undefined && stream.match(lexicon.escape)) {
        stream.next();
      } else if (state.until !== null && stream.match(state.until)) {
        state.until = null;
        break;
      } else {
        stream.next();
      }
    }
    return state.token;
  };
  return {
    name: lexicon.name,
    startState: () => ({ until: null, token: "comment" }),
    token(stream, state) {
      if (state.until !== null) return within(stream, state);
      if (stream.eatSpace()) return null;
      for (const [pattern, token] of lexicon.special ?? []) if (stream.match(pattern)) return token;
      if (stream.match(lexicon.lineComment)) {
        stream.skipToEnd();
        return "comment";
      }
      const [open, close] = lexicon.blockComment ?? [];
      if (open !== undefined && close !== undefined && stream.match(open)) {
        Object.assign(state, { until: close, token: "comment" });
        return within(stream, state);
      }
      for (const delimiter of lexicon.strings) {
        if (!stream.match(delimiter)) continue;
        Object.assign(state, { until: delimiter, token: "string" });
        const token = within(stream, state);
        // Only the long delimiters span lines; an open short one must not colour the rest.
        if (delimiter.length === 1) state.until = null;
        return token;
      }
      if (stream.match(NUMBER)) return "number";
      if (stream.match(word)) {
        const text = lexicon.foldCase ? stream.current().toLowerCase() : stream.current();
        return kinds.find(([words]) => words.has(text))?.[1] ?? "variableName";
      }
      stream.next();
      return null;
    },
    languageData: {
      commentTokens: {
        line: lexicon.lineComment,
        ...(lexicon.blockComment && { block: { open: lexicon.blockComment[0], close: lexicon.blockComment[1] } }),
      },
    },
  };
}

type Stream = Parameters<StreamParser<State>["token"]>[0];
