import { expect, test } from "vitest";
import { mix, percent, rate, uptime } from "./words";

test("rates are as exact as they are worth", () => {
  expect([0, 0.033, 0.5, 9.94, 10.4, 1234.5].map(rate)).toEqual(["0", "0.03", "0.5", "9.9", "10", "1,235"]);
});

test("uptime", () => {
  expect([999, 7_000, 61_000, 3_660_000, 90_000_000, 180_000_000].map(uptime)).toEqual(["0 s", "7 s", "1 min", "1 h 1 min", "1 day 1 h", "2 days 2 h"]);
});

test("a mix is ordered, and knows what is the service's fault", () => {
  const parts = mix({ ok: 6, internal_error: 1, runtime_error: 3, cancelled: 0 });
  expect(parts.map(({ name, tone, share }) => [name, tone, share])).toEqual([
    ["ok", "good", 0.6],
    ["runtime_error", "bad", 0.3],
    ["internal_error", "failed", 0.1],
  ]);
  expect(mix({})).toEqual([]);
});

test("shares never round to nothing or to all", () => {
  expect([0, 0.001, 0.5, 0.999, 1].map(percent)).toEqual(["0 %", "< 1 %", "50 %", "> 99 %", "100 %"]);
});
