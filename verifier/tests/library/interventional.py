"""Trains XGBoost and LightGBM models and writes how shap explains them against a background.

    python interventional.py OUT_DIR

Each model becomes NAME.json or NAME.txt and NAME.bits (see tables.py): the answers are the number of rows of the background, which are the
last ones; the contributions are of the first rows, output by output, each with shap's expected value behind it. shap takes one
base score for all outputs of an XGBoost model, so that its expected values of several are not kept (NaN). `kept` holds the small models of
verifier/tests/vectors/interventional/, `parted` a model whose thresholds shap rounds past its rows.
"""

import pathlib
import sys

import lightgbm
import numpy
import shap
import tables
import xgboost

XGBOOST = {"nthread": 1, "verbosity": 0, "seed": 1, "max_depth": 4, "eta": 0.2}
LIGHTGBM = {"num_threads": 1, "verbosity": -1, "seed": 1, "num_leaves": 15, "learning_rate": 0.2}


def write(path, booster, x, margins, explained, background):
    explainer = shap.TreeExplainer(booster, data=x[-background:], feature_perturbation="interventional")
    values = explainer.shap_values(x[:explained], check_additivity=False)
    values = values.reshape(explained, x.shape[1], -1)
    expected = numpy.ravel(explainer.expected_value)
    if values.shape[2] > 1 and path.suffix == ".json":
        expected = numpy.full(values.shape[2], numpy.nan)
    base = numpy.broadcast_to(expected[None, None, :], (explained, 1, values.shape[2]))
    contributions = numpy.concatenate([values, base], axis=1).transpose(0, 2, 1)
    tables.write_bits(path.with_suffix(".bits"), "<f8", x, margins, numpy.full((len(x), 1), background), contributions)


def of_xgboost(directory, name, parameters, x, y, rounds=40, explained=40, background=50):
    x = numpy.asarray(x, numpy.float32)
    booster = xgboost.train({**XGBOOST, **parameters}, xgboost.DMatrix(x, label=y), rounds)
    path = directory / f"xgboost_{name}.json"
    booster.save_model(path)
    write(path, booster, x.astype(float), booster.predict(xgboost.DMatrix(x), output_margin=True), explained, background)


def of_lightgbm(directory, name, parameters, x, y, rounds=40, explained=40, background=50):
    booster = lightgbm.train({**LIGHTGBM, **parameters}, lightgbm.Dataset(x, label=y), rounds)
    path = directory / f"lightgbm_{name}.txt"
    booster.save_model(path)
    booster = lightgbm.Booster(model_file=path)
    write(path, booster, x, booster.predict(x, raw_score=True), explained, background)


def classes_of_lightgbm(directory, x, y, explained=40, background=50):
    """shap takes the outputs of a Booster for one, those of a classifier apart."""
    model = lightgbm.LGBMClassifier(n_estimators=15, **LIGHTGBM).fit(x, y)
    path = directory / "lightgbm_classes.txt"
    model.booster_.save_model(path)
    write(path, model, x, model.booster_.predict(x, raw_score=True), explained, background)


def both(directory, name, x, y, deep):
    binary = {"objective": "binary"}
    of_xgboost(directory, name, {"objective": "binary:logistic", "max_depth": 10 if deep else 4}, x, y)
    of_lightgbm(directory, name, {**binary, "num_leaves": 127, "min_data_in_leaf": 2} if deep else binary, x, y)


def main():
    directory = pathlib.Path(sys.argv[1])
    for folder in ("kept", "parted"):
        (directory / folder).mkdir(parents=True, exist_ok=True)
    x, bad, amount = tables.credit()
    both(directory, "credit", x, bad, False)
    of_xgboost(directory, "forest", {"objective": "reg:gamma", "base_score": 700.0}, x, amount)
    of_lightgbm(directory, "forest", {"objective": "binary", "boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.6}, x, bad)
    of_lightgbm(directory, "dart", {"objective": "binary", "boosting": "dart", "drop_rate": 0.3}, x, bad)
    x, bad, status = tables.lending_club()
    both(directory, "lending_club", x, bad, False)
    of_xgboost(directory, "classes", {"objective": "multi:softprob", "num_class": 3}, x, status, rounds=15)
    classes_of_lightgbm(directory, x, status)
    of_xgboost(directory, "targets", {"objective": "reg:squarederror"}, x, numpy.stack([bad, status], axis=1), rounds=15)
    x, called = tables.hiring()
    both(directory, "hiring", x, called, True)
    x, benign = tables.cancer()
    both(directory, "cancer", x, benign, True)
    x = numpy.float32(x[::10, :7]).astype(float)
    x[(numpy.arange(x.size) % 11 == 0).reshape(x.shape)] = numpy.nan
    small = {"rounds": 4, "explained": 20, "background": 20}
    of_xgboost(directory / "kept", "small", {"objective": "binary:logistic", "max_depth": 3}, x, benign[::10], **small)
    of_lightgbm(directory / "kept", "small", {"objective": "binary", "num_leaves": 6, "min_data_in_leaf": 4}, x, benign[::10], **small)
    near = 1 + 1e-9 * numpy.random.default_rng(1).integers(0, 40, (400, 1))
    of_lightgbm(directory / "parted", "near", {"objective": "regression", "min_data_in_bin": 1}, near, (near[:, 0] - 1) * 1e9, rounds=5)


if __name__ == "__main__":
    main()
