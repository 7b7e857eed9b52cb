"""Signs model folders with OpenSSF model signing and writes down what it computes: `python3 signed.py FOLDER`.

`FOLDER/model` is a folder with names that sort by their parts, hidden files, an empty file and what git leaves; the
signatures beside it are of the kinds that are checked and of those that are refused; `FOLDER/inside` holds its own. `roots.json` has the digest that the
package gives as the subject of each. `FOLDER/trees` holds random folders for the digest alone.
"""

import base64
import json
import pathlib
import random
import sys

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from model_signing import hashing, signing

FILES = {
    "weights.bin": bytes(range(256)) * 9000,
    "config.json": b'{"layers": 2}',
    "tokenizer/vocab.txt": "één\n".encode(),
    "a/b": b"below a",
    "a.b": b"beside a",
    "a/c/d": b"deep",
    ".hidden": b"counts",
    "empty": b"",
    "Z": b"upper case",
    "é": b"two bytes",
    "nested/.git/HEAD": b"not at the top",
}
LEFT_OUT = {".git/HEAD": b"ref", ".gitattributes": b"x", ".gitignore": b"y", ".github/ci.yml": b"z"}


def write(folder, files):
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (folder / "no files here").mkdir(exist_ok=True)


def key(folder, name, curve):
    private = ec.generate_private_key(curve)
    pem = folder / f"{name}.key"
    pem.write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    (folder / f"{name}.pem").write_bytes(
        private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
    return pem


def sign(model, signature, pem, config=None, ignored=()):
    config = (config or hashing.Config()).set_ignored_paths(paths=[*ignored], ignore_git_paths=True)
    signing.Config().use_elliptic_key_signer(private_key=pem).set_hashing_config(config).sign(model, signature)
    bundle = json.loads(signature.read_text())
    payload = json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))
    return payload["subject"][0]["digest"]["sha256"]


def main():
    folder = pathlib.Path(sys.argv[1])
    model = folder / "model"
    model.mkdir(parents=True)
    write(model, FILES | LEFT_OUT)
    inside = folder / "inside"
    write(inside, FILES | LEFT_OUT)
    p256, p384 = key(folder, "p256", ec.SECP256R1()), key(folder, "p384", ec.SECP384R1())
    key(folder, "other", ec.SECP256R1())
    key(folder, "p521", ec.SECP521R1())
    roots = {
        "p256.sig": sign(model, folder / "p256.sig", p256),
        "p384.sig": sign(model, folder / "p384.sig", p384),
        "inside/model.sig": sign(inside, inside / "model.sig", p256, ignored=["model.sig"]),
        "part.sig": sign(model, folder / "part.sig", p256, ignored=["tokenizer"]),
    }
    shards = hashing.Config().use_shard_serialization()
    sign(model, folder / "shards.sig", p256, shards)
    blake = hashing.Config().use_file_serialization(hashing_algorithm="blake2")
    sign(model, folder / "blake2.sig", p256, blake)
    draw = random.Random(7)
    for number in range(20):
        tree = folder / "trees" / str(number)
        parts = ["a", "b", "a.b", "a-b", "A", "0", "é", "a b", "z"]
        names = {"/".join(draw.choices(parts, k=draw.randint(1, 4))) for _ in range(draw.randint(1, 30))}
        taken = {name for name in names if not any(other.startswith(name + "/") for other in names)}
        write(tree, {name: draw.randbytes(draw.randint(0, 50)) for name in taken})
        manifest = hashing.hash(tree)
        signature = folder / "tree.sig"
        roots[f"trees/{number}"] = sign(tree, signature, p256)
        assert len(list(manifest.resource_descriptors())) == len(taken)
    (folder / "roots.json").write_text(json.dumps(roots))


if __name__ == "__main__":
    main()
