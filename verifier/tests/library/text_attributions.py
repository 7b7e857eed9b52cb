"""Writes what captum says of the small text models of verifier/tests/vectors/text/: attributions.json in each folder.

    python text_attributions.py VECTORS_TEXT_DIR

LayerIntegratedGradients over the word embeddings of transformers' own classes, everything in f64. The baseline is the padding token in every place
but those of the special tokens that the tokenizer put there. captum rounds the weights of the points to f32 (`.float()`); they are kept in f64 here, and how far
captum's own numbers lie from these is written down, too.
"""

import json
import pathlib
import sys

import captum
import numpy
import tokenizers
import torch
import transformers
from captum.attr import LayerIntegratedGradients
from safetensors.torch import load_file

TEXTS = ["a loan was refused", "she left; Income: 1,200 EUR", "caf\u00e9 \u2014 zz", ""]
# Rules, points, labels, and whether it is the probability.
CASES = [("gausslegendre", 50, 1, False), ("gausslegendre", 7, 2, True), ("riemann_trapezoid", 20, 0, False)]
FAMILIES = {"bert": "bert", "distilbert": "distilbert", "roberta": "roberta", "xlm-roberta": "roberta"}


class Sentence(torch.nn.Module):
    """The mean of the tokens' vectors, divided by its length, and a linear layer, as sentence-transformers and Ledgerstone's own head have it."""

    def __init__(self, model, random):
        super().__init__()
        self.encoder, width = model.bert, model.config.hidden_size
        self.weight = torch.tensor(numpy.float32(random.normal(size=(3, width))).astype(float))
        self.bias = torch.tensor(numpy.float32(random.normal(size=3)).astype(float))

    def forward(self, **given):
        vector = self.encoder(**given).last_hidden_state.mean(1)
        return torch.nn.functional.normalize(vector, dim=-1) @ self.weight.T + self.bias


def kept_in_f64(attribute):
    rounds = torch.Tensor.float
    torch.Tensor.float = torch.Tensor.double
    try:
        return attribute()
    finally:
        torch.Tensor.float = rounds


def explained(model, layer, logits_of, tokenizer, pad, cases):
    answers = []
    for text in TEXTS:
        encoding = tokenizer.encode(text)
        ids = torch.tensor([encoding.ids])
        blank = torch.tensor([[id if special else pad for id, special in zip(encoding.ids, encoding.special_tokens_mask)]])
        for rule, steps, target, is_probability in cases:

            def number(logits):
                if not is_probability:
                    return logits
                several = getattr(model.config, "problem_type", None) == "multi_label_classification"
                return torch.sigmoid(logits) if several else torch.softmax(logits, -1)

            method = LayerIntegratedGradients(lambda given: number(logits_of(input_ids=given)), layer)
            attribute = lambda: method.attribute(ids, baselines=blank, target=target, n_steps=steps, method=rule).sum(-1)[0].detach()
            said = kept_in_f64(attribute)
            tokens, rounded = said.tolist(), float((attribute() - said).abs().max())
            words = {}
            for word, (start, end), value in zip(encoding.word_ids, encoding.offsets, tokens):
                if word is not None:
                    before = words.get(word, (start, end, 0.0))
                    words[word] = (min(before[0], start), max(before[1], end), before[2] + value)
            at = lambda chosen: float(number(logits_of(inputs_embeds=layer(chosen)))[0, target])
            answers.append({
                "rounded": rounded, "text": text, "rule": rule, "steps": steps, "target": target, "probability": is_probability, "tokens": tokens,
                "words": [[start, end, value] for start, end, value in words.values()], "value": at(ids), "baseline": at(blank),
            })  # fmt: skip
    return answers


def main(folder):
    # Also the type of the points of captum's Riemann rules.
    torch.set_default_dtype(torch.float64)
    for name, prefix in FAMILIES.items():
        given = folder / name
        config = transformers.AutoConfig.from_pretrained(given, attn_implementation="eager")
        model = transformers.AutoModelForSequenceClassification.from_config(config).double().eval()
        missing, unknown = model.load_state_dict({key: value.double() for key, value in load_file(given / "model.safetensors").items()}, strict=False)
        assert not missing and not unknown, (name, missing, unknown)
        tokenizer = tokenizers.Tokenizer.from_file(str(given / "tokenizer.json"))
        layer, pad = getattr(model, prefix).embeddings.word_embeddings, model.config.pad_token_id
        said = {"reference": f"captum {captum.__version__}, torch {torch.__version__}, transformers {transformers.__version__}, f64"}
        said["answers"] = explained(model, layer, lambda **given: model(**given).logits, tokenizer, pad, CASES)
        if name == "bert":
            sentence = Sentence(model, numpy.random.default_rng(11))
            sentence.config = model.config
            said["sentence"] = {
                "weight": sentence.weight.flatten().tolist(), "bias": sentence.bias.tolist(),
                "answers": explained(sentence, layer, sentence, tokenizer, pad, CASES[:2]),
            }  # fmt: skip
        (given / "attributions.json").write_text(json.dumps(said) + "\n")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
