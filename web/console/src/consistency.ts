// That one tree is the beginning of another: RFC 9162, section 2.1.4.2.

import { equal } from "../../receipt/src/verify/bytes.ts";
import { nodeHash } from "../../receipt/src/verify/merkle.ts";

/** A tree by its size and root. */
export interface Tree {
  size: bigint;
  root: Uint8Array;
}

/** Whether `proof` shows that `first` is the beginning of `second`. */
export function isBeginning(first: Tree, second: Tree, proof: readonly Uint8Array[]): boolean {
  if (first.size > second.size) {
    return false;
  }
  if (first.size === second.size) {
    return proof.length === 0 && equal(first.root, second.root);
  }
  if (first.size === 0n) {
    return proof.length === 0;
  }
  let [at, last] = [first.size - 1n, second.size - 1n];
  while (at % 2n === 1n) {
    [at, last] = [at >> 1n, last >> 1n];
  }
  // Where the first tree is a whole subtree of the second one, its root is where both ways begin.
  const [start, ...rest] = at === 0n ? [first.root, ...proof] : proof;
  if (start === undefined) {
    return false;
  }
  let [one, other] = [start, start];
  for (const hash of rest) {
    if (last === 0n) {
      return false;
    }
    if (at % 2n === 1n || at === last) {
      [one, other] = [nodeHash(hash, one), nodeHash(hash, other)];
      while (at % 2n === 0n && at !== 0n) {
        [at, last] = [at >> 1n, last >> 1n];
      }
    } else {
      other = nodeHash(other, hash);
    }
    [at, last] = [at >> 1n, last >> 1n];
  }
  return last === 0n && equal(one, first.root) && equal(other, second.root);
}
