import { useSignal } from "@preact/signals";
import { useId, useRef } from "preact/hooks";
import { bytes, plural } from "../ui/format";
import { asTyped } from "../ui/plain";
import { pairs, samples, type NamedBytes } from "./pairs";
import { addTests, bytesOf, change, dataOf, remove, tests, type Data, type TestCase } from "./tests";

/** A zip of tests is unpacked in the page; larger ones are for the command line. */
const MAX_UPLOAD_BYTES = 256 * 2 ** 20;

/** The tests, and what adds some. */
export function TestList() {
  const pasting = useSignal(false);
  const notice = useSignal("");
  const chooser = useRef<HTMLInputElement>(null);
  const adder = useRef<HTMLButtonElement>(null);
  const paster = useRef<HTMLButtonElement>(null);
  const read = async (files: File[]): Promise<void> => {
    notice.value = "";
    try {
      notice.value = await addFiles(files);
    } catch (cause) {
      notice.value = cause instanceof Error ? cause.message : String(cause);
    }
  };
  return (
    // Files may also be dropped here; the button does the same for everybody.
    // eslint-disable-next-line jsx-a11y/no-noninteractive-element-interactions
    <section
      class="judge-tests"
      aria-label="Tests"
      onDragOver={(event) => event.preventDefault()}
      onDrop={(event) => {
        event.preventDefault();
        void read([...(event.dataTransfer?.files ?? [])]);
      }}
    >
      <div class="judge-bar">
        <button ref={adder} type="button" class="button small" onClick={() => addTests([{ stdin: { text: "" }, expected: { text: "" } }])}>
          Add test
        </button>
        <button ref={paster} type="button" class="button small" aria-expanded={pasting.value} onClick={() => (pasting.value = !pasting.value)}>
          Paste samples
        </button>
        <button type="button" class="button small" onClick={() => chooser.current?.click()}>
          Upload files or zip
        </button>
        <input
          ref={chooser}
          type="file"
          multiple
          hidden
          aria-label="Test files"
          accept=".in,.ans,.out,.a,.txt,.zip"
          onChange={(event) => {
            void read([...(event.currentTarget.files ?? [])]);
            event.currentTarget.value = "";
          }}
        />
        {tests.value.length > 0 && (
          <button
            type="button"
            class="button small quiet"
            onClick={() => {
              tests.value = [];
              adder.current?.focus();
            }}
          >
            Remove all
          </button>
        )}
      </div>
      {pasting.value && (
        <Paste
          onDone={() => {
            pasting.value = false;
            paster.current?.focus();
          }}
        />
      )}
      {notice.value !== "" && (
        <p class="hint" role="status">
          {notice.value}
        </p>
      )}
      {tests.value.length === 0 ? (
        <p class="hint">
          No tests yet. Add one, paste the samples of a problem statement, or bring pairs like <code>1.in</code> and <code>1.ans</code> (or <code>1.out</code>), as files or in a zip.
        </p>
      ) : (
        <ul class="judge-list">
          {tests.value.map((test) => (
            <Test
              key={test.key}
              test={test}
              onRemove={() => {
                remove(test.key);
                adder.current?.focus();
              }}
            />
          ))}
        </ul>
      )}
    </section>
  );
}

/** Adds the tests in `files`; says what was found. */
async function addFiles(files: File[]): Promise<string> {
  const total = files.reduce((sum, { size }) => sum + size, 0);
  if (total > MAX_UPLOAD_BYTES) throw new Error(`These files have ${bytes(total)}; the page takes at most ${bytes(MAX_UPLOAD_BYTES)} at once.`);
  const all: NamedBytes[] = [];
  for (const file of files) {
    const content = new Uint8Array(await file.arrayBuffer());
    if (/\.zip$/i.test(file.name)) all.push(...(await import("./zip")).unpack(content));
    else all.push({ name: file.name, bytes: content });
  }
  const { found, left } = pairs(all);
  addTests(found.map(({ name, input, expected }) => ({ name, stdin: dataOf(input), expected: dataOf(expected) })));
  const others = left.length === 0 ? "" : ` Without another half: ${left.slice(0, 5).join(", ")}${left.length > 5 ? ", …" : ""}.`;
  return `${plural(found.length, "test")} added.${others}`;
}

function Paste({ onDone }: { onDone(): void }) {
  const id = useId();
  const text = useSignal("");
  const found = samples(text.value);
  const add = (): void => {
    addTests(found.map(({ input, expected }) => ({ stdin: { text: input }, expected: { text: expected } })));
    onDone();
  };
  return (
    <div class="field judge-paste">
      <label for={id}>Samples, each with its headings</label>
      <textarea id={id} class="input" rows={7} {...asTyped} placeholder={"Sample Input 1\n1 2\nSample Output 1\n3"} value={text.value} onInput={(event) => (text.value = event.currentTarget.value)} />
      <div class="judge-bar">
        <button type="button" class="button small primary" disabled={found.length === 0} onClick={add}>
          Add {plural(found.length, "sample")}
        </button>
        <button type="button" class="button small quiet" onClick={onDone}>
          Close
        </button>
        {text.value.trim() !== "" && found.length === 0 && <span class="hint">There must be a line “Input” and, after it, a line “Output”.</span>}
      </div>
    </div>
  );
}

function Test({ test, onRemove }: { test: TestCase; onRemove(): void }) {
  const id = useId();
  const open = useSignal(bytesOf(test.stdin).length + bytesOf(test.expected).length === 0);
  const set = (part: Partial<TestCase>): void => change(test.key, part);
  return (
    <li class="judge-test">
      <div class="judge-test-head">
        <button type="button" class="judge-toggle" aria-expanded={open.value} aria-controls={`${id}-data`} onClick={() => (open.value = !open.value)}>
          <span class="visually-hidden">Data of test {test.name}</span>
        </button>
        <label class="visually-hidden" for={`${id}-name`}>
          Name of test {test.name}
        </label>
        <input id={`${id}-name`} class="input judge-name" {...asTyped} value={test.name} onInput={(event) => set({ name: event.currentTarget.value })} />
        <span class="hint judge-size">{bytes(bytesOf(test.stdin).length)} in</span>
        <label class="visually-hidden" for={`${id}-group`}>
          Group of test {test.name}
        </label>
        <input id={`${id}-group`} class="input judge-group" {...asTyped} placeholder="group" value={test.group} onInput={(event) => set({ group: event.currentTarget.value })} />
        <label class="visually-hidden" for={`${id}-points`}>
          Points of test {test.name}
        </label>
        <input id={`${id}-points`} class="input judge-points" {...asTyped} placeholder="points" inputMode="decimal" value={test.points} onInput={(event) => set({ points: event.currentTarget.value })} />
        <button type="button" class="file-remove" aria-label={`Remove test ${test.name}`} onClick={onRemove}>
          ×
        </button>
      </div>
      {open.value && (
        <div class="judge-data" id={`${id}-data`}>
          <DataField title="Input" data={test.stdin} onChange={(stdin) => set({ stdin })} />
          <DataField title="Expected output" data={test.expected} onChange={(expected) => set({ expected })} />
        </div>
      )}
    </li>
  );
}

function DataField({ title, data, onChange }: { title: string; data: Data; onChange(data: Data): void }) {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{title}</label>
      {"text" in data ? (
        <textarea id={id} class="input" rows={4} {...asTyped} value={data.text} onInput={(event) => onChange({ text: event.currentTarget.value })} />
      ) : (
        <output id={id} class="hint">
          {bytes(data.bytes.length)}, too long to edit here or no text; uploaded as it is.
        </output>
      )}
    </div>
  );
}
