// JSON of the sidecar as typed values. What has another form than expected is refused, not guessed.

/** The answer is not what this page expects; another version of the sidecar gave it. */
export class Unreadable extends Error {}

/** An object of the answer. */
export class Part {
  readonly #fields: Record<string, unknown>;
  readonly #place: string;

  constructor(value: unknown, place = "the answer") {
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      throw new Unreadable(`${place} is no object`);
    }
    this.#fields = value as Record<string, unknown>;
    this.#place = place;
  }

  number(name: string): number {
    const value = this.#fields[name];
    if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0) {
      throw this.#wrong(name);
    }
    return value;
  }

  text(name: string): string {
    const value = this.#fields[name];
    if (typeof value !== "string") {
      throw this.#wrong(name);
    }
    return value;
  }

  part(name: string): Part {
    return new Part(this.#fields[name], `${this.#place}, ${name}`);
  }

  list<T>(name: string, read: (item: unknown) => T): T[] {
    const value = this.#fields[name];
    if (!Array.isArray(value)) {
      throw this.#wrong(name);
    }
    return value.map(read);
  }

  parts<T>(name: string, read: (part: Part) => T): T[] {
    return this.list(name, (item) => read(new Part(item, `${this.#place}, ${name}`)));
  }

  /** Null where nothing, or null, stands there. */
  maybe<T>(name: string, read: (name: string) => T): T | null {
    const value = this.#fields[name];
    return value === undefined || value === null ? null : read(name);
  }

  /** A number for each word. */
  counts(name: string): Map<string, number> {
    const part = this.part(name);
    return new Map(Object.keys(part.#fields).map((word) => [word, part.number(word)]));
  }

  #wrong(name: string): Unreadable {
    return new Unreadable(`${this.#place} has no ${name} of the right type`);
  }
}

/** An item that must be a text. */
export function asText(item: unknown): string {
  if (typeof item !== "string") {
    throw new Unreadable("an item is no text");
  }
  return item;
}

/** An item that must be a list of two numbers. */
export function asStretch(item: unknown): [number, number] {
  const [from, to] = Array.isArray(item) ? (item as unknown[]) : [];
  if (typeof from !== "number" || typeof to !== "number") {
    throw new Unreadable("an item is no stretch of time");
  }
  return [from, to];
}
