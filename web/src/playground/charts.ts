/** Use over time, as lines under their limit. */

import type uPlot from "uplot";
import type { Sample } from "../api/live";
import type { Limits } from "../api/types";
import { bytes, time } from "../ui/format";
import { keepDrawn } from "../ui/plot";
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
  return keepDrawn(host, {
    height: HEIGHT_PX,
    data: () => data(kind, limits),
    look: ({ of, axis, line }) => ({
      scales: { x: { time: false }, y: { range: (_, __, max) => [0, (max || kind.limit(limits)) * 1.08] } },
      axes: [
        { ...axis, values: (_, values) => values.map((value) => `${Number(value.toFixed(2))} s`), size: 28 },
        { ...axis, incrs: kind.steps, values: (_, values) => values.map((value) => (value === 0 ? "0" : kind.words(value))), size: 66 },
      ],
      series: [{}, line(kind.colour), { stroke: of("--bad"), width: 1, dash: [4, 4], points: { show: false } }],
    }),
  });
}

function data(kind: Kind, limits: Limits): uPlot.AlignedData {
  const list = samples.value;
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
