import { expect, test } from "vitest";
import { decode, fromBase64, toBase64, utf8 } from "./bytes";

test("base64 goes there and back, longer than a chunk", () => {
  const bytes = Uint8Array.from({ length: 100_000 }, (_, at) => (at * 7) % 256);
  expect(fromBase64(toBase64(bytes))).toEqual(bytes);
});

test("text is UTF-8 or it is not", () => {
  expect(utf8(decode("grüße", "utf-8"))).toBe("grüße");
  expect(utf8(decode("gICA", "base64"))).toBeNull();
});
