/** Services that end, connections that break: what the page says, and how it goes on. */

import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { accessible, chooseLanguage, editorReady, launch, openPage, output, ownFaults, screenshot, setCode, verdict, type Watched } from "./browser";
import { startProxy } from "./proxy";
import { inSuccession, startService, type Service } from "./service";

let browser: Browser;
beforeAll(async () => {
  browser = await launch();
});
afterAll(() => browser.close());

/** Begins, and never ends by itself. */
const ENDLESS = "import signal\nprint('begun', flush=True)\nsignal.pause()\n";
const BACK_MS = 90_000;

async function open(url: string, program: string): Promise<Watched> {
  const watched = await openPage(browser, url);
  await editorReady(watched.page);
  await chooseLanguage(watched.page, "python");
  await setCode(watched.page, program);
  return watched;
}

const start = (page: Page): Promise<void> => page.locator(".run.primary").click();

async function startEndless(page: Page): Promise<void> {
  await start(page);
  await page.getByTestId("output").getByText("begun").waitFor();
}

/** Waits until the service takes no runs any more. */
const draining = (service: Service): Promise<void> =>
  expect.poll(() => fetch(`${service.url}/readyz`).then(({ status }) => status), { timeout: 20_000 }).toBe(503);

/** The page of a run that was cut off, until the service is there again; what was written stays. */
async function toldAndBack(page: Page, restart: () => Promise<void>): Promise<void> {
  await page.getByText("The run was cut off", { exact: true }).waitFor();
  expect(await output(page)).toContain("begun");
  await restart();
  await page.getByText("The service answers again.").first().waitFor({ timeout: BACK_MS });
  expect(await output(page)).toContain("begun");
  await page.getByRole("button", { name: "Run again" }).click();
  await page.getByText("The run was cut off", { exact: true }).waitFor({ state: "detached" });
  await page.getByTestId("output").getByText("begun").waitFor();
  await page.getByRole("button", { name: "Stop" }).click();
  expect(await verdict(page)).toBe("cancelled");
}

test("a service that drains lets a run end; others are told, and wait for its successor", async () => {
  await inSuccession({}, async (services) => {
    const first = await open(services.current.url, "print('name?', flush=True)\nprint('hello,', input())\n");
    const { page } = first;
    await page.getByText("Live terminal").click();
    await page.locator(".xterm-screen").waitFor();
    const shows = (text: string): Promise<unknown> =>
      page.waitForFunction((wanted) => (document.querySelector(".xterm-rows")?.textContent ?? "").replaceAll("\u00a0", " ").includes(wanted), text);
    const second = await open(services.current.url, "print('in the end')");
    await start(page);
    await shows("name?");
    const stopped = services.current.stop();
    await draining(services.current);

    await start(second.page);
    await second.page.getByText("The service is restarting", { exact: true }).waitFor();
    await second.page.locator(".trouble", { hasText: "It takes no new runs just now. The run is tried again by itself." }).waitFor();
    await second.page.getByText(/Next try in \d+ s/).waitFor();
    await accessible(second.page);
    await screenshot(second.page, "lost-draining");

    await page.locator(".xterm-helper-textarea").focus();
    await page.keyboard.type("Ada\n");
    await shows("hello, Ada");
    expect(await verdict(page)).toBe("ok");
    await stopped;

    await services.next();
    await second.page.locator("[data-status=ok]").waitFor({ timeout: BACK_MS });
    expect(await output(second.page)).toContain("in the end");
    for (const { faults, close } of [first, second]) {
      expect(ownFaults(faults)).toEqual([]);
      await close();
    }
  });
});

test("a drain that a run outlives cuts it off, in words", async () => {
  const config = "[http]\ndrain_timeout_ms = 100\n";
  await inSuccession({ config }, async (services) => {
    const { page, faults, close } = await open(services.current.url, ENDLESS);
    await startEndless(page);
    await services.current.stop();
    await page.locator(".trouble", { hasText: "The service ended before the run did." }).waitFor();
    await screenshot(page, "lost-drained");
    await toldAndBack(page, () => services.next());
    expect(ownFaults(faults)).toEqual([]);
    await close();
  });
});

test("a run that still waits for its place when the service drains is put off, and runs by itself", async () => {
  await inSuccession({ args: ["--workers", "1"], config: "[http]\ndrain_timeout_ms = 100\n" }, async (services) => {
    const { page, faults, close } = await open(services.current.url, "print('in the end')");
    const body = JSON.stringify({ language: "python", source: "import signal\nsignal.pause()", limits: { wall_time_ms: 60_000 } });
    const other = fetch(`${services.current.url}/v1/runs`, { method: "POST", headers: { "Content-Type": "application/json" }, body }).catch(() => null);
    const running = async (): Promise<number> => ((await (await fetch(`${services.current.url}/v1/stats`)).json()) as { workers: { running: number } }).workers.running;
    await expect.poll(running, { timeout: 20_000 }).toBe(1);
    await start(page);
    await page.locator(".verdict-title", { hasText: "Waiting for a place" }).waitFor();
    await services.current.stop();
    await other;
    // Either it heard the last words, or it asked again since.
    await page.getByText(/The service (is restarting|cannot be reached)/).first().waitFor();
    await page.getByText(/Next try in \d+ s/).waitFor();
    await services.next();
    await page.locator("[data-status=ok]").waitFor({ timeout: BACK_MS });
    expect(await output(page)).toContain("in the end");
    expect(ownFaults(faults)).toEqual([]);
    await close();
  });
});

test("a connection that breaks, one that falls silent, and a proxy with nobody behind it", async () => {
  await inSuccession({}, async (services) => {
    const proxy = await startProxy(services.current.url);
    try {
      const { page, faults, close } = await open(proxy.url, ENDLESS);
      await startEndless(page);
      proxy.cut();
      await toldAndBack(page, () => Promise.resolve());

      await startEndless(page);
      proxy.silence();
      await page.getByText("The run was cut off", { exact: true }).waitFor({ timeout: 60_000 });
      await page.getByText("Waiting for the service").first().waitFor();
      await toldAndBack(page, () => {
        proxy.speak();
        proxy.cut();
        return Promise.resolve();
      });

      await services.current.stop();
      await setCode(page, "print('after all')");
      await start(page);
      await page.getByText("The service cannot be reached", { exact: true }).waitFor();
      await services.next();
      await page.locator("[data-status=ok]").waitFor({ timeout: BACK_MS });
      expect(await output(page)).toContain("after all");
      expect(ownFaults(faults)).toEqual([]);
      await close();
    } finally {
      await proxy.close();
    }
  });
});

test("a page that comes before the service asks until there is one", async () => {
  const service = await startService();
  const proxy = await startProxy(service.url);
  try {
    const { page, context, faults, close } = await openPage(browser, `${proxy.url}/status`);
    await context.route("**/v1/languages", (route) => route.abort());
    await page.goto(proxy.url);
    await page.getByText("The service cannot be reached", { exact: true }).waitFor();
    await page.locator(".trouble", { hasText: "The page asks again by itself" }).waitFor();
    await screenshot(page, "lost-at-load");
    await context.unroute("**/v1/languages");
    await editorReady(page);
    await page.getByText("The service cannot be reached", { exact: true }).waitFor({ state: "detached" });
    expect(ownFaults(faults)).toEqual([]);
    await close();
  } finally {
    await proxy.close();
    await service.stop();
  }
});

test("judging goes on after a crash, and the page hears of it", async () => {
  await inSuccession({}, async (services) => {
    const proxy = await startProxy(services.current.url);
    try {
      const { page, faults, close } = await open(proxy.url, "import time\ntime.sleep(1)\nprint(input())\n");
      await page.getByRole("tab", { name: "Judge" }).click();
      await page.getByRole("button", { name: "Paste samples" }).click();
      const samples = [1, 2, 3, 4].map((number) => `Input\n${number}\nOutput\n${number}\n`);
      await page.getByLabel("Samples, each with its headings").fill(samples.join(""));
      await page.getByRole("button", { name: "Add 4 samples" }).click();
      await page.getByRole("button", { name: "Judge against 4 tests" }).click();
      await page.locator("tr[data-verdict=accepted]").first().waitFor();
      proxy.cut();
      await page.getByText("Connecting again", { exact: true }).waitFor();
      await services.current.kill();
      await services.next();
      await page.locator("[data-verdict=accepted].judge-outcome").waitFor({ timeout: BACK_MS });
      expect(await page.locator("tr[data-verdict=accepted]").count()).toBe(4);
      expect(ownFaults(faults)).toEqual([]);
      await close();
    } finally {
      await proxy.close();
    }
  });
});
