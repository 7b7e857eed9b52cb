// The four answers: what turns each of them, and that nothing wrong is called in order.

import { expect, test } from "vitest";

import { answers, type Answer } from "../src/judge.ts";
import { perSecond, together } from "../src/page/timeline.ts";
import { Unreadable } from "../src/read.ts";
import { readDecision, readSinks, readState, type Lane, type Sink, type Sinks, type State } from "../src/state.ts";
import { duration } from "../src/speech.ts";
import { Trail } from "../src/trail.ts";
import { log, NOW, session, state } from "./support.ts";

function seen(): Trail {
  const trail = new Trail();
  trail.last = { origin: "o", size: 10n, root: new Uint8Array(32), note: { text: "", signatures: [] } };
  trail.held = 3;
  return trail;
}

const plain = (text: string): string => text.replaceAll("\u00a0", " ");

function answer(id: Answer["id"], change: Partial<State> = {}, trail = seen(), sinks: Sinks = []): [string, string, string] {
  const found = answers(state(change), trail, sinks).find((answer) => answer.id === id);
  return [found?.tone ?? "", plain(found?.says ?? ""), plain(found?.because.join(" ") ?? "")];
}

const lane = (change: Partial<Lane> = {}): Lane => ({
  lane: "tsa",
  kind: "rfc3161",
  state: "idle",
  confirmed: { size: 10, at: NOW },
  error: null,
  nextAttempt: null,
  waitingSince: null,
  alarms: [],
  ...change,
});
const sink = (change: Partial<Sink> = {}): Sink => ({ name: "soc", kind: "syslog", state: "following", next: 10, lagEvents: 0, lagSeconds: 0, error: null, ...change });

test("nothing is missing where every number has its entry", () => {
  expect(answer("missing").slice(0, 2)).toEqual(["good", "Nothing is missing"]);
  const stopped = session({ id: "old", stopped: NOW, entries: 7, inGaps: 0, highest: 6 });
  expect(answer("missing", { log: log({ sessions: [stopped, session()] }) })[0]).toBe("good");
  // What is in flight in a live session is not missing.
  expect(answer("missing", { log: log({ sessions: [session({ highest: 12 })] }) })[0]).toBe("good");
});

test("gaps, sessions that broke off and silences are told; numbers without either are an alarm", () => {
  const of = (change: Parameters<typeof log>[0]): [string, string, string] => answer("missing", { log: log(change) });
  expect(of({ gapRequests: 7, gapEntries: 2 }).slice(0, 2)).toEqual(["open", "7 requests without a record"]);
  expect(of({ sessions: [session({ id: "old" }), session()] }).slice(0, 2)).toEqual(["open", "A session broke off"]);
  expect(of({ unstoppedBefore: 1 })[0]).toBe("open");
  expect(of({ sessions: [session({ silences: [[1, 2]] })] }).slice(0, 2)).toEqual(["open", "A session fell silent"]);
  const lost = session({ id: "old", stopped: NOW, entries: 7, inGaps: 1, highest: 9 });
  expect(of({ sessions: [lost, session()] })).toEqual(["bad", "Entries are missing", expect.stringContaining("2 numbers of ended sessions")]);
  const twice = session({ id: "old", stopped: NOW, entries: 12, highest: 9 });
  expect(of({ sessions: [twice, session()] })[0]).toBe("bad");
  expect(answer("missing", { log: { ...log({ sessions: [session({ inGaps: 2 })] }), unrecorded: 5 } })).toEqual(["open", "3 requests without a record", expect.stringContaining("gap entry is due")]);
  expect(of({ to: 5 })[0]).toBe("open");
  expect(answer("missing", { log: null }).slice(0, 2)).toEqual(["open", "Not known yet"]);
});

test("what is anchored is what the quorum fixed, and an alarm is one", () => {
  expect(answer("anchored").slice(0, 2)).toEqual(["open", "Nothing is anchored"]);
  const of = (...lanes: Lane[]): [string, string, string] => answer("anchored", { lanes });
  expect(of(lane()).slice(0, 2)).toEqual(["good", "Everything is anchored"]);
  expect(of(lane({ confirmed: { size: 4, at: NOW }, waitingSince: NOW - 5000 })).slice(0, 2)).toEqual(["good", "6 entries wait, the oldest for 5 s"]);
  expect(of(lane({ confirmed: null }))[0]).toBe("open");
  expect(of(lane({ error: { at: NOW, text: "HTTP 500" } }))[0]).toBe("open");
  expect(of(lane({ alarms: ["it waits for more than 1 h"] }))).toEqual(["bad", "Everything is anchored", expect.stringContaining("it waits for more than 1 h")]);
  expect(answer("anchored", { lanes: [lane()], quorum: "2 of rfc3161, bitcoin", anchored: 0 })[1]).toBe("10 entries wait");
});

test("witnesses that did not cosign are told", () => {
  const trail = seen();
  trail.witnesses = [{ name: "a", cosignedAt: NOW }, { name: "b", cosignedAt: null }];
  trail.quorum = "missed";
  const [tone, , because] = answer("anchored", { lanes: [lane()] }, trail);
  expect([tone, because]).toEqual(["open", expect.stringContaining("1 of 2 witnesses cosigned the newest checkpoint, too few")]);
});

test("late is what is not ready, silent, or behind", () => {
  expect(answer("late").slice(0, 2)).toEqual(["good", "Nothing is late"]);
  expect(answer("late", { ready: "the sidecar is stopping" }).slice(0, 2)).toEqual(["bad", "Not ready"]);
  expect(answer("late", { live: "the log has halted", ready: "x" })).toEqual(["bad", "Needs a restart", "the log has halted"]);
  const silent = log({ sessions: [session({ heartbeat: NOW - 8001 })] });
  expect(answer("late", { log: silent }).slice(0, 2)).toEqual(["bad", "No heartbeat for 8 s"]);
  expect(answer("late", { log: log({ sessions: [session({ heartbeat: NOW - 8000 })] }) })[0]).toBe("good");
  expect(answer("late", {}, seen(), [sink()])[0]).toBe("good");
  expect(answer("late", {}, seen(), [sink({ lagSeconds: 61, lagEvents: 5 })])).toEqual(["open", "1 sink behind", expect.stringContaining("soc: 5 events behind")]);
  expect(answer("late", {}, seen(), [sink({ error: "refused" })])[0]).toBe("open");
});

test("a heartbeat that never came is late, and sinks that were not seen are not in order", () => {
  const never = log({ sessions: [session({ heartbeat: null, first: NOW - 8001 })] });
  expect(answer("late", { log: never }).slice(0, 2)).toEqual(["bad", "No heartbeat for 8 s"]);
  expect(answer("late", { log: log({ sessions: [session({ heartbeat: null, first: NOW - 3000 })] }) })[0]).toBe("good");
  const stopped = sink({ name: "old", state: "refused", error: "the cursor is ahead of the log" });
  expect(answer("late", {}, seen(), [stopped, sink({ lagSeconds: 61 })])).toEqual(["bad", "1 sink stopped", expect.stringContaining("old gets nothing")]);
  expect(answer("late", {}, seen(), { fault: "the sidecar does not answer" })).toEqual(["open", "Not known of the sinks", expect.stringContaining("is not known: the sidecar does not answer.")]);
  expect(answer("late", {}, seen(), "hidden")).toEqual(["good", "Nothing seen is late", expect.stringContaining("that takes an operator")]);
});

test("a log is what was signed only where nothing was ever found", () => {
  const altered = { at: NOW, index: 102, what: "the entry is another one" };
  expect(answer("genuine").slice(0, 2)).toEqual(["good", "Yes"]);
  expect(answer("genuine", {}, new Trail()).slice(0, 2)).toEqual(["open", "Not known yet"]);
  expect(answer("genuine", { log: log({ altered, found: altered }) }).slice(0, 2)).toEqual(["bad", "No: leaf 102 was changed"]);
  expect(answer("genuine", { log: log({ altered: { ...altered, index: null } }) })[1]).toBe("No: the log was changed");
  expect(answer("genuine", { log: log({ found: altered }) }).slice(0, 2)).toEqual(["open", "Yes, again"]);
  const trail = seen();
  trail.findings.push({ at: NOW, what: "The log went back." });
  expect(answer("genuine", {}, trail)[0]).toBe("bad");
});

test("decisions a second are those of seconds that are over", () => {
  const bucket = (at: number, decisions: number): { at: number; decisions: number; failed: number; heartbeats: number; gaps: number } => ({ at, decisions, failed: 0, heartbeats: 0, gaps: 0 });
  const seconds = [bucket(0, 1000), bucket(5000, 10), bucket(9000, 10), bucket(10_000, 500)];
  expect(perSecond(seconds, 10_400, 5)).toBe(4);
  expect(together(seconds, 5000).map(({ at, decisions }) => [at, decisions])).toEqual([[0, 1000], [5000, 20], [10_000, 500]]);
  expect([400, 9000, 100_000, 600_000, 86_400_000, 1e10].map((one) => plain(duration(one)))).toEqual(["0.4 s", "9 s", "100 s", "10 min", "24 h", "116 days"]);
});

test("an answer of another form is refused", () => {
  for (const json of [null, [], "x", 7, {}, { now: -1 }, { now: 1.5 }, { now: "1" }]) {
    expect(() => readState(json)).toThrow(Unreadable);
    expect(() => readDecision(json)).toThrow(Unreadable);
  }
  expect(readSinks({ sinks: [], more: 1 })).toEqual([]);
  const told = { sink: "a", kind: "hec", state: "retrying", next_leaf_index: 7, lag_events: 1, lag_seconds: 2, error: "refused", delivered: 6 };
  expect(readSinks({ sinks: [told] })).toEqual([sink({ name: "a", kind: "hec", state: "retrying", next: 7, lagEvents: 1, lagSeconds: 2, error: "refused" })]);
  for (const json of [null, {}, [], { sinks: {} }, { sinks: [7] }, { sinks: [{ sink: "a" }] }, { sinks: [{ ...told, lag_events: "many" }] }]) {
    expect(() => readSinks(json)).toThrow(Unreadable);
  }
});
