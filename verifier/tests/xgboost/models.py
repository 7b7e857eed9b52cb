"""Trains models of many shapes on random data and writes what the library answers, for verifier/tests/xgboost_library.rs.

    python models.py OUT_DIR [SEED]

Each model NAME becomes NAME.json (the model file) and NAME.bits: two little-endian u32, rows and columns, then the rows as
f32, one margin and one prediction a row. Both come from the file as written, not from the model in memory: the file's
text is the model. refused/ gets files that the evaluator must refuse.
"""

import pathlib
import struct
import sys

import numpy
import xgboost

ROWS = 700


def features(rng, columns, missing, kind):
    if kind == "small whole numbers":  # values fall on thresholds
        table = rng.integers(-3, 4, size=(ROWS, columns)).astype(numpy.float32)
    elif kind == "every magnitude":  # from subnormal to nearly the largest
        exponents = rng.uniform(-44, 38, size=(ROWS, columns))
        signs = rng.choice([-1.0, 1.0], size=(ROWS, columns))
        table = (signs * 10.0**exponents).astype(numpy.float32)
    else:
        table = rng.normal(size=(ROWS, columns)).astype(numpy.float32)
    table[rng.random(size=table.shape) < missing] = numpy.nan
    return table


SHAPES = [
    # name, columns, missing, kind of values, training parameters, rounds
    ("depth_1", 5, 0.0, "normal", {"max_depth": 1}, 40),
    ("depth_10", 12, 0.2, "normal", {"max_depth": 10, "min_child_weight": 0}, 25),
    ("many_trees", 8, 0.1, "normal", {"max_depth": 3, "eta": 0.02}, 600),
    ("wide", 300, 0.3, "normal", {"max_depth": 6, "colsample_bytree": 0.3}, 60),
    ("nearly_empty", 20, 0.9, "normal", {"max_depth": 5}, 50),
    ("ties", 6, 0.2, "small whole numbers", {"max_depth": 6, "tree_method": "hist"}, 80),
    ("ties_exact", 6, 0.2, "small whole numbers", {"max_depth": 6, "tree_method": "exact"}, 80),
    ("magnitudes", 10, 0.1, "every magnitude", {"max_depth": 6, "tree_method": "exact"}, 80),
    ("rare", 6, 0.1, "normal", {"max_depth": 4, "base_score": 1e-5}, 50),
    ("common", 6, 0.1, "normal", {"max_depth": 4, "base_score": 0.9999}, 50),
    ("own_base_score", 6, 0.1, "normal", {"max_depth": 4, "base_score": 0.1234567}, 50),
    ("forest", 9, 0.1, "normal", {"max_depth": 6, "num_parallel_tree": 7, "subsample": 0.5, "eta": 0.3}, 12),
    ("leafwise", 9, 0.1, "normal", {"grow_policy": "lossguide", "max_leaves": 40, "max_depth": 0}, 50),
    ("pruned", 9, 0.1, "normal", {"max_depth": 8, "gamma": 1.5, "tree_method": "exact"}, 50),
    ("monotone", 4, 0.1, "normal", {"max_depth": 5, "monotone_constraints": "(1,-1,0,1)"}, 50),
    ("saturated", 3, 0.0, "normal", {"max_depth": 4, "eta": 1.0, "reg_lambda": 0, "max_delta_step": 0}, 300),
    ("no_trees", 4, 0.0, "normal", {"base_score": 0.3}, 0),
    ("squared", 15, 0.2, "normal", {"objective": "reg:squarederror", "max_depth": 6}, 100),
    ("squared_large", 15, 0.2, "normal", {"objective": "reg:squarederror", "max_depth": 6, "base_score": 1e6}, 100),
    ("reg_logistic", 15, 0.2, "normal", {"objective": "reg:logistic", "max_depth": 6}, 100),
]


def labels(rng, table, objective):
    score = numpy.nan_to_num(table[:, 0], nan=0.5, posinf=1, neginf=-1).clip(-3, 3) + rng.normal(size=ROWS)
    return score * 1000 if objective == "reg:squarederror" else (score > 0.3).astype(numpy.float32)


def write(directory, name, booster, table):
    path = directory / f"{name}.json"
    booster.save_model(path)
    written = xgboost.Booster(model_file=path)
    matrix = xgboost.DMatrix(table)
    margins = written.predict(matrix, output_margin=True).astype("<f4")
    predictions = written.predict(matrix).astype("<f4")
    head = struct.pack("<II", *table.shape)
    bits = head + table.astype("<f4").tobytes() + margins.tobytes() + predictions.tobytes()
    (directory / f"{name}.bits").write_bytes(bits)


def write_refused(directory, rng):
    directory.mkdir(exist_ok=True)
    table = features(rng, 4, 0.1, "normal")
    matrix = xgboost.DMatrix(table, label=labels(rng, table, "binary:logistic"))
    logistic = {"objective": "binary:logistic", "max_depth": 3}
    xgboost.train({**logistic, "base_score": 1e-7}, matrix, 6).save_model(directory / "base_score.json")

    targets = xgboost.DMatrix(table, label=rng.normal(size=(ROWS, 2)))
    vector = {"objective": "reg:squarederror", "max_depth": 3, "multi_strategy": "multi_output_tree", "tree_method": "hist"}
    xgboost.train(vector, targets, 4).save_model(directory / "vector_leaf.json")

    noise = xgboost.DMatrix(table, label=rng.integers(0, 2, ROWS))
    stopped = xgboost.train(
        {**logistic, "max_depth": 6}, matrix, 60, evals=[(noise, "noise")], early_stopping_rounds=5, verbose_eval=False
    )
    stopped.save_model(directory / "early_stopping.json")


def main():
    directory = pathlib.Path(sys.argv[1])
    directory.mkdir(parents=True, exist_ok=True)
    rng = numpy.random.default_rng(int(sys.argv[2]) if len(sys.argv) > 2 else 1)
    for name, columns, missing, kind, parameters, rounds in SHAPES:
        parameters = {"objective": "binary:logistic", "nthread": 1, "verbosity": 0, **parameters}
        table = features(rng, columns, missing, kind)
        matrix = xgboost.DMatrix(table, label=labels(rng, table, parameters["objective"]))
        write(directory, name, xgboost.train(parameters, matrix, rounds), table)
    write_refused(directory / "refused", rng)
    print(f"xgboost {xgboost.__version__}: {len(SHAPES)} models, {ROWS} rows each")


if __name__ == "__main__":
    main()
