// The receipt file: docs/spec/receipt.md, sections "An example", "Anchors", "Canonical form".

import { fromBase64, text } from "./bytes.ts";
import { writeJson } from "./canonical.ts";
import { readCose, type CoseReceipt } from "./cose.ts";
import { readCheckpoint, type Checkpoint } from "./checkpoint.ts";
import { readEntry, readLaterEntry, type Entry, type LaterEntry } from "./entry.ts";
import { Fault } from "./fault.ts";
import { isPath, readHashes, readValue, writeValue, type Field } from "./fields.ts";
import { NumberToken, readJson, type Json } from "./json.ts";
import { ANCHORS_MAX, ANCHOR_PROOF_BYTES_MAX, LATER_MAX, RECEIPT_BYTES_MAX, UINT64_MAX } from "./limits.ts";
import { readTlogProof, type TlogProof } from "./proof.ts";
import { isLane, readStatement, type Statement } from "./statement.ts";

const FORMAT = "ledgerstone-receipt/v1";
const KEYS = ["format", "origin", "decision_id", "entry", "fields", "field_proof", "tlog_proof"];
const OPTIONAL_KEYS = ["cose_receipt", "later", "anchors"];
const FIELD_KEYS = ["index", "path", "salt", "value"];
const LATER_KEYS = ["entry", "fields", "field_proof", "index", "inclusion_proof"];
const ANCHOR_KEYS = ["kind", "statement", "tlog_proof", "proof"];

/** Where the log was fixed outside with the entry in it, as the file claims. */
export interface Anchor {
  kind: string;
  statement: Statement;
  statementBytes: Uint8Array;
  inclusion: TlogProof;
  checkpoint: Checkpoint;
  proof: Uint8Array;
}

/** Something that was added to the decision, as the file claims. */
export interface Later {
  entry: LaterEntry;
  entryBytes: Uint8Array;
  fields: Field[];
  fieldProof: Uint8Array[];
  index: bigint;
  hashes: Uint8Array[];
}

/** A receipt whose parts have their forms. Whether they are true is for `check` to find out. */
export interface Receipt {
  entry: Entry;
  entryBytes: Uint8Array;
  fields: Field[];
  fieldProof: Uint8Array[];
  inclusion: TlogProof;
  checkpoint: Checkpoint;
  /** The same proof in the form of RFC 9942, where the log has a key for it. */
  cose: CoseReceipt | null;
  later: Later[];
  anchors: Anchor[];
}

/** The receipt that `bytes` are. */
export function readReceipt(bytes: Uint8Array): Receipt {
  if (bytes.length > RECEIPT_BYTES_MAX) {
    throw new Fault("too-large");
  }
  const json = readJson(bytes);
  const file = keyed(json, KEYS, OPTIONAL_KEYS, "unreadable");
  if (string(file, "format") !== FORMAT) {
    throw new Fault("other-version");
  }
  const receipt = facts(file);
  if (string(file, "origin") !== receipt.checkpoint.origin) {
    throw new Fault("other-origin");
  }
  if (string(file, "decision_id") !== receipt.entry.decision) {
    throw new Fault("other-decision");
  }
  if (`${writeJson(json)}\n` !== text(bytes) || !inOrder(file, receipt)) {
    throw new Fault("not-canonical");
  }
  return receipt;
}

function facts(file: Map<string, Json>): Receipt {
  const entryBytes = decoded(file, "entry");
  const inclusion = readTlogProof(string(file, "tlog_proof")) ?? malformed("tlog_proof");
  const fields = list(file, "fields").map(readField);
  const fieldProof = readHashes(file.get("field_proof"));
  const entry = readEntry(entryBytes);
  const checkpoint = readCheckpoint(inclusion.note);
  if (checkpoint === null) {
    throw new Fault("checkpoint-malformed");
  }
  const cose = file.has("cose_receipt") ? readCose(decoded(file, "cose_receipt")) : null;
  const later = file.has("later") ? list(file, "later").map((json) => readLater(json, entry.decision)) : [];
  if (later.length > LATER_MAX || new Set(later.map(({ index }) => index)).size < later.length) {
    return malformed("later");
  }
  const anchors = file.has("anchors") ? list(file, "anchors").map(readAnchor) : [];
  if (anchors.length > ANCHORS_MAX || new Set(anchors.map((anchor) => anchor.statement.lane)).size < anchors.length) {
    return malformed("anchors");
  }
  return { entry, entryBytes, fields, fieldProof, inclusion, checkpoint, cose, later, anchors };
}

/** Whether keys, later entries and lanes stand in the one order that the format gives them, and every value in its one spelling. */
function inOrder(file: Map<string, Json>, { later, anchors, fields }: Receipt): boolean {
  const order = [...KEYS, ...OPTIONAL_KEYS.filter((key) => file.has(key))];
  const added = file.has("later") ? list(file, "later") : [];
  const addedRises = later.every(({ index }, at) => at === 0 || (later[at - 1]?.index ?? index) < index);
  const addedSpelled = later.every((part, at) => added[at] instanceof Map && isSpelled(part.fields, added[at]));
  const lanes = anchors.map((anchor) => anchor.statement.lane);
  const rising = lanes.every((lane, at) => at === 0 || (lanes[at - 1] ?? lane) < lane);
  const named = (anchors.length > 0 || !file.has("anchors")) && (later.length > 0 || !file.has("later"));
  const keys = Array.from(file.keys()).every((key, at) => key === order[at]);
  return keys && addedRises && addedSpelled && rising && named && isSpelled(fields, file);
}

/** Whether the values of `fields`, which stand in `json`, are in their one spelling. */
function isSpelled(fields: readonly Field[], json: Map<string, Json>): boolean {
  const values = list(json, "fields").map((field) => (field instanceof Map ? (field.get("value") ?? null) : null));
  return fields.every((field, at) => writeJson(writeValue(field.value)) === writeJson(values[at] ?? null));
}

/** An object with exactly the keys `needed`, in that order, and then any of `optional`. */
function keyed(json: Json, needed: string[], optional: string[], reason: "unreadable" | "malformed"): Map<string, Json> {
  const known = [...needed, ...optional];
  const fits =
    json instanceof Map && needed.every((key) => json.has(key)) && Array.from(json.keys()).every((key) => known.includes(key));
  if (!fits) {
    throw new Fault(reason);
  }
  return json;
}

/** The same, and the keys stand in their order. */
function ordered(json: Json, needed: string[], optional: string[]): Map<string, Json> {
  const map = keyed(json, needed, optional, "malformed");
  const order = [...needed, ...optional];
  const places = Array.from(map.keys(), (key) => order.indexOf(key));
  return places.every((place, at) => place === at) ? map : malformed("order");
}

function readField(json: Json): Field {
  const field = ordered(json, FIELD_KEYS, []);
  const index = field.get("index");
  const path = string(field, "path");
  const salt = decoded(field, "salt");
  const place = index instanceof NumberToken && /^(0|[1-9][0-9]{0,9})$/.test(index.text) ? Number(index.text) : Infinity;
  if (place >= 2 ** 32 || !isPath(path) || salt.length !== 32) {
    return malformed("fields");
  }
  return { index: place, path, salt, value: readValue(field.get("value")) };
}

function readLater(json: Json, decision: string): Later {
  try {
    const later = ordered(json, LATER_KEYS, []);
    const entryBytes = decoded(later, "entry");
    const fields = list(later, "fields").map(readField);
    const fieldProof = readHashes(later.get("field_proof"));
    const place = string(later, "index");
    const index = /^(0|[1-9][0-9]{0,19})$/.test(place) ? BigInt(place) : malformed("later");
    const hashes = readHashes(later.get("inclusion_proof"));
    const entry = readLaterEntry(entryBytes);
    const fits = index <= UINT64_MAX && entry.decision === decision;
    return fits ? { entry, entryBytes, fields, fieldProof, index, hashes } : malformed("later");
  } catch {
    return malformed("later");
  }
}

function readAnchor(json: Json): Anchor {
  const anchor = ordered(json, ANCHOR_KEYS, ["headers"]);
  const kind = string(anchor, "kind");
  const statementBytes = decoded(anchor, "statement");
  const statement = readStatement(statementBytes);
  const inclusion = readTlogProof(string(anchor, "tlog_proof"));
  const checkpoint = inclusion === null ? null : readCheckpoint(inclusion.note);
  const proof = decoded(anchor, "proof");
  if (anchor.has("headers")) {
    decoded(anchor, "headers");
  }
  const fits = isLane(kind) && proof.length > 0 && proof.length <= ANCHOR_PROOF_BYTES_MAX;
  if (!fits || statement === null || inclusion === null || checkpoint === null) {
    return malformed("anchors");
  }
  return { kind, statement, statementBytes, inclusion, checkpoint, proof };
}

function malformed(part: string): never {
  throw new Fault("malformed", part);
}

function string(map: Map<string, Json>, key: string): string {
  const value = map.get(key);
  return typeof value === "string" ? value : malformed(key);
}

function list(map: Map<string, Json>, key: string): Json[] {
  const value = map.get(key);
  return Array.isArray(value) ? value : malformed(key);
}

function decoded(map: Map<string, Json>, key: string): Uint8Array {
  return fromBase64(string(map, key)) ?? malformed(key);
}
