import { effect, signal, untracked, useSignal, useSignalEffect } from "@preact/signals";
import { useId } from "preact/hooks";
import type { LimitName } from "../api/types";
import { asTyped } from "../ui/plain";
import { LIMIT_FIELDS, environmentText, inUnit, inWords, joinArguments, parseEnvironment, parseLimit, splitArguments, type LimitField } from "./limits";
import { language, revision, settings, update } from "./workspace";

/** What is wrong in the fields, by field; a run waits until it is nothing. */
export const troubles = signal<ReadonlyMap<string, string>>(new Map());

// Work from elsewhere comes with values that were right: the fields show those.
effect(() => {
  void revision.value;
  troubles.value = new Map();
});

function setTrouble(field: string, trouble: string | null): void {
  const next = new Map(troubles.value);
  if (trouble === null) next.delete(field);
  else next.set(field, trouble);
  troubles.value = next;
}

/** Arguments, environment, compiler options, files to bring back, and limits. */
export function OptionsPane() {
  const compiled = language.value?.compiled === true;
  return (
    <div class="options">
      <div class="options-words">
        <WordsField title="Arguments" hint="As in a shell: quotes hold words together." name="args" />
        {compiled && <WordsField title="Compiler options" hint="Added to the language’s own command." name="compilerArgs" />}
        <TextField
          title="Environment"
          hint="One NAME=value in each line."
          lines
          shown={() => environmentText(settings.value.env)}
          take={(text) => {
            const parsed = parseEnvironment(text);
            if ("error" in parsed) return parsed.error;
            update({ env: parsed.env });
            return null;
          }}
        />
        <WordsField title="Files to bring back" hint="Patterns such as out/*.png; images are shown." name="outputFiles" />
      </div>
      <fieldset class="options-limits">
        <legend class="label">Limits</legend>
        <div class="limits-grid">
          {LIMIT_FIELDS.map((field) => (
            <LimitInput key={field.name} field={field} />
          ))}
        </div>
      </fieldset>
    </div>
  );
}

interface WordsProps {
  title: string;
  hint: string;
  name: "args" | "compilerArgs" | "outputFiles";
}

/** A list of words, written as in a shell. */
function WordsField({ title, hint, name }: WordsProps) {
  return (
    <TextField
      title={title}
      hint={hint}
      shown={() => joinArguments(settings.value[name])}
      take={(text) => {
        const parsed = splitArguments(text);
        if ("error" in parsed) return parsed.error;
        update({ [name]: parsed.args });
        return null;
      }}
    />
  );
}

interface TextProps {
  title: string;
  hint: string;
  lines?: boolean;
  shown(): string;
  /** Takes what was typed, or says what is wrong with it. */
  take(text: string): string | null;
}

function TextField({ title, hint, lines = false, shown, take }: TextProps) {
  const id = useId();
  const text = useSignal(shown());
  // Work that comes from elsewhere replaces what is in the field.
  useSignalEffect(() => {
    void revision.value;
    text.value = untracked(shown);
  });
  const trouble = troubles.value.get(title) ?? null;
  const props = {
    id,
    class: "input mono",
    ...asTyped,
    value: text.value,
    "aria-invalid": trouble !== null,
    "aria-describedby": `${id}-hint`,
    onInput: (event: { currentTarget: { value: string } }) => {
      text.value = event.currentTarget.value;
      setTrouble(title, take(text.value));
    },
  };
  return (
    <div class="field">
      <label for={id}>{title}</label>
      {lines ? <textarea rows={2} {...props} /> : <input type="text" {...props} />}
      <p class={trouble === null ? "hint" : "field-error"} id={`${id}-hint`}>
        {trouble ?? hint}
      </p>
    </div>
  );
}

function LimitInput({ field }: { field: LimitField }) {
  const id = useId();
  const set = settings.value.limits[field.name];
  const text = useSignal(set === undefined ? "" : inUnit(field, set));
  useSignalEffect(() => {
    void revision.value;
    const value = settings.peek().limits[field.name];
    text.value = value === undefined ? "" : inUnit(field, value);
  });
  const defaults = language.value?.default_limits ?? null;
  const max = language.value?.max_limits ?? null;
  const trouble = troubles.value.get(field.name) ?? null;
  const take = (typed: string): void => {
    text.value = typed;
    const parsed = parseLimit(field, typed, max);
    setTrouble(field.name, "error" in parsed ? parsed.error : null);
    if (!("error" in parsed)) setLimit(field.name, parsed.value);
  };
  return (
    <div class="field">
      <label for={id}>
        {field.title}
        {field.unit && <span class="unit"> ({field.unit})</span>}
      </label>
      <input
        id={id}
        class="input mono"
        type="text"
        inputMode="decimal"
        value={text.value}
        placeholder={defaults === null ? "" : inUnit(field, defaults[field.name])}
        aria-invalid={trouble !== null}
        aria-describedby={`${id}-hint`}
        title={field.explains}
        onInput={(event) => take(event.currentTarget.value)}
      />
      <p class={trouble === null ? "hint" : "field-error"} id={`${id}-hint`}>
        {trouble ?? (max === null ? "" : `at most ${inWords(field.name, max[field.name])}`)}
      </p>
    </div>
  );
}

function setLimit(name: LimitName, value: number | null): void {
  const limits = Object.fromEntries(Object.entries(settings.value.limits).filter(([other]) => other !== name));
  update({ limits: value === null ? limits : { ...limits, [name]: value } });
}
