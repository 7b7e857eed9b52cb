// Whole receipts: the golden ones, and what becomes of them when somebody changes them.

import { expect, test } from "vitest";

import { check, type Report } from "../src/verify/check.ts";
import { shorter } from "../src/verify/shorter.ts";
import { readPolicy } from "../src/verify/policy.ts";
import { utf8 } from "../src/verify/bytes.ts";
import { golden, goldenText } from "./support.ts";

const policy = readPolicy(golden("log.policy"));

function failed({ checks }: Report): string[] {
  return checks.filter((found) => found.status === "failed").map((found) => `${found.name} ${found.reason}`);
}

function open({ checks }: Report): string[] {
  return checks.filter((found) => found.status === "not_checked").map((found) => `${found.name} ${found.open}`);
}

test("the golden receipt is verified with the log's keys", () => {
  const report = check(golden("receipt.json"), policy);
  expect(report.verdict).toBe("verified");
  expect(report.checks).toHaveLength(6);
  expect(report.signers.map((key) => key.id)).toEqual(["2d10827d", "9b7a8a2f"]);
});

test("without keys nothing is verified, however right it is", () => {
  const report = check(golden("receipt.json"), null);
  expect(report.verdict).toBe("undecided");
  expect(open(report)).toEqual(["checkpoint.signatures no-policy"]);
});

test("an anchor is left open, and never passed", () => {
  const report = check(golden("receipt-anchored.json"), policy);
  expect(report.verdict).toBe("undecided");
  expect(open(report)).toEqual(["receipt.anchor anchor-kind"]);
});

test("the COSE receipt is checked too, and left open where no key for it is known", () => {
  const file = goldenText("receipt-cose.json");
  const report = check(utf8(file), policy);
  expect(report.verdict).toBe("verified");
  expect(report.checks.map(({ name }) => name)).toContain("receipt.cose");
  const keyless = readPolicy(utf8(goldenText("log.policy").replace(/^#receipt-key.*\n/m, "")));
  expect(open(check(utf8(file), keyless))).toEqual(["receipt.cose no-receipt-key"]);
  expect(open(check(utf8(file), null))).toEqual(["checkpoint.signatures no-policy", "receipt.cose no-policy"]);
  const encoded = /"cose_receipt": "([^"]+)"/.exec(file)?.[1] ?? "";
  const bytes = new Uint8Array(Buffer.from(encoded, "base64"));
  for (let at = 0; at < bytes.length; at += 1) {
    const changed = bytes.slice();
    changed[at] = (changed[at] ?? 0) ^ 1;
    const other = file.replace(encoded, Buffer.from(changed).toString("base64"));
    expect(check(utf8(other), policy).verdict, `byte ${at}`).toBe("failed");
  }
});

test("what was added later is checked with the decision", () => {
  const file = goldenText("receipt-later.json");
  const report = check(utf8(file), policy);
  expect(report.verdict).toBe("verified");
  expect(report.receipt?.later.map(({ entry }) => entry.kind)).toEqual(["review", "notice"]);
  const at = file.indexOf('"later"');
  const late = (from: string, to: string): Report => check(utf8(file.slice(0, at) + file.slice(at).replace(from, to)), policy);
  expect(failed(late('"text": "override"', '"text": "confirm"'))).toEqual(["receipt.later fields-changed"]);
  expect(failed(late('"index": "11"', '"index": "10"'))).toEqual(["receipt.later inclusion-root"]);
  expect(failed(late('"index": "11"', '"index": "6"'))).toEqual(["receipt.later later-elsewhere"]);
  expect(failed(late('"index": "11"', '"index": "011"'))).toEqual(["receipt.format malformed"]);
  expect(failed(late('"index": "11"', '"index": "12"'))).toEqual(["receipt.format malformed"]);
});

test.each<[string, string, string]>([
  ['"text": "deny"', '"text": "approve"', "receipt.fields fields-changed"],
  ['"float": 0.1875', '"float": 0.9', "receipt.fields fields-changed"],
  ['"float": 0.1875', '"float": 0.18750', "receipt.format not-canonical"],
  ['"index": 8', '"index": 9', "receipt.fields fields-order"],
  ["index 6\\n", "index 5\\n", "receipt.inclusion inclusion-root"],
  ["index 6\\n", "index 11\\n", "receipt.inclusion index-outside"],
  ['"origin": "log.', '"origin": "lob.', "checkpoint.format other-origin"],
  ['"decision_id": "01', '"decision_id": "02', "receipt.entry other-decision"],
  ["receipt/v1", "receipt/v2", "receipt.format other-version"],
  ['"rAEBAhQD', '"rAEBAhUD', "receipt.entry not-a-decision"],
  ['"rAEBAhQD', '"rAEBAhQE', "receipt.entry entry-malformed"],
  ["{\n", "{ \n", "receipt.format not-canonical"],
])("%s changed to %s is found", (from, to, expected) => {
  const changed = goldenText("receipt.json").replace(from, to);
  expect(changed).not.toBe(goldenText("receipt.json"));
  const report = check(utf8(changed), policy);
  expect(report.verdict).toBe("failed");
  expect(failed(report)).toEqual([expected]);
});

test("every seventh byte of the file, changed, and every cut of it leave nothing verified", () => {
  const file = golden("receipt.json");
  for (let at = 0; at < file.length; at += 7) {
    const changed = file.slice();
    changed[at] = (changed[at] ?? 0) ^ (1 << (at % 7));
    expect(check(changed, policy).verdict, `byte ${at}`).toBe("failed");
    expect(check(file.subarray(0, at), policy).verdict, `cut at ${at}`).toBe("failed");
  }
});

test("the anchor's way is checked: place, statement and signatures", () => {
  const file = goldenText("receipt-anchored.json");
  const anchors = file.indexOf('"anchors"');
  const late = (from: string, to: string): Report => check(utf8(file.slice(0, anchors) + file.slice(anchors).replace(from, to)), policy);
  expect(failed(late("index 6\\n", "index 5\\n"))).toEqual(["receipt.anchor anchor-other-place"]);
  expect(failed(late("LRCCfZVLB3K3", "LRCCfZVLB3K4"))).toEqual(["receipt.anchor anchor-other-checkpoint"]);
  expect(failed(late('"kind": "rfc3161"', '"kind": "RFC"'))).toEqual(["receipt.format malformed"]);
});

test("a file of more than 4 MiB is refused unread", () => {
  const report = check(new Uint8Array(4 * 1024 * 1024 + 1), policy);
  expect(failed(report)).toEqual(["receipt.format too-large"]);
});

test("keys of another log, and one wrong key beside a right one, verify nothing", () => {
  const other = readPolicy(utf8("quorum none\n"));
  expect(failed(check(golden("receipt.json"), other))).toEqual(["checkpoint.signatures unknown-log"]);
  const signature = goldenText("receipt.json").replace(/\\n— log\.bank\.example\/lending m3qK[^\\]*/, "");
  expect(failed(check(utf8(signature), policy))).toEqual(["checkpoint.signatures signature-absent"]);
});

test("a shorter receipt is verified, shows what was chosen, and holds nothing of the rest", () => {
  for (const name of ["receipt.json", "receipt-anchored.json"]) {
    const file = golden(name);
    const whole = check(file, policy);
    const fields = whole.receipt?.fields ?? [];
    for (let choice = 0; choice < 1 << fields.length; choice += 37) {
      const kept = fields.filter((_, at) => (choice >> at) % 2 === 1).map((field) => field.index);
      const made = shorter(file, (index) => kept.includes(index));
      const report = check(made, policy);
      expect(report.verdict).toBe(whole.verdict);
      expect(report.receipt?.fields.map((field) => field.index)).toEqual(kept);
      expect(new TextDecoder().decode(made).includes('"deny"')).toBe(kept.includes(8));
    }
    expect(shorter(file, () => true)).toEqual(file);
  }
});

test("nothing shorter is made of a receipt whose fields were changed", () => {
  const changed = utf8(goldenText("receipt.json").replace('"text": "deny"', '"text": "approve"'));
  expect(() => shorter(changed, () => true)).toThrow("fields-changed");
});

test("a wrong signature beside a right one of the same key spoils it", () => {
  const line = /\\n(— log\.bank\.example\/lending LRCC[^\\]*)/.exec(goldenText("receipt.json"))?.[1] ?? "";
  const wrong = line.replace("ZVLB3K3", "ZVLB3K4");
  expect(wrong).not.toBe(line);
  for (const both of [`${line}\\n${wrong}`, `${wrong}\\n${line}`]) {
    const report = check(utf8(goldenText("receipt.json").replace(line, both)), policy);
    expect(failed(report)).toEqual(["checkpoint.signatures signature-wrong"]);
  }
  expect(check(utf8(goldenText("receipt.json").replace(line, `${line}\\n${line}`)), policy).verdict).toBe("verified");
});
