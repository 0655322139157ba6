/** What pages weigh, as they come over the wire, and how soon they can be used. */

import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { editorReady, launch, openPage } from "./browser";

let browser: Browser;
beforeAll(async () => {
  browser = await launch();
});
afterAll(() => browser.close());

const BUDGET_BYTES = 300_000;
/** Smaller files are not worth compressing. */
const SMALL_BYTES = 1_000;

interface Loaded {
  name: string;
  encoding: string;
  bytes: number;
}

/** Everything that `path` loads until `ready`, headers included; the service's answers are not counted. */
async function load(path: string, ready: string): Promise<Loaded[]> {
  const { page, context, close } = await openPage(browser, "about:blank");
  const wire = await context.newCDPSession(page);
  const loaded = new Map<string, Loaded>();
  wire.on("Network.responseReceived", ({ requestId, response }) => {
    const { pathname } = new URL(response.url);
    if (!pathname.startsWith("/v1/")) loaded.set(requestId, { name: pathname, encoding: response.headers["content-encoding"] ?? "", bytes: 0 });
  });
  wire.on("Network.loadingFinished", ({ requestId, encodedDataLength }) => {
    const found = loaded.get(requestId);
    if (found !== undefined) found.bytes = encodedDataLength;
  });
  await wire.send("Network.enable");
  await wire.send("Network.setCacheDisabled", { cacheDisabled: true });
  await page.goto(inject("url") + path);
  await page.locator(ready).first().waitFor();
  // Whatever else was begun by then.
  await page.waitForLoadState("networkidle");
  await close();
  return [...loaded.values()];
}

// With its first language: that has to be there as well before the text has its colours.
test.each([
  ["/", ".cm-line span[class*='ͼ']"],
  ["/embed", ".cm-line span[class*='ͼ']"],
  ["/status", ".plot canvas"],
])("%s, its first language included, stays within its budget, and comes compressed", async (path, ready) => {
  const loaded = await load(path, ready);
  const total = loaded.reduce((sum, { bytes }) => sum + bytes, 0);
  console.log(`${path}: ${(total / 1000).toFixed(1)} kB on the wire in ${loaded.length} files`);
  for (const { name, encoding, bytes } of loaded) console.log(`  ${(bytes / 1000).toFixed(1)} kB ${encoding || "plain"} ${name}`);
  expect(loaded.length).toBeGreaterThan(3);
  expect(loaded.filter(({ name, encoding, bytes }) => name.startsWith("/assets/") && bytes > SMALL_BYTES && encoding === "")).toEqual([]);
  expect(total).toBeLessThan(BUDGET_BYTES);
});

test("interactive within a second", async () => {
  const { page, close } = await openPage(browser, inject("url"));
  await editorReady(page);
  // Once more, as a visitor who has been here: what counts is the page, not the machine's first start of it.
  const began = Date.now();
  await page.reload();
  await editorReady(page);
  console.log(`interactive after ${Date.now() - began} ms`);
  await close();
});
