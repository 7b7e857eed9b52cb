// The words: every language says everything, in its own words.

import { describe, expect, test } from "vitest";

import { CATALOGUES, languageOf, Speech } from "../src/words/language.ts";

const COUNT = { value: 3, text: "#3#" };

/** Sentences that take a text; the others take counts. */
const TEXTS = ["bar.checkedAt", "problem.keys", "chain.anchor", "proved.keys", "details.duration"];

/** Every sentence under its key; one that takes facts is given some. */
function sentences(part: unknown, key = ""): [string, string][] {
  if (typeof part === "string") {
    return [[key, part]];
  }
  if (typeof part === "function") {
    const facts = key === "chain.logText" ? ["#7#", COUNT, COUNT] : TEXTS.includes(key) ? ["#x#"] : [COUNT, COUNT];
    return [[key, (part as (...facts: unknown[]) => string)(...facts)]];
  }
  return Object.entries(part as object).flatMap(([name, inner]) => sentences(inner, key === "" ? name : `${key}.${name}`));
}

const english = sentences(CATALOGUES.en);

/** What is the same word, name or unit in both languages. */
const SAME = /^(keys\.algorithm\.|values\.bytes|values\.no|details\.(title|hashes)|decision\.(score))/;

describe.each(["de", "fr", "es"] as const)("%s", (language) => {
  const said = sentences(CATALOGUES[language]);

  test("has the keys of English, each with words", () => {
    expect(said.map(([key]) => key)).toEqual(english.map(([key]) => key));
    expect(said.filter(([, text]) => text.trim() === "")).toEqual([]);
  });

  test("is not English", () => {
    const same = said.filter(([key, text], at) => text === english[at]?.[1] && !SAME.test(key));
    expect(same).toEqual([]);
  });

  test("says every fact that English says", () => {
    const facts = (text: string): string[] => (text.match(/#\w+#/g) ?? []).sort();
    const differing = said.filter(([, text], at) => facts(text).join() !== facts(english[at]?.[1] ?? "").join());
    expect(differing).toEqual([]);
  });
});

test("the first language of the reader that the page speaks is taken", () => {
  expect(languageOf(["it-IT", "fr-CH", "de"])).toBe("fr");
  expect(languageOf(["DE"])).toBe("de");
  expect(languageOf(["toString"])).toBe("en");
  expect(languageOf([])).toBe("en");
});

test("numbers and times are written as the language writes them", () => {
  expect(new Speech("de").number(1234567)).toBe("1.234.567");
  expect(new Speech("es").number(0.1875)).toBe("0,1875");
  expect(new Speech("de").time(1795000000041n)).toBe("18. November 2026 um 11:06:40 UTC");
  expect(new Speech("en").time(1n << 63n)).toBe("9223372036854775808");
});

test("French signs that stand apart do not start a line", () => {
  const broken = sentences(new Speech("fr").words).filter(([, text]) => / [:;!?»]/.test(text));
  expect(broken).toEqual([]);
});
