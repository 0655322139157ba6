import { Duplex } from "node:stream";
import { createDeflateRaw, createInflateRaw } from "node:zlib";
import { beforeAll, expect, test, vi } from "vitest";
import { pack, unpack } from "./fragment";
import { workOf } from "./work";
import { documentOf } from "./workspace";

/** Not in the types of Node 18, which has it. */
const { toWeb } = Duplex as unknown as { toWeb(stream: Duplex): object };

// Node 18 has the streams of browsers, but this form only in its own library.
beforeAll(() => {
  try {
    new CompressionStream("deflate-raw");
  } catch {
    vi.stubGlobal("CompressionStream", function stream() {
      return toWeb(createDeflateRaw());
    });
    vi.stubGlobal("DecompressionStream", function stream() {
      return toWeb(createInflateRaw());
    });
  }
});

test("a document goes there and back", async () => {
  const document = { version: 1, language: "c", files: [{ path: "main.c", content: "ü\n".repeat(500) }] };
  const fragment = await pack(document);
  expect(fragment).toMatch(/^#w1=[\w-]+$/);
  expect(fragment.length).toBeLessThan(200);
  expect(await unpack(fragment)).toEqual(document);
});

test("other fragments are left alone, broken ones are said", async () => {
  expect(await unpack("#top")).toBeNull();
  await expect(unpack("#w1=%%%")).rejects.toThrow();
  await expect(unpack("#w1=AAAA")).rejects.toThrow();
});

test("a fragment that unpacks to too much is refused", async () => {
  await expect(unpack(await pack("x".repeat(5_000_000)))).rejects.toThrow("more than the page takes");
});

test("work survives being shared", () => {
  const work = {
    files: [{ path: "a.py", content: "x" }, { path: "b.bin", content: "AAE=", encoding: "base64" as const }],
    entry: "b.bin",
    stdin: "1",
    args: ["a b"],
    env: { K: "v" },
    compilerArgs: ["-O2"],
    limits: { cpu_time_ms: 10 },
    outputFiles: ["*.png"],
    mode: "terminal" as const,
  };
  expect(workOf(JSON.parse(JSON.stringify(documentOf("python", work))))).toEqual({ language: "python", work });
});

test.each([null, 3, "x", [], {}, { version: 2, language: "c", files: [] }, { version: 1, language: "c", files: [{}] }])("%j is no work", (value) => {
  expect(workOf(value)).toBeNull();
});

test("what is wrong within a document is left out", () => {
  const found = workOf({ version: 1, language: "c", files: [{ path: "a", content: "b" }], args: [1, "x"], limits: { cpu_time_ms: "9", cpus: -1, memory_bytes: 5, evil: 1 } });
  expect(found?.work.args).toEqual(["x"]);
  expect(found?.work.limits).toEqual({ memory_bytes: 5 });
});
