import { readFileSync, readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { language as languageFacet } from "@codemirror/language";
import { EditorState } from "@codemirror/state";
import { highlightTree } from "@lezer/highlight";
import { describe, expect, test } from "vitest";
import type { Language } from "../api/types";
import { highlighted, loadMode, modeName } from "./modes";
import { colours } from "./theme";

/** Languages whose programs are not coloured, each with the reason. */
const PLAIN: Record<string, string> = {
  executable: "its programs are bytes, and are uploaded",
};

const profiles = fileURLToPath(new URL("../../../profiles/languages/", import.meta.url));
const ids = readdirSync(profiles)
  .filter((name) => name.endsWith(".toml"))
  .map((name) => name.replace(/\.toml$/, ""));

/** The example in a profile, as the service gives it out. */
function exampleOf(id: string): string {
  const text = readFileSync(`${profiles}${id}.toml`, "utf8");
  return /^example = '''\n([^]*?)'''/m.exec(text)?.[1] ?? "";
}

/** Pieces of `text` that have a colour. */
async function coloured(id: string, text: string): Promise<string[]> {
  const state = EditorState.create({ doc: text, extensions: await loadMode(id) });
  const tree = state.facet(languageFacet)?.parser.parse(text);
  const pieces: string[] = [];
  if (tree !== undefined) highlightTree(tree, colours, (from, to) => pieces.push(text.slice(from, to)));
  return pieces;
}

test("every profile has highlighting, or a reason to have none", () => {
  expect(ids.length).toBeGreaterThan(20);
  expect(ids.filter((id) => !highlighted.includes(id) && !(id in PLAIN))).toEqual([]);
});

test("nothing is highlighted or excused that there is not", () => {
  expect([...highlighted, ...Object.keys(PLAIN)].filter((id) => !ids.includes(id))).toEqual([]);
  expect(Object.keys(PLAIN).filter((id) => highlighted.includes(id))).toEqual([]);
});

describe("the example is coloured", () => {
  test.each(ids.filter((id) => !(id in PLAIN)))("%s", async (id) => {
    const text = exampleOf(id);
    expect(text).not.toBe("");
    expect((await coloured(id, text)).length).toBeGreaterThan(0);
  });
});

test("a file beside the sources is coloured by what it is", () => {
  const c = { id: "c", source_name: "main.c", extensions: ["c", "h"] } as Language;
  expect(modeName("main.c", c)).toBe("c");
  expect(modeName("data.json", c)).toBe(".json");
  expect(modeName("notes.xyz", c)).toBeNull();
  expect(modeName("a.out", { id: "executable", source_name: "a.out", extensions: [] } as unknown as Language)).toBeNull();
});
