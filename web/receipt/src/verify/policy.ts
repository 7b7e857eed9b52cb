// Trust policies: whom a reader believes, and how many witnesses must have seen a checkpoint (c2sp.org/tlog-policy).
// Stricter in one point, as docs/spec/receipt.md asks: every key listed for a log must have signed.

import { decimal, equal, fromBase64, text } from "./bytes.ts";
import { signedBy, type Checkpoint } from "./checkpoint.ts";
import { readReceiptKey, type ReceiptKey } from "./cose.ts";
import { Fault } from "./fault.ts";
import { POLICY_BYTES_MAX, POLICY_ITEMS_MAX } from "./limits.ts";
import { ED25519, ED25519_COSIGNATURE, readKey, type Key } from "./note.ts";

const NONE = "none";
/** Readers that know tlog-policy alone take such a line for a comment. */
const RECEIPT_KEY = "#receipt-key";

interface Witness {
  name: string;
  key: Key;
}

interface Group {
  name: string;
  threshold: number;
  members: string[];
}

export interface Policy {
  logs: Key[];
  /** The keys that sign COSE receipts. */
  receiptKeys: ReceiptKey[];
  witnesses: Witness[];
  groups: Group[];
  /** A witness or a group, or null where none is asked for. */
  quorum: string | null;
}

/** The policy that `bytes` are. Names are compared as bytes, so each byte is a character here. */
export function readPolicy(bytes: Uint8Array): Policy {
  if (bytes.length > POLICY_BYTES_MAX) {
    throw new Fault("policy-malformed");
  }
  const file = Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
  if (/[\u0000-\u0008\u000b-\u001f\u007f]/.test(file) || !file.endsWith("\n")) {
    throw new Fault("policy-malformed");
  }
  const draft = new Draft();
  file.slice(0, -1).split("\n").forEach((line, at) => {
    if (!draft.takes(line.split(/[ \t]+/).filter((word) => word !== ""))) {
      throw new Fault("policy-malformed", String(at + 1));
    }
  });
  return draft.finished();
}

class Draft {
  readonly #logs: Key[] = [];
  readonly #receiptKeys: ReceiptKey[] = [];
  readonly #witnesses: Witness[] = [];
  readonly #groups: Group[] = [];
  readonly #names = new Set<string>();
  readonly #grouped = new Set<string>();
  #quorum: string | null | undefined;

  /** Takes a line by its words; false if it breaks a rule. */
  takes(words: string[]): boolean {
    const [keyword, ...rest] = words;
    if (keyword === RECEIPT_KEY) {
      return this.#receiptKey(rest);
    }
    if (keyword === undefined || keyword.startsWith("#")) {
      return true;
    }
    switch (keyword) {
      case "log":
        return this.#log(rest);
      case "witness":
        return this.#witness(rest);
      case "group":
        return this.#group(rest);
      case "quorum":
        return this.#asks(rest);
      default:
        return false;
    }
  }

  finished(): Policy {
    if (this.#quorum === undefined) {
      throw new Fault("policy-malformed");
    }
    return { logs: this.#logs, receiptKeys: this.#receiptKeys, witnesses: this.#witnesses, groups: this.#groups, quorum: this.#quorum };
  }

  #log([vkey, , ...surplus]: string[]): boolean {
    const key = keyOf(vkey);
    const fits = key !== null && key.type !== ED25519_COSIGNATURE && !this.#isListed(key);
    return fits && surplus.length === 0 && this.#logs.length < POLICY_ITEMS_MAX && this.#logs.push(key) > 0;
  }

  #receiptKey([name, encoded, ...surplus]: string[]): boolean {
    const origin = name === undefined ? null : asText(name);
    const bytes = encoded === undefined ? null : fromBase64(encoded);
    const found = origin === null || bytes === null ? null : readReceiptKey(origin, bytes);
    const fits = found !== null && surplus.length === 0 && !this.#isListed(found.key);
    return fits && this.#receiptKeys.length < POLICY_ITEMS_MAX && this.#receiptKeys.push(found) > 0;
  }

  /** Whether a key is listed already, for a log or for receipts: it has one purpose. */
  #isListed(key: Key): boolean {
    return holdsKey([...this.#logs, ...this.#receiptKeys.map((listed) => listed.key)], key);
  }

  #witness([name, vkey, , ...surplus]: string[]): boolean {
    const key = keyOf(vkey);
    const keys = this.#witnesses.map((witness) => witness.key);
    if (name === undefined || key === null || key.type === ED25519 || holdsKey(keys, key)) {
      return false;
    }
    const room = surplus.length === 0 && keys.length < POLICY_ITEMS_MAX;
    return room && this.#defines(name) && this.#witnesses.push({ name, key }) > 0;
  }

  #group([name, number, ...members]: string[]): boolean {
    if (name === undefined || number === undefined || members.length === 0) {
      return false;
    }
    const known = members.every((member) => this.#names.has(member) && !this.#grouped.has(member));
    const once = new Set(members).size === members.length;
    const threshold = number === "all" ? members.length : number === "any" ? 1 : Number(decimal(number) ?? 0n);
    const within = threshold >= 1 && threshold <= members.length && this.#groups.length < POLICY_ITEMS_MAX;
    members.forEach((member) => this.#grouped.add(member));
    return known && once && within && this.#defines(name) && this.#groups.push({ name, threshold, members }) > 0;
  }

  #asks([name, ...surplus]: string[]): boolean {
    if (name === undefined || surplus.length > 0 || this.#quorum !== undefined) {
      return false;
    }
    this.#quorum = name === NONE ? null : name;
    return name === NONE || this.#names.has(name);
  }

  #defines(name: string): boolean {
    const fresh = name !== NONE && !this.#names.has(name);
    this.#names.add(name);
    return fresh;
  }
}

function keyOf(word: string | undefined): Key | null {
  const vkey = word === undefined ? null : asText(word);
  return vkey === null ? null : readKey(vkey);
}

/** A word of the file, whose characters stand for bytes, as text. */
function asText(word: string): string | null {
  return text(Uint8Array.from(word, (character) => character.charCodeAt(0)));
}

/** Whether a key is listed already, under whatever name. */
function holdsKey(keys: readonly Key[], key: Key): boolean {
  return keys.some((listed) => equal(listed.bytes, key.bytes));
}

/** The log's keys, all of which signed the checkpoint. */
export function checkLog(policy: Policy, checkpoint: Checkpoint): Key[] {
  const keys = policy.logs.filter((key) => key.name === checkpoint.origin);
  if (keys.length === 0) {
    throw new Fault("unknown-log", checkpoint.origin);
  }
  for (const key of keys) {
    const found = signedBy(checkpoint, key);
    if (found !== "signed") {
      throw new Fault(found === "absent" ? "signature-absent" : "signature-wrong", key.id);
    }
  }
  return keys;
}

/** The names of the witnesses that cosigned, if they are enough. */
export function checkQuorum(policy: Policy, checkpoint: Checkpoint): string[] {
  const met = new Set<string>();
  for (const { name, key } of policy.witnesses) {
    const found = signedBy(checkpoint, key);
    if (found === "wrong") {
      throw new Fault("cosignature-wrong", name);
    }
    if (found === "signed") {
      met.add(name);
    }
  }
  const cosigners = [...met];
  // A group names only what stands above it, so one pass in the order of the file decides them all.
  for (const { name, threshold, members } of policy.groups) {
    if (members.filter((member) => met.has(member)).length >= threshold) {
      met.add(name);
    }
  }
  if (policy.quorum !== null && !met.has(policy.quorum)) {
    throw new Fault("quorum-missed");
  }
  return cosigners;
}
