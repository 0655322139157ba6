/** Tells images by their first bytes. */

const ascii = (bytes: Uint8Array, from: number, text: string): boolean =>
  Array.from({ length: text.length }, (_, at) => bytes[from + at] === text.charCodeAt(at)).every(Boolean);

/** The media type of an image that browsers show, or null. */
export function imageType(bytes: Uint8Array, name = ""): string | null {
  if (bytes[0] === 0x89 && ascii(bytes, 1, "PNG\r\n")) return "image/png";
  if (bytes[0] === 0xff && bytes[1] === 0xd8 && bytes[2] === 0xff) return "image/jpeg";
  if (ascii(bytes, 0, "GIF87a") || ascii(bytes, 0, "GIF89a")) return "image/gif";
  if (ascii(bytes, 0, "RIFF") && ascii(bytes, 8, "WEBP")) return "image/webp";
  if (name.toLowerCase().endsWith(".svg")) return "image/svg+xml";
  return null;
}
