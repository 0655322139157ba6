import { expect, test } from "vitest";
import { HEAD_LINES, MAX_LINE_CHARS, OutputLog, TAIL_LINES, type Line } from "./log";

const shown = (log: OutputLog): Line[] => [...log.head, ...log.tail];
const bytes = (text: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(text);

test("a line that comes in pieces is one line", () => {
  const log = new OutputLog();
  log.take("stdout", bytes("he"));
  log.take("stdout", bytes("llo\nwor"));
  log.take("stdout", bytes("ld\n"));
  log.take("stdout", bytes("\nend"));
  log.end();
  expect(shown(log).map(({ text }) => text)).toEqual(["hello", "world", "", "end"]);
});

test("the streams keep their order, and do not continue each other's lines", () => {
  const log = new OutputLog();
  log.take("stdout", bytes("a"));
  log.take("stderr", bytes("b\n"));
  log.take("stdout", bytes("c\n"));
  expect(shown(log)).toEqual([
    { stream: "stdout", text: "a" },
    { stream: "stderr", text: "b" },
    { stream: "stdout", text: "c" },
  ]);
});

test("a character split over two chunks is text, one that never ends is not", () => {
  const log = new OutputLog();
  const euro = bytes("€\n");
  log.take("stdout", euro.slice(0, 2));
  log.take("stdout", euro.slice(2));
  log.take("stderr", euro.slice(0, 2));
  log.end();
  expect(log.stdout.binary).toBe(false);
  expect(log.stderr.binary).toBe(true);
  expect(shown(log)).toEqual([{ stream: "stdout", text: "€" }]);
});

test("a stream that turns out to be binary leaves the text", () => {
  const log = new OutputLog();
  log.take("stdout", bytes("looks fine\n"));
  log.take("stderr", bytes("warning\n"));
  log.take("stdout", Uint8Array.of(0x89, 0x50, 0x00));
  expect(log.stdout.binary).toBe(true);
  expect(shown(log)).toEqual([{ stream: "stderr", text: "warning" }]);
});

test("a long line is cut, and nothing of it is lost", () => {
  const log = new OutputLog();
  const text = "x".repeat(MAX_LINE_CHARS * 2 + 5);
  log.take("stdout", bytes(text));
  expect(shown(log).length).toBe(3);
  expect(shown(log).map((line) => line.text).join("")).toBe(text);
  expect(log.blob("stdout").size).toBe(text.length);
});

test("a long line that comes byte by byte takes no quadratic time", () => {
  const log = new OutputLog();
  for (let at = 0; at < 200_000; at++) log.take("stdout", bytes("y"));
  expect(shown(log).reduce((sum, { text }) => sum + text.length, 0)).toBe(200_000);
});

test("escape sequences are not shown", () => {
  const log = new OutputLog();
  log.take("stdout", bytes("\u001b[31mred\u001b[0m\n"));
  expect(shown(log)).toEqual([{ stream: "stdout", text: "red" }]);
});

test("of very many lines the first and the last are shown", () => {
  const log = new OutputLog();
  const total = HEAD_LINES + 3 * TAIL_LINES;
  log.take("stdout", bytes(Array.from({ length: total }, (_, at) => `${at}\n`).join("")));
  expect(log.line(0)?.text).toBe("0");
  expect(log.line(log.lineCount - 1)?.text).toBe(String(total - 1));
  expect(log.lineCount + log.omitted).toBe(total);
  expect(log.lineCount).toBeLessThanOrEqual(HEAD_LINES + 2 * TAIL_LINES);
});
