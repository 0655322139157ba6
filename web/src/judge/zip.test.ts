import { strToU8, zipSync } from "fflate";
import { expect, test } from "vitest";
import { unpack } from "./zip";

test("test data of an archive, and nothing else", () => {
  const archive = zipSync({ "data/1.in": strToU8("1\n"), "data/1.ans": strToU8("2\n"), "solution.cpp": strToU8("int main(){}") });
  const files = unpack(archive);
  expect(files.map(({ name }) => name).sort()).toEqual(["data/1.ans", "data/1.in"]);
  expect(new TextDecoder().decode(files.find(({ name }) => name === "data/1.in")?.bytes)).toBe("1\n");
});

test("what is no archive is said", () => {
  expect(() => unpack(strToU8("this is no zip"))).toThrow("cannot be read");
});
