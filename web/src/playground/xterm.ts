/** xterm.js, made to live under the page's security policy. Fetched when a terminal is first wanted. */

import { FitAddon } from "@xterm/addon-fit";
import { Terminal as Xterm, type ITheme } from "@xterm/xterm";
import "@xterm/xterm/css/xterm.css";
import type { Size } from "../api/live";
import { cspNonce } from "../ui/nonce";

/** Lines that can be scrolled back to; the whole output is in the download. */
const SCROLLBACK_LINES = 5_000;

/** Ways of writing. */
const [FAINT, PLAIN] = ["\u001b[2m", "\u001b[0m"];

export interface TerminalEvents {
  typed(bytes: Uint8Array): void;
  resized(size: Size): void;
  /** Whether a program is there to type to. */
  live(): boolean;
}

/** Terminals on the page; while there are any, elements are made by `createForPolicy`. */
let terminals = 0;

/**
 * As `document.createElement`, but so that what the library makes of it is within the page's policy: it
 * adds `<style>` elements, which need the nonce, and sets `style` attributes, which the policy forbids
 * although the same through `element.style` is fine.
 */
function createForPolicy(name: string, options?: ElementCreationOptions): HTMLElement {
  // eslint-disable-next-line @typescript-eslint/no-deprecated -- only for the names of outdated elements
  const element: HTMLElement = Document.prototype.createElement.call(document, name, options);
  if (name === "style") element.nonce = cspNonce();
  if (name === "span") {
    const setAttribute = element.setAttribute.bind(element);
    element.setAttribute = (attribute, value) => {
      if (attribute === "style") element.style.cssText = value;
      else setAttribute(attribute, value);
    };
  }
  return element;
}

/** The library asks the page's document for its elements, wherever it is told to take them from. */
function withinPolicy(): () => void {
  terminals += 1;
  Object.defineProperty(document, "createElement", { value: createForPolicy, configurable: true });
  return () => {
    terminals -= 1;
    if (terminals === 0) Reflect.deleteProperty(document, "createElement"); // the prototype's shows again
  };
}

function theme(host: HTMLElement): ITheme {
  const style = getComputedStyle(host);
  const colour = (name: string): string => style.getPropertyValue(name).trim();
  return {
    background: colour("--paper"),
    foreground: colour("--ink"),
    cursor: colour("--accent"),
    cursorAccent: colour("--paper"),
    selectionBackground: colour("--selection"),
  };
}

export class TerminalView {
  readonly #xterm: Xterm;
  readonly #fit = new FitAddon();
  readonly #stop: (() => void)[] = [];

  constructor(host: HTMLElement, events: TerminalEvents) {
    this.#xterm = new Xterm({
      scrollback: SCROLLBACK_LINES,
      screenReaderMode: true,
      minimumContrastRatio: 4.5,
      fontFamily: getComputedStyle(host).getPropertyValue("--mono"),
      fontSize: 13,
      theme: theme(host),
    });
    this.#xterm.loadAddon(this.#fit);
    this.#stop.push(withinPolicy());
    this.#xterm.open(host);
    this.#xterm.attachCustomKeyEventHandler((event) => {
      // Tab belongs to the program only while there is one; Shift+Tab always leaves.
      if (event.key === "Tab") return !event.shiftKey && events.live();
      return !(event.key === "Enter" && (event.ctrlKey || event.metaKey));
    });
    const encoder = new TextEncoder();
    this.#xterm.onData((text) => events.typed(encoder.encode(text)));
    this.#xterm.onBinary((text) => events.typed(Uint8Array.from(text, (char) => char.charCodeAt(0))));
    this.#xterm.onResize(({ rows, cols }) => events.resized({ rows, cols }));
    const observer = new ResizeObserver(() => this.#fit.fit());
    observer.observe(host);
    const dark = matchMedia("(prefers-color-scheme: dark)");
    const recolour = (): void => {
      this.#xterm.options.theme = theme(host);
    };
    dark.addEventListener("change", recolour);
    this.#stop.push(
      () => observer.disconnect(),
      () => dark.removeEventListener("change", recolour),
    );
    this.#fit.fit();
    this.#xterm.write(`${FAINT}Run the program to speak with it here.${PLAIN}\r\n`);
  }

  get size(): Size {
    return { rows: this.#xterm.rows, cols: this.#xterm.cols };
  }

  clear(): void {
    this.#xterm.reset();
  }

  focus(): void {
    this.#xterm.focus();
  }

  write(bytes: Uint8Array): void {
    this.#xterm.write(bytes);
  }

  dispose(): void {
    this.#xterm.dispose();
    for (const stop of this.#stop) stop();
  }
}
