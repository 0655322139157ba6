/**
 * Speaks with the page around. Which sites may be that page is for the service's operator to say,
 * and for the browser to enforce (`frame-ancestors`). Beyond that, only the parent window is listened to,
 * and only the origin that it first spoke from; nothing but `ready` is said before it has spoken.
 */

import { effect } from "@preact/signals";
import { runNow } from "../playground/actions";
import { cancel, phase, problem, result } from "../playground/run";
import { languages, replaceWork, shareDocument } from "../playground/workspace";
import { VERSION, requestFrom, type Request, type Told } from "./protocol";

/** Begins to listen, and says so. Returns how to stop. */
export function connect(): () => void {
  if (window.parent === window) return () => undefined;
  let origin: string | null = null;
  const tell = (message: Told): void => {
    if (origin === null) return;
    // A page from a file has an origin that cannot be named.
    window.parent.postMessage({ brig: VERSION, ...message }, origin === "null" ? "*" : origin);
  };
  const listen = (event: MessageEvent<unknown>): void => {
    if (event.source !== window.parent || (origin !== null && event.origin !== origin)) return;
    const request = requestFrom(event.data);
    if (request === null) return;
    origin = event.origin;
    if ("refusal" in request) tell({ type: "refused", message: request.refusal });
    else answer(request, tell);
  };
  window.addEventListener("message", listen);
  const stop = follow(tell);
  window.parent.postMessage({ brig: VERSION, type: "ready" } satisfies Told & { brig: number }, "*");
  return () => {
    window.removeEventListener("message", listen);
    stop();
  };
}

function answer(request: Request, tell: (message: Told) => void): void {
  switch (request.type) {
    case "hello":
      tell({ type: "ready" });
      return;
    case "get":
      tell({ type: "program", program: shareDocument() });
      return;
    case "run":
      void runNow();
      return;
    case "stop":
      cancel();
      return;
    case "set": {
      const known = languages.value.find(({ id, aliases }) => id === request.language || aliases.includes(request.language));
      if (known === undefined) tell({ type: "refused", message: `this service has no language named ${request.language}` });
      else replaceWork(known.id, request.work);
    }
  }
}

/** Tells what becomes of runs, whoever began them. */
function follow(tell: (message: Told) => void): () => void {
  let before = phase.peek();
  return effect(() => {
    const now = phase.value;
    if (now === before) return;
    const wasWaiting = before === "waiting";
    before = now;
    if (now === "connecting" && !wasWaiting) tell({ type: "started" });
    const trouble = problem.peek();
    const answered = result.peek();
    if (now === "ended" && answered !== null) tell({ type: "finished", result: answered });
    else if ((now === "ended" || now === "waiting") && trouble !== null) {
      tell({ type: "problem", kind: trouble.kind, message: trouble.message, retrying: now === "waiting" });
    }
  });
}
