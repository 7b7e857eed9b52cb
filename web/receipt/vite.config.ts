// Builds the page, and says which tests there are.

import { defineConfig } from "vite";

import { onePage } from "./one-page.ts";

const STYLES = ["base", "controls", "answer", "chain", "proofs", "media"];

export default defineConfig({
  plugins: [
    onePage({
      fileName: "receipt.html",
      template: "src/page.html",
      styles: STYLES.map((name) => `src/style/${name}.css`),
      allows: [],
    }),
  ],
  build: {
    target: "es2022",
    minify: false,
    lib: { entry: "src/main.ts", formats: ["iife"], name: "ledgerstonePage" },
    outDir: process.env["LEDGERSTONE_PAGE_OUT"] ?? "dist",
    emptyOutDir: true,
  },
  test: { include: ["test/*.test.ts"], fileParallelism: false, testTimeout: 120_000, hookTimeout: 60_000 },
} as Parameters<typeof defineConfig>[0]);
