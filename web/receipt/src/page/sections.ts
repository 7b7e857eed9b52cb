// The other parts of the answer: the verdict, what is proved and what is not, whose keys, and the technical details.

import { hex, utf8 } from "../verify/bytes.ts";
import type { Check, Report } from "../verify/check.ts";
import { leafHash, sha256 } from "../verify/merkle.ts";
import type { Field } from "../verify/fields.ts";
import type { Receipt } from "../verify/receipt.ts";
import { rootText } from "../verify/checkpoint.ts";
import type { Group } from "../words/messages.ts";
import type { Speech } from "../words/language.ts";
import { h, s, type Child } from "./dom.ts";
import { inert } from "./inert.ts";
import type { Checked, Trust } from "./state.ts";
import { shownValue } from "./values.ts";

/** The verdict, first of all. */
export function verdict({ report }: Checked, trust: Trust | null, speech: Speech): HTMLElement {
  const words = speech.words.verdict;
  const keysMissing = report.checks.some((check) => check.open === "no-policy");
  const [title, text] =
    report.verdict === "verified"
      ? [words.verified, words.verifiedText]
      : report.verdict === "failed"
        ? [words.failed, words.failedText]
        : keysMissing
          ? [words.noKeys, words.noKeysText]
          : report.checks.some((check) => check.open === "no-receipt-key")
            ? [words.coseOpen, words.coseOpenText]
            : [words.anchorsOpen, words.anchorsOpenText];
  const passed = report.checks.filter((check) => check.status === "passed").length;
  const counted = words.counted(speech.count(passed), speech.count(report.checks.length));
  const reason = report.checks.find((check) => check.status === "failed")?.reason;
  const came = trust !== null && trust.name === null && report.verdict !== "failed" ? h("p", {}, words.embedded) : null;
  const why = reason === undefined ? null : h("p", { class: "why" }, speech.words.reasons[reason]);
  return h(
    "section",
    { class: `verdict ${report.verdict}`, "aria-labelledby": "verdict-title" },
    sign(report.verdict),
    h("div", {}, h("h1", { id: "verdict-title", tabindex: -1 }, title), why, h("p", {}, text), came, h("p", { class: "counted" }, counted)),
  );
}

function sign(of: Report["verdict"]): SVGSVGElement {
  const shapes = {
    verified: "M14 25 l7.5 8 l14 -16",
    failed: "M16 16 l16 16 m0 -16 l-16 16",
    undecided: "M18.5 19 a5.5 5.5 0 1 1 8 5 q-2.5 1.5 -2.5 4 m0 6.2 v0.6",
  };
  const circle = s("circle", { cx: 24, cy: 24, r: 22 });
  return s("svg", { class: "sign", viewBox: "0 0 48 48", width: 48, height: 48, "aria-hidden": "true" }, circle, s("path", { d: shapes[of] }));
}

/** What each check showed, grouped by how it went. */
export function proved({ report }: Checked, speech: Speech): HTMLElement {
  const words = speech.words.proved;
  const of = (status: Check["status"]): Check[] => report.checks.filter((check) => check.status === status);
  const [passed, failed, open] = [of("passed"), of("failed"), of("not_checked")];
  return h(
    "section",
    { class: "proved", "aria-labelledby": "proved-title" },
    h("h2", { id: "proved-title" }, words.title),
    h("p", { class: "lead" }, passed.length > 0 ? words.lead : words.nothing),
    ...part(words.failedTitle, failed, speech),
    passed.length > 0 ? list(passed, report, speech) : null,
    ...part(words.openTitle, open, speech),
  );
}

function part(title: string, checks: Check[], speech: Speech): Child[] {
  return checks.length === 0 ? [] : [h("h3", {}, title), list(checks, null, speech)];
}

function list(checks: Check[], report: Report | null, speech: Speech): HTMLElement {
  return h("ul", { class: "checks" }, ...checks.map((check) => checkItem(check, report, speech)));
}

function checkItem(check: Check, report: Report | null, speech: Speech): HTMLElement {
  const words = speech.words.checks[check.name];
  const name = check.lane === undefined ? words.name : `${words.name}: ${check.lane}`;
  const by = report === null ? null : h("span", { class: "by" }, `${speech.words.proved.by}: `, ...provedBy(check, report, speech));
  return h(
    "li",
    { class: check.status },
    h("span", { class: `pill ${check.status}` }, speech.words.status[check.status]),
    h("div", {}, h("strong", {}, name), h("p", {}, check.status === "passed" ? words.proves : whyNot(check, speech)), by),
  );
}

function provedBy(check: Check, report: Report, speech: Speech): Child[] {
  const origin = report.receipt?.checkpoint.origin;
  if (check.name === "checkpoint.signatures" && origin !== undefined) {
    const [before = "", after = ""] = speech.words.proved.keys("\u0000").split("\u0000");
    const keys = report.signers.map((key) => `${keyKind(key.type, speech)} (${key.id})`).join("; ");
    return [before, inert(origin, speech), `${after}: ${keys}`];
  }
  if (check.name === "checkpoint.quorum") {
    return report.witnesses.flatMap((name, at) => [at === 0 ? "" : ", ", inert(name, speech)]);
  }
  return [speech.words.checks[check.name].by];
}

function keyKind(type: 1 | 4 | 6, speech: Speech): string {
  return speech.words.keys.algorithm[`${type}`];
}

/** Why a check failed or was not made. */
function whyNot(check: Check, speech: Speech): string {
  const words = speech.words.proved;
  if (check.reason !== undefined) {
    return speech.words.reasons[check.reason];
  }
  return { "no-policy": words.noKeys, "no-receipt-key": words.noReceiptKey, "anchor-kind": words.anchorKind, unread: words.unread }[check.open ?? "unread"];
}

/** What a reader might think is proved and is not. */
export function notProved({ report }: Checked, trust: Trust | null, speech: Speech): HTMLElement {
  const words = speech.words.notProved;
  const anchored = (report.receipt?.anchors.length ?? 0) > 0;
  const items = [
    ...words.items,
    ...(trust?.policy.quorum ? [] : [words.witnesses]),
    anchored ? words.anchorsOpen : words.anchors,
  ];
  return h(
    "section",
    { class: "not-proved", "aria-labelledby": "not-proved-title" },
    h("h2", { id: "not-proved-title" }, words.title),
    h("ul", {}, ...items.map((text) => h("li", {}, text))),
  );
}

/** Whom the reader believes, and how to find out whether that is wise. */
export function keys(trust: Trust | null, choose: HTMLElement, speech: Speech): HTMLElement {
  const words = speech.words.keys;
  const body = trust === null ? [h("p", {}, words.why), h("p", { class: "quiet" }, words.none)] : chosen(trust, speech);
  return h(
    "section",
    { class: "keys", "aria-labelledby": "keys-title" },
    h("h2", { id: "keys-title" }, words.title),
    ...body,
    choose,
  );
}

function chosen({ policy, name, digest }: Trust, speech: Speech): HTMLElement[] {
  const words = speech.words.keys;
  const source =
    name === null
      ? h("p", { class: "warning" }, words.embedded)
      : h("p", {}, `${words.chosen} `, inert(name, speech));
  const items = policy.logs.map((key) =>
    h(
      "li",
      {},
      h("strong", {}, inert(key.name, speech)),
      h("span", { class: "quiet" }, ` ${keyKind(key.type, speech)}, ${key.id}`),
      h("div", { class: "fingerprint" }, `${words.keyFingerprint}: `, h("code", {}, hex(sha256(utf8(key.vkey))))),
    ),
  );
  const witnesses = policy.witnesses.length;
  return [
    source,
    h("p", { class: "fingerprint" }, `${words.fileFingerprint}: `, h("code", {}, hex(digest))),
    h("p", {}, words.compare),
    h("ul", { class: "key-list" }, ...items),
    h("p", { class: "quiet" }, policy.quorum === null ? words.noQuorum : words.quorum(speech.count(witnesses))),
  ];
}

/** What a specialist wants to see, folded away. */
export function details(checked: Checked, speech: Speech): HTMLElement {
  const words = speech.words.details;
  const { report, digest, milliseconds } = checked;
  const rows: [string, Child][] = [[words.fileHash, h("code", {}, hex(digest))]];
  if (report.receipt !== null) {
    rows.push(...hashes(report.receipt, speech));
  }
  return h(
    "details",
    { class: "technical" },
    h("summary", {}, h("h2", {}, words.title)),
    h("h3", {}, words.checks),
    checksTable(report, speech),
    ...(report.receipt === null || report.receipt.fields.length === 0 ? [] : [h("h3", {}, words.facts), ...factGroups(report.receipt.fields, speech)]),
    h("h3", {}, words.hashes),
    h("dl", { class: "facts" }, ...rows.map(([label, value]) => h("div", {}, h("dt", {}, label), h("dd", {}, value)))),
    h("p", { class: "quiet" }, words.duration(speech.number(Math.round(milliseconds)))),
    h("p", { class: "quiet" }, words.byHand),
  );
}

function hashes({ entry, entryBytes, checkpoint, inclusion }: Receipt, speech: Speech): [string, Child][] {
  const words = speech.words.details;
  return [
    [words.leaf, h("code", {}, hex(leafHash(entryBytes)))],
    [words.commitment, h("code", {}, hex(entry.commitment.root))],
    [words.root, h("code", {}, `${hex(checkpoint.root)} (${rootText(checkpoint)})`)],
    [words.index, speech.number(inclusion.index)],
    [words.size, speech.number(checkpoint.size)],
    [words.writer, h("code", {}, `${entry.writer}, ${hex(entry.session)}, ${entry.sequence}`)],
  ];
}

/** A table that can be scrolled sideways, by keyboard too. */
function scrolled(label: string, table: HTMLElement): HTMLElement {
  return h("div", { class: "scrolled", tabindex: 0, role: "region", "aria-label": label }, table);
}

function checksTable({ checks }: Report, speech: Speech): HTMLElement {
  const words = speech.words.details;
  const rows = checks.map((check) =>
    h(
      "tr",
      {},
      h("th", { scope: "row" }, h("code", {}, check.lane === undefined ? check.name : `${check.name} ${check.lane}`)),
      h("td", {}, speech.words.status[check.status]),
      h("td", {}, check.status === "passed" ? speech.words.checks[check.name].proves : whyNot(check, speech), ...about(check, speech)),
    ),
  );
  const heads = [words.check, words.result, words.explanation].map((head) => h("th", { scope: "col" }, head));
  return scrolled(words.checks, h("table", {}, h("thead", {}, h("tr", {}, ...heads)), h("tbody", {}, ...rows)));
}

function about(check: Check, speech: Speech): Child[] {
  return check.about === undefined || check.about === "" ? [] : [" (", inert(check.about, speech), ")"];
}

function factGroups(fields: readonly Field[], speech: Speech): HTMLElement[] {
  const words = speech.words.details;
  const groups = new Map<string, Field[]>();
  for (const field of fields) {
    const [first = ""] = field.path.split("/");
    const group = Object.hasOwn(words.groups, first) ? first : "";
    groups.set(group, [...(groups.get(group) ?? []), field]);
  }
  return Array.from(groups, ([group, members]) => {
    const title = group === "" ? words.otherGroup : words.groups[group as Group];
    const rows = members.map((field) =>
      h("tr", {}, h("th", { scope: "row" }, h("code", {}, field.path)), h("td", {}, shownValue(field, speech))),
    );
    const heads = h("tr", {}, h("th", { scope: "col" }, words.path), h("th", { scope: "col" }, words.value));
    return scrolled(`${words.facts}: ${title}`, h("table", {}, h("caption", {}, title), h("thead", {}, heads), h("tbody", {}, ...rows)));
  });
}

