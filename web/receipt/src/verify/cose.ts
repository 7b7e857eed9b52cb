// The COSE receipt: docs/spec/receipt.md, section "The COSE receipt" (RFC 9942, RFC9162_SHA256). It has one encoding, so
// whatever does not stand literally in it is a number, a text or a hash.

import { concat, equal, text, utf8 } from "./bytes.ts";
import { head } from "./cbor.ts";
import { Fault } from "./fault.ts";
import { COSE_BYTES_MAX, PROOF_HASHES_MAX, UINT64_MAX } from "./limits.ts";
import { HASH_BYTES, leafHash, rootOf, sha256 } from "./merkle.ts";
import { ED25519, isEd25519Point, isKeyName, isSignedBy, type Key } from "./note.ts";

const [UINT, BYTES, TEXT, ARRAY] = [0, 2, 3, 4];

/** Tag 18 and an array of four. */
const MESSAGE = [0xd2, 0x84];
/** A map of four, `alg` -19, `kid` and the head of 32 bytes. */
const ALG_KID = [0xa4, 0x01, 0x32, 0x04, 0x58, 0x20];
/** `CWT Claims`: a map of two, `iss`. */
const CLAIMS = [0x0f, 0xa2, 0x01];
/** The claim -65537: the tree's size. */
const TREE_SIZE = [0x3a, 0x00, 0x01, 0x00, 0x00];
/** `vds` 1. */
const VDS = [0x19, 0x01, 0x8b, 0x01];
/** `vdp`: a map of one, -1, an array of one. */
const VDP = [0xa1, 0x19, 0x01, 0x8c, 0xa1, 0x20, 0x81];
/** No payload, and the head of a signature. */
const SIGNED = [0xf6, 0x58, 0x40];
const HASH = [0x58, 0x20];
/** A COSE_Key before its 32 bytes: kty 1, alg -19, crv 6, x. */
const COSE_KEY = [0xa4, 0x01, 0x01, 0x03, 0x32, 0x20, 0x06, 0x21, 0x58, 0x20];
/** What is hashed into its thumbprint (RFC 9679), before the same bytes. */
const THUMBPRINT = [0xa3, 0x01, 0x01, 0x20, 0x06, 0x21, 0x58, 0x20];
const KEY_BYTES = 32;

/** A signed proof of inclusion, as it claims. */
export interface CoseReceipt {
  issuer: string;
  kid: Uint8Array;
  size: bigint;
  index: bigint;
  path: Uint8Array[];
  /** The protected header, word for word. */
  header: Uint8Array;
  signature: Uint8Array;
}

/** A log's key for COSE receipts. */
export interface ReceiptKey {
  key: Key;
  kid: Uint8Array;
}

/** The COSE receipt that `bytes` are. */
export function readCose(bytes: Uint8Array): CoseReceipt {
  check(bytes.length <= COSE_BYTES_MAX);
  const whole = new Reader(bytes);
  whole.literal(MESSAGE);
  const header = whole.sized(BYTES);
  whole.literal(VDP);
  const proof = new Reader(whole.sized(BYTES));
  whole.literal(SIGNED);
  const signature = whole.take(64);
  check(whole.atEnd);
  const { issuer, kid, size: stated } = readHeader(header);
  check(proof.head(ARRAY) === 3n);
  const [size, index, hashes] = [proof.head(UINT), proof.head(UINT), proof.head(ARRAY)];
  check(size === stated && hashes >= 1n && hashes <= BigInt(PROOF_HASHES_MAX));
  const path = Array.from({ length: Number(hashes) }, () => {
    proof.literal(HASH);
    return proof.take(HASH_BYTES);
  });
  check(proof.atEnd);
  return { issuer, kid, size, index, path, header, signature };
}

function readHeader(bytes: Uint8Array): { issuer: string; kid: Uint8Array; size: bigint } {
  const header = new Reader(bytes);
  header.literal(ALG_KID);
  const kid = header.take(HASH_BYTES);
  header.literal(CLAIMS);
  const issuer = text(header.sized(TEXT));
  header.literal(TREE_SIZE);
  const size = header.head(UINT);
  header.literal(VDS);
  check(header.atEnd && issuer !== null && isKeyName(issuer));
  return { issuer, kid, size };
}

class Reader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get atEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  take(length: number): Uint8Array {
    check(this.#at + length <= this.#bytes.length);
    this.#at += length;
    return this.#bytes.slice(this.#at - length, this.#at);
  }

  literal(expected: number[]): void {
    check(equal(this.take(expected.length), Uint8Array.from(expected)));
  }

  /** The argument of a head of that type in its shortest form. */
  head(major: number): bigint {
    const start = this.#at;
    const info = (this.take(1)[0] ?? 0) & 31;
    check(info < 28);
    const rest = info < 24 ? new Uint8Array() : this.take(1 << (info - 24));
    const argument = info < 24 ? BigInt(info) : rest.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
    check(argument <= UINT64_MAX && equal(head(major, argument), this.#bytes.slice(start, this.#at)));
    return argument;
  }

  sized(major: number): Uint8Array {
    const length = this.head(major);
    check(length <= BigInt(this.#bytes.length));
    return this.take(Number(length));
  }
}

function check(holds: boolean): asserts holds {
  if (!holds) {
    throw new Fault("malformed", "cose_receipt");
  }
}

/** The receipt key of `origin` whose COSE_Key is `coseKey`, or null. */
export function readReceiptKey(origin: string, coseKey: Uint8Array): ReceiptKey | null {
  const start = Uint8Array.from(COSE_KEY);
  const bytes = coseKey.slice(start.length);
  const fits = equal(coseKey.slice(0, start.length), start) && bytes.length === KEY_BYTES && isKeyName(origin);
  if (!fits || !isEd25519Point(bytes)) {
    return null;
  }
  const kid = sha256(concat(Uint8Array.from(THUMBPRINT), bytes));
  return { key: { name: origin, id: "", type: ED25519, bytes, vkey: "" }, kid };
}

/** Whether the COSE receipt is about this place of this tree, which is the one of the receipt around it. */
export function isAbout(cose: CoseReceipt, origin: string, size: bigint, index: bigint, path: readonly Uint8Array[]): boolean {
  const samePath = cose.path.length === path.length && cose.path.every((hash, at) => equal(hash, path[at] ?? new Uint8Array()));
  return cose.issuer === origin && cose.size === size && cose.index === index && samePath;
}

/** Checks that one of `keys` signed the root that the entry leads to; the root is computed, never carried. */
export function checkCose(cose: CoseReceipt, entryBytes: Uint8Array, keys: readonly ReceiptKey[]): void {
  const named = keys.find(({ kid }) => equal(kid, cose.kid));
  if (named === undefined) {
    throw new Fault("cose-other-key");
  }
  const root = rootOf(leafHash(entryBytes), cose.index, cose.size, cose.path);
  const signed = concat(
    head(ARRAY, 4n),
    concat(head(TEXT, 10n), utf8("Signature1")),
    concat(head(BYTES, BigInt(cose.header.length)), cose.header),
    head(BYTES, 0n),
    concat(head(BYTES, BigInt(HASH_BYTES)), root),
  );
  if (!isSignedBy(named.key, signed, cose.signature)) {
    throw new Fault("cose-signature");
  }
}
