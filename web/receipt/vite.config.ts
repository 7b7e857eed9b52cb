// Builds the page as one file: script and style stand in it, and the Content-Security-Policy allows exactly those two.

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { defineConfig, type Plugin } from "vite";

/** In the order of the cascade: what depends on the medium comes last. */
const STYLES = ["base", "controls", "answer", "chain", "proofs", "media"];
const LICENSED = ["@noble/curves", "@noble/hashes", "@noble/post-quantum"];

function hashSource(text: string): string {
  return `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
}

/** Nothing may be loaded, sent, framed or evaluated; the page runs its own script and has its own style. */
function policy(script: string, style: string): string {
  return [
    "default-src 'none'",
    `script-src ${hashSource(script)}`,
    `style-src ${hashSource(style)}`,
    "base-uri 'none'",
    "form-action 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join("; ");
}

function licences(): string {
  const texts = LICENSED.map((name) => {
    const { version } = JSON.parse(readFileSync(`node_modules/${name}/package.json`, "utf8")) as { version: string };
    return `${name} ${version}\n\n${readFileSync(`node_modules/${name}/LICENSE`, "utf8").trim()}`;
  });
  const own = "This page is part of Ledgerstone, licensed under the Apache License 2.0. It contains:";
  const whole = [own, ...texts].join("\n\n");
  if (whole.includes("--")) {
    throw new Error("a licence would end the comment that holds it");
  }
  return whole;
}

/** Puts the parts into `src/page.html` and drops the files they came in. */
function onePage(): Plugin {
  return {
    name: "one-page",
    enforce: "post",
    generateBundle(_, bundle) {
      const chunks = Object.values(bundle).filter((item) => item.type === "chunk");
      const script = `\n${chunks.map((chunk) => chunk.code.trim()).join("\n")}\n`;
      const style = `\n${STYLES.map((name) => readFileSync(`src/style/${name}.css`, "utf8")).join("\n").trim()}\n`;
      if (chunks.length !== 1 || /<\/script|<!--/i.test(script) || /<\/style/i.test(style)) {
        throw new Error("the parts do not fit into one page");
      }
      const parts = new Map([
        ["%CSP%", policy(script, style)],
        ["%STYLE%", style],
        ["%SCRIPT%", script],
        ["%LICENCES%", licences()],
      ]);
      const source = readFileSync("src/page.html", "utf8").replace(/%[A-Z]+%/g, (mark) => parts.get(mark) ?? mark);
      Object.keys(bundle).forEach((name) => delete bundle[name]);
      this.emitFile({ type: "asset", fileName: "receipt.html", source });
    },
  };
}

export default defineConfig({
  plugins: [onePage()],
  build: {
    target: "es2022",
    minify: false,
    lib: { entry: "src/main.ts", formats: ["iife"], name: "ledgerstonePage" },
    outDir: process.env["LEDGERSTONE_PAGE_OUT"] ?? "dist",
    emptyOutDir: true,
  },
  test: { include: ["test/*.test.ts"], fileParallelism: false, testTimeout: 120_000, hookTimeout: 60_000 },
} as Parameters<typeof defineConfig>[0]);
