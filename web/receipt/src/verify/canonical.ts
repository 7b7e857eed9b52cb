// The one spelling of a receipt: docs/spec/receipt.md, section "Canonical form".

import { NumberToken, type Json } from "./json.ts";

const SHORT = new Map([
  ['"', '\\"'],
  ["\\", "\\\\"],
  ["\b", "\\b"],
  ["\t", "\\t"],
  ["\n", "\\n"],
  ["\f", "\\f"],
  ["\r", "\\r"],
]);

/** The value indented by two spaces; keys in the order of the map. */
export function writeJson(value: Json, indent = ""): string {
  const inner = `${indent}  `;
  if (Array.isArray(value)) {
    return bracketed("[", value.map((item) => inner + writeJson(item, inner)), `${indent}]`);
  }
  if (value instanceof Map) {
    const pairs = Array.from(value, ([key, item]) => `${inner}${quoted(key)}: ${writeJson(item, inner)}`);
    return bracketed("{", pairs, `${indent}}`);
  }
  if (value instanceof NumberToken) {
    return value.text;
  }
  return typeof value === "string" ? quoted(value) : String(value);
}

function bracketed(open: string, items: string[], close: string): string {
  return items.length === 0 ? open + close.trimStart() : `${open}\n${items.join(",\n")}\n${close}`;
}

function quoted(value: string): string {
  const escaped = value.replace(/["\\\u0000-\u001f]/g, (character) => {
    const code = character.charCodeAt(0).toString(16).padStart(4, "0");
    return SHORT.get(character) ?? `\\u${code}`;
  });
  return `"${escaped}"`;
}

/**
 * A finite number in the shortest form that reads back as the same binary64. Written out up to 16 digits before the
 * point and 5 zeros after it, else with an exponent; always with a point or an exponent, so that it is no integer.
 */
export function floatText(value: number): string {
  const [mantissa = "", exponent = "0"] = Math.abs(value).toExponential().split("e");
  const digits = mantissa.replace(".", "");
  const point = digits === "0" ? 1 : Number(exponent) + 1;
  const sign = value < 0 || Object.is(value, -0) ? "-" : "";
  return sign + placed(digits, point);
}

function placed(digits: string, point: number): string {
  if (point > 16 || point <= -5) {
    const rest = digits.slice(1);
    return `${digits.charAt(0)}${rest === "" ? "" : `.${rest}`}e${point > 0 ? "+" : ""}${point - 1}`;
  }
  if (point <= 0) {
    return `0.${"0".repeat(-point)}${digits}`;
  }
  const whole = digits.slice(0, point).padEnd(point, "0");
  return `${whole}.${digits.slice(point) || "0"}`;
}
