import { signal } from "@preact/signals";

const words = signal("");

/** Says something to those who listen to the page instead of looking at it. */
export function announce(text: string): void {
  words.value = text;
}

/** Where announcements are spoken from; once a page. */
export function Announcer() {
  return (
    <div class="visually-hidden" role="status" aria-live="polite">
      {words.value}
    </div>
  );
}
