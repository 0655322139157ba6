/** Figures for people, written as the service writes them. */

/** Microseconds. */
export function time(us: number): string {
  if (us < 1_000) return `${Math.round(us)} µs`;
  if (us < 10_000) return `${(us / 1_000).toFixed(1)} ms`;
  if (us < 1_000_000) return `${Math.round(us / 1_000)} ms`;
  if (us < 120_000_000) return `${(us / 1e6).toFixed(2)} s`;
  return `${(us / 60e6).toFixed(1)} min`;
}

const UNITS: [string, number][] = [
  ["GiB", 2 ** 30],
  ["MiB", 2 ** 20],
  ["KiB", 2 ** 10],
];

export function bytes(count: number): string {
  for (const [unit, size] of UNITS) {
    if (count >= size) return `${count % size === 0 ? count / size : (count / size).toFixed(1)} ${unit}`;
  }
  return count === 1 ? "1 byte" : `${count} bytes`;
}

export const count = (value: number): string => value.toLocaleString("en-GB");

/** "1 line", "2 lines". */
export const plural = (value: number, one: string, many = `${one}s`): string =>
  `${count(value)} ${value === 1 ? one : many}`;

export const sentence = (text: string): string => {
  const begun = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(begun) ? begun : `${begun}.`;
};
