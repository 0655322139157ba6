import { useMemo } from "preact/hooks";
import { diff, diffOfPart, excerpt, type DiffLine } from "./diff";
import "./diff.css";

interface Props {
  expected: string;
  actual: string;
  /** Whether `actual` is all of it. */
  whole: boolean;
}

const SIGNS = { same: " ", expected: "−", actual: "+" };
const SPOKEN = { same: "", expected: "expected: ", actual: "written: " };

/** Where the output differs from what was expected. */
export function DiffView({ expected, actual, whole }: Props) {
  const lines = useMemo(() => excerpt(whole ? diff(expected, actual) : diffOfPart(expected, actual)), [expected, actual, whole]);
  const same = lines.every((line) => line === null);
  return (
    <figure class="diff" aria-label="Expected and actual output">
      <figcaption class="diff-legend">
        <span class="diff-key expected">− expected</span>
        <span class="diff-key actual">+ written by the program</span>
      </figcaption>
      {same ? (
        <p class="hint">{whole ? "Line by line they are the same: they differ in something that lines do not show, or the checker wants something else." : "So far they are the same."}</p>
      ) : (
        // A region that scrolls must take the focus, or a keyboard cannot scroll it.
        // eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex
        <div class="diff-lines text" role="region" aria-label="Lines that differ" tabIndex={0}>
          {lines.map((line, at) => (line === null ? <p key={at} class="diff-gap" aria-hidden="true">⋯</p> : <Line key={at} line={line} />))}
        </div>
      )}
    </figure>
  );
}

function Line({ line }: { line: DiffLine }) {
  const [from, to] = line.mark ?? [0, 0];
  return (
    <p class={`diff-line ${line.kind}`}>
      <span class="diff-number" aria-hidden="true">
        {line.line} {SIGNS[line.kind]}
      </span>
      <span class="visually-hidden">{SPOKEN[line.kind]}</span>
      <span class="diff-text">
        {line.text.slice(0, from)}
        {to > from && <mark>{line.text.slice(from, to)}</mark>}
        {line.text.slice(Math.max(from, to))}
      </span>
    </p>
  );
}
