// The page itself: asks while somebody looks, and draws what came. A hidden page asks nothing.

import { button, h } from "../../../receipt/src/page/dom.ts";
import { Asker, Refused } from "../ask.ts";
import { answers } from "../judge.ts";
import { Unreadable } from "../read.ts";
import { clock } from "../speech.ts";
import { readSinks, readState, type Sinks, type State } from "../state.ts";
import { Trail } from "../trail.ts";
import { Lookup } from "./lookup.ts";
import { foreign, none, panel } from "./panel.ts";
import * as tables from "./tables.ts";
import { pace, SPANS, timeline, type Span } from "./timeline.ts";
import { Tiles } from "./tiles.ts";

/** Between two questions, and after failures at most. */
const PAUSE_MS = 2_000;
const PAUSE_MAX_MS = 30_000;

/** While the log is still being read. */
const SOON_MS = 300;

export function start(): void {
  new Page().begin();
}

class Page {
  readonly #asker = new Asker();
  readonly #trail = new Trail();
  readonly #tiles = new Tiles();
  readonly #lookup = new Lookup(this.#asker, this.#trail);
  readonly #panels = {
    timeline: panel("timeline", "Completeness"),
    anchors: panel("anchors", "Anchors and witnesses"),
    routes: panel("routes", "Routes and modes"),
    models: panel("models", "Models seen"),
    alerts: panel("alerts", "Last alerts"),
    sessions: panel("sessions", "Sessions"),
    siem: panel("siem", "SIEM"),
  };
  readonly #who = h("span", { class: "who" });
  readonly #line = h("p", { class: "line", role: "status" });
  readonly #token = this.#tokenForm();
  readonly #toggle = button("Pause", () => this.#pause());
  #span: Span = SPANS[0];
  #state: State | null = null;
  #sinks: Sinks = { fault: "nobody asked yet" };
  #isPaused = false;
  #isAsking = false;
  #failures = 0;
  #timer = 0;

  begin(): void {
    const top = document.querySelector("header") ?? document.body;
    const main = document.querySelector("main") ?? document.body;
    top.replaceChildren(
      h("a", { class: "skip", href: "#content" }, "Skip to the answers"),
      h("h1", { class: "brand" }, "Ledgerstone"),
      this.#who,
      this.#lookup.form,
      this.#toggle,
    );
    const { timeline, anchors, routes, models, alerts, sessions, siem } = this.#panels;
    timeline.section.querySelector("h2")?.after(this.#spans());
    main.replaceChildren(
      this.#line,
      this.#token,
      this.#tiles.element,
      this.#lookup.section,
      h("div", { class: "panels" }, timeline.section, anchors.section, alerts.section, routes.section, sessions.section, models.section, siem.section),
    );
    document.addEventListener("visibilitychange", () => this.#again(0));
    window.addEventListener("resize", () => this.#draw());
    this.#say("Asking the sidecar …");
    this.#again(0);
  }

  /** Asks after `pause` milliseconds, if somebody looks. */
  #again(pause: number): void {
    window.clearTimeout(this.#timer);
    if (!document.hidden && !this.#isPaused) {
      this.#timer = window.setTimeout(() => void this.#ask(), pause);
    }
  }

  async #ask(): Promise<void> {
    if (this.#isAsking) {
      return;
    }
    this.#isAsking = true;
    try {
      const known = this.#trail.known;
      const state = readState(await this.#asker.json(known === null ? "console/state" : `console/state?from=${known}`));
      if (state.log !== null) {
        this.#trail.take(state.log, state.now);
      }
      await this.#askSinks();
      this.#state = state;
      this.#failures = 0;
      this.#token.hidden = true;
      this.#draw();
    } catch (error) {
      this.#failed(error);
    } finally {
      this.#isAsking = false;
    }
    const log = this.#state?.log ?? null;
    const isReading = this.#failures === 0 && log !== null && log.read.to < log.read.size;
    this.#again(isReading ? SOON_MS : Math.min(PAUSE_MAX_MS, PAUSE_MS * 2 ** this.#failures));
  }

  /** Sinks are asked for until it turns out that whoever looks may not see them. */
  async #askSinks(): Promise<void> {
    if (this.#sinks === "hidden") {
      return;
    }
    try {
      this.#sinks = readSinks(await this.#asker.json("siem"));
    } catch (error) {
      if (!(error instanceof Refused || error instanceof Unreadable)) {
        throw error;
      }
      this.#sinks = error instanceof Refused && error.status === 403 ? "hidden" : { fault: error.message };
    }
  }

  #failed(error: unknown): void {
    this.#failures += 1;
    const status = error instanceof Refused ? error.status : 200;
    if (status === 401 || status === 403) {
      this.#token.hidden = false;
    }
    // Whatever it is: what is shown is no longer how things stand, and the page asks again.
    const known = error instanceof Refused || error instanceof Unreadable;
    const message = known ? error.message : `a defect of this page (${String(error).slice(0, 200)})`;
    const since = this.#state === null ? "" : ` What is shown is from ${clock(this.#state.now)} UTC.`;
    this.#say(`${message}.${since}`, "bad");
    document.body.classList.toggle("stale", this.#state !== null);
  }

  #draw(): void {
    const state = this.#state;
    if (state === null) {
      return;
    }
    const { log } = state;
    document.body.classList.remove("stale");
    this.#who.replaceChildren(foreign(state.origin), h("span", { class: "quiet more" }, " written by ", foreign(state.writer), " · version ", foreign(state.version)));
    const given = answers(state, this.#trail, this.#sinks);
    this.#tiles.draw(given);
    document.title = `${given.some(({ tone }) => tone === "bad") ? "✕ " : ""}${state.origin.slice(0, 60)} · Ledgerstone console`;
    const panels = this.#panels;
    const waiting = none("The log is being recovered.");
    panels.anchors.draw(...tables.anchors(state, this.#trail));
    panels.routes.draw(...tables.routes(state));
    panels.siem.draw(...tables.siem(this.#sinks));
    panels.alerts.draw(...tables.alerts(state, this.#trail, (decision) => void this.#lookup.show(decision)));
    panels.models.draw(...(log === null ? [waiting] : tables.models(state, log)));
    panels.sessions.draw(...(log === null ? [waiting] : tables.sessions(log)));
    const room = panels.timeline.section.querySelector(".body")?.clientWidth ?? 0;
    panels.timeline.draw(...(log === null ? [waiting] : [pace(state, log), timeline(state, log, this.#span, Math.max(240, room))]));
    this.#say(`As of ${clock(state.now)} UTC, asked every ${PAUSE_MS / 1000} s while this page is seen.`);
  }

  #say(text: string, kind = ""): void {
    const className = `line ${kind}`.trim();
    if (this.#line.className !== className || this.#line.textContent !== text) {
      this.#line.className = className;
      this.#line.replaceChildren(foreign(text));
    }
  }

  #pause(): void {
    this.#isPaused = !this.#isPaused;
    this.#toggle.textContent = this.#isPaused ? "Go on" : "Pause";
    this.#again(0);
  }

  /** Which stretch of time the picture shows. */
  #spans(): HTMLElement {
    const choices = SPANS.map((span) => {
      const input = h("input", { type: "radio", name: "span", id: `span-${span.id}`, checked: span === this.#span });
      input.addEventListener("change", () => {
        this.#span = span;
        this.#draw();
      });
      return h("span", {}, input, h("label", { for: `span-${span.id}` }, span.label));
    });
    return h("fieldset", { class: "spans" }, h("legend", { class: "unseen" }, "How far back"), ...choices);
  }

  /** For a sidecar with roles: the token lives as long as this page does, and nowhere else. */
  #tokenForm(): HTMLFormElement {
    const field = h("input", { id: "token", type: "password", autocomplete: "off", spellcheck: "false", maxlength: 16_384 });
    const form = h(
      "form",
      { class: "token", hidden: true },
      h("label", { for: "token" }, "Token"),
      field,
      h("button", { type: "submit" }, "Use it"),
      h("p", { class: "quiet" }, "This sidecar asks who looks. Paste a token of an operator, of compliance or of an auditor; it is kept in this page's memory only. A client certificate that the browser shows does as well."),
    );
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#asker.take(field.value);
      field.value = "";
      this.#sinks = { fault: "nobody asked yet" };
      this.#again(0);
    });
    return form;
  }
}
