// Completeness over time: decisions, heartbeats, gaps and sessions under each other on one axis.

import { h, s, type Child } from "../../../receipt/src/page/dom.ts";
import { isCut } from "../judge.ts";
import { clock, count, duration, rate } from "../speech.ts";
import type { Bucket, Log, Session, State } from "../state.ts";

/** Stretches of time that can be shown, in milliseconds, and the width of what is counted together. */
export const SPANS = [
  { id: "short", label: "2 minutes", span: 120_000, width: 1000 },
  { id: "middle", label: "10 minutes", span: 600_000, width: 5000 },
  { id: "long", label: "12 hours", span: 43_200_000, width: 300_000 },
] as const;
export type Span = (typeof SPANS)[number];

/** A picture shows this many milliseconds at least. */
const AGE_MIN = 20_000;

const LABELS = 92;
const BARS = { top: 6, height: 64 };
const BEATS = { top: 82, height: 14 };
const GAPS = { top: 104, height: 14 };
const LANES = { top: 126, height: 10, pitch: 14, max: 6 };
const AXIS = 20;

interface Scale {
  from: number;
  to: number;
  left: number;
  width: number;
  x: (at: number) => number;
}

/** What was decided each second, over the seconds before `now` that are over. */
export function perSecond(seconds: readonly Bucket[], now: number, over: number): number {
  const end = Math.floor(now / 1000) * 1000;
  const counted = seconds.filter((bucket) => bucket.at < end && bucket.at >= end - over * 1000);
  return counted.reduce((sum, bucket) => sum + bucket.decisions, 0) / over;
}

/** The pace, in numbers. */
export function pace(state: State, log: Log): HTMLElement {
  const { seconds, kinds } = log.read;
  const item = (value: string, what: string): HTMLElement => h("div", {}, h("dt", {}, what), h("dd", {}, value));
  return h(
    "dl",
    { class: "pace" },
    item(rate(perSecond(seconds, state.now, 5)), "decisions a second"),
    item(rate(perSecond(seconds, state.now, 60)), "over a minute"),
    item(count(kinds.get("decision") ?? 0), "decisions read"),
    item(count(log.published), "entries public"),
    item(count(log.inFlight), "in flight"),
  );
}

/** The picture, as wide as there is room. */
export function timeline(state: State, log: Log, span: Span, room: number): SVGSVGElement {
  const { read } = log;
  const left = room < 520 ? 0 : LABELS;
  const scale = scaleOf(state.now, Math.min(span.span, age(state.now, log)), left, room - left - 1);
  const source = span.width < 60_000 ? read.seconds : read.minutes;
  const buckets = together(source, span.width).filter((bucket) => bucket.at + span.width > scale.from);
  const sessions = read.sessions.filter((session) => session.last >= scale.from).slice(-LANES.max);
  const height = LANES.top + Math.max(1, sessions.length) * LANES.pitch + AXIS;
  const parts: Child[] = [
    ...ground(scale, height - AXIS),
    ...bars(buckets, scale, span.width),
    ...beats(buckets, scale),
    ...gaps(buckets, scale, span.width),
    ...sessions.flatMap((session, lane) => band(session, log, state, scale, LANES.top + lane * LANES.pitch)),
    ...axis(scale, height),
    ...(left === 0 ? [] : labels(buckets, sessions.length)),
  ];
  const label = summary(state, log, span, buckets);
  return s("svg", { class: "timeline", viewBox: `0 0 ${room} ${height}`, width: room, height, role: "img", "aria-label": label }, ...parts);
}

/** How long ago the log began, where that was read: of a young log no empty time is shown. */
function age(now: number, { read }: Log): number {
  const [first] = read.sessions;
  return first === undefined || first.began === null || read.sessionsBefore > 0 ? Infinity : Math.max(AGE_MIN, now - first.began + 1000);
}

function scaleOf(now: number, span: number, left: number, width: number): Scale {
  const [from, to] = [now - span, now];
  const x = (at: number): number => left + ((Math.min(Math.max(at, from), to) - from) / span) * width;
  return { from, to, left, width, x };
}

/** Buckets of `width` out of narrower ones. */
export function together(buckets: readonly Bucket[], width: number): Bucket[] {
  const wide = new Map<number, Bucket>();
  for (const bucket of buckets) {
    const at = Math.floor(bucket.at / width) * width;
    const sum = wide.get(at) ?? { at, decisions: 0, failed: 0, heartbeats: 0, gaps: 0 };
    wide.set(at, {
      at,
      decisions: sum.decisions + bucket.decisions,
      failed: sum.failed + bucket.failed,
      heartbeats: sum.heartbeats + bucket.heartbeats,
      gaps: sum.gaps + bucket.gaps,
    });
  }
  return Array.from(wide.values());
}

function ground({ left, width }: Scale, bottom: number): Child[] {
  const base = BARS.top + BARS.height;
  const lines = [0, 0.25, 0.5, 0.75, 1].map((part) => {
    const x = Math.round(left + part * width) + 0.5;
    return s("line", { class: "grid", x1: x, y1: BARS.top, x2: x, y2: bottom });
  });
  return [...lines, s("line", { class: "grid", x1: left, y1: base + 0.5, x2: left + width, y2: base + 0.5 })];
}

function bars(buckets: readonly Bucket[], { from, x }: Scale, width: number): Child[] {
  const most = Math.max(1, ...buckets.map((bucket) => bucket.decisions));
  return buckets.flatMap((bucket) => {
    const [start, end] = [x(Math.max(bucket.at, from)), x(bucket.at + width)];
    const tall = (value: number): number => (value === 0 ? 0 : Math.max(1.5, (value / most) * BARS.height));
    const bar = (value: number, kind: string): Child =>
      value === 0 ? null : s("rect", { class: kind, x: start, y: BARS.top + BARS.height - tall(value), width: Math.max(1, end - start - 0.75), height: tall(value) });
    return [bar(bucket.decisions, "bar"), bar(bucket.failed, "bar failed")];
  });
}

function beats(buckets: readonly Bucket[], { x }: Scale): Child[] {
  const seen = buckets.filter((bucket) => bucket.heartbeats > 0);
  return seen.map((bucket) => s("rect", { class: "beat", x: x(bucket.at), y: BEATS.top, width: 2, height: BEATS.height }));
}

function gaps(buckets: readonly Bucket[], { x }: Scale, width: number): Child[] {
  return buckets
    .filter((bucket) => bucket.gaps > 0)
    .map((bucket) => {
      const title = s("title", {}, `${count(bucket.gaps, "request")} without a record at ${clock(bucket.at)}`);
      return s("rect", { class: "gap", x: x(bucket.at), y: GAPS.top, width: Math.max(5, x(bucket.at + width) - x(bucket.at)), height: GAPS.height, rx: 2 }, title);
    });
}

/** A session from its start to its end: one that broke off has no end, one that fell silent has a hole. */
function band(session: Session, log: Log, state: State, { x }: Scale, y: number): Child[] {
  const isLive = session.id === log.session;
  const end = x(session.stopped ?? (isLive ? state.now : session.last));
  const start = x(session.began ?? session.first);
  const cut = isCut(session, log);
  const kind = `band${isLive ? " live" : ""}${cut ? " cut" : ""}`;
  const title = s("title", {}, `session ${session.id.slice(0, 8)}${cut ? ", ended without a stop entry" : ""}`);
  const height = LANES.height;
  const silences = session.silences.map(([from, to]) => s("rect", { class: "silence", x: x(from), y, width: Math.max(1, x(to) - x(from)), height }));
  const stop = session.stopped === null ? null : s("rect", { class: "stop", x: end - 2, y: y - 1, width: 3, height: height + 2 });
  const broken = cut ? s("path", { class: "break", d: `M${end} ${y - 2} l4 3.5 l-4 3.5 l4 3.5 l-4 3.5` }) : null;
  return [s("rect", { class: kind, x: start, y, width: Math.max(2, end - start), height, rx: 2 }, title), ...silences, stop, broken];
}

function axis({ from, to, left, width }: Scale, height: number): Child[] {
  return [0, 0.5, 1].map((part) => {
    const anchor = (["start", "middle", "end"] as const)[part * 2] ?? "middle";
    return s("text", { class: "tick", x: left + part * width, y: height - 5, "text-anchor": anchor }, clock(from + part * (to - from)));
  });
}

function labels(buckets: readonly Bucket[], sessions: number): Child[] {
  const most = Math.max(0, ...buckets.map((bucket) => bucket.decisions));
  const at = (y: number, text: string, kind = "row"): Child => s("text", { class: kind, x: 0, y }, text);
  return [
    at(BARS.top + 10, "decisions"),
    at(BARS.top + 26, `peak ${count(most)}`, "tick"),
    at(BEATS.top + 11, "heartbeats"),
    at(GAPS.top + 11, "gaps"),
    at(LANES.top + 9, sessions === 1 ? "session" : "sessions"),
  ];
}

function summary(state: State, log: Log, span: Span, buckets: readonly Bucket[]): string {
  const sum = (of: (bucket: Bucket) => number): number => buckets.reduce((total, bucket) => total + of(bucket), 0);
  const beats = count(sum((bucket) => bucket.heartbeats), "heartbeat");
  const requests = count(sum((bucket) => bucket.gaps), "request");
  return `The last ${span.label}: ${count(sum((bucket) => bucket.decisions), "decision")}, ${beats}, ${requests} in gaps, ${count(log.read.sessions.length, "session")} read. A heartbeat is due every ${duration(state.heartbeatMs)}.`;
}
