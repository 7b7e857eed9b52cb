#!/usr/bin/env python3
"""anchor_vectors.py FOLDER: writes anchor_statement.json, golden vectors for anchor statements, mostly malformed ones.

A second implementation of docs/spec/anchor-statement.md: it shares no code with the crate.
"""

import hashlib
import json
import pathlib
import sys

from cbor import Raw, encode, head, long_head, pairs

KEYS = {
    "version": 1,
    "origin": 2,
    "lane": 3,
    "seq": 4,
    "from_size": 5,
    "to_size": 6,
    "from_root": 7,
    "to_root": 8,
    "previous": 9,
    "checkpoint": 10,
}


def digest(name):
    return hashlib.sha256(name.encode()).digest()


FIRST = {
    "version": 1,
    "origin": "example.com/lending",
    "lane": "ethereum",
    "seq": 1,
    "from_size": 0,
    "to_size": 300,
    "from_root": hashlib.sha256(b"").digest(),
    "to_root": digest("root of 300"),
    "previous": bytes(32),
    "checkpoint": digest("note of 300"),
}


def encode_statement(statement):
    return encode({KEYS[name]: value for name, value in statement.items()})


SECOND = {
    **FIRST,
    "seq": 2,
    "from_size": 300,
    "to_size": 12345,
    "from_root": digest("root of 300"),
    "to_root": digest("root of 12345"),
    "previous": hashlib.sha256(encode_statement(FIRST)).digest(),
    "checkpoint": digest("note of 12345"),
}


def valid():
    yield "first", FIRST
    yield "second", SECOND
    yield "first over one leaf", {**FIRST, "to_size": 1}
    yield "one leaf more", {**SECOND, "to_size": 301}
    yield "names at their limits", {**SECOND, "origin": "o" * 255, "lane": "0" + "-" * 31}
    yield "an origin beyond ASCII", {**SECOND, "origin": "example.com/\u00fc"}
    yield "a lane of one character", {**SECOND, "lane": "b"}
    yield "numbers at their limits", {**SECOND, "seq": 99999999, "from_size": 2**63 - 2, "to_size": 2**63 - 1}
    yield "numbers where heads get longer", {**SECOND, "seq": 24, "from_size": 255, "to_size": 256}
    yield "a root of zeros, which no rule forbids", {**SECOND, "to_root": bytes(32)}


def malformed_map():
    plain = [(KEYS[name], value) for name, value in SECOND.items()]
    yield "nothing", b"", "Cbor.Truncated"
    yield "an array", encode(list(SECOND.values())), "Cbor.WrongType"
    yield "an empty map", encode({}), "MissingKey"
    yield "a map in a tag", b"\xd9\xd9\xf7" + pairs(plain), "Cbor.Tag"
    yield "a map of indefinite length", b"\xbf" + pairs(plain)[1:] + b"\xff", "Cbor.Indefinite"
    yield "a byte after the map", pairs(plain) + b"\x00", "Cbor.TrailingBytes"
    yield "a statement after the statement", pairs(plain[:9] + [(10, bytes(0))]) * 2, "Cbor.OutOfRange"
    yield "the last byte missing", pairs(plain)[:-1], "Cbor.Truncated"
    yield "a pair less than the map says", head(5, 11) + pairs(plain)[1:], "Cbor.Truncated"
    yield "a pair more than the map says", head(5, 9) + pairs(plain)[1:], "MissingKey"
    yield "a long head of the map", long_head(5, 10, 1) + pairs(plain)[1:], "Cbor.NotShortest"
    yield "key 11", pairs(plain + [(11, 0)]), "UnknownKey"
    yield "key 2^64 - 1", pairs(plain + [(2**64 - 1, 0)]), "UnknownKey"
    yield "key 0 in front", pairs([(0, 0)] + plain), "MissingKey"
    yield "key -1", pairs(plain + [(-1, 0)]), "Cbor.WrongType"
    yield "a text key", pairs(plain + [("x", 0)]), "Cbor.WrongType"
    yield "a long key", pairs([(Raw(long_head(0, 1, 1)), 1)] + plain[1:]), "Cbor.NotShortest"
    yield "key 10 twice", pairs(plain + plain[-1:]), "Cbor.DuplicateKey"
    for at in range(9):
        swapped = plain[:at] + [plain[at + 1], plain[at]] + plain[at + 2 :]
        yield f"keys {at + 1} and {at + 2} swapped", pairs(swapped), "MissingKey"
    for name in KEYS:
        yield f"no {name}", pairs([pair for pair in plain if pair[0] != KEYS[name]]), "MissingKey"


def malformed_values():
    changed = lambda base, **parts: encode_statement({**base, **parts})
    for version, error in ((0, "Version"), (2, "Version"), (2**64 - 1, "Version"), ("1", "Cbor.WrongType"), (True, "Cbor.WrongType")):
        yield f"version {version!r}", changed(SECOND, version=version), error
    for origin in ("", "a b", "a+b", "a\n", "a\u00a0b", "o" * 256, "\u007f"):
        error = "TooLarge" if len(changed(SECOND, origin=origin)) > 512 else "Origin"
        yield f"origin {origin!r}", changed(SECOND, origin=origin), error
    yield "origin as bytes", changed(SECOND, origin=b"example.com/lending"), "Cbor.WrongType"
    yield "origin not in UTF-8", changed(SECOND, origin=Raw(b"\x61\xff")), "Cbor.Utf8"
    for lane in ("", "-a", "Ethereum", "ether eum", "ether.eum", "ether_eum", "ether/eum", "..", "\u00e9", "a\n", "l" * 33):
        yield f"lane {lane!r}", changed(SECOND, lane=lane), "Lane"
    yield "lane as bytes", changed(SECOND, lane=b"ethereum"), "Cbor.WrongType"
    for name in ("seq", "from_size", "to_size"):
        for value in (-1, 1.0, "1", False, None, b"\x01"):
            yield f"{name} {value!r}", changed(SECOND, **{name: value}), "Cbor.WrongType"
        yield f"{name} with a long head", changed(SECOND, **{name: Raw(long_head(0, 2, 2))}), "Cbor.NotShortest"
        yield f"{name} in a tag", changed(SECOND, **{name: Raw(b"\xc2\x41\x02")}), "Cbor.Tag"
    for name in ("from_root", "to_root", "previous", "checkpoint"):
        for size in (0, 31, 33):
            yield f"{name} of {size} bytes", changed(SECOND, **{name: bytes(size)}), "Cbor.OutOfRange"
        yield f"{name} as hex", changed(SECOND, **{name: "ab" * 16}), "Cbor.WrongType"
        yield f"{name} null", changed(SECOND, **{name: None}), "Cbor.WrongType"
    yield "512 bytes and one", bytes(513), "TooLarge"


def malformed_parts():
    changed = lambda base, **parts: encode_statement({**base, **parts})
    yield "statement 0", changed(FIRST, seq=0), "Seq"
    yield "statement 100000000", changed(SECOND, seq=100000000), "Seq"
    yield "statement 2^64 - 1", changed(SECOND, seq=2**64 - 1), "Seq"
    yield "a tree that did not grow", changed(SECOND, to_size=300), "Sizes"
    yield "a tree that shrank", changed(SECOND, to_size=299), "Sizes"
    yield "a first statement over no leaf", changed(FIRST, to_size=0), "Sizes"
    yield "a tree of 2^63 leaves", changed(SECOND, to_size=2**63), "Sizes"
    yield "a first statement that starts at a leaf", changed(FIRST, from_size=1), "Genesis"
    yield "a first statement from another root", changed(FIRST, from_root=bytes(32)), "Genesis"
    yield "a first statement with one before it", changed(FIRST, previous=digest("x")), "Genesis"
    yield "a second statement as the first", changed(SECOND, seq=1), "Genesis"
    yield "a first statement as the second", changed(FIRST, seq=2), "NoPrevious"
    yield "a second statement with none before it", changed(SECOND, previous=bytes(32)), "NoPrevious"
    yield "a second statement from the empty tree", changed(SECOND, from_size=0, from_root=FIRST["from_root"]), "NoPrevious"


def vectors():
    described = lambda statement: {name: value.hex() if isinstance(value, bytes) else value for name, value in statement.items()}
    encoded = [(name, encode_statement(statement), statement) for name, statement in valid()]
    assert all(len(data) <= 512 for _, data, _ in encoded)
    malformed = [*malformed_map(), *malformed_values(), *malformed_parts()]
    assert len({data for _, data, _ in malformed}) == len(malformed)
    return {
        "about": "Anchor statements with their hashes and parts, and byte strings that are none, with the error.",
        "valid": [
            {"name": name, "hex": data.hex(), "hash": hashlib.sha256(data).hexdigest(), "statement": described(statement)}
            for name, data, statement in encoded
        ],
        "malformed": [{"name": name, "hex": data.hex(), "error": error} for name, data, error in malformed],
    }


def main():
    text = json.dumps(vectors(), indent=1, ensure_ascii=True) + "\n"
    (pathlib.Path(sys.argv[1]) / "anchor_statement.json").write_text(text, encoding="ascii", newline="\n")


if __name__ == "__main__":
    main()
