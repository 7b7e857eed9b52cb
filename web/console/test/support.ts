// What the tests share.

import { fileURLToPath } from "node:url";

import { concat, utf8 } from "../../receipt/src/verify/bytes.ts";
import { leafHash, nodeHash } from "../../receipt/src/verify/merkle.ts";
import type { Log, Session, State } from "../src/state.ts";

export const PAGE = fileURLToPath(new URL("../dist/console.html", import.meta.url));
export const SRC = fileURLToPath(new URL("../src", import.meta.url));

/** A tree of `size` leaves, by the definitions of RFC 6962, section 2.1: roots and proofs as they stand there. */
export class Tree {
  readonly leaves: Uint8Array[];

  constructor(size: number, seed = "leaf") {
    this.leaves = Array.from({ length: size }, (_, at) => leafHash(concat(utf8(seed), Uint8Array.of(at >> 8, at & 255))));
  }

  root(from = 0, to = this.leaves.length): Uint8Array {
    const only = this.leaves[from];
    if (to - from === 1 && only !== undefined) {
      return only;
    }
    const k = split(to - from);
    return nodeHash(this.root(from, from + k), this.root(from + k, to));
  }

  /** PATH(m, D[n]) */
  path(m: number, from = 0, to = this.leaves.length): Uint8Array[] {
    if (to - from === 1) {
      return [];
    }
    const k = split(to - from);
    return m < k ? [...this.path(m, from, from + k), this.root(from + k, to)] : [...this.path(m - k, from + k, to), this.root(from, from + k)];
  }

  /** SUBPROOF(m, D[n], b) */
  proof(m: number, from = 0, to = this.leaves.length, whole = true): Uint8Array[] {
    const n = to - from;
    if (m === n) {
      return whole ? [] : [this.root(from, to)];
    }
    const k = split(n);
    return m <= k
      ? [...this.proof(m, from, from + k, whole), this.root(from + k, to)]
      : [...this.proof(m - k, from + k, to, false), this.root(from, from + k)];
  }
}

function split(n: number): number {
  let k = 1;
  while (k * 2 < n) {
    k *= 2;
  }
  return k;
}

export const NOW = 1_800_000_000_000;

export function session(change: Partial<Session> = {}): Session {
  return {
    id: "aa",
    writer: "w",
    version: "1.0",
    firstIndex: 0,
    began: NOW - 60_000,
    first: NOW - 60_000,
    last: NOW,
    stopped: null,
    entries: 10,
    inGaps: 0,
    highest: 9,
    heartbeat: NOW - 500,
    silences: [],
    ...change,
  };
}

export function log(change: Partial<Log["read"]> = {}): Log {
  return {
    session: "aa",
    inFlight: 0,
    unrecorded: 0,
    published: 10,
    checkpoint: "",
    policy: null,
    consistency: null,
    models: [],
    read: {
      from: 0,
      to: 10,
      size: 10,
      altered: null,
      found: null,
      kinds: new Map(),
      sessions: [session()],
      sessionsBefore: 0,
      unstoppedBefore: 0,
      gapRequests: 0,
      gapEntries: 0,
      seconds: [],
      minutes: [],
      withoutModel: 0,
      otherModels: 0,
      events: [],
      ...change,
    },
  };
}

export function state(change: Partial<State> = {}): State {
  return {
    now: NOW,
    origin: "o",
    writer: "w",
    version: "1.0",
    heartbeatMs: 1000,
    live: null,
    ready: null,
    durable: 10,
    routes: [],
    lanes: [],
    quorum: null,
    anchored: null,
    alerts: [],
    log: log(),
    ...change,
  };
}
