// The chain of proof as a picture, drawn from the proof at hand: each link is a small drawing with its sentence.

import type { Check, CheckName, Report, Status } from "../verify/check.ts";
import { way } from "../verify/merkle.ts";
import type { Receipt } from "../verify/receipt.ts";
import type { Speech } from "../words/language.ts";
import { h, s, type Child } from "./dom.ts";
import { inertText } from "./inert.ts";

const WIDTH = 132;
const MIDDLE = WIDTH / 2;
const CELLS_MAX = 45;
const CELLS_A_ROW = 9;
const LEAVES_MAX = 12;

interface Link {
  title: string;
  text: string;
  status: Status;
  drawing: SVGSVGElement;
}

/** The chain from the facts to what is outside. */
export function chain(receipt: Receipt, report: Report, speech: Speech): HTMLElement {
  const { words } = speech;
  const links = [
    fieldsLink(receipt, report, speech),
    entryLink(report, speech),
    logLink(receipt, report, speech),
    signaturesLink(receipt, report, speech),
    ...witnessesLink(report, speech),
    ...anchorLinks(receipt, report, speech),
  ];
  const items = links.map((link, at) => item(link, at === links.length - 1, speech));
  return h(
    "section",
    { class: "chain", "aria-labelledby": "chain-title" },
    h("h2", { id: "chain-title" }, words.chain.title),
    h("p", { class: "lead" }, words.chain.lead),
    h("ol", {}, ...items),
  );
}

function item(link: Link, last: boolean, { words }: Speech): HTMLElement {
  const said = { passed: words.chain.holds, failed: words.chain.broken, not_checked: words.chain.open }[link.status];
  return h(
    "li",
    { class: `link ${link.status}${last ? " last" : ""}` },
    h("div", { class: "drawn" }, link.drawing),
    h("div", {}, h("h3", {}, link.title, " ", h("span", { class: `pill ${link.status}` }, said)), h("p", {}, link.text)),
  );
}

/** What a link says: its sentence, or why it is broken. */
function saying(report: Report, name: CheckName, sentence: string, { words }: Speech): string {
  const reason = report.checks.find((check) => check.name === name && check.status === "failed")?.reason;
  return reason === undefined ? sentence : words.reasons[reason];
}

function statusOf(report: Report, ...names: CheckName[]): Status {
  const found = report.checks.filter((check) => names.includes(check.name)).map((check) => check.status);
  return found.includes("failed") ? "failed" : found.includes("not_checked") ? "not_checked" : "passed";
}

/** A drawing; a reader who cannot see it has the sentence beside it. */
function drawing(height: number, ...children: Child[]): SVGSVGElement {
  const spine = s("line", { class: "spine", x1: MIDDLE, y1: 0, x2: MIDDLE, y2: height });
  return s("svg", { viewBox: `0 0 ${WIDTH} ${height}`, width: WIDTH, height, "aria-hidden": "true" }, spine, ...children);
}

function fieldsLink(receipt: Receipt, report: Report, speech: Speech): Link {
  const { count } = receipt.entry.commitment;
  const shown = receipt.fields.length;
  return {
    title: speech.words.chain.fields,
    text: saying(report, "receipt.fields", speech.words.chain.fieldsText(speech.count(shown), speech.count(count)), speech),
    status: statusOf(report, "receipt.format", "receipt.fields"),
    drawing: fieldsDrawing(count, new Set(receipt.fields.map((field) => field.index))),
  };
}

/** A square for every fact, filled where it is shown; of a large record the squares stand for several each. */
function fieldsDrawing(count: number, shown: Set<number>): SVGSVGElement {
  const cells = Math.min(count, CELLS_MAX);
  const each = count / cells;
  const rows = Math.ceil(cells / CELLS_A_ROW);
  const squares = Array.from({ length: cells }, (_, cell) => {
    const inRow = Math.min(CELLS_A_ROW, cells - Math.floor(cell / CELLS_A_ROW) * CELLS_A_ROW);
    const x = MIDDLE + ((cell % CELLS_A_ROW) - inRow / 2) * 13 + 1;
    const y = 8 + Math.floor(cell / CELLS_A_ROW) * 13;
    const filled = Array.from(shown).some((index) => Math.floor(index / each) === cell);
    return s("rect", { class: filled ? "cell shown" : "cell", x, y, width: 11, height: 11, rx: 2 });
  });
  const foot = 8 + rows * 13 + 4;
  const reach = Math.min(cells, CELLS_A_ROW) * 6.5;
  const funnel = `M${MIDDLE - reach} ${foot} L${MIDDLE} ${foot + 22} L${MIDDLE + reach} ${foot}`;
  const picture = drawing(foot + 46, ...squares, s("path", { class: "way", d: funnel }), dot(MIDDLE, foot + 22, 5));
  picture.querySelector(".spine")?.setAttribute("y1", String(foot + 22));
  return picture;
}

function dot(x: number, y: number, radius: number, kind = "node"): SVGCircleElement {
  return s("circle", { class: kind, cx: x, cy: y, r: radius });
}

function entryLink(report: Report, { words }: Speech): Link {
  const lines = [22, 32, 42].map((y) => s("line", { class: "ink", x1: MIDDLE - 14, y1: y + 12, x2: MIDDLE + 14, y2: y + 12 }));
  const sheet = s("rect", { class: "sheet", x: MIDDLE - 24, y: 12, width: 48, height: 58, rx: 4 });
  return {
    title: words.chain.entry,
    text: words.chain.entryText,
    status: statusOf(report, "receipt.entry"),
    drawing: drawing(88, sheet, dot(MIDDLE, 24, 5), ...lines),
  };
}

function logLink(receipt: Receipt, report: Report, speech: Speech): Link {
  const { inclusion, checkpoint } = receipt;
  const [place, size] = [speech.number(inclusion.index + 1n), speech.count(checkpoint.size)];
  const sentence = speech.words.chain.logText(place, size, speech.count(inclusion.hashes.length));
  return {
    title: speech.words.chain.log,
    text: saying(report, "receipt.inclusion", sentence, speech),
    status: statusOf(report, "receipt.inclusion"),
    drawing: logDrawing(receipt),
  };
}

/** The row of entries with this one marked, and the steps from it to the fingerprint of all, each with its neighbour. */
function logDrawing({ inclusion, checkpoint }: Receipt): SVGSVGElement {
  const leaves = Number(checkpoint.size < BigInt(LEAVES_MAX) ? checkpoint.size : BigInt(LEAVES_MAX)) || 1;
  const marked = checkpoint.size > 0n ? Number((inclusion.index * BigInt(leaves)) / checkpoint.size) : 0;
  const pitch = (WIDTH - 8) / leaves;
  const wide = Math.min(pitch - 2, 14);
  const middleOf = (leaf: number): number => MIDDLE + (leaf - (leaves - 1) / 2) * Math.min(pitch, 18);
  const row = Array.from({ length: leaves }, (_, leaf) => {
    const kind = leaf === marked ? "cell shown" : "cell";
    return s("rect", { class: kind, x: middleOf(leaf) - wide / 2, y: 22, width: wide, height: 16, rx: 2 });
  });
  const steps = stepsOf({ inclusion, checkpoint });
  const rise = Math.max(18, Math.min(26, 120 / Math.max(steps.length, 1)));
  const shownSteps = steps.slice(0, 8);
  const height = 48 + shownSteps.length * rise + 24;
  const picture = drawing(height, ...row, ...path(middleOf(marked), shownSteps, rise));
  picture.querySelector(".spine")?.setAttribute("y1", String(height - 24));
  const lead = `M${MIDDLE} 0 C${MIDDLE} 14 ${middleOf(marked)} 8 ${middleOf(marked)} 22`;
  picture.prepend(s("path", { class: "spine", d: lead }));
  return picture;
}

function stepsOf({ inclusion, checkpoint }: Pick<Receipt, "inclusion" | "checkpoint">): ("left" | "right")[] {
  try {
    return way(inclusion.index, checkpoint.size, inclusion.hashes).map((step) => step.side);
  } catch {
    return []; // a proof that does not fit its place has no way to draw
  }
}

function path(from: number, steps: ("left" | "right")[], rise: number): SVGElement[] {
  const pointAt = (step: number): [number, number] => [
    from + ((MIDDLE - from) * step) / Math.max(steps.length, 1),
    46 + step * rise,
  ];
  return steps.flatMap((side, at) => {
    const [[x, y], [nextX, nextY]] = [pointAt(at), pointAt(at + 1)];
    const beside = x + (side === "left" ? -20 : 20);
    return [
      s("path", { class: "way", d: `M${x} ${y} L${nextX} ${nextY} L${beside} ${y}` }),
      dot(x, y, 4),
      dot(beside, y, 4, "node beside"),
      ...(at === steps.length - 1 ? [dot(nextX, nextY, 5)] : []),
    ];
  });
}

function signaturesLink(receipt: Receipt, report: Report, speech: Speech): Link {
  const status = statusOf(report, "checkpoint.format", "checkpoint.signatures");
  const words = speech.words.chain;
  const signed = words.signaturesText(speech.count(report.signers.length));
  const seals = report.signers.length || receipt.checkpoint.note.signatures.length;
  return {
    title: words.signatures,
    text: status === "passed" ? signed : saying(report, "checkpoint.signatures", words.signaturesOpen, speech),
    status,
    drawing: sealsDrawing(Math.min(seals, 4), status),
  };
}

function sealsDrawing(seals: number, status: Status): SVGSVGElement {
  const each = Array.from({ length: seals }, (_, seal) => {
    const x = MIDDLE + (seal - (seals - 1) / 2) * 38;
    return s("g", {}, dot(x, 34, 15, "seal"), signOf(x, 34, status));
  });
  const bar = s("line", { class: "way", x1: MIDDLE - (seals - 1) * 19, y1: 34, x2: MIDDLE + (seals - 1) * 19, y2: 34 });
  return drawing(72, bar, ...each);
}

function signOf(x: number, y: number, status: Status): SVGElement {
  const shapes = {
    passed: `M${x - 6} ${y} l4.5 5 l8 -9.5`,
    failed: `M${x - 5} ${y - 5} l10 10 m0 -10 l-10 10`,
    not_checked: `M${x - 5} ${y} h10`,
  };
  return s("path", { class: "sign", d: shapes[status] });
}

function witnessesLink(report: Report, speech: Speech): Link[] {
  const found = report.checks.find((check) => check.name === "checkpoint.quorum");
  if (found === undefined) {
    return [];
  }
  const words = speech.words.chain;
  const seen = words.witnessesText(speech.count(report.witnesses.length));
  const text = found.reason === undefined ? seen : speech.words.reasons[found.reason];
  const seals = Math.max(1, Math.min(report.witnesses.length, 4));
  return [{ title: words.witnesses, text, status: found.status, drawing: sealsDrawing(seals, found.status) }];
}

function anchorLinks(receipt: Receipt, report: Report, speech: Speech): Link[] {
  const words = speech.words.chain;
  if (receipt.anchors.length === 0) {
    return [{ title: words.noAnchor, text: words.noAnchorText, status: "not_checked", drawing: anchorDrawing("not_checked") }];
  }
  const checks = report.checks.filter((check) => check.name === "receipt.anchor");
  return receipt.anchors.map((anchor, at) => {
    const found: Check | undefined = checks[at];
    const status = found?.status ?? "not_checked";
    const text = words.anchorText(speech.count(anchor.statement.size));
    return {
      title: words.anchor(inertText(`${anchor.statement.lane} (${anchor.kind})`)),
      text: found?.reason === undefined ? text : speech.words.reasons[found.reason],
      status,
      drawing: anchorDrawing(status),
    };
  });
}

/** A point outside the log that holds the chain. */
function anchorDrawing(status: Status): SVGSVGElement {
  const ground = s("line", { class: "ink", x1: MIDDLE - 34, y1: 52, x2: MIDDLE + 34, y2: 52 });
  const hatching = [-28, -14, 0, 14, 28].map((x) => s("line", { class: "ink", x1: MIDDLE + x, y1: 52, x2: MIDDLE + x - 7, y2: 60 }));
  const picture = drawing(66, ground, ...hatching, dot(MIDDLE, 34, 15, "seal"), signOf(MIDDLE, 34, status));
  picture.querySelector(".spine")?.setAttribute("y2", "52");
  return picture;
}
