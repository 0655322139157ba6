/** Pages in a real browser, watched for what must not happen. */

import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { chromium, type Browser, type BrowserContext, type Page } from "playwright-core";
import { expect } from "vitest";
import { artefacts } from "./service";

/** What a headless browser on a build machine needs, and what it must leave alone. */
const FLAGS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  // Containers often have a small /dev/shm.
  "--disable-dev-shm-usage",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** How long anything on a page may take; the machine may be busy. */
export const PATIENCE_MS = 30_000;

export function launch(): Promise<Browser> {
  return chromium.launch({ executablePath: process.env["CHROMIUM"] ?? "/usr/bin/chromium", args: FLAGS });
}

export interface View {
  scheme?: "light" | "dark";
  width?: number;
}

/** The pages that are open, for a picture when a test fails. */
const open = new Set<Page>();

/** Keeps a picture of every open page. */
export async function pictureOpenPages(name: string): Promise<void> {
  let number = 0;
  for (const page of open) {
    number += 1;
    await page.screenshot({ path: join(artefacts, `failed-${name.replace(/\W+/g, "-")}-${number}.png`) }).catch(() => undefined);
  }
}

/** A page, and everything about it that should not have been. */
export interface Watched {
  page: Page;
  context: BrowserContext;
  /** Errors on the console, uncaught exceptions, violations of the security policy, requests to others. */
  faults: string[];
  close(): Promise<void>;
}

export async function openPage(browser: Browser, url: string, { scheme = "light", width = 1280 }: View = {}): Promise<Watched> {
  const phone = width < 500;
  const context = await browser.newContext({
    colorScheme: scheme,
    viewport: { width, height: phone ? 844 : 800 },
    hasTouch: phone,
    reducedMotion: "reduce",
    permissions: ["clipboard-read", "clipboard-write"],
  });
  context.setDefaultTimeout(PATIENCE_MS);
  const page = await context.newPage();
  open.add(page);
  page.on("close", () => open.delete(page));
  const faults: string[] = [];
  page.on("console", (message) => {
    if (message.type() === "error" || /Content.Security.Policy/i.test(message.text())) faults.push(`console: ${message.text()}`);
  });
  page.on("pageerror", (error) => faults.push(`exception: ${error.stack ?? error.message}`));
  const { origin } = new URL(url);
  page.on("request", (request) => {
    const target = new URL(request.url());
    if (["http:", "https:"].includes(target.protocol) && target.origin !== origin) faults.push(`request to ${target.origin}`);
  });
  await page.goto(url);
  return { page, context, faults, close: () => context.close() };
}

/** What the browser itself says of a server that is not there or refuses is no fault of the page. */
export const ownFaults = (faults: string[]): string[] => faults.filter((fault) => !/Failed to load resource|WebSocket connection to/.test(fault));

/** Waits for the editor of a page that has its languages. */
export async function editorReady(page: Page): Promise<void> {
  await page.locator(".cm-content").first().waitFor();
  await page.locator(".run:enabled").waitFor();
}

/** Puts `text` in the place of what the editor shows, as a paste would. */
export async function setCode(page: Page, text: string): Promise<void> {
  const content = page.locator(".cm-content").first();
  await content.click();
  await page.keyboard.press("Control+a");
  await page.keyboard.insertText(text);
}

export async function chooseLanguage(page: Page, id: string): Promise<void> {
  await page.getByLabel("Language", { exact: true }).selectOption(id);
  await editorReady(page);
}

/** Runs what is in the page and waits for the verdict; returns its status. */
export async function run(page: Page): Promise<string> {
  await page.locator(".run.primary").click();
  return verdict(page);
}

export async function verdict(page: Page): Promise<string> {
  const title = page.locator("[data-status]");
  await title.waitFor();
  return (await title.getAttribute("data-status")) ?? "";
}

/** The text of the plain output. */
export const output = (page: Page): Promise<string> => page.getByTestId("output").innerText();

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

interface Violation {
  id: string;
  impact: string | null;
  nodes: { html: string; failureSummary?: string }[];
}

/** Fails when axe-core finds anything serious. */
export async function accessible(page: Page): Promise<void> {
  // By way of the debugger, which the page's policy does not bind.
  await page.evaluate(axe);
  const violations = await page.evaluate(async (): Promise<Violation[]> => {
    const { axe: runner } = window as unknown as { axe: { run(): Promise<{ violations: Violation[] }> } };
    return (await runner.run()).violations;
  });
  const serious = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
  expect(serious.map(({ id, nodes }) => `${id}: ${nodes.map(({ html, failureSummary }) => `${html} (${failureSummary ?? ""})`).join("; ")}`)).toEqual([]);
}

export async function screenshot(page: Page, name: string): Promise<void> {
  await page.evaluate(() => window.scrollTo(0, 0)); // or what stays at the top would be in the middle
  await page.screenshot({ path: join(artefacts, `${name}.png`), fullPage: (page.viewportSize()?.width ?? 0) < 500 });
}
