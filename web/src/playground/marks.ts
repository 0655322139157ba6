/** The places of the program that the last run's compiler or interpreter spoke of. */

import { computed } from "@preact/signals";
import { decode, utf8 } from "../api/bytes";
import type { Stage } from "../api/types";
import type { Mark } from "../editor/editor";
import { Places, findings, type Finding } from "./places";
import { compiled, result, shown } from "./run";

/** Compilers can say a lot; the first part of it has what matters. */
const MAX_CHARS = 200_000;

export const places = computed(() => new Places(shown.value?.files.map(({ path }) => path) ?? []));

function textOf(stage: Stage | null | undefined): string {
  if (!stage) return "";
  const part = (text: string, encoding: Stage["stdout_encoding"]): string =>
    (encoding === "base64" ? (utf8(decode(text, encoding)) ?? "") : text).slice(0, MAX_CHARS);
  return `${part(stage.stderr, stage.stderr_encoding)}\n${part(stage.stdout, stage.stdout_encoding)}`;
}

const found = computed<Finding[]>(() => {
  const compile = result.value?.compile ?? compiled.value;
  const ran = result.value?.run;
  // What a program that ran well prints is no report on itself.
  const failed = result.value?.status === "runtime_error" ? ran : null;
  return findings(`${textOf(compile)}\n${textOf(failed)}`, places.value);
});

export const marksOf = (path: string): Mark[] => found.value.filter((finding) => finding.path === path);

/** The first error, where the eye should go. */
export const firstError = computed(() => found.value.find(({ severity }) => severity === "error") ?? null);
