// Builds a page as one file: script and style stand in it, and the Content-Security-Policy allows exactly those two.

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Plugin } from "vite";

/** What a page is made of; paths are those of files. */
export interface Parts {
  /** The name of the built file. */
  fileName: string;
  /** The page with `%CSP%`, `%STYLE%`, `%SCRIPT%` and `%LICENCES%` in it. */
  template: string;
  /** Style sheets in the order of the cascade: what depends on the medium comes last. */
  styles: string[];
  /** Further directives of the policy. */
  allows: string[];
}

const LICENSED = ["@noble/curves", "@noble/hashes", "@noble/post-quantum"];

function hashSource(text: string): string {
  return `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
}

/** Nothing may be loaded, sent, framed or evaluated; the page runs its own script and has its own style. */
function policy(script: string, style: string, allows: string[]): string {
  return [
    "default-src 'none'",
    `script-src ${hashSource(script)}`,
    `style-src ${hashSource(style)}`,
    ...allows,
    "base-uri 'none'",
    "form-action 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join("; ");
}

function licences(): string {
  const texts = LICENSED.map((name) => {
    const file = (path: string): string => readFileSync(fileURLToPath(new URL(`node_modules/${name}/${path}`, import.meta.url)), "utf8");
    const { version } = JSON.parse(file("package.json")) as { version: string };
    return `${name} ${version}\n\n${file("LICENSE").trim()}`;
  });
  const own = "This page is part of Ledgerstone, licensed under the Apache License 2.0. It contains:";
  const whole = [own, ...texts].join("\n\n");
  if (whole.includes("--")) {
    throw new Error("a licence would end the comment that holds it");
  }
  return whole;
}

/** Puts the parts into the template and drops the files they came in. */
export function onePage({ fileName, template, styles, allows }: Parts): Plugin {
  return {
    name: "one-page",
    enforce: "post",
    generateBundle(_, bundle) {
      const chunks = Object.values(bundle).filter((item) => item.type === "chunk");
      const script = `\n${chunks.map((chunk) => chunk.code.trim()).join("\n")}\n`;
      const style = `\n${styles.map((path) => readFileSync(path, "utf8")).join("\n").trim()}\n`;
      if (chunks.length !== 1 || /<\/script|<!--/i.test(script) || /<\/style/i.test(style)) {
        throw new Error("the parts do not fit into one page");
      }
      const parts = new Map([
        ["%CSP%", policy(script, style, allows)],
        ["%STYLE%", style],
        ["%SCRIPT%", script],
        ["%LICENCES%", licences()],
      ]);
      const source = readFileSync(template, "utf8").replace(/%[A-Z]+%/g, (mark) => parts.get(mark) ?? mark);
      Object.keys(bundle).forEach((name) => delete bundle[name]);
      this.emitFile({ type: "asset", fileName, source });
    },
  };
}
