/** Server-sent events by way of `fetch`, which unlike `EventSource` can carry a key. */

export interface ServerEvent {
  id: string;
  name: string;
  data: string;
}

/** Reads events out of text that comes in pieces (HTML standard, section 9.2.6). */
export class EventReader {
  private rest = "";
  private id = "";
  private name = "";
  private data: string[] = [];

  read(piece: string): ServerEvent[] {
    const lines = (this.rest + piece).split(/\r\n|\n|\r(?=.)/s);
    this.rest = lines.pop() ?? "";
    const events: ServerEvent[] = [];
    for (const line of lines) {
      if (line === "") {
        if (this.data.length > 0) events.push({ id: this.id, name: this.name === "" ? "message" : this.name, data: this.data.join("\n") });
        this.name = "";
        this.data = [];
      } else {
        this.field(line);
      }
    }
    return events;
  }

  private field(line: string): void {
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "id") this.id = value;
    else if (field === "event") this.name = value;
    else if (field === "data") this.data.push(value);
  }
}
