import { expect, test } from "vitest";
import { pairs, samples } from "./pairs";

const file = (name: string): { name: string; bytes: Uint8Array } => ({ name, bytes: new TextEncoder().encode(name) });

test("pairs are found by name, in the order people count in", () => {
  const { found, left } = pairs(["data/10.in", "data/2.in", "data/2.ans", "data/10.out", "data/3.in", "notes.txt", "__MACOSX/data/2.in"].map(file));
  expect(found.map(({ name }) => name)).toEqual(["2", "10"]);
  expect(new TextDecoder().decode(found[1]?.expected)).toBe("data/10.out");
  expect(left).toEqual(["data/3.in"]);
});

test("an .ans goes before an .out, and folders that differ stay in the name", () => {
  const { found } = pairs(["p/sample/1.in", "p/sample/1.out", "p/sample/1.ans", "p/secret/1.in", "p/secret/1.ans"].map(file));
  expect(found.map(({ name }) => name)).toEqual(["sample/1", "secret/1"]);
  expect(new TextDecoder().decode(found[0]?.expected)).toBe("p/sample/1.ans");
});

const named = (...names: string[]): string[] => pairs(names.map(file)).found.map(({ name, input, expected }) => `${name}: ${new TextDecoder().decode(input)} ${new TextDecoder().decode(expected)}`);

test("other ways to name the halves", () => {
  expect(named("input/input00.txt", "output/output00.txt", "input/input01.txt", "output/output01.txt")).toEqual([
    "00: input/input00.txt output/output00.txt",
    "01: input/input01.txt output/output01.txt",
  ]);
  expect(named("tests/01", "tests/01.a", "tests/02", "tests/02.a", "tests/doc")).toEqual(["01: tests/01 tests/01.a", "02: tests/02 tests/02.a"]);
  expect(named("sample_in.txt", "sample_out.txt")).toEqual(["sample: sample_in.txt sample_out.txt"]);
  expect(named("input.txt", "output.txt")).toEqual(["test: input.txt output.txt"]);
  // A word within another one says nothing.
  expect(named("main.txt", "maout.txt", "README", "notes.txt")).toEqual([]);
});

test("nothing of nothing", () => {
  expect(pairs([])).toEqual({ found: [], left: [] });
});

test("samples of a statement", () => {
  const text = "Sample Input 1\r\n\r\n1 2\r\n3\r\n\r\nSample Output 1\r\n6\r\n\r\nExample\nInput:\n4\nExpected output\n4\n";
  expect(samples(text)).toEqual([
    { input: "1 2\n3\n", expected: "6\n\nExample\n" },
    { input: "4\n", expected: "4\n" },
  ]);
  expect(samples("input is read from stdin\noutput goes to stdout\n")).toEqual([]);
  expect(samples("Input\n5\n")).toEqual([]);
});
