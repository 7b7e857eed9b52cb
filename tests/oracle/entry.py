"""The log's entry: a second implementation of its encoder, standard library only. Follows docs/spec/entry.md."""

from cbor import encode

KEYS = {
    "version": 1,
    "kind": 2,
    "writer": 3,
    "session": 4,
    "sequence": 5,
    "recorded_at": 6,
    "decision": 7,
    "links": 8,
    "commitment": 9,
    "sealed": 10,
    "model": 11,
    "policy": 12,
    "mode": 13,
    "details": 14,
}

KINDS = {
    "start": 1,
    "stop": 2,
    "heartbeat": 3,
    "gap": 4,
    "model": 10,
    "policy": 11,
    "key": 12,
    "roster": 13,
    "decision": 20,
    "outcome": 21,
    "explanation": 22,
    "review": 23,
    "notice": 24,
    "contest": 25,
    "correction": 26,
    "erasure": 30,
    "hold": 31,
    "release": 32,
    "anchor": 40,
    "access": 50,
}

MODES = {"strict": 0, "bounded": 1, "observe": 2}


def encode_entry(entry):
    """The bytes of an entry given by names. What is absent, or None, has no key."""
    parts = {"version": 1, **entry}
    if isinstance(parts.get("kind"), str):
        parts["kind"] = KINDS[parts["kind"]]
    if isinstance(parts.get("mode"), str):
        parts["mode"] = MODES[parts["mode"]]
    return encode({KEYS[name]: value for name, value in parts.items() if value is not None})
