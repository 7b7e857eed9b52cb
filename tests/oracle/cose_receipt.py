"""Checks a COSE receipt of Ledgerstone with pycose and a Merkle check written from RFC 9162 alone.

cose_receipt.py FOLDER: the folder has receipt.cose, entry.cbor and key.cbor (a COSE_Key). Says `verified`, then changes each byte
of the receipt in two ways and says how many bytes could not be changed without its being refused. Nothing of it is ours but the
rules that the profile adds to RFC 9942: which header parameters there are.
"""

import hashlib
import sys
from pathlib import Path

import cbor2
from pycose.algorithms import CoseAlgorithm, EdDSA
from pycose.headers import KID, Algorithm
from pycose.keys import CoseKey
from pycose.messages import CoseMessage, Sign1Message

CWT_CLAIMS, VDS, VDP = 15, 395, 396
RFC9162_SHA256, INCLUSION = 1, -1
ISS, TREE_SIZE = 1, -65537


@CoseAlgorithm.register_attribute()
class Ed25519(EdDSA):
    """RFC 9864's name for EdDSA with Ed25519, which pycose does not have a number for yet."""

    identifier = -19
    fullname = "ED25519"


def root_of(leaf, index, size, path):
    """RFC 9162, section 2.1.3.2."""
    if index >= size:
        raise ValueError("the index is outside the tree")
    fn, sn, r = index, size - 1, leaf
    for p in path:
        if sn == 0:
            raise ValueError("hashes are left over")
        if fn & 1 or fn == sn:
            r = hashlib.sha256(b"\x01" + p + r).digest()
            while not fn & 1 and fn != 0:
                fn, sn = fn >> 1, sn >> 1
        else:
            r = hashlib.sha256(b"\x01" + r + p).digest()
        fn, sn = fn >> 1, sn >> 1
    if sn != 0:
        raise ValueError("hashes are missing")
    return r


def thumbprint(cose_key):
    """RFC 9679."""
    members = {label: cose_key[label] for label in (1, -1, -2)}
    return hashlib.sha256(cbor2.dumps(members, canonical=True)).digest()


def check(receipt, entry, key_bytes):
    """Raises unless the receipt proves that `entry` stands in a tree which the key signed."""
    message = CoseMessage.decode(receipt)
    if not isinstance(message, Sign1Message) or message.payload is not None:
        raise ValueError("not a COSE_Sign1 with a detached payload")
    if set(message.phdr) != {Algorithm, KID, CWT_CLAIMS, VDS} or set(message.uhdr) != {VDP}:
        raise ValueError("other header parameters than the profile has")
    if message.phdr[Algorithm] is not Ed25519 or message.phdr[VDS] != RFC9162_SHA256:
        raise ValueError("another algorithm")
    if message.phdr[KID] != thumbprint(cbor2.loads(key_bytes)):
        raise ValueError("another key")
    if set(message.uhdr[VDP]) != {INCLUSION} or len(message.uhdr[VDP][INCLUSION]) != 1:
        raise ValueError("not one proof of inclusion")
    size, index, path = cbor2.loads(message.uhdr[VDP][INCLUSION][0])
    if not path or any(len(node) != 32 for node in path):
        raise ValueError("not a path")
    if set(message.phdr[CWT_CLAIMS]) != {ISS, TREE_SIZE} or message.phdr[CWT_CLAIMS][TREE_SIZE] != size:
        raise ValueError("other claims")
    root = root_of(hashlib.sha256(b"\x00" + entry).digest(), index, size, path)
    message.key = CoseKey.decode(key_bytes)
    if not message.verify_signature(detached_payload=root):
        raise ValueError("the signature does not hold")
    # Bytes behind the message would be read by nobody: the profile has one encoding.
    if cbor2.dumps(cbor2.loads(receipt), canonical=True) != receipt:
        raise ValueError("not deterministic")
    return message.phdr[CWT_CLAIMS], index, size


def refused(receipt, entry, key):
    try:
        check(receipt, entry, key)
    except Exception:  # whatever the library finds wrong with it
        return True
    return False


def main():
    folder = Path(sys.argv[1])
    receipt, entry, key = (folder.joinpath(name).read_bytes() for name in ("receipt.cose", "entry.cbor", "key.cbor"))
    claims, index, size = check(receipt, entry, key)
    print(f"verified: entry {index} of {size} of {claims[ISS]}")
    kept = [
        at
        for at in range(len(receipt))
        if not all(
            refused(receipt[:at] + bytes([receipt[at] ^ change]) + receipt[at + 1 :], entry, key) for change in (0x01, 0x80)
        )
    ]
    if kept:
        sys.exit(f"bytes {kept} can be changed")
    if not refused(receipt, entry + b"\x00", key):
        sys.exit("another entry is accepted")
    print(f"{len(receipt)} changed bytes refused")


if __name__ == "__main__":
    main()
