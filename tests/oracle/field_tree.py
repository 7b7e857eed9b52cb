"""Salted field trees and their multiproofs: a second implementation, standard library only.

Follows docs/spec/field-tree.md and shares nothing with the Rust code: the root is RFC 6962's recursive definition.
"""

import hashlib
import hmac
import re

from cbor import encode

FIELDS_MAX = 4096
VALUE_BYTES_MAX = 64 * 1024
VALUE_DEPTH_MAX = 4


def leaf_hash(data):
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left, right):
    return hashlib.sha256(b"\x01" + left + right).digest()


def salt(secret, path):
    return hmac.new(secret, path.encode(), hashlib.sha256).digest()


def preimage(index, count, path, salt_, value):
    return encode(["ledgerstone/field/v1", index, count, path, salt_, value])


def root(leaves):
    """RFC 6962, section 2.1."""
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return node_hash(root(leaves[:split]), root(leaves[split:]))


class FieldTree:
    """A committed record. `fields` maps paths to values."""

    def __init__(self, secret, fields):
        self.fields = sorted(fields.items(), key=lambda pair: pair[0].encode())
        self.count = len(self.fields)
        self.salts = [salt(secret, path) for path, _ in self.fields]
        self.preimages = [
            preimage(index, self.count, path, self.salts[index], value)
            for index, (path, value) in enumerate(self.fields)
        ]
        self.leaves = [leaf_hash(data) for data in self.preimages]
        self.root = root(self.leaves)

    def opening(self, index):
        path, value = self.fields[index]
        return {"index": index, "path": path, "salt": self.salts[index], "value": value}

    def disclose(self, indices):
        return {
            "openings": [self.opening(index) for index in indices],
            "proof": multiproof(self.leaves, indices),
        }


def levels(leaves):
    """All levels of the tree, leaves first; a lone last node moves up as it is."""
    level = list(leaves)
    while True:
        yield level
        if len(level) == 1:
            return
        level = [
            node_hash(*level[at : at + 2]) if at + 1 < len(level) else level[at] for at in range(0, len(level), 2)
        ]


def multiproof(leaves, indices):
    """Hashes beside the paths of the leaves at `indices`, lowest level first, each level from left to right."""
    known, proof = set(indices), []
    for level in levels(leaves):
        beside = {index ^ 1 for index in known} - known
        proof += [level[index] for index in sorted(beside) if index < len(level)]
        known = {index // 2 for index in known}
    return proof


def depth(value):
    return 1 + max(map(depth, value), default=0) if isinstance(value, list) else 0


def in_range(value):
    if isinstance(value, list):
        return all(map(in_range, value))
    return isinstance(value, bool) or not isinstance(value, int) or -(1 << 64) <= value < 1 << 64


def check(disclosure, root_, count):
    """None if the disclosure belongs to the commitment, else the name of the first reason found."""
    if not 1 <= count <= FIELDS_MAX:
        return "BadCount"
    last = None
    for opening in disclosure["openings"]:
        if opening["index"] >= count:
            return "IndexRange"
        if last and last["index"] >= opening["index"]:
            return "IndexOrder"
        if last and last["path"].encode() >= opening["path"].encode():
            return "PathOrder"
        value = opening["value"]
        if depth(value) > VALUE_DEPTH_MAX or not in_range(value) or len(encode(value)) > VALUE_BYTES_MAX:
            return "BadValue"
        last = opening
    if last is None:
        return "Nothing"
    known = {
        o["index"]: leaf_hash(preimage(o["index"], count, o["path"], o["salt"], o["value"]))
        for o in disclosure["openings"]
    }
    proof, width = list(disclosure["proof"]), count
    try:
        while width > 1:
            for beside in sorted({index ^ 1 for index in known} - set(known)):
                if beside < width:
                    known[beside] = proof.pop(0)
            known = {
                index // 2: node_hash(known[index], known[index + 1]) if index + 1 < width else known[index]
                for index in sorted(known)
                if index % 2 == 0
            }
            width = (width + 1) // 2
    except IndexError:
        return "ProofLength"
    if proof:
        return "ProofLength"
    return None if known[0] == root_ else "RootMismatch"


SEGMENT = re.compile(rb"(?:[A-Za-z0-9._~-]|%[0-9A-F]{2})+\Z")
PLACE = re.compile(r"\[(0|[1-9][0-9]*)\]\Z")


def path_error(path):
    """None if the text is a path in its one spelling, else the name of the reason."""
    if len(path.encode()) > 256:
        return "TooLong"
    for segment in path.split("/"):
        if not segment:
            return "EmptySegment"
        place = PLACE.match(segment)
        if place and int(place[1]) < 1 << 32:
            continue
        if not SEGMENT.match(segment.encode()):
            return "BadSegment"
        escaped = [bytes.fromhex(code.decode()) for code in re.findall(rb"%(..)", segment.encode())]
        if any(re.match(rb"[A-Za-z0-9._~-]", byte) for byte in escaped):
            return "BadSegment"
        try:
            re.sub(rb"%(..)", lambda code: bytes.fromhex(code[1].decode()), segment.encode()).decode()
        except UnicodeDecodeError:
            return "BadSegment"
    return None


def tensor_digest(name, dtype, shape, data):
    return hashlib.sha256(encode(["ledgerstone/tensor/v1", name, dtype, shape, data])).digest()
