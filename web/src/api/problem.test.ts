import { expect, test } from "vitest";
import { Problem, problemFrom, problemOf, retryAfterSeconds } from "./problem";

const document = { type: "urn:brig:problem:x", title: "T", status: 503, detail: "d" };

test("Retry-After is seconds or a date, and is bounded", () => {
  const now = Date.parse("2030-01-01T00:00:00Z");
  expect(retryAfterSeconds("7", now)).toBe(7);
  expect(retryAfterSeconds("Tue, 01 Jan 2030 00:00:09 GMT", now)).toBe(9);
  expect(retryAfterSeconds("99999999", now)).toBe(600);
  expect(retryAfterSeconds("soon", now)).toBeNull();
  expect(retryAfterSeconds(null, now)).toBeNull();
});

test("a draining service is told from a full queue", () => {
  expect(problemFrom({ ...document, detail: "the service is draining" }, 1).kind).toBe("draining");
  expect(problemFrom({ ...document, detail: "the service ended before the run did" }, 1).kind).toBe("draining");
  expect(problemFrom({ ...document, detail: "the queue is full" }, 1).kind).toBe("queue_full");
});

test("an answer that is no problem document still becomes a problem", async () => {
  const problem = await problemOf(new Response("<html>", { status: 500, statusText: "Internal Server Error" }));
  expect(problem).toBeInstanceOf(Problem);
  expect(problem.kind).toBe("internal");
  expect(problem.message).toContain("500");
});

test.each([502, 503, 504])("a proxy that answers %i has no service behind it", async (status) => {
  const problem = await problemOf(new Response("<html>", { status, headers: { "Retry-After": "3" } }));
  expect([problem.kind, problem.passes, problem.retryAfterSeconds]).toEqual(["offline", true, 3]);
});

test("field errors survive", async () => {
  const errors = [{ pointer: "/limits/cpu_time_ms", detail: "at most 10000" }];
  const body = JSON.stringify({ ...document, status: 422, errors });
  const problem = await problemOf(new Response(body, { status: 422 }));
  expect(problem.kind).toBe("invalid");
  expect(problem.errors).toEqual(errors);
});
