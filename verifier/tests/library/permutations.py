"""Trains XGBoost and LightGBM models and writes what shap's permutation sampling says of them with a seed.

    python permutations.py OUT_DIR

Each model becomes NAME.json or NAME.txt and NAME.bits (see tables.py): the answers are the number of rows of the background, which are the last ones, the
evaluations, and the seed of the first row; each row after it has the next seed. The contributions are of the first rows, output by output, each with
shap's base value behind it. `kept` holds the small models of verifier/tests/vectors/permutations/.
"""

import pathlib
import sys

import interventional
import lightgbm
import numpy
import shap
import tables
import xgboost

SEED = 4294967290


def write(path, predict, x, explained, background, evaluations):
    # Values that are close to those of a row of the background, but not the same: shap does not ask the model again there.
    x[2, ::2] = x[-1, ::2] * (1 + 1e-7)
    margins = predict(x)
    masker = shap.maskers.Independent(x[-background:], max_samples=background)
    contributions = []
    for number in range(explained):
        explainer = shap.PermutationExplainer(predict, masker, seed=(SEED + number) % 2**32)
        found = explainer(x[number : number + 1], max_evals=evaluations, silent=True)
        values = found.values[0].reshape(x.shape[1], -1)
        contributions.append(numpy.concatenate([values, numpy.reshape(found.base_values[0], (1, -1))]).T)
    settings = numpy.tile([background, evaluations, SEED], (len(x), 1))
    tables.write_bits(path.with_suffix(".bits"), "<f8", x, margins, settings, numpy.stack(contributions))


def of_xgboost(directory, name, parameters, x, y, rounds=40, explained=12, background=20, evaluations=500):
    x = numpy.asarray(x, numpy.float32).astype(float)
    booster = xgboost.train({**interventional.XGBOOST, **parameters}, xgboost.DMatrix(x, label=y), rounds)
    path = directory / f"xgboost_{name}.json"
    booster.save_model(path)
    write(path, lambda rows: booster.predict(xgboost.DMatrix(rows), output_margin=True), x, explained, background, evaluations)


def of_lightgbm(directory, name, parameters, x, y, rounds=40, explained=12, background=20, evaluations=500):
    booster = lightgbm.train({**interventional.LIGHTGBM, **parameters}, lightgbm.Dataset(x, label=y), rounds)
    path = directory / f"lightgbm_{name}.txt"
    booster.save_model(path)
    booster = lightgbm.Booster(model_file=path)
    write(path, lambda rows: booster.predict(rows, raw_score=True), x.copy(), explained, background, evaluations)


def main():
    directory = pathlib.Path(sys.argv[1])
    (directory / "kept").mkdir(parents=True, exist_ok=True)
    binary = {"objective": "binary:logistic"}
    x, bad, _ = tables.credit()
    of_xgboost(directory, "credit", binary, x, bad)
    of_lightgbm(directory, "credit", {"objective": "binary"}, x, bad)
    x, bad, status = tables.lending_club()
    of_xgboost(directory, "classes", {"objective": "multi:softprob", "num_class": 3}, x, status, rounds=10, explained=6)
    x, benign = tables.cancer()
    of_lightgbm(directory, "cancer", {"objective": "binary"}, x, benign, background=100, evaluations=200)
    x = numpy.float32(x[::10, :7]).astype(float)
    x[(numpy.arange(x.size) % 11 == 0).reshape(x.shape)] = numpy.nan
    small = {"rounds": 4, "explained": 20, "background": 10, "evaluations": 100}
    of_xgboost(directory / "kept", "small", {**binary, "max_depth": 3}, x, benign[::10], **small)
    of_lightgbm(directory / "kept", "small", {"objective": "binary", "num_leaves": 6, "min_data_in_leaf": 4}, x, benign[::10], **small)


if __name__ == "__main__":
    main()
