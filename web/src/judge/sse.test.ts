import { expect, test } from "vitest";
import { EventReader } from "./sse";

const text = ': hello\n\nid: a-0\nevent: state\ndata: {"state":"queued"}\n\nid: a-1\r\nevent: test\r\ndata: one\r\ndata: two\r\n\r\ndata:x\n\n';

test("events come out the same, however the text is cut", () => {
  const whole = new EventReader().read(text);
  expect(whole).toEqual([
    { id: "a-0", name: "state", data: '{"state":"queued"}' },
    { id: "a-1", name: "test", data: "one\ntwo" },
    { id: "a-1", name: "message", data: "x" },
  ]);
  for (const size of [1, 2, 3, 7]) {
    const reader = new EventReader();
    const pieces = text.match(new RegExp(`[^]{1,${size}}`, "g")) ?? [];
    expect(pieces.flatMap((piece) => reader.read(piece))).toEqual(whole);
  }
});

test("what has no end yet is kept", () => {
  const reader = new EventReader();
  expect(reader.read("data: half")).toEqual([]);
  expect(reader.read("\n")).toEqual([]);
  expect(reader.read("\n")).toEqual([{ id: "", name: "message", data: "half" }]);
});
