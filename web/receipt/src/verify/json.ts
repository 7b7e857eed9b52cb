// JSON (RFC 8259) read strictly: keys once, numbers as they are written, no lone surrogate.
// JSON.parse would take a key twice and keep the last, and round numbers before anybody saw them.

import { JSON_DEPTH_MAX } from "./limits.ts";
import { text } from "./bytes.ts";
import { Fault } from "./fault.ts";

/** A number as it stands in the file. */
export class NumberToken {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

export type Json = null | boolean | string | NumberToken | Json[] | Map<string, Json>;

const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
const PLAIN = /[^"\\\u0000-\u001f]*/y;
const ESCAPES = new Map(Object.entries({ '"': '"', "\\": "\\", "/": "/", b: "\b", f: "\f", n: "\n", r: "\r", t: "\t" }));

/** The one value that `bytes` hold. */
export function readJson(bytes: Uint8Array): Json {
  const source = text(bytes);
  if (source === null) {
    throw new Fault("unreadable");
  }
  return new Reader(source).whole();
}

class Reader {
  readonly #source: string;
  #at = 0;
  #depth = 0;

  constructor(source: string) {
    this.#source = source;
  }

  whole(): Json {
    const value = this.#value();
    this.#space();
    if (this.#at < this.#source.length) {
      throw this.#fault();
    }
    return value;
  }

  #value(): Json {
    this.#space();
    switch (this.#source[this.#at]) {
      case "{":
        return this.#nested(() => this.#object());
      case "[":
        return this.#nested(() => this.#array());
      case '"':
        return this.#string();
      case "t":
        return this.#word("true", true);
      case "f":
        return this.#word("false", false);
      case "n":
        return this.#word("null", null);
      default:
        return new NumberToken(this.#match(NUMBER));
    }
  }

  #nested<T>(read: () => T): T {
    this.#depth += 1;
    if (this.#depth > JSON_DEPTH_MAX) {
      throw this.#fault();
    }
    this.#at += 1;
    const value = read();
    this.#depth -= 1;
    return value;
  }

  #object(): Map<string, Json> {
    const pairs = new Map<string, Json>();
    if (this.#closes("}")) {
      return pairs;
    }
    do {
      this.#space();
      const key = this.#string();
      this.#space();
      this.#expect(":");
      if (pairs.has(key)) {
        throw this.#fault();
      }
      pairs.set(key, this.#value());
    } while (this.#continues("}"));
    return pairs;
  }

  #array(): Json[] {
    const items: Json[] = [];
    if (this.#closes("]")) {
      return items;
    }
    do {
      items.push(this.#value());
    } while (this.#continues("]"));
    return items;
  }

  #string(): string {
    this.#expect('"');
    let value = "";
    for (;;) {
      value += this.#match(PLAIN);
      const next = this.#source[this.#at];
      this.#at += 1;
      if (next === '"') {
        break;
      }
      if (next !== "\\") {
        throw this.#fault();
      }
      value += this.#escape();
    }
    if (/\p{Surrogate}/u.test(value)) {
      throw this.#fault();
    }
    return value;
  }

  #escape(): string {
    const letter = this.#source.charAt(this.#at);
    this.#at += 1;
    if (letter === "u") {
      return String.fromCharCode(parseInt(this.#match(/[0-9a-fA-F]{4}/y), 16));
    }
    const character = ESCAPES.get(letter);
    if (character === undefined) {
      throw this.#fault();
    }
    return character;
  }

  #word<T>(word: string, value: T): T {
    if (!this.#source.startsWith(word, this.#at)) {
      throw this.#fault();
    }
    this.#at += word.length;
    return value;
  }

  #closes(bracket: string): boolean {
    this.#space();
    if (this.#source[this.#at] !== bracket) {
      return false;
    }
    this.#at += 1;
    return true;
  }

  #continues(bracket: string): boolean {
    if (this.#closes(bracket)) {
      return false;
    }
    this.#expect(",");
    return true;
  }

  #expect(character: string): void {
    if (this.#source[this.#at] !== character) {
      throw this.#fault();
    }
    this.#at += 1;
  }

  #match(pattern: RegExp): string {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#source);
    if (found === null) {
      throw this.#fault();
    }
    this.#at += found[0].length;
    return found[0];
  }

  #space(): void {
    this.#match(/[ \t\n\r]*/y);
  }

  #fault(): Fault {
    return new Fault("unreadable", String(this.#at));
  }
}
