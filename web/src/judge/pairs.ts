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

/** What an archive may carry beside tests, made by other programs. */
const NOISE = /(^|\/)(__MACOSX\/|\.DS_Store$|\._)/;
/** Names that may be those of tests; what else an archive has need not be unpacked. */
const CANDIDATE = /\.(?:in|ans|out|a|txt)$|(?:^|\/)[^./]+$/i;

export const mayBeTest = (name: string): boolean => CANDIDATE.test(name) && !NOISE.test(name);

/** Which half of which test a file is. */
interface Half {
  test: string;
  expected: boolean;
  /** Of several answers to one input the lowest is taken. */
  rank: number;
}

/** `1.in` and `1.ans`, as a problem package has it, or `1.out`, which may be some program's. */
const SUFFIXES: [RegExp, Omit<Half, "test">][] = [
  [/\.in$/i, { expected: false, rank: 0 }],
  [/\.ans$/i, { expected: true, rank: 0 }],
  [/\.out$/i, { expected: true, rank: 1 }],
];
/** `input/input00.txt` and `output/output00.txt`: words that stand for each other. */
const WORDS: [RegExp, Omit<Half, "test">][] = [
  [/(?<![a-z])(?:inputs?|in)(?![a-z])/gi, { expected: false, rank: 0 }],
  [/(?<![a-z])(?:outputs?|out|answers?|ans|expected)(?![a-z])/gi, { expected: true, rank: 2 }],
];

function halfOf(name: string, all: ReadonlySet<string>): Half | null {
  for (const [suffix, half] of SUFFIXES) if (suffix.test(name)) return { test: name.replace(suffix, ""), ...half };
  // `01` and `01.a`: without the other half it is no test.
  if (name.endsWith(".a") && all.has(name.slice(0, -2))) return { test: name.slice(0, -2), expected: true, rank: 0 };
  if (all.has(`${name}.a`)) return { test: name, expected: false, rank: 0 };
  const said = WORDS.map(([word, half]) => ({ test: name.replace(word, "*").replace(/\.txt$/i, ""), ...half })).filter(({ test }) => test.includes("*"));
  return said.length === 1 ? (said[0] ?? null) : null;
}

/** A name to show, without the words that only told the halves apart: `00` of `*_00`. */
const shown = (test: string): string =>
  test
    .split("/")
    .map((part) => part.replaceAll("*", "").replace(/^[_.-]+|[_.-]+$/g, ""))
    .filter((part) => part !== "")
    .join("/") || "test";

/** Names as people count: `2` before `10`. */
const order = new Intl.Collator("en", { numeric: true }).compare;

/** The pairs among `files`, and the names of those that have no other half. */
export function pairs(files: NamedBytes[]): { found: Pair[]; left: string[] } {
  const tests = files.filter(({ name }) => mayBeTest(name));
  const names = new Set(tests.map(({ name }) => name));
  const halves = tests.flatMap((file) => {
    const half = halfOf(file.name, names);
    return half === null ? [] : [{ file, ...half }];
  });
  const answers = new Map<string, (typeof halves)[number]>();
  for (const half of halves.filter(({ expected }) => expected)) {
    if (half.rank < (answers.get(half.test)?.rank ?? Infinity)) answers.set(half.test, half);
  }
  const used = new Set<string>();
  const found: Pair[] = [];
  for (const { file, test } of halves.filter(({ expected }) => !expected)) {
    const answer = answers.get(test);
    if (answer === undefined) continue;
    used.add(file.name).add(answer.file.name);
    found.push({ name: shown(test), input: file.bytes, expected: answer.file.bytes });
  }
  const common = commonFolder(found.map(({ name }) => name));
  const named = found.map((pair) => ({ ...pair, name: pair.name.slice(common.length) }));
  const left = halves.map(({ file }) => file.name).filter((name) => !used.has(name));
  return { found: named.sort((one, other) => order(one.name, other.name)), left: left.sort(order) };
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
