import { signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { phase, resized, typed } from "./run";
import type { TerminalView } from "./xterm";

/** The terminal that is on the page, once its code is there. */
export const terminal = signal<TerminalView | null>(null);

/** Waits for the terminal to be on the page. */
export function terminalReady(): Promise<TerminalView> {
  return new Promise((resolve) => {
    const stop = terminal.subscribe((view) => {
      if (view === null) return;
      resolve(view);
      queueMicrotask(() => stop());
    });
  });
}

/** A terminal that shows what the program writes, and takes what is typed. */
export function TerminalPane() {
  const host = useRef<HTMLDivElement>(null);
  useEffect(() => {
    let gone = false;
    void import("./xterm").then(({ TerminalView }) => {
      if (gone || host.current === null) return;
      terminal.value = new TerminalView(host.current, { typed, resized, live: () => phase.peek() === "running" });
    });
    return () => {
      gone = true;
      terminal.value?.dispose();
      terminal.value = null;
    };
  }, []);
  return (
    <div class="term-pane" role="group" aria-label="Terminal">
      <div class="term-host" ref={host} />
    </div>
  );
}
