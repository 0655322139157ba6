/** What is being worked on: the state that editor, panels, judging and sharing have in common. */

import { batch, computed, signal } from "@preact/signals";
import type { Language, Limits, RunRequest, ShareDocument, SourceFile } from "../api/types";
import { defaultWork, type Work } from "./work";

/** Languages of the service, those first that can be used. */
export const languages = signal<Language[]>([]);

const languageId = signal("");
const work = signal<Work>(defaultWork(null));

/** The chosen language; null until the list is there. */
export const language = computed<Language | null>(
  () => languages.value.find(({ id }) => id === languageId.value) ?? null,
);

export const files = computed<SourceFile[]>(() => work.value.files);
/** The file that is shown. */
export const activePath = signal("");
/** The file that a run starts with. */
export const entry = computed(() => work.value.entry);
export const settings = computed<Work>(() => work.value);

/** Called before the work is read, so that an editor can hand over what was just typed. */
const flushers = new Set<() => void>();

export function beforeRead(handOver: () => void): () => void {
  flushers.add(handOver);
  return () => flushers.delete(handOver);
}

/** The work as it is now, everything typed included. */
export function currentWork(): Work {
  flush();
  return work.value;
}

function flush(): void {
  for (const each of flushers) each();
}

/** Bumped when files were replaced from outside the editor, which then shows them anew. */
export const revision = signal(0);

/** Puts `next` in the place of everything there was, after what was typed last has been kept. */
export function replaceWork(id: string, next: Work): void {
  flush();
  batch(() => {
    languageId.value = id;
    work.value = next;
    activePath.value = next.files.some(({ path }) => path === next.entry)
      ? next.entry
      : (next.files[0]?.path ?? "");
    revision.value += 1;
  });
}

/** Changes some of the settings or files. */
export function update(part: Partial<Work>): void {
  work.value = { ...work.value, ...part };
}

/** Sets the content of one file; a path that is gone is ignored. */
export function setContent(path: string, content: string): void {
  const before = work.value.files;
  if (!before.some((file) => file.path === path && file.content !== content)) return;
  update({ files: before.map((file) => (file.path === path ? { ...file, content } : file)) });
}

export function addFile(file: SourceFile): void {
  const rest = currentWork().files.filter(({ path }) => path !== file.path);
  batch(() => {
    update({ files: [...rest, file] });
    activePath.value = file.path;
    revision.value += 1;
  });
}

export function renameFile(from: string, to: string): void {
  const before = currentWork();
  batch(() => {
    update({
      files: before.files.map((file) => (file.path === from ? { ...file, path: to } : file)),
      entry: before.entry === from ? to : before.entry,
    });
    if (activePath.value === from) activePath.value = to;
    revision.value += 1;
  });
}

/** Removes a file. The last one stays. */
export function removeFile(path: string): void {
  const before = currentWork();
  const rest = before.files.filter((file) => file.path !== path);
  const first = rest[0];
  if (first === undefined) return;
  batch(() => {
    update({ files: rest, entry: before.entry === path ? first.path : before.entry });
    if (activePath.value === path) activePath.value = first.path;
    revision.value += 1;
  });
}

/** The run that the work describes. */
export function runRequest(): RunRequest {
  const id = languageId.value;
  return requestOf(id, currentWork());
}

const filled = <T>(list: T[]): T[] | undefined => (list.length > 0 ? list : undefined);

function filledObject<T extends object>(object: T): T | undefined {
  return Object.keys(object).length > 0 ? object : undefined;
}

/** What a request and a shared document have in common. */
const described = (id: string, work: Work) => ({
  language: id,
  files: work.files,
  args: filled(work.args),
  env: filledObject(work.env),
  compiler_args: filled(work.compilerArgs),
  limits: filledObject<Partial<Limits>>(work.limits),
  output_files: filled(work.outputFiles),
});

/** A request of `work`, without what is left at its default. */
export function requestOf(id: string, work: Work): RunRequest {
  return compact({
    ...described(id, work),
    entry: work.files.length > 1 ? work.entry : undefined,
    stdin: work.mode === "box" && work.stdin !== "" ? work.stdin : undefined,
  });
}

/** The work as it is shared. */
export function documentOf(id: string, work: Work): ShareDocument {
  return compact({
    version: 1 as const,
    ...described(id, work),
    entry: work.entry,
    stdin: work.stdin === "" ? undefined : work.stdin,
    mode: work.mode === "terminal" ? work.mode : undefined,
  });
}

export const shareDocument = (): ShareDocument => documentOf(languageId.value, currentWork());

type Compact<T> = { [K in keyof T as undefined extends T[K] ? never : K]: T[K] } & {
  [K in keyof T as undefined extends T[K] ? K : never]?: Exclude<T[K], undefined>;
};

/** Leaves out what is undefined. */
function compact<T extends object>(object: T): Compact<T> {
  return Object.fromEntries(
    Object.entries(object).filter(([, value]) => value !== undefined),
  ) as Compact<T>;
}
