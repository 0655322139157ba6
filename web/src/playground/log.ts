/** What a program wrote, as it comes: bytes for downloads, lines for the page. */

export type StreamName = "stdout" | "stderr";

/** A piece of a line, of one stream. */
export interface Line {
  stream: StreamName;
  text: string;
}

/** Lines longer than this are cut into several: no page lays out a megabyte in one line. */
export const MAX_LINE_CHARS = 2_000;
/** Lines kept for showing: so many from the beginning, and so many of the latest. */
export const HEAD_LINES = 100_000;
export const TAIL_LINES = 100_000;
/** The most kept of both streams together; the service's own limit is below that. */
export const MAX_KEPT_BYTES = 160 * 1024 * 1024;

/** One stream's bytes and whether they are text. */
class Stream {
  readonly chunks: Uint8Array<ArrayBuffer>[] = [];
  bytes = 0;
  /** Not UTF-8, or it has NUL characters. */
  binary = false;
  readonly #decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

  /** Takes a chunk; returns the text that is complete with it, or null once it is not text. */
  take(chunk: Uint8Array<ArrayBuffer>): string | null {
    this.chunks.push(chunk);
    this.bytes += chunk.length;
    return this.#text(chunk, true);
  }

  /** What was still waiting for the rest of a character. */
  end(): string | null {
    return this.#text(new Uint8Array(), false);
  }

  #text(chunk: Uint8Array, more: boolean): string | null {
    if (this.binary) return null;
    try {
      const text = this.#decoder.decode(chunk, { stream: more });
      if (!text.includes("\0")) return text;
    } catch {
      // falls through: not text
    }
    this.binary = true;
    return null;
  }
}

// Colours and the like; without a terminal nothing can be done with them.
// eslint-disable-next-line no-control-regex
const ESCAPES = /\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\))/g;

export class OutputLog {
  readonly stdout = new Stream();
  readonly stderr = new Stream();
  /** Both streams' text, in the order in which it came. */
  head: Line[] = [];
  tail: Line[] = [];
  /** Lines between `head` and `tail` that are only in the downloads. */
  omitted = 0;
  #open: Line | null = null;
  /** Bytes that were dropped for want of room. */
  dropped = 0;

  get bytes(): number {
    return this.stdout.bytes + this.stderr.bytes;
  }

  get lineCount(): number {
    return this.head.length + this.tail.length;
  }

  /** The shown line number `at`, from 0; those of `tail` follow those of `head`. */
  line(at: number): Line | undefined {
    return at < this.head.length ? this.head[at] : this.tail[at - this.head.length];
  }

  take(name: StreamName, chunk: Uint8Array<ArrayBuffer>): void {
    if (this.bytes + chunk.length > MAX_KEPT_BYTES) {
      this.dropped += chunk.length;
      return;
    }
    this.#add(name, this[name].take(chunk));
  }

  end(): void {
    for (const name of ["stdout", "stderr"] as const) this.#add(name, this[name].end());
  }

  blob(name: StreamName): Blob {
    return new Blob(this[name].chunks, { type: "application/octet-stream" });
  }

  #add(name: StreamName, text: string | null): void {
    if (text === null) {
      // What looked like text so far belongs to the bytes that are shown as such.
      this.head = this.head.filter(({ stream }) => stream !== name);
      this.tail = this.tail.filter(({ stream }) => stream !== name);
      if (this.#open?.stream === name) this.#open = null;
      return;
    }
    if (text === "") return;
    const parts = text.replace(ESCAPES, "").split("\n");
    parts.forEach((part, at) => {
      const last = at === parts.length - 1;
      this.#append(name, part.endsWith("\r") ? part.slice(0, -1) : part, last);
    });
  }

  /** Adds `part` to the open line or begins one; the line stays open if no line feed came yet. */
  #append(name: StreamName, part: string, open: boolean): void {
    if (open && part === "") {
      this.#open = null;
      return;
    }
    const before = this.#open?.stream === name ? this.#open : null;
    const text = (before?.text ?? "") + part;
    const pieces = cut(text);
    const [first = "", ...rest] = pieces;
    let last: Line = before ?? this.#push(name, first);
    last.text = first;
    for (const piece of rest) last = this.#push(name, piece);
    this.#open = open ? last : null;
  }

  #push(stream: StreamName, text: string): Line {
    const line = { stream, text };
    if (this.head.length < HEAD_LINES && this.tail.length === 0) {
      this.head.push(line);
      return line;
    }
    this.tail.push(line);
    if (this.tail.length >= 2 * TAIL_LINES) {
      const gone = this.tail.length - TAIL_LINES;
      this.tail = this.tail.slice(gone);
      this.omitted += gone;
    }
    return line;
  }
}

function cut(text: string): string[] {
  if (text.length <= MAX_LINE_CHARS) return [text];
  const pieces: string[] = [];
  for (let at = 0; at < text.length; ) {
    let end = Math.min(at + MAX_LINE_CHARS, text.length);
    const last = text.charCodeAt(end - 1);
    if (end < text.length && last >= 0xd800 && last < 0xdc00) end -= 1; // not within a surrogate pair
    pieces.push(text.slice(at, end));
    at = end;
  }
  return pieces;
}
