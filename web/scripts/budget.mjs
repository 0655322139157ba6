// Fails when a page needs more than its budget before the first language pack: the compressed size
// of its HTML, style and every script it imports statically, as a browser fetches them.
import { readFileSync, readdirSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const BUDGET_BYTES = 300_000;
const dist = fileURLToPath(new URL("../dist/", import.meta.url));

/** What a file loads at once: not what it imports later. */
function loads(path, text) {
  const found = path.endsWith(".html")
    ? [...text.matchAll(/(?:src|href)="\/?([^":]+\.(?:js|css|svg|woff2))"/g)].map((match) => match[1])
    : [...text.matchAll(/(?:^|[;}\s])(?:import|export)\b[^"'`()]*?["'](\.{1,2}\/[^"']+)["']/g)].map((match) =>
        normalize(join(dirname(path), match[1])),
      );
  return path.endsWith(".css") ? [] : found;
}

function needed(page) {
  const seen = new Map();
  const waiting = [page];
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    if (seen.has(path)) continue;
    const bytes = readFileSync(join(dist, path));
    seen.set(path, gzipSync(bytes, { level: 9 }).length);
    if (/\.(html|js|css)$/.test(path)) waiting.push(...loads(path, bytes.toString("utf8")));
  }
  return seen;
}

let failed = false;
for (const page of readdirSync(dist).filter((name) => name.endsWith(".html"))) {
  const files = needed(page);
  const total = [...files.values()].reduce((sum, bytes) => sum + bytes, 0);
  const kb = (bytes) => `${(bytes / 1000).toFixed(1)} kB`;
  console.log(`${page}: ${kb(total)} compressed in ${files.size} files, of ${kb(BUDGET_BYTES)} allowed`);
  if (total > BUDGET_BYTES) {
    failed = true;
    for (const [path, bytes] of [...files].sort((a, b) => b[1] - a[1])) console.error(`  ${kb(bytes)} ${path}`);
  }
}
if (failed) process.exit(1);
