// Parts of the page that stay while what is in them is drawn anew, so that focus and scrolling stay where they are.

import { h, type Child } from "../../../receipt/src/page/dom.ts";
import { inert } from "../../../receipt/src/page/inert.ts";
import { counting } from "../speech.ts";

/** A section with a title. */
export interface Panel {
  section: HTMLElement;
  /** Draws the content if it is another than before. */
  draw: (...children: Child[]) => void;
}

export function panel(id: string, title: string): Panel {
  const body = h("div", { class: "body" });
  const section = h("section", { class: "panel", id, "aria-labelledby": `${id}-title` }, h("h2", { id: `${id}-title` }, title), body);
  const draw = (...children: Child[]): void => {
    const fresh = h("div", { class: "body" }, ...children);
    if (!fresh.isEqualNode(body)) {
      body.replaceChildren(...Array.from(fresh.childNodes));
    }
  };
  return { section, draw };
}

/** Text that the sidecar or somebody behind it chose. */
export function foreign(text: string): HTMLElement {
  return inert(text, counting);
}

/** The beginning of a digest, with all of it for whoever asks. */
export function digest(text: string): HTMLElement {
  return h("code", { class: "digest", title: text }, text.slice(0, 12));
}

/** A word with a colour that is not needed to read it. */
export function pill(tone: string, text: Child): HTMLElement {
  return h("span", { class: `pill ${tone}` }, text);
}

export function table(caption: string, heads: string[], rows: Child[][], numeric: number[] = []): HTMLElement {
  const cellClass = (at: number): string => (numeric.includes(at) ? "number" : "word");
  const head = h("tr", {}, ...heads.map((text, at) => h("th", { scope: "col", class: cellClass(at) }, text)));
  const lines = rows.map((cells) =>
    h(
      "tr",
      {},
      ...cells.map((cell, at) =>
        at === 0
          ? h("th", { scope: "row", class: cellClass(at) }, cell)
          : h("td", { class: cellClass(at), "data-head": heads[at] ?? "" }, cell),
      ),
    ),
  );
  return h("table", {}, h("caption", { class: "unseen" }, caption), h("thead", {}, head), h("tbody", {}, ...lines));
}

/** A sentence beside what stands in tables. */
export function none(text: string): HTMLElement {
  return h("p", { class: "quiet" }, foreign(text));
}
