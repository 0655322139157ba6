/** The API key, if its owner gave one: for this tab only. */

const NAME = "brig.key";

/** The key that requests carry, or null. */
export function apiKey(): string | null {
  try {
    return sessionStorage.getItem(NAME);
  } catch {
    return null; // storage is forbidden in some embedded pages
  }
}

/** Keeps `key` until the tab is closed; an empty one forgets it. */
export function setApiKey(key: string): void {
  try {
    if (key === "") sessionStorage.removeItem(NAME);
    else sessionStorage.setItem(NAME, key);
  } catch {
    // Without storage the key cannot be kept, and the next request asks for it again.
  }
}
