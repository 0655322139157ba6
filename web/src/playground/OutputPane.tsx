import { useLayoutEffect, useRef } from "preact/hooks";
import type { ComponentChildren } from "preact";
import { download } from "../ui/download";
import { bytes, plural } from "../ui/format";
import { Virtual } from "../ui/Virtual";
import { BinaryView } from "./BinaryView";
import { goTo } from "./EditorPane";
import type { Line, OutputLog, StreamName } from "./log";
import { places } from "./marks";
import { busy, compiled, log, logVersion, notLive, phase, result } from "./run";
import type { Place } from "./places";

/** Up to here output is plain text that wraps; beyond, only the lines in view exist. */
const PLAIN_LINES = 1_000;
const PLAIN_BYTES = 100_000;

/** Everything that was written: by the compiler, and by the program. */
export function OutputPane() {
  void logVersion.value;
  const output = log.value;
  const compile = result.value?.compile ?? compiled.value;
  const words = compile === null ? "" : `${compile.stderr}${compile.stdout}`.trimEnd();
  const ended = phase.value === "ended" && result.value !== null;
  return (
    <div class="output">
      {words !== "" && (
        <section class="output-part" aria-label="Compiler">
          <h3 class="label">Compiler</h3>
          <pre class="text compiler">{words.slice(0, PLAIN_BYTES).split("\n").map((line, at) => <div key={at}><Linked text={line} /></div>)}</pre>
        </section>
      )}
      {(["stdout", "stderr"] as const).map((name) => output[name].binary && <BinaryStream key={name} output={output} name={name} />)}
      {output.lineCount > 0 && <Text output={output} />}
      {output.bytes === 0 && ended && result.value?.run && <p class="hint">The program wrote nothing.</p>}
      <Downloads output={output} />
    </div>
  );
}

function Text({ output }: { output: OutputLog }) {
  void logVersion.value; // the log is the same object, with more in it
  const row = (at: number): ComponentChildren => <Row line={output.line(at)} />;
  const plain = output.lineCount <= PLAIN_LINES && output.bytes <= PLAIN_BYTES;
  const box = useRef<HTMLPreElement>(null);
  useFollow(box, output.lineCount);
  if (!plain) return <Virtual label="Output" class="text" count={output.lineCount} row={row} follow={!notLive.value} />;
  return (
    // On small screens it scrolls, and must take the focus, or a keyboard cannot scroll it.
    // eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex
    <pre class="text written" ref={box} role="region" tabIndex={0} aria-label="Output" data-testid="output">
      {Array.from({ length: output.lineCount }, (_, at) => (
        <div key={at}>{row(at)}</div>
      ))}
    </pre>
  );
}

/** How near to the end counts as being there. */
const NEAR_PX = 40;

/** Keeps the end of `box` in view as `lines` are added, for whoever looks at it. */
function useFollow(box: { current: HTMLElement | null }, lines: number): void {
  const heights = useRef(new WeakMap<Element, number>());
  useLayoutEffect(() => {
    if (!busy()) return;
    // One of them scrolls: which one, the style sheet says.
    for (const element of [box.current, box.current?.closest(".tabs-panel, .embed-results")]) {
      if (!element) continue;
      const before = heights.current.get(element) ?? 0;
      if (element.scrollTop + element.clientHeight >= before - NEAR_PX) element.scrollTop = element.scrollHeight;
      heights.current.set(element, element.scrollHeight);
    }
  }, [lines]);
}

function Row({ line }: { line: Line | undefined }) {
  if (line === undefined) return null;
  // An empty line has a height, and is copied as one.
  if (line.text === "") return <>{"\n"}</>;
  return line.stream === "stderr" ? (
    <span class="stderr">
      <Linked text={line.text} />
    </span>
  ) : (
    <>{line.text}</>
  );
}

/** Text in which every mention of a place in the program leads there. */
function Linked({ text }: { text: string }) {
  const found = places.value.find(text);
  if (found.length === 0) return <>{text === "" ? "\n" : text}</>;
  const parts: ComponentChildren[] = [];
  let at = 0;
  for (const place of found) {
    parts.push(text.slice(at, place.from), <PlaceLink key={place.from} place={place} text={text.slice(place.from, place.to)} />);
    at = place.to;
  }
  return (
    <>
      {parts}
      {text.slice(at)}
    </>
  );
}

function PlaceLink({ place, text }: { place: Place; text: string }) {
  const { path, line, column } = place;
  return (
    <button type="button" class="link place" onClick={() => (goTo.value = { path, line, column })}>
      {text}
    </button>
  );
}

function BinaryStream({ output, name }: { output: OutputLog; name: StreamName }) {
  void logVersion.value;
  return (
    <section class="output-part" aria-label={name}>
      <h3 class="label">
        {name}: {bytes(output[name].bytes)} that are not text
      </h3>
      <BinaryView blob={output.blob(name)} name={name} settled={phase.value === "ended"} />
    </section>
  );
}

function Downloads({ output }: { output: OutputLog }) {
  void logVersion.value;
  if (output.bytes === 0 || busy()) return null;
  const stage = result.value?.run;
  return (
    <div class="downloads">
      {output.omitted > 0 && <p class="hint">{plural(output.omitted, "line")} in the middle are not shown; the downloads have them.</p>}
      {output.dropped > 0 && <p class="hint">The last {bytes(output.dropped)} were too much for this page.</p>}
      {(["stdout", "stderr"] as const).map(
        (name) =>
          output[name].bytes > 0 && (
            <span key={name}>
              <button type="button" class="button quiet small" onClick={() => download(output.blob(name), `${name}.${output[name].binary ? "bin" : "txt"}`)}>
                Download {name} <span class="unit">({bytes(output[name].bytes)})</span>
              </button>
              {stage && stage[`${name}_bytes`] > output[name].bytes + output.dropped && (
                <span class="hint"> cut at its limit; the program wrote {bytes(stage[`${name}_bytes`])}</span>
              )}
            </span>
          ),
      )}
    </div>
  );
}
