/** From what the Judge tab has to a request. */

import type { RunRequest } from "../api/types";
import type { CheckerSettings, Data, GroupSettings, TestCase } from "./tests";
import type { Stop } from "./types";

/** Test data that is longer is uploaded by itself. */
export const MAX_INLINE_BYTES = 64 * 1024;

/** Where test data is, once it can be referred to. */
export type Sent = { text: string } | { blob: string };

export interface Judged {
  tests: { test: TestCase; stdin: Sent; expected: Sent }[];
  groups: { name: string; settings: GroupSettings }[];
  checker: CheckerSettings;
  stop: Stop;
}

/** Whether `data` must be uploaded: it is long, or no text. */
export const isLarge = (data: Data): boolean => !("text" in data) || data.text.length > MAX_INLINE_BYTES;

const number = (text: string): number | string | undefined => {
  const trimmed = text.trim();
  if (trimmed === "") return undefined;
  // What is no number is sent as it is: the service says what is wrong, and where.
  return Number.isNaN(Number(trimmed)) ? trimmed : Number(trimmed);
};

const words = (text: string, separator: RegExp): string[] => text.split(separator).filter((word) => word !== "");

function checkerOf({ type, absolute, relative, language, protocol, source, args }: CheckerSettings): object {
  if (type === "float") return { type, absolute: number(absolute), relative: number(relative) };
  if (type === "program") return { type, language, source, protocol, args: args.trim() === "" ? undefined : words(args, /\s+/) };
  return { type };
}

const field = (name: string, sent: Sent): object => ("text" in sent ? { [name]: sent.text } : { [`${name}_blob`]: sent.blob });

/** The body of `POST /v1/submissions`. What is undefined is left out of JSON by itself. */
export function submissionOf(program: RunRequest, { tests, groups, checker, stop }: Judged): object {
  return {
    ...program,
    stdin: undefined,
    output_files: undefined,
    tests: tests.map(({ test, stdin, expected }) => ({
      id: test.name.trim(),
      ...field("stdin", stdin),
      ...field("expected_output", expected),
      group: test.group.trim() === "" ? undefined : test.group.trim(),
      points: number(test.points),
    })),
    groups:
      groups.length === 0
        ? undefined
        : groups.map(({ name, settings }) => ({
            id: name,
            points: number(settings.points),
            scoring: settings.scoring,
            depends_on: words(settings.dependsOn, /[\s,]+/),
          })),
    checker: checkerOf(checker),
    stop,
    priority: "interactive",
  };
}
