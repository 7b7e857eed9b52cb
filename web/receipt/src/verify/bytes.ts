// Bytes as text and back. One text per byte string: a text that decodes is the one that encoding its bytes gives.

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const VALUES = new Map([...ALPHABET].map((letter, value) => [letter.charCodeAt(0), value]));
const PAD = "=".charCodeAt(0);

const encoder = new TextEncoder();
// A byte order mark is a character like any other here: dropping it would let two files state the same facts.
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The bytes of `text` in UTF-8. */
export function utf8(text: string): Uint8Array {
  return encoder.encode(text);
}

/** The text whose UTF-8 `bytes` are, or null. */
export function text(bytes: Uint8Array): string | null {
  try {
    return decoder.decode(bytes);
  } catch {
    return null;
  }
}

export function concat(...parts: Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

export function equal(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((byte, at) => byte === other[at]);
}

/** A number below 2^64 as eight bytes, the highest first. */
export function uint64(value: bigint): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, value);
  return bytes;
}

export function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export function base64(bytes: Uint8Array): string {
  const groups: string[] = [];
  for (let at = 0; at < bytes.length; at += 3) {
    const [a = 0, b, c] = bytes.subarray(at, at + 3);
    const sum = (a << 16) | ((b ?? 0) << 8) | (c ?? 0);
    const letter = (shift: number): string => ALPHABET.charAt((sum >> shift) & 63);
    groups.push(letter(18) + letter(12) + (b === undefined ? "=" : letter(6)) + (c === undefined ? "=" : letter(0)));
  }
  return groups.join("");
}

/** The bytes of padded standard base64 (RFC 4648, sections 3.5 and 4), or null for any other text. */
export function fromBase64(encoded: string): Uint8Array | null {
  if (encoded.length % 4 !== 0) {
    return null;
  }
  const padding = encoded.endsWith("==") ? 2 : encoded.endsWith("=") ? 1 : 0;
  const bytes = new Uint8Array((encoded.length / 4) * 3 - padding);
  let [sum, at] = [0, 0];
  for (let place = 0; place < encoded.length; place += 1) {
    const letter = encoded.charCodeAt(place);
    const value = letter === PAD && place >= encoded.length - padding ? 0 : VALUES.get(letter);
    if (value === undefined) {
      return null;
    }
    sum = (sum << 6) | value;
    if (place % 4 === 3) {
      for (const shift of [16, 8, 0]) {
        if (at < bytes.length) {
          bytes[at] = (sum >> shift) & 0xff;
          at += 1;
        } else if (((sum >> shift) & 0xff) !== 0) {
          return null; // bits behind the last byte that are not zero
        }
      }
      sum = 0;
    }
  }
  return bytes;
}

/** A decimal number of at most 64 bits without sign or leading zeros, or null. */
export function decimal(digits: string): bigint | null {
  if (!/^(0|[1-9][0-9]{0,19})$/.test(digits)) {
    return null;
  }
  const number = BigInt(digits);
  return number < 1n << 64n ? number : null;
}
