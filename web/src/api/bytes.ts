/** Bytes, text and base64. */

import type { Encoding } from "./types";

/** How many bytes are turned into characters in one call; more could overflow the stack. */
const CHUNK_BYTES = 0x8000;

export function toBase64(bytes: Uint8Array): string {
  let binary = "";
  for (let at = 0; at < bytes.length; at += CHUNK_BYTES) {
    binary += String.fromCharCode(...bytes.subarray(at, at + CHUNK_BYTES));
  }
  return btoa(binary);
}

export function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let at = 0; at < binary.length; at++) bytes[at] = binary.charCodeAt(at);
  return bytes;
}

/** The bytes that `text` with its `encoding` stands for. */
export function decode(text: string, encoding: Encoding | undefined): Uint8Array<ArrayBuffer> {
  return encoding === "base64" ? fromBase64(text) : new TextEncoder().encode(text);
}

/** The text that `bytes` are, or null when they are not valid UTF-8. */
export function utf8(bytes: Uint8Array): string | null {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return null;
  }
}
