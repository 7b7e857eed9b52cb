"""Writes the two models of one XGBoost version that verifier/tests/vectors/xgboost/ keeps, with the library's answers.

    pip install xgboost==1.7.6 'numpy<2' scipy
    python versions.py OUT_DIR

The format of a model file changed over time: base_score as a number in text and as a list, default_left as booleans and as
integers, fields that came later. Kept so far: 1.0.2, 1.3.3, 1.7.6, 2.1.4, 3.0.5 and 3.2.0. NAME.bits is as in models.py.

Before 1.3 the library added the trees first and the base margin last. Its files are scored in today's order, so a version
before 1.3 writes no answers; a later one, run in the same folder, writes those that are missing.
"""

import pathlib
import struct
import sys

import numpy
import xgboost

ROWS = 120


def answer(path, table):
    written = xgboost.Booster(model_file=str(path))
    unlabelled = xgboost.DMatrix(table)
    margins = written.predict(unlabelled, output_margin=True).astype("<f4")
    predictions = written.predict(unlabelled).astype("<f4")
    bits = struct.pack("<II", *table.shape) + table.astype("<f4").tobytes()
    path.with_suffix(".bits").write_bytes(bits + margins.tobytes() + predictions.tobytes())
    print("answered", path.name)


def main():
    directory = pathlib.Path(sys.argv[1])
    rng = numpy.random.RandomState(7)
    table = rng.normal(size=(ROWS, 5)).astype(numpy.float32)
    table[rng.uniform(size=table.shape) < 0.2] = numpy.nan
    score = numpy.nan_to_num(table[:, 0]) + 0.5 * rng.normal(size=ROWS)
    for kind, objective, label in [
        ("logistic", "binary:logistic", (score > 0.4).astype(numpy.float32)),
        ("squared", "reg:squarederror", score * 100),
    ]:
        parameters = {"objective": objective, "max_depth": 4, "eta": 0.3, "nthread": 1, "gamma": 0.1}
        if kind == "logistic":
            parameters["base_score"] = 0.3
        matrix = xgboost.DMatrix(table, label=label)
        path = directory / f"{xgboost.__version__}_{kind}.json"
        xgboost.train(parameters, matrix, 6).save_model(str(path))
        print("wrote", path.name)
    if tuple(int(part) for part in xgboost.__version__.split(".")) >= (1, 3):
        for path in sorted(directory.glob("*.json")):
            if not path.with_suffix(".bits").exists():
                answer(path, table)


if __name__ == "__main__":
    main()
