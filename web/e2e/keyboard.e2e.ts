/** Everything can be done without a mouse, and everything has a name. */

import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, beforeEach, expect, inject, test } from "vitest";
import { editorReady, launch, openPage, output, verdict, type Watched } from "./browser";

let browser: Browser;
beforeAll(async () => {
  browser = await launch();
});
afterAll(() => browser.close());

let watched: Watched;
let page: Page;
beforeEach(async () => {
  watched = await openPage(browser, inject("url"));
  page = watched.page;
  await editorReady(page);
  return async () => {
    expect(watched.faults).toEqual([]);
    await watched.close();
  };
});

/** More stops than any page has. */
const MOST_STOPS = 120;

interface Stop {
  name: string;
  role: string;
  /** Whether one sees that it has the focus; a text field has its cursor. */
  shown: boolean;
}

/** What has the focus, by the name that a screen reader says. */
async function focused(): Promise<Stop> {
  const wire = await page.context().newCDPSession(page);
  const { result } = await wire.send("Runtime.evaluate", { expression: "document.activeElement" });
  const { nodes } = await wire.send("Accessibility.getPartialAXTree", { objectId: result.objectId ?? "", fetchRelatives: false });
  await wire.detach();
  const shown = await page.evaluate(() => {
    const element = document.activeElement;
    if (element === null) return false;
    const { outlineStyle, outlineWidth } = getComputedStyle(element);
    return element.matches("[contenteditable=true], textarea") || (outlineStyle !== "none" && outlineWidth !== "0px");
  });
  const text = (value: unknown): string => (typeof value === "string" ? value : "");
  return { name: text(nodes[0]?.name?.value), role: text(nodes[0]?.role?.value), shown };
}

/** Presses `key` until what is named `name` has the focus. */
async function reach(name: RegExp, key = "Tab"): Promise<void> {
  const passed: string[] = [];
  for (let stop = 0; stop < MOST_STOPS; stop += 1) {
    const now = await focused();
    if (name.test(now.name)) return;
    passed.push(now.name);
    // The editor keeps Tab to itself until one asks to leave.
    if (now.name === "Program text") await page.keyboard.press("Escape");
    await page.keyboard.press(key);
  }
  throw new Error(`${name.source} is not among: ${passed.join(", ")}`);
}

test("every stop has a name and shows that it has the focus", async () => {
  await reach(/^Input$/);
  await page.keyboard.press("ArrowRight"); // more of them: the options
  await reach(/^Output$/);
  await page.keyboard.press("End"); // and the judge
  await page.getByRole("button", { name: "Add test" }).waitFor();
  await reach(/^Add test$/);
  await page.keyboard.press("Enter");
  await page.evaluate(() => (document.activeElement as HTMLElement).blur());
  await page.mouse.click(1, 1);
  const stops: Stop[] = [];
  for (let stop = 0; stop < MOST_STOPS; stop += 1) {
    await page.keyboard.press("Tab");
    if (await page.evaluate(() => document.activeElement === document.body)) break; // all around
    const now = await focused();
    stops.push(now);
    if (now.name === "Program text") await page.keyboard.press("Escape");
  }
  const names = stops.map(({ name }) => name);
  const wanted = ["brig", "Language", "Share", "Run", "Program text", "Arguments", "Memory (MiB)", "Data of test 1", "Judging stops"];
  expect(wanted.filter((name) => !names.includes(name)), names.join(", ")).toEqual([]);
  expect(stops.filter(({ name }) => name === "")).toEqual([]);
  expect(stops.filter(({ shown }) => !shown)).toEqual([]);
});

test("a program is written, run, and read about", async () => {
  await reach(/^Language$/);
  await page.keyboard.type("Python");
  await editorReady(page);
  await reach(/^Program text$/);
  await page.keyboard.press("Control+a");
  await page.keyboard.insertText("print('typed')");
  await page.keyboard.press("Escape");
  await page.keyboard.press("Tab");
  expect((await focused()).name).not.toBe("Program text");
  await page.keyboard.press("Control+Enter");
  expect(await verdict(page)).toBe("ok");
  expect(await output(page)).toContain("typed");
  // Those who listen are told as well.
  await page.locator("[role=status]", { hasText: "Finished" }).first().waitFor();
  await reach(/^Output$/);
  await page.keyboard.press("ArrowRight");
  expect((await focused()).name).toBe("Cost");
  await page.getByRole("row", { name: /CPU time/ }).first().waitFor();
  await page.keyboard.press("Home");
  expect((await focused()).name).toBe("Output");
});

test("files are added, renamed and removed, and the focus is never lost", async () => {
  await reach(/^Add file$/);
  await page.keyboard.press("Enter");
  await page.keyboard.type("more.txt");
  await page.keyboard.press("Enter");
  // One wants to write it.
  await expect.poll(focused).toMatchObject({ name: "Program text" });
  await page.keyboard.insertText("some text");
  await reach(/^more\.txt/, "Shift+Tab");
  await page.keyboard.press("Enter");
  await page.keyboard.type("other.txt");
  await page.keyboard.press("Enter");
  await expect.poll(focused).toMatchObject({ name: "other.txt" });
  await page.keyboard.press("Tab");
  expect((await focused()).name).toBe("Remove other.txt");
  await page.keyboard.press("Enter");
  await expect.poll(focused).toMatchObject({ role: "button" });
  expect(await page.getByText("other.txt", { exact: true }).count()).toBe(0);
});

test("a program is judged", async () => {
  await reach(/^Language$/);
  await page.keyboard.type("Python");
  await reach(/^Program text$/);
  await page.keyboard.press("Control+a");
  await page.keyboard.insertText("print(input())");
  await reach(/^Output$/);
  await page.keyboard.press("End");
  await reach(/^Add test$/);
  await page.keyboard.press("Enter");
  await page.keyboard.press("Enter");
  await reach(/^Expected output$/);
  await page.keyboard.type("7");
  await reach(/^Input$/, "Shift+Tab");
  await page.keyboard.type("7");
  await reach(/^Remove test 2$/);
  await page.keyboard.press("Enter");
  expect((await focused()).name).toBe("Add test");
  await reach(/^Judge against 1 test$/);
  await page.keyboard.press("Enter");
  await page.locator("[data-verdict=accepted].judge-outcome").waitFor();
  await page.locator("[role=status]", { hasText: "Accepted" }).first().waitFor();
});

test("the Share box takes the focus, keeps it, and gives it back", async () => {
  await reach(/^Share$/);
  await page.keyboard.press("Enter");
  await page.getByRole("dialog", { name: "Share" }).waitFor();
  await page.getByLabel("Snippet").waitFor();
  for (let stop = 0; stop < 12; stop += 1) {
    await page.keyboard.press("Tab");
    // The browser's own controls may be among the stops; nothing of the page behind may.
    expect(await page.evaluate(() => document.activeElement === document.body || document.activeElement?.closest("dialog") !== null)).toBe(true);
  }
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "hidden" });
  expect((await focused()).name).toBe("Share");
});
