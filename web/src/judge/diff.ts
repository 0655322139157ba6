/** Where two texts differ, line by line. */

export interface DiffLine {
  kind: "same" | "expected" | "actual";
  /** Number in the text it is of, from 1. */
  line: number;
  text: string;
  /** The part that differs from the line's other half, if it has one. */
  mark?: [from: number, to: number];
}

/** Lines compared each with each; more are compared one by one. */
const MAX_CELLS = 1_000_000;
/** Lines of a text that are looked at, from shortly before the first difference on. */
const MAX_LINES = 20_000;
/** Equal lines before the first difference that are part of the result. */
const LINES_BEFORE = 100;

const linesOf = (text: string): string[] => {
  const lines = text.split("\n", MAX_LINES + 1);
  if (lines.at(-1) === "") lines.pop();
  return lines;
};

/** Where the comparison begins: so many characters, which are so many lines, are the same in both. */
function beginning(a: string, b: string): { chars: number; lines: number } {
  let at = 0;
  while (at < a.length && a.charCodeAt(at) === b.charCodeAt(at)) at++;
  let chars = at === 0 ? 0 : a.lastIndexOf("\n", at - 1) + 1;
  for (let line = 0; line < LINES_BEFORE && chars > 0; line++) chars = chars < 2 ? 0 : a.lastIndexOf("\n", chars - 2) + 1;
  let lines = 0;
  for (let end = a.indexOf("\n"); end >= 0 && end < chars; end = a.indexOf("\n", end + 1)) lines++;
  return { chars, lines };
}

/** Lines from shortly before the first difference on. */
export function diff(expected: string, actual: string): DiffLine[] {
  const { chars, lines: before } = beginning(expected, actual);
  const [a, b] = [linesOf(expected.slice(chars)), linesOf(actual.slice(chars))];
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start++;
  let tail = 0;
  while (tail < a.length - start && tail < b.length - start && a[a.length - 1 - tail] === b[b.length - 1 - tail]) tail++;
  const same = (from: number, to: number): DiffLine[] => b.slice(from, to).map((text, at) => ({ kind: "same", line: from + at + 1, text }));
  const lines = [...same(0, start), ...marked(middle(a, b, start, a.length - tail, b.length - tail)), ...same(b.length - tail, b.length)];
  return before === 0 ? lines : lines.map((line) => ({ ...line, line: line.line + before }));
}

/** The same when of `actual` only the beginning is known: as much of `expected` is compared with it. */
export function diffOfPart(expected: string, actual: string): DiffLine[] {
  const lines = actual.split("\n").length - 1;
  const first = (text: string): string => text.split("\n", 1)[0] ?? "";
  if (lines === 0) return diff(first(expected).slice(0, actual.length), actual);
  const wanted = expected.split("\n").slice(0, lines).join("\n");
  return diff(wanted, actual.slice(0, actual.lastIndexOf("\n")));
}

/** What is between the common beginning and the common end. */
function middle(a: string[], b: string[], start: number, endA: number, endB: number): DiffLine[] {
  const [rows, columns] = [endA - start, endB - start];
  const expected = (at: number): DiffLine => ({ kind: "expected", line: start + at + 1, text: a[start + at] ?? "" });
  const actual = (at: number): DiffLine => ({ kind: "actual", line: start + at + 1, text: b[start + at] ?? "" });
  if (rows * columns > MAX_CELLS) {
    const most = Math.max(rows, columns);
    return Array.from({ length: most }, (_, at) => [...(at < rows ? [expected(at)] : []), ...(at < columns ? [actual(at)] : [])]).flat();
  }
  // The longest common subsequence of what is left of both, from each place on.
  const width = columns + 1;
  const longest = new Uint32Array((rows + 1) * width);
  for (let i = rows - 1; i >= 0; i--) {
    for (let j = columns - 1; j >= 0; j--) {
      longest[i * width + j] =
        a[start + i] === b[start + j]
          ? (longest[(i + 1) * width + j + 1] ?? 0) + 1
          : Math.max(longest[(i + 1) * width + j] ?? 0, longest[i * width + j + 1] ?? 0);
    }
  }
  const lines: DiffLine[] = [];
  let [i, j] = [0, 0];
  while (i < rows || j < columns) {
    if (i < rows && j < columns && a[start + i] === b[start + j]) {
      lines.push({ kind: "same", line: start + j + 1, text: b[start + j] ?? "" });
      i++;
      j++;
    } else if (i < rows && (j >= columns || (longest[(i + 1) * width + j] ?? 0) >= (longest[i * width + j + 1] ?? 0))) {
      lines.push(expected(i++));
    } else {
      lines.push(actual(j++));
    }
  }
  return lines;
}

/** Marks what differs within lines that stand for each other: as many expected as actual ones in a row. */
function marked(lines: DiffLine[]): DiffLine[] {
  const result = [...lines];
  for (let at = 0; at < result.length; ) {
    const from = at;
    while (result[at]?.kind === "expected") at++;
    const expected = at - from;
    while (result[at]?.kind === "actual") at++;
    const actual = at - from - expected;
    for (let n = 0; n < Math.min(expected, actual); n++) {
      const [one, other] = [result[from + n], result[from + expected + n]];
      if (one === undefined || other === undefined) continue;
      const [first, last] = [one.text, other.text];
      let head = 0;
      while (head < first.length && first[head] === last[head]) head++;
      let tail = 0;
      while (tail < Math.min(first.length, last.length) - head && first[first.length - 1 - tail] === last[last.length - 1 - tail]) tail++;
      result[from + n] = { ...one, mark: [head, first.length - tail] };
      result[from + expected + n] = { ...other, mark: [head, last.length - tail] };
    }
    if (at === from) at++;
  }
  return result;
}

/** The lines around differences; `null` stands for equal ones that are left out. */
export function excerpt(lines: DiffLine[], around = 3, most = 400): (DiffLine | null)[] {
  const near = new Uint8Array(lines.length);
  lines.forEach(({ kind }, at) => {
    if (kind !== "same") near.fill(1, Math.max(0, at - around), at + around + 1);
  });
  const shown: (DiffLine | null)[] = (lines[0]?.line ?? 1) > 1 ? [null] : [];
  lines.forEach((line, at) => {
    if (shown.length >= most) return;
    if (near[at] === 1) shown.push(line);
    else if (shown.at(-1) !== null) shown.push(null);
  });
  return shown;
}
