import { sentence } from "../ui/format";
import { host } from "./state";

/** What isolates programs on this host, as it was proved when the service started. */
export function Layers() {
  const machine = host.value;
  if (machine === null) return null;
  const missing = machine.layers.filter(({ enforced }) => !enforced);
  return (
    <section class="panel wide" aria-labelledby="layers">
      <h2 id="layers">What isolates programs here</h2>
      {missing.length === 0 ? (
        <p class="hint">All {machine.layers.length} layers held when the service tried each of them at its start.</p>
      ) : (
        <p class="alarm">
          Not enforced, as the operator allowed: {missing.map(({ name }) => name).join(", ")}. Every answer says so.
        </p>
      )}
      <ul class="layers">
        {[...missing, ...machine.layers.filter(({ enforced }) => enforced)].map(({ name, enforced, detail }) => (
          <li key={name} class={enforced ? "layer" : "layer missing"}>
            <span class="layer-mark" aria-hidden="true">
              {enforced ? "✓" : "✕"}
            </span>
            <div>
              <p class="layer-name">
                {name} <span class="visually-hidden">{enforced ? "enforced" : "not enforced"}</span>
              </p>
              <p class="hint">{sentence(detail)}</p>
            </div>
          </li>
        ))}
      </ul>
    </section>
  );
}
