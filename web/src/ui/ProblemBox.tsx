import type { ComponentChildren } from "preact";
import { useEffect } from "preact/hooks";
import type { Problem } from "../api/problem";
import { adviceOf } from "./advice";
import { announce } from "./announce";
import { KeyForm } from "./KeyForm";

interface Props {
  problem: Problem;
  /** What to say in the place of the usual advice. */
  text?: string;
  /** Called when there is a key to try; a problem that a key may solve then asks for one. */
  onKey(): void;
  /** What can be done beyond that. */
  children?: ComponentChildren;
}

/** A problem, what to do about it, and where in the request it is. It is spoken, too. */
export function ProblemBox({ problem, text, onKey, children }: Props) {
  const advice = adviceOf(problem);
  const words = text ?? advice.text;
  useEffect(() => announce(`${advice.title}. ${words}`), [advice.title, words]);
  return (
    <div class="trouble" data-problem={problem.kind}>
      <p class="trouble-title">{advice.title}</p>
      <p>{words}</p>
      {problem.errors.length > 0 && (
        <ul class="trouble-errors">
          {problem.errors.map(({ pointer, detail }) => (
            <li key={pointer + detail}>
              <code>{pointer.slice(1) || "the request"}</code> {detail}
            </li>
          ))}
        </ul>
      )}
      {(problem.kind === "key_missing" || problem.kind === "forbidden") && <KeyForm onKey={onKey} />}
      {children}
    </div>
  );
}
