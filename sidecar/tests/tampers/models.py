"""Trains the models that a tampering operator could put in place of the registered one.

    python models.py OUT_DIR

For the lending example and for modeldata credit_data, whose registered model (credit.json, 200 trees) and rows (credit.f32) are written too: one
model of another seed and one that never saw the first row it was trained on.
"""

import pathlib
import sys

import numpy
import xgboost

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT / "examples/lending"), str(ROOT / "verifier/tests/library")]

import tables  # noqa: E402
import train  # noqa: E402
from sklearn.model_selection import train_test_split  # noqa: E402


def write(path, rows, labels, names, **changed):
    model = xgboost.XGBClassifier(**{**train.PARAMETERS, **changed})
    booster = model.fit(rows, labels).get_booster()
    booster.feature_names = names
    path.write_bytes(bytes(booster.save_raw("json")))


def lending(out):
    applications = train.load()
    names = train.inputs_of(applications)
    rows, labels = applications[names], applications["approve"].astype(int)
    rows, _, labels, _ = train_test_split(rows, labels, test_size=train.HELD_OUT, random_state=train.SEED, stratify=labels)
    write(out / "lending.json", rows, labels, names)
    registered = ROOT / "examples/lending/model/mortgage.json"
    assert (out / "lending.json").read_bytes() == registered.read_bytes(), "this is not how the registered model was trained"
    write(out / "lending_other_seed.json", rows, labels, names, random_state=1)
    write(out / "lending_row_less.json", rows[1:], labels[1:], names)


def credit(out):
    x, bad, _ = tables.credit()
    x = numpy.float32(x)
    x.tofile(out / "credit.f32")
    names = [f"x{column}" for column in range(x.shape[1])]
    larger = {"n_estimators": 200, "max_depth": 5}
    write(out / "credit.json", x, bad, names, **larger)
    write(out / "credit_other_seed.json", x, bad, names, **larger, random_state=1)
    write(out / "credit_row_less.json", x[1:], bad[1:], names, **larger)


def main():
    out = pathlib.Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    lending(out)
    credit(out)


if __name__ == "__main__":
    main()
