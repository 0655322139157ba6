/** Use over time, as lines under their limit. */

import { effect } from "@preact/signals";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import type { Sample } from "../api/live";
import type { Limits } from "../api/types";
import { bytes, time } from "../ui/format";
import { samples } from "./run";

const HEIGHT_PX = 150;

interface Kind {
  value(sample: Sample): number | null;
  limit(limits: Limits): number;
  words(value: number): string;
  colour: string;
  /** Steps of the scale that make round figures. */
  steps: number[];
}

const decimal = Array.from({ length: 10 }, (_, power) => [1, 2, 5].map((digit) => digit * 10 ** power)).flat();
const binary = Array.from({ length: 30 }, (_, power) => 2 ** (power + 10));

const KINDS: Record<"cpu" | "memory", Kind> = {
  cpu: { value: ({ cpu_us: us }) => us, limit: ({ cpu_time_ms: ms }) => ms * 1000, words: time, colour: "--phase-run", steps: decimal },
  memory: { value: ({ memory_bytes: used }) => used, limit: ({ memory_bytes: most }) => most, words: bytes, colour: "--phase-setup", steps: binary },
};

/** Draws into `host` and follows the samples, until the returned function is called. */
export function draw(host: HTMLElement, name: "cpu" | "memory", limits: Limits): () => void {
  const kind = KINDS[name];
  let plot = make(host, kind, limits);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const remake = (): void => {
    plot.destroy();
    plot = make(host, kind, limits);
    plot.setData(data(kind, limits));
  };
  dark.addEventListener("change", remake);
  const observer = new ResizeObserver(() => plot.setSize({ width: host.clientWidth, height: HEIGHT_PX }));
  observer.observe(host);
  const stop = effect(() => {
    void samples.value;
    plot.setData(data(kind, limits));
  });
  return () => {
    stop();
    observer.disconnect();
    dark.removeEventListener("change", remake);
    plot.destroy();
  };
}

function data(kind: Kind, limits: Limits): uPlot.AlignedData {
  const list = samples.peek();
  const limit = kind.limit(limits);
  const most = Math.max(0, ...list.map((sample) => kind.value(sample) ?? 0));
  // A limit far above is left out: drawn to scale, it would press the line flat.
  const shown = most * 5 >= limit;
  return [
    [0, ...list.map(({ wall_us: us }) => us / 1e6)],
    [0, ...list.map(kind.value)],
    [null, ...list.map(() => null)].map(() => (shown ? limit : null)),
  ];
}

function make(host: HTMLElement, kind: Kind, limits: Limits): uPlot {
  const style = getComputedStyle(host);
  const colour = (variable: string): string => style.getPropertyValue(variable).trim();
  const axis: uPlot.Axis = {
    stroke: colour("--muted"),
    font: `11px ${style.fontFamily}`,
    grid: { stroke: colour("--line"), width: 1 },
    ticks: { show: false },
  };
  return new uPlot(
    {
      width: Math.max(host.clientWidth, 120),
      height: HEIGHT_PX,
      legend: { show: false },
      cursor: { show: false },
      scales: { x: { time: false }, y: { range: (_, __, max) => [0, (max || kind.limit(limits)) * 1.08] } },
      axes: [
        { ...axis, values: (_, values) => values.map((value) => `${Number(value.toFixed(2))} s`), size: 28 },
        { ...axis, incrs: kind.steps, values: (_, values) => values.map((value) => (value === 0 ? "0" : kind.words(value))), size: 66 },
      ],
      series: [
        {},
        { stroke: colour(kind.colour), width: 2, fill: `${colour(kind.colour)}22`, points: { show: false } },
        { stroke: colour("--bad"), width: 1, dash: [4, 4], points: { show: false } },
      ],
    },
    [[], [], []],
    host,
  );
}
