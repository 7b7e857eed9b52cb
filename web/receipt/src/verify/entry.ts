// The entry of a decision: docs/spec/entry.md, section "To check an entry", and entry.cddl, `decision-entry`.

import { readCbor, type Cbor, type CborMap } from "./cbor.ts";
import { ENTRY_BYTES_MAX, ENTRY_LINKS_MAX, FIELDS_MAX } from "./limits.ts";
import { Fault } from "./fault.ts";
import { hex } from "./bytes.ts";

const DECISION = 20n;
const MODES = ["strict", "bounded", "observe"] as const;
const KEY_MAX = 14n;

/** What the log shows of a record: the root of its field tree and the number of its fields. */
export interface Commitment {
  root: Uint8Array;
  count: number;
}

/** What the log recorded about a decision. */
export interface Entry {
  writer: string;
  session: Uint8Array;
  sequence: bigint;
  /** Milliseconds since 1970-01-01T00:00:00Z, by the log's clock. */
  recordedAt: bigint;
  /** A UUID in lower case. */
  decision: string;
  commitment: Commitment;
  model: Uint8Array | null;
  policy: Uint8Array | null;
  mode: (typeof MODES)[number] | null;
  status: bigint;
}

/** The kinds of entries that add to a decision, from number 21 on. */
export const LATER_KINDS = ["outcome", "explanation", "review", "notice", "contest", "correction"] as const;

/** What the log recorded about something that was added to a decision. */
export interface LaterEntry {
  kind: (typeof LATER_KINDS)[number];
  /** Milliseconds since 1970-01-01T00:00:00Z, by the log's clock. */
  recordedAt: bigint;
  decision: string;
  /** Leaf indices of the entries that it adds to. */
  links: bigint[];
  commitment: Commitment | null;
}

/** The entry that `bytes` are, if it adds to a decision: entry.cddl, `follow-up-entry`. */
export function readLaterEntry(bytes: Uint8Array): LaterEntry {
  const map = entryMap(bytes);
  const part = (key: bigint): Cbor | undefined => map.get(key);
  check(part(1n) === 1n);
  const number = uint(part(2n));
  const kind = number > DECISION ? LATER_KINDS[Number(number - DECISION - 1n)] : undefined;
  check(kind !== undefined);
  check(Array.from(map.keys()).every((key) => key >= 1n && key <= KEY_MAX));
  check(part(8n) !== undefined);
  checkLinks(part(8n));
  checkSealed(part(10n));
  writer(part(3n));
  sized(part(4n), 16);
  uint(part(5n));
  for (const key of [11n, 12n]) {
    optional(part(key), (digest) => sized(digest, 32));
  }
  optional(part(13n), mode);
  optional(part(14n), checkDetails);
  return {
    kind,
    recordedAt: uint(part(6n)),
    decision: uuid(sized(part(7n), 16)),
    links: list(part(8n)).map(uint),
    commitment: optional(part(9n), commitment),
  };
}

/** Numbered values without another rule. */
function checkDetails(item: Cbor): void {
  check(item instanceof Map && item.size > 0);
  check(Array.from(item.values()).every((value) => !Array.isArray(value) && !(value instanceof Map)));
}

function list(item: Cbor | undefined): Cbor[] {
  check(Array.isArray(item));
  return item;
}

/** The entry that `bytes` are, if it is a decision's. */
export function readEntry(bytes: Uint8Array): Entry {
  const map = entryMap(bytes);
  const part = (key: bigint): Cbor | undefined => map.get(key);
  check(part(1n) === 1n);
  if (part(2n) !== DECISION) {
    throw new Fault("not-a-decision");
  }
  check(Array.from(map.keys()).every((key) => key >= 1n && key <= KEY_MAX));
  checkLinks(part(8n));
  checkSealed(part(10n));
  return {
    writer: writer(part(3n)),
    session: sized(part(4n), 16),
    sequence: uint(part(5n)),
    recordedAt: uint(part(6n)),
    decision: uuid(sized(part(7n), 16)),
    commitment: commitment(part(9n)),
    model: optional(part(11n), (digest) => sized(digest, 32)),
    policy: optional(part(12n), (digest) => sized(digest, 32)),
    mode: optional(part(13n), mode),
    status: status(part(14n)),
  };
}

function entryMap(bytes: Uint8Array): CborMap {
  check(bytes.length <= ENTRY_BYTES_MAX);
  let item: Cbor;
  try {
    item = readCbor(bytes);
  } catch {
    throw new Fault("entry-malformed");
  }
  if (!(item instanceof Map)) {
    throw new Fault("entry-malformed");
  }
  return item;
}

function check(holds: boolean): asserts holds {
  if (!holds) {
    throw new Fault("entry-malformed");
  }
}

function optional<T>(item: Cbor | undefined, read: (item: Cbor) => T): T | null {
  return item === undefined ? null : read(item);
}

function uint(item: Cbor | undefined): bigint {
  check(typeof item === "bigint");
  return item;
}

function sized(item: Cbor | undefined, length: number): Uint8Array {
  check(item instanceof Uint8Array && item.length === length);
  return item;
}

function writer(item: Cbor | undefined): string {
  check(typeof item === "string" && /^[a-z0-9._-]{1,64}$/.test(item));
  return item;
}

function pair(item: Cbor | undefined): [Uint8Array, bigint] {
  check(Array.isArray(item) && item.length === 2);
  return [sized(item[0], 32), uint(item[1])];
}

function commitment(item: Cbor | undefined): Commitment {
  const [root, count] = pair(item);
  check(count >= 1n && count <= BigInt(FIELDS_MAX));
  return { root, count: Number(count) };
}

function checkSealed(item: Cbor | undefined): void {
  if (item !== undefined) {
    pair(item);
  }
}

function checkLinks(item: Cbor | undefined): void {
  if (item === undefined) {
    return;
  }
  check(Array.isArray(item) && item.length >= 1 && item.length <= ENTRY_LINKS_MAX);
  const links = item.map(uint);
  check(links.every((link, at) => at === 0 || (links[at - 1] ?? link) < link));
}

function mode(item: Cbor): (typeof MODES)[number] {
  const named = MODES[Number(uint(item))];
  check(named !== undefined);
  return named;
}

/** The details of a decision: the gRPC status code that the caller got, and nothing else. */
function status(item: Cbor | undefined): bigint {
  check(item instanceof Map && item.size === 1);
  const code = uint(item.get(1n));
  check(code < 1n << 32n);
  return code;
}

/** Sixteen bytes as RFC 9562, section 4, writes them. */
function uuid(bytes: Uint8Array): string {
  return hex(bytes).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
