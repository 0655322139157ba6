/** Runs and tests a second over the last minutes. */

import type uPlot from "uplot";
import { keepDrawn } from "../ui/plot";
import { stats } from "./state";
import { rate } from "./words";

const HEIGHT_PX = 170;

/** Draws into `element` and follows the figures, until the returned function is called. */
export const draw = (element: HTMLElement): (() => void) =>
  keepDrawn(element, {
    height: HEIGHT_PX,
    data,
    look: ({ axis, line }) => ({
      scales: { x: { time: false, range: [-300, 0] }, y: { range: (_, __, max) => [0, Math.max(max, 1) * 1.1] } },
      axes: [
        { ...axis, splits: () => [-300, -240, -180, -120, -60, 0], values: (_, values) => values.map(ago), size: 26 },
        { ...axis, values: (_, values) => values.map(rate), size: 44 },
      ],
      series: [{}, line("--phase-run"), line("--phase-setup")],
    }),
  });

const ago = (seconds: number): string => (seconds > -1 ? "now" : seconds % 60 === 0 ? `${seconds / -60} min` : `${-seconds} s`);

/** The step of the present is left out: it has only begun. */
function data(): uPlot.AlignedData {
  const history = stats.value?.history;
  if (history === undefined) return [[], [], []];
  const step = history.step_ms / 1000;
  const perSecond = (counts: number[]): number[] => counts.slice(0, -1).map((count) => count / step);
  const runs = perSecond(history.runs);
  return [runs.map((_, at) => (at - runs.length + 1) * step), runs, perSecond(history.tests)];
}
