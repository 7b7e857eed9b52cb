// Making a shorter receipt: the reader chooses which facts it shows and saves it.

import { shorter } from "../verify/shorter.ts";
import type { Speech } from "../words/language.ts";
import { button, h } from "./dom.ts";
import type { Checked } from "./state.ts";
import { shownValue } from "./values.ts";

/** The part of the page that makes shorter receipts, folded away; null where there is nothing to choose from. */
export function share(checked: Checked, speech: Speech): HTMLElement | null {
  const { receipt, verdict } = checked.report;
  if (receipt === null || verdict === "failed" || receipt.fields.length === 0) {
    return null;
  }
  const words = speech.words.share;
  const boxes = receipt.fields.map((field) => {
    const box = h("input", { type: "checkbox", id: `keep-${field.index}`, value: field.index, checked: field.path.startsWith("decision/") });
    const label = h("label", { for: box.id }, h("code", {}, field.path), " ", shownValue(field, speech));
    return { box, item: h("div", { class: "choice" }, box, label) };
  });
  const save = button(words.save, () => {
    const kept = new Set(boxes.filter(({ box }) => box.checked).map(({ box }) => Number(box.value)));
    hand(shorter(checked.bytes, (index) => kept.has(index)), "receipt-shorter.json");
  });
  return h(
    "details",
    { class: "share" },
    h("summary", {}, h("h2", {}, words.title)),
    h("p", {}, words.text),
    h("fieldset", {}, h("legend", {}, words.legend), ...boxes.map(({ item }) => item)),
    save,
  );
}

/** Hands a file to the reader as a download. */
export function hand(bytes: Uint8Array, name: string): void {
  const url = URL.createObjectURL(new Blob([bytes.slice()], { type: "application/vnd.ledgerstone.receipt+json" }));
  h("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url));
}
