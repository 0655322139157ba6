/** Rows of a hex dump. */

export const ROW_BYTES = 16;

/** One row: the offset, the bytes in two groups, and what of them is printable. */
export function hexRow(bytes: Uint8Array, at: number): string {
  const row = bytes.subarray(at, at + ROW_BYTES);
  const hex = Array.from({ length: ROW_BYTES }, (_, index) => {
    const byte = row[index];
    return byte === undefined ? "  " : byte.toString(16).padStart(2, "0");
  });
  const shown = [...row].map((byte) => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : "."));
  return `${at.toString(16).padStart(8, "0")}  ${hex.slice(0, 8).join(" ")}  ${hex.slice(8).join(" ")}  ${shown.join("")}`;
}
