// What the page says, in each language it speaks. A catalogue is complete or it does not compile.

import type { CheckName } from "../verify/check.ts";
import type { Reason } from "../verify/fault.ts";

/** Number of things, as a reader of the language writes it: the count and the text of it. */
export interface Count {
  value: number | bigint;
  text: string;
}

export type Action = "approve" | "deny" | "refer" | "counteroffer" | "rank" | "triage" | "score";

export type Group =
  | "decision"
  | "time"
  | "caller"
  | "model"
  | "execution"
  | "reference"
  | "input"
  | "output"
  | "outcome"
  | "explanation"
  | "review"
  | "notice"
  | "contest"
  | "correction"
  | "opt_out"
  | "privacy"
  | "delivery";

export interface Messages {
  language: string;
  start: {
    title: string;
    lead: string;
    drop: string;
    dropHint: string;
    choose: string;
    chooseKeys: string;
    offline: string;
    languageLabel: string;
    skip: string;
  };
  bar: { file: string; another: string; save: string; print: string; checkedAt: (time: string) => string };
  problem: { tooLarge: string; unreadable: string; keys: (line: string) => string; twoReceipts: string };
  verdict: {
    verified: string;
    verifiedText: string;
    failed: string;
    failedText: string;
    noKeys: string;
    noKeysText: string;
    anchorsOpen: string;
    anchorsOpenText: string;
    coseOpen: string;
    coseOpenText: string;
    embedded: string;
    counted: (passed: Count, all: Count) => string;
  };
  decision: {
    title: string;
    claimed: string;
    claimedText: string;
    unsigned: string;
    unsignedText: string;
    none: string;
    actions: Record<Action, string>;
    otherAction: string;
    adverse: string;
    notAdverse: string;
    reasons: string;
    closed: string;
    closedText: string;
    noReasons: string;
    amount: string;
    useCase: string;
    role: string;
    roles: Record<"automated" | "advisory", string>;
    contest: string;
    contestText: string;
    ways: Record<"url" | "email" | "phone" | "address", string>;
    decidedAt: string;
    recordedAt: string;
    model: string;
    score: string;
    threshold: string;
    id: string;
    log: string;
    shown: (shown: Count, all: Count) => string;
    hidden: (hidden: Count) => string;
    nothingHidden: string;
    notOnPage: string;
    later: string;
    laterAt: (time: string) => string;
    laterClosed: string;
  };
  chain: {
    title: string;
    lead: string;
    fields: string;
    fieldsText: (shown: Count, all: Count) => string;
    entry: string;
    entryText: string;
    log: string;
    logText: (place: string, size: Count, hashes: Count) => string;
    signatures: string;
    signaturesText: (keys: Count) => string;
    signaturesOpen: string;
    witnesses: string;
    witnessesText: (names: Count) => string;
    anchor: (lane: string) => string;
    anchorText: (size: Count) => string;
    noAnchor: string;
    noAnchorText: string;
    broken: string;
    holds: string;
    open: string;
  };
  checks: Record<CheckName, { name: string; proves: string; by: string }>;
  proved: {
    title: string;
    lead: string;
    nothing: string;
    failedTitle: string;
    openTitle: string;
    by: string;
    noKeys: string;
    noReceiptKey: string;
    anchorKind: string;
    unread: string;
    keys: (log: string) => string;
  };
  reasons: Record<Reason, string>;
  notProved: { title: string; items: string[]; witnesses: string; anchors: string; anchorsOpen: string };
  keys: {
    title: string;
    why: string;
    none: string;
    embedded: string;
    chosen: string;
    fileFingerprint: string;
    keyFingerprint: string;
    compare: string;
    algorithm: Record<"1" | "4" | "6", string>;
    replace: string;
    noQuorum: string;
    quorum: (witnesses: Count) => string;
  };
  share: { title: string; text: string; legend: string; save: string };
  details: {
    title: string;
    checks: string;
    check: string;
    result: string;
    explanation: string;
    facts: string;
    path: string;
    value: string;
    groups: Record<Group, string>;
    otherGroup: string;
    hashes: string;
    fileHash: string;
    leaf: string;
    commitment: string;
    root: string;
    writer: string;
    size: string;
    index: string;
    duration: (milliseconds: string) => string;
    byHand: string;
  };
  status: Record<"passed" | "failed" | "not_checked", string>;
  values: {
    yes: string;
    no: string;
    nothing: string;
    bytes: (count: Count) => string;
    more: (count: Count) => string;
    marked: string;
  };
}

/** One form for one thing, another for any other number of them. */
export function plural(count: Count, one: string, many: string): string {
  return count.value === 1 || count.value === 1n ? one : many;
}
