"""Trains a LightGBM model of every supported kind on real tables and writes what the library answers.

    python lightgbm_models.py OUT_DIR

Each model becomes NAME.txt and NAME.bits (see tables.py). The answers come from the file as written.
"""

import pathlib
import sys

import lightgbm
import numpy
import tables

COMMON = {"num_threads": 1, "verbosity": -1, "seed": 1, "num_leaves": 15, "learning_rate": 0.2}


def write(directory, name, booster, x, explained):
    path = directory / f"lightgbm_{name}.txt"
    booster.save_model(path)
    written = lightgbm.Booster(model_file=path)
    contributions = written.predict(x[:explained], pred_contrib=True) if explained else numpy.zeros((0, 1))
    tables.write_bits(
        path.with_suffix(".bits"), "<f8", x, written.predict(x, raw_score=True), written.predict(x), contributions
    )


def train(directory, name, parameters, x, y, rounds=40, explained=60, **data):
    dataset = lightgbm.Dataset(x, label=y, free_raw_data=False, **data)
    booster = lightgbm.train({**COMMON, **parameters}, dataset, rounds)
    write(directory, name, booster, x, explained)


def binary(directory):
    x, bad, _ = tables.credit()
    logistic = {"objective": "binary"}
    train(directory, "credit", logistic, x, bad, rounds=100, explained=500)
    train(directory, "credit_dart", {**logistic, "boosting": "dart", "drop_rate": 0.3}, x, bad)
    forest = {"boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.6, "feature_fraction": 0.6}
    train(directory, "credit_forest", {**logistic, **forest}, x, bad)
    train(directory, "credit_sigmoid", {**logistic, "sigmoid": 0.7}, x, bad)
    train(directory, "credit_linear", {**logistic, "linear_tree": True}, numpy.nan_to_num(x, nan=-1), bad, explained=0)
    train(directory, "credit_linear_missing", {**logistic, "linear_tree": True}, x, bad, explained=0)
    train(directory, "credit_zero_missing", {**logistic, "zero_as_missing": True}, x, bad)
    train(directory, "credit_no_missing", {**logistic, "use_missing": False}, x, bad)
    train(directory, "credit_goss", {**logistic, "data_sample_strategy": "goss"}, x, bad)
    signs = [column % 3 - 1 for column in range(x.shape[1])]
    train(directory, "credit_monotone", {**logistic, "monotone_constraints": signs}, x, bad)
    train(directory, "credit_entropy", {"objective": "cross_entropy"}, x, bad)
    train(directory, "credit_entropy_lambda", {"objective": "cross_entropy_lambda"}, x, bad)
    tiny = x * 1e-36
    train(directory, "credit_tiny", {**logistic, "min_data_in_bin": 1}, tiny, bad)
    x, bad, _ = tables.lending_club()
    train(directory, "lending_club", logistic, x, bad, rounds=100, explained=200)
    x, called = tables.hiring()
    train(directory, "hiring", logistic, x, called, rounds=100, explained=200)
    x, benign = tables.cancer()
    train(directory, "cancer", {**logistic, "num_leaves": 31}, x, benign, rounds=100, explained=200)


def categorical(directory):
    for table, load in (("credit", tables.credit_codes), ("lending_club", tables.lending_club_codes)):
        x, categories, bad = load()
        columns = [column for column, is_category in enumerate(categories) if is_category]
        for kind, onehot in (("onehot", 100), ("many", 1)):
            parameters = {"objective": "binary", "max_cat_to_onehot": onehot, "min_data_per_group": 20}
            train(directory, f"{table}_{kind}", parameters, x, bad, categorical_feature=columns)


def several_outputs(directory):
    x, _, status = tables.lending_club()
    train(directory, "classes", {"objective": "multiclass", "num_class": 3}, x, status, rounds=20)
    train(directory, "classes_ova", {"objective": "multiclassova", "num_class": 3}, x, status, rounds=20)
    dart = {"objective": "multiclass", "num_class": 3, "boosting": "dart", "drop_rate": 0.3}
    train(directory, "classes_dart", dart, x, status, rounds=10)


def regressions(directory):
    x, _, amount = tables.credit()
    x = numpy.delete(x, 8, axis=1)
    for objective in ("regression", "regression_l1", "huber", "fair", "poisson", "quantile", "mape", "gamma", "tweedie"):
        train(directory, f"amount_{objective}", {"objective": objective}, x, amount)
    train(directory, "amount_sqrt", {"objective": "regression", "reg_sqrt": True}, x, amount)
    train(directory, "amount_linear", {"objective": "regression", "linear_tree": True}, x, amount, explained=0)
    train(directory, "amount_nothing", {"objective": "regression", "min_data_in_leaf": 4000}, x, amount, rounds=3)
    x, called = tables.hiring()
    train(directory, "rank_lambda", {"objective": "lambdarank"}, x, called, rounds=15, group=[487] * 10)
    train(directory, "rank_xendcg", {"objective": "rank_xendcg"}, x, called, rounds=15, group=[487] * 10)


def main():
    directory = pathlib.Path(sys.argv[1])
    directory.mkdir(parents=True, exist_ok=True)
    binary(directory)
    categorical(directory)
    several_outputs(directory)
    regressions(directory)


if __name__ == "__main__":
    main()
