// A decision by its id: what the log shows of it, in the order it was recorded, each entry with its proof.

import { button, h, type Child } from "../../../receipt/src/page/dom.ts";
import type { Checkpoint } from "../../../receipt/src/verify/checkpoint.ts";
import { Refused, type Asker } from "../ask.ts";
import { decisionAsked, proveAll, type Proved, type Shown } from "../decision.ts";
import { Unreadable } from "../read.ts";
import { count, when } from "../speech.ts";
import { readDecision, type DecisionAnswer } from "../state.ts";
import type { Trail } from "../trail.ts";
import { digest, foreign, none, pill } from "./panel.ts";
import { tree } from "./tree.ts";

const ID_MAX = 64;

export class Lookup {
  readonly form: HTMLFormElement;
  readonly section = h("section", { class: "panel lookup", id: "decision", hidden: true, "aria-labelledby": "decision-title" });
  readonly #field: HTMLInputElement;
  readonly #asker: Asker;
  readonly #trail: Trail;
  /** Counts what was asked: only the answer to the newest question is shown, and none once it was closed. */
  #asked = 0;

  constructor(asker: Asker, trail: Trail) {
    [this.#asker, this.#trail] = [asker, trail];
    this.#field = h("input", { id: "decision-id", type: "search", autocomplete: "off", spellcheck: "false", maxlength: ID_MAX, placeholder: "decision id or reference" });
    this.form = h(
      "form",
      { class: "find", role: "search" },
      h("label", { for: "decision-id", class: "unseen" }, "Decision id or reference"),
      this.#field,
      h("button", { type: "submit" }, "Look up"),
    );
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.show(this.#field.value);
    });
  }

  /** Asks for a decision and shows it. */
  async show(wanted: string): Promise<void> {
    const id = wanted.trim();
    if (id === "") {
      this.#field.focus();
      return;
    }
    this.#field.value = id;
    this.#asked += 1;
    const asked = this.#asked;
    this.#draw(id, none("Asking …"));
    const found = await this.#ask(id);
    if (asked === this.#asked) {
      this.#draw(id, ...found);
    }
  }

  async #ask(id: string): Promise<Child[]> {
    try {
      const answer = readDecision(await this.#asker.json(`console/decisions/${encodeURIComponent(id)}`));
      return this.#found(answer, decisionAsked(id));
    } catch (error) {
      if (!(error instanceof Refused || error instanceof Unreadable)) {
        throw error;
      }
      return [problem(error.message)];
    }
  }

  #draw(id: string, ...children: Child[]): void {
    const title = h("h2", { id: "decision-title", tabindex: -1 }, "Decision ", h("code", {}, foreign(id)));
    const close = button("Close", () => {
      this.#asked += 1;
      this.section.hidden = true;
      this.#field.focus();
    });
    this.section.replaceChildren(h("div", { class: "title-row" }, title, close), h("div", { class: "body" }, ...children));
    this.section.hidden = false;
    title.focus();
  }

  #found(answer: DecisionAnswer, decision: string | null): Child[] {
    if (this.#trail.policy === null) {
      return [problem("Nothing can be proved yet, because the log's policy has not come: look it up again.")];
    }
    if (answer.entries.length === 0) {
      return [problem("The sidecar names no entry about it, so there is nothing to prove.")];
    }
    const checkpoint = this.#trail.check(answer.checkpoint, Date.now());
    const proved = proveAll(answer, decision, checkpoint);
    const failed = proved.filter((one) => one.fault !== null).length;
    const verdict =
      failed === 0
        ? h("p", {}, pill("good", "proved"), ` ${count(proved.length, "entry", "entries")} about it, each proved on this page to be in the tree whose root the log signed.`)
        : problem(`${count(failed, "entry", "entries")} of ${count(proved.length)} could not be proved: what lies on the disk is not what the log signed.`);
    return [
      verdict,
      ...proved.map((one) => entry(one, checkpoint)),
      answer.withheld > 0 ? none(`and ${count(answer.withheld, "further entry", "further entries")}, which the log has`) : null,
      none("The log shows identifiers, digests and times only. What was asked and answered is sealed: opening it takes the compliance role and the recorder's port, and is an entry itself."),
    ];
  }
}

/** What is told at once to whoever listens. */
function problem(text: string): HTMLElement {
  return h("p", { class: "problem", role: "alert" }, foreign(text));
}

function entry(proved: Proved, checkpoint: Checkpoint | null): HTMLElement {
  const { shown, fault, index } = proved;
  const state = fault === null ? pill("good", "proved") : pill("bad", "not proved");
  return h(
    "article",
    { class: "entry" },
    h("h3", {}, foreign(shown?.kind ?? "unreadable"), ` at leaf ${count(index)} `, state),
    h(
      "div",
      { class: "entry-parts" },
      h("div", {}, fault === null ? null : h("p", { class: "bad-text" }, foreign(fault)), shown === null ? null : facts(shown)),
      checkpoint === null ? null : tree(proved, checkpoint),
    ),
  );
}

function facts(shown: Shown): HTMLElement {
  const item = (what: string, value: Child): Child => (value === null ? null : h("div", {}, h("dt", {}, what), h("dd", {}, value)));
  const hash = (text: string | null): Child => (text === null ? null : digest(text));
  return h(
    "dl",
    { class: "facts" },
    item("recorded", when(shown.recordedAt)),
    item("status", shown.status),
    item("mode", shown.mode),
    item("model", hash(shown.model)),
    item("policy in force", hash(shown.policy)),
    item("fields committed to", shown.fields === null ? null : count(shown.fields)),
    item("sealed record", shown.sealedBytes === null ? null : count(shown.sealedBytes, "byte")),
    item("writer", foreign(shown.writer)),
    item("session", h("code", { title: shown.session }, shown.session.slice(0, 8))),
    item("writer sequence", count(shown.sequence)),
  );
}
