// Proofs that the page checks by itself, and what becomes of them when somebody changes them.

import { readFileSync } from "node:fs";
import { expect, test } from "vitest";

import { base64, concat, utf8 } from "../../receipt/src/verify/bytes.ts";
import { readCheckpoint } from "../../receipt/src/verify/checkpoint.ts";
import { isBeginning } from "../src/consistency.ts";
import { decisionAsked, proveAll, shown } from "../src/decision.ts";
import { covered } from "../src/page/tree.ts";
import { Trail } from "../src/trail.ts";
import { log, NOW, Tree } from "./support.ts";

const ROOT = new URL("../../../", import.meta.url);
/** Of decision 0193b3c4-5d6e-7f80-8123-456789abcdef. */
const REFERENCE = "069V-7H2X-DSZR-1093-8NKR-KAYD-XWE2";
const golden = (name: string): string => readFileSync(new URL(`tests/golden/${name}`, ROOT), "utf8");

test("every tree of up to 40 leaves is the beginning of every later one, and no other proof says so", () => {
  for (let size = 1; size <= 40; size += 1) {
    const tree = new Tree(size);
    const second = { size: BigInt(size), root: tree.root() };
    for (let from = 1; from <= size; from += 1) {
      const first = { size: BigInt(from), root: tree.root(0, from) };
      const proof = tree.proof(from);
      expect(isBeginning(first, second, proof), `${from} of ${size}`).toBe(true);
      const other = { ...first, root: new Tree(size, "other").root(0, from) };
      expect(isBeginning(other, second, proof), `another root of ${from}`).toBe(false);
      expect(isBeginning(first, { ...second, root: other.root }, proof), `another root of ${size}`).toBe(false);
      expect(isBeginning(first, second, [...proof, tree.root()]), "one hash more").toBe(false);
      proof.forEach((hash, at) => {
        const without = proof.filter((_, place) => place !== at);
        expect(isBeginning(first, second, without), `${from} of ${size} without ${at}`).toBe(false);
        const changed = proof.map((one, place) => (place === at ? Uint8Array.from(one, (byte, n) => (n === 0 ? byte ^ 1 : byte)) : one));
        expect(isBeginning(first, second, changed), `${from} of ${size}, ${at} changed`).toBe(false);
        expect(hash).toHaveLength(32);
      });
      if (from < size) {
        expect(isBeginning(second, first, proof), "a larger tree is no beginning").toBe(false);
      }
    }
  }
});

test("the hashes of a proof stand for all other leaves, each once", () => {
  for (let size = 1; size <= 40; size += 1) {
    const tree = new Tree(size);
    for (let index = 0; index < size; index += 1) {
      const leaf = tree.leaves[index] ?? new Uint8Array();
      const proved = { index: BigInt(index), leaf, proof: tree.path(index), shown: null, fault: null };
      const steps = covered(proved, BigInt(size));
      const stood = steps.flatMap(({ first, last }) => Array.from({ length: Number(last - first) + 1 }, (_, at) => Number(first) + at));
      expect([...stood, index].sort((a, b) => a - b)).toEqual(Array.from({ length: size }, (_, at) => at));
      steps.forEach(({ beside, first, last }) => expect(beside).toEqual(tree.root(Number(first), Number(last) + 1)));
      expect(steps[steps.length - 1]?.above ?? leaf).toEqual(tree.root());
      expect(covered({ ...proved, proof: proved.proof.slice(1) }, BigInt(size)).length === 0 || proved.proof.length === 0).toBe(true);
    }
  }
});

/** The entry of docs/spec/entry.md. */
function example(): Uint8Array {
  const [, block = ""] = readFileSync(new URL("docs/spec/entry.md", ROOT), "utf8").split("```text entry\n");
  return new Uint8Array(Buffer.from((block.split("```")[0] ?? "").replace(/\s/g, ""), "hex"));
}

test("an entry shows what the specification says of its example", () => {
  expect(shown(example())).toEqual({
    kind: "decision",
    writer: "gateway-1",
    session: "c0ffee00112233445566778899aabbcc",
    sequence: 17n,
    recordedAt: 1_795_000_000_000,
    decision: "0193b3c4-5d6e-7f80-8123-456789abcdef",
    fields: 5,
    sealedBytes: 4321n,
    model: "9372c470eeadd5ecd9c3c74c2b3cb633f8e2f2fad799250a0f70d652b6b825e4",
    policy: "823412d1eacb67956220e532959f0104603057c88704863ca38e7cd188fda812",
    mode: "strict",
    status: "OK",
  });
  for (const bytes of [new Uint8Array(), example().slice(1), example().slice(0, -1), concat(example(), Uint8Array.of(0)), utf8("{}")]) {
    expect(shown(bytes)).toBeNull();
  }
});

test("an entry is proved against its checkpoint, and not where entry, place, proof or decision are others", () => {
  const id = "0193b3c4-5d6e-7f80-8123-456789abcdef";
  const tree = new Tree(9);
  const entry = example();
  const proofless = proveAll({ checkpoint: "", entries: [{ index: 4, entry: base64(entry), proof: [] }], withheld: 0 }, id, null);
  tree.leaves[4] = proofless[0]?.leaf ?? new Uint8Array();
  const checkpoint = { origin: "o", size: 9n, root: tree.root(), note: { text: "", signatures: [] } };
  const right = { index: 4, entry: base64(entry), proof: tree.path(4).map(base64) };
  const fault = (given: typeof right, decision: string | null = id): string | null => proveAll({ checkpoint: "", entries: [given], withheld: 0 }, decision, checkpoint)[0]?.fault ?? null;
  expect(fault(right)).toBeNull();
  const changed = Uint8Array.from(entry, (byte, at) => (at === 100 ? byte ^ 1 : byte));
  expect(fault({ ...right, entry: base64(changed) })).not.toBeNull();
  expect(fault({ ...right, entry: "?" })).toBe("these bytes are no entry");
  expect(fault({ ...right, index: 5 })).not.toBeNull();
  expect(fault({ ...right, index: 99 })).not.toBeNull();
  expect(fault({ ...right, proof: right.proof.slice(1) })).not.toBeNull();
  expect(fault({ ...right, proof: ["AA==", ...right.proof.slice(1)] })).toBe("the proof cannot be read");
  for (const other of ["00000000-0000-7000-8000-000000000000", null]) {
    expect(fault(right, other)).toBe("this entry is not about the decision that was asked for");
  }
  expect(proofless[0]?.fault).toBe("no signed checkpoint came with it");
});

test("a decision is asked for by its id or by its reference", () => {
  const id = "0193b3c4-5d6e-7f80-8123-456789abcdef";
  expect(decisionAsked(id)).toBe(id);
  for (const reference of [REFERENCE, REFERENCE.toLowerCase(), REFERENCE.replaceAll("-", " "), REFERENCE.replaceAll("0", "o").replaceAll("1", "l")]) {
    expect(decisionAsked(reference)).toBe(id);
  }
  for (const neither of ["", id.toUpperCase(), id.slice(1), REFERENCE.slice(1), `${REFERENCE}0`, REFERENCE.replace(/.$/, "U")]) {
    expect(decisionAsked(neither)).toBeNull();
  }
});

/** The checkpoint of the golden receipt, which the keys of the golden policy signed. */
function note(): string {
  const receipt = golden("receipt.json");
  const [found] = /"[^"]*\\n\\n\\u2014 [^"]*"|"[^"]*\\n\\n— [^"]*"/.exec(receipt) ?? [];
  const text = JSON.parse(found ?? '""') as string;
  return text.slice(text.lastIndexOf("\n\n", text.indexOf("\n\n—") - 1) + 2);
}

test("a signed checkpoint is taken, and everything else is told and not taken", () => {
  const good = note();
  const checkpoint = readCheckpoint(good);
  expect(checkpoint).not.toBeNull();
  const given = (checkpoint: string, change = {}): ReturnType<typeof log> => ({ ...log(), checkpoint, policy: golden("log.policy"), ...change });
  const trail = new Trail();
  trail.take(given(good), NOW);
  expect(trail.findings).toEqual([]);
  expect(trail.known).toBe(checkpoint?.size);
  const size = String(checkpoint?.size);
  for (const [bad, said] of [
    [good.replace(`\n${size}\n`, "\n7\n"), "is not the log's"],
    [good.replace("— ", "- "), "cannot be read"],
    ["", "cannot be read"],
  ] as const) {
    const other = new Trail();
    other.take(given(bad), NOW);
    expect(other.known, bad).toBeNull();
    expect(other.findings.map(({ what }) => what).join()).toContain(said);
  }
  // Before the log's policy came nothing is known, so nothing is found.
  const early = new Trail();
  expect([early.check(good, NOW), early.findings]).toEqual([null, []]);
  const keyless = new Trail();
  keyless.take({ ...given(good), policy: "nonsense\n" }, NOW);
  expect(keyless.findings.map(({ what }) => what).join()).toContain("policy cannot be read");
});

test("a log that goes back, or has two roots for one size, is told for as long as the page is open", () => {
  const trail = new Trail();
  trail.take({ ...log(), checkpoint: note(), policy: golden("log.policy") }, NOW);
  const { last } = trail;
  expect(last).not.toBeNull();
  const seen = last ?? { origin: "", size: 0n, root: new Uint8Array(), note: { text: "", signatures: [] } };
  const fresh = new Trail();
  fresh.policy = trail.policy;
  fresh.last = { ...seen, size: seen.size + 5n };
  fresh.take({ ...log(), checkpoint: note() }, NOW);
  expect(fresh.findings.map(({ what }) => what).join()).toContain("The log went back");
  const empty = new Trail();
  empty.policy = trail.policy;
  empty.last = { ...seen, size: 0n };
  expect(empty.known).toBeNull();
  empty.take({ ...log(), checkpoint: note() }, NOW);
  expect([empty.findings, empty.known]).toEqual([[], seen.size]);
  const split = new Trail();
  split.policy = trail.policy;
  split.last = { ...seen, root: new Uint8Array(32) };
  split.take({ ...log(), checkpoint: note() }, NOW);
  expect(split.findings.map(({ what }) => what).join()).toContain("two roots");
  const asked = new Trail();
  asked.policy = trail.policy;
  asked.last = { ...seen, root: new Uint8Array(32) };
  asked.check(note(), NOW);
  expect(asked.findings.map(({ what }) => what).join()).toContain("two roots");
  const gone = new Trail();
  gone.policy = trail.policy;
  gone.last = { ...seen, size: seen.size - 1n };
  const from = Number(seen.size) - 1;
  const unproved = { ...log(), checkpoint: note(), consistency: { from, proof: null, error: "a tile is gone" } };
  gone.take(unproved, NOW);
  expect(gone.findings).toEqual([]);
  gone.take(unproved, NOW);
  expect(gone.findings.map(({ what }) => what).join()).toContain("a tile is gone");
  const wrong = new Trail();
  wrong.policy = trail.policy;
  wrong.last = { ...seen, size: seen.size - 1n };
  wrong.take({ ...log(), checkpoint: note(), consistency: { from, proof: [base64(new Uint8Array(32))], error: null } }, NOW);
  expect(wrong.findings.map(({ what }) => what).join()).toContain("are not the beginning");
  expect(wrong.known).toBe(seen.size - 1n);
});
