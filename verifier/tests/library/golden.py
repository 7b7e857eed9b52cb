"""Writes the small models that verifier/tests/vectors/models/ keeps, with the libraries' answers.

    python golden.py OUT_DIR

57 rows and 8 columns of scikit-learn's breast_cancer, every eleventh cell missing, the last column cut into 12 shuffled categories.
"""

import pathlib
import sys

import catboost_models
import lightgbm
import lightgbm_models
import numpy
import tables
import xgboost_models


NAMES = ["radius", "texture", "perimeter", "area", "smoothness", "compactness", "concavity", "group"]


def table():
    x, _ = tables.cancer()
    x = x[::10, :8].copy()
    edges = numpy.quantile(x[:, 7], numpy.linspace(0, 1, 13)[1:-1])
    x[:, 7] = numpy.searchsorted(edges, x[:, 7]) * 5 % 12
    odd = (x[:, 7] % 3 == 0).astype(float)  # what only a split on categories can tell
    missing = (numpy.arange(x.size) % 11 == 0).reshape(x.shape)
    size = numpy.digitize(x[:, 2], numpy.quantile(x[:, 2], [0.33, 0.66])).astype(float)
    x[missing] = numpy.nan
    return numpy.float32(x).astype(float), odd, size


def xgboost_files(directory, x, odd, size):
    names = {"matrix": {"feature_types": ["q"] * 7 + ["c"], "enable_categorical": True, "feature_names": NAMES}}
    common = {"rounds": 4, "explained": 57, **names}
    logistic = {"objective": "binary:logistic", "max_depth": 3, "tree_method": "hist", "max_cat_to_onehot": 2}
    xgboost_models.train(directory, "binary", logistic, x, odd, **common)
    dart = {**logistic, "booster": "dart", "rate_drop": 0.5, "one_drop": 1}
    xgboost_models.train(directory, "dart_ubj", dart, x, odd, **common)
    classes = {**logistic, "objective": "multi:softprob", "num_class": 3}
    xgboost_models.train(directory, "classes_ubj", classes, x, size, **common)
    gamma = {**logistic, "objective": "reg:gamma"}
    xgboost_models.train(directory, "gamma", gamma, x, size + 1, **common)
    linear = {"objective": "reg:squarederror", "booster": "gblinear", "updater": "coord_descent"}
    xgboost_models.train(directory, "linear", linear, x / 100, size, rounds=4, explained=57)


def lightgbm_files(directory, x, odd, size):
    common = {"rounds": 4, "explained": 57, "categorical_feature": [7], "feature_name": NAMES}
    small = {"num_leaves": 6, "min_data_in_leaf": 4, "min_data_per_group": 2, "cat_smooth": 0, "cat_l2": 0, "max_cat_to_onehot": 2}
    lightgbm_models.train(directory, "binary", {**small, "objective": "binary"}, x, odd, **common)
    dart = {**small, "objective": "multiclass", "num_class": 3, "boosting": "dart", "drop_rate": 0.5}
    lightgbm_models.train(directory, "classes", dart, x, size, **common)
    forest = {**small, "objective": "regression", "boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.6}
    lightgbm_models.train(directory, "forest", forest, x, size, **common)
    linear = {**small, "objective": "poisson", "linear_tree": True}
    lightgbm_models.train(directory, "linear", linear, x, size, rounds=4, explained=0, feature_name=NAMES)
    on_thresholds(directory, {**small, "objective": "fair"}, x[:, :7], size)


def on_thresholds(directory, parameters, x, y):
    """Every cell of the rows is a threshold of the model's own."""
    data = lightgbm.Dataset(x, label=y, free_raw_data=False)
    booster = lightgbm.train({**lightgbm_models.COMMON, **parameters}, data, 16)
    splits = booster.trees_to_dataframe().dropna(subset=["split_feature"])
    rows = x.copy()
    for column in range(x.shape[1]):
        thresholds = splits.loc[splits["split_feature"] == f"Column_{column}", "threshold"].to_numpy(float)
        if len(thresholds):
            rows[:, column] = numpy.resize(thresholds, len(rows))
    lightgbm_models.write(directory, "thresholds", booster, rows, 57)


def catboost_files(directory, x, odd):
    categorical = [False] * 7 + [True]
    small = {"iterations": 5, "depth": 3, "loss_function": "Logloss"}
    catboost_models.train_categories(directory, "binary", small, x, categorical, odd)
    catboost_models.train(directory, "regression", {**small, "loss_function": "RMSE", "nan_mode": "Max"}, x[:, :7], x[:, 3])


def main():
    directory = pathlib.Path(sys.argv[1])
    directory.mkdir(parents=True, exist_ok=True)
    x, odd, size = table()
    xgboost_files(directory, x, odd, size)
    lightgbm_files(directory, x, odd, size)
    x[numpy.isnan(x[:, 3]), 3] = 0
    catboost_files(directory, x, odd)


if __name__ == "__main__":
    main()
