// The checkpoints that this page has seen: each must be signed by the log's keys, and each must go on from the one before.

import { fromBase64, utf8 } from "../../receipt/src/verify/bytes.ts";
import { readCheckpoint, signedBy, type Checkpoint } from "../../receipt/src/verify/checkpoint.ts";
import { Fault } from "../../receipt/src/verify/fault.ts";
import { checkLog, checkQuorum, readPolicy, type Policy } from "../../receipt/src/verify/policy.ts";
import { equal } from "../../receipt/src/verify/bytes.ts";
import { en } from "../../receipt/src/words/en.ts";
import { isBeginning } from "./consistency.ts";
import type { Consistency, Log } from "./state.ts";

/** Hashes of a consistency proof: two for each level of a tree of 2^63 leaves. */
const PROOF_MAX = 126;

/** Findings that are kept; the first ones tell most. */
const FINDINGS_MAX = 20;

/** Something that cannot be in a log that nobody tampers with. */
export interface Finding {
  at: number;
  what: string;
}

/** A witness of the log's policy, and when it cosigned the newest checkpoint. */
export interface Witness {
  name: string;
  /** Milliseconds since 1970; null where it did not cosign. */
  cosignedAt: number | null;
}

export class Trail {
  policy: Policy | null = null;
  /** The newest checkpoint that held. */
  last: Checkpoint | null = null;
  /** How many checkpoints held. */
  held = 0;
  readonly findings: Finding[] = [];
  witnesses: Witness[] = [];
  /** What the policy's quorum says of the newest checkpoint; null where it asks for none. */
  quorum: "met" | "missed" | null = null;
  #note: string | null = null;
  /** Whether there was no proof the last time. */
  #isUnproved = false;

  /** The size to ask a proof for; every log begins with the empty one, which needs none. */
  get known(): bigint | null {
    return this.last === null || this.last.size === 0n ? null : this.last.size;
  }

  /** Takes what came at `now`. */
  take(log: Log, now: number): void {
    if (this.policy === null && log.policy !== null) {
      this.policy = this.#policyIn(log.policy, now);
    }
    if (this.policy === null || log.checkpoint === this.#note) {
      return;
    }
    const checkpoint = this.check(log.checkpoint, now);
    if (checkpoint !== null && this.#goesOn(checkpoint, log.consistency, now)) {
      this.last = checkpoint;
      this.#note = log.checkpoint;
      this.held += 1;
      this.#seen(checkpoint, this.policy);
    }
  }

  /** The checkpoint that `note` is, if the log's keys signed it. Nothing is known of one before the log's policy came. */
  check(note: string, now: number): Checkpoint | null {
    if (this.policy === null) {
      return null;
    }
    const checkpoint = readCheckpoint(note);
    if (checkpoint === null) {
      this.#found(now, "The checkpoint cannot be read.");
      return null;
    }
    try {
      checkLog(this.policy, checkpoint);
      const { last } = this;
      if (last !== null && last.size === checkpoint.size && !equal(last.root, checkpoint.root)) {
        this.#found(now, `The log signed two roots for ${last.size} entries: keep both checkpoints, they prove it.`);
      }
      return checkpoint;
    } catch (error) {
      this.#found(now, `The checkpoint of ${checkpoint.size} entries is not the log's: ${because(error)}`);
      return null;
    }
  }

  #policyIn(text: string, now: number): Policy | null {
    try {
      return readPolicy(utf8(text));
    } catch (error) {
      this.#found(now, `The log's policy cannot be read: ${because(error)}`);
      return null;
    }
  }

  #goesOn(next: Checkpoint, given: Consistency | null, now: number): boolean {
    const { last } = this;
    if (last === null || last.size === 0n) {
      return true;
    }
    if (next.size < last.size) {
      this.#found(now, `The log went back: it has ${next.size} entries, and a checkpoint of ${last.size} was seen here.`);
      return false;
    }
    if (next.size === last.size) {
      return equal(next.root, last.root); // that they are two roots was found already
    }
    if (given === null || BigInt(given.from) !== last.size) {
      return false; // the answer to an earlier question
    }
    const proof = given.proof?.slice(0, PROOF_MAX + 1).map(fromBase64) ?? null;
    const again = this.#isUnproved;
    this.#isUnproved = proof === null;
    if (proof === null) {
      if (!again) {
        return false; // files that the log just replaced are there the next time
      }
      this.#found(now, `No proof that the ${last.size} entries seen before are still the beginning of the log: ${given.error ?? ""}`);
      return false;
    }
    const whole = proof.every((hash) => hash !== null && hash.length === 32) && proof.length <= PROOF_MAX;
    if (!whole || !isBeginning(last, next, proof.filter((hash) => hash !== null))) {
      this.#found(now, `The ${last.size} entries seen before are not the beginning of the log of ${next.size}: the proof made from its files fails.`);
      return false;
    }
    return true;
  }

  #seen(checkpoint: Checkpoint, policy: Policy): void {
    this.witnesses = policy.witnesses.map(({ name, key }) => ({
      name,
      cosignedAt: signedBy(checkpoint, key) === "signed" ? cosignedAt(checkpoint, key.name, key.id) : null,
    }));
    try {
      checkQuorum(policy, checkpoint);
      this.quorum = policy.quorum === null ? null : "met";
    } catch {
      this.quorum = "missed";
    }
  }

  #found(at: number, what: string): void {
    if (this.findings.length < FINDINGS_MAX && this.findings.every((finding) => finding.what !== what)) {
      this.findings.push({ at, what });
    }
  }
}

/** The time in a witness's line, of those that were checked. */
function cosignedAt({ note }: Checkpoint, name: string, id: string): number | null {
  const line = note.signatures.find((line) => line.name === name && line.id === id);
  if (line === undefined || line.bytes.length < 8) {
    return null;
  }
  const seconds = new DataView(line.bytes.buffer, line.bytes.byteOffset).getBigUint64(0);
  return Number(seconds) * 1000;
}

/** Why something was refused, in words. */
export function because(error: unknown): string {
  if (error instanceof Fault) {
    return en.reasons[error.reason];
  }
  throw error;
}
