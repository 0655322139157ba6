import { readFileSync } from "node:fs";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { chooseLanguage, editorReady, launch, openPage, output, run, screenshot, setCode, verdict, type Watched } from "./browser";

let browser: Browser;
let watched: Watched;
let page: Page;
beforeAll(async () => {
  browser = await launch();
  watched = await openPage(browser, inject("url"));
  page = watched.page;
  await editorReady(page);
});
afterAll(async () => {
  expect(watched.faults).toEqual([]);
  await browser.close();
});

async function program(language: string, text: string): Promise<void> {
  await page.getByRole("tab", { name: "Output" }).click();
  await chooseLanguage(page, language);
  await setCode(page, text);
}

async function option(name: string, value: string): Promise<void> {
  await page.getByRole("tab", { name: /Options/ }).click();
  await page.getByLabel(name).fill(value);
}

test("output is there while the program still runs, and Stop ends it", async () => {
  // It cannot end by itself: what is seen is seen before its end.
  await program("python", "import signal\nprint('early', flush=True)\nsignal.pause()\nprint('late')\n");
  await option("Wall time", "60000");
  await page.locator(".run.primary").click();
  await page.getByTestId("output").getByText("early").waitFor();
  await page.locator(".verdict-title", { hasText: "Running" }).waitFor();
  expect(await page.locator("[data-status]").count()).toBe(0);
  await page.getByRole("button", { name: "Stop" }).click();
  expect(await verdict(page)).toBe("cancelled");
  expect((await output(page)).trim()).toBe("early");
  await option("Wall time", "");
});

test("input, arguments, environment and both streams", async () => {
  await program("python", "import os, sys\nprint(input(), sys.argv[1:], os.environ['WORD'])\nprint('to stderr', file=sys.stderr)\n");
  await page.getByRole("tab", { name: "Input" }).click();
  await page.getByLabel("Standard input").fill("first line\n");
  await option("Arguments", `one "two words"`);
  await option("Environment", "WORD=hi there");
  expect(await run(page)).toBe("ok");
  const text = await output(page);
  expect(text).toContain("first line ['one', 'two words'] hi there");
  expect(text).toContain("to stderr");
  expect(await page.locator(".stderr").innerText()).toContain("to stderr");
  await option("Arguments", "");
  await option("Environment", "");
});

test("limits know their maxima, and what is wrong keeps a run from starting", async () => {
  await program("python", "print(1)");
  await option("Memory (MiB)", "99999999");
  await page.getByText(/Memory may be at most \d+ MiB here/).waitFor();
  await page.locator(".run.primary").click();
  await page.locator("[role=status]", { hasText: "was not run" }).first().waitFor();
  await option("Memory (MiB)", "fast");
  await page.getByText("Memory must be a number of MiB").waitFor();
  await option("Memory (MiB)", "");
  expect(await run(page)).toBe("ok");
});

test("a time limit is explained, and use is drawn against limits", async () => {
  await program("python", "import time\nend = time.time() + 30\nx = []\nwhile time.time() < end: x.append(' ' * 1000)\n");
  await option("CPU time (ms)", "900");
  expect(await run(page)).toBe("time_limit_exceeded");
  await page.getByText(/Killed after .* of CPU time, limit 900 ms/).first().waitFor();
  await page.locator("figure.phases[aria-label*='running']").waitFor();
  await page.getByRole("tab", { name: "Cost" }).click();
  await page.getByRole("row", { name: /CPU time .* of 900 ms/ }).waitFor();
  await page.getByRole("row", { name: /Minor page faults/ }).waitFor();
  await page.locator(".chart canvas").first().waitFor();
  expect(await page.locator(".chart canvas").count()).toBeGreaterThan(0);
  await page.waitForTimeout(150); // the chart draws in the next frame
  await screenshot(page, "run-time-limit-cost");
  await option("CPU time (ms)", "");
  await page.getByRole("tab", { name: "Output" }).click();
});

test.each([
  ["c", "int main(void) {\n  return y;\n}\n", 2],
  ["cpp", "int main() {\n\n  foo();\n}\n", 3],
  ["python", "x = 1\n\nraise ValueError('bad')\n", 3],
  ["javascript", "let a = 1;\nnull.x;\n", 2],
])("an error in %s leads to its line", async (language, text, line) => {
  await program(language, text);
  expect(["compile_error", "runtime_error"]).toContain(await run(page));
  await page.getByRole("button", { name: /^Go to / }).click();
  await page.locator(".cm-lineNumbers .cm-activeLineGutter", { hasText: new RegExp(`^${line}$`) }).waitFor();
  await page.locator(".cm-lint-marker-error").first().waitFor();
  // The words themselves lead there too.
  await page.locator(".place").first().click();
});

test("bytes that are no text are shown as such", async () => {
  await program("python", "import sys\nsys.stdout.buffer.write(bytes(range(256)) * 4)\n");
  expect(await run(page)).toBe("ok");
  await page.getByText("00000010  10 11 12 13").waitFor();
  const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: /Download stdout/ }).click()]);
  expect(readFileSync(await download.path()).length).toBe(1024);
});

const PNG = `
import zlib, struct, os
def chunk(kind, data):
    body = kind + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))
rows = b"".join(b"\\0" + bytes((x * 4, y * 4, 128) [i] for x in range(64) for i in range(3)) for y in range(64))
png = b"\\x89PNG\\r\\n\\x1a\\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 64, 64, 8, 2, 0, 0, 0)) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
os.makedirs("out")
open("out/a.png", "wb").write(png)
open("out/b.svg", "w").write('<svg xmlns="http://www.w3.org/2000/svg" width="40" height="40"><circle r="20" cx="20" cy="20"/></svg>')
open("out/c.txt", "w").write("some text")
open("out/d.bin", "wb").write(bytes(range(32)))
`;

test("files that the program leaves are shown as what they are", async () => {
  await program("python", PNG);
  await option("Files to bring back", "out/*");
  expect(await run(page)).toBe("ok");
  await page.getByRole("tab", { name: /Files/ }).click();
  for (const name of ["out/a.png", "out/b.svg"]) {
    const image = page.getByAltText(`${name}, as the program wrote it`);
    await image.waitFor();
    await page.waitForFunction((alt) => (document.querySelector<HTMLImageElement>(`img[alt="${alt}"]`)?.naturalWidth ?? 0) > 0, `${name}, as the program wrote it`);
  }
  await page.getByText("some text", { exact: true }).waitFor();
  await page.getByText("00000000  00 01 02").waitFor();
  await screenshot(page, "run-files");
  await option("Files to bring back", "");
  await page.getByRole("tab", { name: "Output" }).click();
});

test("five megabytes of output do not freeze the page, and can be saved whole", async () => {
  await program("python", "import sys\nfor i in range(100_000): sys.stdout.write(f'{i:08d} ' + 'x' * 43 + '\\n')\n");
  await option("Output (KiB)", "8192");
  // The longest time between two frames while all of it comes.
  await page.evaluate(() => {
    const state = window as unknown as { longest: number };
    state.longest = 0;
    let before = performance.now();
    const frame = (now: number): void => {
      state.longest = Math.max(state.longest, now - before);
      before = now;
      requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
  });
  expect(await run(page)).toBe("ok");
  const region = page.getByRole("region", { name: "Output" });
  // The view stayed at the end while more came.
  await region.getByText("00099999 xxx").waitFor();
  expect(await page.locator(".virtual-row").count()).toBeLessThan(500);
  await region.focus();
  await page.keyboard.press("Home");
  await region.getByText("00000000 xxx").waitFor();
  const longest = await page.evaluate(() => (window as unknown as { longest: number }).longest);
  console.log(`longest time between two frames during 5 MB of output: ${longest.toFixed(0)} ms`);
  const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: /Download stdout/ }).click()]);
  expect(readFileSync(await download.path()).length).toBe(100_000 * 53);
  await option("Output (KiB)", "");
});

test("one line of a megabyte is no trouble either", async () => {
  await program("python", "print('y' * 900_000)");
  expect(await run(page)).toBe("ok");
  await page.getByRole("region", { name: "Output" }).getByText("yyyy").first().waitFor();
});
