import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { accessible, launch, openPage, screenshot, PATIENCE_MS } from "./browser";
import { startService, type Service } from "./service";

let browser: Browser;
let service: Service;
let host: Server;
let course: string;

/** A course page: it notes what the frame says, and offers the test a way to speak to it. */
const PAGE = (frame: string): string => `<!doctype html><html lang="en"><title>Course</title><body>
<iframe src="${frame}/embed" title="Program" width="100%" height="420"></iframe>
<script>
  window.heard = [];
  const frame = document.querySelector("iframe");
  addEventListener("message", (event) => { if (event.source === frame.contentWindow) heard.push(event.data); });
  window.say = (message) => frame.contentWindow.postMessage({ brig: 1, ...message }, "${frame}");
</script></body></html>`;

beforeAll(async () => {
  browser = await launch();
  host = createServer((_, response) => {
    response.setHeader("Content-Type", "text/html");
    response.end(PAGE(service.url));
  });
  await new Promise<void>((resolve) => host.listen(0, "127.0.0.1", resolve));
  course = `http://localhost:${(host.address() as AddressInfo).port}`;
  service = await startService({ config: `[web]\nembed_ancestors = ["${course}"]\n` });
});
afterAll(async () => {
  await browser.close();
  await service.stop();
  host.close();
});

type Heard = { type: string; result?: { status: string; run: { stdout: string } }; program?: { files: { content: string }[] }; message?: string }[];

test("a page sets a program, runs it and hears what came of it", async () => {
  const { page, close } = await openPage(browser, course);
  const heard = (): Promise<Heard> => page.evaluate(() => (window as unknown as { heard: Heard }).heard);
  const say = (message: unknown): Promise<void> => page.evaluate((said) => (window as unknown as { say(message: unknown): void }).say(said), message);
  const hears = async (type: string): Promise<Heard[number]> => {
    await page.waitForFunction((wanted) => (window as unknown as { heard: Heard }).heard.some((message) => message.type === wanted), type, { timeout: PATIENCE_MS });
    const found = (await heard()).filter((message) => message.type === type).at(-1);
    if (found === undefined) throw new Error(type);
    return found;
  };
  await hears("ready");
  const program = { version: 1, language: "python", files: [{ path: "main.py", content: "print(6 * 7)" }] };
  await say({ type: "set", program });
  const frame = page.frameLocator("iframe");
  await frame.getByText("print(6 * 7)").waitFor();
  // Being shown is no reason to run.
  expect((await heard()).map(({ type }) => type)).toEqual(["ready"]);
  await say({ type: "run" });
  expect((await hears("finished")).result).toMatchObject({ status: "ok", run: { stdout: "42\n" } });
  await hears("started");
  await frame.locator(".cm-content").click();
  await page.keyboard.press("Control+a");
  await page.keyboard.insertText("print('by the visitor')");
  await frame.getByRole("button", { name: "Run" }).click();
  await page.waitForFunction(() => (window as unknown as { heard: Heard }).heard.filter(({ type }) => type === "finished").length === 2);
  expect((await hears("finished")).result?.run.stdout).toBe("by the visitor\n");
  await say({ type: "get" });
  expect((await hears("program")).program?.files[0]?.content).toBe("print('by the visitor')");
  await say({ type: "set", program: { version: 1, language: "klingon", files: program.files } });
  expect((await hears("refused")).message).toContain("no language named klingon");
  await screenshot(page, "embed-course");
  await close();
});

test("a message that is not from the page around is not listened to", async () => {
  const { page, close } = await openPage(browser, `${service.url}/embed`);
  await page.locator(".run:enabled").waitFor();
  await page.evaluate(() => window.postMessage({ brig: 1, type: "run" }, "*"));
  await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
  expect(await page.locator(".verdict").count()).toBe(0);
  await close();
});

test("a site that the operator did not name cannot show it", async () => {
  // The same page under another name is another site.
  const { page, close } = await openPage(browser, course.replace("localhost", "127.0.0.1"));
  await page.waitForFunction(() => window.frames.length === 1);
  const frame = page.frames().at(1);
  await expect.poll(() => frame?.url() ?? "", { timeout: PATIENCE_MS }).toMatch(/^chrome-error:/);
  await close();
});

test.each([
  ["light", 1280],
  ["dark", 1280],
  ["light", 390],
  ["dark", 390],
] as const)("the snippet from the Share box shows the program (%s, %d)", async (scheme, width) => {
  const { page, faults, close } = await openPage(browser, service.url, { scheme, width });
  await page.locator(".run:enabled").waitFor();
  await page.getByRole("button", { name: "Share" }).click();
  const snippet = await page.getByLabel("Snippet").inputValue();
  const address = /src="([^"]+)"/.exec(snippet)?.[1] ?? "";
  await page.goto(address);
  await page.locator(".run:enabled").click();
  await page.locator("[data-status=ok]").waitFor();
  await accessible(page);
  expect(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth)).toBe(true);
  await screenshot(page, `embed-${scheme}-${width}`);
  expect(faults).toEqual([]);
  await close();
});
