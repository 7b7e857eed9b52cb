// What `/console/state`, `/console/decisions/ID` and `/siem` answer. Times are milliseconds since 1970.

import { asStretch, asText, Part } from "./read.ts";

export interface Session {
  id: string;
  writer: string;
  version: string | null;
  firstIndex: number;
  /** Null where reading began after its start entry. */
  began: number | null;
  first: number;
  last: number;
  stopped: number | null;
  entries: number;
  inGaps: number;
  highest: number;
  heartbeat: number | null;
  silences: [number, number][];
}

export interface Bucket {
  at: number;
  decisions: number;
  failed: number;
  heartbeats: number;
  gaps: number;
}

export interface Altered {
  at: number;
  index: number | null;
  what: string;
}

export interface LogEvent {
  index: number;
  at: number;
  kind: string;
  what: string;
  decision: string | null;
}

export interface Model {
  digest: string;
  registered: string | null;
  decisions: number;
  last: number;
}

/** What was read of the log: entries `from` to `to`, of `size`. */
export interface Read {
  from: number;
  to: number;
  size: number;
  altered: Altered | null;
  found: Altered | null;
  kinds: Map<string, number>;
  sessions: Session[];
  sessionsBefore: number;
  unstoppedBefore: number;
  gapRequests: number;
  gapEntries: number;
  seconds: Bucket[];
  minutes: Bucket[];
  withoutModel: number;
  otherModels: number;
  events: LogEvent[];
}

export interface Consistency {
  from: number;
  proof: string[] | null;
  error: string | null;
}

export interface Log {
  session: string;
  inFlight: number;
  unrecorded: number;
  published: number;
  checkpoint: string;
  policy: string | null;
  consistency: Consistency | null;
  models: Model[];
  read: Read;
}

export interface Route {
  name: string;
  model: string;
  mode: string;
  digest: string | null;
  standing: string;
  registeredAt: number | null;
  decisions: Map<string, number>;
  gate: Map<string, number> | null;
}

export interface Lane {
  lane: string;
  kind: string;
  state: string;
  confirmed: { size: number; at: number } | null;
  error: { at: number; text: string } | null;
  nextAttempt: number | null;
  waitingSince: number | null;
  alarms: string[];
}

export interface State {
  now: number;
  origin: string;
  writer: string;
  version: string;
  heartbeatMs: number;
  live: string | null;
  ready: string | null;
  durable: number;
  routes: Route[];
  lanes: Lane[];
  quorum: string | null;
  anchored: number | null;
  /** The newest first. */
  alerts: Alert[];
  /** Null while the log is being recovered. */
  log: Log | null;
}

/** What the sidecar noticed and the log has no entry for. */
export interface Alert {
  at: number;
  kind: string;
  severity: string;
  title: string;
  about: string;
  index: number | null;
  decision: string | null;
}

export interface Sink {
  name: string;
  kind: string;
  state: string;
  /** The next leaf index that it is owed. */
  next: number;
  lagEvents: number;
  lagSeconds: number;
  error: string | null;
}

/** What became of asking for the sinks: they, that whoever looks may not see them, or why it failed. */
export type Sinks = readonly Sink[] | "hidden" | { fault: string };

/** An entry about a decision, as it came. */
export interface Given {
  index: number;
  entry: string;
  proof: string[];
}

export interface DecisionAnswer {
  checkpoint: string;
  entries: Given[];
  withheld: number;
}

export function readState(json: unknown): State {
  const state = new Part(json);
  const anchors = state.part("anchors");
  return {
    now: state.number("now"),
    origin: state.text("origin"),
    writer: state.text("writer"),
    version: state.text("version"),
    heartbeatMs: state.number("heartbeat_ms"),
    live: state.maybe("live", (name) => state.text(name)),
    ready: state.maybe("ready", (name) => state.text(name)),
    durable: state.number("durable"),
    routes: state.parts("routes", route),
    lanes: anchors.parts("lanes", lane),
    quorum: anchors.maybe("quorum", (name) => anchors.text(name)),
    anchored: anchors.maybe("anchored", (name) => anchors.number(name)),
    alerts: state.parts("alerts", alert),
    log: state.maybe("log", (name) => log(state.part(name))),
  };
}

function log(part: Part): Log {
  return {
    session: part.text("session"),
    inFlight: part.number("in_flight"),
    unrecorded: part.number("unrecorded"),
    published: part.number("published"),
    checkpoint: part.text("checkpoint"),
    policy: part.maybe("policy", (name) => part.text(name)),
    consistency: part.maybe("consistency", (name) => consistency(part.part(name))),
    models: part.parts("models", model),
    read: read(part.part("read")),
  };
}

function consistency(part: Part): Consistency {
  return {
    from: part.number("from"),
    proof: part.maybe("proof", (name) => part.list(name, asText)),
    error: part.maybe("error", (name) => part.text(name)),
  };
}

function read(part: Part): Read {
  return {
    from: part.number("from"),
    to: part.number("to"),
    size: part.number("size"),
    altered: part.maybe("altered", (name) => altered(part.part(name))),
    found: part.maybe("found", (name) => altered(part.part(name))),
    kinds: part.counts("kinds"),
    sessions: part.parts("sessions", session),
    sessionsBefore: part.number("sessions_before"),
    unstoppedBefore: part.number("unstopped_before"),
    gapRequests: part.number("gap_requests"),
    gapEntries: part.number("gap_entries"),
    seconds: part.parts("seconds", bucket),
    minutes: part.parts("minutes", bucket),
    withoutModel: part.number("without_model"),
    otherModels: part.number("other_models"),
    events: part.parts("events", event),
  };
}

function altered(part: Part): Altered {
  return { at: part.number("at"), index: part.maybe("index", (name) => part.number(name)), what: part.text("what") };
}

function session(part: Part): Session {
  const maybe = (name: string): number | null => part.maybe(name, (name) => part.number(name));
  return {
    id: part.text("id"),
    writer: part.text("writer"),
    version: part.maybe("version", (name) => part.text(name)),
    firstIndex: part.number("first_index"),
    began: maybe("began"),
    first: part.number("first"),
    last: part.number("last"),
    stopped: maybe("stopped"),
    entries: part.number("entries"),
    inGaps: part.number("in_gaps"),
    highest: part.number("highest"),
    heartbeat: maybe("heartbeat"),
    silences: part.list("silences", asStretch),
  };
}

function bucket(part: Part): Bucket {
  return {
    at: part.number("at"),
    decisions: part.number("decisions"),
    failed: part.number("failed"),
    heartbeats: part.number("heartbeats"),
    gaps: part.number("gaps"),
  };
}

function event(part: Part): LogEvent {
  return {
    index: part.number("index"),
    at: part.number("at"),
    kind: part.text("kind"),
    what: part.text("what"),
    decision: part.maybe("decision", (name) => part.text(name)),
  };
}

function alert(part: Part): Alert {
  return {
    at: part.number("at"),
    kind: part.text("kind"),
    severity: part.text("severity"),
    title: part.text("title"),
    about: part.text("about"),
    index: part.maybe("index", (name) => part.number(name)),
    decision: part.maybe("decision", (name) => part.text(name)),
  };
}

function model(part: Part): Model {
  const seen = part.part("seen");
  return {
    digest: part.text("digest"),
    registered: part.maybe("registered", (name) => part.text(name)),
    decisions: seen.number("decisions"),
    last: seen.number("last"),
  };
}

function route(part: Part): Route {
  return {
    name: part.text("name"),
    model: part.text("model"),
    mode: part.text("mode"),
    digest: part.maybe("digest", (name) => part.text(name)),
    standing: part.text("standing"),
    registeredAt: part.maybe("registered_at", (name) => part.number(name)),
    decisions: part.maybe("decisions", (name) => part.counts(name)) ?? new Map(),
    gate: part.maybe("gate", (name) => part.counts(name)),
  };
}

function lane(part: Part): Lane {
  const fixed = (name: string): { size: number; at: number } => {
    const inner = part.part(name);
    return { size: inner.number("size"), at: inner.number("at") };
  };
  const error = (name: string): { at: number; text: string } => {
    const inner = part.part(name);
    return { at: inner.number("at"), text: inner.text("text") };
  };
  return {
    lane: part.text("lane"),
    kind: part.text("kind"),
    state: part.text("state"),
    confirmed: part.maybe("confirmed", fixed),
    error: part.maybe("error", error),
    nextAttempt: part.maybe("next_attempt", (name) => part.number(name)),
    waitingSince: part.maybe("waiting_since", (name) => part.number(name)),
    alarms: part.list("alarms", asText),
  };
}

/** The sinks of `/siem`. */
export function readSinks(json: unknown): Sink[] {
  return new Part(json).parts("sinks", (part) => ({
    name: part.text("sink"),
    kind: part.text("kind"),
    state: part.text("state"),
    next: part.number("next_leaf_index"),
    lagEvents: part.number("lag_events"),
    lagSeconds: part.number("lag_seconds"),
    error: part.maybe("error", (name) => part.text(name)),
  }));
}

export function readDecision(json: unknown): DecisionAnswer {
  const answer = new Part(json);
  const given = (part: Part): Given => ({
    index: part.number("index"),
    entry: part.text("entry"),
    proof: part.list("proof", asText),
  });
  return { checkpoint: answer.text("checkpoint"), entries: answer.parts("entries", given), withheld: answer.number("withheld") };
}
