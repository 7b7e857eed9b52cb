// What the tests share: the golden files, and where things lie.

import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

export const ROOT = fileURLToPath(new URL("../../..", import.meta.url));
export const PAGE = fileURLToPath(new URL("../dist/receipt.html", import.meta.url));

export function golden(name: string): Uint8Array {
  return new Uint8Array(readFileSync(`${ROOT}tests/golden/${name}`));
}

export function goldenText(name: string): string {
  return readFileSync(`${ROOT}tests/golden/${name}`, "utf8");
}

export function unhex(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text.replace(/\s/g, ""), "hex"));
}

/** The fenced block of a page of docs/spec that is tagged so. */
export function block(page: string, tag: string): string {
  const text = readFileSync(`${ROOT}docs/spec/${page}`, "utf8");
  const [, found] = text.split(`\`\`\`text ${tag}\n`);
  if (found === undefined) {
    throw new Error(`${page} has no block ${tag}`);
  }
  return found.split("```")[0] ?? "";
}
