/** Lets the browser save `blob` as `name`. */
export function download(blob: Blob, name: string): void {
  const url = URL.createObjectURL(blob);
  const link = document.createElement("a");
  link.href = url;
  link.download = name.split("/").at(-1) ?? name;
  link.click();
  // The browser has begun to read by the next turn; a minute is for slow ones.
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
