// What matters in the sources and in the built page is enforced here, not by review.

import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";

import { PAGE, SRC } from "./support.ts";

const FILE_LINES_MAX = 500;
const FUNCTION_LINES_MAX = 50;

const files = (readdirSync(SRC, { recursive: true }) as string[])
  .filter((name) => name.endsWith(".ts"))
  .map((name) => [name, readFileSync(join(SRC, name), "utf8")] as const);

test("nothing turns text into HTML or code, nothing is kept, and one file asks the sidecar", () => {
  const forbidden = /innerHTML|outerHTML|insertAdjacent|document\.write|\beval\b|new Function|XMLHttpRequest|WebSocket|EventSource|sendBeacon|import\(|localStorage|sessionStorage|indexedDB|\.cookie|\.style\b|setInterval|https?:/;
  expect(files.length).toBeGreaterThan(12);
  expect(files.filter(([, text]) => forbidden.test(text)).map(([name]) => name)).toEqual([]);
  expect(files.filter(([, text]) => /\bfetch\(/.test(text)).map(([name]) => name)).toEqual(["ask.ts"]);
});

test("what is judged and proved knows nothing of the page", () => {
  const reaching = files.filter(([name, text]) => !name.startsWith("page/") && name !== "main.ts" && /from "\.\/page|\bdocument\b|\bwindow\b|Date\.now/.test(text));
  expect(reaching.map(([name]) => name)).toEqual([]);
});

test("files and functions stay short", () => {
  const styles = (readdirSync(join(SRC, "style")) as string[]).map((name) => [name, readFileSync(join(SRC, "style", name), "utf8")] as const);
  expect(styles.length).toBeGreaterThan(0);
  expect([...files, ...styles].filter(([, text]) => text.split("\n").length > FILE_LINES_MAX).map(([name]) => name)).toEqual([]);
  const long = files.flatMap(([name, text]) => {
    const lines = text.split("\n");
    return lines.flatMap((line, start) => {
      const [, indent] = /^( *)(?:export )?(?:async )?(?:function |#?\w+\(.*\{$)/.exec(line) ?? [];
      const length = indent === undefined ? 0 : lines.slice(start).indexOf(`${indent}}`) + 1;
      return length > FUNCTION_LINES_MAX ? [`${name}:${start + 1} has ${length} lines`] : [];
    });
  });
  expect(long).toEqual([]);
});

test("the policy of the built page allows its own script, style and sidecar, and nothing else", () => {
  const page = readFileSync(PAGE, "utf8");
  const [, policy = ""] = /http-equiv="Content-Security-Policy" content="([^"]*)"/.exec(page) ?? [];
  const script = page.slice(page.indexOf("<script>") + 8, page.lastIndexOf("</script>"));
  const style = page.slice(page.indexOf("<style>") + 7, page.indexOf("</style>"));
  const source = (text: string): string => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
  expect(policy.split("; ")).toEqual([
    "default-src 'none'",
    `script-src ${source(script)}`,
    `style-src ${source(style)}`,
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ]);
  expect(page.match(/<(link|img|iframe|object|embed|form|base)\b/g)).toBeNull();
  expect(page.match(/<script\b/g)).toHaveLength(1);
  for (const name of ["@noble/curves 2.4.0", "@noble/hashes 2.4.0", "@noble/post-quantum 0.7.1"]) {
    expect(page).toContain(`\n${name}\n\nThe MIT License (MIT)`);
  }
});
