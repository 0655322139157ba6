import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { chooseLanguage, editorReady, launch, openPage, setCode, verdict, type Watched } from "./browser";

let browser: Browser;
let watched: Watched;
let page: Page;
beforeAll(async () => {
  browser = await launch();
  watched = await openPage(browser, inject("url"));
  page = watched.page;
  await editorReady(page);
  await chooseLanguage(page, "python");
  await page.getByText("Live terminal").click();
  await page.locator(".xterm-screen").waitFor();
});
afterAll(async () => {
  expect(watched.faults).toEqual([]);
  await browser.close();
});

const seen = (text: string): Promise<unknown> =>
  page.waitForFunction((wanted) => (document.querySelector(".xterm-rows")?.textContent ?? "").replaceAll("\u00a0", " ").includes(wanted), text);

async function begin(text: string): Promise<void> {
  await setCode(page, text);
  await page.locator(".run.primary").click();
}

test("a program is typed to while it runs", async () => {
  await begin("import sys\nprint('terminal', sys.stdout.isatty())\nname = input('name? ')\nprint('hello,', name)\n");
  await seen("terminal True");
  await seen("name? ");
  await page.keyboard.type("Ada");
  await page.keyboard.press("Enter");
  await seen("hello, Ada");
  expect(await verdict(page)).toBe("ok");
});

test("each line is there before the program writes the next: it waits for an answer to each", async () => {
  await begin("for number in range(5):\n    print('line', number, flush=True)\n    assert input() == f'seen {number}'\nprint('the end')\n");
  for (let number = 0; number < 5; number += 1) {
    await seen(`line ${number}`);
    await page.keyboard.type(`seen ${number}\n`);
  }
  await seen("the end");
  expect(await verdict(page)).toBe("ok");
});

test("Ctrl+C interrupts it, Ctrl+D ends its input", async () => {
  await begin("import time\nprint('waiting')\nwhile True: time.sleep(0.1)\n");
  await seen("waiting");
  await page.keyboard.press("Control+c");
  await seen("KeyboardInterrupt");
  expect(await verdict(page)).toBe("runtime_error");
  await begin("import sys\nprint('read:', len(sys.stdin.read()))\n");
  await page.keyboard.type("abc\n");
  await page.keyboard.press("Control+d");
  await seen("read: 4");
  expect(await verdict(page)).toBe("ok");
});

test("it knows the terminal's size, and hears of a new one", async () => {
  await begin(
    "import os, signal, time\ndef changed(*_): print('now', os.get_terminal_size().columns, flush=True)\nsignal.signal(signal.SIGWINCH, changed)\nprint('size', os.get_terminal_size().columns, flush=True)\nwhile True: time.sleep(0.1)\n",
  );
  await seen("size ");
  await page.setViewportSize({ width: 1000, height: 700 });
  // The height may change first, when the verdict takes its place above.
  await page.waitForFunction(() => {
    const text = (document.querySelector(".xterm-rows")?.textContent ?? "").replaceAll("\u00a0", " ");
    const [, before] = /size (\d+)/.exec(text) ?? [];
    return [...text.matchAll(/now (\d+)/g)].some(([, after]) => Number(after) < Number(before));
  });
  await page.getByRole("button", { name: "Stop" }).click();
  expect(await verdict(page)).toBe("cancelled");
  await page.setViewportSize({ width: 1280, height: 800 });
});

test("every way of colouring is within the page's policy", async () => {
  await begin(String.raw`print('\x1b[38;2;255;100;0mtrue\x1b[0m \x1b[48;5;200mpalette\x1b[0m \x1b[4:3;58;2;255;0;0mcurly\x1b[0m done')`);
  await seen("true palette curly done");
  expect(await verdict(page)).toBe("ok");
  // Found and looked at in one go: rows are drawn anew at any time, and what was drawn before has no style.
  const colour = await page.locator(".xterm-rows").evaluate((rows) => {
    const word = [...rows.querySelectorAll("span")].find(({ textContent }) => textContent === "true");
    return word === undefined ? "" : getComputedStyle(word).color;
  });
  // Darkened until it can be read on white, and still of its hue.
  const [red = 0, green = 0, blue = 0] = (colour.match(/\d+/g) ?? []).map(Number);
  expect(red).toBeGreaterThan(green + 60);
  expect(green).toBeGreaterThan(blue);
});

test("Shift+Tab leaves the terminal", async () => {
  await page.locator(".xterm-helper-textarea").focus();
  await page.keyboard.press("Shift+Tab");
  expect(await page.evaluate(() => document.activeElement?.closest(".xterm"))).toBeNull();
});
