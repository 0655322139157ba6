import { expect, test } from "vitest";
import { requestFrom } from "./protocol";

test.each([null, 1, "run", {}, { type: "run" }])("%j is somebody else’s message", (data) => expect(requestFrom(data)).toBeNull());

test("simple requests", () => {
  for (const type of ["hello", "get", "run", "stop"] as const) expect(requestFrom({ brig: 1, type })).toEqual({ type });
});

test("a program is read", () => {
  const program = { version: 1, language: "python", files: [{ path: "main.py", content: "print(1)" }] };
  expect(requestFrom({ brig: 1, type: "set", program })).toMatchObject({ type: "set", language: "python", work: { entry: "main.py" } });
});

test.each([
  [{ brig: 2, type: "run" }, "version 1"],
  [{ brig: 1, type: "eval" }, "hello, set, get, run or stop"],
  [{ brig: 1, type: "set" }, "program"],
  [{ brig: 1, type: "set", program: { version: 1, language: "c", files: [] } }, "program"],
])("%j is refused in words", (data, words) => {
  const found = requestFrom(data);
  expect(found).toHaveProperty("refusal");
  expect(JSON.stringify(found)).toContain(words);
});
