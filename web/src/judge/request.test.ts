import { expect, test } from "vitest";
import { isLarge, submissionOf } from "./request";
import type { CheckerSettings, TestCase } from "./tests";

const one: TestCase = { key: 1, name: "s1 ", stdin: { text: "1" }, expected: { text: "2" }, group: "", points: "" };
const checker: CheckerSettings = { type: "lines", absolute: "1e-6", relative: "", language: "cpp", protocol: "icpc", source: "int main(){}", args: " a  b " };
const program = { language: "python", files: [{ path: "main.py", content: "" }], stdin: "not this", output_files: ["*"] };
const body = (part: object): unknown =>
  JSON.parse(
    JSON.stringify(
      submissionOf(program, { tests: [{ test: one, stdin: { text: "1" }, expected: { blob: "sha256:00" } }], groups: [], checker, stop: "never", ...part }),
    ),
  );

test("a submission has the program, less its own input, and the tests", () => {
  expect(body({})).toEqual({
    language: "python",
    files: [{ path: "main.py", content: "" }],
    tests: [{ id: "s1", stdin: "1", expected_output_blob: "sha256:00" }],
    checker: { type: "lines" },
    stop: "never",
    priority: "interactive",
  });
});

test("each checker has its own options", () => {
  expect(body({ checker: { ...checker, type: "float" } })).toMatchObject({ checker: { type: "float", absolute: 1e-6 } });
  expect(body({ checker: { ...checker, type: "program" } })).toMatchObject({
    checker: { type: "program", language: "cpp", source: "int main(){}", protocol: "icpc", args: ["a", "b"] },
  });
});

test("groups and points; what is no number is left for the service to name", () => {
  const graded = { ...one, group: " big ", points: "ten" };
  const sent = body({
    tests: [{ test: graded, stdin: { text: "" }, expected: { text: "" } }],
    groups: [{ name: "big", settings: { points: "60", scoring: "min", dependsOn: "a, b" } }],
  });
  expect(sent).toMatchObject({
    tests: [{ group: "big", points: "ten" }],
    groups: [{ id: "big", points: 60, scoring: "min", depends_on: ["a", "b"] }],
  });
});

test("long data and data that is no text is uploaded", () => {
  expect(isLarge({ text: "x" })).toBe(false);
  expect(isLarge({ text: "x".repeat(100_000) })).toBe(true);
  expect(isLarge({ bytes: new Uint8Array(1) })).toBe(true);
});
