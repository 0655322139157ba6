// Puts x.br and x.gz beside every file x of dist that is loaded by a page, where that saves
// something. Pages themselves are different in each answer and stay as they are.
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

const COMPRESSIBLE = /\.(js|mjs|css|json|map|svg|txt|wasm|webmanifest)$/;
/** Below this nothing is worth another file. */
const LEAST_BYTES = 256;
const dist = fileURLToPath(new URL("../dist/", import.meta.url));

const forms = {
  br: (bytes) =>
    brotliCompressSync(bytes, {
      params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length },
    }),
  gz: (bytes) => gzipSync(bytes, { level: 9 }),
};

const names = readdirSync(dist, { recursive: true }).filter((name) => COMPRESSIBLE.test(name));
for (const path of names.map((name) => join(dist, name))) {
  const bytes = readFileSync(path);
  if (bytes.length < LEAST_BYTES) continue;
  for (const [suffix, compress] of Object.entries(forms)) {
    const smaller = compress(bytes);
    if (smaller.length < bytes.length) writeFileSync(`${path}.${suffix}`, smaller);
  }
}
