// Deterministic CBOR (RFC 8949, section 4.2.1) as entries and statements use it: integers, bytes, text, arrays, maps, truth
// values; shortest heads, definite lengths, keys rising. Whatever else stands there is refused.

import { CBOR_DEPTH_MAX } from "./limits.ts";
import { concat, text, uint64 } from "./bytes.ts";

export type Cbor = bigint | boolean | string | Uint8Array | Cbor[] | CborMap;

/** A map whose keys are unsigned integers, in their order. */
export type CborMap = Map<bigint, Cbor>;

/** The bytes are no such CBOR. */
export class CborFault extends Error {}

const [UINT, BYTES, TEXT, ARRAY, MAP, SIMPLE] = [0, 2, 3, 4, 5, 7];
const [FALSE, TRUE] = [20n, 21n];

/** The one item that `bytes` hold. */
export function readCbor(bytes: Uint8Array): Cbor {
  const reader = new Reader(bytes);
  const item = reader.item(0);
  if (!reader.atEnd) {
    throw new CborFault("bytes follow the end");
  }
  return item;
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

  item(depth: number): Cbor {
    if (depth > CBOR_DEPTH_MAX) {
      throw new CborFault("nested too deep");
    }
    const [major, argument] = this.#head();
    switch (major) {
      case UINT:
        return argument;
      case BYTES:
        return this.#take(argument).slice();
      case TEXT:
        return this.#text(argument);
      case ARRAY:
        return Array.from({ length: this.#count(argument) }, () => this.item(depth + 1));
      case MAP:
        return this.#map(this.#count(argument), depth);
      case SIMPLE:
        return this.#truth(argument);
      default:
        throw new CborFault("a type that does not belong here");
    }
  }

  #map(pairs: number, depth: number): CborMap {
    const map: CborMap = new Map();
    let last = -1n;
    for (let pair = 0; pair < pairs; pair += 1) {
      const key = this.item(depth + 1);
      // Unsigned integers in their shortest form rise as their bytes do.
      if (typeof key !== "bigint" || key <= last) {
        throw new CborFault("keys that do not rise");
      }
      map.set(key, this.item(depth + 1));
      last = key;
    }
    return map;
  }

  #text(length: bigint): string {
    const decoded = text(this.#take(length));
    if (decoded === null) {
      throw new CborFault("text that is not UTF-8");
    }
    return decoded;
  }

  #truth(argument: bigint): boolean {
    if (argument !== FALSE && argument !== TRUE) {
      throw new CborFault("a simple value that does not belong here");
    }
    return argument === TRUE;
  }

  /** A number of items that the bytes left can hold. */
  #count(argument: bigint): number {
    if (argument > BigInt(this.#bytes.length - this.#at)) {
      throw new CborFault("cut off");
    }
    return Number(argument);
  }

  #take(length: bigint): Uint8Array {
    const end = this.#at + this.#count(length);
    const taken = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return taken;
  }

  #head(): [number, bigint] {
    const [initial = 0] = this.#take(1n);
    const [major, info] = [initial >> 5, initial & 31];
    if (info < 24) {
      return [major, BigInt(info)];
    }
    if (info > 27 || major === SIMPLE) {
      throw new CborFault("a head that does not belong here");
    }
    const width = 1 << (info - 24);
    const argument = this.#take(BigInt(width)).reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
    const longerThan = width === 1 ? 23n : (1n << BigInt(4 * width)) - 1n;
    if (argument <= longerThan) {
      throw new CborFault("a head that is not in its shortest form");
    }
    return [major, argument];
  }
}

/** A head in its shortest form. */
export function head(major: number, argument: bigint): Uint8Array {
  if (argument < 24n) {
    return Uint8Array.of((major << 5) | Number(argument));
  }
  const width = [1, 2, 4].find((bytes) => argument < 1n << BigInt(8 * bytes)) ?? 8;
  const info = 24 + Math.log2(width);
  return concat(Uint8Array.of((major << 5) | info), uint64(argument).slice(8 - width));
}
