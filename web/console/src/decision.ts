// The entries about one decision: decoded here, and proved here against a signed checkpoint.

import { fromBase64, hex } from "../../receipt/src/verify/bytes.ts";
import { CborFault, readCbor, type Cbor, type CborMap } from "../../receipt/src/verify/cbor.ts";
import type { Checkpoint } from "../../receipt/src/verify/checkpoint.ts";
import { checkInclusion, leafHash } from "../../receipt/src/verify/merkle.ts";
import type { DecisionAnswer, Given } from "./state.ts";
import { because } from "./trail.ts";

const KINDS = new Map<bigint, string>([
  [1n, "start"], [2n, "stop"], [3n, "heartbeat"], [4n, "gap"],
  [10n, "model"], [11n, "policy"], [12n, "key"], [13n, "roster"],
  [20n, "decision"], [21n, "outcome"], [22n, "explanation"], [23n, "review"], [24n, "notice"], [25n, "contest"], [26n, "correction"],
  [30n, "erasure"], [31n, "hold"], [32n, "release"], [40n, "anchor"], [50n, "access"],
]);
const MODES = ["strict", "bounded", "observe"];

/** gRPC status codes by number (google.golang.org/grpc/codes). */
const STATUS = [
  "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED",
  "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
];

/** What an entry shows to everybody: docs/spec/entry.md. */
export interface Shown {
  kind: string;
  writer: string;
  session: string;
  sequence: bigint;
  recordedAt: number;
  /** A UUID; null where the entry is about no decision. */
  decision: string | null;
  fields: number | null;
  sealedBytes: bigint | null;
  model: string | null;
  policy: string | null;
  mode: string | null;
  status: string | null;
}

/** An entry, what became of its proof, and why that failed. */
export interface Proved {
  index: bigint;
  leaf: Uint8Array;
  proof: Uint8Array[];
  shown: Shown | null;
  fault: string | null;
}

/** Crockford's base 32, in which references in letters are written. */
const LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const REFERENCE_LETTERS = 28;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** The decision that is asked for by its id or by the reference in a letter; null where the text is neither. */
export function decisionAsked(text: string): string | null {
  if (UUID.test(text)) {
    return text;
  }
  const letters = Array.from(text.replace(/[- ]/g, "").toUpperCase().replace(/O/g, "0").replace(/[IL]/g, "1"), (letter) => LETTERS.indexOf(letter));
  if (letters.length !== REFERENCE_LETTERS || letters.includes(-1)) {
    return null;
  }
  // The id, and twelve bits that the sidecar checked.
  const id = letters.reduce((bits, value) => (bits << 5n) | BigInt(value), 0n) >> 12n;
  return grouped(id.toString(16).padStart(32, "0"));
}

/** Checks every entry of an answer about `decision` against `checkpoint`, whose signatures hold; null where none do. */
export function proveAll(answer: DecisionAnswer, decision: string | null, checkpoint: Checkpoint | null): Proved[] {
  return answer.entries.map((given) => prove(given, decision, checkpoint));
}

function prove(given: Given, decision: string | null, checkpoint: Checkpoint | null): Proved {
  const bytes = fromBase64(given.entry) ?? new Uint8Array();
  const hashes = given.proof.map(fromBase64);
  const proof = hashes.filter((hash) => hash !== null && hash.length === 32) as Uint8Array[];
  const proved: Proved = { index: BigInt(given.index), leaf: leafHash(bytes), proof, shown: shown(bytes), fault: null };
  if (checkpoint === null) {
    return { ...proved, fault: "no signed checkpoint came with it" };
  }
  if (proved.shown === null) {
    return { ...proved, fault: "these bytes are no entry" };
  }
  if (decision === null || proved.shown.decision !== decision) {
    return { ...proved, fault: "this entry is not about the decision that was asked for" };
  }
  if (proof.length !== hashes.length) {
    return { ...proved, fault: "the proof cannot be read" };
  }
  try {
    checkInclusion(proved.leaf, proved.index, checkpoint.size, proof, checkpoint.root);
    return proved;
  } catch (error) {
    return { ...proved, fault: because(error) };
  }
}

/** What stands in an entry; null where the bytes are none. */
export function shown(bytes: Uint8Array): Shown | null {
  try {
    const map = readCbor(bytes);
    return map instanceof Map ? read(map) : null;
  } catch (error) {
    if (error instanceof CborFault) {
      return null;
    }
    throw error;
  }
}

function read(map: CborMap): Shown | null {
  const [number, writer, session, sequence, at] = [2n, 3n, 4n, 5n, 6n].map((key) => map.get(key));
  const kind = typeof number === "bigint" ? KINDS.get(number) : undefined;
  if (kind === undefined || typeof writer !== "string" || typeof sequence !== "bigint" || typeof at !== "bigint") {
    return null;
  }
  const [commitment, sealed] = [pair(map.get(9n)), pair(map.get(10n))];
  const mode = map.get(13n);
  const details = map.get(14n);
  const code = kind === "decision" && details instanceof Map ? details.get(1n) : undefined;
  return {
    kind,
    writer,
    session: bytesText(session) ?? "",
    sequence,
    recordedAt: Number(at),
    decision: uuid(map.get(7n)),
    fields: commitment === null ? null : Number(commitment),
    sealedBytes: sealed,
    model: bytesText(map.get(11n)),
    policy: bytesText(map.get(12n)),
    mode: typeof mode === "bigint" ? (MODES[Number(mode)] ?? null) : null,
    status: typeof code === "bigint" ? (STATUS[Number(code)] ?? String(code)) : null,
  };
}

function pair(item: Cbor | undefined): bigint | null {
  const second = Array.isArray(item) ? item[1] : undefined;
  return typeof second === "bigint" ? second : null;
}

function bytesText(item: Cbor | undefined): string | null {
  return item instanceof Uint8Array ? hex(item) : null;
}

/** Sixteen bytes as RFC 9562, section 4, writes them. */
function uuid(item: Cbor | undefined): string | null {
  const digits = bytesText(item);
  return digits === null ? null : grouped(digits);
}

function grouped(digits: string): string {
  return digits.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
