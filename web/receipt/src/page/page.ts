// The page itself: takes files, checks them, shows the answer. Everything is drawn anew when something changes.

import { fromBase64, hex } from "../verify/bytes.ts";
import { POLICY_BYTES_MAX, RECEIPT_BYTES_MAX } from "../verify/limits.ts";
import { CATALOGUES, isLanguage, languageOf, Speech } from "../words/language.ts";
import { chain } from "./chain.ts";
import { decision } from "./decision.ts";
import { button, h } from "./dom.ts";
import { inert } from "./inert.ts";
import { details, keys, notProved, proved, verdict } from "./sections.ts";
import { hand, share } from "./share.ts";
import { checked, looksLikeReceipt, trustIn, type Checked, type Problem, type State } from "./state.ts";

const FILE_BYTES_MAX = Math.max(RECEIPT_BYTES_MAX, POLICY_BYTES_MAX);

/** What a receipt that came with the page is saved as. */
const EMBEDDED_NAME = "receipt.json";

/** The bytes in an inert script of the page, or null where it is empty. */
function embedded(id: string): Uint8Array | null {
  const encoded = document.getElementById(id)?.textContent.trim() ?? "";
  return encoded === "" ? null : fromBase64(encoded);
}

/** Starts the page in `document`. */
export function start(): void {
  new Page().begin();
}

class Page {
  #state: State = { trust: null, checked: null, problem: null };
  /** The receipt that came with the page: its reader may not have it as a file yet. */
  #came: Uint8Array | null = null;
  #speech = new Speech(languageOf(navigator.languages));
  readonly #main = document.querySelector("main") ?? document.body;
  readonly #top = document.querySelector("header") ?? document.body;

  begin(): void {
    this.#takeEmbeddedKeys();
    this.#takeEmbeddedReceipt();
    document.addEventListener("dragover", (event) => {
      event.preventDefault();
      document.body.classList.add("dragging");
    });
    document.addEventListener("dragleave", (event) => {
      if (event.relatedTarget === null) {
        document.body.classList.remove("dragging");
      }
    });
    document.addEventListener("drop", (event) => {
      event.preventDefault();
      document.body.classList.remove("dragging");
      void this.#take(Array.from(event.dataTransfer?.files ?? []));
    });
    this.#draw();
  }

  /** Keys that `ledgerstone receipt page --policy` put into the page. */
  #takeEmbeddedKeys(): void {
    const bytes = embedded("embedded-policy");
    const trust = bytes === null ? null : trustIn(bytes, null);
    if (trust !== null && "policy" in trust) {
      this.#state.trust = trust;
    }
  }

  /** A receipt that whoever served the page put into it, for whoever opened the link to it. */
  #takeEmbeddedReceipt(): void {
    const bytes = embedded("embedded-receipt");
    this.#came = bytes;
    if (bytes !== null) {
      this.#state.checked = checked(EMBEDDED_NAME, bytes, this.#state.trust);
    }
  }

  /** Takes a receipt, keys, or both. A file that is too large is not opened. */
  async #take(files: File[]): Promise<void> {
    this.#state.problem = null;
    const receipts: { name: string; bytes: Uint8Array }[] = [];
    for (const file of files) {
      if (file.size > FILE_BYTES_MAX) {
        return this.#stop({ what: "tooLarge" });
      }
      const bytes = await file.arrayBuffer().then((buffer) => new Uint8Array(buffer), () => null);
      if (bytes === null) {
        return this.#stop({ what: "unreadable" });
      }
      if (looksLikeReceipt(bytes)) {
        receipts.push({ name: file.name, bytes });
      } else if (!this.#takeKeys(bytes, file.name)) {
        return this.#draw("problem");
      }
    }
    if (receipts.length > 1) {
      return this.#stop({ what: "twoReceipts" });
    }
    const { trust } = this.#state;
    const subject = receipts[0] ?? this.#state.checked;
    this.#state.checked = subject === null ? null : checked(subject.name, subject.bytes, trust);
    this.#draw(subject === null ? "keys-title" : "verdict-title");
  }

  #takeKeys(bytes: Uint8Array, name: string): boolean {
    const trust = trustIn(bytes, name);
    if ("fault" in trust) {
      this.#state.problem = { what: "keys", line: trust.fault };
      return false;
    }
    this.#state.trust = trust;
    return true;
  }

  #stop(problem: Problem): void {
    this.#state.problem = problem;
    this.#draw("problem");
  }

  /** Draws everything, and puts the focus on the element `focus`. */
  #draw(focus?: string): void {
    const { words, language } = this.#speech;
    document.documentElement.lang = language;
    document.title = `${words.start.title} · Ledgerstone`;
    this.#top.replaceChildren(...this.#header());
    const { checked } = this.#state;
    this.#main.replaceChildren(...(checked === null ? this.#beginning() : this.#answer(checked)));
    if (focus !== undefined) {
      document.getElementById(focus)?.focus();
    }
  }

  #header(): HTMLElement[] {
    const { words, language } = this.#speech;
    const options = Object.entries(CATALOGUES).map(([tag, { language: name }]) =>
      h("option", { value: tag, lang: tag, selected: tag === language }, name),
    );
    const select = h("select", { id: "language" }, ...options);
    select.addEventListener("change", () => {
      if (isLanguage(select.value)) {
        this.#speech = new Speech(select.value);
        this.#draw("language");
      }
    });
    return [
      h("a", { class: "skip", href: "#content" }, words.start.skip),
      h("span", { class: "brand" }, "Ledgerstone"),
      h("div", { class: "language" }, h("label", { for: "language" }, words.start.languageLabel), select),
    ];
  }

  #beginning(): HTMLElement[] {
    const { words } = this.#speech;
    return [
      h("section", { class: "start" }, h("h1", {}, words.start.title), h("p", { class: "lead" }, words.start.lead)),
      ...this.#problem(),
      h(
        "section",
        { class: "drop" },
        h("p", { class: "drop-title" }, words.start.drop),
        h("p", { class: "quiet" }, words.start.dropHint),
        this.#chooser("receipt-file", words.start.choose, "primary"),
      ),
      h("p", { class: "offline" }, words.start.offline),
      this.#keys(),
    ];
  }

  #answer(checked: Checked): HTMLElement[] {
    const speech = this.#speech;
    const { report } = checked;
    const { receipt } = report;
    const shortening = share(checked, speech);
    return [
      this.#bar(checked),
      ...this.#problem(),
      verdict(checked, this.#state.trust, speech),
      decision(receipt, report, speech),
      ...(receipt === null ? [] : [chain(receipt, report, speech)]),
      proved(checked, speech),
      notProved(checked, this.#state.trust, speech),
      this.#keys(),
      ...(shortening === null ? [] : [shortening]),
      details(checked, speech),
    ];
  }

  #bar({ name, at, digest, bytes }: Checked): HTMLElement {
    const { words } = this.#speech;
    const time = this.#speech.time(BigInt(at.getTime()));
    const again = button(words.bar.another, () => {
      this.#state = { ...this.#state, checked: null, problem: null };
      this.#draw("receipt-file");
    });
    const save = bytes === this.#came ? [button(words.bar.save, () => hand(bytes, EMBEDDED_NAME))] : [];
    const print = button(words.bar.print, () => window.print());
    return h(
      "div",
      { class: "bar" },
      h(
        "p",
        {},
        h("span", { class: "quiet" }, `${words.bar.file}: `),
        inert(name, this.#speech),
        h("span", { class: "quiet when" }, words.bar.checkedAt(time)),
        h("span", { class: "quiet on-paper" }, `${words.details.fileHash}: `, h("code", {}, hex(digest))),
      ),
      h("div", { class: "actions" }, again, ...save, print),
    );
  }

  #problem(): HTMLElement[] {
    const { problem } = this.#state;
    const words = this.#speech.words.problem;
    if (problem === null) {
      return [];
    }
    const text = problem.what === "keys" ? words.keys(problem.line) : words[problem.what];
    return [h("p", { class: "problem", id: "problem", role: "alert", tabindex: -1 }, text)];
  }

  #keys(): HTMLElement {
    const { words } = this.#speech;
    const label = this.#state.trust === null ? words.start.chooseKeys : words.keys.replace;
    const section = keys(this.#state.trust, this.#chooser("keys-file", label, "plain"), this.#speech);
    section.querySelector("h2")?.setAttribute("tabindex", "-1");
    return section;
  }

  /** A button for files: the input itself, with its label drawn as one. */
  #chooser(id: string, label: string, kind: string): HTMLElement {
    const input = h("input", { type: "file", id, multiple: true });
    input.addEventListener("change", () => void this.#take(Array.from(input.files ?? [])));
    return h("div", { class: `chooser ${kind}` }, input, h("label", { for: id }, label));
  }
}
