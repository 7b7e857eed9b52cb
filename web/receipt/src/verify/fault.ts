// Why something was refused: a name that every language of the page has words for, and the facts that fill them.

export type Reason =
  | "too-large"
  | "unreadable"
  | "other-version"
  | "malformed"
  | "not-canonical"
  | "entry-malformed"
  | "not-a-decision"
  | "other-decision"
  | "checkpoint-malformed"
  | "other-origin"
  | "fields-order"
  | "fields-value"
  | "fields-proof-length"
  | "fields-changed"
  | "index-outside"
  | "inclusion-length"
  | "inclusion-root"
  | "later-elsewhere"
  | "cose-elsewhere"
  | "cose-other-key"
  | "cose-signature"
  | "policy-malformed"
  | "unknown-log"
  | "signature-absent"
  | "signature-wrong"
  | "cosignature-wrong"
  | "quorum-missed"
  | "anchor-other-log"
  | "anchor-other-checkpoint"
  | "anchor-other-tree"
  | "anchor-other-place";

/** A rule of the specification that the bytes break. */
export class Fault extends Error {
  readonly reason: Reason;
  /** Which part, key, witness or line; text from outside, never shown as it is. */
  readonly about: string;

  constructor(reason: Reason, about = "") {
    super(about === "" ? reason : `${reason}: ${about}`);
    this.reason = reason;
    this.about = about;
  }
}
