/** Work wholly in a URL's fragment: compressed, and seen by no server. */

import { fromBase64, toBase64 } from "../api/bytes";

/** Begins a fragment of this form; a later form gets another number. */
const PREFIX = "#w1=";
/** Longer links are cut by too many programs that carry them. */
export const MAX_FRAGMENT_CHARS = 32_000;
/** The most that a fragment may unpack to, which a small one could otherwise blow up. */
const MAX_UNPACKED_BYTES = 4 * 1024 * 1024;

async function through(bytes: Uint8Array<ArrayBuffer>, stream: GenericTransformStream): Promise<Uint8Array<ArrayBuffer>> {
  const reader = (new Blob([bytes]).stream().pipeThrough(stream) as ReadableStream<Uint8Array<ArrayBuffer>>).getReader();
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  let size = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    size += value.length;
    if (size > MAX_UNPACKED_BYTES) {
      await reader.cancel();
      throw new Error("the link holds more than the page takes");
    }
    chunks.push(value);
  }
  return new Uint8Array(await new Blob(chunks).arrayBuffer());
}

/** The fragment that holds `document`. */
export async function pack(document: unknown): Promise<string> {
  const json = new TextEncoder().encode(JSON.stringify(document));
  const bytes = await through(json, new CompressionStream("deflate-raw"));
  return PREFIX + toBase64(bytes).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

/** What a fragment holds: null when it is none of ours. Throws when it is, but broken. */
export async function unpack(fragment: string): Promise<unknown> {
  if (!fragment.startsWith(PREFIX)) return null;
  const text = fragment.slice(PREFIX.length).replaceAll("-", "+").replaceAll("_", "/");
  const json = await through(fromBase64(text), new DecompressionStream("deflate-raw"));
  return JSON.parse(new TextDecoder().decode(json)) as unknown;
}
