// Signed notes and the keys that sign them: c2sp.org/signed-note.

import { ed25519 } from "@noble/curves/ed25519.js";
import { sha512 } from "@noble/hashes/sha2.js";
import { ml_dsa44 } from "@noble/post-quantum/ml-dsa.js";

import { concat, equal, fromBase64, hex, utf8 } from "./bytes.ts";
import { NAME_BYTES_MAX, NOTE_BYTES_MAX, SIGNATURES_MAX } from "./limits.ts";
import { sha256 } from "./merkle.ts";

/** Signature types: what a key signs, and how. */
export const ED25519 = 0x01;
export const ED25519_COSIGNATURE = 0x04;
export const ML_DSA_44 = 0x06;
export type KeyType = typeof ED25519 | typeof ED25519_COSIGNATURE | typeof ML_DSA_44;

const ED25519_SIGNATURE_BYTES = 64;
const ML_DSA_44_KEY_BYTES = 1312;
const ML_DSA_44_SIGNATURE_BYTES = 2420;
const LINE_START = "— ";

/** A named public key. */
export interface Key {
  name: string;
  /** Eight lowercase hexadecimal digits. */
  id: string;
  type: KeyType;
  bytes: Uint8Array;
  /** The key as it was written: name, id and base64, joined by plus signs. */
  vkey: string;
}

/** One signature line. */
export interface Signature {
  name: string;
  id: string;
  bytes: Uint8Array;
}

/** A text with signatures that claim to be over it. */
export interface Note {
  text: string;
  signatures: Signature[];
}

/** The note that `whole` is, or null. */
export function readNote(whole: string): Note | null {
  const at = whole.lastIndexOf("\n\n");
  const lines = whole.slice(at + 2).split("\n");
  const ends = lines.pop() === "";
  const printable = !/[\u0000-\u0009\u000b-\u001f]/.test(whole);
  if (at < 0 || !ends || !printable || lines.length < 1 || lines.length > SIGNATURES_MAX) {
    return null;
  }
  const signatures = lines.map(readSignature).filter((line) => line !== null);
  const fits = utf8(whole).length <= NOTE_BYTES_MAX && signatures.length === lines.length;
  return fits ? { text: whole.slice(0, at + 1), signatures } : null;
}

function readSignature(line: string): Signature | null {
  const [dash, name = "", encoded = "", ...rest] = line.split(" ");
  const blob = dash === LINE_START.trim() && rest.length === 0 ? fromBase64(encoded) : null;
  if (blob === null || blob.length < 5 || !isKeyName(name)) {
    return null;
  }
  return { name, id: hex(blob.subarray(0, 4)), bytes: blob.slice(4) };
}

/** Whether a text can be a key's name, which for a log is its origin. */
export function isKeyName(name: string): boolean {
  return name !== "" && utf8(name).length <= NAME_BYTES_MAX && !/[+\p{White_Space}\p{Cc}]/u.test(name);
}

/** The key that `vkey` spells, or null. */
export function readKey(vkey: string): Key | null {
  const [, name = "", id = "", encoded = ""] = /^([^+]*)\+([0-9a-f]{8})\+(.*)$/s.exec(vkey) ?? [];
  const material = fromBase64(encoded);
  const type = material?.[0];
  if (material === null || !isKeyName(name) || !isKeyType(type)) {
    return null;
  }
  const bytes = material.slice(1);
  const named = hex(sha256(concat(utf8(`${name}\n`), material)).slice(0, 4)) === id;
  const usable = type === ML_DSA_44 ? bytes.length === ML_DSA_44_KEY_BYTES : point(bytes) !== null;
  return named && usable ? { name, id, type, bytes, vkey } : null;
}

function isKeyType(type: number | undefined): type is KeyType {
  return type === ED25519 || type === ED25519_COSIGNATURE || type === ML_DSA_44;
}

/** Whether `signature` is over exactly `message` by `key`. */
export function isSignedBy(key: Key, message: Uint8Array, signature: Uint8Array): boolean {
  if (key.type !== ML_DSA_44) {
    return isEd25519(key.bytes, message, signature);
  }
  return signature.length === ML_DSA_44_SIGNATURE_BYTES && ml_dsa44.verify(signature, message, key.bytes);
}

type Point = InstanceType<typeof ed25519.Point>;

/** The base point without the table of multiples that the library makes for it: one signature is not worth the time. */
const BASE = ed25519.Point.fromAffine(ed25519.Point.BASE.toAffine());

/** A point in its one encoding (RFC 8032, section 5.1.3) that is not of small order, or null. */
function point(bytes: Uint8Array): Point | null {
  try {
    const decoded = ed25519.Point.fromBytes(bytes, false);
    return decoded.isSmallOrder() ? null : decoded;
  } catch {
    return null;
  }
}

/** Whether `bytes` are an Ed25519 public key that signatures under mean something. */
export function isEd25519Point(bytes: Uint8Array): boolean {
  return point(bytes) !== null;
}

/**
 * RFC 8032, section 5.1.7, in its strictest reading: canonical encodings, no point of small order, and the equation
 * without its cofactor. Readers that allow more would take signatures that other readers refuse.
 */
function isEd25519(key: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  const [r, s] = [signature.slice(0, 32), littleEndian(signature.slice(32))];
  const a = point(key);
  const order = ed25519.Point.Fn.ORDER;
  if (signature.length !== ED25519_SIGNATURE_BYTES || a === null || point(r) === null || s >= order) {
    return false;
  }
  const k = littleEndian(sha512(concat(r, key, message))) % order;
  const expected = BASE.multiplyUnsafe(s).subtract(a.multiplyUnsafe(k));
  return equal(expected.toBytes(), r);
}

function littleEndian(bytes: Uint8Array): bigint {
  return bytes.reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
}
