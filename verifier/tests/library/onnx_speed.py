"""Exports three ensembles trained on lending_club and answers how long onnxruntime takes; verifier/examples/model_speed.rs asks.

    python onnx_speed.py OUT_DIR ROWS THREADS

Writes OUT_DIR/NAME.onnx, rows.f64 and NAME.margins (f64), then for each line `NAME margins` on standard input predicts all rows once and prints the
seconds.
"""

import pathlib
import sys
import time

import lightgbm
import numpy
import onnx_models
import onnxruntime
import sklearn.ensemble
import tables
import xgboost


def runner(model, threads):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def main():
    directory, count, threads = pathlib.Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    directory.mkdir(parents=True, exist_ok=True)
    x, bad, _ = tables.lending_club()
    x, bad = numpy.float32(x).astype(float), bad.astype(int)
    rows = numpy.float32(numpy.resize(x, (count, x.shape[1])))
    rows.astype(float).tofile(directory / "rows.f64")
    boost = xgboost.XGBClassifier(n_estimators=200, max_depth=6)
    gbm = lightgbm.LGBMClassifier(n_estimators=200, num_leaves=31, verbosity=-1)
    forest = sklearn.ensemble.RandomForestClassifier(100, max_depth=10, random_state=1)
    models = {
        "onnx_xgboost": onnx_models.xgboost_model(boost, x, bad),
        "onnx_lightgbm": onnx_models.lightgbm_model(gbm, x, bad),
        "onnx_forest": onnx_models.sklearn_model(forest, x, bad),
    }
    runners = {}
    for name, model in models.items():
        (directory / f"{name}.onnx").write_bytes(model.SerializeToString())
        raw = onnx_models.raw_model(model)
        # The bits of one thread: with several the engine adds in another order.
        runner(raw, 1).run(None, {"x": rows})[0].astype(float).tofile(directory / f"{name}.margins")
        runners[name] = runner(raw, threads)
    print("ready", flush=True)
    for line in sys.stdin:
        start = time.perf_counter()
        runners[line.split()[0]].run(None, {"x": rows})
        print(time.perf_counter() - start, flush=True)


if __name__ == "__main__":
    main()
