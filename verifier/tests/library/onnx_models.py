"""Trains models on real tables, exports them to ONNX and writes what onnxruntime answers with one thread.

    python onnx_models.py OUT_DIR

Each model becomes NAME.onnx and NAME.bits (see tables.py), with the classes where the file has contributions. Margins are the scores of the
scoring operation with its post_transform set to NONE. Graphs of matrix products are asked row by row, because the engine adds
in another order for several rows.
"""

import os
import pathlib
import sys
import warnings

import lightgbm
import numpy
import onnx
import onnxmltools
import onnxruntime
import skl2onnx
import sklearn.compose
import sklearn.ensemble
import sklearn.impute
import sklearn.linear_model
import sklearn.neural_network
import sklearn.pipeline
import sklearn.preprocessing
import sklearn.svm
import sklearn.tree
import tables
import xgboost
from onnxmltools.convert.common import data_types as onnxml_types
from skl2onnx.common import data_types

SCORING = ("TreeEnsembleClassifier", "TreeEnsembleRegressor", "TreeEnsemble", "LinearClassifier", "LinearRegressor", "SVMClassifier")
ROWS_SINGLE = 1500  # rows of a graph that is asked row by row
TREES = ("TreeEnsembleClassifier", "TreeEnsembleRegressor", "TreeEnsemble")


make_attribute = onnx.helper.make_attribute


def make_plain_attribute(key, value, *rest, **options):
    """skl2onnx gives numbers of numpy's own types, which onnx does not take."""
    if isinstance(value, (list, numpy.ndarray)) and len(value) and isinstance(value[0], (numpy.generic, int, float)):
        value = [item.item() if isinstance(item, numpy.generic) else item for item in value]
        value = [int(item) if isinstance(item, bool) else item for item in value]
    return make_attribute(key, value, *rest, **options)


onnx.helper.make_attribute = make_plain_attribute


def session(model):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def raw_model(model):
    """The model with the scores of its scoring operation, before their transform, as its only output; none without one such."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    scoring = [node for node in copy.graph.node if node.op_type in SCORING]
    if len(scoring) != 1:
        return None
    node = scoring[0]
    for attribute in node.attribute:
        if attribute.name == "post_transform":
            if attribute.type == onnx.AttributeProto.STRING:
                attribute.s = b"NONE"
            else:
                attribute.i = 0
    kind = onnx.TensorProto.FLOAT
    if node.op_type == "TreeEnsemble" and model.graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.DOUBLE:
        kind = onnx.TensorProto.DOUBLE
    del copy.graph.output[:]
    copy.graph.output.append(onnx.helper.make_tensor_value_info(node.output[-1], kind, None))
    return copy


KINDS = {
    onnx.TensorProto.FLOAT: numpy.float32,
    onnx.TensorProto.DOUBLE: numpy.float64,
    onnx.TensorProto.INT64: numpy.int64,
    onnx.TensorProto.INT32: numpy.int32,
    onnx.TensorProto.BOOL: numpy.bool_,
}


def feeds(model, x):
    """The inputs of a graph from the columns of a table."""
    initial = {tensor.name for tensor in model.graph.initializer}
    given, start = {}, 0
    for port in model.graph.input:
        if port.name in initial:
            continue
        kind = port.type.tensor_type
        dims = [dim.dim_value for dim in kind.shape.dim]
        width = int(numpy.prod(dims[1:])) if len(dims) > 1 else 1
        part = x[:, start : start + width].astype(KINDS[kind.elem_type])
        given[port.name] = part.reshape([len(x), *dims[1:]])
        start += width
    assert start == x.shape[1], (start, x.shape)
    return given


def flat(value, count):
    """An output as a table; the maps of a ZipMap in the order of the classes."""
    if isinstance(value, list):
        return numpy.array([list(row.values()) for row in value], dtype=numpy.float32)
    return numpy.asarray(value).reshape(count, -1)


def answers_of(model, x, single):
    runner = session(model)
    parts = range(len(x)) if single else [slice(None)]
    found = None
    for part in parts:
        rows = x[part].reshape(-1, x.shape[1])
        outputs = [flat(value, len(rows)) for value in runner.run(None, feeds(model, rows))]
        found = found or [[] for _ in outputs]
        for into, value in zip(found, outputs):
            into.append(value)
    return [numpy.concatenate(value) for value in found]


def write(directory, name, model, x, single=None):
    """Writes the model and what the engine makes of the rows."""
    path = directory / f"onnx_{name}.onnx"
    path.write_bytes(model.SerializeToString())
    if single is None:
        single = any(node.op_type not in TREES + ("Cast", "Identity", "ZipMap", "Normalizer", "Scaler") for node in model.graph.node)
    doubled = any(port.type.tensor_type.elem_type != onnx.TensorProto.FLOAT for port in model.graph.input)
    x = numpy.asarray(x, numpy.float64 if doubled else numpy.float32)[: ROWS_SINGLE if single else None]
    outputs = answers_of(model, x, single)
    answers = [value for value in outputs if value.dtype.kind == "f"]
    labels = [value for value in outputs if value.dtype.kind in "iub"]
    if not answers:
        answers, labels = labels, []
    answer = numpy.concatenate(answers, axis=1)
    raw = raw_model(model)
    margins = numpy.concatenate(answers_of(raw, x, single), axis=1) if raw else answer
    wide = doubled or answer.dtype != numpy.float32 or margins.dtype != numpy.float32
    of_labels = numpy.concatenate(labels, axis=1) if labels else numpy.zeros((0, 1))
    tables.write_bits(path.with_suffix(".bits"), "<f8" if wide else "<f4", x, margins, answer, of_labels)


def sklearn_model(model, x, y, kind=data_types.FloatTensorType, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(x, y)
        has_map = hasattr(model, "predict_proba") and options.pop("zipmap", False) is False
        settings = {id(model): {"zipmap": False}} if has_map else None
        last = model.steps[-1][1] if isinstance(model, sklearn.pipeline.Pipeline) else model
        if isinstance(last, sklearn.svm.LinearSVC):  # its converter knows no zipmap, and the default gives one
            settings = {id(last): {"raw_scores": False}}
        made = skl2onnx.convert_sklearn(
            model,
            initial_types=[("x", kind([None, x.shape[1]]))],
            options=settings,
            target_opset={"": 20, "ai.onnx.ml": 3},
            **options,
        )
    return made


def xgboost_model(model, x, y):
    model.fit(numpy.float32(x), y)
    return onnxmltools.convert_xgboost(model, initial_types=[("x", onnxml_types.FloatTensorType([None, x.shape[1]]))], target_opset=15)


def lightgbm_model(model, x, y, zipmap=False):
    model.fit(x, y)
    types = [("x", onnxml_types.FloatTensorType([None, x.shape[1]]))]
    return onnxmltools.convert_lightgbm(model, initial_types=types, target_opset=15, zipmap=zipmap)


def filled(x):
    return numpy.float32(numpy.where(numpy.isnan(x), numpy.nanmean(x, axis=0), x)).astype(float)


def boosted(directory, table, x, y, classes):
    common = {"n_estimators": 60, "max_depth": 5, "n_jobs": 1, "random_state": 1}
    objective = {} if classes == 2 else {"objective": "multi:softprob"}
    write(directory, f"{table}_xgboost", xgboost_model(xgboost.XGBClassifier(**common, **objective), x, y), x)
    common = {"n_estimators": 60, "num_leaves": 31, "n_jobs": 1, "random_state": 1, "verbosity": -1}
    write(directory, f"{table}_lightgbm", lightgbm_model(lightgbm.LGBMClassifier(**common), x, y), x)
    hist = sklearn.ensemble.HistGradientBoostingClassifier(max_iter=60, random_state=1)
    write(directory, f"{table}_hist", sklearn_model(hist, x, y), x)


def forests(directory, table, x, y):
    common = {"n_estimators": 50, "max_depth": 8, "random_state": 1}
    write(directory, f"{table}_forest", sklearn_model(sklearn.ensemble.RandomForestClassifier(**common), x, y), x)
    write(directory, f"{table}_extra", sklearn_model(sklearn.ensemble.ExtraTreesClassifier(**common), x, y), x)
    write(directory, f"{table}_tree", sklearn_model(sklearn.tree.DecisionTreeClassifier(max_depth=9, random_state=1), x, y), x)
    common = {"n_estimators": 40, "max_depth": 4, "random_state": 1}
    write(directory, f"{table}_gradient", sklearn_model(sklearn.ensemble.GradientBoostingClassifier(**common), x, y), x)


def scaled(model):
    return sklearn.pipeline.make_pipeline(sklearn.preprocessing.StandardScaler(), model)


def others(directory, table, x, y):
    logistic = sklearn.linear_model.LogisticRegression(max_iter=500)
    write(directory, f"{table}_logistic", sklearn_model(scaled(logistic), x, y), x)
    network = sklearn.neural_network.MLPClassifier((64, 32), max_iter=60, random_state=1)
    write(directory, f"{table}_network", sklearn_model(scaled(network), x, y), x)
    write(directory, f"{table}_linear_svc", sklearn_model(scaled(sklearn.svm.LinearSVC(max_iter=5000)), x, y), x)


def classifiers(directory):
    x, bad, _ = tables.credit()
    sets = [("credit", x, bad), ("lending_club", *tables.lending_club()[:2]), ("hiring", *tables.hiring()), ("cancer", *tables.cancer())]
    for table, x, y in sets:
        x = numpy.float32(x).astype(float)
        y = y.astype(int)
        boosted(directory, table, x, y, 2)
        forests(directory, table, filled(x), y)
        others(directory, table, filled(x), y)


def machines(directory):
    x, benign = tables.cancer()
    x = filled(x)
    for kernel in ("linear", "rbf", "poly", "sigmoid"):
        for chances in (False, True):
            model = sklearn.svm.SVC(kernel=kernel, probability=chances, random_state=1)
            write(directory, f"cancer_svc_{kernel}{'_chances' if chances else ''}", sklearn_model(scaled(model), x, benign), x)
    x, _, status = tables.lending_club()
    x, status = filled(x)[:1500], status.astype(int)[:1500]
    for chances in (False, True):
        model = sklearn.svm.SVC(kernel="rbf", probability=chances, random_state=1)
        write(directory, f"classes_svc{'_chances' if chances else ''}", sklearn_model(scaled(model), x, status), x)
    x, _, amount = tables.credit()
    x = filled(numpy.delete(x, 8, axis=1))[:800]
    write(directory, "amount_svr", sklearn_model(scaled(sklearn.svm.SVR(C=100.0)), x, amount[:800]), x)


def several_classes(directory):
    x, _, status = tables.lending_club()
    x, status = numpy.float32(x).astype(float), status.astype(int)
    boosted(directory, "classes", x, status, 3)
    forests(directory, "classes", x, status)
    others(directory, "classes", filled(x), status)


def regressions(directory):
    x, _, amount = tables.credit()
    x = numpy.float32(numpy.delete(x, 8, axis=1)).astype(float)
    boost = xgboost.XGBRegressor(n_estimators=60, max_depth=5, n_jobs=1)
    write(directory, "amount_xgboost", xgboost_model(boost, x, amount), x)
    gbm = lightgbm.LGBMRegressor(n_estimators=60, n_jobs=1, verbosity=-1)
    write(directory, "amount_lightgbm", lightgbm_model(gbm, x, amount), x)
    write(directory, "amount_hist", sklearn_model(sklearn.ensemble.HistGradientBoostingRegressor(max_iter=60), x, amount), x)
    x = filled(x)
    common = {"n_estimators": 40, "max_depth": 8, "random_state": 1}
    write(directory, "amount_forest", sklearn_model(sklearn.ensemble.RandomForestRegressor(**common), x, amount), x)
    write(directory, "amount_extra", sklearn_model(sklearn.ensemble.ExtraTreesRegressor(**common), x, amount), x)
    write(directory, "amount_gradient", sklearn_model(sklearn.ensemble.GradientBoostingRegressor(random_state=1), x, amount), x)
    write(directory, "amount_ridge", sklearn_model(scaled(sklearn.linear_model.Ridge()), x, amount), x)
    two = numpy.stack([amount, numpy.sqrt(amount)], axis=1)
    write(directory, "targets_forest", sklearn_model(sklearn.ensemble.RandomForestRegressor(**common), x, two), x)


def pipelines(directory):
    x, categorical, bad = tables.credit_codes()
    x, bad = numpy.float32(x).astype(float), bad.astype(int)
    codes = [column for column, is_category in enumerate(categorical) if is_category]
    numbers = [column for column in range(x.shape[1]) if column not in codes]
    x[:, codes] = numpy.where(numpy.isnan(x[:, codes]), -1, x[:, codes])
    prepare = sklearn.compose.ColumnTransformer(
        [
            ("numbers", sklearn.pipeline.make_pipeline(sklearn.impute.SimpleImputer(), sklearn.preprocessing.StandardScaler()), numbers),
            ("codes", sklearn.preprocessing.OneHotEncoder(handle_unknown="ignore"), codes),
        ]
    )
    for name, model in (
        ("forest", sklearn.ensemble.RandomForestClassifier(30, max_depth=7, random_state=1)),
        ("logistic", sklearn.linear_model.LogisticRegression(max_iter=500)),
    ):
        pipeline = sklearn.pipeline.make_pipeline(prepare, model)
        write(directory, f"pipeline_{name}", sklearn_model(pipeline, x, bad), x)
    for norm in ("l1", "l2", "max"):
        normal = sklearn.preprocessing.Normalizer(norm)
        forest = sklearn.ensemble.RandomForestClassifier(10, max_depth=6, random_state=1)
        pipeline = sklearn.pipeline.make_pipeline(sklearn.impute.SimpleImputer(), normal, forest)
        write(directory, f"pipeline_{norm}", sklearn_model(pipeline, x, bad), x)
    forest = sklearn.ensemble.RandomForestClassifier(10, max_depth=6, random_state=1)
    pipeline = sklearn.pipeline.make_pipeline(
        sklearn.impute.SimpleImputer(), sklearn.preprocessing.MinMaxScaler(), sklearn.preprocessing.Binarizer(threshold=0.3), forest
    )
    write(directory, "pipeline_binarizer", sklearn_model(pipeline, x, bad), x)


def main():
    directory = pathlib.Path(sys.argv[1])
    directory.mkdir(parents=True, exist_ok=True)
    numpy.seterr(all="ignore")
    for part in (classifiers, several_classes, regressions, machines, pipelines):
        part(directory)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
