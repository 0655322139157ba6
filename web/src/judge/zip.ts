/** Files of a zip archive, read in the page. */

import { unzip } from "fflate";
import type { NamedBytes } from "./pairs";

/** What an archive may unpack to: a few kilobytes can stand for as many gigabytes. */
const MAX_BYTES = 256 * 2 ** 20;
const MAX_FILES = 10_000;
const WANTED = /\.(in|ans|out)$/i;

/** The test data in the archive `bytes`. */
export function unpack(bytes: Uint8Array): Promise<NamedBytes[]> {
  let [files, total] = [0, 0];
  return new Promise((resolve, reject) => {
    const filter = ({ name, originalSize }: { name: string; originalSize: number }): boolean => {
      if (!WANTED.test(name)) return false;
      files += 1;
      total += originalSize;
      return files <= MAX_FILES && total <= MAX_BYTES;
    };
    unzip(bytes, { filter }, (error, data) => {
      if (error) reject(new Error(`The archive cannot be read: ${error.message}.`));
      else if (files > MAX_FILES || total > MAX_BYTES) reject(new Error(`The archive has more than ${MAX_FILES} files or ${MAX_BYTES / 2 ** 20} MiB of tests.`));
      else resolve(Object.entries(data).map(([name, content]) => ({ name, bytes: content })));
    });
  });
}
