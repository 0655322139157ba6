/** What the page begins with: the languages, and the work in a link, in this browser, or an example. */

import { effect, signal } from "@preact/signals";
import * as api from "../api/client";
import { Problem } from "../api/problem";
import type { Language } from "../api/types";
import { unpack } from "./fragment";
import { forget, remember, rememberedLanguage, rememberedWork } from "./storage";
import { defaultWork, workOf, type Work } from "./work";
import { language, languages, replaceWork, settings } from "./workspace";

/** Why there are no languages yet. */
export const loadProblem = signal<Problem | null>(null);
/** What is to be said about the link that the page was opened with. */
export const linkNotice = signal<string | null>(null);

/** How long until a service that could not be asked is asked again. */
const RETRY_MS = 3_000;
/** A service that has just started is still looking at its languages: so often, and so soon, it is asked again. */
const LOOKS = 20;
const LOOK_MS = 1_500;
/** What a browser without any work in it begins with, if it can be had. */
const FIRST_CHOICE = ["python", "cpp"];

/**
 * Loads until it succeeds. With `own`, a page that is given no program shows the last one of this
 * browser; without, an example: a page in somebody's frame must not hand them what was done elsewhere.
 */
export async function load(own: boolean): Promise<void> {
  for (;;) {
    try {
      languages.value = await api.languages();
      loadProblem.value = null;
      void lookAgain();
      break;
    } catch (error) {
      const problem = error instanceof Problem ? error : new Problem("internal", String(error));
      loadProblem.value = problem;
      if (problem.kind === "key_missing" || problem.kind === "forbidden") return; // until there is another key
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }
  const linked = await linkedWork();
  if (linked === null) {
    begin(own);
    return;
  }
  asLinked = linked.work;
  replaceWork(linked.language, linked.work);
}

/** Asks again until the versions of all languages are known. */
async function lookAgain(): Promise<void> {
  for (let look = 0; look < LOOKS && languages.value.some(({ available, version }) => available && version === null); look += 1) {
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    languages.value = await api.languages().catch(() => languages.value);
  }
}

/** Work from a link, as it came. Looking at it must not cost one's own. */
let asLinked: Work | null = null;

/** Keeps the work in this browser whenever it changes. */
export function keep(): () => void {
  return effect(() => {
    const chosen = language.value;
    const work = settings.value;
    if (chosen === null || work === asLinked) return;
    // From the first change on it is one's own, and what a reload shows.
    if (asLinked !== null) history.replaceState(null, "", "/");
    asLinked = null;
    remember(chosen.id, work);
  });
}

/** Goes over to another language, and to the work that was last done in it. */
export function choose(chosen: Language): void {
  replaceWork(chosen.id, rememberedWork(chosen.id) ?? exampleOf(chosen));
}

/** Puts the language's example in the place of the work. */
export function startOver(): void {
  const chosen = language.value;
  if (chosen === null) return;
  forget(chosen.id);
  replaceWork(chosen.id, exampleOf(chosen));
}

/** The examples add two numbers. */
export const exampleOf = (chosen: Language): Work => ({ ...defaultWork(chosen), stdin: chosen.example === "" ? "" : "20 22\n" });

function begin(own: boolean): void {
  const usable = languages.value.filter(({ available }) => available);
  const wanted = own ? [rememberedLanguage(), ...FIRST_CHOICE] : FIRST_CHOICE;
  const first = wanted.map((id) => usable.find((item) => item.id === id)).find((item) => item !== undefined) ?? usable[0];
  if (first === undefined) return;
  if (own) choose(first);
  else replaceWork(first.id, exampleOf(first));
}

/** The work that the page's address names, or null; says so when it names some that cannot be had. */
export async function linkedWork(): Promise<{ language: string; work: Work } | null> {
  try {
    const id = /^\/s\/([\w-]+)$/.exec(location.pathname)?.[1];
    const document = id === undefined ? await unpack(location.hash) : await api.share(id);
    if (document === null) return null;
    const found = workOf(document);
    if (found === null) throw new Error("it is not of a form that this page knows");
    const known = languages.value.find(({ id: name, aliases }) => name === found.language || aliases.includes(found.language));
    if (known === undefined) throw new Error(`this service has no language named ${found.language}`);
    if (!known.available) linkNotice.value = `${known.name} cannot be run here: ${known.unavailable_reason ?? "its tools are missing"}.`;
    return { language: known.id, work: found.work };
  } catch (error) {
    const why =
      error instanceof Problem && error.kind === "not_found"
        ? "The shared work is gone: it was removed, or its time was up"
        : `The shared work could not be opened: ${error instanceof Error ? error.message : String(error)}`;
    linkNotice.value = `${why.replace(/\.$/, "")}. Your own last work is shown instead.`;
    return null;
  }
}
