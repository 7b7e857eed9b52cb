// The checks of docs/spec/receipt.md, section "To verify a receipt", and what they come to.
// A check that could not be made is never passed.

import { utf8 } from "./bytes.ts";
import { checkCose, isAbout, type CoseReceipt } from "./cose.ts";
import { Fault, type Reason } from "./fault.ts";
import { checkFields } from "./fields.ts";
import { checkInclusion, leafHash, sha256 } from "./merkle.ts";
import { equal } from "./bytes.ts";
import type { Key } from "./note.ts";
import { checkLog, checkQuorum, type Policy } from "./policy.ts";
import { readReceipt, type Anchor, type Later, type Receipt } from "./receipt.ts";

export const NAMES = [
  "receipt.format",
  "receipt.entry",
  "receipt.fields",
  "receipt.inclusion",
  "receipt.later",
  "checkpoint.format",
  "checkpoint.signatures",
  "checkpoint.quorum",
  "receipt.cose",
  "receipt.anchor",
] as const;

export type CheckName = (typeof NAMES)[number];
export type Status = "passed" | "failed" | "not_checked";
export type Verdict = "verified" | "failed" | "undecided";

/** Why a check was not made. */
export type Open = "unread" | "no-policy" | "no-receipt-key" | "anchor-kind";

/** One check and how it went. */
export interface Check {
  name: CheckName;
  status: Status;
  /** Why it failed. */
  reason?: Reason;
  /** Why it was not made. */
  open?: Open;
  /** What a failure is about; text from outside. */
  about?: string;
  /** The lane of an anchor. */
  lane?: string;
}

export interface Report {
  verdict: Verdict;
  checks: Check[];
  /** The receipt, if it could be read. */
  receipt: Receipt | null;
  /** The log's keys that signed, if they all did. */
  signers: Key[];
  /** The witnesses that cosigned, if they are enough. */
  witnesses: string[];
}

/** Checks a receipt file with nothing but its bytes and whom the reader believes. */
export function check(file: Uint8Array, policy: Policy | null): Report {
  try {
    return report(readReceipt(file), policy);
  } catch (error) {
    return unreadable(faultOf(error), policy);
  }
}

function report(receipt: Receipt, policy: Policy | null): Report {
  const { entry, entryBytes, fields, fieldProof, inclusion, checkpoint } = receipt;
  const [signers, witnesses]: [Key[], string[]] = [[], []];
  const checks = [
    made("receipt.format", () => undefined),
    made("receipt.entry", () => undefined),
    made("receipt.fields", () => {
      if (fields.length > 0 || fieldProof.length > 0) {
        checkFields(fields, fieldProof, entry.commitment);
      }
    }),
    made("receipt.inclusion", () => {
      checkInclusion(leafHash(entryBytes), inclusion.index, checkpoint.size, inclusion.hashes, checkpoint.root);
    }),
    ...(receipt.later.length === 0 ? [] : [made("receipt.later", () => receipt.later.forEach((later) => checkLater(receipt, later)))]),
    made("checkpoint.format", () => undefined),
  ];
  if (policy === null) {
    checks.push({ name: "checkpoint.signatures", status: "not_checked", open: "no-policy" });
  } else {
    checks.push(made("checkpoint.signatures", () => signers.push(...checkLog(policy, checkpoint))));
    if (policy.quorum !== null) {
      checks.push(made("checkpoint.quorum", () => witnesses.push(...checkQuorum(policy, checkpoint))));
    }
  }
  if (receipt.cose !== null) {
    checks.push(coseCheck(receipt, receipt.cose, policy));
  }
  checks.push(...receipt.anchors.map((anchor) => anchorCheck(receipt, anchor, policy)));
  return { verdict: verdictOf(checks), checks, receipt, signers, witnesses };
}

function made(name: CheckName, make: () => unknown): Check {
  try {
    make();
    return { name, status: "passed" };
  } catch (error) {
    const { reason, about } = faultOf(error);
    return { name, status: "failed", reason, about };
  }
}

/** A defect of the page is no fault of the file. */
function faultOf(error: unknown): Fault {
  if (error instanceof Fault) {
    return error;
  }
  throw error;
}

/** Whether something that was added stands in the same tree, links back to the decision, and holds what is shown of it. */
function checkLater({ inclusion, checkpoint }: Receipt, later: Later): void {
  const { entry, entryBytes, fields, fieldProof, index, hashes } = later;
  if (!entry.links.includes(inclusion.index) || index <= inclusion.index) {
    throw new Fault("later-elsewhere");
  }
  checkInclusion(leafHash(entryBytes), index, checkpoint.size, hashes, checkpoint.root);
  if (fields.length === 0 && fieldProof.length === 0) {
    return;
  }
  if (entry.commitment === null) {
    throw new Fault("fields-changed");
  }
  checkFields(fields, fieldProof, entry.commitment);
}

/** Whether the COSE receipt is about the same place and tree, and the log's receipt key signed it. */
function coseCheck({ inclusion, checkpoint, entryBytes }: Receipt, cose: CoseReceipt, policy: Policy | null): Check {
  const name = "receipt.cose";
  if (!isAbout(cose, checkpoint.origin, checkpoint.size, inclusion.index, inclusion.hashes)) {
    return { name, status: "failed", reason: "cose-elsewhere" };
  }
  const keys = policy?.receiptKeys.filter(({ key }) => key.name === checkpoint.origin) ?? [];
  if (keys.length === 0) {
    return { name, status: "not_checked", open: policy === null ? "no-policy" : "no-receipt-key" };
  }
  return made(name, () => checkCose(cose, entryBytes, keys));
}

/**
 * The way from the entry to what was fixed outside. The kind's own proof (a timestamp, a block) is not checked here, so
 * the best that an anchor comes to is not checked.
 */
function anchorCheck(receipt: Receipt, anchor: Anchor, policy: Policy | null): Check {
  const { lane } = anchor.statement;
  const found = made("receipt.anchor", () => checkAnchor(receipt, anchor, policy));
  return found.status === "failed" ? { ...found, lane } : { name: "receipt.anchor", status: "not_checked", open: "anchor-kind", lane };
}

function checkAnchor(receipt: Receipt, anchor: Anchor, policy: Policy | null): void {
  const { statement, inclusion, checkpoint } = anchor;
  if (statement.origin !== receipt.checkpoint.origin || checkpoint.origin !== statement.origin) {
    throw new Fault("anchor-other-log");
  }
  if (!equal(sha256(utf8(inclusion.note)), statement.checkpoint)) {
    throw new Fault("anchor-other-checkpoint");
  }
  if (checkpoint.size !== statement.size || !equal(checkpoint.root, statement.root)) {
    throw new Fault("anchor-other-tree");
  }
  if (inclusion.index !== receipt.inclusion.index) {
    throw new Fault("anchor-other-place");
  }
  checkInclusion(leafHash(receipt.entryBytes), inclusion.index, checkpoint.size, inclusion.hashes, checkpoint.root);
  if (policy !== null) {
    checkLog(policy, checkpoint);
  }
}

function unreadable(fault: Fault, policy: Policy | null): Report {
  const failed = failedBy(fault.reason);
  const names = NAMES.filter((name) => name !== "receipt.anchor" && name !== "receipt.cose" && name !== "receipt.later" && (name !== "checkpoint.quorum" || policy?.quorum));
  const checks = names.map((name): Check =>
    name === failed
      ? { name, status: "failed", reason: fault.reason, about: fault.about }
      : { name, status: "not_checked", open: "unread" },
  );
  return { verdict: "failed", checks, receipt: null, signers: [], witnesses: [] };
}

/** The check that a file which cannot be read fails. */
function failedBy(reason: Reason): CheckName {
  switch (reason) {
    case "entry-malformed":
    case "not-a-decision":
    case "other-decision":
      return "receipt.entry";
    case "checkpoint-malformed":
    case "other-origin":
      return "checkpoint.format";
    default:
      return "receipt.format";
  }
}

function verdictOf(checks: readonly Check[]): Verdict {
  const any = (status: Status): boolean => checks.some((check) => check.status === status);
  return any("failed") ? "failed" : any("not_checked") ? "undecided" : "verified";
}
