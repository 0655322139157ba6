/** What the page's buttons do. */

import { signal } from "@preact/signals";
import { announce } from "../ui/announce";
import { scrolling } from "../ui/scrolling";
import { troubles } from "./OptionsPane";
import * as run from "./run";
import { terminalReady } from "./TerminalPane";
import { runRequest, settings } from "./workspace";

/** The tab below the editor, and the one at its side. */
export const lowerTab = signal("input");
export const sideTab = signal("output");

/** Runs the program as it stands. */
export async function runNow(): Promise<void> {
  const [trouble] = troubles.value.values();
  if (trouble !== undefined) {
    lowerTab.value = "options";
    announce(`${trouble} The program was not run.`);
    return;
  }
  const request = runRequest();
  if (sideTab.value !== "cost") sideTab.value = "output";
  showResults();
  if (settings.value.mode === "box") {
    run.start(request, null);
    return;
  }
  sideTab.value = "output";
  const view = await terminalReady();
  view.clear();
  view.focus();
  run.start(request, view);
}

/** On a small screen the results are below what is being looked at. */
function showResults(): void {
  const results = document.getElementById("results");
  if (results === null || results.getBoundingClientRect().top < innerHeight / 2) return;
  results.scrollIntoView({ behavior: scrolling() });
}
