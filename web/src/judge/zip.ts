/** Files of a zip archive, read in the page. */

import { unzipSync, type Unzipped } from "fflate";
import { mayBeTest, type NamedBytes } from "./pairs";

/** What an archive may unpack to: a few kilobytes can stand for as many gigabytes. */
const MAX_BYTES = 256 * 2 ** 20;
const MAX_FILES = 10_000;

/** The test data in the archive `bytes`. At once: the library's other way needs a policy that allows workers made of text. */
export function unpack(bytes: Uint8Array): NamedBytes[] {
  let [files, total] = [0, 0];
  const filter = ({ name, originalSize }: { name: string; originalSize: number }): boolean => {
    if (!mayBeTest(name)) return false;
    files += 1;
    total += originalSize;
    return files <= MAX_FILES && total <= MAX_BYTES;
  };
  let data: Unzipped;
  try {
    data = unzipSync(bytes, { filter });
  } catch (cause) {
    throw new Error(`The archive cannot be read: ${cause instanceof Error ? cause.message : String(cause)}.`, { cause });
  }
  if (files > MAX_FILES || total > MAX_BYTES) throw new Error(`The archive has more than ${MAX_FILES} files or ${MAX_BYTES / 2 ** 20} MiB of tests.`);
  return Object.entries(data).map(([name, content]) => ({ name, bytes: content }));
}
