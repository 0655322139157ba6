import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

export default defineConfig({
  root: fileURLToPath(new URL("..", import.meta.url)),
  test: {
    include: ["e2e/**/*.e2e.ts"],
    reporters: ["verbose"],
    globalSetup: "e2e/setup.ts",
    setupFiles: "e2e/failures.ts",
    environment: "node",
    // One browser and one service at a time: they share two processors.
    fileParallelism: false,
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
