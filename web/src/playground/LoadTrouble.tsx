import { ProblemBox } from "../ui/ProblemBox";
import { load, loadProblem } from "./load";

interface Props {
  /** As `load` has it. */
  own: boolean;
}

/** Why the page has no languages yet. */
export function LoadTrouble({ own }: Props) {
  const trouble = loadProblem.value;
  if (trouble === null) return null;
  const again = (): void => void load(own);
  return trouble.kind === "key_missing" || trouble.kind === "forbidden" ? (
    <ProblemBox problem={trouble} onKey={again} />
  ) : (
    <ProblemBox problem={trouble} text="The page asks again by itself until the service answers; your work is kept in this browser." onKey={again} />
  );
}
