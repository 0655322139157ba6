import type { ComponentChildren } from "preact";
import { useId, useRef } from "preact/hooks";

export interface Tab {
  id: string;
  title: string;
  /** A short addition to the title, such as a number. */
  badge?: string | undefined;
}

interface Props {
  label: string;
  tabs: Tab[];
  chosen: string;
  onChoose(id: string): void;
  children: ComponentChildren;
  /** What stands at the end of the row of tabs. */
  end?: ComponentChildren;
}

/** Tabs and the panel of the chosen one; arrow keys, Home and End move between tabs. */
export function Tabs({ label, tabs, chosen, onChoose, children, end }: Props) {
  const prefix = useId();
  const row = useRef<HTMLDivElement>(null);
  const move = (event: KeyboardEvent): void => {
    const at = tabs.findIndex(({ id }) => id === chosen);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tabs.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    const next = tabs[(to + tabs.length) % tabs.length];
    if (next === undefined) return;
    onChoose(next.id);
    row.current?.querySelector<HTMLElement>(`[data-tab="${next.id}"]`)?.focus();
  };
  return (
    <div class="tabs">
      <div class="tabs-row">
        <div class="tabs-list" role="tablist" aria-label={label} ref={row} tabIndex={-1} onKeyDown={move}>
          {tabs.map(({ id, title, badge }) => (
            <button
              key={id}
              type="button"
              role="tab"
              class="tab"
              id={`${prefix}-${id}`}
              data-tab={id}
              aria-selected={id === chosen}
              aria-controls={`${prefix}-panel`}
              tabIndex={id === chosen ? 0 : -1}
              onClick={() => onChoose(id)}
            >
              {title}
              {badge !== undefined && <span class="badge">{badge}</span>}
            </button>
          ))}
        </div>
        {end}
      </div>
      {/* It scrolls, so a keyboard must be able to reach it. */}
      {/* eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex */}
      <div class="tabs-panel" tabIndex={0} role="tabpanel" id={`${prefix}-panel`} aria-labelledby={`${prefix}-${chosen}`}>
        {children}
      </div>
    </div>
  );
}
