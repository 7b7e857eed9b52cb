// What stands in tables: sessions, anchors and witnesses, routes, models, sinks, and what the log says happened.

import { h, type Child } from "../../../receipt/src/page/dom.ts";
import { inertText } from "../../../receipt/src/page/inert.ts";
import { isCut, open, standing } from "../judge.ts";
import { ago, clock, count, duration, when } from "../speech.ts";
import type { Lane, Log, Model, Route, Session, Sinks, State } from "../state.ts";
import type { Trail } from "../trail.ts";
import { digest, foreign, none, pill, table } from "./panel.ts";

/** Rows that are shown at once; the rest is counted, and the log has it. */
const ROWS = 8;
const EVENTS = 12;

const isOk = (code: string): boolean => code === "OK";

export function sessions(log: Log): Child[] {
  const { read } = log;
  const newest = read.sessions.slice(-ROWS).reverse();
  const rows = newest.map((session) => [
    h("code", { title: `${session.id}${session.version === null ? "" : `, version ${inertText(session.version)}`}` }, session.id.slice(0, 8)),
    sessionState(session, log),
    h("span", { title: when(session.began ?? session.first) }, clock(session.began ?? session.first)),
    h("span", { title: when(session.last) }, session.stopped === null && session.id === log.session ? "now" : clock(session.last)),
    count(session.entries),
    session.inGaps === 0 ? "0" : h("strong", { class: "open-text" }, count(session.inGaps)),
    openNumbers(session, log),
  ]);
  const more = read.sessions.length - newest.length + read.sessionsBefore;
  return [
    table("Sessions, newest first", ["session", "state", "began", "last", "entries", "in gaps", "open"], rows, [4, 5, 6]),
    more > 0 ? none(`and ${count(more, "earlier session")}${read.unstoppedBefore > 0 ? `, ${count(read.unstoppedBefore)} of them without a stop` : ""}`) : null,
  ];
}

function sessionState(session: Session, log: Log): HTMLElement {
  if (isCut(session, log)) {
    return pill("open", "broke off");
  }
  const isLive = session.stopped === null;
  return session.silences.length > 0 ? pill("open", isLive ? "was silent" : "stopped, was silent") : pill("good", isLive ? "live" : "stopped");
}

/** Numbers without entry or gap: in flight in a live session, lost in one that ended. */
function openNumbers(session: Session, log: Log): Child {
  const left = open(session);
  if (left === null) {
    return h("span", { title: "its beginning was not read" }, "–");
  }
  const tone = left === 0 || session.id === log.session ? "" : session.stopped === null ? "open-text" : "bad-text";
  return tone === "" ? count(left) : h("strong", { class: tone }, count(left));
}

export function anchors(state: State, trail: Trail): Child[] {
  const published = state.log?.published ?? 0;
  const lanes = state.lanes.map((lane) => [
    foreign(lane.lane),
    laneState(lane),
    lane.confirmed === null ? "none" : `${count(lane.confirmed.size)}`,
    lane.confirmed === null ? count(published) : count(Math.max(0, published - lane.confirmed.size)),
    lane.waitingSince === null ? "–" : duration(state.now - lane.waitingSince),
    lane.nextAttempt === null ? "–" : lane.nextAttempt <= state.now ? "now" : `in ${duration(lane.nextAttempt - state.now)}`,
  ]);
  const problems = state.lanes.flatMap((lane) => [
    ...lane.alarms.map((text) => h("li", { class: "bad-text" }, foreign(lane.lane), ": ", foreign(text))),
    ...(lane.error === null ? [] : [h("li", {}, foreign(lane.lane), `, ${ago(state.now - lane.error.at)}: `, foreign(lane.error.text))]),
  ]);
  const heads = ["lane", "state", "confirmed", "behind", "oldest waits", "next try"];
  return [
    state.lanes.length === 0
      ? none("No anchor is configured. A rewrite by whoever holds the keys would not be seen from outside: configure anchors.")
      : table("Anchor lanes", heads, lanes, [2, 3, 4, 5]),
    problems.length === 0 ? null : h("ul", { class: "problems" }, ...problems),
    state.quorum === null ? null : none(`Quorum ${state.quorum}: ${count(state.anchored ?? 0)} of ${count(published)} entries are anchored.`),
    ...witnesses(state, trail),
  ];
}

function laneState(lane: Lane): HTMLElement {
  const tone = lane.alarms.length > 0 ? "bad" : lane.error === null ? "good" : "open";
  return h("span", {}, pill(tone, foreign(lane.state)), " ", h("span", { class: "quiet" }, foreign(lane.kind)));
}

function witnesses(state: State, trail: Trail): Child[] {
  if (trail.witnesses.length === 0) {
    return [none("Witnesses: none in the log's policy.")];
  }
  const rows = trail.witnesses.map(({ name, cosignedAt }) => [
    foreign(name),
    cosignedAt === null ? pill("open", "did not cosign the newest checkpoint") : pill("good", "cosigned"),
    cosignedAt === null ? "–" : duration(state.now - cosignedAt),
  ]);
  return [table("Witnesses", ["witness", "newest checkpoint", "lag"], rows, [2])];
}

export function routes(state: State): Child[] {
  const rows = state.routes.map((route) => {
    const ok = Array.from(route.decisions).reduce((sum, [code, times]) => sum + (isOk(code) ? times : 0), 0);
    return [foreign(route.name), foreign(route.model), foreign(route.mode), modelState(route), count(ok), others(route.decisions), effects(route)];
  });
  if (rows.length === 0) {
    return [none("No route is configured: what comes is recorded by digest only.")];
  }
  return [table("Routes", ["route", "model", "mode", "served model", "OK", "other answers", "gate"], rows, [4])];
}

const STANDINGS: Record<string, [string, string]> = {
  registered: ["good", "registered"],
  differs: ["bad", "not the registered one"],
  unregistered: ["open", "unregistered"],
  reading: ["open", "the log is being read"],
  none: ["plain", "not named"],
};

function modelState({ standing: word, digest: served, registeredAt }: Route): HTMLElement {
  const [tone, text] = STANDINGS[word] ?? ["open", word];
  const where = registeredAt === null ? null : h("span", { class: "quiet" }, ` at leaf ${count(registeredAt)}`);
  return h("span", {}, pill(tone, foreign(text)), where, " ", served === null ? null : digest(served));
}

function others(decisions: Map<string, number>): Child {
  const rest = Array.from(decisions).filter(([code]) => !isOk(code));
  return rest.length === 0 ? "–" : foreign(rest.map(([code, times]) => `${code} ${count(times)}`).join(", "));
}

function effects({ gate }: Route): Child {
  return gate === null ? "–" : foreign(Array.from(gate, ([effect, times]) => `${effect} ${count(times)}`).join(", "));
}

export function models(state: State, log: Log): Child[] {
  const seen = Array.from(log.models).sort((one, other) => other.last - one.last);
  const rows = seen.slice(0, ROWS).map((model) => [digest(model.digest), registration(model), count(model.decisions), h("span", { title: when(model.last) }, ago(state.now - model.last))]);
  const { withoutModel, otherModels } = log.read;
  const more = seen.length - rows.length;
  return [
    rows.length === 0 ? null : table("Models", ["model", "registered as", "decisions", "last"], rows, [2, 3]),
    withoutModel > 0 ? none(`${count(withoutModel, "decision")} name no model: their route names neither files nor a digest.`) : null,
    more > 0 || otherModels > 0 ? none(`and ${count(more, "more model")}, ${count(otherModels, "decision")} by models past those counted`) : null,
    rows.length === 0 && withoutModel === 0 ? none("No decision was read yet.") : null,
  ];
}

function registration({ registered }: Model): Child {
  return registered === null ? pill("open", "unregistered, or replaced since") : foreign(registered);
}

/** Something that happened: an alert of the sidecar, or an entry that somebody may want to look at. */
interface Happening {
  at: number;
  tone: string;
  kind: string;
  what: string;
  index: number | null;
  decision: string | null;
}

const SEVERITIES: Record<string, string> = { Critical: "bad", High: "bad", Medium: "open" };

/** What happened, the newest first. */
function happenings(state: State): Happening[] {
  const raised = state.alerts.map((alert): Happening => {
    const kind = alert.kind.replace(/^alert\./, "").replaceAll("_", " ");
    return { ...alert, tone: SEVERITIES[alert.severity] ?? "plain", kind, what: alert.about === "" ? alert.title : `${alert.title}: ${alert.about}` };
  });
  const recorded = (state.log?.read.events ?? []).map((event): Happening => {
    return { ...event, tone: event.kind === "gap" || event.kind === "heartbeat" ? "open" : "plain" };
  });
  // Of what has one time the newer entry comes first; sorting keeps that order.
  return [...raised, ...recorded.reverse()].sort((one, other) => other.at - one.at);
}

export function alerts(state: State, trail: Trail, look: (decision: string) => void): Child[] {
  const all = happenings(state);
  const shown = all.slice(0, EVENTS);
  const now = standing(state, trail).map(([where, what]) =>
    h("li", { class: "now" }, h("time", {}, "now"), pill("bad", where), h("span", { class: "what" }, foreign(what))),
  );
  if (shown.length + now.length === 0) {
    return [none("Nothing: no alarm stands, no alert was raised, and in what was read there is no gap, no erasure, no sealed record opened, no change of keys, models or policies.")];
  }
  const items = shown.map(({ at, tone, kind, what, index, decision }) =>
    h(
      "li",
      {},
      h("time", { title: when(at) }, clock(at)),
      pill(tone, foreign(kind)),
      h("span", { class: "what" }, foreign(what), index === null ? null : h("span", { class: "quiet" }, ` leaf ${count(index)}`), decision === null ? null : link(decision, look)),
    ),
  );
  const before = state.now - (shown[shown.length - 1]?.at ?? state.now);
  const more = all.length > shown.length ? none(`and earlier ones, more than ${duration(before)} ago`) : null;
  return [h("ol", { class: "events" }, ...now, ...items), more];
}

function link(decision: string, look: (decision: string) => void): HTMLElement {
  const button = h("button", { type: "button", class: "link-button" }, `decision ${decision.slice(0, 8)}…`);
  button.addEventListener("click", () => look(decision));
  return h("span", {}, " ", button);
}

export function siem(sinks: Sinks): Child[] {
  if (sinks === "hidden") {
    return [none("Whoever looks may not see the sinks: that takes an operator.")];
  }
  if ("fault" in sinks) {
    return [none(sinks.fault)];
  }
  const rows = sinks.map((sink) => [
    foreign(sink.name),
    foreign(sink.kind),
    pill(sink.state === "refused" ? "bad" : sink.error === null ? "good" : "open", foreign(sink.state)),
    count(sink.next),
    count(sink.lagEvents),
    duration(sink.lagSeconds * 1000),
    sink.error === null ? "–" : foreign(sink.error),
  ]);
  const heads = ["sink", "kind", "state", "next leaf", "behind", "lag", "last error"];
  return [sinks.length === 0 ? none("No sink is configured.") : table("SIEM sinks", heads, rows, [3, 4, 5])];
}
