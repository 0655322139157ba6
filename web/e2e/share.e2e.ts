import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { chooseLanguage, editorReady, launch, openPage, output, run, setCode, type Watched } from "./browser";

let browser: Browser;
const url = inject("url");
beforeAll(async () => {
  browser = await launch();
});
afterAll(() => browser.close());

async function prepared(): Promise<Watched> {
  const watched = await openPage(browser, url);
  const { page } = watched;
  await editorReady(page);
  await chooseLanguage(page, "python");
  await setCode(page, "import sys\nprint('shared', input(), sys.argv[1:])\n");
  await page.getByLabel("Standard input").fill("some input\n");
  await page.getByRole("tab", { name: /Options/ }).click();
  await page.getByLabel("Arguments").fill("a 'b c'");
  await page.getByLabel("CPU time (ms)").fill("1500");
  await page.getByRole("button", { name: "Share" }).click();
  return watched;
}

/** Opens a link in a browser that has seen nothing, and checks that all of the work is there. */
async function opens(link: string): Promise<void> {
  const { page, faults, close } = await openPage(browser, link);
  await editorReady(page);
  await page.getByText("shared").waitFor();
  await page.getByRole("tab", { name: /Options/ }).click();
  expect(await page.getByLabel("CPU time (ms)").inputValue()).toBe("1500");
  expect(await run(page)).toBe("ok");
  expect(await output(page)).toContain("shared some input ['a', 'b c']");
  expect(faults).toEqual([]);
  await close();
}

test("a short link, kept by the service", async () => {
  const { page, faults, close } = await prepared();
  await page.getByRole("button", { name: "Make a short link" }).click();
  const link = await page.getByLabel("Short link").inputValue();
  expect(link).toMatch(/\/s\/\w+$/);
  await page.getByText(/^Kept until /).waitFor();
  expect(faults).toEqual([]);
  await close();
  await opens(link);
});

test("a link with everything in it, which no server sees", async () => {
  const { page, faults, close } = await prepared();
  const link = await page.getByLabel("Link with everything in it").inputValue();
  expect(new URL(link).hash).toMatch(/^#w1=/);
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "hidden" });
  expect(faults).toEqual([]);
  await close();
  await opens(link);
});

test("looking at a link does not cost one's own work; changing it makes it one's own", async () => {
  const { page: source, close: closeSource } = await prepared();
  const link = await source.getByLabel("Link with everything in it").inputValue();
  await closeSource();
  const { page, close } = await openPage(browser, url);
  await editorReady(page);
  await chooseLanguage(page, "python");
  await setCode(page, "print('mine')");
  await page.reload();
  await page.getByText("mine").waitFor();
  await page.goto(link);
  await page.reload(); // a fragment alone loads nothing anew
  await page.getByText("shared").waitFor();
  await page.goto(url);
  await page.getByText("mine").waitFor();
  await close();
});

test("a link that leads nowhere is said, and the page can be used", async () => {
  const { page, close } = await openPage(browser, `${url}/s/aaaaaaaaaaaaaaaaaaaa`);
  await page.getByText("The shared work is gone").waitFor();
  await editorReady(page);
  await close();
  const broken = await openPage(browser, `${url}/#w1=AAAA`);
  await broken.page.getByText("The shared work could not be opened").waitFor();
  await editorReady(broken.page);
  await broken.close();
});
