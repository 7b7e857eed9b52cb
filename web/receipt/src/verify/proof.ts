// The inclusion proof with its checkpoint: c2sp.org/tlog-proof.

import { decimal, fromBase64 } from "./bytes.ts";
import { PROOF_HASHES_MAX } from "./limits.ts";
import { HASH_BYTES } from "./merkle.ts";

const HEADER = "c2sp.org/tlog-proof@v1";

export interface TlogProof {
  index: bigint;
  hashes: Uint8Array[];
  /** The checkpoint note, word for word. */
  note: string;
}

/** The proof that `whole` is, or null. One with an `extra` line is none here: nothing authenticates what it says. */
export function readTlogProof(whole: string): TlogProof | null {
  const blank = whole.indexOf("\n\n");
  const [header, place = "", ...lines] = whole.slice(0, Math.max(blank, 0)).split("\n");
  const index = place.startsWith("index ") ? decimal(place.slice("index ".length)) : null;
  const hashes = lines.map(fromBase64).filter((hash) => hash?.length === HASH_BYTES) as Uint8Array[];
  const note = whole.slice(blank + 2);
  if (header !== HEADER || index === null || note === "") {
    return null;
  }
  return hashes.length === lines.length && lines.length <= PROOF_HASHES_MAX ? { index, hashes, note } : null;
}
