/** Problems in words: what happened, and what to do. */

import type { Problem } from "../api/problem";
import { sentence } from "./format";

export interface Advice {
  title: string;
  text: string;
}

/** What to say and what to do when the service did not run a program. */
export function adviceOf(problem: Problem): Advice {
  const detail = sentence(problem.message);
  switch (problem.kind) {
    case "key_missing":
      return { title: "A key is needed", text: "This service runs programs for those who have a key. Enter yours; it is kept until this tab is closed." };
    case "forbidden":
      return { title: "Not allowed", text: `${detail} Another key may be allowed to.` };
    case "not_found":
      return { title: "Not found", text: detail };
    case "invalid":
      return { title: "The request was refused", text: problem.errors.length > 0 ? "Something in it is not as the service takes it:" : detail };
    case "too_large":
      return { title: "Too large", text: `${detail} Make the files or the input smaller.` };
    case "rate":
      return { title: "Too many runs", text: `${detail} The run is tried again by itself.` };
    case "queue_full":
      return { title: "The service is busy", text: `${detail} The run is tried again by itself.` };
    case "draining":
      return { title: "The service is restarting", text: "It takes no new runs just now. The run is tried again by itself." };
    case "offline":
      return { title: "The service cannot be reached", text: "Either it is down or your network is. The run is tried again by itself; your work is kept in this browser." };
    case "cut_off":
      return { title: "The run was cut off", text: `${detail} What the program wrote until then is still here.` };
    case "no_live":
      return { title: "No live terminal", text: "A terminal needs a WebSocket, and something between this page and the service does not let one through. Switch the input to “Text” and run again." };
    case "internal":
      return { title: "The service failed", text: `${detail} Run it again; if it keeps happening, its operator should know.` };
  }
}
