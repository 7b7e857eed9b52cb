"""Trains the example's model and writes model/mortgage.json, model/metrics.json and model/golden.csv.

The inputs are the facts of an application that stand on paper before anybody at the lender has judged it.
MODEL.md gives the reasons for every column left out; ablation.py measures what each is worth.

Run it with the packages of requirements.txt:  python train.py [--check]
With --check nothing is written: the run fails when its files would differ from the committed ones.
"""

import argparse
import json
import pathlib
import sys

import numpy
import pandas
import xgboost
from sklearn.metrics import brier_score_loss, roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict, train_test_split

HERE = pathlib.Path(__file__).parent

OUTCOME = ["action", "reject", "approve"]
AFTER_OR_BY_THE_DECISION = ["typur", "inson", "unver", "gdlin", "review"]
NEIGHBOURHOOD = ["suffolk", "bd", "mi", "vr"]
SAME_FACT_TWICE = ["mortno", "mortperf", "mortlat1", "mortlat2", "chist", "multi", "thick", "msa"]
NOT_INPUTS = OUTCOME + AFTER_OR_BY_THE_DECISION + NEIGHBOURHOOD + SAME_FACT_TWICE

HELD_OUT = 589
SEED = 0

# base_score 0.5 makes the base margin exactly zero, so the margin is a sum of leaves and no logarithm enters it.
PARAMETERS = {
    "n_estimators": 150,
    "max_depth": 4,
    "learning_rate": 0.05,
    "subsample": 0.8,
    "colsample_bytree": 0.6,
    "min_child_weight": 5,
    "base_score": 0.5,
    "objective": "binary:logistic",
    "tree_method": "hist",
    "random_state": SEED,
    "nthread": 1,
}


def load():
    """The applications, without any protected column: those never come near this script."""
    applications = pandas.read_csv(HERE / "data" / "loanapp.csv", dtype=numpy.float32)
    applications["application"] = applications["application"].astype(int)
    return applications.set_index("application")


def inputs_of(applications):
    return [column for column in applications.columns if column not in NOT_INPUTS]


def fit(rows, labels):
    return xgboost.XGBClassifier(**PARAMETERS).fit(rows, labels)


def choose_threshold(rows, labels):
    """The threshold at which the model, on rows it has not seen, approves as large a share as the lender did."""
    folds = StratifiedKFold(n_splits=5, shuffle=True, random_state=SEED)
    unseen = cross_val_predict(xgboost.XGBClassifier(**PARAMETERS), rows, labels, cv=folds, method="predict_proba")
    return round(float(numpy.quantile(unseen[:, 1], 1 - labels.mean())), 2)


def bits(values):
    return [format(int(value), "08x") for value in numpy.asarray(values, dtype=numpy.float32).view(numpy.uint32)]


def golden(model_json, rows):
    """Margins and probabilities of every application, by the library, from the model file as it was written."""
    booster = xgboost.Booster(params={"nthread": 1}, model_file=bytearray(model_json))
    matrix = xgboost.DMatrix(rows)
    margins = bits(booster.predict(matrix, output_margin=True))
    probabilities = bits(booster.predict(matrix))
    lines = [f"{n},{m},{p}" for n, m, p in zip(rows.index, margins, probabilities, strict=True)]
    return "application,margin_bits,probability_bits\n" + "\n".join(lines) + "\n"


def measure(model, rows, labels, threshold):
    probabilities = model.predict_proba(rows)[:, 1]
    approved = probabilities >= numpy.float32(threshold)
    return {
        "applications": len(rows),
        "auc": round(float(roc_auc_score(labels, probabilities)), 4),
        "brier": round(float(brier_score_loss(labels, probabilities)), 4),
        "approved_by_lender": int(labels.sum()),
        "approved_by_model": int(approved.sum()),
        "approved_by_both": int((approved & (labels == 1)).sum()),
        "refused_by_both": int((~approved & (labels == 0)).sum()),
    }


def build():
    applications = load()
    rows, labels = applications[inputs_of(applications)], applications["approve"].astype(int)
    train_rows, held_rows, train_labels, held_labels = train_test_split(
        rows, labels, test_size=HELD_OUT, random_state=SEED, stratify=labels
    )
    model = fit(train_rows, train_labels)
    threshold = choose_threshold(train_rows, train_labels)
    model_json = bytes(model.get_booster().save_raw("json"))
    metrics = {
        "threshold": threshold,
        "held_out": measure(model, held_rows, held_labels, threshold),
        "trained_on": measure(model, train_rows, train_labels, threshold),
        "inputs": list(rows.columns),
        "parameters": PARAMETERS,
        "versions": {"xgboost": xgboost.__version__, "numpy": numpy.__version__, "pandas": pandas.__version__},
        "held_out_applications": sorted(int(number) for number in held_rows.index),
    }
    return {
        "mortgage.json": model_json,
        "metrics.json": (pretty(metrics) + "\n").encode(),
        "golden.csv": golden(model_json, rows).encode(),
    }


def pretty(metrics):
    """One line a key, so that the long list at the end stays one line."""
    lines = [f'  "{key}": {json.dumps(value)}' for key, value in metrics.items()]
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
