import { useEffect, useRef } from "preact/hooks";
import type { LimitName, Limits, Stage, Usage } from "../api/types";
import { bytes, count, time } from "../ui/format";
import { inWords } from "./limits";
import { result, samples, shown } from "./run";
import { language } from "./workspace";

/** What the run cost: against its limits, over time, and every figure. */
export function CostPane() {
  const stage = result.value?.run ?? null;
  const limits = stage?.limits ?? requestedLimits();
  const compile = result.value?.compile ?? null;
  return (
    <div class="cost">
      {stage !== null && limits !== null && <Meters stage={stage} limits={limits} />}
      {limits !== null && samples.value.length > 1 && <Charts limits={limits} />}
      {stage !== null && <Figures title="The program" usage={stage.usage} />}
      {compile !== null && <Figures title={compile.cached ? "The compiler (from the cache; what it cost then)" : "The compiler"} usage={compile.usage} />}
      {stage === null && samples.value.length < 2 && <p class="hint">Figures come with a run.</p>}
    </div>
  );
}

function requestedLimits(): Limits | null {
  const defaults = language.value?.default_limits;
  return defaults === undefined ? null : { ...defaults, ...shown.value?.limits };
}

const cpuOf = ({ cpu_user_us: user, cpu_system_us: system }: Usage): number | null =>
  user === null || system === null ? null : user + system;

function Meters({ stage, limits }: { stage: Stage; limits: Limits }) {
  const { usage } = stage;
  const rows: [string, number | null, number, LimitName][] = [
    ["CPU time", cpuOf(usage), limits.cpu_time_ms * 1000, "cpu_time_ms"],
    ["Wall time", usage.wall_us, limits.wall_time_ms * 1000, "wall_time_ms"],
    ["Memory", usage.memory_peak_bytes, limits.memory_bytes, "memory_bytes"],
    ["Processes", usage.processes_peak, limits.processes, "processes"],
    ["stdout", stage.stdout_bytes, limits.output_bytes, "output_bytes"],
  ];
  return (
    <table class="meters">
      <caption class="visually-hidden">Use against limits</caption>
      <tbody>
        {rows.map(([title, used, limit, name]) => (
          <tr key={title}>
            <th scope="row">{title}</th>
            <td class="meter-used">{used === null ? "not known here" : figure(name, used)}</td>
            <td class="meter-cell" aria-hidden="true">
              {used !== null && (
                <span class="meter">
                  <span class={`meter-fill${used >= limit ? " full" : ""}`} style={{ width: `${Math.min(100, Math.max(0.5, (100 * used) / limit))}%` }} />
                </span>
              )}
            </td>
            <td class="meter-limit">of {inWords(name, limits[name])}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function figure(name: LimitName, used: number): string {
  if (name.endsWith("_ms")) return time(used);
  return name.endsWith("_bytes") ? bytes(used) : count(used);
}

function Charts({ limits }: { limits: Limits }) {
  const cpu = useRef<HTMLDivElement>(null);
  const memory = useRef<HTMLDivElement>(null);
  const list = samples.value;
  const hasCpu = list.some(({ cpu_us: used }) => used !== null);
  const hasMemory = list.some(({ memory_bytes: used }) => used !== null);
  useEffect(() => {
    let gone = false;
    let destroy = (): void => undefined;
    // The library is fetched when there is something to draw.
    void import("./charts").then(({ draw }) => {
      if (gone) return;
      const stops = [
        cpu.current && draw(cpu.current, "cpu", limits),
        memory.current && draw(memory.current, "memory", limits),
      ];
      destroy = () => stops.forEach((stop) => stop?.());
    });
    return () => {
      gone = true;
      destroy();
    };
  }, [hasCpu, hasMemory, limits.cpu_time_ms, limits.memory_bytes]);
  const last = list.at(-1);
  return (
    <div class="charts">
      {hasCpu && (
        <figure class="chart">
          <figcaption class="label">CPU time, limit {inWords("cpu_time_ms", limits.cpu_time_ms)}</figcaption>
          <div ref={cpu} role="img" aria-label={`CPU time over ${time(last?.wall_us ?? 0)}: ${time(last?.cpu_us ?? 0)} at the end`} />
        </figure>
      )}
      {hasMemory && (
        <figure class="chart">
          <figcaption class="label">Memory, limit {bytes(limits.memory_bytes)}</figcaption>
          <div ref={memory} role="img" aria-label={`Memory over ${time(last?.wall_us ?? 0)}: at most ${bytes(Math.max(...list.map(({ memory_bytes: used }) => used ?? 0)))}`} />
        </figure>
      )}
    </div>
  );
}

const EXPLAINED: [keyof Usage, string, (value: number) => string, string][] = [
  ["cpu_user_us", "CPU, own code", time, "Processor time spent in the program itself."],
  ["cpu_system_us", "CPU, kernel", time, "Processor time the kernel spent for it: reading, writing, getting memory."],
  ["wall_us", "Wall time", time, "From its start to its end on the clock."],
  ["memory_peak_bytes", "Peak memory", bytes, "The most it held at once, files it wrote included."],
  ["processes_peak", "Peak processes", count, "Processes and threads at the same time."],
  ["page_faults_minor", "Minor page faults", count, "Pages of memory touched for the first time."],
  ["page_faults_major", "Major page faults", count, "Pages that had to be read from disk first."],
  ["context_switches_voluntary", "Voluntary switches", count, "Times it waited: for input, for a lock, for a timer."],
  ["context_switches_involuntary", "Involuntary switches", count, "Times it was taken off a processor for others."],
  ["read_bytes", "Read from disk", bytes, "Bytes that really came from a device."],
  ["written_bytes", "Written to disk", bytes, "Bytes that really went to a device."],
  ["cpu_throttled_us", "Throttled", time, "Time it was held back for using more processors than its limit."],
  ["cpu_throttled_periods", "Throttled periods", count, "How often that happened."],
  ["oom_kills", "Out-of-memory kills", count, "Processes ended for want of memory."],
];

function Figures({ title, usage }: { title: string; usage: Usage }) {
  return (
    <section class="figures" aria-label={title}>
      <h3 class="label">{title}</h3>
      <table>
        <tbody>
          {EXPLAINED.map(([name, label, format, explains]) => {
            const value = usage[name];
            return (
              <tr key={name}>
                <th scope="row">{label}</th>
                <td class="figure">{value === null ? "not known" : format(value)}</td>
                <td class="explains">{value === null ? "This host does not say." : explains}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </section>
  );
}
