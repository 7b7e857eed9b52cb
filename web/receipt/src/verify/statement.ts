// Anchor statements: docs/spec/anchor-statement.md.

import { readCbor, type Cbor, type CborMap } from "./cbor.ts";
import { equal } from "./bytes.ts";
import { STATEMENT_BYTES_MAX, STATEMENT_SEQ_MAX, TREE_SIZE_MAX } from "./limits.ts";
import { HASH_BYTES, sha256 } from "./merkle.ts";
import { isKeyName } from "./note.ts";

const KEYS = 10;
const NOTHING = new Uint8Array(HASH_BYTES);

/** What was fixed outside: how far a log had grown, and what its head was then. */
export interface Statement {
  origin: string;
  lane: string;
  seq: bigint;
  size: bigint;
  root: Uint8Array;
  /** SHA-256 of the signed checkpoint note of that tree. */
  checkpoint: Uint8Array;
}

/** Whether a word can name a lane, or a kind of anchors. */
export function isLane(word: string): boolean {
  return /^[a-z0-9][a-z0-9-]{0,31}$/.test(word);
}

/** The statement that `bytes` are, or null. */
export function readStatement(bytes: Uint8Array): Statement | null {
  const map = statementMap(bytes);
  if (map === null) {
    return null;
  }
  const [version, origin, lane, ...rest] = Array.from(map.values());
  const numbers = rest.slice(0, 3).filter((item) => typeof item === "bigint");
  const hashes = rest.slice(3).filter(isHash);
  const [seq, from, to] = numbers;
  const [fromRoot, root, previous, checkpoint] = hashes;
  if (version !== 1n || typeof origin !== "string" || typeof lane !== "string" || !isKeyName(origin) || !isLane(lane)) {
    return null;
  }
  if (seq === undefined || from === undefined || to === undefined) {
    return null;
  }
  if (fromRoot === undefined || root === undefined || previous === undefined || checkpoint === undefined) {
    return null;
  }
  const grows = from < to && to <= TREE_SIZE_MAX && seq >= 1n && seq <= STATEMENT_SEQ_MAX;
  const starts = from === 0n && equal(fromRoot, sha256(new Uint8Array())) && equal(previous, NOTHING);
  const follows = from !== 0n && !equal(previous, NOTHING);
  const fits = grows && (seq === 1n ? starts : follows);
  return fits ? { origin, lane, seq, size: to, root, checkpoint } : null;
}

function isHash(item: Cbor): item is Uint8Array {
  return item instanceof Uint8Array && item.length === HASH_BYTES;
}

function statementMap(bytes: Uint8Array): CborMap | null {
  if (bytes.length > STATEMENT_BYTES_MAX) {
    return null;
  }
  try {
    const item = readCbor(bytes);
    const whole = item instanceof Map && Array.from(item.keys()).every((key, at) => key === BigInt(at + 1));
    return whole && item.size === KEYS ? item : null;
  } catch {
    return null;
  }
}
