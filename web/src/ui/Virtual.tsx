import type { ComponentChildren } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";

interface Props {
  label: string;
  count: number;
  /** The content of a row, which must not wrap. */
  row(at: number): ComponentChildren;
  /** Whether the view stays at the end as rows are added, if it is there. */
  follow?: boolean;
  class?: string;
}

/** Height of a row; the style sheet has the same. */
const ROW_PX = 20;
/** Rows beyond the edges, so that scrolling by a few shows no gap. */
const MARGIN_ROWS = 20;
/** How near to the end counts as being there. */
const NEAR_PX = 2 * ROW_PX;

/** A list of any length, of which only the rows in view exist. */
export function Virtual({ label, count, row, follow = false, class: name = "" }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const atEnd = useRef(true);
  const lastTop = useRef(0);
  const [view, setView] = useState({ top: 0, height: 600 });
  const look = (): void => {
    const element = box.current;
    if (element === null) return;
    // Rows that came since the view was moved to the end do not mean that somebody scrolled away from it.
    if (element.scrollTop + element.clientHeight >= element.scrollHeight - NEAR_PX) atEnd.current = true;
    else if (element.scrollTop < lastTop.current) atEnd.current = false;
    lastTop.current = element.scrollTop;
    setView({ top: element.scrollTop, height: element.clientHeight });
  };
  useEffect(() => {
    const element = box.current;
    if (element === null) return;
    const observer = new ResizeObserver(look);
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  useLayoutEffect(() => {
    const element = box.current;
    if (element !== null && follow && atEnd.current) element.scrollTop = element.scrollHeight;
  }, [count, follow]);
  const first = Math.max(0, Math.floor(view.top / ROW_PX) - MARGIN_ROWS);
  const last = Math.min(count, Math.ceil((view.top + view.height) / ROW_PX) + MARGIN_ROWS);
  return (
    // A region that scrolls must take the focus, or a keyboard cannot scroll it.
    // eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex
    <div class={`virtual ${name}`} ref={box} role="region" aria-label={label} tabIndex={0} onScroll={look}>
      <div class="virtual-all" style={{ height: `${count * ROW_PX}px` }}>
        <div class="virtual-rows" style={{ transform: `translateY(${first * ROW_PX}px)` }}>
          {Array.from({ length: Math.max(0, last - first) }, (_, at) => (
            <div class="virtual-row" key={first + at}>
              {row(first + at)}
            </div>
          ))}
        </div>
      </div>
    </div>
  );
}
