import { describe, expect, test } from "vitest";
import type { Limits } from "../api/types";
import { LIMIT_FIELDS, environmentText, joinArguments, nameTrouble, parseEnvironment, parseLimit, splitArguments } from "./limits";

const field = (name: string) => {
  const found = LIMIT_FIELDS.find((item) => item.name === name);
  if (found === undefined) throw new Error(name);
  return found;
};
const max = { memory_bytes: 512 * 2 ** 20, cpu_time_ms: 10_000, cpus: 2 } as Limits;

describe("limits", () => {
  test("nothing is the default", () => expect(parseLimit(field("memory_bytes"), " ", max)).toEqual({ value: null }));
  test("units are converted", () => expect(parseLimit(field("memory_bytes"), "1.5", max)).toEqual({ value: 1.5 * 2 ** 20 }));
  test("the maximum is named", () =>
    expect(parseLimit(field("memory_bytes"), "513", max)).toEqual({ error: "Memory may be at most 512 MiB here." }));
  test("the maximum itself is allowed", () => expect(parseLimit(field("cpu_time_ms"), "10000", max)).toEqual({ value: 10_000 }));
  test("words are no numbers", () => expect(parseLimit(field("cpu_time_ms"), "fast", max)).toHaveProperty("error"));
  test("zero is no limit", () => expect(parseLimit(field("cpus"), "0", max)).toHaveProperty("error"));
});

describe("arguments", () => {
  test("quotes and backslashes", () =>
    expect(splitArguments(`a 'b c' "d \\" e" f\\ g ''`)).toEqual({ args: ["a", "b c", 'd " e', "f g", ""] }));
  test("an open quote is said", () => expect(splitArguments("a 'b")).toHaveProperty("error"));
  test.each([[["a", "b c", "", "it's", '"', "\\", "$x"]]])("%j goes there and back", (args) =>
    expect(splitArguments(joinArguments(args))).toEqual({ args }));
});

describe("environment", () => {
  test("a value may hold = and spaces", () => expect(parseEnvironment("A=b=c d\n\nE=")).toEqual({ env: { A: "b=c d", E: "" } }));
  test("what is no variable is quoted", () => expect(parseEnvironment("1A=b")).toEqual({ error: "“1A=b” is not of the form NAME=value." }));
  test("there and back", () => expect(parseEnvironment(environmentText({ A: "1", B: "x y" }))).toEqual({ env: { A: "1", B: "x y" } }));
});

test.each([
  ["", false],
  ["/a", false],
  ["a/../b", false],
  ["a//b", false],
  ["main.py", false],
  ["main.py/x", false],
  ["lib/a.py", true],
])("name %j: %s", (name, fine) => expect(nameTrouble(name, ["main.py"]) === null).toBe(fine));
