// Text from a file, shown so that it can do nothing: not run, not turn the words around it, not hide.

import type { Speech } from "../words/language.ts";
import { h } from "./dom.ts";

/** Letters of one value that are shown; the rest is counted. */
const SHOWN_MAX = 2000;

/** Control characters, direction overrides, what has no width, private use and what no letter is assigned to. */
const HIDDEN = /[\p{Cc}\p{Cf}\p{Co}\p{Cn}\u00ad\u034f\u115f\u1160\u17b4\u17b5\u2028\u2029\u2800\u3164\ufe00-\ufe0f\uffa0]/u;

/** What says how many letters are not shown. */
export type Counting = Pick<Speech, "count"> & { words: Pick<Speech["words"], "values"> };

/** Whether a text has characters that would not be seen. */
export function hidesSomething(text: string): boolean {
  return HIDDEN.test(text);
}

/** A text as it stands in the file, isolated from the direction of what is around it, with marks for what hides. */
export function inert(text: string, speech: Counting): HTMLElement {
  const characters = Array.from(text);
  const shown = characters.slice(0, SHOWN_MAX);
  const element = h("bdi", { class: "foreign" });
  let plain = "";
  for (const character of shown) {
    if (HIDDEN.test(character)) {
      element.append(plain, mark(character));
      plain = "";
    } else {
      plain += character;
    }
  }
  element.append(plain);
  if (characters.length > shown.length) {
    const more = speech.words.values.more(speech.count(characters.length - shown.length));
    element.append(h("span", { class: "more" }, ` ${more}`));
  }
  return element;
}

/** The name of a character in place of it. */
function mark(character: string): HTMLElement {
  const code = (character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0");
  return h("span", { class: "mark" }, `U+${code}`);
}

/** The same as plain text, for attributes and drawings. */
export function inertText(text: string): string {
  return Array.from(text, (character) => (HIDDEN.test(character) ? "\ufffd" : character)).join("").slice(0, 80);
}
