"""Trains two models on lending_club and answers how long the library takes for its rows; verifier/examples/model_speed.rs asks.

    python speed.py OUT_DIR ROWS THREADS

Writes OUT_DIR/xgboost.json, lightgbm.txt, rows.f64 and per library NAME.margins (f64), then for each line `xgboost` or `lightgbm` on
standard input predicts all rows once and prints the seconds.
"""

import pathlib
import sys
import time

import lightgbm
import numpy
import tables
import xgboost


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
    prepare = {"xgboost": lambda: xgboost.DMatrix(rows, nthread=threads), "lightgbm": lambda: doubles}
    predict = {
        "xgboost": lambda matrix: booster.predict(matrix, output_margin=True),
        "lightgbm": lambda matrix: gbm.predict(matrix, raw_score=True, num_threads=threads),
    }
    for name, run in predict.items():
        run(prepare[name]()).astype(float).tofile(directory / f"{name}.margins")
    print("ready", flush=True)
    for line in sys.stdin:
        name = line.strip()
        matrix = prepare[name]()
        start = time.perf_counter()
        predict[name](matrix)
        print(time.perf_counter() - start, flush=True)


if __name__ == "__main__":
    main()
