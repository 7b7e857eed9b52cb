// The values of fields as a reader sees them.

import { hex } from "../verify/bytes.ts";
import { segmentText, type Field, type Value } from "../verify/fields.ts";
import type { Speech } from "../words/language.ts";
import { h } from "./dom.ts";
import { inert } from "./inert.ts";

/** Paths whose integers are milliseconds since 1970. */
const TIMES = /^(time\/(received|model_started|model_ended|decided|recorded|use_start|use_end)|outcome\/effective_at|.*\/(at|delivered_at|received_at|decided_at))$/;

/** Items of an array that are shown. */
const ITEMS_MAX = 50;

/** A field's value. */
export function shownValue(field: Field, speech: Speech): HTMLElement {
  const { value } = field;
  if (value.type === "int" && TIMES.test(field.path) && value.value >= 0n && value.value < 1n << 50n) {
    return h("span", {}, speech.time(value.value));
  }
  return plainValue(value, speech);
}

function plainValue(value: Value, speech: Speech): HTMLElement {
  const words = speech.words.values;
  switch (value.type) {
    case "null":
      return h("span", { class: "quiet" }, words.nothing);
    case "bool":
      return h("span", {}, value.value ? words.yes : words.no);
    case "int":
      return h("span", {}, speech.number(value.value));
    case "float":
      return h("span", {}, Number.isFinite(value.value) ? speech.number(value.value) : String(value.value));
    case "text":
      return inert(value.value, speech);
    case "bytes":
      return bytesValue(value.value, speech);
    case "array": {
      const items = value.value.slice(0, ITEMS_MAX).map((item) => h("li", {}, plainValue(item, speech)));
      const more = value.value.length > ITEMS_MAX ? [h("li", { class: "quiet" }, "…")] : [];
      return h("ul", { class: "values" }, ...items, ...more);
    }
  }
}

function bytesValue(bytes: Uint8Array, speech: Speech): HTMLElement {
  const shown = bytes.length <= 64 ? hex(bytes) : `${hex(bytes.subarray(0, 64))}…`;
  const count = h("span", { class: "quiet" }, ` (${speech.words.values.bytes(speech.count(bytes.length))})`);
  return h("span", {}, h("code", {}, shown), count);
}

/** A path as words: its segments with their own letters. */
export function pathText(path: string): string {
  return path
    .split("/")
    .map((segment) => segmentText(segment) ?? segment)
    .join(" › ");
}

/** The field at `path`. */
export function fieldAt(fields: readonly Field[], path: string): Field | null {
  return fields.find((field) => field.path === path) ?? null;
}

/** The text at `path`, if a text stands there. */
export function textAt(fields: readonly Field[], path: string): string | null {
  const value = fieldAt(fields, path)?.value;
  return value?.type === "text" ? value.value : null;
}
