"""Deterministic CBOR as Ledgerstone writes it: a second implementation, standard library only.

Integers, text, bytes, booleans, None, lists and dicts of integer keys are written as RFC 8949, section 4.2.1, says.
Floats are always binary64, with one NaN. A `Raw` is bytes that somebody has already written, right or wrong.
"""

import math
import struct


class Raw(bytes):
    """An item that is already encoded."""


def head(major, argument):
    """A head in its shortest form."""
    for info, width, limit in ((None, 0, 24), (24, 1, 1 << 8), (25, 2, 1 << 16), (26, 4, 1 << 32), (27, 8, 1 << 64)):
        if argument < limit:
            first = argument if info is None else info
            return bytes([major << 5 | first]) + (argument.to_bytes(width, "big") if width else b"")
    raise ValueError(f"{argument} has no head")


def long_head(major, argument, width):
    """A head of `width` argument bytes, whether or not a shorter one would do."""
    return bytes([major << 5 | {1: 24, 2: 25, 4: 26, 8: 27}[width]]) + argument.to_bytes(width, "big")


def pairs(items):
    """A map of the pairs given, in the order given."""
    return Raw(head(5, len(items)) + b"".join(encode(key) + encode(value) for key, value in items))


def encode(value):
    """The one encoding of a value."""
    if isinstance(value, Raw):
        return bytes(value)
    if value is None:
        return b"\xf6"
    if isinstance(value, bool):
        return b"\xf5" if value else b"\xf4"
    if isinstance(value, int):
        return head(0, value) if value >= 0 else head(1, -1 - value)
    if isinstance(value, float):
        return b"\xfb" + (bytes.fromhex("7ff8000000000000") if math.isnan(value) else struct.pack(">d", value))
    if isinstance(value, str):
        text = value.encode()
        return head(3, len(text)) + text
    if isinstance(value, (bytes, bytearray)):
        return head(2, len(value)) + bytes(value)
    if isinstance(value, (list, tuple)):
        return head(4, len(value)) + b"".join(encode(item) for item in value)
    if isinstance(value, dict):
        return bytes(pairs(sorted(value.items(), key=lambda pair: encode(pair[0]))))
    raise TypeError(type(value))
