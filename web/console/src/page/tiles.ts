// The four answers that stand first.

import { h, s } from "../../../receipt/src/page/dom.ts";
import type { Answer, Tone } from "../judge.ts";
import { foreign } from "./panel.ts";

const SHAPES: Record<Tone, string> = {
  good: "M6 12.5 l4 4 l8 -9",
  open: "M12 6 v7 M12 17 v0.5",
  bad: "M7 7 l10 10 M17 7 l-10 10",
};
const WORDS: Record<Tone, string> = { good: "in order", open: "look at it", bad: "look at it now" };

/** The four tiles; each stays, so that a reader's place in it does. */
export class Tiles {
  readonly element = h("section", { class: "tiles", "aria-label": "The four questions" });
  readonly #said = h("p", { class: "unseen", "aria-live": "polite" });
  readonly #tiles = new Map<string, HTMLElement>();

  draw(answers: readonly Answer[]): void {
    for (const answer of answers) {
      const fresh = tile(answer);
      const shown = this.#tiles.get(answer.id);
      if (shown === undefined) {
        this.element.append(fresh);
      } else if (!shown.isEqualNode(fresh)) {
        shown.replaceWith(fresh);
      } else {
        continue;
      }
      this.#tiles.set(answer.id, fresh);
    }
    this.element.append(this.#said);
    const worst = answers.filter((answer) => answer.tone === "bad").map((answer) => `${answer.question} ${answer.says}.`);
    const said = worst.join(" ");
    if (this.#said.textContent !== said) {
      this.#said.textContent = said;
    }
  }
}

function tile({ id, question, tone, says, because }: Answer): HTMLElement {
  const sign = s("svg", { viewBox: "0 0 24 24", class: "sign", role: "img", "aria-label": WORDS[tone] }, s("circle", { cx: 12, cy: 12, r: 12 }), s("path", { d: SHAPES[tone] }));
  return h(
    "article",
    { class: `tile ${tone}`, id, "aria-labelledby": `${id}-title` },
    h("h2", { id: `${id}-title` }, sign, question),
    h("p", { class: "says" }, foreign(says)),
    h("ul", {}, ...because.map((reason) => h("li", {}, foreign(reason)))),
  );
}
