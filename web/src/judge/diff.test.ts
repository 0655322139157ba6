import { expect, test } from "vitest";
import { diff, diffOfPart, excerpt } from "./diff";

const brief = (expected: string, actual: string): string[] =>
  diff(expected, actual).map(({ kind, line, text }) => `${{ same: " ", expected: "-", actual: "+" }[kind]}${line} ${text}`);

test("what is equal is told from what is not", () => {
  expect(brief("a\nb\nc\n", "a\nx\nc\n")).toEqual([" 1 a", "-2 b", "+2 x", " 3 c"]);
  expect(brief("a\nb\nc\nd\n", "a\nc\nd\ne\n")).toEqual([" 1 a", "-2 b", " 2 c", " 3 d", "+4 e"]);
  expect(brief("", "x\n")).toEqual(["+1 x"]);
  expect(brief("x\n", "")).toEqual(["-1 x"]);
  expect(brief("same\n", "same")).toEqual([" 1 same"]);
});

test("what differs within a line is marked", () => {
  const [, one, other] = diff("n\n12 34 56\n", "n\n12 9934 56\n");
  expect(one?.mark).toEqual([3, 3]);
  expect(other?.mark).toEqual([3, 5]);
  const [all] = diff("abc\n", "xyz\n");
  expect(all?.mark).toEqual([0, 3]);
});

test("of a beginning only what it has is compared", () => {
  const kinds = (expected: string, actual: string): string => diffOfPart(expected, actual).map(({ kind }) => kind).join(" ");
  expect(kinds("1\n2\n3\n", "1\n2\nhal")).toBe("same same");
  expect(kinds("1\n2\n3\n", "1\n9\nhal")).toBe("same expected actual");
  expect(kinds("123456\n", "123")).toBe("same");
  expect(kinds("123456\n", "129")).toBe("expected actual");
});

test("very different long texts are compared line by line", () => {
  const many = (word: string): string => Array.from({ length: 2000 }, (_, at) => `${word}${at}\n`).join("");
  expect(diff(many("a"), many("b"))).toHaveLength(4000);
});

test("an excerpt leaves equal lines out", () => {
  const text = Array.from({ length: 50 }, (_, at) => `${at}\n`);
  const changed = text.map((line, at) => (at === 25 ? "x\n" : line));
  const lines = excerpt(diff(text.join(""), changed.join("")), 2);
  expect(lines[0]).toBeNull();
  expect(lines.at(-1)).toBeNull();
  expect(lines.filter((line) => line !== null).map(({ text: words }) => words)).toEqual(["23", "24", "25", "x", "26", "27"]);
});

test("a difference far behind is found, by its own number", () => {
  const text = (odd: string): string => Array.from({ length: 100_000 }, (_, at) => `${at === 90_000 ? odd : at}\n`).join("");
  const lines = excerpt(diff(text("x"), text("y")), 1);
  expect(lines.map((line) => line && `${line.line} ${line.text}`)).toEqual([null, "90000 89999", "90001 x", "90001 y", "90002 90001", null]);
});

test("what is all the same has no difference, however long it is", () => {
  const text = "line\n".repeat(50_000);
  expect(diff(text, text).every(({ kind }) => kind === "same")).toBe(true);
  expect(excerpt(diff(text, text))).toEqual([null]);
  expect(brief("a\n", "a\nb\n")).toEqual([" 1 a", "+2 b"]);
  expect(brief("a\n\n", "a\n")).toEqual([" 1 a", "-2 "]);
});
