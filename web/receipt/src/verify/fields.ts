// Fields shown and the tree they belong to: docs/spec/field-tree.md, and docs/spec/receipt.md, section "Values".

import { base64, concat, equal, fromBase64, text, utf8 } from "./bytes.ts";
import { floatText } from "./canonical.ts";
import { head } from "./cbor.ts";
import type { Commitment } from "./entry.ts";
import { Fault } from "./fault.ts";
import { NumberToken, type Json } from "./json.ts";
import { FIELDS_MAX, PATH_BYTES_MAX, VALUE_BYTES_MAX, VALUE_DEPTH_MAX } from "./limits.ts";
import { HASH_BYTES, leafHash, nodeHash } from "./merkle.ts";

export type Value =
  | { type: "null" }
  | { type: "bool"; value: boolean }
  | { type: "int"; value: bigint }
  | { type: "float"; value: number }
  | { type: "text"; value: string }
  | { type: "bytes"; value: Uint8Array }
  | { type: "array"; value: Value[] };

/** One field that is shown. */
export interface Field {
  index: number;
  path: string;
  salt: Uint8Array;
  value: Value;
}

const NAMED_FLOATS = new Map([
  ["NaN", NaN],
  ["Infinity", Infinity],
  ["-Infinity", -Infinity],
]);
const NAN_BYTES = Uint8Array.of(0xfb, 0x7f, 0xf8, 0, 0, 0, 0, 0, 0);
const [UINT, NINT, BYTES, TEXT, ARRAY] = [0, 1, 2, 3, 4];
const LABEL = utf8("ledgerstone/field/v1");
/** What a reader with integers of 128 bits can hold; which of them a record can hold is for `encoded` to say. */
const [INT_MIN, INT_MAX] = [-(1n << 127n), (1n << 127n) - 1n];

function malformed(): Fault {
  return new Fault("malformed", "fields");
}

/** The value under the name of its type. */
export function readValue(json: Json | undefined): Value {
  if (!(json instanceof Map) || json.size !== 1) {
    throw malformed();
  }
  const [[type, value] = ["", null]] = json;
  switch (type) {
    case "null":
      return value === true ? { type } : fail();
    case "bool":
      return typeof value === "boolean" ? { type, value } : fail();
    case "int":
      return { type, value: integer(value) };
    case "float":
      return { type, value: float(value) };
    case "text":
      return typeof value === "string" ? { type, value } : fail();
    case "bytes":
      return { type, value: (typeof value === "string" ? fromBase64(value) : null) ?? fail() };
    case "array":
      return Array.isArray(value) ? { type, value: value.map(readValue) } : fail();
    default:
      return fail();
  }
}

function fail(): never {
  throw malformed();
}

function integer(json: Json): bigint {
  if (typeof json !== "string" || !/^[+-]?[0-9]{1,40}$/.test(json)) {
    throw malformed();
  }
  const value = BigInt(json.replace("+", ""));
  return value >= INT_MIN && value <= INT_MAX ? value : fail();
}

function float(json: Json): number {
  if (json instanceof NumberToken) {
    const value = Number(json.text);
    return Number.isFinite(value) ? value : fail();
  }
  return (typeof json === "string" ? NAMED_FLOATS.get(json) : undefined) ?? fail();
}

/** The value as the canonical form has it. */
export function writeValue({ type, ...rest }: Value): Json {
  const value = "value" in rest ? rest.value : true;
  return new Map([[type, Array.isArray(value) ? value.map(writeValue) : scalar(value)]]);
}

function scalar(value: boolean | bigint | number | string | Uint8Array): Json {
  switch (typeof value) {
    case "bigint":
      return String(value);
    case "number":
      return Number.isFinite(value) ? new NumberToken(floatText(value)) : String(value);
    case "object":
      return base64(value);
    default:
      return value;
  }
}

/** Whether `path` is in its one spelling. */
export function isPath(path: string): boolean {
  return utf8(path).length <= PATH_BYTES_MAX && path.split("/").every((segment) => isPlace(segment) || isName(segment));
}

function isPlace(segment: string): boolean {
  const [, digits] = /^\[(0|[1-9][0-9]{0,9})\]$/.exec(segment) ?? [];
  return digits !== undefined && Number(digits) < 2 ** 32;
}

function isName(segment: string): boolean {
  if (!/^([A-Za-z0-9._~-]|%[0-9A-F]{2})+$/.test(segment)) {
    return false;
  }
  const escapes = segment.match(/%../g) ?? [];
  const needed = escapes.every((escape) => !/[A-Za-z0-9._~-]/.test(String.fromCharCode(parseInt(escape.slice(1), 16))));
  return needed && segmentText(segment) !== null;
}

/** The name that a segment spells, or null if its bytes are no text. */
export function segmentText(segment: string): string | null {
  const bytes = Array.from(segment.matchAll(/%(..)|(.)/g), ([, escape, plain = ""]) =>
    escape === undefined ? plain.charCodeAt(0) : parseInt(escape, 16),
  );
  return text(Uint8Array.from(bytes));
}

/** The value as deterministic CBOR, or null if no record can hold it. */
function encoded(value: Value, depth = 0): Uint8Array | null {
  switch (value.type) {
    case "null":
      return Uint8Array.of(0xf6);
    case "bool":
      return Uint8Array.of(value.value ? 0xf5 : 0xf4);
    case "int":
      return int(value.value);
    case "float":
      return binary64(value.value);
    case "text":
      return string(TEXT, utf8(value.value));
    case "bytes":
      return string(BYTES, value.value);
    case "array": {
      const items = depth < VALUE_DEPTH_MAX ? value.value.map((item) => encoded(item, depth + 1)) : [null];
      const whole = items.filter((item) => item !== null);
      return whole.length === items.length ? concat(head(ARRAY, BigInt(items.length)), ...whole) : null;
    }
  }
}

function int(value: bigint): Uint8Array | null {
  const [major, argument] = value < 0n ? [NINT, -1n - value] : [UINT, value];
  return argument < 1n << 64n ? head(major, argument) : null;
}

function binary64(value: number): Uint8Array {
  if (Number.isNaN(value)) {
    return NAN_BYTES;
  }
  const bytes = new Uint8Array(9);
  bytes[0] = 0xfb;
  new DataView(bytes.buffer).setFloat64(1, value);
  return bytes;
}

function string(major: number, content: Uint8Array): Uint8Array {
  return concat(head(major, BigInt(content.length)), content);
}

/** The hash of a field's leaf in a record of `count` fields. */
export function fieldHash(field: Field, count: number): Uint8Array {
  const value = encoded(field.value);
  if (value === null || value.length > VALUE_BYTES_MAX) {
    throw new Fault("fields-value", field.path);
  }
  const place = [head(UINT, BigInt(field.index)), head(UINT, BigInt(count))];
  const named = [string(TEXT, utf8(field.path)), string(BYTES, field.salt)];
  return leafHash(concat(head(ARRAY, 6n), string(TEXT, LABEL), ...place, ...named, value));
}

/** Checks that the fields belong to the record that `commitment` stands for, with no hash too many or too few. */
export function checkFields(fields: readonly Field[], proof: readonly Uint8Array[], commitment: Commitment): void {
  const { count, root } = commitment;
  checkOrder(fields, count);
  let known = new Map(fields.map((field) => [field.index, fieldHash(field, count)]));
  const left = [...proof];
  for (let width = count; width > 1; width = Math.ceil(width / 2)) {
    known = levelAbove(known, width, left);
  }
  if (left.length > 0) {
    throw new Fault("fields-proof-length");
  }
  const computed = known.get(0);
  if (computed === undefined || !equal(computed, root)) {
    throw new Fault("fields-changed");
  }
}

function checkOrder(fields: readonly Field[], count: number): void {
  if (fields.length === 0 || count < 1 || count > FIELDS_MAX) {
    throw new Fault("fields-order");
  }
  fields.forEach((field, at) => {
    const before = fields[at - 1];
    const rises = before === undefined || (before.index < field.index && before.path < field.path);
    if (!rises || field.index >= count) {
      throw new Fault("fields-order", field.path);
    }
  });
}

/** The known nodes of the next level; takes from `proof` what stands beside the way. */
function levelAbove(known: Map<number, Uint8Array>, width: number, proof: Uint8Array[]): Map<number, Uint8Array> {
  const above = new Map<number, Uint8Array>();
  for (const [at, node] of known) {
    const parent = Math.floor(at / 2);
    const neighbour = at % 2 === 0 ? at + 1 : at - 1;
    if (above.has(parent)) {
      continue; // joined from the left already
    }
    if (neighbour >= width) {
      above.set(parent, node);
      continue;
    }
    const beside = known.get(neighbour) ?? proof.shift();
    if (beside === undefined) {
      throw new Fault("fields-proof-length");
    }
    above.set(parent, at % 2 === 0 ? nodeHash(node, beside) : nodeHash(beside, node));
  }
  return above;
}

/** A list of hashes in base64. */
export function readHashes(json: Json | undefined): Uint8Array[] {
  if (!Array.isArray(json)) {
    throw new Fault("malformed", "field_proof");
  }
  return json.map((item) => {
    const hash = typeof item === "string" ? fromBase64(item) : null;
    if (hash === null || hash.length !== HASH_BYTES) {
      throw new Fault("malformed", "field_proof");
    }
    return hash;
  });
}
