/** Which highlighting a file gets. Each is a chunk of its own, fetched when first needed. */

import { LanguageSupport, StreamLanguage, type StreamParser } from "@codemirror/language";
import type { Extension } from "@codemirror/state";
import type { Language } from "../api/types";
import type * as lexicons from "./lexicons";

type Load = () => Promise<Extension>;

const stream = (parser: StreamParser<unknown>): Extension =>
  new LanguageSupport(StreamLanguage.define(parser));

const words = (name: keyof typeof lexicons): Load => async () => {
  const [{ wordParser }, all] = await Promise.all([import("./words"), import("./lexicons")]);
  return stream(wordParser(all[name]));
};

const javascript = (typescript: boolean): Load => async () =>
  (await import("@codemirror/lang-javascript")).javascript({ typescript });

const cpp: Load = async () => (await import("@codemirror/lang-cpp")).cpp();

/** By the language's id. `executable` has none: it is no text. */
const MODES: Record<string, Load> = {
  ada: words("ada"),
  awk: words("awk"),
  bash: async () => stream((await import("@codemirror/legacy-modes/mode/shell")).shell),
  c: cpp,
  commonlisp: async () => stream((await import("@codemirror/legacy-modes/mode/commonlisp")).commonLisp),
  cpp,
  csharp: async () => stream((await import("@codemirror/legacy-modes/mode/clike")).csharp),
  d: async () => stream((await import("@codemirror/legacy-modes/mode/d")).d),
  elixir: words("elixir"),
  erlang: async () => stream((await import("@codemirror/legacy-modes/mode/erlang")).erlang),
  fortran: async () => stream((await import("@codemirror/legacy-modes/mode/fortran")).fortran),
  go: async () => (await import("@codemirror/lang-go")).go(),
  haskell: async () => stream((await import("@codemirror/legacy-modes/mode/haskell")).haskell),
  java: async () => (await import("@codemirror/lang-java")).java(),
  javascript: javascript(false),
  kotlin: async () => stream((await import("@codemirror/legacy-modes/mode/clike")).kotlin),
  lua: async () => stream((await import("@codemirror/legacy-modes/mode/lua")).lua),
  nim: words("nim"),
  ocaml: async () => stream((await import("@codemirror/legacy-modes/mode/mllike")).oCaml),
  pascal: async () => stream((await import("@codemirror/legacy-modes/mode/pascal")).pascal),
  perl: async () => stream((await import("@codemirror/legacy-modes/mode/perl")).perl),
  php: async () => (await import("@codemirror/lang-php")).php(),
  prolog: words("prolog"),
  python: async () => (await import("@codemirror/lang-python")).python(),
  r: async () => stream((await import("@codemirror/legacy-modes/mode/r")).r),
  ruby: async () => stream((await import("@codemirror/legacy-modes/mode/ruby")).ruby),
  rust: async () => (await import("@codemirror/lang-rust")).rust(),
  scheme: async () => stream((await import("@codemirror/legacy-modes/mode/scheme")).scheme),
  sql: async () => {
    const { sql, SQLite } = await import("@codemirror/lang-sql");
    return sql({ dialect: SQLite });
  },
  typescript: javascript(true),
};

/** Files beside the sources that are worth colouring, by extension. */
const OTHER_FILES: Record<string, Load> = {
  h: cpp,
  hpp: cpp,
  json: async () => (await import("@codemirror/lang-json")).json(),
  html: async () => (await import("@codemirror/lang-html")).html(),
  css: async () => (await import("@codemirror/lang-css")).css(),
  md: async () => (await import("@codemirror/lang-markdown")).markdown(),
};

/** Ids of the languages that have highlighting. */
export const highlighted = Object.keys(MODES);

/** The id of the mode for a file, or null for plain text. */
export function modeName(path: string, language: Language | null): string | null {
  const extension = /\.([^./]+)$/.exec(path)?.[1];
  if (language === null) return null;
  if (extension === undefined || path === language.source_name || language.extensions.includes(extension)) {
    return language.id in MODES ? language.id : null;
  }
  return extension in OTHER_FILES ? `.${extension}` : null;
}

/** Fetches a mode by what `modeName` said. */
export async function loadMode(name: string): Promise<Extension> {
  const load = name.startsWith(".") ? OTHER_FILES[name.slice(1)] : MODES[name];
  return load === undefined ? [] : load();
}
