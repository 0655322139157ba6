/** Finds, in what compilers and interpreters say, the places of the program they speak of. */

/** A mention of a place within one line of text. */
export interface Place {
  /** Where the mention is in the line. */
  from: number;
  to: number;
  path: string;
  line: number;
  column: number | null;
}

/** What is wrong at a place. */
export interface Finding {
  path: string;
  line: number;
  column: number | null;
  severity: "error" | "warning" | "info";
  message: string;
}

/** Lines longer than this hold no messages for people. */
const MAX_LINE_CHARS = 2_000;

/** How a line number follows a path, by who writes so. `#` stands for the path. */
const FORMS = [
  String.raw`File "(#)", line (\d+)(?:, characters (\d+)-\d+)?`, // CPython, OCaml
  String.raw`(#)\((\d+)(?:, ?(\d+)(?:-\d+)?)?\)`, // tsc, Mono, Free Pascal, LDC, Nim
  String.raw`(#):(\d+)(?::(\d+))?`, // GCC, Clang, rustc, Go, javac, GHC, Node, Lua, Ruby, and most others
  String.raw`(#):? (?:on )?line (\d+)`, // Bash, Perl, PHP
];
/** SQLite names no file: it reads one. */
const NAMELESS = /^(?:Parse|Runtime) error near line (\d+)/;

const escape = (text: string): string => text.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&");

/** A finder of places in the files of one program. */
export class Places {
  readonly #pattern: RegExp | null;

  constructor(readonly paths: readonly string[]) {
    // The longest first, so that "a/main.py" is not found as "main.py".
    const names = [...paths].sort((a, b) => b.length - a.length).map(escape);
    const path = `(?<![\\w./-])(?:\\.?/?(?:box/)?)?(?:${names.join("|")})`;
    const forms = FORMS.map((form) => form.replace("#", path));
    this.#pattern = names.length > 0 ? new RegExp(forms.join("|"), "g") : null;
  }

  /** Every mention in `text`, one line. */
  find(text: string): Place[] {
    if (this.#pattern === null || text.length > MAX_LINE_CHARS) return [];
    const nameless = NAMELESS.exec(text);
    const only = this.paths[0];
    if (nameless !== null && only !== undefined) {
      return [{ from: 0, to: nameless[0].length, path: only, line: Number(nameless[1]), column: null }];
    }
    return [...text.matchAll(this.#pattern)].flatMap((match) => {
      const groups: (string | undefined)[] = match.slice(1);
      const [path, line, column] = groups.filter((part) => part !== undefined);
      const known = path === undefined ? undefined : this.#known(path);
      if (known === undefined || line === undefined) return [];
      const from = match.index;
      return [{ from, to: from + match[0].length, path: known, line: Number(line), column: column === undefined ? null : Number(column) }];
    });
  }

  #known(path: string): string | undefined {
    const plain = path.replace(/^\.?\/?(?:box\/)?/, "");
    return this.paths.find((name) => name === path) ?? this.paths.find((name) => name === plain);
  }
}

const LABEL = /^(fatal error|error|warning|note|hint|help)\b(?:\[\w+\]|\s+[A-Z]+\d+)?\s*:?\s*(.*)/i;
/** A last line such as `ValueError: bad`. */
const EXCEPTION = /^(?:Uncaught\s+)?[A-Za-z_][\w.]*(?:Error|Exception|Interrupt|Exit)\b.*/;
/** Words around a place that only lead to it. */
const LEADING = /^(?:#\d+|at|from|in|thrown|by)\b/;

function severityOf(word: string): Finding["severity"] {
  if (/error/i.test(word)) return "error";
  return /warning/i.test(word) ? "warning" : "info";
}

/** At most this many; a page of marks says no more than the first few. */
const MAX_FINDINGS = 100;
/** How far from a place the words about it may be, in lines. */
const MAX_DISTANCE = 12;

interface Words {
  severity: Finding["severity"];
  message: string;
  /** The line that the words are in; of several places that share it, the last one counts. */
  at: number;
}

/** What `text`, a compiler's or interpreter's words, finds wrong with the program. */
export function findings(text: string, places: Places): Finding[] {
  const lines = text.split("\n");
  const found = new Map<string, Finding>();
  lines.forEach((line, at) => {
    const place = places.find(line)[0];
    if (place === undefined || found.size >= MAX_FINDINGS) return;
    const words = wordsAfter(lines, at, place) ?? wordsBefore(lines, at, place) ?? wordsAtTheEnd(lines, at);
    if (words === null) return;
    const { path, column } = place;
    found.set(`${words.at}:${words.message}`, { path, line: place.line, column, severity: words.severity, message: words.message });
  });
  return [...found.values()];
}

function wordsAfter(lines: string[], at: number, place: Place): Words | null {
  const after = (lines[at] ?? "")
    .slice(place.to)
    .replace(/^[\s:,.-]+/, "")
    .replace(/^in [`'][^`']*':\s*/, ""); // Ruby names the method first
  const label = LABEL.exec(after);
  if (label?.[1] !== undefined) {
    // GHC goes on in the next line.
    const rest = label[2] ?? "";
    const message = rest === "" ? (lines[at + 1] ?? "").replace(/^[\s•]+/, "") : rest;
    return { severity: severityOf(label[1]), message, at };
  }
  const speaks = after.length > 3 && !LEADING.test(after) && !after.startsWith("(");
  return speaks && !EXCEPTION.test(after) ? { severity: "error", message: after, at } : null;
}

function wordsBefore(lines: string[], at: number, place: Place): Words | null {
  const before = (lines[at] ?? "").slice(0, place.from);
  const previous = (lines[at - 1] ?? "").trim();
  if (/^\s*-->\s*$/.test(before)) {
    const label = LABEL.exec(previous); // rustc
    return label?.[1] === undefined ? null : { severity: severityOf(label[1]), message: label[2] ?? previous, at };
  }
  if (before.trim() === "" && previous.startsWith("** (")) return { severity: "error", message: previous.slice(3), at: at - 1 }; // Elixir
  const head = before.replace(/[\s:(]+(?:at|in|on)?\s*$/, "").trim();
  if (head.length < 3 || LEADING.test(head) || /^["']|[\w/]+:$/.test(before.trim())) return null;
  return { severity: "error", message: head, at };
}

/** Where a traceback ends, or a compiler says after the source what is wrong with it. */
function wordsAtTheEnd(lines: string[], at: number): Words | null {
  const ends = (line: string): boolean => EXCEPTION.test(line.trim()) || /^\s*(?:fatal )?error\b/i.test(line);
  const distance = lines.slice(at + 1, at + 1 + MAX_DISTANCE).findIndex(ends);
  if (distance < 0) return null;
  const end = at + 1 + distance;
  const message = (lines[end] ?? "").trim().replace(/^(?:fatal )?error:\s*/i, "");
  return { severity: "error", message, at: end };
}
