import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { accessible, chooseLanguage, editorReady, launch, openPage, run, screenshot, setCode } from "./browser";

let browser: Browser;
beforeAll(async () => {
  browser = await launch();
});
afterAll(() => browser.close());

const PROGRAM = `#include <cstdio>
#include <vector>

// Counts the primes below a bound, noisily.
int main() {
    std::vector<bool> composite(3'000'000);
    int count = 0;
    for (std::size_t i = 2; i < composite.size(); ++i) {
        if (composite[i]) continue;
        if (++count % 40'000 == 0) std::printf("%6d primes up to %zu\\n", count, i);
        for (std::size_t j = i * i; j < composite.size(); j += i) composite[j] = true;
    }
    std::fprintf(stderr, "done\\n");
}
`;

/** Looks at the page as it is: accessible, and no wider than the screen. */
async function look(page: Page, name: string): Promise<void> {
  await screenshot(page, name);
  await accessible(page);
  const wider = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  expect(wider, `${name} is wider than the screen`).toBeLessThanOrEqual(0);
}

describe.each(["light", "dark"] as const)("%s", (scheme) => {
  test.each([1280, 390])("%i pixels wide", async (width) => {
    const { page, faults, close } = await openPage(browser, inject("url"), { scheme, width });
    const name = (state: string): string => `looks-${scheme}-${width}-${state}`;
    await editorReady(page);
    await look(page, name("first"));

    await chooseLanguage(page, "cpp");
    await setCode(page, PROGRAM);
    expect(await run(page)).toBe("ok");
    await look(page, name("ok"));
    await page.getByRole("tab", { name: "Cost" }).click();
    await page.getByRole("tab", { name: /Options/ }).click();
    await look(page, name("cost-options"));

    await setCode(page, PROGRAM.replace("count = 0", 'count = "none"'));
    await page.getByRole("tab", { name: "Output" }).click();
    expect(await run(page)).toBe("compile_error");
    await page.locator(".cm-lint-marker-error").first().waitFor();
    await look(page, name("compile-error"));

    await page.getByRole("button", { name: "Share" }).click();
    await page.getByLabel("Snippet").waitFor();
    await look(page, name("share"));
    await page.getByRole("button", { name: "Close" }).click();

    await page.getByRole("tab", { name: "Input" }).click();
    await page.getByText("Live terminal").click();
    await page.locator(".xterm-screen").waitFor();
    await look(page, name("terminal"));
    expect(faults).toEqual([]);
    await close();
  });
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
