import { apiKey } from "./key";
import { Problem, problemOf } from "./problem";
import type { Info, Language, RunRequest, RunResult, Share, ShareDocument } from "./types";

/** One request to the service. Throws a `Problem` for whatever is not a success. */
export async function request(path: string, init: RequestInit = {}): Promise<Response> {
  const headers = new Headers(init.headers);
  const key = apiKey();
  if (key !== null) headers.set("Authorization", `Bearer ${key}`);
  let response: Response;
  try {
    response = await fetch(path, { ...init, headers });
  } catch (cause) {
    if (cause instanceof DOMException && cause.name === "AbortError") throw cause;
    throw new Problem("offline", "The service cannot be reached.");
  }
  if (!response.ok) throw await problemOf(response);
  return response;
}

/** Gets a JSON document. */
export async function getJson<T>(path: string, signal?: AbortSignal): Promise<T> {
  const response = await request(path, signal ? { signal } : {});
  return (await response.json()) as T;
}

/** Sends a JSON document and gets one back. */
export async function postJson<T>(path: string, body: unknown, signal?: AbortSignal): Promise<T> {
  const response = await request(path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
    ...(signal ? { signal } : {}),
  });
  return (await response.json()) as T;
}

export const languages = (): Promise<Language[]> => getJson("/v1/languages");

export const info = (): Promise<Info> => getJson("/v1/info");

/** Runs a program without following it: the answer comes when it has ended. */
export const run = (body: RunRequest, signal?: AbortSignal): Promise<RunResult> =>
  postJson("/v1/runs", body, signal);

export const createShare = (body: ShareDocument): Promise<Share> => postJson("/v1/shares", body);

export const share = (id: string): Promise<ShareDocument> =>
  getJson(`/v1/shares/${encodeURIComponent(id)}`);
