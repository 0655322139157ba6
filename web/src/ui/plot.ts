/** What all charts have in common: they follow their figures, their element's width and the page's colours. */

import { effect } from "@preact/signals";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";

/** Narrower than this no chart is drawn, while its element has no width yet. */
const LEAST_WIDTH_PX = 120;

interface Chart {
  height: number;
  /** The data as they are; called within an effect. */
  data(): uPlot.AlignedData;
  /** Scales, axes and series, in the colours of the moment. */
  look(colours: Colours): Pick<uPlot.Options, "scales" | "axes" | "series">;
}

/** The page's colours by the names of their variables, and what is made of them. */
export interface Colours {
  of(variable: string): string;
  axis: uPlot.Axis;
  line(variable: string): uPlot.Series;
}

function coloursOf(host: HTMLElement): Colours {
  const style = getComputedStyle(host);
  const of = (variable: string): string => style.getPropertyValue(variable).trim();
  return {
    of,
    axis: { stroke: of("--muted"), font: `11px ${style.fontFamily}`, grid: { stroke: of("--line"), width: 1 }, ticks: { show: false } },
    line: (variable) => ({ stroke: of(variable), width: 2, fill: `${of(variable)}22`, points: { show: false } }),
  };
}

/** Draws into `host` and follows, until the returned function is called. */
export function keepDrawn(host: HTMLElement, { height, data, look }: Chart): () => void {
  const make = (): uPlot => {
    const width = Math.max(host.clientWidth, LEAST_WIDTH_PX);
    const still = { legend: { show: false }, cursor: { show: false } };
    return new uPlot({ width, height, ...still, ...look(coloursOf(host)) }, data(), host);
  };
  let plot = make();
  const remake = (): void => {
    plot.destroy();
    plot = make();
  };
  const dark = matchMedia("(prefers-color-scheme: dark)");
  dark.addEventListener("change", remake);
  const observer = new ResizeObserver(() => plot.setSize({ width: host.clientWidth, height }));
  observer.observe(host);
  const stop = effect(() => plot.setData(data()));
  return () => {
    stop();
    observer.disconnect();
    dark.removeEventListener("change", remake);
    plot.destroy();
  };
}
