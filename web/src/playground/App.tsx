import { useEffect } from "preact/hooks";
import { signal } from "@preact/signals";
import * as api from "../api/client";
import { Problem } from "../api/problem";
import { defaultWork } from "./work";
import { language, languages, replaceWork } from "./workspace";

const problem = signal<string | null>(null);

async function load(): Promise<void> {
  try {
    languages.value = await api.languages();
  } catch (error) {
    problem.value = error instanceof Problem ? error.message : String(error);
    return;
  }
  const first = languages.value.find(({ available }) => available);
  if (first !== undefined) replaceWork(first.id, defaultWork(first));
}

export function App() {
  useEffect(() => void load(), []);
  return (
    <header class="top">
      <h1 class="wordmark">brig</h1>
      <p role="status">{problem.value ?? language.value?.name}</p>
    </header>
  );
}
