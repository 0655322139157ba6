import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

const root = fileURLToPath(new URL(".", import.meta.url));

/** Every HTML file next to this one is a page of its own. */
const pages = readdirSync(root)
  .filter((name) => name.endsWith(".html"))
  .map((name) => root + name);

/** Where `npm run dev` finds a running service. */
const service = process.env["BRIG_URL"] ?? "http://127.0.0.1:8080";

export default defineConfig({
  root,
  esbuild: { jsx: "automatic", jsxImportSource: "preact" },
  build: {
    outDir: "dist",
    target: "es2022",
    rollupOptions: { input: pages },
    // Everything is a file of its own: the pages' policy allows no inline script or style, and
    // `data:` only for images.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 700,
  },
  server: {
    proxy: Object.fromEntries(
      ["/v1", "/healthz", "/readyz"].map((path) => [
        path,
        { target: service, ws: true, changeOrigin: true },
      ]),
    ),
  },
  test: { include: ["src/**/*.test.{ts,tsx}"], environment: "node" },
});
