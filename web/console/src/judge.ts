// The four questions that the first screen answers, from what the sidecar tells and what the page checked. No clock, no page.

import type { Log, Session, Sinks, State } from "./state.ts";
import type { Trail } from "./trail.ts";
import { ago, count, duration, when } from "./speech.ts";

/** Nothing to do; look when there is time; look now. */
export type Tone = "good" | "open" | "bad";

export interface Answer {
  id: "missing" | "anchored" | "late" | "genuine";
  question: string;
  tone: Tone;
  says: string;
  because: string[];
}

/** Heartbeats that may be missing before a session counts as silent, and what a slow disk may add until one is public. */
const BEATS_MISSED = 3;
const SLOW_MS = 5_000;

/** Entries wait this long for a checkpoint or a sink before that counts as late. */
const LATE_MS = 60_000;

export function answers(state: State, trail: Trail, sinks: Sinks): Answer[] {
  return [missing(state), anchored(state, trail), late(state, sinks), genuine(state, trail)];
}

/** Numbers of a session that neither an entry nor a gap accounts for, as far as all of it was read. */
export function open(session: Session): number | null {
  return session.began === null ? null : session.highest + 1 - session.entries - session.inGaps;
}

/** What stands now and should not, in a few words each: where it is, and what it is. */
export function standing(state: State, trail: Trail): [string, string][] {
  const altered = state.log?.read.altered ?? null;
  const down = state.live ?? state.ready;
  return [
    ...(altered === null ? [] : [["log", altered.what] as [string, string]]),
    ...trail.findings.map(({ what }): [string, string] => ["log", what]),
    ...(down === null ? [] : [["sidecar", down] as [string, string]]),
    ...state.lanes.flatMap(({ lane, alarms }) => alarms.map((alarm): [string, string] => ["anchor", `${lane}: ${alarm}`])),
    ...state.routes.filter((route) => route.standing === "differs").map(({ name }): [string, string] => ["model", `${name} serves another model than the registered one`]),
    ...state.routes.filter((route) => route.standing === "unregistered").map(({ name }): [string, string] => ["model", `${name} serves a model that nobody registered`]),
  ];
}

/** A session that ended without saying so: what it saw last nobody knows. */
export function isCut(session: Session, log: Log): boolean {
  return session.stopped === null && session.id !== log.session;
}

function missing(state: State): Answer {
  const { log } = state;
  const answer = { id: "missing", question: "Is anything missing?" } as const;
  if (log === null) {
    return { ...answer, tone: "open", says: "Not known yet", because: ["The log is being recovered."] };
  }
  const { read } = log;
  const lost = read.sessions.map((session) => (session.stopped === null ? 0 : open(session) ?? 0)).reduce((a, b) => a + Math.abs(b), 0);
  const cut = read.sessions.filter((session) => isCut(session, log)).length + read.unstoppedBefore;
  const due = Math.max(0, log.unrecorded - (read.sessions.find((session) => session.id === log.session)?.inGaps ?? 0));
  const silences = read.sessions.reduce((sum, session) => sum + session.silences.length, 0);
  const because = [
    lost > 0 ? `${count(lost, "number")} of ended sessions have no entry and stand in no gap.` : null,
    read.gapRequests > 0 ? `Counted in ${count(read.gapEntries, "signed gap entry", "signed gap entries")}: that they are missing cannot be hidden.` : null,
    due > 0 ? `${count(due, "request")} of this session ended without a record, and the gap entry is due.` : null,
    cut > 0 ? `${count(cut, "session")} ended without a stop entry: what ${cut === 1 ? "it" : "they"} saw last is not known.` : null,
    silences > 0 ? `${count(silences, "stretch", "stretches")} without heartbeats.` : null,
  ].filter((reason) => reason !== null);
  const scope = read.from === 0 ? "of the whole log" : `from leaf ${count(read.from)} on`;
  const whole = `${count(read.to - read.from, "entry", "entries")} ${scope}, ${count(read.sessions.length + read.sessionsBefore, "session")}.`;
  if (because.length === 0) {
    return { ...answer, tone: read.to < read.size ? "open" : "good", says: read.to < read.size ? "Still reading" : "Nothing is missing", because: [`Every number has its entry: ${whole}`] };
  }
  const says = lost > 0 ? "Entries are missing" : read.gapRequests + due > 0 ? `${count(read.gapRequests + due, "request")} without a record` : cut > 0 ? "A session broke off" : "A session fell silent";
  return { ...answer, tone: lost > 0 ? "bad" : "open", says, because: [...because, whole] };
}

function anchored(state: State, trail: Trail): Answer {
  const answer = { id: "anchored", question: "Is anything not anchored?" } as const;
  const published = state.log?.published ?? 0;
  const witnesses = witnessed(trail);
  const alarms = state.lanes.filter((lane) => lane.alarms.length > 0);
  if (state.lanes.length === 0) {
    const because = ["No anchor is configured: nothing outside holds this log to what it says today.", witnesses];
    return { ...answer, tone: "open", says: "Nothing is anchored", because };
  }
  const fixed = state.anchored ?? Math.max(...state.lanes.map((lane) => lane.confirmed?.size ?? 0));
  const waiting = Math.max(0, published - fixed);
  const since = state.lanes.map((lane) => lane.waitingSince).filter((since) => since !== null);
  const oldest = waiting === 0 || since.length === 0 ? "" : `, the oldest for ${duration(state.now - Math.min(...since))}`;
  const by = state.quorum === null ? `by ${count(state.lanes.length, "lane")}` : `by the quorum`;
  const failing = state.lanes.filter((lane) => lane.error !== null).length;
  const because = [
    ...alarms.map((lane) => `${lane.lane}: ${lane.alarms.join("; ")}`),
    `${count(fixed)} of ${count(published, "entry", "entries")} are fixed ${by}.`,
    failing > 0 ? `${count(failing, "lane")} did not get through last time.` : null,
    witnesses,
  ].filter((reason) => reason !== null);
  const says = waiting === 0 ? "Everything is anchored" : `${count(waiting, "entry waits", "entries wait")}${oldest}`;
  const isOpen = failing > 0 || trail.quorum === "missed" || (fixed === 0 && published > 0);
  return { ...answer, tone: alarms.length > 0 ? "bad" : isOpen ? "open" : "good", says, because };
}

function witnessed({ witnesses, quorum }: Trail): string {
  if (witnesses.length === 0) {
    return "The policy names no witness: a split view would not be seen.";
  }
  const seen = witnesses.filter((witness) => witness.cosignedAt !== null).length;
  return `${seen} of ${count(witnesses.length, "witness", "witnesses")} cosigned the newest checkpoint${quorum === "missed" ? ", too few for the policy" : ""}.`;
}

function late(state: State, sinks: Sinks): Answer {
  const answer = { id: "late", question: "Is anything late?" } as const;
  const down = state.live ?? state.ready;
  if (down !== null) {
    return { ...answer, tone: "bad", says: state.live === null ? "Not ready" : "Needs a restart", because: [down] };
  }
  const { log } = state;
  const own = log?.read.sessions.find((session) => session.id === log.session);
  const beat = own?.heartbeat ?? null;
  // One that never came is as late as one that came once.
  const silent = own === undefined ? 0 : state.now - (beat ?? own.first);
  const isSilent = log !== null && log.read.to === log.read.size && state.heartbeatMs > 0 && silent > BEATS_MISSED * state.heartbeatMs + SLOW_MS;
  const unpublished = Math.max(0, state.durable - (log?.published ?? 0));
  const seen = sinks === "hidden" || "fault" in sinks ? [] : sinks;
  const stopped = seen.filter((sink) => sink.state === "refused");
  const slow = seen.filter((sink) => sink.state !== "refused" && (sink.lagSeconds * 1000 > LATE_MS || sink.error !== null));
  const unseen = sinks === "hidden" ? "Whether a SIEM sink is late is not seen here: that takes an operator." : "fault" in sinks ? `Whether a SIEM sink is late is not known: ${sinks.fault}.` : null;
  const because = [
    beat === null ? "No heartbeat yet." : `Last heartbeat ${ago(silent)}, one is due every ${duration(state.heartbeatMs)}.`,
    `${count(unpublished, "entry", "entries")} durable and not public yet; ${count(log?.inFlight ?? 0, "request")} in flight.`,
    ...stopped.map((sink) => `${sink.name} gets nothing until somebody says where it goes on: its cursor does not fit the log.`),
    ...slow.map((sink) => `${sink.name}: ${count(sink.lagEvents, "event")} behind${sink.error === null ? "" : ", and it fails"}.`),
    unseen,
  ].filter((reason) => reason !== null);
  const isUnknown = sinks !== "hidden" && "fault" in sinks;
  const says = isSilent
    ? `No heartbeat for ${duration(silent)}`
    : stopped.length > 0
      ? `${count(stopped.length, "sink")} stopped`
      : slow.length > 0
        ? `${count(slow.length, "sink")} behind`
        : isUnknown
          ? "Not known of the sinks"
          : unseen === null
            ? "Nothing is late"
            : "Nothing seen is late";
  return { ...answer, tone: isSilent || stopped.length > 0 ? "bad" : slow.length > 0 || isUnknown ? "open" : "good", says, because };
}

function genuine(state: State, trail: Trail): Answer {
  const answer = { id: "genuine", question: "Is the log what was signed?" } as const;
  const read = state.log?.read ?? null;
  const altered = read?.altered ?? null;
  const reasons = [
    ...(altered === null ? [] : [`On the disk ${altered.what}. Found ${when(altered.at)}.`]),
    ...trail.findings.map(({ at, what }) => `${what} Seen here ${when(at)}.`),
  ];
  if (reasons.length > 0) {
    const says = altered?.index == null ? "No: the log was changed" : `No: leaf ${count(altered.index)} was changed`;
    return { ...answer, tone: "bad", says, because: [...reasons, "Stop the sidecar, keep the store as it is, and run `ledgerstone verify log` on a copy."] };
  }
  if (read === null || trail.last === null) {
    return { ...answer, tone: "open", says: "Not known yet", because: ["No signed checkpoint was seen here yet."] };
  }
  const checked = `The entries read give the root that the keys of the log signed; ${count(trail.held, "checkpoint")} seen here, each goes on from the one before.`;
  if (read.found !== null) {
    const back = `It was not ${ago(state.now - read.found.at)}: ${read.found.what}. It has been put back since.`;
    return { ...answer, tone: "open", says: "Yes, again", because: [back, checked] };
  }
  return { ...answer, tone: read.to < read.size ? "open" : "good", says: read.to < read.size ? "Still reading" : "Yes", because: [checked] };
}
