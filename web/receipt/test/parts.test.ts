// The parts that read bytes: what they take, and above all what they refuse.

import { describe, expect, test } from "vitest";

import { base64, decimal, fromBase64, hex, utf8 } from "../src/verify/bytes.ts";
import { floatText, writeJson } from "../src/verify/canonical.ts";
import { head, readCbor } from "../src/verify/cbor.ts";
import { readEntry } from "../src/verify/entry.ts";
import { checkFields, isPath, readHashes, type Field } from "../src/verify/fields.ts";
import { Fault } from "../src/verify/fault.ts";
import { readJson } from "../src/verify/json.ts";
import { checkInclusion, leafHash, nodeHash, sha256 } from "../src/verify/merkle.ts";
import { isKeyName, readKey, readNote } from "../src/verify/note.ts";
import { readPolicy } from "../src/verify/policy.ts";
import { readTlogProof } from "../src/verify/proof.ts";
import { readStatement } from "../src/verify/statement.ts";
import { block, golden, goldenText, unhex } from "./support.ts";

describe("base64", () => {
  test("reads back what it writes", () => {
    for (let length = 0; length < 70; length += 1) {
      const bytes = Uint8Array.from({ length }, (_, at) => (at * 37 + length) & 255);
      expect(base64(bytes)).toBe(Buffer.from(bytes).toString("base64"));
      expect(fromBase64(base64(bytes))).toEqual(bytes);
    }
  });

  test.each(["Zg", "Zg=", "Zh==", "Zm9=", "Zg==\n", " Zg==", "Zg==Zg==", "Z===", "====", "-_==", "Zg==A", "A=AA"])(
    "refuses the second spelling %j",
    (text) => {
      expect(fromBase64(text)).toBeNull();
    },
  );
});

test("a decimal has no sign, no leading zero and at most 64 bits", () => {
  expect(decimal("18446744073709551615")).toBe(18446744073709551615n);
  for (const text of ["", "-1", "+1", "01", "1.0", "1 ", "0x1", "18446744073709551616", "٣"]) {
    expect(decimal(text)).toBeNull();
  }
});

describe("JSON", () => {
  test.each([
    '{"a":1,"a":1}',
    "[1,]",
    "{,}",
    "01",
    "+1",
    "1.",
    ".5",
    "1e",
    "NaN",
    "'a'",
    '"\\x"',
    '"\\ud800"',
    '"a\nb"',
    "[1] 2",
    "",
    "\ufeff1",
    "[".repeat(128) + "]".repeat(128),
  ])("refuses %j", (text) => {
    expect(() => readJson(utf8(text))).toThrow(Fault);
  });

  test("refuses bytes that are not UTF-8", () => {
    expect(() => readJson(Uint8Array.of(0x22, 0xff, 0x22))).toThrow(Fault);
  });

  test("the canonical form of the golden receipts is the golden receipts", () => {
    for (const name of ["receipt.json", "receipt-anchored.json", "receipt-later.json"]) {
      expect(`${writeJson(readJson(golden(name)))}\n`).toBe(goldenText(name));
    }
  });

  test("floats are written with a point or an exponent, shortest first", () => {
    const cases: [number, string][] = [
      [0, "0.0"],
      [-0, "-0.0"],
      [1, "1.0"],
      [0.1875, "0.1875"],
      [-2.5, "-2.5"],
      [1e15, "1000000000000000.0"],
      [1e16, "1e+16"],
      [1.5e300, "1.5e+300"],
      [0.00001, "0.00001"],
      [0.000001, "1e-6"],
      [5e-324, "5e-324"],
      [123456789012345680, "1.2345678901234568e+17"],
    ];
    for (const [value, text] of cases) {
      expect(floatText(value)).toBe(text);
    }
  });
});

describe("CBOR", () => {
  test.each(["1817", "190017", "1a00000017", "1b0000000000000017", "5f4100ff", "9fff", "bfff", "c001", "f6", "f7", "f93c00", "fb3ff0000000000000", "20", "0000", "a201010101", "a202000100", "61ff", "43ffff", "9bffffffffffffffff", "", "1c", "a16161", "f818"])(
    "refuses %s",
    (bytes) => {
      expect(() => readCbor(unhex(bytes))).toThrow();
    },
  );

  test("heads are in their shortest form", () => {
    for (const number of [0n, 23n, 24n, 255n, 256n, 65535n, 65536n, 4294967295n, 4294967296n, (1n << 64n) - 1n]) {
      expect(readCbor(head(0, number))).toBe(number);
    }
  });
});

describe("the entry", () => {
  const example = unhex(block("entry.md", "entry"));

  test("the example of the specification is read, and its leaf hash is the one printed there", () => {
    const entry = readEntry(example);
    expect(entry).toMatchObject({ writer: "gateway-1", sequence: 17n, recordedAt: 1795000000000n, mode: "strict", status: 0n });
    expect(entry.decision).toBe("0193b3c4-5d6e-7f80-8123-456789abcdef");
    expect(hex(leafHash(example))).toBe(block("entry.md", "leaf").trim());
  });

  test("every cut of it is refused, and what follows it too", () => {
    for (let length = 0; length < example.length; length += 1) {
      expect(() => readEntry(example.subarray(0, length))).toThrow(Fault);
    }
    expect(() => readEntry(Uint8Array.of(...example, 0))).toThrow(Fault);
  });

  test("an entry of another version is refused", () => {
    const changed = example.slice();
    changed[2] = 0x02;
    expect(() => readEntry(changed)).toThrow("entry-malformed");
  });

  test("an entry of another kind is not a decision", () => {
    const changed = example.slice();
    changed[4] = 0x15;
    expect(() => readEntry(changed)).toThrow("not-a-decision");
  });
});

describe("fields", () => {
  const [first = "", ...hashes] = block("field-tree.md", "proof").trim().split("\n");
  const proof = [first, ...hashes].map(unhex);
  const commitment = { root: unhex(block("field-tree.md", "tree").slice(0, 64)), count: 5 };
  const salt = unhex(block("field-tree.md", "salt"));
  const field: Field = { index: 3, path: "outcome/action", salt, value: { type: "text", value: "deny" } };

  test("the example of the specification holds", () => {
    expect(() => checkFields([field], proof, commitment)).not.toThrow();
  });

  test.each<[string, Field[], Uint8Array[], number]>([
    ["fields-changed", [{ ...field, value: { type: "text", value: "approve" } }], proof, 5],
    ["fields-changed", [{ ...field, path: "outcome/actiom" }], proof, 5],
    ["fields-changed", [{ ...field, index: 2 }], proof, 5],
    ["fields-changed", [field], proof, 6],
    ["fields-proof-length", [field], proof.slice(1), 5],
    ["fields-proof-length", [field], [...proof, salt], 5],
    ["fields-proof-length", [{ ...field, index: 4 }], proof, 5],
    ["fields-order", [field, field], proof, 5],
    ["fields-order", [{ ...field, index: 5 }], proof, 5],
    ["fields-order", [{ ...field, index: 2, path: "z" }, field], proof, 5],
    ["fields-order", [], proof, 5],
    ["fields-value", [{ ...field, value: { type: "int", value: 1n << 64n } }], proof, 5],
    ["fields-value", [{ ...field, value: { type: "text", value: "x".repeat(65_534) } }], proof, 5],
  ])("refuses with %s", (reason, fields, hashes, count) => {
    expect(() => checkFields(fields, hashes, { ...commitment, count })).toThrow(reason);
  });

  test("a path has one spelling", () => {
    for (const path of ["a", "a/[0]", "a/[4294967295]", "loan%20amount", "a/%C3%B6", "~._-"]) {
      expect(isPath(path)).toBe(true);
    }
    for (const path of ["", "/", "a/", "a//b", "a b", "%41", "%c3%b6", "%C3", "a/[00]", "a/[4294967296]", "[x]", "é", "a".repeat(257)]) {
      expect(isPath(path)).toBe(false);
    }
  });

  test("a hash has 32 bytes", () => {
    expect(() => readHashes([base64(new Uint8Array(31))])).toThrow(Fault);
    expect(() => readHashes([null])).toThrow(Fault);
  });
});

/** The root of RFC 6962, section 2.1, as it is defined there. */
function rootOf(leaves: Uint8Array[]): Uint8Array {
  const [only] = leaves;
  if (leaves.length === 1 && only !== undefined) {
    return only;
  }
  const split = 2 ** Math.ceil(Math.log2(leaves.length) - 1);
  return nodeHash(rootOf(leaves.slice(0, split)), rootOf(leaves.slice(split)));
}

/** The proof of RFC 6962, section 2.1.1, as it is defined there. */
function proofOf(leaves: Uint8Array[], index: number): Uint8Array[] {
  if (leaves.length === 1) {
    return [];
  }
  const split = 2 ** Math.ceil(Math.log2(leaves.length) - 1);
  const [left, right] = [leaves.slice(0, split), leaves.slice(split)];
  return index < split ? [...proofOf(left, index), rootOf(right)] : [...proofOf(right, index - split), rootOf(left)];
}

test("inclusion holds for every place of small trees, and for no other place, root or number of hashes", () => {
  for (let size = 1; size <= 33; size += 1) {
    const leaves = Array.from({ length: size }, (_, at) => sha256(Uint8Array.of(at)));
    const root = rootOf(leaves);
    leaves.forEach((leaf, index) => {
      const proof = proofOf(leaves, index);
      const check = (at: number, hashes: Uint8Array[], of = size) => () => checkInclusion(leaf, BigInt(at), BigInt(of), hashes, root);
      expect(check(index, proof)).not.toThrow();
      expect(check(index, [...proof, root])).toThrow("inclusion-length");
      expect(check(size, proof)).toThrow("index-outside");
      if (size > 1) {
        expect(check(index, proof.slice(0, -1))).toThrow("inclusion-length");
        expect(check((index + 1) % size, proof)).toThrow(Fault);
      }
    });
    expect(() => checkInclusion(root, 0n, 0n, [], root)).toThrow("index-outside");
  }
});

describe("notes and keys", () => {
  const note = `text\n\n— a ${base64(Uint8Array.of(1, 2, 3, 4, 5))}\n`;

  test("a note is read", () => {
    expect(readNote(note)).toEqual({ text: "text\n", signatures: [{ name: "a", id: "01020304", bytes: Uint8Array.of(5) }] });
  });

  test.each([
    note.slice(0, -1),
    note.replace("\n\n", "\n"),
    note.replace("— ", "- "),
    note.replace("— a ", "— a  "),
    note.replace("— a ", "— a+ "),
    note.replace("text", "te\rxt"),
    "text\n\n",
    note + note.slice(6).repeat(32),
    note.replace(/ [A-Za-z0-9+/=]+\n$/, " AQIDBA==\n"),
    "x".repeat(65_536) + note,
  ])("refuses another text %#", (text) => {
    expect(readNote(text)).toBeNull();
  });

  test("a name has no space, plus or control character, and at most 255 bytes", () => {
    for (const name of ["", "a b", "a+b", "a\u00a0b", "a\u0085b", "a\u007f", "é".repeat(128)]) {
      expect(isKeyName(name)).toBe(false);
    }
    expect(isKeyName("é".repeat(127))).toBe(true);
  });

  const [, ed25519 = "", , mlDsa = ""] = goldenText("log.policy").split(/[ \n]/);

  test("a key's id is that of its name and bytes", () => {
    expect(readKey(ed25519)?.type).toBe(1);
    expect(readKey(mlDsa)?.type).toBe(6);
    expect(readKey(ed25519.replace("lending", "lendinh"))).toBeNull();
    expect(readKey(ed25519.replace("+2d", "+2D"))).toBeNull();
    expect(readKey(`${ed25519} `)).toBeNull();
  });

  test("keys of small order and second spellings of a point are refused", () => {
    const points = [
      "0100000000000000000000000000000000000000000000000000000000000000",
      "0000000000000000000000000000000000000000000000000000000000000000",
      "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
      "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
      "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
      "0100000000000000000000000000000000000000000000000000000000000080",
    ];
    // y + p for the small y that are on the curve: the same points written a second time.
    const second = Array.from({ length: 17 }, (_, at) => `${(0xed + 2 + at).toString(16)}${"ff".repeat(30)}7f`);
    for (const point of [...points, ...second]) {
      const material = Uint8Array.of(1, ...unhex(point));
      const id = hex(sha256(Uint8Array.of(...utf8("a\n"), ...material)).slice(0, 4));
      expect(readKey(`a+${id}+${base64(material)}`)).toBeNull();
    }
  });
});

test("a policy that breaks a rule is refused", () => {
  const policy = goldenText("log.policy");
  expect(readPolicy(utf8(policy)).logs).toHaveLength(2);
  const wrong = ["", "quorum none", "quorum none\nquorum none\n", "quorum a\n", "group a 1 b\nquorum none\n", "x\nquorum none\n", "log\nquorum none\n"];
  for (const text of [...wrong, policy.replace("\nquorum none", ""), policy + policy, `${policy}\r\n`, policy.replace("none", "none extra")]) {
    expect(() => readPolicy(utf8(text))).toThrow("policy-malformed");
  }
});

test("a tlog-proof has its header, its place and whole hashes, and no extra line", () => {
  const proof = (JSON.parse(goldenText("receipt.json")) as { tlog_proof: string }).tlog_proof;
  expect(readTlogProof(proof)?.index).toBe(6n);
  for (const [from, to] of [["@v1", "@v2"], ["index 6", "index 06"], ["index 6", "index  6"], ["index 6", "extra YQ==\nindex 6"], ["bFUh", "FUh"], ["\n\n", "\n"]] as const) {
    expect(readTlogProof(proof.replace(from, to))).toBeNull();
  }
});

test("a statement has its ten keys and grows", () => {
  const example = unhex(block("anchor-statement.md", "statement"));
  expect(readStatement(example)).toMatchObject({ origin: "example.com/lending", lane: "ethereum", seq: 2n, size: 12345n });
  expect(hex(sha256(example))).toBe(block("anchor-statement.md", "hash").trim());
  for (let at = 0; at < example.length; at += 1) {
    expect(readStatement(example.subarray(0, at))).toBeNull();
  }
  const still = hex(example).replace("0519012c06193039", "0519303906193039");
  expect(readStatement(unhex(still))).toBeNull();
  const first = hex(example).replace("68657468657265756d0402", "68657468657265756d0401");
  expect(readStatement(unhex(first))).toBeNull();
});
