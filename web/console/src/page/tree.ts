// An inclusion proof as a picture: the way from the entry up to the signed root, each hash beside it with the entries it stands for.

import { h, s, type Child } from "../../../receipt/src/page/dom.ts";
import { hex } from "../../../receipt/src/verify/bytes.ts";
import type { Checkpoint } from "../../../receipt/src/verify/checkpoint.ts";
import { nodeHash, way } from "../../../receipt/src/verify/merkle.ts";
import type { Proved } from "../decision.ts";
import { count } from "../speech.ts";

const WIDTH = 460;
const MIDDLE = WIDTH / 2;
const ASIDE = 118;
const RISE = 40;
const HEAD = 40;
const FOOT = 64;

/** A step of the way with what the hash beside it covers: leaf indices, first and last. */
export interface Covered {
  beside: Uint8Array;
  side: "left" | "right";
  first: bigint;
  last: bigint;
  /** The node above both. */
  above: Uint8Array;
}

/** The way of a proof with what each of its hashes stands for; empty where the proof does not fit its place. */
export function covered({ index, leaf, proof }: Proved, size: bigint): Covered[] {
  let steps: { beside: Uint8Array; side: "left" | "right" }[];
  try {
    steps = way(index, size, proof);
  } catch {
    return [];
  }
  const found: Covered[] = [];
  let node = leaf;
  let level = 0n;
  for (let [at, last] = [index, size - 1n]; last > 0n; at >>= 1n, last >>= 1n, level += 1n) {
    if (at === last && at % 2n === 0n) {
      continue; // no neighbour on this level
    }
    const step = steps[found.length];
    if (step === undefined) {
      return [];
    }
    node = step.side === "left" ? nodeHash(step.beside, node) : nodeHash(node, step.beside);
    const first = (at ^ 1n) << level;
    const end = first + (1n << level);
    found.push({ ...step, first, last: (end < size ? end : size) - 1n, above: node });
  }
  return found;
}

/** The picture, and the same as a list for whoever does not see it. */
export function tree(proved: Proved, { size, root }: Checkpoint): HTMLElement {
  const steps = covered(proved, size);
  const holds = proved.fault === null;
  const height = HEAD + steps.length * RISE + FOOT;
  const yOf = (level: number): number => height - FOOT - level * RISE;
  const last = `Every hash was computed on this page; the last one is ${holds ? "the root that the log signed" : "not the root that the log signed"}.`;
  const label = `Inclusion proof of leaf ${count(proved.index)} in the tree of ${count(size, "entry", "entries")}: ${count(steps.length, "hash", "hashes")}. ${last}`;
  const parts: Child[] = [
    ...steps.flatMap((step, level) => edges(step, yOf(level))),
    ...steps.flatMap((step, level) => neighbour(step, yOf(level))),
    node(yOf(0), proved.leaf, "the entry's hash"),
    ...steps.map((step, level) => node(yOf(level + 1), step.above, level === steps.length - 1 ? "" : null)),
    ...crown(yOf(steps.length), root, holds),
    ...strip(proved, steps, size, height - 26),
  ];
  const picture = s("svg", { class: `tree ${holds ? "holds" : "fails"}`, viewBox: `0 0 ${WIDTH} ${height}`, role: "img", "aria-label": label }, ...parts);
  return h("figure", {}, picture, h("figcaption", { class: "quiet" }, label));
}

function edges({ side }: Covered, y: number): Child[] {
  const beside = MIDDLE + (side === "left" ? -ASIDE : ASIDE);
  return [
    s("line", { class: "way", x1: MIDDLE, y1: y, x2: MIDDLE, y2: y - RISE }),
    s("path", { class: "beside", d: `M${beside} ${y} C${beside} ${y - RISE * 0.7} ${MIDDLE} ${y - RISE * 0.3} ${MIDDLE} ${y - RISE}` }),
  ];
}

function neighbour({ beside, side, first, last }: Covered, y: number): Child[] {
  const x = MIDDLE + (side === "left" ? -ASIDE : ASIDE);
  const outside = side === "left" ? x - 10 : x + 10;
  const anchor = side === "left" ? "end" : "start";
  const range = first === last ? `leaf ${count(first)}` : `leaves ${count(first)}–${count(last)}`;
  return [
    s("circle", { class: "node beside", cx: x, cy: y, r: 5 }),
    s("text", { class: "hash", x: outside, y: y - 2, "text-anchor": anchor }, short(beside)),
    s("text", { class: "range", x: outside, y: y + 12, "text-anchor": anchor }, range),
  ];
}

function node(y: number, hash: Uint8Array, text: string | null): Child {
  const circle = s("circle", { class: "node", cx: MIDDLE, cy: y, r: 5 });
  if (text === "") {
    return circle;
  }
  return s("g", {}, circle, s("text", { class: "hash", x: MIDDLE + 10, y: y + 4 }, short(hash)));
}

/** The root, with whether it is the signed one. */
function crown(y: number, root: Uint8Array, holds: boolean): Child[] {
  const sign = holds ? `M${MIDDLE - 6} ${y} l4.5 5 l8 -9.5` : `M${MIDDLE - 5} ${y - 5} l10 10 m0 -10 l-10 10`;
  return [
    s("circle", { class: "crown", cx: MIDDLE, cy: y, r: 13 }),
    s("path", { class: "sign", d: sign }),
    s("text", { class: "hash", x: MIDDLE, y: y - 20, "text-anchor": "middle" }, `signed root ${short(root)}`),
  ];
}

/** The whole log as one bar: the entry, and the stretch that each hash of the proof stands for. */
function strip({ index }: Proved, steps: readonly Covered[], size: bigint, y: number): Child[] {
  const [left, width] = [10, WIDTH - 20];
  const x = (leaf: bigint): number => left + (Number(leaf) / Number(size)) * width;
  const stretches = steps.map(({ first, last }, at) =>
    s("rect", { class: at % 2 === 0 ? "stretch" : "stretch odd", x: x(first), y, width: Math.max(0.5, x(last + 1n) - x(first) - 0.5), height: 10 }),
  );
  const own = s("rect", { class: "own", x: Math.max(left, x(index) - 1), y: y - 3, width: Math.max(3, x(index + 1n) - x(index)), height: 16 });
  return [
    ...stretches,
    own,
    s("text", { class: "range", x: left, y: y + 23 }, "leaf 0"),
    s("text", { class: "range", x: left + width, y: y + 23, "text-anchor": "end" }, `leaf ${count(size - 1n)}`),
  ];
}

function short(hash: Uint8Array): string {
  return `${hex(hash.subarray(0, 4))}…`;
}
