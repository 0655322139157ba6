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

/** Right for small numbers only. */
const JUDGED = `#include <iostream>

int main() {
    int a, b;
    std::cin >> a >> b;
    std::cout << "the sum of both numbers is\\n" << a + b << "\\n";
}
`;
const SAMPLES = [[1, 2], [30, 40], [2_000_000_000, 2_000_000_000], [-2_000_000_000, -2_000_000_000]]
  .map(([a = 0, b = 0]) => `Input\n${a} ${b}\nOutput\nthe sum of both numbers is\n${a + b}\n`)
  .join("");

/** Lines that are longer than any screen, in the program and in what it writes. */
const LONG = `#include <cstdio>
#include <stdexcept>

// ${"A comment that goes on and on, as comments in real programs do, well beyond what a screen shows at once. ".repeat(2)}
int main() {
    for (int i = 0; i < 40; ++i) std::printf("%d ${"words without an end ".repeat(12)}${"x".repeat(150)}\\n", i);
    std::fflush(stdout);
    throw std::runtime_error("${"an explanation that is long as well, ".repeat(8)}");
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

    await setCode(page, JUDGED);
    await page.getByRole("tab", { name: "Judge" }).click();
    await look(page, name("judge-empty"));
    await page.getByRole("button", { name: "Paste samples" }).click();
    await page.getByLabel("Samples, each with its headings").fill(SAMPLES);
    await page.getByRole("button", { name: "Add 4 samples" }).click();
    for (const [test, group] of [["1", "sample"], ["2", "small"], ["3", "large"], ["4", "large"]] as const) {
      await page.getByLabel(`Group of test ${test}`, { exact: true }).fill(group);
    }
    await page.getByRole("group", { name: "Group small" }).getByLabel("Points").fill("40");
    await page.getByRole("group", { name: "Group large" }).getByLabel("Points").fill("60");
    await page.getByLabel("Judging stops").selectOption("never");
    await look(page, name("judge-tests"));
    await page.getByRole("button", { name: /^Judge against/ }).click();
    await page.locator("[data-verdict=wrong_answer].judge-outcome").waitFor();
    await page.locator(".judge-outcome").scrollIntoViewIfNeeded();
    await look(page, name("judge-wrong-answer"));

    await page.getByRole("tab", { name: "Output" }).click();
    await setCode(page, LONG);
    expect(await run(page)).toBe("runtime_error");
    await look(page, name("long-lines"));

    await page.getByRole("tab", { name: "Input" }).click();
    await page.getByText("Live terminal").click();
    await page.locator(".xterm-screen").waitFor();
    await look(page, name("terminal"));
    expect(faults).toEqual([]);
    await close();
  });
});
