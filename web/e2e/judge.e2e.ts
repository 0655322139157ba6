import { strToU8, zipSync } from "fflate";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, beforeEach, expect, inject, test } from "vitest";
import { accessible, chooseLanguage, editorReady, launch, openPage, screenshot, setCode, type View, type Watched } from "./browser";

let browser: Browser;
beforeAll(async () => {
  browser = await launch();
});
afterAll(() => browser.close());

let watched: Watched | null = null;
let page: Page;

async function open(view: View = {}): Promise<void> {
  watched = await openPage(browser, inject("url"), view);
  page = watched.page;
  await editorReady(page);
  await chooseLanguage(page, "python");
  await page.getByRole("tab", { name: "Judge" }).click();
}

beforeEach(() => async () => {
  expect(watched?.faults ?? []).toEqual([]);
  await watched?.close();
  watched = null;
});

async function paste(samples: string, count: string): Promise<void> {
  await page.getByRole("button", { name: "Paste samples" }).click();
  await page.getByLabel("Samples, each with its headings").fill(samples);
  await page.getByRole("button", { name: `Add ${count}` }).click();
}

async function upload(files: Record<string, string>): Promise<void> {
  const bytes = Object.fromEntries(Object.entries(files).map(([name, text]) => [name, strToU8(text)]));
  await page.getByLabel("Test files").setInputFiles({ name: "tests.zip", mimeType: "application/zip", buffer: Buffer.from(zipSync(bytes)) });
}

/** Judges and waits for the verdict. */
async function judge(): Promise<string> {
  await page.getByRole("button", { name: /^Judge against/ }).click();
  const outcome = page.locator("[data-verdict].judge-outcome");
  await outcome.waitFor();
  return (await outcome.getAttribute("data-verdict")) ?? "";
}

const verdicts = (): Promise<string[]> =>
  page.locator("tr[data-test]").evaluateAll((rows) => rows.map((row) => `${row.getAttribute("data-test") ?? ""} ${row.getAttribute("data-verdict") ?? ""}`));

const SUM = "a, b = map(int, input().split())\nprint('sum')\nprint(a + b if a != 5 else 99)\n";
const SAMPLES = "Sample Input 1\n1 2\nSample Output 1\nsum\n3\nSample Input 2\n5 6\nSample Output 2\nsum\n11\n";

for (const [scheme, width] of [
  ["light", 1280],
  ["dark", 390],
] as const) {
  test(`samples are pasted, judged, and a wrong answer shows where it differs (${scheme}, ${width})`, async () => {
    await open({ scheme, width });
    await setCode(page, SUM);
    await paste(SAMPLES, "2 samples");
    expect(await judge()).toBe("wrong_answer");
    expect(await verdicts()).toEqual(["1 accepted", "2 wrong_answer"]);
    expect(await page.locator(".diff-line.expected").innerText()).toContain("11");
    expect(await page.locator(".diff-line.actual").innerText()).toContain("99");
    await accessible(page);
    await page.locator(".judge-outcome").scrollIntoViewIfNeeded();
    await screenshot(page, `judge-${scheme}-${width}`);
  });
}

test("of a long output the rest is had by another run", async () => {
  await open();
  const lines = 50_000;
  await setCode(page, `n = int(input())\nfor i in range(n): print(i if i != n - 2 else 'here')\n`);
  const expected = `${Array.from({ length: lines }, (_, at) => at).join("\n")}\n`;
  await upload({ "long.in": `${lines}\n`, "long.ans": expected });
  expect(await judge()).toBe("wrong_answer");
  const diff = page.getByRole("figure", { name: "Expected and actual output" });
  await diff.getByText("So far they are the same.").waitFor();
  await page.getByRole("button", { name: "Run it again on this input to see the rest" }).click();
  await page.getByText("This output is of another run").waitFor();
  expect(await diff.locator(".diff-line.expected").innerText()).toContain(String(lines - 2));
  expect(await diff.locator(".diff-line.actual").innerText()).toContain("here");
});

test("a zip of pairs, one of them too large for a field of the page", async () => {
  await open();
  await setCode(page, "print(len(input()))\n");
  await upload({ "p/1.in": "abc\n", "p/1.ans": "3\n", "p/2.in": `${"x".repeat(600_000)}\n`, "p/2.out": "600000\n", "p/3.in": "?\n" });
  await page.getByText("2 tests added. Without another half: p/3.in.").waitFor();
  expect(await judge()).toBe("accepted");
  expect(await verdicts()).toEqual(["1 accepted", "2 accepted"]);
});

test("groups have points, and their scoring decides", async () => {
  await open();
  await setCode(page, "print(input() if True else '')\n");
  await paste("Input\n1\nOutput\n1\nInput\n2\nOutput\n2\nInput\n3\nOutput\nx\n", "3 samples");
  for (const name of ["2", "3"]) await page.getByLabel(`Group of test ${name}`, { exact: true }).fill("big");
  await page.getByLabel("Group of test 1", { exact: true }).fill("small");
  await page.getByRole("group", { name: "Group small" }).getByLabel("Points").fill("40");
  await page.getByRole("group", { name: "Group big" }).getByLabel("Points").fill("60");
  await page.getByRole("group", { name: "Group big" }).getByLabel("Scored by").selectOption("all");
  await page.getByLabel("Judging stops").selectOption("never");
  expect(await judge()).toBe("wrong_answer");
  await page.getByText("40 of 100 points").waitFor();
  expect(await page.getByRole("list", { name: "Groups" }).innerText()).toMatch(/small\s+40 of 40\s+big\s+0 of 60/);
});

test("numbers within a tolerance", async () => {
  await open();
  await setCode(page, "print(3.14159)\n");
  await paste("Input\n\nOutput\n3.14160\n", "1 sample");
  await page.getByLabel("Outputs are compared by").selectOption("float");
  await page.getByLabel("Absolute tolerance").fill("1e-4");
  expect(await judge()).toBe("accepted");
});

test("a checker program decides, and what it says is shown", async () => {
  await open();
  await setCode(page, "print(7)\n");
  await paste("Input\n\nOutput\n8\n", "1 sample");
  await page.getByLabel("Outputs are compared by").selectOption("program");
  await page.getByLabel("The checker’s language").selectOption("python");
  await page.getByLabel("It is called like a").selectOption("testlib");
  const checker = "import sys\nok = int(open(sys.argv[2]).read()) % 2 == 0\nprint('must be even', file=sys.stderr)\nsys.exit(0 if ok else 1)\n";
  await page.getByLabel("The checker", { exact: true }).fill(checker);
  expect(await judge()).toBe("wrong_answer");
  await page.locator(".judge-details").getByText("must be even").first().waitFor();
});

test("a mistake in a test is named, and judging can be cancelled", async () => {
  await open();
  await setCode(page, "import time\ntime.sleep(20)\n");
  await paste("Input\n\nOutput\n1\n", "1 sample");
  await page.getByLabel("Points of test 1").fill("many");
  await page.getByRole("button", { name: /^Judge against/ }).click();
  await page.locator(".trouble code", { hasText: "tests/0/points" }).waitFor();
  await page.getByLabel("Points of test 1").fill("");
  await page.getByRole("button", { name: /^Judge against/ }).click();
  await page.getByText("Judging", { exact: true }).waitFor();
  await page.getByRole("button", { name: "Cancel" }).click();
  await page.locator("[data-verdict=cancelled].judge-outcome").waitFor();
  // The refused request is the browser's to report.
  if (watched !== null) watched.faults = watched.faults.filter((fault) => !fault.includes('422'));
});

test("tests are remembered", async () => {
  await open();
  await paste(SAMPLES, "2 samples");
  await page.reload();
  await editorReady(page);
  await page.getByRole("tab", { name: "Judge" }).click();
  await page.getByRole("button", { name: "Judge against 2 tests" }).waitFor();
});
