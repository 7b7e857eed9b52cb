// A receipt that shows fewer fields: the same facts about the log, a smaller choice of openings, and the multiproof for it.
// Everything that takes is in the receipt already: a field that is left out becomes the hash of its leaf.

import { base64, utf8 } from "./bytes.ts";
import { writeJson } from "./canonical.ts";
import { checkFields, fieldHash } from "./fields.ts";
import { Fault } from "./fault.ts";
import { readJson, type Json } from "./json.ts";
import { nodeHash } from "./merkle.ts";
import { readReceipt, type Receipt } from "./receipt.ts";

type Level = Map<number, Uint8Array>;

/** The receipt `file` with those of its fields whose index `keeps`; its other fields can then not be had from it. */
export function shorter(file: Uint8Array, keeps: (index: number) => boolean): Uint8Array {
  const receipt = readReceipt(file);
  checkFields(receipt.fields, receipt.fieldProof, receipt.entry.commitment);
  const kept = receipt.fields.filter((field) => keeps(field.index)).map((field) => field.index);
  const proof = kept.length === 0 ? [] : proofOf(kept, levels(receipt), receipt.entry.commitment.count);
  const json = readJson(file);
  if (!(json instanceof Map)) {
    throw new Fault("unreadable");
  }
  const fields = json.get("fields");
  const openings = Array.isArray(fields) ? fields.filter((_, at) => keeps(receipt.fields[at]?.index ?? -1)) : [];
  const changed = new Map<string, Json>([...json, ["fields", openings], ["field_proof", proof.map(base64)]]);
  // What was added later was not among the facts to choose from.
  changed.delete("later");
  return utf8(`${writeJson(changed)}\n`);
}

/** Every node that the receipt gives: those over its fields, and those beside them; the leaves first. */
function levels({ fields, fieldProof, entry }: Receipt): Level[] {
  const { count } = entry.commitment;
  const proof = [...fieldProof];
  const all: Level[] = [];
  let known: Level = new Map(fields.map((field) => [field.index, fieldHash(field, count)]));
  for (let width = count; width > 1; width = Math.ceil(width / 2)) {
    const level: Level = new Map(known);
    const above: Level = new Map();
    for (const at of known.keys()) {
      const beside = at ^ 1;
      if (beside < width && !level.has(beside)) {
        level.set(beside, proof.shift() ?? missing());
      }
      const [left, right] = [level.get(at & ~1), level.get(at | 1)];
      above.set(at >> 1, beside < width ? nodeHash(left ?? missing(), right ?? missing()) : (left ?? missing()));
    }
    all.push(level);
    known = above;
  }
  return all;
}

/** The hashes beside the ways from the leaves `kept`, lowest level first. */
function proofOf(kept: number[], levels: Level[], count: number): Uint8Array[] {
  const proof: Uint8Array[] = [];
  let known = new Set(kept);
  let width = count;
  for (const level of levels) {
    for (const at of known) {
      const beside = at ^ 1;
      if (beside < width && !known.has(beside)) {
        proof.push(level.get(beside) ?? missing());
      }
    }
    known = new Set(Array.from(known, (at) => at >> 1));
    width = Math.ceil(width / 2);
  }
  return proof;
}

function missing(): never {
  throw new Fault("fields-proof-length");
}
