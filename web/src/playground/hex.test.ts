import { expect, test } from "vitest";
import { hexRow } from "./hex";
import { imageType } from "./image";

test("a row has offset, bytes and characters", () => {
  const bytes = Uint8Array.from({ length: 20 }, (_, at) => 0x41 + at);
  expect(hexRow(bytes, 0)).toBe("00000000  41 42 43 44 45 46 47 48  49 4a 4b 4c 4d 4e 4f 50  ABCDEFGHIJKLMNOP");
  expect(hexRow(bytes, 16)).toBe("00000010  51 52 53 54                                       QRST");
});

test("images are told by their bytes, SVG by its name", () => {
  expect(imageType(Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a))).toBe("image/png");
  expect(imageType(Uint8Array.of(0xff, 0xd8, 0xff, 0xe0))).toBe("image/jpeg");
  expect(imageType(new TextEncoder().encode("GIF89a..."))).toBe("image/gif");
  expect(imageType(new TextEncoder().encode("RIFF1234WEBPVP8 "))).toBe("image/webp");
  expect(imageType(new TextEncoder().encode("<svg/>"), "a.SVG")).toBe("image/svg+xml");
  expect(imageType(new TextEncoder().encode("plain"), "a.txt")).toBeNull();
});
