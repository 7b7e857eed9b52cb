"""Trains CatBoost models of the supported kinds on real tables and writes what the library answers.

    python catboost_models.py OUT_DIR

Each model becomes NAME.json and NAME.bits (see tables.py). The answers come from the model that wrote the file: the library's own reader
of JSON rounds some leaves to a neighbouring number. Categories are whole numbers.
"""

import pathlib
import sys

import catboost
import numpy
import tables

COMMON = {"thread_count": 1, "verbose": 0, "random_seed": 1, "iterations": 60, "allow_writing_files": False}


def write(directory, name, model, x, rows):
    path = directory / f"catboost_{name}.json"
    model.save_model(path, format="json")
    raw = model.predict(rows, prediction_type="RawFormulaVal")
    tables.write_bits(path.with_suffix(".bits"), "<f8", x, raw, raw, numpy.zeros((0, 1)))


def train(directory, name, parameters, x, y):
    model = catboost.CatBoost({**COMMON, **parameters})
    model.fit(x, y)
    write(directory, name, model, x, x)


def train_categories(directory, name, parameters, x, categorical, y):
    x = numpy.where(numpy.isnan(x) & numpy.array(categorical), -1, x)
    rows = [[int(value) if is_category else value for value, is_category in zip(row, categorical)] for row in x]
    columns = [column for column, is_category in enumerate(categorical) if is_category]
    pool = catboost.Pool(rows, y, cat_features=columns)
    model = catboost.CatBoost({**COMMON, "one_hot_max_size": 200, **parameters})
    model.fit(pool)
    write(directory, name, model, x, pool)


def main():
    directory = pathlib.Path(sys.argv[1])
    directory.mkdir(parents=True, exist_ok=True)
    logistic = {"loss_function": "Logloss"}
    x, bad, amount = tables.credit()
    train(directory, "credit", {**logistic, "iterations": 203}, x, bad)
    train(directory, "credit_missing_above", {**logistic, "nan_mode": "Max"}, x, bad)
    train(directory, "credit_deep", {**logistic, "depth": 10, "iterations": 21}, x, bad)
    x = numpy.delete(x, 8, axis=1)
    train(directory, "amount", {"loss_function": "RMSE"}, x, amount)
    train(directory, "amount_poisson", {"loss_function": "Poisson"}, x, amount)
    train(directory, "amount_quantile", {"loss_function": "Quantile:alpha=0.3"}, x, amount)
    x, bad, status = tables.lending_club()
    train(directory, "lending_club", logistic, x, bad)
    train(directory, "classes", {"loss_function": "MultiClass"}, x, status)
    train(directory, "classes_ova", {"loss_function": "MultiClassOneVsAll"}, x, status)
    train(directory, "hiring", logistic, *tables.hiring())
    train(directory, "cancer", logistic, *tables.cancer())
    train_categories(directory, "credit_categories", logistic, *tables.credit_codes())
    train_categories(directory, "lending_club_categories", logistic, *tables.lending_club_codes())
    refused = directory / "refused"
    refused.mkdir(exist_ok=True)
    train_categories(refused, "statistics", {**logistic, "one_hot_max_size": 2}, *tables.credit_codes())
    x, bad, _ = tables.credit()
    train(refused, "not_symmetric", {**logistic, "grow_policy": "Lossguide"}, x, bad)


if __name__ == "__main__":
    main()
