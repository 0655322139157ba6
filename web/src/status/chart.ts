/** Runs and tests a second over the last minutes. */

import { effect } from "@preact/signals";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { stats } from "./state";
import { rate } from "./words";

const HEIGHT_PX = 170;

/** Draws into `element` and follows the figures, until the returned function is called. */
export function draw(element: HTMLElement): () => void {
  let plot = make(element);
  const fill = (): void => plot.setData(data());
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const remake = (): void => {
    plot.destroy();
    plot = make(element);
    fill();
  };
  dark.addEventListener("change", remake);
  const observer = new ResizeObserver(() => plot.setSize({ width: element.clientWidth, height: HEIGHT_PX }));
  observer.observe(element);
  const stop = effect(() => {
    void stats.value;
    fill();
  });
  return () => {
    stop();
    observer.disconnect();
    dark.removeEventListener("change", remake);
    plot.destroy();
  };
}

/** The step of the present is left out: it has only begun. */
function data(): uPlot.AlignedData {
  const history = stats.peek()?.history;
  if (history === undefined) return [[], [], []];
  const step = history.step_ms / 1000;
  const perSecond = (counts: number[]): number[] => counts.slice(0, -1).map((count) => count / step);
  const runs = perSecond(history.runs);
  return [runs.map((_, at) => (at - runs.length + 1) * step), runs, perSecond(history.tests)];
}

function make(element: HTMLElement): uPlot {
  const style = getComputedStyle(element);
  const colour = (variable: string): string => style.getPropertyValue(variable).trim();
  const axis: uPlot.Axis = {
    stroke: colour("--muted"),
    font: `11px ${style.fontFamily}`,
    grid: { stroke: colour("--line"), width: 1 },
    ticks: { show: false },
  };
  const ago = (seconds: number): string => (seconds > -1 ? "now" : seconds % 60 === 0 ? `${seconds / -60} min` : `${-seconds} s`);
  const line = (variable: string): uPlot.Series => ({
    stroke: colour(variable),
    width: 2,
    fill: `${colour(variable)}22`,
    points: { show: false },
  });
  return new uPlot(
    {
      width: Math.max(element.clientWidth, 120),
      height: HEIGHT_PX,
      legend: { show: false },
      cursor: { show: false },
      scales: { x: { time: false, range: [-300, 0] }, y: { range: (_, __, max) => [0, Math.max(max, 1) * 1.1] } },
      axes: [
        { ...axis, splits: () => [-300, -240, -180, -120, -60, 0], values: (_, values) => values.map(ago), size: 26 },
        { ...axis, values: (_, values) => values.map(rate), size: 44 },
      ],
      series: [{}, line("--phase-run"), line("--phase-setup")],
    },
    [[], [], []],
    element,
  );
}
