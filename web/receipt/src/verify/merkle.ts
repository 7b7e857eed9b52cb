// Merkle trees of RFC 6962, section 2.1: hashes of leaves and nodes, and inclusion proofs (RFC 9162, section 2.1.3.2).

import { sha256 } from "@noble/hashes/sha2.js";

import { concat, equal } from "./bytes.ts";
import { Fault } from "./fault.ts";

export const HASH_BYTES = 32;

const LEAF = Uint8Array.of(0);
const NODE = Uint8Array.of(1);

export { sha256 };

export function leafHash(leaf: Uint8Array): Uint8Array {
  return sha256(concat(LEAF, leaf));
}

export function nodeHash(left: Uint8Array, right: Uint8Array): Uint8Array {
  return sha256(concat(NODE, left, right));
}

/** One step up from a leaf: the node beside the way, and on which side it stands. */
export interface Step {
  beside: Uint8Array;
  side: "left" | "right";
}

/**
 * The way from leaf `index` to the root of a tree of `size` leaves. A node without a neighbour moves up without a step.
 *
 * Refuses an index outside the tree, and a proof with more or fewer hashes than the place needs.
 */
export function way(index: bigint, size: bigint, proof: readonly Uint8Array[]): Step[] {
  if (index >= size) {
    throw new Fault("index-outside");
  }
  const steps: Step[] = [];
  const left = [...proof];
  for (let [at, last] = [index, size - 1n]; last > 0n; at >>= 1n, last >>= 1n) {
    if (at === last && at % 2n === 0n) {
      continue;
    }
    const beside = left.shift();
    if (beside === undefined) {
      throw new Fault("inclusion-length");
    }
    steps.push({ beside, side: at % 2n === 1n ? "left" : "right" });
  }
  if (left.length > 0) {
    throw new Fault("inclusion-length");
  }
  return steps;
}

/** The root of the tree of `size` leaves, if the leaf with hash `leaf` stands at `index` and the proof is right. */
export function rootOf(leaf: Uint8Array, index: bigint, size: bigint, proof: readonly Uint8Array[]): Uint8Array {
  let node = leaf;
  for (const { beside, side } of way(index, size, proof)) {
    node = side === "left" ? nodeHash(beside, node) : nodeHash(node, beside);
  }
  return node;
}

/** Checks that the leaf with hash `leaf` stands at `index` in the tree of `size` leaves with root `root`. */
export function checkInclusion(
  leaf: Uint8Array,
  index: bigint,
  size: bigint,
  proof: readonly Uint8Array[],
  root: Uint8Array,
): void {
  if (!equal(rootOf(leaf, index, size, proof), root)) {
    throw new Fault("inclusion-root");
  }
}
