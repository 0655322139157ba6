import { fileURLToPath } from "node:url";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { PATIENCE_MS, accessible, editorReady, launch, openPage, run, screenshot } from "./browser";
import { freePort, startService, type Service } from "./service";

let browser: Browser;
let service: Service;
let port: number;
beforeAll(async () => {
  browser = await launch();
  port = await freePort();
  service = await startService({ port });
});
afterAll(async () => {
  await service.stop();
  await browser.close();
});

async function submit(source: string): Promise<void> {
  const body = JSON.stringify({ language: "python", source });
  const answer = await fetch(`${service.url}/v1/runs`, { method: "POST", headers: { "Content-Type": "application/json" }, body });
  expect(answer.status).toBe(200);
}

for (const [scheme, width] of [
  ["light", 1280],
  ["dark", 1280],
  ["light", 390],
  ["dark", 390],
] as const) {
  test(`what was run is shown (${scheme}, ${width})`, async () => {
    await submit("print(1)");
    await submit("raise SystemExit(1)");
    const { page, faults, close } = await openPage(browser, `${service.url}/status`, { scheme, width });
    await page.locator(".headline-words", { hasText: "Running programs" }).waitFor();
    await page.getByText(/All \d+ layers held|Not enforced/).waitFor();
    expect(await page.getByRole("region", { name: "Results of five minutes" }).innerText()).toMatch(/ok \d+[^]*runtime error \d+/);
    expect(await page.locator(".layer").count()).toBeGreaterThan(10);
    expect(await page.getByRole("row", { name: /Whole run/ }).innerText()).toMatch(/\d (µs|ms|s)/);
    await page.locator(".plot canvas").waitFor();
    expect(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth)).toBe(true);
    await accessible(page);
    await screenshot(page, `status-${scheme}-${width}`);
    expect(faults).toEqual([]);
    await close();
  });
}

test("a service with more to do than workers shows what waits, and what it gets done", async () => {
  const { page, faults, close } = await openPage(browser, `${service.url}/status`);
  let enough = false;
  const client = async (): Promise<void> => {
    while (!enough) await submit("for i in range(10 ** 6): pass");
  };
  const clients = Array.from({ length: 8 }, client);
  try {
    const waiting = page.getByRole("region", { name: "Waiting for a worker" });
    await expect.poll(() => waiting.innerText(), { timeout: PATIENCE_MS }).toMatch(/interactive\s+[1-9]/);
    const busy = page.getByRole("region", { name: "Workers busy" });
    await expect.poll(() => busy.innerText(), { timeout: PATIENCE_MS }).toMatch(/2\s+of 2/);
    const runs = page.getByRole("region", { name: "Runs a second" });
    await expect.poll(() => runs.innerText(), { timeout: PATIENCE_MS }).toMatch(/[1-9]/);
    await screenshot(page, "status-busy");
  } finally {
    enough = true;
    await Promise.all(clients);
  }
  expect(faults).toEqual([]);
  await close();
});

test.each(["light", "dark"] as const)("a layer that is missing is shown first, and every answer names it (%s)", async (scheme) => {
  const script = fileURLToPath(new URL("without-landlock.py", import.meta.url));
  const degraded = await startService({ args: ["--allow-degraded", "landlock"], through: ["python3", script] });
  try {
    const { page, faults, close } = await openPage(browser, `${degraded.url}/status`, { scheme });
    await page.getByText("Not enforced, as the operator allowed: landlock.").waitFor();
    const first = page.locator(".layer").first();
    expect(await first.getAttribute("class")).toContain("missing");
    expect(await first.innerText()).toMatch(/^✕\s*landlock\s+not enforced/);
    expect(await page.locator(".layer.missing").count()).toBe(1);
    await accessible(page);
    await first.scrollIntoViewIfNeeded();
    await screenshot(page, `status-degraded-${scheme}`);
    await page.goto(degraded.url);
    await editorReady(page);
    expect(await run(page)).toBe("ok");
    await page.getByText("This host does not enforce: landlock.").waitFor();
    expect(faults).toEqual([]);
    await close();
  } finally {
    await degraded.stop();
  }
});

test("a restart is survived", async () => {
  const { page, close } = await openPage(browser, `${service.url}/status`);
  await page.locator(".headline-words", { hasText: "Running programs" }).waitFor();
  await service.stop();
  await page.locator(".headline-words", { hasText: "cannot be reached" }).waitFor();
  await page.getByText(/The figures are those of/).waitFor();
  service = await startService({ port });
  await page.locator(".headline-words", { hasText: "Running programs" }).waitFor();
  await close();
});
