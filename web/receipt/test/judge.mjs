// Judges receipts with the page as it is shipped: runs its script and asks the checks that it offers.
// node judge.mjs PAGE SUBJECTS ANSWERS: one subject a line, {"file": base64, "policy": base64 or null}; one answer a line.

import { readFileSync, writeFileSync } from "node:fs";
import vm from "node:vm";

const [page, subjects, answers] = process.argv.slice(2);
const html = readFileSync(page, "utf8");
vm.runInThisContext(html.slice(html.indexOf("<script>") + "<script>".length, html.lastIndexOf("</script>")));
const { check, readPolicy } = globalThis.ledgerstone;

const bytes = (text) => new Uint8Array(Buffer.from(text, "base64"));

function judge({ file, policy }) {
  let keys = null;
  try {
    keys = policy === null ? null : readPolicy(bytes(policy));
  } catch (error) {
    if (error.reason === "policy-malformed") {
      return "no policy";
    }
    throw error;
  }
  const { verdict, checks } = check(bytes(file), keys);
  return { verdict, checks: checks.map(({ name, status }) => [name, status]) };
}

const lines = readFileSync(subjects, "utf8").trimEnd().split("\n");
writeFileSync(answers, `${lines.map((line) => JSON.stringify(judge(JSON.parse(line)))).join("\n")}\n`);
