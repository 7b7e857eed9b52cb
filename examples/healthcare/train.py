"""Trains the example's model and writes model/tumour.txt, model/metrics.json, model/recompute.json and model/golden.csv.

Run it with the packages of requirements.txt:  python train.py [--check]
With --check nothing is written: the run fails when its files would differ from the committed ones.
"""

import argparse
import hashlib
import json
import pathlib
import sys

import lightgbm
import numpy
import pandas
import sklearn
from sklearn.metrics import brier_score_loss, roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict, train_test_split

HERE = pathlib.Path(__file__).parent

HELD_OUT = 171
SEED = 0

# One thread and `deterministic`: the same file on every machine of the same kind.
PARAMETERS = {
    "n_estimators": 60,
    "num_leaves": 7,
    "learning_rate": 0.08,
    "min_child_samples": 10,
    "objective": "binary",
    "random_state": SEED,
    "n_jobs": 1,
    "deterministic": True,
    "force_row_wise": True,
    "verbosity": -1,
}

# At least this share of the malignant cases of the training part, each scored by a model that had not seen it, is to be suspicious.
SENSITIVITY_WANTED = 0.99


def load():
    cases = pandas.read_csv(HERE / "data" / "breast_cancer.csv").set_index("case")
    return cases.drop(columns="diagnosis"), (cases["diagnosis"] == "malignant").astype(int)


def choose_threshold(rows, malignant):
    """The greatest hundredth at which enough of the malignant cases are suspicious, on cases the model has not seen."""
    folds = StratifiedKFold(n_splits=5, shuffle=True, random_state=SEED)
    model = lightgbm.LGBMClassifier(**PARAMETERS)
    unseen = cross_val_predict(model, rows, malignant, cv=folds, method="predict_proba")[:, 1]
    found = [h / 100 for h in range(1, 100) if (unseen[malignant == 1] >= h / 100).mean() >= SENSITIVITY_WANTED]
    return max(found, default=0.01)


def measure(booster, rows, malignant, threshold):
    probabilities = booster.predict(rows)
    suspicious = probabilities >= threshold
    return {
        "cases": len(rows),
        "malignant": int(malignant.sum()),
        "auc": round(float(roc_auc_score(malignant, probabilities)), 4),
        "brier": round(float(brier_score_loss(malignant, probabilities)), 4),
        "suspicious": int(suspicious.sum()),
        "malignant_found": int((suspicious & (malignant == 1)).sum()),
        "malignant_missed": int((~suspicious & (malignant == 1)).sum()),
        "benign_called_suspicious": int((suspicious & (malignant == 0)).sum()),
    }


def over_splits(rows, malignant, threshold):
    """What the parameters are worth on 40 random splits: one split says little."""
    aucs, found, false_alarms = [], [], []
    for seed in range(40):
        train, held, train_malignant, held_malignant = train_test_split(
            rows, malignant, test_size=HELD_OUT, random_state=seed, stratify=malignant
        )
        model = lightgbm.LGBMClassifier(**PARAMETERS).fit(train, train_malignant)
        probabilities = model.predict_proba(held)[:, 1]
        aucs.append(roc_auc_score(held_malignant, probabilities))
        found.append((probabilities[held_malignant == 1] >= threshold).mean())
        false_alarms.append((probabilities[held_malignant == 0] >= threshold).mean())
    return {
        "auc": mean_and_sd(aucs),
        "share_of_malignant_found": mean_and_sd(found),
        "share_of_benign_called_suspicious": mean_and_sd(false_alarms),
    }


def mean_and_sd(values):
    return {"mean": round(float(numpy.mean(values)), 4), "sd": round(float(numpy.std(values)), 4)}


def bits(values):
    return [format(int(value), "016x") for value in numpy.asarray(values, dtype=numpy.float64).view(numpy.uint64)]


def golden(booster, rows):
    """Margin, probability and a digest of the contributions of every case, by the library."""
    margins, probabilities = bits(booster.predict(rows, raw_score=True)), bits(booster.predict(rows))
    contributions = booster.predict(rows, pred_contrib=True)
    digests = [hashlib.sha256(row.astype("<f8").tobytes()).hexdigest() for row in contributions]
    lines = [",".join(line) for line in zip(map(str, rows.index), margins, probabilities, digests, strict=True)]
    return "case,margin_bits,probability_bits,contributions_sha256\n" + "\n".join(lines) + "\n"


def description(names, threshold):
    """How a decision is recomputed: score, margin, label, and every contribution as a reason."""
    return {
        "format": "ledgerstone-recompute/v1",
        "model": "tumour.txt",
        "dtype": "FP64",
        "scores": [{"name": "probability", "of": "answer"}],
        "tensors": [
            {"name": "margin", "of": "margins", "dtype": "FP64"},
            {"name": "probability", "of": "answer", "dtype": "FP64"},
        ],
        "label": {"threshold": {"of": "answer", "value": threshold, "above": "suspicious", "below": "benign"}},
        "reasons": {"from": {"contributions": {"margin": 0}}, "count": len(names)},
    }


def build():
    rows, malignant = load()
    train_rows, held_rows, train_malignant, held_malignant = train_test_split(
        rows, malignant, test_size=HELD_OUT, random_state=SEED, stratify=malignant
    )
    threshold = choose_threshold(train_rows, train_malignant)
    text = lightgbm.LGBMClassifier(**PARAMETERS).fit(train_rows, train_malignant).booster_.model_to_string()
    booster = lightgbm.Booster(model_str=text)
    metrics = {
        "threshold": threshold,
        "held_out": measure(booster, held_rows, held_malignant, threshold),
        "trained_on": measure(booster, train_rows, train_malignant, threshold),
        "over_40_splits": over_splits(rows, malignant, threshold),
        "parameters": PARAMETERS,
        "versions": {"lightgbm": lightgbm.__version__, "numpy": numpy.__version__, "scikit-learn": sklearn.__version__},
        "held_out_cases": sorted(int(number) for number in held_rows.index),
    }
    return {
        "tumour.txt": text.encode(),
        "metrics.json": (pretty(metrics) + "\n").encode(),
        "recompute.json": (pretty(description(list(rows.columns), threshold)) + "\n").encode(),
        "golden.csv": golden(booster, rows).encode(),
    }


def pretty(document):
    """One line a key."""
    lines = [f'  "{key}": {json.dumps(value)}' for key, value in document.items()]
    return "{\n" + ",\n".join(lines) + "\n}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare with the committed files, write nothing")
    check = parser.parse_args().check
    differing = 0
    for name, content in build().items():
        path = HERE / "model" / name
        if not check:
            path.write_bytes(content)
            print(f"wrote {path.relative_to(HERE)}, {len(content):,} bytes")
        elif path.read_bytes() == content:
            print(f"same  {path.relative_to(HERE)}")
        else:
            print(f"DIFFERS  {path.relative_to(HERE)}")
            differing += 1
    sys.exit(1 if differing else 0)


if __name__ == "__main__":
    main()
