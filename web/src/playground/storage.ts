/** The last work in each language, kept in this browser. */

import type { ShareDocument } from "../api/types";
import { workOf, type Work } from "./work";
import { documentOf } from "./workspace";

const LANGUAGE = "brig.language";
const work = (language: string): string => `brig.work.${language}`;
/** Larger work is not kept: what a browser gives is a few megabytes in all. */
const MAX_CHARS = 500_000;

function read(name: string): string | null {
  try {
    return localStorage.getItem(name);
  } catch {
    return null; // storage is forbidden
  }
}

function write(name: string, value: string | null): void {
  try {
    if (value === null) localStorage.removeItem(name);
    else localStorage.setItem(name, value);
  } catch {
    // Forbidden or full: the work is not remembered, and nothing else is lost.
  }
}

export const rememberedLanguage = (): string | null => read(LANGUAGE);

/** The work kept for `language`, or null. */
export function rememberedWork(language: string): Work | null {
  const text = read(work(language));
  if (text === null) return null;
  try {
    const found = workOf(JSON.parse(text));
    return found?.language === language ? found.work : null;
  } catch {
    return null;
  }
}

export function remember(language: string, current: Work): void {
  const text = JSON.stringify(documentOf(language, current) satisfies ShareDocument);
  if (text.length > MAX_CHARS) return;
  write(LANGUAGE, language);
  write(work(language), text);
}

/** Forgets the work in `language`, which then begins with its example again. */
export const forget = (language: string): void => write(work(language), null);
