// Which language the page speaks, and how it writes numbers and times in it.

import { de } from "./de.ts";
import { en } from "./en.ts";
import { es } from "./es.ts";
import { fr } from "./fr.ts";
import type { Count, Messages } from "./messages.ts";

export const CATALOGUES = { en, de, fr, es };

export type Language = keyof typeof CATALOGUES;


/** The first language of `wished` that the page speaks, else English. */
export function languageOf(wished: readonly string[]): Language {
  const spoken = wished.map((tag) => tag.toLowerCase().split("-")[0]).find(isLanguage);
  return spoken ?? "en";
}

export function isLanguage(tag: string | undefined): tag is Language {
  return tag !== undefined && Object.hasOwn(CATALOGUES, tag);
}

/** The page's words and its way to write numbers and times. */
export class Speech {
  readonly language: Language;
  readonly words: Messages;

  constructor(language: Language) {
    this.language = language;
    this.words = language === "fr" ? spaced(fr) : CATALOGUES[language];
  }

  count(value: number | bigint): Count {
    return { value, text: this.number(value) };
  }

  number(value: number | bigint): string {
    return new Intl.NumberFormat(this.language, { maximumSignificantDigits: 17 }).format(value);
  }

  /** A point in time in UTC, or the number itself where no calendar has it. */
  time(milliseconds: bigint): string {
    const date = new Date(Number(milliseconds));
    if (Number.isNaN(date.getTime())) {
      return String(milliseconds);
    }
    const form = { dateStyle: "long", timeStyle: "medium", timeZone: "UTC" } as const;
    return `${new Intl.DateTimeFormat(this.language, form).format(date)} UTC`;
  }
}

/** The catalogue with the narrow spaces that keep a French colon and its like from starting a line. */
function spaced<T>(part: T): T {
  if (typeof part === "string") {
    return part.replace(/ (?=[:;!?»])/g, "\u202f") as T;
  }
  if (typeof part === "function") {
    return ((...facts: unknown[]) => spaced(part(...facts))) as T;
  }
  if (Array.isArray(part)) {
    return part.map(spaced) as T;
  }
  return Object.fromEntries(Object.entries(part as object).map(([key, inner]) => [key, spaced(inner)])) as T;
}
