import { mkdirSync, rmSync } from "node:fs";
import type { TestProject } from "vitest/node";
import { artefacts, startService } from "./service";

declare module "vitest" {
  export interface ProvidedContext {
    /** Where the service that most tests share is. */
    url: string;
  }
}

/** One service for all files that need nothing special of theirs. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  rmSync(artefacts, { recursive: true, force: true });
  mkdirSync(artefacts, { recursive: true });
  const service = await startService();
  project.provide("url", service.url);
  return () => service.stop();
}
