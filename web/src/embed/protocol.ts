/** The messages between `/embed` and the page around it; docs/embedding.md describes them. */

import type { ProblemKind } from "../api/problem";
import type { RunResult, ShareDocument } from "../api/types";
import { workOf, type Work } from "../playground/work";

/** Version of these messages; a message of another one is refused. */
export const VERSION = 1;

/** What the page around asks for. */
export type Request =
  | { type: "hello" }
  | { type: "set"; language: string; work: Work }
  | { type: "get" }
  | { type: "run" }
  | { type: "stop" };

/** What the page around is told. */
export type Told =
  | { type: "ready" }
  | { type: "program"; program: ShareDocument }
  | { type: "started" }
  | { type: "finished"; result: RunResult }
  | { type: "problem"; kind: ProblemKind; message: string; retrying: boolean }
  | { type: "refused"; message: string };

/** Reads a message: null when it is not one of ours at all, words when it is but is wrong. */
export function requestFrom(data: unknown): Request | { refusal: string } | null {
  if (typeof data !== "object" || data === null || !("brig" in data)) return null;
  const { brig: version, type, program } = data as { brig: unknown; type?: unknown; program?: unknown };
  if (version !== VERSION) return { refusal: `this service speaks version ${VERSION} of these messages` };
  switch (type) {
    case "hello":
    case "get":
    case "run":
    case "stop":
      return { type };
    case "set": {
      const found = workOf(program);
      if (found === null) return { refusal: "“program” must be a document of version 1 with a language and files" };
      return { type, ...found };
    }
    default:
      return { refusal: "“type” must be hello, set, get, run or stop" };
  }
}
