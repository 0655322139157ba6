import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { announce, Announcer } from "../ui/announce";
import { bytes, count, plural, sentence, time } from "../ui/format";
import { KeyForm } from "../ui/KeyForm";
import { draw } from "./chart";
import { Layers } from "./Layers";
import { askNow, follow, host, seen, stats, trouble } from "./state";
import type { Percentiles, Stats } from "./types";
import { mix, percent, rate, uptime, type Part } from "./words";

/** What the service is doing, at a glance. */
export function Status() {
  useEffect(follow, []);
  const now = stats.value;
  const stale = trouble.value !== null;
  return (
    <>
      <header class="top">
        <h1 class="wordmark">
          <a href="/">brig</a> <span class="wordmark-page">status</span>
        </h1>
        <nav class="top-links" aria-label="Service">
          <a href="/">Playground</a>
          <a href="/docs">API</a>
        </nav>
      </header>
      <main class="status">
        <Headline />
        {now !== null && (
          <div class={stale ? "figures stale" : "figures"}>
            <Tiles now={now} />
            <Activity />
            <Latencies now={now} />
            <Mixes now={now} />
            <Layers />
          </div>
        )}
      </main>
      <Announcer />
    </>
  );
}

/** Whether programs can be run now. */
function Headline() {
  const now = stats.value;
  const lost = trouble.value;
  const bad = lost !== null || (now?.problem ?? null) !== null;
  const words =
    lost?.kind === "key_missing"
      ? "A key is needed"
      : lost !== null
        ? "The service cannot be reached"
        : now === null
          ? "Asking the service …"
          : now.problem === null
            ? "Running programs"
            : "Not running programs";
  useEffect(() => announce(words), [words]);
  return (
    <section class={`headline ${bad ? "bad" : now === null ? "plain" : "good"}`} aria-label="State">
      <p class="headline-words">
        <span class="lamp" aria-hidden="true" />
        {words}
      </p>
      {lost !== null && <Lost />}
      {lost === null && typeof now?.problem === "string" && <p>{sentence(now.problem)}</p>}
      <About />
    </section>
  );
}

function Lost() {
  const lost = trouble.value;
  if (lost?.kind === "key_missing") {
    return (
      <>
        <p>This service shows its figures to those who have a key. It is kept until this tab is closed.</p>
        <KeyForm onKey={() => void askNow()} />
      </>
    );
  }
  return (
    <p>
      {lost !== null && lost.kind !== "offline" && `${sentence(lost.message)} `}
      The page asks again every two seconds.{" "}
      {seen.value !== null && `The figures are those of ${seen.value.toLocaleTimeString("en-GB")}.`}
    </p>
  );
}

function About() {
  const [machine, now] = [host.value, stats.value];
  if (machine === null || now === null) return null;
  const { kernel, arch, cgroup, rootless } = machine.host;
  return (
    <p class="about">
      Brig {machine.version}, up {uptime(now.uptime_ms)}
      {now.memory_bytes !== null && `, ${bytes(now.memory_bytes)} of memory`}. Linux {kernel} on {arch}, cgroup {cgroup}
      {rootless ? ", without root" : ""}.
    </p>
  );
}

function Tile({ title, value, children }: { title: string; value: ComponentChildren; children?: ComponentChildren }) {
  return (
    <section class="tile" aria-label={title}>
      <h2>{title}</h2>
      <p class="tile-value">{value}</p>
      {children}
    </section>
  );
}

function Tiles({ now }: { now: Stats }) {
  const { workers, queue, submissions, rates, compile_cache: cache } = now;
  const lately = rates[0];
  const minutes = rates.at(-1);
  const waiting = queue.classes.reduce((sum, line) => sum + line.waiting, 0);
  return (
    <div class="tiles">
      <Tile title="Workers busy" value={<Of part={workers.running} all={workers.connected} />}>
        <ul class="slots" aria-hidden="true">
          {Array.from({ length: Math.min(workers.configured, 64) }, (_, at) => (
            <li key={at} class={at < workers.running ? "slot busy" : at < workers.connected ? "slot" : "slot lost"} />
          ))}
        </ul>
        <p class="hint">
          {workers.connected < workers.configured && <strong class="alarm">{plural(workers.configured - workers.connected, "worker")} missing. </strong>}
          {plural(workers.warm_sandboxes, "sandbox", "sandboxes")} warm
        </p>
      </Tile>
      <Tile title="Waiting for a worker" value={count(waiting)}>
        <dl class="lines">
          {queue.classes
            .filter((line) => line.class !== "continuing" || line.waiting > 0)
            .map((line) => (
              <div key={line.class}>
                <dt>{line.class}</dt>
                <dd>
                  {count(line.waiting)}
                  {line.oldest_ms !== null && <span class="hint"> for {time(line.oldest_ms * 1000)}</span>}
                </dd>
              </div>
            ))}
        </dl>
      </Tile>
      <Tile title="Runs a second" value={rate(lately?.runs_per_s ?? 0)}>
        <p class="hint">{rate(minutes?.runs_per_s ?? 0)} over five minutes</p>
      </Tile>
      <Tile title="Tests a second" value={rate(lately?.tests_per_s ?? 0)}>
        <p class="hint">
          {rate(minutes?.tests_per_s ?? 0)} over five minutes
          <br />
          {plural(submissions.active, "submission")} judged now, {count(submissions.waiting)} waiting
        </p>
      </Tile>
      <Tile title="Compile cache hits" value={cache.lookups === 0 ? "–" : percent(cache.hits / cache.lookups)}>
        <p class="hint">{cache.lookups === 0 ? "nothing compiled in five minutes" : `of ${plural(cache.lookups, "compile")} in five minutes`}</p>
      </Tile>
    </div>
  );
}

function Of({ part, all }: { part: number; all: number }) {
  return (
    <>
      {count(part)}
      <span class="tile-of"> of {count(all)}</span>
    </>
  );
}

function Activity() {
  const element = useRef<HTMLDivElement>(null);
  useEffect(() => (element.current === null ? undefined : draw(element.current)), []);
  const now = stats.value;
  const most = Math.max(0, ...(now?.history.runs ?? [])) / ((now?.history.step_ms ?? 1000) / 1000);
  return (
    <section class="panel wide" aria-labelledby="activity">
      <h2 id="activity">Last five minutes</h2>
      <ul class="legend" aria-hidden="true">
        <li>
          <span class="swatch runs" /> runs a second
        </li>
        <li>
          <span class="swatch tests" /> tests a second
        </li>
      </ul>
      <div class="plot" ref={element} role="img" aria-label={`Runs a second over the last five minutes, at most ${rate(most)}`} />
    </section>
  );
}

const KINDS = [
  ["total", "Whole run", "from request to answer"],
  ["queued", "Wait", "of each stage for a worker"],
  ["setup", "Set-up", "of the sandbox, until the program starts"],
] as const;

function Latencies({ now }: { now: Stats }) {
  return (
    <section class="panel" aria-labelledby="latency">
      <h2 id="latency">Latency</h2>
      <div class="scroll">
        <table class="latency">
          <thead>
            <tr>
              <th scope="col">
                <span class="visually-hidden">What</span>
              </th>
              <th scope="col">Over</th>
              <th scope="col">p50</th>
              <th scope="col">p90</th>
              <th scope="col">p99</th>
            </tr>
          </thead>
          {KINDS.map(([kind, title, explains]) => (
            <tbody key={kind}>
              {now.latency.map((latency, at) => (
                <tr key={latency.window_s}>
                  {at === 0 && (
                    <th scope="rowgroup" rowSpan={now.latency.length}>
                      {title}
                      <span class="hint">{explains}</span>
                    </th>
                  )}
                  <td class="hint">{latency.window_s / 60} min</td>
                  <Times of={latency[kind]} />
                </tr>
              ))}
            </tbody>
          ))}
        </table>
      </div>
    </section>
  );
}

function Times({ of }: { of: Percentiles | null }) {
  return (
    <>
      {(["p50_us", "p90_us", "p99_us"] as const).map((name) => (
        <td key={name}>{of === null ? <span class="hint">–</span> : time(of[name])}</td>
      ))}
    </>
  );
}

function Mixes({ now }: { now: Stats }) {
  return (
    <section class="panel" aria-labelledby="results">
      <h2 id="results">Results of five minutes</h2>
      <Mix title="Runs" parts={mix(now.statuses)} none="No run ended." />
      <Mix title="Tests of submissions" parts={mix(now.verdicts)} none="No test was judged." />
    </section>
  );
}

function Mix({ title, parts, none }: { title: string; parts: Part[]; none: string }) {
  return (
    <div class="mix">
      <h3>{title}</h3>
      {parts.length === 0 && <p class="hint">{none}</p>}
      {parts.length > 0 && (
        <div class="mix-bar" aria-hidden="true">
          {parts.map(({ name, tone, share }) => (
            <span key={name} class={`mix-part ${tone}`} style={{ flexGrow: share }} />
          ))}
        </div>
      )}
      <ul class="mix-list">
        {parts.map(({ name, words, count: number, share, tone }) => (
          <li key={name}>
            <span class={`swatch ${tone}`} aria-hidden="true" />
            <span class={tone === "failed" ? "alarm" : ""}>{words}</span> <b>{count(number)}</b> <span class="hint">{percent(share)}</span>
          </li>
        ))}
      </ul>
    </div>
  );
}
