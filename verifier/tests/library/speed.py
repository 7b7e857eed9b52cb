"""Trains two models on lending_club and answers how long the library takes for its rows; verifier/examples/model_speed.rs asks.

    python speed.py OUT_DIR ROWS THREADS

Writes OUT_DIR/xgboost.json, lightgbm.txt, rows.f64, per library NAME.margins and NAME.contributions of the first rows (f64), then for each
line `xgboost margins`, `lightgbm contributions` and so on on standard input predicts once and prints the seconds.
"""

import pathlib
import sys
import time

import lightgbm
import numpy
import tables
import xgboost

EXPLAINED = 2000  # rows with contributions


def main():
    directory, count, threads = pathlib.Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    directory.mkdir(parents=True, exist_ok=True)
    x, bad, _ = tables.lending_club()
    x = numpy.float32(x)
    rows = numpy.resize(x, (count, x.shape[1]))
    rows[numpy.random.default_rng(1).random(rows.shape) < 0.05] = numpy.nan
    parameters = {"objective": "binary:logistic", "max_depth": 6, "nthread": threads}
    booster = xgboost.train(parameters, xgboost.DMatrix(x, label=bad), 200)
    booster.save_model(directory / "xgboost.json")
    parameters = {"objective": "binary", "num_leaves": 31, "num_threads": threads, "verbosity": -1}
    gbm = lightgbm.train(parameters, lightgbm.Dataset(x.astype(float), label=bad), 200)
    gbm.save_model(directory / "lightgbm.txt")
    doubles = rows.astype(float)
    doubles.tofile(directory / "rows.f64")
    # A matrix is made anew each time and outside the measured time: the library keeps the answers of one that it has seen.
    matrix = lambda rows: xgboost.DMatrix(rows, nthread=threads)
    common = {"num_threads": threads}
    tasks = {
        "xgboost margins": (lambda: matrix(rows), lambda given: booster.predict(given, output_margin=True)),
        "lightgbm margins": (lambda: doubles, lambda given: gbm.predict(given, raw_score=True, **common)),
        "xgboost contributions": (lambda: matrix(rows[:EXPLAINED]), lambda given: booster.predict(given, pred_contribs=True)),
        "lightgbm contributions": (lambda: doubles[:EXPLAINED], lambda given: gbm.predict(given, pred_contrib=True, **common)),
    }
    for name, (prepare, run) in tasks.items():
        run(prepare()).astype(float).tofile(directory / name.replace(" ", "."))
    print("ready", flush=True)
    for line in sys.stdin:
        prepare, run = tasks[line.strip()]
        given = prepare()
        start = time.perf_counter()
        run(given)
        print(time.perf_counter() - start, flush=True)


if __name__ == "__main__":
    main()
