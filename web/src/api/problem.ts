import type { FieldError, ProblemDocument } from "./types";

/** Why a request did not get what it asked for. */
export type ProblemKind =
  /** A key is needed, or the one given is unknown. */
  | "key_missing"
  /** The key may not do this. */
  | "forbidden"
  | "not_found"
  /** The request itself is wrong; `errors` says where. */
  | "invalid"
  | "too_large"
  /** The key's rate or concurrency is used up. */
  | "rate"
  /** No room in the queue. */
  | "queue_full"
  /** The service is about to stop. */
  | "draining"
  /** The service cannot be reached. */
  | "offline"
  /** The connection broke while something was going on. */
  | "cut_off"
  /** What was asked needs a WebSocket, and there is none to be had. */
  | "no_live"
  /** Anything else; the service's fault. */
  | "internal";

/** A problem, ready to be said in words. */
export class Problem extends Error {
  override readonly name = "Problem";

  constructor(
    readonly kind: ProblemKind,
    message: string,
    /** When it is worth trying again, in seconds. */
    readonly retryAfterSeconds: number | null = null,
    readonly errors: FieldError[] = [],
  ) {
    super(message);
  }

  /** Whether the same request may succeed later without the user doing anything. */
  get passes(): boolean {
    return ["rate", "queue_full", "draining", "offline"].includes(this.kind);
  }
}

/** The longest that a `Retry-After` is believed, in seconds. */
const MAX_RETRY_AFTER_SECONDS = 600;

/** Reads a `Retry-After` header: seconds or a date. */
export function retryAfterSeconds(header: string | null, now = Date.now()): number | null {
  if (header === null || header.trim() === "") return null;
  const seconds = /^\d+$/.test(header.trim())
    ? Number(header)
    : Math.ceil((Date.parse(header) - now) / 1000);
  if (!Number.isFinite(seconds)) return null;
  return Math.min(Math.max(seconds, 0), MAX_RETRY_AFTER_SECONDS);
}

function kindOf(document: ProblemDocument): ProblemKind {
  switch (document.status) {
    case 401:
      return "key_missing";
    case 403:
      return "forbidden";
    case 404:
      return "not_found";
    case 413:
      return "too_large";
    case 429:
      return "rate";
    case 503:
      // The last is what a run hears that outlived the drain.
      return /draining|the service ended/.test(document.detail) ? "draining" : "queue_full";
    default:
      return document.status < 500 ? "invalid" : "internal";
  }
}

/** A problem from the document that describes it. */
export function problemFrom(document: ProblemDocument, retryAfter: number | null): Problem {
  return new Problem(kindOf(document), document.detail, retryAfter, document.errors ?? []);
}

/** Whether `value` is a problem document; a proxy in between may answer something else. */
export function isProblemDocument(value: unknown): value is ProblemDocument {
  if (typeof value !== "object" || value === null) return false;
  const { status, detail } = value as Record<string, unknown>;
  return typeof status === "number" && typeof detail === "string";
}

/** What a proxy answers when it finds no service behind it. */
const NOBODY_THERE = [502, 503, 504];

/** A problem from an answer that is not a success. */
export async function problemOf(response: Response): Promise<Problem> {
  const retryAfter = retryAfterSeconds(response.headers.get("Retry-After"));
  const body: unknown = await response.json().catch(() => null);
  if (isProblemDocument(body)) return problemFrom(body, retryAfter);
  const { status, statusText } = response;
  if (NOBODY_THERE.includes(status)) return new Problem("offline", "The service cannot be reached.", retryAfter);
  return problemFrom({ type: "about:blank", title: statusText, status, detail: `The service answered ${status} ${statusText}.` }, retryAfter);
}
