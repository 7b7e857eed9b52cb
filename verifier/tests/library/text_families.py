"""Writes the small text models that verifier/tests/vectors/text/ keeps: a folder for each family, with random weights, and what a reference says.

    python text_families.py OUT_DIR

BERT, DistilBERT, RoBERTa and XLM-RoBERTa are answered by the Flax classes of transformers in f32, which share no code with candle;
DeBERTa v2 and ModernBERT have no such class, and are answered in f64 by the formulas below, written from their papers and settings.
"""

import json
import math
import os
import pathlib
import sys

os.environ["JAX_PLATFORMS"] = "cpu"

import numpy
from text_minilm import erf, norm, softmax, write_safetensors

LETTERS = [chr(point) for point in range(33, 127) if not chr(point).isupper()]
TEXTS = ["a loan was refused", "Income: 1,200 EUR (net)", "she has worked here for nine years; the employer confirms it", "", "zz top"]
SIZES = {"hidden_size": 24, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 36, "max_position_embeddings": 96}
LABELS = {0: "no", 1: "maybe", 2: "yes"}


def tokenizer(special):
    """Letters as pieces, in the format of tokenizer.json; the first and last of the special tokens stand around a text."""
    pieces = special + LETTERS + ["##" + letter for letter in LETTERS]
    vocabulary = {piece: id for id, piece in enumerate(pieces)}
    unknown = next(token for token in special if "unk" in token.lower())
    begin, end = special[0] if special[0] != "[PAD]" else "[CLS]", "</s>" if "</s>" in special else "[SEP]"
    one = lambda token: {"SpecialToken": {"id": token, "type_id": 0}}
    described = lambda token: {"id": token, "ids": [vocabulary[token]], "tokens": [token]}
    file = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": vocabulary[t], "content": t, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
            for t in special
        ],
        "normalizer": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None, "lowercase": True},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [one(begin), {"Sequence": {"id": "A", "type_id": 0}}, one(end)],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {begin: described(begin), end: described(end)},
        },
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {"type": "WordPiece", "unk_token": unknown, "continuing_subword_prefix": "##", "max_input_chars_per_word": 100, "vocab": vocabulary},
    }

    def cut(text):
        ids = []
        for word in text.lower().split():
            start = True
            for letter in word:
                mark = not letter.isalnum()
                ids.append(vocabulary[letter if start or mark else "##" + letter])
                start = mark
        return [vocabulary[begin], *ids, vocabulary[end]]

    return file, cut, len(pieces)


BERT_TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
ROBERTA_TOKENS = ["<s>", "<pad>", "</s>", "<unk>"]


def shaken(random, name, numbers):
    """Weights large enough that attention is far from even and activations from straight."""
    scale, center = (0.2, 1.0) if "norm" in name.lower() and name.endswith("weight") else (0.25, 0.0)
    return numpy.float32(center + scale * random.normal(size=numpy.shape(numbers)))


def save(out, name, config, special, weights, score, layers_seen):
    folder = out / name
    folder.mkdir(parents=True, exist_ok=True)
    file, cut, _ = tokenizer(special)
    (folder / "config.json").write_text(json.dumps(config, indent=1, sort_keys=True) + "\n")
    (folder / "tokenizer.json").write_text(json.dumps(file, ensure_ascii=False) + "\n")
    write_safetensors(folder / "model.safetensors", weights)
    answers = []
    for text in TEXTS:
        vector, logits = score(cut(text))
        answers.append({"text": text, "tokens": len(cut(text)), "vector": vector, "logits": logits})
    (folder / "answers.json").write_text(json.dumps({"reference": layers_seen, "answers": answers}) + "\n")


def flax_family(out, name, make_config, make_model, special, probe):
    import jax
    from flax.traverse_util import flatten_dict, unflatten_dict

    config = make_config(tokenizer(special)[2])
    model = make_model(config)
    random, weights, params = numpy.random.default_rng(len(name)), {}, {}
    for path, numbers in sorted(flatten_dict(model.params).items()):
        *names, last = path
        ends = {"kernel": "weight", "embedding": "weight", "scale": "weight", "bias": "bias"}[last]
        dotted = ".".join([*names, ends])
        params[path] = shaken(random, dotted, numbers)
        weights[dotted] = params[path].T if last == "kernel" else params[path]
    model.params = unflatten_dict(params)

    def score(ids):
        with jax.default_matmul_precision("highest"):
            said = model(numpy.array([ids]), attention_mask=numpy.ones((1, len(ids)), int), output_hidden_states=True)
        first = numpy.asarray(said.hidden_states[-1][0, 0], float)
        return probe(weights, first).tolist(), numpy.asarray(said.logits[0], float).tolist()

    settings = {key: value for key, value in config.to_dict().items() if value is not None}
    save(out, name, settings | {"architectures": [type(model).__name__.removeprefix("Flax")]}, special, weights, score, "transformers Flax, f32")


def dense(weights, name, vector):
    return vector @ weights[name + ".weight"].astype(float).T + weights.get(name + ".bias", numpy.zeros(1)).astype(float)


def flax_families(out):
    import transformers as t

    sizes = {**SIZES, "id2label": LABELS, "label2id": {name: id for id, name in LABELS.items()}}
    bert = lambda words: t.BertConfig(vocab_size=words, **sizes)
    flax_family(out, "bert", bert, t.FlaxBertForSequenceClassification, BERT_TOKENS, lambda w, x: numpy.tanh(dense(w, "bert.pooler.dense", x)))
    distil = lambda words: t.DistilBertConfig(vocab_size=words, dim=24, n_layers=3, n_heads=4, hidden_dim=36, max_position_embeddings=96, id2label=LABELS)
    flax_family(out, "distilbert", distil, t.FlaxDistilBertForSequenceClassification, BERT_TOKENS, lambda w, x: numpy.maximum(dense(w, "pre_classifier", x), 0))
    head = lambda w, x: numpy.tanh(dense(w, "classifier.dense", x))
    special = {"bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2, "type_vocab_size": 1}
    roberta = lambda words: t.RobertaConfig(vocab_size=words, **sizes, **special, hidden_act="gelu_new")
    flax_family(out, "roberta", roberta, t.FlaxRobertaForSequenceClassification, ROBERTA_TOKENS, head)
    xlm = lambda words: t.XLMRobertaConfig(vocab_size=words, **sizes, **special, problem_type="multi_label_classification")
    flax_family(out, "xlm-roberta", xlm, t.FlaxXLMRobertaForSequenceClassification, ROBERTA_TOKENS, head)


def gelu(x):
    return 0.5 * x * (1 + erf(x / math.sqrt(2)))


def split(x, heads):
    return x.reshape(len(x), heads, -1).transpose(1, 0, 2)


def log_bucket(distance, buckets, places):
    """DeBERTa v2: near distances as they are, far ones on a logarithmic scale."""
    middle = buckets // 2
    if abs(distance) <= middle:
        return distance
    far = math.log(abs(distance) / middle) / math.log((places - 1) / middle) * (middle - 1)
    return int(math.copysign(math.ceil(far) + middle, distance))


def deberta(w, config, ids):
    """He et al., "DeBERTa" and "DeBERTaV3": content to content, content to place and place to content, each over the square root of 3 d."""
    heads, span, length = config["num_attention_heads"], config["position_buckets"], len(ids)
    at = lambda name: w[name].astype(float)
    line = lambda name, x: x @ at(name + ".weight").T + at(name + ".bias")
    normed = lambda name, x: norm(x, at(name + ".weight"), at(name + ".bias"), config["layer_norm_eps"])
    x = normed("deberta.embeddings.LayerNorm", at("deberta.embeddings.word_embeddings.weight")[ids])
    places = normed("deberta.encoder.LayerNorm", at("deberta.encoder.rel_embeddings.weight"))
    bucket = numpy.array([[log_bucket(i - j, span, config["max_relative_positions"]) for j in range(length)] for i in range(length)])
    for layer in range(config["num_hidden_layers"]):
        name = f"deberta.encoder.layer.{layer}."
        project = lambda part, values: split(line(name + "attention.self." + part, values), heads)
        q, k, v = project("query_proj", x), project("key_proj", x), project("value_proj", x)
        place_k, place_q = project("key_proj", places), project("query_proj", places)
        scores = q @ k.transpose(0, 2, 1)
        seen, asked = q @ place_k.transpose(0, 2, 1), k @ place_q.transpose(0, 2, 1)
        for i in range(length):
            for j in range(length):
                forward = min(max(bucket[i, j] + span, 0), 2 * span - 1)
                # The key's own distance to the query, as the published code has it.
                backward = min(max(-bucket[j, i] + span, 0), 2 * span - 1)
                scores[:, i, j] += seen[:, i, forward] + asked[:, j, backward]
        shares = softmax(scores / math.sqrt(3 * q.shape[-1]))
        attended = (shares @ v).transpose(1, 0, 2).reshape(length, -1)
        x = normed(name + "attention.output.LayerNorm", line(name + "attention.output.dense", attended) + x)
        x = normed(name + "output.LayerNorm", line(name + "output.dense", gelu(line(name + "intermediate.dense", x))) + x)
    vector = gelu(line("pooler.dense", x[0]))
    return vector, line("classifier", vector)


def rotated(x, theta):
    """Su et al., "RoFormer": the halves of each head's vector turned by the place times a frequency."""
    heads, length, side = x.shape
    angle = numpy.arange(length)[:, None] / theta ** (numpy.arange(0, side, 2) / side)[None]
    one, two = x[..., : side // 2], x[..., side // 2 :]
    return numpy.concatenate([one * numpy.cos(angle) - two * numpy.sin(angle), two * numpy.cos(angle) + one * numpy.sin(angle)], -1)


def modernbert(w, config, ids):
    """Warner et al., "Smarter, Better, Faster, Longer": normalization before each step, windows of attention, gated middle layers."""
    heads, length = config["num_attention_heads"], len(ids)
    at = lambda name: w[name].astype(float)
    normed = lambda name, x: norm(x, at(name + ".weight"), 0, config["layer_norm_eps"])
    x = normed("model.embeddings.norm", at("model.embeddings.tok_embeddings.weight")[ids])
    distance = numpy.abs(numpy.arange(length)[:, None] - numpy.arange(length))
    for layer in range(config["num_hidden_layers"]):
        name = f"model.layers.{layer}."
        is_global = layer % config["global_attn_every_n_layers"] == 0
        before = normed(name + "attn_norm", x) if layer else x
        q, k, v = (split(part, heads) for part in numpy.split(before @ at(name + "attn.Wqkv.weight").T, 3, -1))
        theta = config["global_rope_theta" if is_global else "local_rope_theta"]
        scores = rotated(q, theta) @ rotated(k, theta).transpose(0, 2, 1) / math.sqrt(q.shape[-1])
        if not is_global:
            scores = numpy.where(distance <= config["local_attention"] // 2, scores, -numpy.inf)
        x = x + (softmax(scores) @ v).transpose(1, 0, 2).reshape(length, -1) @ at(name + "attn.Wo.weight").T
        up, gate = numpy.split(normed(name + "mlp_norm", x) @ at(name + "mlp.Wi.weight").T, 2, -1)
        x = x + (gelu(up) * gate) @ at(name + "mlp.Wo.weight").T
    pooled = normed("model.final_norm", x).mean(0)
    vector = normed("head.norm", gelu(pooled @ at("head.dense.weight").T))
    return vector, vector @ at("classifier.weight").T + at("classifier.bias")


def numpy_family(out, name, config, shapes, score):
    random = numpy.random.default_rng(len(name))
    weights = {name: shaken(random, name, numpy.zeros(shape)) for name, shape in shapes.items()}
    common = {"id2label": {str(id): label for id, label in LABELS.items()}, **config}
    said = lambda ids: tuple(numbers.tolist() for numbers in score(weights, config, ids))
    save(out, name, common, BERT_TOKENS, weights, said, "own formulas in numpy, f64")


def numpy_families(out):
    words, width, middle = tokenizer(BERT_TOKENS)[2], SIZES["hidden_size"], SIZES["intermediate_size"]
    line = lambda name, a, b: {name + ".weight": (b, a), name + ".bias": (b,)}
    normed = lambda name: {name + ".weight": (width,), name + ".bias": (width,)}
    config = SIZES | {
        "model_type": "deberta-v2", "architectures": ["DebertaV2ForSequenceClassification"], "vocab_size": words, "type_vocab_size": 0,
        "layer_norm_eps": 1e-7, "hidden_act": "gelu", "pad_token_id": 0, "relative_attention": True, "position_buckets": 8,
        "max_relative_positions": 96, "share_att_key": True, "pos_att_type": ["p2c", "c2p"], "norm_rel_ebd": "layer_norm",
        "position_biased_input": False, "pooler_hidden_act": "gelu", "pooler_hidden_size": width,
    }  # fmt: skip
    shapes = {"deberta.embeddings.word_embeddings.weight": (words, width), "deberta.encoder.rel_embeddings.weight": (16, width)}
    shapes |= normed("deberta.embeddings.LayerNorm") | normed("deberta.encoder.LayerNorm")
    for layer in range(config["num_hidden_layers"]):
        at = f"deberta.encoder.layer.{layer}."
        for part in ["self.query_proj", "self.key_proj", "self.value_proj", "output.dense"]:
            shapes |= line(at + "attention." + part, width, width)
        shapes |= normed(at + "attention.output.LayerNorm") | normed(at + "output.LayerNorm")
        shapes |= line(at + "intermediate.dense", width, middle) | line(at + "output.dense", middle, width)
    shapes |= line("pooler.dense", width, width) | line("classifier", width, len(LABELS))
    numpy_family(out, "deberta-v2", config, shapes, deberta)

    config = SIZES | {
        "model_type": "modernbert", "architectures": ["ModernBertForSequenceClassification"], "vocab_size": words, "layer_norm_eps": 1e-5,
        "norm_eps": 1e-5, "hidden_activation": "gelu", "pad_token_id": 0, "global_attn_every_n_layers": 2, "global_rope_theta": 160000.0,
        "local_attention": 6, "local_rope_theta": 10000.0, "classifier_pooling": "mean", "attention_bias": False, "mlp_bias": False,
        "norm_bias": False,
    }  # fmt: skip
    shapes = {"model.embeddings.tok_embeddings.weight": (words, width), "model.embeddings.norm.weight": (width,), "model.final_norm.weight": (width,)}
    for layer in range(config["num_hidden_layers"]):
        at = f"model.layers.{layer}."
        shapes |= {at + "attn_norm.weight": (width,)} if layer else {}
        shapes |= {at + "mlp_norm.weight": (width,), at + "attn.Wqkv.weight": (3 * width, width), at + "attn.Wo.weight": (width, width)}
        shapes |= {at + "mlp.Wi.weight": (2 * middle, width), at + "mlp.Wo.weight": (width, middle)}
    shapes |= {"head.dense.weight": (width, width), "head.norm.weight": (width,), **line("classifier", width, len(LABELS))}
    numpy_family(out, "modernbert", config, shapes, modernbert)


if __name__ == "__main__":
    flax_families(pathlib.Path(sys.argv[1]))
    numpy_families(pathlib.Path(sys.argv[1]))
