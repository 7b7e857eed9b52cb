// Numbers and times as the page writes them: English, UTC.

import { en } from "../../receipt/src/words/en.ts";
import type { Counting } from "../../receipt/src/page/inert.ts";

const NUMBERS = new Intl.NumberFormat("en");
const TENTHS = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });

/** A number with its thousands, and the noun that it counts. */
export function count(value: number | bigint, noun?: string, many?: string): string {
  const text = NUMBERS.format(value);
  return noun === undefined ? text : `${text} ${value === 1 || value === 1n ? noun : (many ?? `${noun}s`)}`;
}

/** How long something takes, in the largest unit that says enough; number and unit stay on one line. */
export function duration(milliseconds: number): string {
  const seconds = Math.max(0, milliseconds) / 1000;
  const [value, unit] =
    seconds < 10
      ? [TENTHS.format(seconds), "s"]
      : seconds < 120
        ? [count(Math.round(seconds)), "s"]
        : seconds < 7200
          ? [count(Math.round(seconds / 60)), "min"]
          : seconds < 172_800
            ? [count(Math.round(seconds / 3600)), "h"]
            : [count(Math.round(seconds / 86_400)), "days"];
  return `${value}\u00a0${unit}`;
}

export function ago(milliseconds: number): string {
  return milliseconds < 1000 ? "just now" : `${duration(milliseconds)} ago`;
}

/** A point in time, or the number itself where no calendar has it. */
export function when(milliseconds: number): string {
  const date = new Date(milliseconds);
  return Number.isNaN(date.getTime()) ? String(milliseconds) : `${date.toISOString().slice(0, 19).replace("T", " ")} UTC`;
}

/** The time of day of it. */
export function clock(milliseconds: number): string {
  const date = new Date(milliseconds);
  return Number.isNaN(date.getTime()) ? "–" : date.toISOString().slice(11, 19);
}

/** A rate for a reader: one digit after the point where it is small. */
export function rate(value: number): string {
  return value < 100 ? TENTHS.format(value) : count(Math.round(value));
}

/** For modules that are shared with the receipt page. */
export const counting: Counting = {
  words: { values: en.values },
  count: (value) => ({ value, text: count(value) }),
};
