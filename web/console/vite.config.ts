// Builds the console, which shares its looks, its checks and the way it is built with the receipt page.

import { defineConfig } from "vite";

import { onePage } from "../receipt/one-page.ts";

export default defineConfig({
  plugins: [
    onePage({
      fileName: "console.html",
      template: "src/page.html",
      styles: ["../receipt/src/style/base.css", "../receipt/src/style/controls.css", "src/style/console.css", "src/style/pictures.css", "src/style/media.css"],
      // It asks the sidecar that it came from, and nobody else.
      allows: ["connect-src 'self'"],
    }),
  ],
  build: {
    target: "es2022",
    minify: false,
    lib: { entry: "src/main.ts", formats: ["iife"], name: "ledgerstoneConsole" },
    outDir: process.env["LEDGERSTONE_PAGE_OUT"] ?? "dist",
    emptyOutDir: true,
  },
  test: { include: ["test/*.test.ts"], fileParallelism: false, testTimeout: 60_000, hookTimeout: 60_000 },
} as Parameters<typeof defineConfig>[0]);
