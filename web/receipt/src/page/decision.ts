// The decision in plain words: what it was, why, when, by which model. What was not verified is said to be so first.

import type { Field } from "../verify/fields.ts";
import type { Receipt } from "../verify/receipt.ts";
import type { Report } from "../verify/check.ts";
import type { Action } from "../words/messages.ts";
import type { Speech } from "../words/language.ts";
import { h, type Child } from "./dom.ts";
import { hidesSomething, inert } from "./inert.ts";
import { fieldAt, pathText, shownValue, textAt } from "./values.ts";

const REASON = /^explanation\/reason\/\[([0-9]+)\]\/(text|code|feature)(\/\[0\])?$/;
const REASON_ORDER = ["text", "code", "feature"];
const SCORE = /^output\/score\//;
const SCORES_MAX = 6;
const REASONS_MAX = 20;

/** What the receipt says of the decision. */
export function decision(receipt: Receipt | null, report: Report, speech: Speech): HTMLElement {
  const words = speech.words.decision;
  const signed = report.checks.some((check) => check.name === "checkpoint.signatures" && check.status === "passed");
  const [title, warning] =
    report.verdict === "failed" ? [words.claimed, words.claimedText] : signed ? [words.title, null] : [words.unsigned, words.unsignedText];
  const body = receipt === null ? [h("p", {}, words.notOnPage)] : said(receipt, speech);
  return h(
    "section",
    { class: `decision ${report.verdict}`, "aria-labelledby": "decision-title" },
    h("h2", { id: "decision-title" }, title),
    warning === null || receipt === null ? null : h("p", { class: "warning" }, warning),
    ...body,
  );
}

function said(receipt: Receipt, speech: Speech): Child[] {
  const { fields } = receipt;
  return [
    ...(closed(receipt) ? nothingShown(speech) : [outcome(fields, speech), reasons(fields, speech)]),
    h("dl", { class: "facts" }, ...facts(receipt, speech)),
    ...contest(fields, speech),
    ...later(receipt, speech),
    h("p", { class: "quiet" }, counted(receipt, speech)),
    fields.some(hides) ? h("p", { class: "quiet" }, speech.words.values.marked) : null,
  ];
}

/** Whether the receipt shows nothing of the decision's record: nothing was chosen, or it was erased. The receipt cannot tell which. */
function closed({ fields, entry }: Receipt): boolean {
  return fields.length === 0 && entry.commitment.count > 0;
}

function nothingShown(speech: Speech): Child[] {
  const words = speech.words.decision;
  return [h("div", { class: "outcome" }, h("p", { class: "none" }, words.closed)), h("p", {}, words.closedText)];
}

/** What was added to the decision, each with what is shown of it. */
function later(receipt: Receipt, speech: Speech): Child[] {
  const words = speech.words.decision;
  const items = receipt.later.map(({ entry, fields }) => {
    const own = fields.filter((field) => field.path.startsWith(`${entry.kind}/`) || field.path === "opt_out");
    const rows = own.flatMap((field) => pair(pathText(field.path), shownValue(field, speech)));
    const body = rows.length > 0 ? h("dl", { class: "facts" }, ...rows) : h("p", { class: "quiet" }, words.laterClosed);
    const when = h("span", { class: "quiet" }, words.laterAt(speech.time(entry.recordedAt)));
    return h("li", {}, h("strong", {}, speech.words.details.groups[entry.kind]), " ", when, body);
  });
  return items.length === 0 ? [] : [h("h3", {}, words.later), h("ul", { class: "later" }, ...items)];
}

function hides({ value }: Field): boolean {
  return value.type === "text" && hidesSomething(value.value);
}

function outcome(fields: readonly Field[], speech: Speech): HTMLElement {
  const words = speech.words.decision;
  const action = textAt(fields, "outcome/action") ?? textAt(fields, "outcome/action/[0]");
  const adverse = fieldAt(fields, "outcome/adverse")?.value;
  const said = adverse?.type === "bool" ? (adverse.value ? words.adverse : words.notAdverse) : null;
  const note = said === null ? null : h("p", { class: "adverse" }, said);
  if (action === null) {
    return h("div", { class: "outcome" }, h("p", { class: "none" }, words.none), note);
  }
  const known = Object.hasOwn(words.actions, action) ? words.actions[action as Action] : null;
  const shown = known ?? h("span", {}, `${words.otherAction}: `, inert(action, speech));
  return h("div", { class: "outcome" }, h("p", { class: "action" }, shown), note);
}

function reasons(fields: readonly Field[], speech: Speech): HTMLElement {
  const words = speech.words.decision;
  const found = new Map<number, Field[]>();
  for (const field of fields) {
    const [, number] = REASON.exec(field.path) ?? [];
    if (number !== undefined && field.value.type === "text") {
      found.set(Number(number), [...(found.get(Number(number)) ?? []), field]);
    }
  }
  const part = (field: Field): number => REASON_ORDER.indexOf(REASON.exec(field.path)?.[2] ?? "");
  const items = Array.from(found.entries())
    .sort(([one], [other]) => one - other)
    .slice(0, REASONS_MAX)
    .map(([, parts]) => parts.sort((one, other) => part(one) - part(other))[0])
    .filter((field) => field !== undefined)
    .map((field) => h("li", {}, shownValue(field, speech)));
  const body = items.length === 0 ? h("p", { class: "quiet" }, words.noReasons) : h("ol", {}, ...items);
  return h("div", { class: "reasons" }, h("h3", {}, words.reasons), body);
}

function facts(receipt: Receipt, speech: Speech): HTMLElement[] {
  const words = speech.words.decision;
  const { fields, entry, checkpoint } = receipt;
  const model = ["model/title", "model/name", "model/version"].map((path) => fieldAt(fields, path)).filter((field) => field !== null);
  const scores = fields.filter((field) => SCORE.test(field.path)).slice(0, SCORES_MAX);
  return [
    ...row(words.amount, fieldAt(fields, "outcome/amount"), speech),
    ...row(words.useCase, fieldAt(fields, "decision/use_case"), speech),
    ...role(fields, speech),
    ...row(words.decidedAt, fieldAt(fields, "time/decided"), speech),
    ...pair(words.recordedAt, speech.time(entry.recordedAt)),
    ...(model.length > 0 ? pair(words.model, ...joined(model, speech)) : []),
    ...scores.flatMap((field) => pair(words.score, `${pathText(field.path.replace(SCORE, ""))}: `, shownValue(field, speech))),
    ...row(words.threshold, fieldAt(fields, "model/threshold"), speech),
    ...pair(words.id, h("code", {}, entry.decision)),
    ...pair(words.log, inert(checkpoint.origin, speech)),
  ];
}

/** Which part the system has in the decision: in the reader's language where it is one of the known words. */
function role(fields: readonly Field[], speech: Speech): HTMLElement[] {
  const words = speech.words.decision;
  const field = fieldAt(fields, "decision/mode");
  const said = field?.value.type === "text" ? field.value.value : "";
  if (Object.hasOwn(words.roles, said)) {
    return pair(words.role, words.roles[said as keyof typeof words.roles]);
  }
  return row(words.role, field, speech);
}

/** How to contest the decision, as it was recorded with it. Addresses are text: this page leads nowhere. */
function contest(fields: readonly Field[], speech: Speech): Child[] {
  const words = speech.words.decision;
  const at = (name: string): Field | null => fieldAt(fields, `contest/route/${name}`);
  const ways = (["url", "email", "phone", "address"] as const).flatMap((name) => row(words.ways[name], at(name), speech));
  const text = at("text");
  if (ways.length === 0 && text === null) {
    return [];
  }
  return [
    h("h3", {}, words.contest),
    text === null ? null : h("p", {}, shownValue(text, speech)),
    h("dl", { class: "facts" }, ...ways),
    h("p", { class: "quiet" }, words.contestText),
  ];
}

/** The model's title, name and version, each said once. */
function joined(fields: readonly Field[], speech: Speech): Child[] {
  return fields.flatMap((field, at) => [at === 0 ? "" : ", ", shownValue(field, speech)]);
}

function row(label: string, field: Field | null, speech: Speech): HTMLElement[] {
  return field === null ? [] : pair(label, shownValue(field, speech));
}

function pair(label: string, ...value: Child[]): HTMLElement[] {
  return [h("div", {}, h("dt", {}, label), h("dd", {}, ...value))];
}

function counted({ fields, entry }: Receipt, speech: Speech): string {
  const words = speech.words.decision;
  const hidden = entry.commitment.count - fields.length;
  const rest = hidden > 0 ? words.hidden(speech.count(hidden)) : words.nothingHidden;
  return `${words.shown(speech.count(fields.length), speech.count(entry.commitment.count))} ${rest}`;
}
