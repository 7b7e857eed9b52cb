"""Trains an XGBoost model of every supported kind on real tables and writes what the library answers.

    python xgboost_models.py OUT_DIR

Each model becomes NAME.json or NAME.ubj and NAME.bits (see tables.py). The answers come from the file as written.
"""

import pathlib
import sys

import numpy
import tables
import xgboost

COMMON = {"nthread": 1, "verbosity": 0, "seed": 1, "max_depth": 4, "eta": 0.2}


def write(directory, name, booster, x, explained, **matrix):
    ending = "ubj" if name.endswith("_ubj") else "json"
    path = directory / f"xgboost_{name}.{ending}"
    booster.save_model(path)
    written = xgboost.Booster({"nthread": 1}, model_file=path)
    rows = numpy.asarray(x, numpy.float32)
    all_rows = xgboost.DMatrix(rows, **matrix)
    first = xgboost.DMatrix(rows[:explained], **matrix)
    tables.write_bits(
        path.with_suffix(".bits"),
        "<f4",
        rows,
        written.predict(all_rows, output_margin=True),
        written.predict(all_rows),
        written.predict(first, pred_contribs=True),
    )


def train(directory, name, parameters, x, y, rounds=40, explained=60, matrix=None, **label):
    matrix = matrix or {}
    data = xgboost.DMatrix(numpy.asarray(x, numpy.float32), label=y, **matrix, **label)
    booster = xgboost.train({**COMMON, **parameters}, data, rounds)
    write(directory, name, booster, x, explained, **matrix)
    return booster


def binary(directory):
    x, bad, _ = tables.credit()
    logistic = {"objective": "binary:logistic"}
    booster = train(directory, "credit", logistic, x, bad, rounds=100, explained=500)
    write(directory, "credit_ubj", booster, x, 60)
    train(directory, "credit_dart", {**logistic, "booster": "dart", "rate_drop": 0.2}, x, bad)
    train(directory, "credit_dart_ubj", {**logistic, "booster": "dart", "rate_drop": 0.2, "one_drop": 1}, x, bad)
    linear = {"booster": "gblinear", "updater": "coord_descent", "eta": 0.5}
    train(directory, "credit_linear", {**logistic, **linear}, x, bad, explained=500)
    train(directory, "credit_hinge", {"objective": "binary:hinge"}, x, bad)
    train(directory, "credit_logitraw", {"objective": "binary:logitraw"}, x, bad)
    signs = "(" + ",".join(str(column % 3 - 1) for column in range(x.shape[1])) + ")"
    train(directory, "credit_monotone", {**logistic, "monotone_constraints": signs}, x, bad)
    train(directory, "credit_forest", {**logistic, "num_parallel_tree": 5, "subsample": 0.6}, x, bad, rounds=10)
    train(directory, "credit_leafwise", {**logistic, "grow_policy": "lossguide", "max_leaves": 31, "max_depth": 0}, x, bad)
    x, bad, _ = tables.lending_club()
    train(directory, "lending_club", logistic, x, bad, rounds=100, explained=200)
    x, called = tables.hiring()
    train(directory, "hiring", logistic, x, called, rounds=100, explained=200)
    x, benign = tables.cancer()
    train(directory, "cancer", {**logistic, "max_depth": 6}, x, benign, rounds=100, explained=200)


def categorical(directory):
    for table, load in (("credit", tables.credit_codes), ("lending_club", tables.lending_club_codes)):
        x, categories, bad = load()
        matrix = {"feature_types": ["c" if c else "q" for c in categories], "enable_categorical": True}
        for kind, onehot in (("onehot", 100), ("partition", 1)):
            parameters = {"objective": "binary:logistic", "tree_method": "hist", "max_cat_to_onehot": onehot}
            train(directory, f"{table}_{kind}", parameters, x, bad, matrix=matrix)
    train(directory, "lending_club_partition_ubj", parameters, x, bad, matrix=matrix)


def several_outputs(directory):
    x, _, status = tables.lending_club()
    classes = {"num_class": 3}
    train(directory, "classes_softprob", {**classes, "objective": "multi:softprob"}, x, status, rounds=20)
    train(directory, "classes_softmax", {**classes, "objective": "multi:softmax"}, x, status, rounds=20)
    dart = {**classes, "objective": "multi:softprob", "booster": "dart", "rate_drop": 0.3}
    train(directory, "classes_dart_ubj", dart, x, status, rounds=10)
    linear = {**classes, "objective": "multi:softprob", "booster": "gblinear", "updater": "coord_descent"}
    train(directory, "classes_linear", linear, x / (1 + numpy.abs(x).max(axis=0)), status)
    x, bad, amount = tables.credit()
    x = numpy.delete(x, 8, axis=1)
    targets = numpy.stack([amount, bad * 100], axis=1)
    train(directory, "targets", {"objective": "reg:squarederror"}, x, targets, rounds=20)
    labels = numpy.stack([bad, amount > 1000], axis=1)
    train(directory, "labels_ubj", {"objective": "binary:logistic"}, x, labels, rounds=20)
    quantiles = {"objective": "reg:quantileerror", "quantile_alpha": [0.1, 0.5, 0.9]}
    train(directory, "quantiles", quantiles, x, amount, rounds=20)


def regressions(directory):
    x, _, amount = tables.credit()
    x = numpy.delete(x, 8, axis=1)
    for objective in ("squarederror", "gamma", "tweedie", "absoluteerror", "pseudohubererror", "squaredlogerror"):
        train(directory, f"amount_{objective}", {"objective": f"reg:{objective}"}, x, amount)
    train(directory, "amount_poisson", {"objective": "count:poisson"}, x, amount)
    train(directory, "amount_cox", {"objective": "survival:cox"}, x, amount)
    train(directory, "amount_logistic", {"objective": "reg:logistic"}, x, amount / 5000)
    train(directory, "amount_own_base", {"objective": "reg:gamma", "base_score": 700.0}, x, amount)
    linear = {"booster": "gblinear", "objective": "reg:squarederror", "updater": "coord_descent"}
    train(directory, "amount_linear_ubj", linear, x, amount)
    x, called = tables.hiring()
    queries = numpy.sort(numpy.arange(len(x)) % 40)
    for objective in ("pairwise", "ndcg", "map"):
        train(directory, f"rank_{objective}", {"objective": f"rank:{objective}"}, x, called, rounds=15, qid=queries)


def refused(directory):
    directory.mkdir(exist_ok=True)
    x, _, amount = tables.credit()
    rows = numpy.asarray(x, numpy.float32)
    vector = {"multi_strategy": "multi_output_tree", "tree_method": "hist", "objective": "reg:squarederror"}
    targets = xgboost.DMatrix(rows, label=numpy.stack([amount, amount], axis=1))
    xgboost.train({**COMMON, **vector}, targets, 3).save_model(directory / "xgboost_vector_leaf.json")
    bounds = xgboost.DMatrix(rows)
    bounds.set_float_info("label_lower_bound", amount)
    bounds.set_float_info("label_upper_bound", amount + 1)
    xgboost.train({**COMMON, "objective": "survival:aft"}, bounds, 3).save_model(directory / "xgboost_aft.json")


def main():
    directory = pathlib.Path(sys.argv[1])
    directory.mkdir(parents=True, exist_ok=True)
    binary(directory)
    categorical(directory)
    several_outputs(directory)
    regressions(directory)
    refused(directory / "refused")


if __name__ == "__main__":
    main()
