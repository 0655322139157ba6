/** The tests that a program is judged against, and how: what the Judge tab edits. Kept in this browser. */

import { computed, effect, signal } from "@preact/signals";
import { utf8 } from "../api/bytes";
import type { CheckerType, Scoring, Stop } from "./types";

/** Text that can be edited, or bytes that are only sent. */
export type Data = { text: string } | { bytes: Uint8Array };

export interface TestCase {
  /** Tells tests apart while they are renamed. */
  key: number;
  name: string;
  stdin: Data;
  expected: Data;
  group: string;
  /** As it was typed; empty: by the service's rules. */
  points: string;
}

export interface GroupSettings {
  points: string;
  scoring: Scoring;
  /** Names, separated by commas. */
  dependsOn: string;
}

export interface CheckerSettings {
  type: CheckerType;
  absolute: string;
  relative: string;
  language: string;
  protocol: "testlib" | "icpc";
  source: string;
  args: string;
}

export const EMPTY_GROUP: GroupSettings = { points: "", scoring: "sum", dependsOn: "" };
export const tests = signal<TestCase[]>([]);
export const checker = signal<CheckerSettings>({ type: "lines", absolute: "", relative: "", language: "cpp", protocol: "testlib", source: "", args: "" });
export const stop = signal<Stop>("first_failure");
export const groupSettings = signal<Record<string, GroupSettings>>({});

/** Names of the groups that tests are in, in their order. */
export const groups = computed(() => [...new Set(tests.value.map(({ group }) => group.trim()).filter((group) => group !== ""))]);

/** What is longer is not put into a field of the page. */
const MAX_TEXT_BYTES = 64 * 1024;

let lastKey = 0;

/** The first number that is no test's name. */
function freeName(taken: Set<string>): string {
  let number = taken.size + 1;
  while (taken.has(String(number))) number++;
  return String(number);
}

export function addTests(added: { name?: string; stdin: Data; expected: Data }[]): void {
  const names = new Set(tests.value.map(({ name }) => name));
  const made = added.map(({ name, stdin, expected }): TestCase => {
    const own = name === undefined || names.has(name) ? freeName(names) : name;
    names.add(own);
    lastKey += 1;
    return { key: lastKey, name: own, stdin, expected, group: "", points: "" };
  });
  tests.value = [...tests.value, ...made];
}

export function change(key: number, part: Partial<TestCase>): void {
  tests.value = tests.value.map((test) => (test.key === key ? { ...test, ...part } : test));
}

export function remove(key: number): void {
  tests.value = tests.value.filter((test) => test.key !== key);
}

export function changeGroup(name: string, part: Partial<GroupSettings>): void {
  groupSettings.value = { ...groupSettings.value, [name]: { ...(groupSettings.value[name] ?? EMPTY_GROUP), ...part } };
}

/** Bytes as text where that can be edited. */
export function dataOf(bytes: Uint8Array): Data {
  const text = bytes.length <= MAX_TEXT_BYTES ? utf8(bytes) : null;
  return text === null ? { bytes } : { text };
}

export const bytesOf = (data: Data): Uint8Array => ("text" in data ? new TextEncoder().encode(data.text) : data.bytes);

const STORE = "brig.judge";
/** More is not kept: what a browser gives is a few megabytes in all. */
const MAX_KEPT_CHARS = 500_000;

interface Kept {
  tests: TestCase[];
  checker: CheckerSettings;
  stop: Stop;
  groups: Record<string, GroupSettings>;
}

const isText = (data: unknown): data is { text: string } => typeof (data as { text?: unknown } | null)?.text === "string";

/** Takes up what was kept, and keeps what is changed from now on. */
export function keep(): void {
  try {
    const kept = JSON.parse(localStorage.getItem(STORE) ?? "null") as Partial<Kept> | null;
    const usable = (kept?.tests ?? []).filter(({ name, stdin, expected }) => typeof name === "string" && isText(stdin) && isText(expected));
    if (tests.value.length === 0) {
      tests.value = usable.map((test) => ({ ...test, key: ++lastKey, group: test.group, points: test.points }));
    }
    if (kept?.checker !== undefined) checker.value = { ...checker.value, ...kept.checker };
    if (kept?.stop !== undefined) stop.value = kept.stop;
    if (kept?.groups !== undefined) groupSettings.value = kept.groups;
  } catch {
    // Nothing usable was kept, or storage is forbidden.
  }
  effect(() => {
    const kept: Kept = { tests: tests.value.filter(({ stdin, expected }) => isText(stdin) && isText(expected)), checker: checker.value, stop: stop.value, groups: groupSettings.value };
    const text = JSON.stringify(kept);
    try {
      if (text.length <= MAX_KEPT_CHARS) localStorage.setItem(STORE, text);
    } catch {
      // Forbidden or full: the tests are not remembered.
    }
  });
}
