"""A second implementation of the sealed record: prints the vectors that sidecar/src/seal/tests.rs opens, the first under a
key-encryption key, the second under two subject keys; and the wrapped key in sidecar/src/keyring/subject.rs.

Needs the package `cryptography`. Written from the header of sidecar/src/seal.rs, RFC 3394 and RFC 9052, without
looking at the Rust code below that header. Run: python3 sidecar/tests/oracle/sealed.py
"""

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.keywrap import aes_key_wrap


def head(major, value):
    if value < 24:
        return bytes([major << 5 | value])
    for info, width in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if value < 1 << 8 * width:
            return bytes([major << 5 | info]) + value.to_bytes(width, "big")
    raise ValueError(value)


def cbor(item):
    if isinstance(item, int):
        return head(0, item) if item >= 0 else head(1, -1 - item)
    if isinstance(item, bytes):
        return head(2, len(item)) + item
    if isinstance(item, str):
        text = item.encode()
        return head(3, len(text)) + text
    if isinstance(item, list):
        return head(4, len(item)) + b"".join(map(cbor, item))
    if isinstance(item, dict):
        return head(5, len(item)) + b"".join(cbor(key) + cbor(value) for key, value in item.items())
    raise TypeError(item)


kek = bytes(range(32))
record_key = bytes(range(32, 64))
nonce = bytes(range(64, 76))
decision = bytes(range(80, 96))
secret = bytes(range(100, 132))

plaintext = cbor(
    {
        1: secret,
        2: [["decision/id", "a"], ["input/feature/income", 1200]],
        3: b"request",
        4: b"response",
    }
)
protected = cbor({1: 3})
external = cbor(["ledgerstone/sealed/v1", decision])
aad = cbor(["Encrypt0", protected, external])
ciphertext = AESGCM(record_key).encrypt(nonce, plaintext, aad)
unprotected = {4: b"oracle", 5: nonce, -70001: aes_key_wrap(kek, record_key)}
print((head(6, 16) + cbor([protected, unprotected, ciphertext])).hex())


def wrap_under(keys, key):
    """Wraps under subject keys: pairs of a name and a key, together."""
    info = b"ledgerstone/record-wrap/v1" + b"".join(name for name, _ in keys)
    wrapping = HKDF(SHA256(), 32, None, info).derive(b"".join(key for _, key in keys))
    return aes_key_wrap(wrapping, key)


subjects = [(bytes([n] * 16), bytes([n] * 32)) for n in (1, 2)]
unprotected = {5: nonce, -70001: wrap_under(subjects, record_key), -70002: b"".join(name for name, _ in subjects)}
print((head(6, 16) + cbor([protected, unprotected, ciphertext])).hex())
print(wrap_under(subjects, bytes([9] * 32)).hex())
