import { useSignal } from "@preact/signals";
import { useLayoutEffect, useRef } from "preact/hooks";
import { toBase64, utf8 } from "../api/bytes";
import { announce } from "../ui/announce";
import { bytes } from "../ui/format";
import { asTyped } from "../ui/plain";
import { nameTrouble } from "./limits";
import { activePath, addFile, entry, files, removeFile, renameFile, update } from "./workspace";

/** Files larger than this are not taken; the service's own bound may be lower, and says so. */
const MAX_UPLOAD_BYTES = 8 * 1024 * 1024;

interface Props {
  /** Called with a file's path when somebody named a new one, and wants to write it. */
  onAdded(path: string): void;
}

/** A tab for each file, and what can be done with files. */
export function FileTabs({ onAdded }: Props) {
  const renaming = useSignal<string | null>(null);
  const adding = useSignal(false);
  const list = useRef<HTMLUListElement>(null);
  const upload = useRef<HTMLInputElement>(null);
  const many = files.value.length > 1;
  // Where the focus goes when what had it is gone.
  const focusChosen = (): void => void requestAnimationFrame(() => list.current?.querySelector<HTMLElement>(".chosen .file-name")?.focus());
  const rename = (path: string, name: string | null): void => {
    if (name !== null && name !== path) renameFile(path, name);
    renaming.value = null;
    focusChosen();
  };
  const remove = (path: string): void => {
    removeFile(path);
    announce(`${path} removed.`);
    focusChosen();
  };
  const add = (name: string | null): void => {
    adding.value = false;
    if (name === null) {
      focusChosen();
      return;
    }
    addFile({ path: name, content: "" });
    onAdded(name);
  };
  return (
    <div class="files">
      <ul class="files-list" ref={list}>
        {files.value.map(({ path }) => (
          <li key={path} class={`file${path === activePath.value ? " chosen" : ""}`}>
            {renaming.value === path ? (
              <NameField label={`New name of ${path}`} value={path} others={others(path)} onDone={(name) => rename(path, name)} />
            ) : (
              <FileTab path={path} many={many} onRename={() => (renaming.value = path)} onRemove={() => remove(path)} />
            )}
          </li>
        ))}
        {adding.value && (
          <li class="file chosen">
            <NameField label="Name of the new file" value="" others={others()} onDone={add} />
          </li>
        )}
      </ul>
      <div class="files-actions">
        {many && activePath.value !== entry.value && (
          <button type="button" class="button quiet small" onClick={() => update({ entry: activePath.value })}>
            Make entry
          </button>
        )}
        <button type="button" class="button quiet small" onClick={() => (adding.value = true)}>
          Add file
        </button>
        <button type="button" class="button quiet small" onClick={() => upload.current?.click()}>
          Upload
        </button>
        <input ref={upload} class="visually-hidden" type="file" multiple tabIndex={-1} aria-label="Files to upload" onChange={(event) => void takeUploads(event.currentTarget)} />
      </div>
    </div>
  );
}

interface TabProps {
  path: string;
  /** Whether there are others. */
  many: boolean;
  onRename(): void;
  onRemove(): void;
}

function FileTab({ path, many, onRename, onRemove }: TabProps) {
  const chosen = path === activePath.value;
  return (
    <>
      <button
        type="button"
        class="file-name"
        aria-current={chosen ? "true" : undefined}
        title={chosen ? "Click again to rename" : undefined}
        onClick={() => (chosen ? onRename() : (activePath.value = path))}
      >
        {path}
        {many && path === entry.value && (
          <span class="file-entry" title="A run starts with this file">
            entry
          </span>
        )}
      </button>
      {chosen && many && (
        <button type="button" class="file-remove" aria-label={`Remove ${path}`} onClick={onRemove}>
          ×
        </button>
      )}
    </>
  );
}

const others = (path?: string): string[] => files.value.map((file) => file.path).filter((name) => name !== path);

async function takeUploads(input: HTMLInputElement): Promise<void> {
  const chosen = [...(input.files ?? [])];
  input.value = "";
  for (const file of chosen) {
    if (file.size > MAX_UPLOAD_BYTES) {
      announce(`${file.name} is larger than ${bytes(MAX_UPLOAD_BYTES)} and was left out.`);
      continue;
    }
    const content = new Uint8Array(await file.arrayBuffer());
    const text = content.includes(0) ? null : utf8(content);
    addFile(text === null ? { path: file.name, content: toBase64(content), encoding: "base64" } : { path: file.name, content: text });
    announce(`${file.name} added.`);
  }
}

interface NameProps {
  label: string;
  value: string;
  others: string[];
  onDone(name: string | null): void;
}

function NameField({ label, value, others: taken, onDone }: NameProps) {
  const text = useSignal(value);
  const field = useRef<HTMLInputElement>(null);
  const done = useRef(false);
  // At once: what is typed next is meant for it.
  useLayoutEffect(() => {
    field.current?.focus();
    field.current?.select();
  }, []);
  const trouble = nameTrouble(text.value.trim(), taken);
  const end = (name: string | null): void => {
    if (done.current) return;
    done.current = true;
    onDone(name);
  };
  return (
    <form class="file-form" onSubmit={(event) => { event.preventDefault(); if (trouble === null) end(text.value.trim()); }}>
      <input
        ref={field}
        class="file-input mono"
        aria-label={label}
        aria-invalid={trouble !== null && text.value !== ""}
        aria-describedby="file-trouble"
        value={text.value}
        {...asTyped}
        onInput={(event) => (text.value = event.currentTarget.value)}
        onKeyDown={(event) => event.key === "Escape" && end(null)}
        onBlur={() => end(trouble === null ? text.value.trim() : null)}
      />
      <span class="file-trouble" id="file-trouble" role="alert">
        {text.value !== "" && trouble}
      </span>
    </form>
  );
}
