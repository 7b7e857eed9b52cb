"""Writes the golden vectors for CBOR, field trees and entries: `python3 record_vectors.py FOLDER`.

Plain Python 3.11, standard library only. Everything is fixed, so the files are the same on every machine. Most vectors
are malformed; each one says by which error, and for CBOR at which offset, it is refused.
"""

import hashlib
import json
import math
import pathlib
import struct
import sys

import field_tree
from cbor import Raw, encode, head, long_head, pairs
from entry import KEYS, KINDS, encode_entry
from field_tree import FieldTree


def digest(name):
    """Some 32 bytes."""
    return hashlib.sha256(name.encode()).digest()


# --- CBOR ---------------------------------------------------------------------------------------------------------


def cbor_valid():
    yield from [
        ("zero", 0),
        ("largest one-byte integer", 23),
        ("smallest two-byte integer", 24),
        ("largest unsigned integer", 2**64 - 1),
        ("smallest integer", -(2**64)),
        ("empty text", ""),
        ("text of 24 bytes", "x" * 24),
        ("text beyond the basic plane", "\U00010151"),
        ("empty bytes", b""),
        ("bytes of 256", bytes(256)),
        ("false, true, null", [False, True, None]),
        ("floats", [0.0, -0.0, 1.5, math.inf, -math.inf, 5e-324, math.nan]),
        ("eight arrays deep", [[[[[[[[]]]]]]]]),
        ("map with keys of many types", Raw(bytes.fromhex("a60a001864002000617a0062616100f400"))),
        ("map by encoded bytes, not by text", Raw(pairs([("z", 1), ("aa", 2)]))),
        ("arrays side by side", [[[]], [[]], [[]]]),
    ]


def cbor_truncated():
    yield "nothing", "", 0
    for major, what in enumerate(["integer", "negative integer", "bytes", "text", "array", "map"]):
        for width in (1, 2, 4, 8):
            bad = long_head(major, (1 << 8 * width) - 1, width)[:-1]
            yield f"{what}: head of {width} bytes cut short", bad, 0
    yield "float cut short", "fb3ff00000000000", 0
    for major, what in ((2, "bytes"), (3, "text")):
        yield f"{what}: one byte short", head(major, 3) + b"ab", 0
        yield f"{what}: as long as a u64 can say", long_head(major, 2**64 - 1, 8), 0
        yield f"{what}: longer than memory", long_head(major, 2**40, 8) + b"abc", 0
    yield "array: no items", "81", 0
    yield "array: one item short", "8200", 0
    yield "array: as many items as a u64 can say", "9bffffffffffffffff00", 0
    yield "array within an array: one item short", "828100", 3
    yield "array: the end of the outer one is missing", "83810000", 4
    yield "map: no pairs", "a1", 0
    yield "map: value missing", "a100", 0
    yield "map: as many pairs as overflow a count of items", "bb8000000000000000", 0
    yield "map: as many pairs as a u64 can say", "bbffffffffffffffff", 0


def cbor_not_shortest():
    for major, what in enumerate(["integer", "negative integer", "bytes", "text", "array", "map"]):
        for width, largest in ((1, 23), (2, 255), (4, 65_535), (8, 2**32 - 1)):
            yield f"{what}: 0 in {width} bytes", long_head(major, 0, width), 0
            yield f"{what}: {largest} in {width} bytes", long_head(major, largest, width), 0
    yield "long head inside an array", "8200190001", 2
    yield "long head of a map key", "a1180100", 1


def cbor_heads():
    for major, what in ((2, "bytes"), (3, "text"), (4, "array"), (5, "map")):
        yield f"indefinite {what}", bytes([major << 5 | 31, 0xFF]), 0, "Indefinite"
    yield "indefinite text in pieces", "7f6161ff", 0, "Indefinite"
    yield "indefinite array in an array", "819fff", 1, "Indefinite"
    yield "break alone", "ff", 0, "Indefinite"
    for major in (0, 1):
        yield f"major type {major} with info 31", bytes([major << 5 | 31]), 0, "UnknownHead"
    for major in (0, 1, 2, 3, 4, 5, 7):
        for info in (28, 29, 30):
            yield f"major type {major} with reserved info {info}", bytes([major << 5 | info]), 0, "UnknownHead"
    for item, what in (
        ("c074323032362d31312d31385431313a30363a34305a", "a date as text"),
        ("c11a00000000", "a date as a number"),
        ("c249010000000000000000", "a big integer"),
        ("d81800", "a tag of two bytes"),
        ("d9d9f700", "the self-description"),
        ("df", "a tag of indefinite length"),
    ):
        yield f"tag: {what}", item, 0, "Tag"
    yield "tag inside a map", "a100c000", 2, "Tag"
    yield "undefined", "f7", 0, "UnknownHead"
    for number in (0, 19):
        yield f"simple value {number}", bytes([0xE0 | number]), 0, "UnknownHead"
    for number in (0, 20, 22, 24, 31, 32, 255):
        yield f"simple value {number} in two bytes", bytes([0xF8, number]), 0, "UnknownHead"


def cbor_contents():
    yield "float of 16 bits", "f93c00", 0, "FloatWidth"
    yield "NaN of 16 bits", "f97e00", 0, "FloatWidth"
    yield "float of 32 bits", "fa3f800000", 0, "FloatWidth"
    yield "NaN of 32 bits", "fa7fc00000", 0, "FloatWidth"
    for bits in ("7ff8000000000001", "fff8000000000000", "7ff0000000000001", "ffffffffffffffff", "7ffc000000000000"):
        yield f"NaN {bits}", "fb" + bits, 0, "NanPayload"
    for text, what in (
        ("80", "a continuation without a start"),
        ("c3", "a character cut short"),
        ("c328", "a start without a continuation"),
        ("c080", "an overlong zero"),
        ("e08080", "an overlong form of three bytes"),
        ("eda080", "a surrogate"),
        ("f4908080", "a character past U+10FFFF"),
        ("ff", "a byte that UTF-8 never has"),
    ):
        data = bytes.fromhex(text)
        yield f"text: {what}", head(3, len(data)) + data, 0, "Utf8"
    yield "text inside an array", "820061ff", 2, "Utf8"
    yield "map: one key twice", "a201000100", 3, "DuplicateKey"
    yield "map: one text key twice", "a2616100616101", 4, "DuplicateKey"
    yield "map: keys falling", "a202000100", 3, "KeyOrder"
    yield "map: text keys sorted by letters", "a262616100617a00", 5, "KeyOrder"
    yield "map: text before an integer", "a26161000000", 4, "KeyOrder"
    yield "map: -1 before 100", "a22000186400", 3, "KeyOrder"
    yield "map in a map: keys falling", "a100a202000100", 5, "KeyOrder"
    yield "nine arrays deep", "81" * 8 + "80", 8, "TooDeep"
    yield "nine maps deep", "a100" * 8 + "a0", 16, "TooDeep"
    yield "arrays and maps nine deep", "81a100" * 4 + "80", 12, "TooDeep"
    yield "deep as a stack is long", "81" * 1000, 8, "TooDeep"
    for item, at in (("0000", 1), ("8000", 1), ("a0f6", 1), ("6161ff", 2), ("820000f4", 3)):
        yield f"bytes after {item[:-2]}", item, at, "TrailingBytes"


def cbor_vectors():
    malformed = [(name, data, at, "Truncated") for name, data, at in cbor_truncated()]
    malformed += [(name, data, at, "NotShortest") for name, data, at in cbor_not_shortest()]
    malformed += [*cbor_heads(), *cbor_contents()]
    return {
        "about": "Deterministic CBOR items, and byte strings that are none, with the error and the offset it is found at.",
        "valid": [{"name": name, "hex": encode(value).hex()} for name, value in cbor_valid()],
        "malformed": [
            {"name": name, "hex": data if isinstance(data, str) else data.hex(), "error": error, "at": at}
            for name, data, at, error in malformed
        ],
    }


# --- Field trees --------------------------------------------------------------------------------------------------


def value_json(value):
    """A value by its type, as in a receipt, but floats by their bits."""
    if value is None:
        return {"null": True}
    if isinstance(value, bool):
        return {"bool": value}
    if isinstance(value, int):
        return {"int": str(value)}
    if isinstance(value, float):
        return {"float_bits": encode(value)[1:].hex()}
    if isinstance(value, str):
        return {"text": value}
    if isinstance(value, bytes):
        return {"bytes": value.hex()}
    return {"array": [value_json(item) for item in value]}


SMALL = {
    "decision/id": "0193b3c4-5d6e-7f80-8123-456789abcdef",
    "input/feature/loan%20amount": 128.0,
    "model/name": "lending",
    "outcome/action": "deny",
    "time/received": 1795000000000,
}

LOAN = {
    **SMALL,
    "explanation/reason/[0]/code": "R07",
    "explanation/reason/[0]/contribution": -0.75,
    "explanation/reason/[10]/code": "R02",
    "explanation/reason/[2]/code": "R11",
    "input/observed": "true",
    "input/tensor/x/digest": field_tree.tensor_digest("x", "FP32", [1, 2], struct.pack("<2f", 1.0, 2.0)),
    "input/tensor/x/dtype": "FP32",
    "input/tensor/x/shape": [1, 2],
    "model/adapters": [],
    "model/seed": None,
    "opt_out": False,
    "output/score/approve": 0.125,
    "privacy/masked/[0]/pointer": "input/feature/age",
    "privacy/masked/[0]/reason": "protected class",
}

VALUES = {
    "input/feature/all": [None, False, True, 0, -1, "", "ü", b"", b"\x00\xff", [[[]]]],
    "input/feature/infinity": math.inf,
    "input/feature/largest": 2**64 - 1,
    "input/feature/minus_zero": -0.0,
    "input/feature/nan": math.nan,
    "input/feature/smallest": -(2**64),
    "input/feature/zero": 0.0,
}


def numbered(count):
    return {f"input/feature/{n:03}": n for n in range(count)}


def tree_case(name, secret, fields, choices):
    tree = FieldTree(secret, fields)
    disclosures = []
    for indices in choices:
        disclosure = tree.disclose(indices)
        assert field_tree.check(disclosure, tree.root, tree.count) is None
        disclosures.append({"indices": indices, "proof": [node.hex() for node in disclosure["proof"]]})
    return {
        "name": name,
        "secret": secret.hex(),
        "fields": [
            {"path": path, "value": value_json(value), "salt": tree.salts[index].hex(), "leaf": tree.leaves[index].hex()}
            for index, (path, value) in enumerate(tree.fields)
        ],
        "preimage_of_first": tree.preimages[0].hex(),
        "root": tree.root.hex(),
        "count": tree.count,
        "disclosures": disclosures,
    }


def scattered(count):
    """A few choices of leaves of a tree."""
    last = count - 1
    choices = [[0], [last], [last // 2], [0, last], list(range(0, count, 2)), list(range(1, count, 3)), list(range(count))]
    return [list(choice) for choice in dict.fromkeys(tuple(sorted(set(c))) for c in choices) if choice]


def tree_cases():
    yield tree_case("five fields of a small decision", digest("small"), SMALL, [[3], [0, 3], [0, 1, 2, 3, 4]])
    yield tree_case("a loan", digest("loan"), LOAN, scattered(len(LOAN)))
    yield tree_case("every type of value", digest("values"), VALUES, scattered(len(VALUES)))
    for count in (1, 2, 3, 4, 7, 8, 9, 16, 17, 31, 33, 64, 100):
        yield tree_case(f"{count} fields", digest(f"count {count}"), numbered(count), scattered(count))


def changed(disclosure, at=None, proof=None, **parts):
    """A disclosure with parts of one opening, or its proof, replaced."""
    openings = [dict(opening) for opening in disclosure["openings"]]
    if at is not None:
        openings[at].update(parts)
    return {"openings": openings, "proof": disclosure["proof"] if proof is None else proof}


def deep(levels):
    return [] if levels == 1 else [deep(levels - 1)]


def refused_openings(tree, base):
    openings, proof = base["openings"], base["proof"]
    yield "nothing opened", {"openings": [], "proof": [tree.root]}, "Nothing"
    yield "openings swapped", {"openings": openings[::-1], "proof": proof}, "IndexOrder"
    yield "an opening twice", {"openings": [openings[0]] + openings, "proof": proof}, "IndexOrder"
    yield "an opening left out", {"openings": openings[:-1], "proof": proof}, "RootMismatch"
    yield "another field's opening under this index", changed(base, 0, **{**tree.opening(1), "index": 0}), "RootMismatch"
    yield "index moved to the sibling", changed(base, 0, index=openings[0]["index"] ^ 1), "RootMismatch"
    yield "index equal to the count", changed(base, -1, index=tree.count), "IndexRange"
    yield "index of 2^32 - 1", changed(base, -1, index=2**32 - 1), "IndexRange"
    yield "path of another field", changed(base, 0, path="a"), "RootMismatch"
    yield "paths out of order", changed(base, 0, path="z"), "PathOrder"
    yield "path twice", changed(base, 0, path=openings[1]["path"]), "PathOrder"
    yield "salt of another field", changed(base, 0, salt=openings[1]["salt"]), "RootMismatch"
    yield "salt of zeros", changed(base, 0, salt=bytes(32)), "RootMismatch"


def refused_values(base):
    for what, value in (
        ("another integer", 1),
        ("the same integer as a float", 0.0),
        ("false instead of 0", False),
        ("null instead of 0", None),
        ("text instead of 0", "0"),
        ("a list of it", [0]),
        ("minus zero", -0.0),
    ):
        yield f"value: {what}", changed(base, 0, value=value), "RootMismatch"
    for what, value in (
        ("past the largest integer", 2**64),
        ("past the smallest integer", -(2**64) - 1),
        ("five arrays deep", deep(5)),
        ("integer out of range in a list", [2**64]),
    ):
        yield f"value: {what}", changed(base, 0, value=value), "BadValue"


def refused_proofs(tree, base):
    proof = base["proof"]
    yield "no proof", changed(base, proof=[]), "ProofLength"
    yield "the first hash left out", changed(base, proof=proof[1:]), "ProofLength"
    yield "the last hash left out", changed(base, proof=proof[:-1]), "ProofLength"
    yield "the root behind the proof", changed(base, proof=proof + [tree.root]), "ProofLength"
    yield "the last hash twice", changed(base, proof=proof + proof[-1:]), "ProofLength"
    yield "two hashes swapped", changed(base, proof=[proof[1], proof[0]] + proof[2:]), "RootMismatch"
    yield "the proof reversed", changed(base, proof=proof[::-1]), "RootMismatch"
    yield "one bit of one hash", changed(base, proof=[bytes([proof[0][0] ^ 1]) + proof[0][1:]] + proof[1:]), "RootMismatch"
    yield "a leaf hash in place of a node", changed(base, proof=proof[:-1] + [tree.leaves[5]]), "RootMismatch"


def refused_cases():
    tree = FieldTree(digest("refused"), {f"f{n:02}": 0 for n in range(11)})
    base = tree.disclose([2, 5, 10])
    cases = [*refused_openings(tree, base), *refused_values(base), *refused_proofs(tree, base)]
    cases = [(name, disclosure, tree.root, tree.count, error) for name, disclosure, error in cases]
    for count, error in ((0, "BadCount"), (4097, "BadCount"), (10, "IndexRange"), (12, "ProofLength"), (16, "ProofLength")):
        cases.append((f"count of {count} instead of 11", base, tree.root, count, error))
    cases.append(("root of another record", base, FieldTree(digest("other"), {"a": 1}).root, tree.count, "RootMismatch"))
    # One leaf of a tree of eight, shown as one of a tree of four: rs_merkle's own verifier takes this.
    eight = FieldTree(digest("eight"), numbered(8))
    moved = changed(eight.disclose([0]), 0, index=8)
    cases.append(("index 8 of 4 leaves by a proof for index 0 of 8", moved, eight.root, 4, "IndexRange"))
    cases.append(("proof of 8 leaves for a count of 5", eight.disclose([0]), eight.root, 5, "RootMismatch"))
    # An inner node shown as a leaf: its preimage cannot be a field's.
    cases.append(("one field with a surplus hash", changed(FieldTree(digest("1"), {"a": 1}).disclose([0]), proof=[tree.root]),
                  FieldTree(digest("1"), {"a": 1}).root, 1, "ProofLength"))
    for name, disclosure, root, count, error in cases:
        found = field_tree.check(disclosure, root, count)
        assert found == error, (name, found, error)
        yield {
            "name": name,
            "root": root.hex(),
            "count": count,
            "openings": [
                {**opening, "salt": opening["salt"].hex(), "value": value_json(opening["value"])}
                for opening in disclosure["openings"]
            ],
            "proof": [node.hex() for node in disclosure["proof"]],
            "error": error,
        }


PATHS = [
    "a", "decision/id", "input/feature/Income", "input/feature/loan%20amount", "input/feature/%C3%BC", "input/tensor/x%3A0/digest",
    "explanation/reason/[0]/code", "explanation/reason/[4294967295]/code", "a/..", "a/~", "%25", "%2F", "x" * 256,
    "", "/", "/a", "a/", "a//b", "a b", "ü", "a/%c3%bc", "a/%61", "a/%2E", "a/%", "a/%4", "a/%G0", "a/%FF", "a/%C3", "a/%ED%A0%80",
    "a/[]", "a/[01]", "a/[-1]", "a/[+1]", "a/[1 ]", "a/[4294967296]", "a/[1", "a/1]", "a/[1]x", "a/*", "a?b", "a\n", "a\u0000", "x" * 257,
]


def tensor_cases():
    for name, dtype, shape, data in (
        ("x", "FP32", [1, 2], struct.pack("<2f", 1.0, 2.0)),
        ("x", "FP32", [2, 1], struct.pack("<2f", 1.0, 2.0)),
        ("y", "FP32", [1, 2], struct.pack("<2f", 1.0, 2.0)),
        ("x", "INT32", [1, 2], struct.pack("<2f", 1.0, 2.0)),
        ("features", "FP64", [1, 3], struct.pack("<3d", 0.1, -0.0, math.inf)),
        ("ids", "INT64", [3], struct.pack("<3q", -1, 0, 2**62)),
        ("flags", "BOOL", [4], b"\x01\x00\x01\x01"),
        ("words", "BYTES", [2], struct.pack("<I", 2) + b"ab" + struct.pack("<I", 0)),
        ("empty", "FP32", [0], b""),
        ("scalar", "FP16", [], b"\x00\x3c"),
    ):
        found = field_tree.tensor_digest(name, dtype, shape, data)
        yield {"name": name, "dtype": dtype, "shape": shape, "data": data.hex(), "digest": found.hex()}


def field_vectors():
    paths = [{"path": path, "error": field_tree.path_error(path)} for path in PATHS]
    return {
        "about": "Field trees with salts, leaves, roots and multiproofs; disclosures that are refused, with the error; "
        "paths with the error, null where they are paths; digests of tensors.",
        "trees": list(tree_cases()),
        "refused": list(refused_cases()),
        "paths": paths,
        "tensors": list(tensor_cases()),
    }


# --- Entries ------------------------------------------------------------------------------------------------------

SESSION = bytes.fromhex("c0ffee00112233445566778899aabbcc")
DECISION = bytes.fromhex("0193b3c45d6e7f808123456789abcdef")
COMMON = {"writer": "gateway-1", "session": SESSION, "sequence": 17, "recorded_at": 1795000000000}
SMALL_TREE = FieldTree(digest("small"), SMALL)
DECIDED = {
    **COMMON,
    "kind": "decision",
    "decision": DECISION,
    "commitment": [SMALL_TREE.root, SMALL_TREE.count],
    "sealed": [digest("sealed record"), 4321],
    "model": digest("model"),
    "policy": digest("policy"),
    "mode": "strict",
    "details": {1: 0},
}
START = {**COMMON, "kind": "start", "sequence": 0, "details": {1: "0.1.0", 2: digest("configuration")}}
STOP = {**COMMON, "kind": "stop"}
HEARTBEAT = {**COMMON, "kind": "heartbeat", "details": {1: 2, 2: 15}}
GAP = {**COMMON, "kind": "gap", "details": {1: 12, 2: 14, 3: 1}}
MODEL = {**COMMON, "kind": "model", "model": digest("model"), "details": {1: "mortgage", 2: "2026.1", 3: digest("model.sig")}}
ANCHOR = {
    **COMMON, "kind": "anchor", "details": {1: "ethereum", 2: 1, 3: 12, 4: 9000, 5: digest("statement")},
}
POLICY = {**COMMON, "kind": "policy", "policy": digest("plan"), "details": {1: "audit-plan"}}
REVIEW = {**COMMON, "kind": "review", "links": [3, 900]}
ERASURE = {
    **COMMON, "kind": "erasure",
    "details": {1: bytes(range(16)), 2: 1, 3: 1, 4: "dpo-7", 5: 1, 6: 412, 7: 0, 8: 1, 9: bytes(range(32))},
}
ERASED_RECORD = {
    **ERASURE, "decision": DECISION, "links": [900],
    "details": {**ERASURE["details"], 2: 2, 9: bytes(16), 10: bytes([7] * 16)},
}
HOLD = {**COMMON, "kind": "hold", "details": {1: bytes(range(16)), 2: "counsel", 3: digest("mark")}}
HELD_RECORD = {**COMMON, "kind": "hold", "decision": DECISION, "links": [900], "details": {1: bytes(16), 2: "counsel"}}
ACCESS = {
    **COMMON, "kind": "access", "decision": DECISION, "links": [900, 907], "commitment": [digest("reader"), 5],
    "sealed": [digest("sealed reader"), 300], "details": {1: 1},
}
STRETCH = {**COMMON, "kind": "access", "commitment": [digest("reader"), 5], "details": {1: 4, 2: 0, 3: 4095}}
RELEASE = {**COMMON, "kind": "release", "details": {1: bytes(range(16)), 2: "counsel"}}


def entry_valid():
    yield "decision", DECIDED
    yield "decision, as little as there can be", {
        **COMMON, "kind": "decision", "decision": DECISION, "commitment": [digest("root"), 1], "details": {1: 14},
    }
    yield "decision with every part", {**DECIDED, "links": [0, 23, 24, 2**64 - 1], "mode": "observe"}
    yield "decision of a full record", {**DECIDED, "commitment": [digest("root"), 4096]}
    yield "start of a writer's first session", START
    yield "start after another session", {**START, "details": {**START["details"], 3: bytes(16)}}
    yield "stop", STOP
    yield "stop under a policy", {**STOP, "policy": digest("policy")}
    yield "heartbeat", HEARTBEAT
    for reason in (1, 2, 3, 4):
        yield f"gap for reason {reason}", {**GAP, "details": {1: 12, 2: 12, 3: reason}}
    for kind in ("outcome", "explanation", "review", "notice", "contest", "correction"):
        yield f"{kind} that links to its decision", {**COMMON, "kind": kind, "links": [7], "decision": DECISION}
    yield "model with its signature", MODEL
    yield "model without a signature", {**MODEL, "details": {1: "a", 2: "1"}}
    yield "model with names at their limits", {**MODEL, "details": {1: "-._" + "a" * 61, 2: "+-._" + "Z" * 60}}
    yield "policy", POLICY
    for name, details in (
        ("ethereum", {}), ("bitcoin", {1: "bitcoin", 2: 2}), ("rfc3161", {1: "freetsa", 2: 3}),
        ("with numbers at their lower limits", {1: "0", 3: 1, 4: 1}),
        ("with numbers at their upper limits", {1: "z-" * 16, 3: 99999999, 4: 2**63 - 1}),
    ):
        yield f"anchor {name}", {**ANCHOR, "details": {**ANCHOR["details"], **details}}
    for scope, ground, outcome, keys in ((1, 2, 1, 96), (3, 2, 1, 1), (1, 3, 2, 0), (1, 1, 3, 0)):
        yield f"erasure of scope {scope} on ground {ground}, outcome {outcome}, {keys} keys", {
            **ERASURE, "details": {**ERASURE["details"], 2: scope, 3: ground, 5: outcome, 7: 4, 8: 5, 9: bytes(range(16)) * keys},
        }
    yield "erasure of a record", ERASED_RECORD
    yield "erasure of a record that had its key alone", {
        **ERASED_RECORD, "details": {key: value for key, value in ERASED_RECORD["details"].items() if key < 10},
    }
    yield "hold on a person", HOLD
    yield "hold on a record", HELD_RECORD
    yield "release", RELEASE
    yield "access to one decision's records", ACCESS
    for purpose in (1, 2, 3, 4, 5, 6):
        yield f"access for purpose {purpose} to a stretch", {**STRETCH, "details": {**STRETCH["details"], 1: purpose}}
    for kind in ("key", "roster"):
        yield f"{kind} with details of every type", {**COMMON, "kind": kind, "details": {0: 1, 5: b"\x00", 24: "t", 300: True}}
    yield "names and numbers at their limits", {
        **STOP, "writer": "-._" + "9" * 61, "session": bytes([255] * 16), "sequence": 2**64 - 1, "recorded_at": 2**64 - 1,
    }
    yield "32 links", {**REVIEW, "links": list(range(32))}


def entry_described(entry):
    """The parts of an entry as JSON."""
    parts = {name: value.hex() if isinstance(value, bytes) else value for name, value in entry.items()}
    for pair in ("commitment", "sealed"):
        if pair in entry:
            parts[pair] = [entry[pair][0].hex(), entry[pair][1]]
    if "details" in entry:
        parts["details"] = {
            str(key): {"uint": value} if type(value) is int
            else {"bool": value} if isinstance(value, bool)
            else {"text": value} if isinstance(value, str)
            else {"bytes": value.hex()}
            for key, value in entry["details"].items()
        }
    return parts


def raw_pairs(entry):
    """The map of an entry as a list of pairs, to be put out of order."""
    parts = {"version": 1, **entry, "kind": KINDS[entry["kind"]]}
    if "mode" in entry:
        parts["mode"] = 0
    return sorted((KEYS[name], value) for name, value in parts.items())


def without(entry, name):
    return {key: value for key, value in entry.items() if key != name}


def malformed_map():
    plain = raw_pairs(STOP)
    yield "nothing", b"", "Cbor.Truncated"
    yield "an array", encode([1, 2, 3]), "Cbor.WrongType"
    yield "an empty map", encode({}), "MissingKey"
    yield "a map in a tag", b"\xd9\xd9\xf7" + pairs(plain), "Cbor.Tag"
    yield "a map of indefinite length", b"\xbf" + pairs(plain)[1:] + b"\xff", "Cbor.Indefinite"
    yield "a byte after the map", pairs(plain) + b"\x00", "Cbor.TrailingBytes"
    yield "an entry after the entry", pairs(plain) * 2, "Cbor.TrailingBytes"
    yield "the last byte missing", pairs(plain)[:-1], "Cbor.Truncated"
    yield "a pair less than the map says", head(5, 7) + pairs(plain)[1:], "Cbor.Truncated"
    yield "a needed pair more than the map says", head(5, 5) + pairs(plain)[1:], "MissingKey"
    policy = encode(12) + encode(digest("policy"))
    yield "an optional pair more than the map says", pairs(plain) + policy, "Cbor.TrailingBytes"
    yield "a long head of the map", long_head(5, 6, 1) + pairs(plain)[1:], "Cbor.NotShortest"
    yield "keys 5 and 6 swapped", pairs(plain[:4] + [plain[5], plain[4]]), "MissingKey"
    yield "optional keys swapped", pairs(plain + [(12, digest("policy")), (11, digest("model"))]), "Cbor.KeyOrder"
    yield "an optional key twice", pairs(plain + [(12, digest("policy"))] * 2), "Cbor.DuplicateKey"
    yield "key 6 twice", pairs(plain + plain[-1:]), "Cbor.DuplicateKey"
    yield "key 0 in front", pairs([(0, 0)] + plain), "MissingKey"
    yield "key 15", pairs(plain + [(15, 0)]), "UnknownKey"
    yield "key 2^64 - 1", pairs(plain + [(2**64 - 1, 0)]), "UnknownKey"
    yield "key -1", pairs(plain + [(-1, 0)]), "Cbor.WrongType"
    yield "a text key", pairs(plain + [("x", 0)]), "Cbor.WrongType"
    yield "a long key", pairs(plain + [(Raw(long_head(0, 12, 1)), digest("policy"))]), "Cbor.NotShortest"
    for name in ("version", "kind", "writer", "session", "sequence", "recorded_at"):
        yield f"no {name}", pairs([pair for pair in plain if pair[0] != KEYS[name]]), "MissingKey"


def malformed_values():
    with_stop = lambda **parts: encode_entry({**STOP, **parts})
    for version, error in ((0, "Version"), (2, "Version"), (2**64 - 1, "Version"), ("1", "Cbor.WrongType"), (1.0, "Cbor.WrongType")):
        yield f"version {version!r}", with_stop(version=version), error
    for kind in (0, 5, 9, 14, 19, 27, 29, 33, 39, 41, 255, 276, 2**32 + 2):
        yield f"kind {kind}", with_stop(kind=kind), "UnknownKind"
    yield "kind as text", encode_entry({**STOP, "kind": Raw(encode("stop"))}), "Cbor.WrongType"
    for writer in ("", "x" * 65, "Gateway", "gate way", "gate/way", "gateway\u00e9", "gateway\n", "gateway:1"):
        yield f"writer {writer!r}", with_stop(writer=writer), "Writer"
    yield "writer as bytes", with_stop(writer=b"gateway"), "Cbor.WrongType"
    yield "writer not in UTF-8", with_stop(writer=Raw(b"\x61\xff")), "Cbor.Utf8"
    for size in (0, 15, 17, 32):
        yield f"session of {size} bytes", with_stop(session=bytes(size)), "Cbor.OutOfRange"
    yield "session as text", with_stop(session="c0ffee0011223344"), "Cbor.WrongType"
    for name in ("sequence", "recorded_at"):
        for value in (-1, 1.0, "1", False, b"\x01"):
            yield f"{name} {value!r}", with_stop(**{name: value}), "Cbor.WrongType"
        yield f"{name} with a long head", with_stop(**{name: Raw(long_head(0, 17, 2))}), "Cbor.NotShortest"
        yield f"{name} in a tag", with_stop(**{name: Raw(b"\xc1\x11")}), "Cbor.Tag"


def malformed_parts():
    with_decision = lambda **parts: encode_entry({**DECIDED, **parts})
    for size in (0, 15, 17):
        yield f"decision id of {size} bytes", with_decision(decision=bytes(size)), "Cbor.OutOfRange"
    yield "decision id null", with_decision(decision=Raw(b"\xf6")), "Cbor.WrongType"
    for what, links, error in (
        ("none", [], "Empty"),
        ("one twice", [5, 5], "LinkOrder"),
        ("falling", [6, 5], "LinkOrder"),
        ("33", list(range(33)), "TooManyLinks"),
        ("negative", [-1], "Cbor.WrongType"),
        ("as text", ["5"], "Cbor.WrongType"),
        ("not a list", 5, "Cbor.WrongType"),
        ("nested", [[5]], "Cbor.WrongType"),
    ):
        yield f"links: {what}", with_decision(links=links), error
    root = digest("root")
    for part, numbers in (("commitment", "count"), ("sealed", "length")):
        yield f"{part}: digest of 31 bytes", with_decision(**{part: [root[:31], 1]}), "Cbor.OutOfRange"
        yield f"{part}: digest of 33 bytes", with_decision(**{part: [root + b"\x00", 1]}), "Cbor.OutOfRange"
        yield f"{part}: no {numbers}", with_decision(**{part: [root]}), "Cbor.OutOfRange"
        yield f"{part}: one item more", with_decision(**{part: [root, 1, 1]}), "Cbor.OutOfRange"
        yield f"{part}: negative {numbers}", with_decision(**{part: [root, -1]}), "Cbor.WrongType"
        yield f"{part}: swapped", with_decision(**{part: [1, root]}), "Cbor.WrongType"
        yield f"{part}: a map", with_decision(**{part: {0: root, 1: 1}}), "Cbor.WrongType"
    for count, error in ((0, "FieldCount"), (4097, "FieldCount"), (2**32 - 1, "FieldCount"), (2**32, "Cbor.OutOfRange")):
        yield f"commitment to {count} fields", with_decision(commitment=[root, count]), error
    for part in ("model", "policy"):
        yield f"{part} of 31 bytes", with_decision(**{part: root[:31]}), "Cbor.OutOfRange"
        yield f"{part} as hex", with_decision(**{part: root.hex()}), "Cbor.WrongType"
    for mode in (3, 255):
        yield f"mode {mode}", with_decision(mode=mode), "UnknownMode"
    yield "mode as a truth value", with_decision(mode=True), "Cbor.WrongType"


def malformed_details():
    free = lambda details: encode_entry({**COMMON, "kind": "key", "details": details})
    yield "details: empty", free({}), "Empty"
    yield "details: a list", free([1]), "Cbor.WrongType"
    yield "details: a text key", free({"a": 1}), "Cbor.WrongType"
    yield "details: one key twice", free(pairs([(1, 1), (1, 1)])), "Cbor.DuplicateKey"
    yield "details: keys falling", free(pairs([(2, 1), (1, 1)])), "Cbor.KeyOrder"
    for what, value in (("null", Raw(b"\xf6")), ("a float", 1.0), ("a list", []), ("a map", {}), ("negative", -1)):
        yield f"details: {what}", free({1: value}), "Cbor.WrongType"
    yield "details: undefined", free({1: Raw(b"\xf7")}), "Cbor.UnknownHead"
    for base, changes in (
        (START, [None, {1: "0.1.0"}, {2: digest("c")}, {1: b"0.1.0", 2: digest("c")}, {1: "0.1.0", 2: digest("c")[:31]},
                 {1: "0.1.0", 2: digest("c"), 3: bytes(15)}, {1: "0.1.0", 2: digest("c"), 4: 0}, {0: 0, 1: "0.1.0", 2: digest("c")}]),
        (STOP, [{1: 0}, {0: True}]),
        (HEARTBEAT, [None, {1: 2}, {2: 15}, {1: 2, 2: 15, 3: 0}, {1: "2", 2: 15}]),
        (GAP, [None, {1: 12, 2: 14}, {1: 14, 2: 12, 3: 1}, {1: 12, 2: 14, 3: 0}, {1: 12, 2: 14, 3: 5}, {1: 12, 2: 14, 3: 1, 4: 1}]),
        (MODEL, [None, {1: "m"}, {2: "1"}, {1: "M", 2: "1"}, {1: "m m", 2: "1"}, {1: "", 2: "1"}, {1: "m", 2: ""},
                 {1: "m" * 65, 2: "1"}, {1: "m", 2: "1" * 65}, {1: "m", 2: "1/2"}, {1: "m", 2: 1}, {1: b"m", 2: "1"},
                 {1: "m", 2: "1", 3: bytes(31)}, {1: "m", 2: "1", 3: "x"}, {1: "m", 2: "1", 4: 0}, {0: 0, 1: "m", 2: "1"}]),
        (POLICY, [None, {1: "Audit Plan"}, {1: ""}, {1: 1}, {2: "audit-plan"}, {1: "a", 2: "b"}]),
        (ANCHOR, [None, *({**ANCHOR["details"], key: value} for key, value in (
            (1, ""), (1, "-lane"), (1, "Lane"), (1, "la.ne"), (1, "la_ne"), (1, "l" * 33), (1, b"lane"), (2, 0), (2, 4), (2, 5), (2, "ethereum"),
            (3, 0), (3, 100000000), (3, True), (4, 0), (4, 2**63), (4, "9000"), (5, bytes(31)), (5, bytes(33)), (5, "x"), (0, 0), (6, 0),
        )), *({key: value for key, value in ANCHOR["details"].items() if key != gone} for gone in (1, 2, 3, 4, 5))]),
        (ERASURE, [None, *({**ERASURE["details"], key: value} for key, value in (
            (1, bytes(15)), (1, "x"), (2, 0), (2, 4), (3, 0), (3, 4), (4, ""), (4, "D PO"), (4, b"dpo"), (5, 0), (5, 2), (5, 4), (6, "1"),
            (7, 1), (8, 0), (9, b""), (9, bytes(15)), (9, bytes(97 * 16)), (9, "x"), (10, bytes(16)), (0, 0), (11, 0),
        )), *({key: value for key, value in ERASURE["details"].items() if key != gone} for gone in range(1, 10))]),
        (ERASED_RECORD, [{**ERASED_RECORD["details"], key: value} for key, value in (
            (9, bytes(32)), (9, b""), (10, bytes(15)), (10, "x"), (5, 3), (11, 0),
        )]),
        (HOLD, [None, {1: bytes(16)}, {2: "a"}, {1: bytes(15), 2: "a"}, {1: bytes(16), 2: "A"}, {1: bytes(16), 2: "a", 3: bytes(31)},
                {1: bytes(16), 2: "a", 3: bytes(32), 4: 0}]),
        (RELEASE, [None, {1: bytes(16)}, {1: bytes(16), 2: "a", 3: 0}, {1: 1, 2: "a"}]),
        (ACCESS, [None, {1: 0}, {1: 7}, {1: "1"}, {2: 1}, {1: 1, 2: 4}, {1: 1, 3: 4}, {0: 0, 1: 1}, {1: 1, 4: 0}]),
        (STRETCH, [None, {1: 4, 2: 9, 3: 8}, {1: 4, 2: 0}, {1: 4, 2: "0", 3: 1}, {1: 4, 2: 0, 3: 1, 4: 0}, {1: 0, 2: 0, 3: 1}]),
        (DECIDED, [None, {1: 2**32}, {1: "0"}, {1: True}, {2: 0}, {1: 0, 2: 0}]),
    ):
        for details in changes:
            shown = {key: value if isinstance(value, (int, str)) else f"{len(value)} bytes" for key, value in (details or {}).items()}
            yield f"details of a {base['kind']}: {shown}", encode_entry({**base, "details": details}), "Detail"


def malformed_kinds():
    extra = {name: DECIDED[name] for name in ("decision", "commitment", "model", "mode")} | {"links": [1]}
    for base in (START, STOP, HEARTBEAT, GAP):
        for name, value in extra.items():
            yield f"{base['kind']} with {name}", encode_entry({**base, name: value}), "Surplus"
    for base in (ERASURE, HOLD, RELEASE):
        for name, value in {**extra, "policy": digest("x")}.items():
            yield f"{base['kind']} with {name}", encode_entry({**base, name: value}), "Surplus"
    for base in (ERASED_RECORD, HELD_RECORD):
        for name in ("decision", "links"):
            parts = {key: value for key, value in base.items() if key != name}
            yield f"{base['kind']} of a record without {name}", encode_entry(parts), "Missing"
    for name, value in {**extra, "sealed": DECIDED["sealed"], "policy": digest("x")}.items():
        yield f"anchor with {name}", encode_entry({**ANCHOR, name: value}), "Surplus"
    for name, value in {"model": digest("x"), "policy": digest("x"), "mode": "strict"}.items():
        yield f"access with {name}", encode_entry({**ACCESS, name: value}), "Surplus"
    yield "access without its reader", encode_entry(without(without(ACCESS, "sealed"), "commitment")), "Missing"
    yield "access to nothing", encode_entry(without(ACCESS, "links")), "Missing"
    yield "access to a stretch and links", encode_entry({**STRETCH, "links": [4]}), "Surplus"
    yield "access to a stretch of one decision", encode_entry({**STRETCH, "decision": DECISION}), "Surplus"
    for base, other in ((MODEL, "policy"), (POLICY, "model")):
        for name, value in {**without(extra, "model"), "sealed": DECIDED["sealed"], other: digest("x")}.items():
            yield f"{base['kind']} with {name}", encode_entry({**base, name: value}), "Surplus"
        yield f"{base['kind']} without its digest", encode_entry(without(base, base["kind"])), "Missing"
    yield "start with sequence 1", encode_entry({**START, "sequence": 1}), "StartSequence"
    for name in ("decision", "commitment"):
        yield f"decision without {name}", encode_entry(without(without(DECIDED, "sealed"), name)), "Missing"
    yield "decision with a sealed record and no commitment", encode_entry(without(DECIDED, "commitment")), "Missing"
    for kind in ("outcome", "explanation", "review", "notice", "contest", "correction"):
        yield f"{kind} without a link", encode_entry({**COMMON, "kind": kind, "decision": DECISION}), "Missing"
    yield "a sealed record without its commitment", encode_entry({**REVIEW, "sealed": DECIDED["sealed"]}), "Missing"
    long = {**COMMON, "kind": "key"}
    room = 2048 - len(encode_entry({**long, "details": {1: "x" * 1000}})) + 1000
    assert len(encode_entry({**long, "details": {1: "x" * room}})) == 2048
    yield "one byte more than 2048", encode_entry({**long, "details": {1: "x" * (room + 1)}}), "TooLarge"
    yield "4096 bytes", bytes(4096), "TooLarge"


def entry_vectors():
    valid = []
    for name, entry in entry_valid():
        data = encode_entry(entry)
        assert len(data) <= 2048
        valid.append(
            {"name": name, "hex": data.hex(), "leaf": field_tree.leaf_hash(data).hex(), "entry": entry_described(entry)}
        )
    malformed = [*malformed_map(), *malformed_values(), *malformed_parts(), *malformed_details(), *malformed_kinds()]
    return {
        "about": "Entries with their leaf hashes and parts, and byte strings that are no entry, with the error.",
        "valid": valid,
        "malformed": [{"name": name, "hex": data.hex(), "error": error} for name, data, error in malformed],
    }


def main():
    folder = pathlib.Path(sys.argv[1])
    for name, vectors in (("cbor", cbor_vectors()), ("field_tree", field_vectors()), ("entry", entry_vectors())):
        text = json.dumps(vectors, indent=1, ensure_ascii=True) + "\n"
        (folder / f"{name}.json").write_text(text, encoding="ascii", newline="\n")


if __name__ == "__main__":
    main()
