#!/usr/bin/env python3
"""approval_vectors.py FOLDER: writes approval.json, golden vectors for statements and rosters, mostly malformed ones.

A second implementation of docs/spec/approval.md: it shares no code with the crate.
"""

import hashlib
import json
import pathlib
import sys

from cbor import encode

LABELS = {
    "model": ["name", "version", "digest", "signature"],
    "policy": ["name", "digest"],
    "key": ["from", "to"],
    "retention": ["from", "to"],
    "roster": ["from", "to"],
}

KINDS = {"model": 1, "policy": 2, "key": 3, "retention": 4, "roster": 5}


def digest(name):
    return "sha256:" + hashlib.sha256(name.encode()).hexdigest()


def statement(kind, times=("2026-11-18T11:06:40.000Z", "2026-11-25T11:06:40.000Z"), nonce="09" * 16, **values):
    lines = ["ledgerstone/approval/v1", "log log.example.com/loans", f"change {kind}"]
    lines += [f"{label} {values[label]}" for label in LABELS[kind] if label in values]
    lines += [f"created {times[0]}", f"expires {times[1]}", f"nonce {nonce}"]
    return "".join(line + "\n" for line in lines)


def roster(keys, rules):
    """The bytes of a roster: `keys` are (name of the person, 32 bytes), `rules` kind to (threshold, names)."""
    keys = sorted(keys, key=lambda key: key[1])
    persons = []
    for name, _ in keys:
        if name not in persons:
            persons.append(name)
    places = {name: place for place, name in enumerate(persons)}
    public = {
        KINDS[kind]: [threshold, sorted(places[name] for name in names)]
        for kind, (threshold, names) in rules.items()
    }
    return encode(["ledgerstone/roster/v1", [[places[name], key] for name, key in keys], public])


def valid_statements():
    yield statement("model", name="credit", version="2026.1", digest=digest("model"))
    yield statement("model", name="credit", version="2026.1", digest=digest("m"), signature=digest("s"))
    yield statement("policy", name="audit-plan", digest=digest("plan"))
    yield statement("key", **{"from": "none", "to": "a"})
    yield statement("key", **{"from": "a", "to": "b"})
    yield statement("retention", **{"from": "none", "to": digest("r")})
    yield statement("retention", **{"from": digest("q"), "to": digest("r")})
    yield statement("roster", **{"from": digest("q"), "to": digest("r")})
    yield statement("policy", ("2028-02-29T00:00:00.001Z", "2028-03-31T00:00:00.001Z"), name="p", digest=digest("p"))


def malformed_statements():
    good = statement("model", name="credit", version="1", digest=digest("model"))
    yield "no text", ""
    yield "another first line", good.replace("v1", "v2", 1)
    yield "no final newline", good[:-1]
    yield "an empty line more", good + "\n"
    yield "a line more", good + "more\n"
    yield "carriage returns", good.replace("\n", "\r\n")
    yield "a space more", good.replace("name credit", "name  credit")
    yield "a space behind", good.replace("name credit", "name credit ")
    yield "a name of a person", good.replace("name credit", "name Jane Doe")
    yield "another kind", good.replace("change model", "change erasure")
    yield "lines of another kind", good.replace("change model", "change policy")
    yield "lines in another order", statement("model", name="1", version="1", digest=digest("m")).replace(
        "name 1\nversion 1\n", "version 1\nname 1\n"
    )
    yield "a digest without its name", good.replace("sha256:", "")
    yield "a digest in capitals", good.replace(digest("model"), "sha256:" + digest("model")[7:].upper())
    yield "a digest cut short", good.replace(digest("model"), digest("model")[:-2])
    yield "a nonce cut short", good.replace("09" * 16, "09" * 15)
    yield "a nonce in capitals", good.replace("09" * 16, "0A" * 16)
    yield "a day that there is not", good.replace("2026-11-18", "2026-11-31")
    yield "a second that there is not", good.replace("11:06:40.000Z\nexpires", "11:06:60.000Z\nexpires")
    yield "no milliseconds", good.replace("40.000Z\nexpires", "40Z\nexpires")
    yield "another zone", good.replace("40.000Z\nexpires", "40.000+00:00\nexpires")
    yield "no time at all", good.replace("2026-11-25", "2026-11-18")
    yield "an end before its beginning", good.replace("2026-11-25", "2026-11-17")
    yield "more than 31 days", good.replace("2026-11-25T11:06:40.000Z", "2026-12-19T11:06:40.001Z")
    yield "a roster from none", statement("roster", **{"from": "none", "to": digest("r")})
    yield "more than 736 bytes", good.replace("log.example.com/loans", "l" * 700)


ALICE, CARD, BOB, CAROL = (bytes([first]) + b"\x11" * 31 for first in (7, 200, 3, 90))
KEYS = [("alice", ALICE), ("alice", CARD), ("bob", BOB), ("carol", CAROL)]


def valid_rosters():
    everybody = ["alice", "bob", "carol"]
    yield encode(["ledgerstone/roster/v1", [], {}])
    yield roster(KEYS, {"roster": (1, ["bob"])})
    yield roster(KEYS, {kind: (2, everybody) for kind in KINDS})
    yield roster(KEYS[::-1], {"model": (3, everybody), "roster": (2, ["alice", "carol"])})


def malformed_rosters():
    def public(keys, rules, domain="ledgerstone/roster/v1"):
        return encode([domain, keys, rules])

    one = {5: [1, [0]]}
    yield "no bytes", b""
    yield "another domain", public([[0, BOB]], one, "ledgerstone/roster/v2")
    yield "a byte more", public([[0, BOB]], one) + b"\x00"
    yield "keys that fall", public([[0, ALICE], [1, BOB]], one)
    yield "a key twice", public([[0, BOB], [0, BOB]], one)
    yield "persons not numbered as they come", public([[1, BOB], [0, ALICE]], one)
    yield "a person left out", public([[0, BOB], [2, ALICE]], one)
    yield "no rule for the roster", public([[0, BOB]], {1: [1, [0]]})
    yield "keys and no rules", public([[0, BOB]], {})
    yield "a rule of a kind that there is not", public([[0, BOB]], {5: [1, [0]], 6: [1, [0]]})
    yield "threshold zero", public([[0, BOB]], {5: [0, [0]]})
    yield "a threshold above its persons", public([[0, BOB]], {5: [2, [0]]})
    yield "a person twice", public([[0, BOB], [1, ALICE]], {5: [1, [0, 0]]})
    yield "persons that fall", public([[0, BOB], [1, ALICE]], {5: [1, [1, 0]]})
    yield "a person without a key", public([[0, BOB]], {5: [1, [1]]})
    yield "a key of 31 bytes", public([[0, BOB[:-1]]], one)
    many = [[place, bytes([place]) * 32] for place in range(17)]
    yield "seventeen keys", public(many, one)
    yield "a threshold of nine", public(many[:16], {5: [9, list(range(16))]})


def vectors():
    return {
        "statements": [
            {"text": text, "digest": hashlib.sha256(text.encode()).hexdigest()} for text in valid_statements()
        ],
        "malformed_statements": [{"what": what, "text": text} for what, text in malformed_statements()],
        "rosters": [{"bytes": data.hex(), "digest": hashlib.sha256(data).hexdigest()} for data in valid_rosters()],
        "malformed_rosters": [{"what": what, "bytes": data.hex()} for what, data in malformed_rosters()],
    }


def main(folder):
    text = json.dumps(vectors(), indent=1, ensure_ascii=True) + "\n"
    pathlib.Path(folder, "approval.json").write_text(text)


if __name__ == "__main__":
    main(sys.argv[1])
