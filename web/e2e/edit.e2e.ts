import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { PATIENCE_MS, chooseLanguage, editorReady, launch, openPage, output, run, setCode } from "./browser";

let browser: Browser;
const url = inject("url");
beforeAll(async () => {
  browser = await launch();
});
afterAll(() => browser.close());

interface Language {
  id: string;
  available: boolean;
  example: string;
}

test("every language that can be used is highlighted, and begins with its example", async () => {
  const { page, faults, close } = await openPage(browser, url);
  await editorReady(page);
  const all = (await (await fetch(`${url}/v1/languages`)).json()) as Language[];
  const usable = all.filter(({ available, example }) => available && example !== "");
  expect(usable.length).toBeGreaterThan(5);
  for (const { id, example } of usable) {
    await chooseLanguage(page, id);
    // Coloured pieces are spans within lines; a plain text has none.
    await page.waitForFunction(() => document.querySelectorAll(".cm-line span[class*='ͼ']").length > 0, null, { timeout: PATIENCE_MS }).catch(() => {
      throw new Error(`${id} is not highlighted`);
    });
    const shown = await page.locator(".cm-content").innerText();
    expect(shown.replace(/\s+/g, ""), id).toContain(example.replace(/\s+/g, "").slice(0, 30));
  }
  expect(faults).toEqual([]);
  await close();
});

test("files: add, rename, remove, entry; all of them reach the program", async () => {
  const { page, faults, close } = await openPage(browser, url);
  await editorReady(page);
  await chooseLanguage(page, "python");
  await setCode(page, "import helper\nprint(helper.word)\nprint(open('data.txt').read())\n");
  await page.getByRole("button", { name: "Add file" }).click();
  await page.getByLabel("Name of the new file").fill("../evil");
  await page.getByText("A name has no empty parts").waitFor();
  await page.getByLabel("Name of the new file").fill("help.py");
  await page.keyboard.press("Enter");
  await setCode(page, "word = 'from another file'\n");
  // A click on the chosen file's tab renames it.
  await page.getByRole("button", { name: "help.py", exact: true }).click();
  await page.getByLabel("New name of help.py").fill("helper.py");
  await page.keyboard.press("Enter");
  await page.getByLabel("Files to upload").setInputFiles({ name: "data.txt", mimeType: "text/plain", buffer: Buffer.from("uploaded") });
  await page.getByRole("button", { name: "data.txt", exact: true }).waitFor();
  expect(await run(page)).toBe("ok");
  expect(await output(page)).toContain("from another file\nuploaded");

  await page.getByRole("button", { name: "helper.py", exact: true }).click();
  await setCode(page, "word = 'x'\nprint('helper began')\n");
  await page.getByRole("button", { name: "Make entry" }).click();
  expect(await run(page)).toBe("ok");
  expect((await output(page)).trim()).toBe("helper began");

  await page.getByRole("button", { name: "data.txt", exact: true }).click();
  await page.getByRole("button", { name: "Remove data.txt" }).click();
  await page.getByRole("button", { name: "data.txt", exact: true }).waitFor({ state: "detached" });
  expect(faults).toEqual([]);
  await close();
});

test("the last work in each language is there after a reload, and the example can be had again", async () => {
  const { page, faults, close } = await openPage(browser, url);
  await editorReady(page);
  await chooseLanguage(page, "python");
  await setCode(page, "print('kept work')");
  await chooseLanguage(page, "c");
  await setCode(page, "int main(void) { return 7; }");
  await chooseLanguage(page, "python");
  await page.getByText("kept work").waitFor();
  await chooseLanguage(page, "c");
  await page.reload();
  await editorReady(page);
  expect(await page.getByLabel("Language", { exact: true }).inputValue()).toBe("c");
  await page.getByText("return 7").waitFor();
  await page.getByRole("button", { name: "Example" }).click();
  await page.getByText("return 7").waitFor({ state: "detached" });
  expect(faults).toEqual([]);
  await close();
});
