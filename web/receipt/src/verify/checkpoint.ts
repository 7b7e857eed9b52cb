// Checkpoints and who signed them: c2sp.org/tlog-checkpoint and c2sp.org/tlog-cosignature.

import { base64, concat, decimal, equal, fromBase64, uint64, utf8 } from "./bytes.ts";
import { TREE_SIZE_MAX } from "./limits.ts";
import { HASH_BYTES, sha256 } from "./merkle.ts";
import { ED25519, ED25519_COSIGNATURE, isKeyName, isSignedBy, readNote, type Key, type Note, type Signature } from "./note.ts";

const SUBTREE = utf8("subtree/v1\n\0");
const TIME_BYTES = 8;
const TIME_MAX = (1n << 63n) - 1n;

/** What a log states about its tree; nothing of it is believed by reading it. */
export interface Checkpoint {
  origin: string;
  size: bigint;
  root: Uint8Array;
  note: Note;
}

/** The checkpoint note that `whole` is, or null. */
export function readCheckpoint(whole: string): Checkpoint | null {
  const note = readNote(whole);
  const [origin = "", digits = "", encoded = "", end, ...rest] = note?.text.split("\n") ?? [];
  const size = decimal(digits);
  const root = fromBase64(encoded);
  if (note === null || end !== "" || rest.length > 0 || !isKeyName(origin)) {
    return null;
  }
  if (size === null || size > TREE_SIZE_MAX || root === null || root.length !== HASH_BYTES) {
    return null;
  }
  const empty = size === 0n && !equal(root, sha256(new Uint8Array()));
  return empty ? null : { origin, size, root, note };
}

/** Whether `key` signed the checkpoint: every line that names the key must hold. */
export function signedBy(checkpoint: Checkpoint, key: Key): "signed" | "absent" | "wrong" {
  const lines = checkpoint.note.signatures.filter((line) => line.name === key.name && line.id === key.id);
  if (lines.length === 0) {
    return "absent";
  }
  return lines.every((line) => holds(checkpoint, key, line)) ? "signed" : "wrong";
}

function holds(checkpoint: Checkpoint, key: Key, line: Signature): boolean {
  if (key.type === ED25519) {
    return isSignedBy(key, utf8(checkpoint.note.text), line.bytes);
  }
  if (line.bytes.length < TIME_BYTES) {
    return false;
  }
  const time = new DataView(line.bytes.buffer, line.bytes.byteOffset).getBigUint64(0);
  const message =
    key.type === ED25519_COSIGNATURE
      ? utf8(`cosignature/v1\ntime ${time}\n${checkpoint.note.text}`)
      : treeHeadMessage(checkpoint, key.name, time);
  return time <= TIME_MAX && isSignedBy(key, message, line.bytes.slice(TIME_BYTES));
}

/** tlog-cosignature, "ML-DSA-44 signed message", for the whole tree: from leaf 0 to the size. */
function treeHeadMessage(checkpoint: Checkpoint, cosigner: string, time: bigint): Uint8Array {
  const [by, of] = [named(cosigner), named(checkpoint.origin)];
  return concat(SUBTREE, by, uint64(time), of, uint64(0n), uint64(checkpoint.size), checkpoint.root);
}

function named(name: string): Uint8Array {
  const bytes = utf8(name);
  return concat(Uint8Array.of(bytes.length), bytes);
}

/** The root hash as people compare it. */
export function rootText(checkpoint: Checkpoint): string {
  return base64(checkpoint.root);
}
