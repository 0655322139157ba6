import { signal, useSignal } from "@preact/signals";
import { useEffect, useId, useRef } from "preact/hooks";
import * as api from "../api/client";
import { Problem } from "../api/problem";
import { announce } from "../ui/announce";
import { MAX_FRAGMENT_CHARS, pack } from "./fragment";
import { shareDocument } from "./workspace";

export const sharing = signal(false);

/** Links to the work, and the frame that shows it in other pages. */
export function ShareDialog() {
  const dialog = useRef<HTMLDialogElement>(null);
  const open = sharing.value;
  useEffect(() => {
    if (open) dialog.current?.showModal();
    else dialog.current?.close();
  }, [open]);
  return (
    <dialog class="share" ref={dialog} aria-labelledby="share-title" onClose={() => (sharing.value = false)}>
      {open && (
        <>
          <header class="share-head">
            <h2 id="share-title">Share</h2>
            <button type="button" class="button quiet small" onClick={() => (sharing.value = false)}>
              Close
            </button>
          </header>
          <Links />
        </>
      )}
    </dialog>
  );
}

function Links() {
  const fragment = useSignal<string | null>(null);
  useEffect(() => void pack(shareDocument()).then((text) => (fragment.value = text)), []);
  const text = fragment.value;
  const fits = text !== null && text.length <= MAX_FRAGMENT_CHARS;
  return (
    <>
      <StoredLink />
      <section class="share-part">
        <h3>A link that holds everything</h3>
        <p class="hint">Code, input and settings are in the link itself. No server sees or keeps them, and it does not expire.</p>
        {fits && <Copyable label="Link with everything in it" text={`${location.origin}/${text}`} />}
        {text !== null && !fits && <p class="field-error">The work is too large for a link of its own. Use a short link.</p>}
      </section>
      {fits && (
        <section class="share-part">
          <h3>A frame for your page</h3>
          <p class="hint">Shows the program with a Run button. The service’s operator decides which sites may show it.</p>
          <Copyable label="Snippet" lines text={`<iframe src="${location.origin}/embed${text}" title="Program" width="100%" height="420" loading="lazy"></iframe>`} />
        </section>
      )}
    </>
  );
}

function StoredLink() {
  const state = useSignal<{ url: string; expires: string } | { error: string } | "asking" | null>(null);
  const ask = async (): Promise<void> => {
    state.value = "asking";
    try {
      const { url, expires_at: expires } = await api.createShare(shareDocument());
      const absolute = new URL(url, location.href).href;
      state.value = { url: absolute, expires };
      announce("The short link is there.");
    } catch (error) {
      state.value = { error: error instanceof Problem ? error.message : String(error) };
    }
  };
  const now = state.value;
  return (
    <section class="share-part">
      <h3>A short link</h3>
      <p class="hint">The service keeps a copy of code, input and settings; whoever has the link can read it.</p>
      {now !== null && typeof now === "object" && "url" in now ? (
        <>
          <Copyable label="Short link" text={now.url} />
          <p class="hint">
            Kept until {new Date(now.expires).toLocaleDateString("en-GB", { day: "numeric", month: "long", year: "numeric" })}.
          </p>
        </>
      ) : (
        <button type="button" class="button" disabled={now === "asking"} onClick={() => void ask()}>
          Make a short link
        </button>
      )}
      {now !== null && typeof now === "object" && "error" in now && (
        <p class="field-error" role="alert">
          {now.error} The link below works without the service.
        </p>
      )}
    </section>
  );
}

function Copyable({ label, text, lines = false }: { label: string; text: string; lines?: boolean }) {
  const id = useId();
  const copied = useSignal(false);
  const copy = async (): Promise<void> => {
    try {
      await navigator.clipboard.writeText(text);
      copied.value = true;
      announce("Copied.");
    } catch {
      // Not over plain HTTP: the text is selected, and can be copied by hand.
      const field = document.getElementById(id);
      if (field instanceof HTMLInputElement || field instanceof HTMLTextAreaElement) field.select();
    }
  };
  return (
    <div class="copyable">
      {lines ? (
        <textarea id={id} class="input mono" readOnly rows={3} aria-label={label} value={text} />
      ) : (
        <input id={id} class="input mono" type="text" readOnly aria-label={label} value={text} />
      )}
      <button type="button" class="button" onClick={() => void copy()}>
        {copied.value ? "Copied" : "Copy"}
      </button>
    </div>
  );
}
