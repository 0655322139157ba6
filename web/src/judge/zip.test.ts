import { strToU8, zipSync } from "fflate";
import { expect, test } from "vitest";
import { unpack } from "./zip";

test("test data of an archive, and nothing else", async () => {
  const archive = zipSync({ "data/1.in": strToU8("1\n"), "data/1.ans": strToU8("2\n"), "solution.cpp": strToU8("int main(){}") });
  const files = await unpack(archive);
  expect(files.map(({ name }) => name).sort()).toEqual(["data/1.ans", "data/1.in"]);
  expect(new TextDecoder().decode(files.find(({ name }) => name === "data/1.in")?.bytes)).toBe("1\n");
});

test("what is no archive is said", async () => {
  await expect(unpack(strToU8("this is no zip"))).rejects.toThrow("cannot be read");
});
