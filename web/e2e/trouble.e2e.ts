import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { accessible, chooseLanguage, editorReady, launch, openPage, output, ownFaults, run, screenshot, setCode } from "./browser";
import { createKey, dataDirectory, inSuccession, revokeKey, startService } from "./service";

let browser: Browser;
beforeAll(async () => {
  browser = await launch();
});
afterAll(() => browser.close());

test("a service that wants a key asks for it, and goes on", async () => {
  const data = dataDirectory();
  const key = createKey(data.path);
  const service = await startService({ data: data.path });
  try {
    const { page, faults, close } = await openPage(browser, service.url);
    await page.getByText("A key is needed", { exact: true }).waitFor();
    await screenshot(page, "trouble-key");
    await page.getByLabel("API key").fill(key);
    await page.getByRole("button", { name: "Use key" }).click();
    await editorReady(page);
    await page.getByText("A key is needed", { exact: true }).waitFor({ state: "detached" });
    expect(await run(page)).toBe("ok");
    // Live, by the protocol that carries the key; and for this tab only.
    expect(await page.getByText("Live output is not available").count()).toBe(0);
    expect(await page.evaluate(() => [sessionStorage.length, JSON.stringify(localStorage).includes("brig_")])).toEqual([1, false]);
    expect(ownFaults(faults)).toEqual([]);
    await close();
  } finally {
    await service.stop();
    data.remove();
  }
});

test("a key that is revoked while the page is open is asked for again, on every page", async () => {
  const data = dataDirectory();
  const [first, second] = [createKey(data.path), createKey(data.path, "run,judge,read")];
  const service = await startService({ data: data.path });
  try {
    const { page, faults, close } = await openPage(browser, service.url);
    const use = async (key: string): Promise<void> => {
      await page.getByLabel("API key").last().fill(key);
      await page.getByRole("button", { name: "Use key" }).last().click();
    };
    await use(first);
    await editorReady(page);
    expect(await run(page)).toBe("ok");
    revokeKey(data.path, first);
    const refused = async (): Promise<number> => (await fetch(`${service.url}/v1/languages`, { headers: { Authorization: `Bearer ${first}` } })).status;
    await expect.poll(refused, { timeout: 20_000 }).toBe(401);
    await page.locator(".run.primary").click();
    await page.locator(".verdict .trouble", { hasText: "A key is needed" }).waitFor();
    await accessible(page);
    await use(second);
    await page.locator("[data-status=ok]").waitFor();

    await page.evaluate(() => sessionStorage.clear());
    await page.goto(`${service.url}/status`);
    await page.locator(".headline-words", { hasText: "A key is needed" }).waitFor();
    await screenshot(page, "trouble-key-status");
    await use(second);
    await page.locator(".headline-words", { hasText: "Running programs" }).waitFor();
    expect(ownFaults(faults)).toEqual([]);
    await close();
  } finally {
    await service.stop();
    data.remove();
  }
});

test("a service that goes away and comes back: runs wait for it, a cut-off one is said", async () => {
  await inSuccession({}, async (services) => {
    const { page, faults, close } = await openPage(browser, services.current.url);
    await editorReady(page);
    await chooseLanguage(page, "python");
    await setCode(page, "import time\nprint('begun', flush=True)\ntime.sleep(5)\nprint('done')");
    await page.locator(".run.primary").click();
    await page.getByTestId("output").getByText("begun").waitFor();
    await services.current.kill();
    await page.getByText("The run was cut off", { exact: true }).waitFor();
    expect(await output(page)).toContain("begun");
    await page.getByText("Waiting for the service").waitFor();
    await screenshot(page, "trouble-cut-off");

    await setCode(page, "print('after all')");
    await page.locator(".run.primary").click();
    await page.getByText("The service cannot be reached", { exact: true }).waitFor();
    await page.getByText(/Next try in \d+ s/).waitFor();
    await screenshot(page, "trouble-offline");
    await services.next();
    await page.locator("[data-status=ok]").waitFor({ timeout: 60_000 });
    expect(await output(page)).toContain("after all");
    expect(ownFaults(faults)).toEqual([]);
    await close();
  });
});

test("a full queue is waited for", async () => {
  const service = await startService({ args: ["--workers", "1", "--queue", "1", "--languages", "python"] });
  try {
    const { page, faults, close } = await openPage(browser, service.url);
    await editorReady(page);
    await chooseLanguage(page, "python");
    await setCode(page, "print('my turn')");
    const body = JSON.stringify({ language: "python", source: "import time\ntime.sleep(20)", limits: { wall_time_ms: 30_000 } });
    const stop = new AbortController();
    const others = [1, 2].map(() =>
      fetch(`${service.url}/v1/runs`, { method: "POST", headers: { "Content-Type": "application/json" }, body, signal: stop.signal }).catch(() => null),
    );
    await expect
      .poll(async () => ((await (await fetch(`${service.url}/v1/info`)).json()) as { queue: { depth: number } }).queue.depth, { timeout: 20_000 })
      .toBe(1);
    await page.locator(".run.primary").click();
    await page.getByText("The service is busy", { exact: true }).waitFor();
    await page.getByText(/Next try in \d+ s/).waitFor();
    await screenshot(page, "trouble-busy");
    stop.abort();
    await Promise.all(others);
    await page.locator("[data-status=ok]").waitFor({ timeout: 60_000 });
    expect(await output(page)).toContain("my turn");
    expect(ownFaults(faults)).toEqual([]);
    await close();
  } finally {
    await service.stop();
  }
});

test("without WebSockets the output comes at the end, and a terminal is refused in words", async () => {
  const service = await startService();
  try {
    const { page, context, faults, close } = await openPage(browser, service.url);
    await context.addInitScript(() => Reflect.deleteProperty(window, "WebSocket"));
    await page.reload();
    await editorReady(page);
    await chooseLanguage(page, "python");
    await setCode(page, "print('all the same')");
    expect(await run(page)).toBe("ok");
    expect(await output(page)).toContain("all the same");
    await page.getByText("Live output is not available here").waitFor();
    await page.getByText("Live terminal").click();
    await page.locator(".run.primary").click();
    await page.getByText("No live terminal", { exact: true }).waitFor();
    expect(faults).toEqual([]);
    await close();
  } finally {
    await service.stop();
  }
});
