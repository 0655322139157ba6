import { useId } from "preact/hooks";
import { languages } from "../playground/workspace";
import { asTyped } from "../ui/plain";
import { changeGroup, checker, EMPTY_GROUP, groups, groupSettings, stop, type CheckerSettings } from "./tests";
import type { CheckerType, Scoring, Stop } from "./types";
import { CHECKERS, SCORINGS, STOPS } from "./words";

const set = (part: Partial<CheckerSettings>): void => {
  checker.value = { ...checker.value, ...part };
};

interface ChoiceProps<T extends string> {
  title: string;
  words: Record<T, string>;
  value: T;
  onChoose(value: T): void;
}

function Choice<T extends string>({ title, words, value, onChoose }: ChoiceProps<T>) {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{title}</label>
      <select id={id} class="input" value={value} onChange={(event) => onChoose(event.currentTarget.value as T)}>
        {Object.entries<string>(words).map(([name, text]) => (
          <option key={name} value={name}>
            {text}
          </option>
        ))}
      </select>
    </div>
  );
}

interface TextProps {
  title: string;
  value: string;
  placeholder?: string;
  onText(value: string): void;
}

function Text({ title, value, placeholder = "", onText }: TextProps) {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{title}</label>
      <input id={id} class="input" {...asTyped} value={value} placeholder={placeholder} onInput={(event) => onText(event.currentTarget.value)} />
    </div>
  );
}

/** How outputs are judged, when judging stops, and what groups are worth. */
export function Settings() {
  const { type } = checker.value;
  return (
    <section class="judge-settings" aria-label="How it is judged">
      <div class="judge-pair">
        <Choice<CheckerType> title="Outputs are compared by" words={CHECKERS} value={type} onChoose={(chosen) => set({ type: chosen })} />
        <Choice<Stop> title="Judging stops" words={STOPS} value={stop.value} onChoose={(chosen) => (stop.value = chosen)} />
      </div>
      {type === "float" && (
        <div class="judge-pair">
          <Text title="Absolute tolerance" placeholder="0" value={checker.value.absolute} onText={(absolute) => set({ absolute })} />
          <Text title="Relative tolerance" placeholder="0" value={checker.value.relative} onText={(relative) => set({ relative })} />
        </div>
      )}
      {type === "program" && <Program />}
      {groups.value.length > 0 && <Groups />}
    </section>
  );
}

const PROTOCOLS = { testlib: "testlib.h", icpc: "ICPC and Kattis output validator" };

function Program() {
  const id = useId();
  const usable = languages.value.filter(({ available }) => available);
  const names = Object.fromEntries(usable.map((language) => [language.id, language.name]));
  return (
    <>
      <div class="judge-pair">
        <Choice title="The checker’s language" words={names} value={checker.value.language} onChoose={(language) => set({ language })} />
        <Choice title="It is called like a" words={PROTOCOLS} value={checker.value.protocol} onChoose={(protocol) => set({ protocol })} />
      </div>
      <div class="field">
        <label for={id}>The checker</label>
        <textarea id={id} class="input" rows={8} {...asTyped} value={checker.value.source} onInput={(event) => set({ source: event.currentTarget.value })} />
      </div>
      <Text title="Its further arguments" value={checker.value.args} onText={(args) => set({ args })} />
    </>
  );
}

function Groups() {
  return (
    <fieldset class="judge-groups">
      <legend class="label">Groups</legend>
      {groups.value.map((name) => {
        const settings = groupSettings.value[name] ?? EMPTY_GROUP;
        return (
          <div class="judge-group-row" key={name} role="group" aria-label={`Group ${name}`}>
            <strong class="mono">{name}</strong>
            <Text title="Points" placeholder="of its tests" value={settings.points} onText={(points) => changeGroup(name, { points })} />
            <Choice<Scoring> title="Scored by" words={SCORINGS} value={settings.scoring} onChoose={(scoring) => changeGroup(name, { scoring })} />
            <Text title="After" placeholder="groups that must be accepted" value={settings.dependsOn} onText={(dependsOn) => changeGroup(name, { dependsOn })} />
          </div>
        );
      })}
    </fieldset>
  );
}
