import { asTyped } from "../ui/plain";
import { update, settings } from "./workspace";

/** What the program reads. */
export function InputPane() {
  const { mode, stdin } = settings.value;
  return (
    <div class="input-pane">
      <fieldset class="choice">
        <legend class="visually-hidden">Where the program’s input comes from</legend>
        {(["box", "terminal"] as const).map((value) => (
          <label key={value} class={value === mode ? "chosen" : ""}>
            <input type="radio" name="mode" value={value} checked={value === mode} onChange={() => update({ mode: value })} />
            {value === "box" ? "Text" : "Live terminal"}
          </label>
        ))}
      </fieldset>
      {mode === "box" ? (
        <textarea
          class="stdin mono"
          aria-label="Standard input"
          placeholder="What the program reads from standard input"
          {...asTyped}
          value={stdin}
          onInput={(event) => update({ stdin: event.currentTarget.value })}
        />
      ) : (
        <p class="hint">
          The program gets a terminal, in which you type while it runs. Ctrl+C interrupts it, Ctrl+D ends its input, Shift+Tab leaves the
          terminal.
        </p>
      )}
    </div>
  );
}
