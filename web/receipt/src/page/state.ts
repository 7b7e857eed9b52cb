// What the page knows: a file that was checked, and whom its reader believes.

import { check, type Report } from "../verify/check.ts";
import { sha256 } from "../verify/merkle.ts";
import { readPolicy, type Policy } from "../verify/policy.ts";
import { Fault } from "../verify/fault.ts";

/** Keys, and where they are from. */
export interface Trust {
  policy: Policy;
  /** The file's name as the reader chose it; null where the keys came with the page. */
  name: string | null;
  digest: Uint8Array;
}

/** A file that was checked. */
export interface Checked {
  name: string;
  bytes: Uint8Array;
  digest: Uint8Array;
  report: Report;
  at: Date;
  milliseconds: number;
}

/** What went wrong before there was anything to check. */
export type Problem = { what: "tooLarge" | "unreadable" | "twoReceipts" } | { what: "keys"; line: string };

export interface State {
  trust: Trust | null;
  checked: Checked | null;
  problem: Problem | null;
}

/** Reads keys; the line at fault where they are none. */
export function trustIn(bytes: Uint8Array, name: string | null): Trust | { fault: string } {
  try {
    return { policy: readPolicy(bytes), name, digest: sha256(bytes) };
  } catch (error) {
    if (error instanceof Fault) {
      return { fault: error.about };
    }
    throw error;
  }
}

/** Checks a file. */
export function checked(name: string, bytes: Uint8Array, trust: Trust | null): Checked {
  const start = performance.now();
  const report = check(bytes, trust?.policy ?? null);
  const milliseconds = performance.now() - start;
  return { name, bytes, digest: sha256(bytes), report, at: new Date(), milliseconds };
}

/** Whether a file is meant to be a receipt rather than keys: a receipt is JSON, and no line of a key file starts so. */
export function looksLikeReceipt(bytes: Uint8Array): boolean {
  const start = bytes.find((byte) => ![0x20, 0x09, 0x0a, 0x0d].includes(byte));
  return start === "{".charCodeAt(0);
}
