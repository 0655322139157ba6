/** Tests from files: pairs of an input and what it should lead to, by their names. */

export interface NamedBytes {
  name: string;
  bytes: Uint8Array;
}

export interface Pair {
  name: string;
  input: Uint8Array;
  expected: Uint8Array;
}

const INPUT = /\.in$/i;
const EXPECTED = /\.(ans|out)$/i;
/** What an archive may carry beside tests, made by other programs. */
const NOISE = /(^|\/)(__MACOSX\/|\.DS_Store$|\._)/;

/** Names as people count: `2` before `10`. */
const order = new Intl.Collator("en", { numeric: true }).compare;

/** The pairs among `files`, and the names of those that have no other half. */
export function pairs(files: NamedBytes[]): { found: Pair[]; left: string[] } {
  const tests = files.filter(({ name }) => !NOISE.test(name));
  const answers = new Map<string, NamedBytes>();
  for (const file of tests.filter(({ name }) => EXPECTED.test(name))) {
    const stem = file.name.replace(EXPECTED, "");
    // `.ans` is what a problem package calls it; `.out` may be some program's.
    if (!answers.has(stem) || /\.ans$/i.test(file.name)) answers.set(stem, file);
  }
  const used = new Set<string>();
  const found: Pair[] = [];
  for (const input of tests.filter(({ name }) => INPUT.test(name))) {
    const stem = input.name.replace(INPUT, "");
    const expected = answers.get(stem);
    if (expected === undefined) continue;
    used.add(input.name).add(expected.name);
    found.push({ name: stem, input: input.bytes, expected: expected.bytes });
  }
  const common = commonFolder(found.map(({ name }) => name));
  const named = found.map((pair) => ({ ...pair, name: pair.name.slice(common.length) }));
  const left = tests.filter(({ name }) => (INPUT.test(name) || EXPECTED.test(name)) && !used.has(name)).map(({ name }) => name);
  return { found: named.sort((a, b) => order(a.name, b.name)), left: left.sort(order) };
}

/** The folder that all of `names` are in. */
function commonFolder(names: string[]): string {
  const [first = "", ...rest] = names;
  let folder = first.slice(0, first.lastIndexOf("/") + 1);
  while (folder !== "" && !rest.every((name) => name.startsWith(folder))) {
    folder = folder.slice(0, folder.lastIndexOf("/", folder.length - 2) + 1);
  }
  return folder;
}

/** A line that says what follows: "Sample Input 1", "Output:", "Expected output". */
const HEADING = /^\s*(?:#+\s*)?(?:sample|example|expected)?\s*(input|output)(?:\s*#?\s*\d+)?\s*(?:copy)?\s*:?\s*$/i;

/** The tests in a text copied from a problem statement; none if it has no headings for both halves. */
export function samples(text: string): { input: string; expected: string }[] {
  const parts: { kind: string; lines: string[] }[] = [];
  for (const line of text.replaceAll("\r\n", "\n").split("\n")) {
    const kind = HEADING.exec(line)?.[1]?.toLowerCase();
    if (kind !== undefined) parts.push({ kind, lines: [] });
    else parts.at(-1)?.lines.push(line);
  }
  const body = (lines: string[]): string => {
    const trimmed = lines.join("\n").replace(/^\n+/, "").trimEnd();
    return trimmed === "" ? "" : `${trimmed}\n`;
  };
  const found: { input: string; expected: string }[] = [];
  parts.forEach((part, at) => {
    const next = parts[at + 1];
    if (part.kind === "input" && next?.kind === "output") found.push({ input: body(part.lines), expected: body(next.lines) });
  });
  return found;
}
