import { useSignal } from "@preact/signals";
import { useId } from "preact/hooks";
import { setApiKey } from "../api/key";

interface Props {
  /** Called when there is a key to try. */
  onKey(): void;
}

/** Asks for a key. */
export function KeyForm({ onKey }: Props) {
  const id = useId();
  const text = useSignal("");
  const submit = (event: Event): void => {
    event.preventDefault();
    if (text.value.trim() === "") return;
    setApiKey(text.value.trim());
    onKey();
  };
  return (
    <form class="key-form" onSubmit={submit}>
      <label class="label" for={id}>
        API key
      </label>
      <input id={id} class="input mono" type="password" autocomplete="off" value={text.value} onInput={(event) => (text.value = event.currentTarget.value)} />
      <button type="submit" class="button primary">
        Use key
      </button>
    </form>
  );
}
