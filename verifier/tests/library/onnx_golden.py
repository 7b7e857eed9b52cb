"""Writes the small ONNX models that verifier/tests/vectors/onnx/ keeps, with the engine's answers.

    python onnx_golden.py OUT_DIR

57 rows and 8 columns of scikit-learn's breast_cancer, every eleventh cell missing, and random ensembles of trees of onnx_trees.py.
"""

import pathlib
import sys

import lightgbm
import numpy
import onnx_models
import onnx_trees
import sklearn.ensemble
import sklearn.linear_model
import sklearn.neural_network
import sklearn.pipeline
import sklearn.preprocessing
import sklearn.svm
import tables
import xgboost


def table():
    x, benign = tables.cancer()
    x = x[::10, :8].copy()
    size = numpy.digitize(x[:, 2], numpy.quantile(x[:, 2], [0.33, 0.66]))
    x[(numpy.arange(x.size) % 11 == 0).reshape(x.shape)] = numpy.nan
    return numpy.float32(x).astype(float), benign[::10], size


def main():
    directory = pathlib.Path(sys.argv[1])
    directory.mkdir(parents=True, exist_ok=True)
    x, benign, size = table()
    full = onnx_models.filled(x)
    small = {"n_estimators": 4, "max_depth": 3, "random_state": 1}
    models, sk = onnx_models, onnx_models.sklearn_model
    models.write(directory, "xgboost", models.xgboost_model(xgboost.XGBClassifier(**small), x, benign), x)
    models.write(directory, "xgboost_classes", models.xgboost_model(xgboost.XGBClassifier(**small), x, size), x)
    gbm = lightgbm.LGBMClassifier(n_estimators=4, num_leaves=5, min_child_samples=4, verbosity=-1)
    models.write(directory, "lightgbm_map", models.lightgbm_model(gbm, x, benign, zipmap=True), x)
    hist = sklearn.ensemble.HistGradientBoostingClassifier(max_iter=4, min_samples_leaf=4, random_state=1)
    models.write(directory, "hist", sk(hist, x, benign), x)
    models.write(directory, "forest", sk(sklearn.ensemble.RandomForestClassifier(**small), full, size), full)
    two = numpy.stack([size, full[:, 3]], axis=1)
    models.write(directory, "targets", sk(sklearn.ensemble.ExtraTreesRegressor(**small), full, two), full)
    models.write(directory, "machine", sk(models.scaled(sklearn.svm.SVC(probability=True, random_state=1)), full, size), full)
    models.write(directory, "logistic", sk(models.scaled(sklearn.linear_model.LogisticRegression()), full, benign), full)
    network = sklearn.neural_network.MLPClassifier((5,), max_iter=50, random_state=1)
    models.write(directory, "network", sk(models.scaled(network), full, benign), full)
    pipeline = sklearn.pipeline.make_pipeline(sklearn.preprocessing.Normalizer(), sklearn.ensemble.RandomForestClassifier(**small))
    models.write(directory, "normalizer", sk(pipeline, full, benign), full)
    random = numpy.random.default_rng(20)
    for number in range(8):
        model, rows = onnx_trees.drawn(random)
        models.write(directory, f"trees_{number}", model, rows, single=False)


if __name__ == "__main__":
    main()
