"""Makes a graph for every plain operation and every operation on columns, and writes what onnxruntime answers row by row.

    python onnx_operations.py OUT_DIR

Each becomes NAME.onnx and NAME.bits as in onnx_models.py.
"""

import pathlib
import sys

import numpy
import onnx
import onnx_models
from onnx import TensorProto, helper, numpy_helper

ROWS, COLUMNS = 200, 6


def constant(name, values, kind=numpy.float32):
    return numpy_helper.from_array(numpy.array(values, kind), name)


def write(directory, name, nodes, x, constants=(), kind=TensorProto.FLOAT, ml=3, plain=20):
    """A graph from x to y; a result of truth values is written as numbers."""
    graph = helper.make_graph(
        nodes,
        name,
        [helper.make_tensor_value_info("x", kind, [None, x.shape[1]])],
        [helper.make_empty_tensor_value_info("y")],
        list(constants),
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", plain), helper.make_opsetid("ai.onnx.ml", ml)])
    model.ir_version = 9
    model = onnx.shape_inference.infer_shapes(model)
    onnx_models.write(directory, name, model, x, single=True)


def node(operation, *inputs, domain="", **attributes):
    return helper.make_node(operation, ["x", *inputs], ["y"], domain=domain, **attributes)


def plain(directory, random, x):
    some = constant("c", random.normal(size=COLUMNS))
    for operation in ("Add", "Sub", "Mul", "Div", "Max", "Min", "Sum", "PRelu"):
        write(directory, f"op_{operation}", [node(operation, "c")], x, [some])
    for operation in ("Abs", "Neg", "Relu", "Floor", "Ceil", "Reciprocal", "Exp", "Sigmoid", "Tanh", "Erf", "Softplus", "LeakyRelu", "Elu", "Selu"):
        write(directory, f"op_{operation}", [node(operation)], x)
    for operation in ("Sqrt", "Log"):
        write(directory, f"op_{operation}", [node(operation)], numpy.abs(x))
    for how in ("none", "tanh"):
        write(directory, f"op_Gelu_{how}", [node("Gelu", approximate=how)], x)
    for power in (2.0, 3.0, 0.5, 1.7):
        write(directory, f"op_Pow_{power}", [node("Pow", "c")], numpy.abs(x), [constant("c", power)])
    write(directory, "op_Clip", [node("Clip", "low", "high")], x, [constant("low", -0.5), constant("high", 0.75)])
    for operation in ("Less", "LessOrEqual", "Greater", "GreaterOrEqual", "Equal"):
        middle = [helper.make_node(operation, ["x", "c"], ["b"]), helper.make_node("Where", ["b", "x", "c"], ["y"])]
        write(directory, f"op_{operation}", middle, numpy.round(x), [constant("c", numpy.round(random.normal(size=COLUMNS)))])
    for operation in ("And", "Or", "Xor"):
        nodes = [
            helper.make_node("Greater", ["x", "c"], ["a"]),
            helper.make_node("Not", ["a"], ["n"]),
            helper.make_node("Less", ["x", "d"], ["b"]),
            helper.make_node(operation, ["n", "b"], ["both"]),
            helper.make_node("Cast", ["both"], ["y"], to=TensorProto.FLOAT),
        ]
        write(directory, f"op_{operation}", nodes, x, [constant("c", 0.1), constant("d", 0.4)])


def shaped(directory, random, x):
    axes = lambda *values: constant("axes", values, numpy.int64)
    for operation in ("ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin"):
        write(directory, f"op_{operation}", [node(operation, "axes", keepdims=0)], x, [axes(1)])
        write(directory, f"op_{operation}_old", [node(operation, **({} if operation == "ReduceSum" else {"axes": [1]}))], x, plain=13)
    for operation in ("ArgMax", "ArgMin"):
        nodes = [helper.make_node(operation, ["x"], ["i"], axis=1), helper.make_node("Cast", ["i"], ["y"], to=TensorProto.FLOAT)]
        write(directory, f"op_{operation}", nodes, numpy.round(x))
    for operation in ("Softmax", "LogSoftmax"):
        write(directory, f"op_{operation}", [node(operation)], x)
        write(directory, f"op_{operation}_old", [node(operation)], x, plain=11)
    write(directory, "op_Transpose", [node("Transpose", perm=[1, 0])], x)
    write(directory, "op_Flatten", [node("Flatten", axis=0)], x)
    write(directory, "op_Reshape", [node("Reshape", "axes")], x, [axes(0, 2, -1)])
    write(directory, "op_Unsqueeze", [node("Unsqueeze", "axes")], x, [axes(1, -1)])
    write(directory, "op_Concat", [node("Concat", "x", "c", axis=1)], x, [constant("c", [[1.0, 2.0]])])
    write(directory, "op_Gather", [node("Gather", "axes", axis=1)], x, [axes(3, -1, 0)])
    limits = [constant("from", [-1], numpy.int64), constant("to", [-100], numpy.int64), constant("steps", [-2], numpy.int64)]
    write(directory, "op_Slice", [node("Slice", "from", "to", "axes", "steps")], x, [*limits, axes(1)])
    write(directory, "op_Expand", [node("Expand", "axes")], x, [axes(2, 3, 1, COLUMNS)])
    nodes = [helper.make_node("Cast", ["x"], ["i"], to=TensorProto.INT64), helper.make_node("Cast", ["i"], ["y"], to=TensorProto.FLOAT)]
    write(directory, "op_Cast", nodes, x * 10)


def products(directory, random, x):
    w = constant("w", random.normal(size=(COLUMNS, 5)))
    write(directory, "op_MatMul", [node("MatMul", "w")], x, [w])
    turned = constant("w", random.normal(size=(5, COLUMNS)))
    write(directory, "op_Gemm", [node("Gemm", "w", "c", transB=1, alpha=0.5, beta=2.0)], x, [turned, constant("c", random.normal(size=5))])
    parts = [constant(name, numpy.abs(random.normal(size=COLUMNS)) + 0.1) for name in ("scale", "bias", "mean", "variance")]
    write(directory, "op_BatchNormalization", [node("BatchNormalization", "scale", "bias", "mean", "variance")], x, parts)


def columns(directory, random, x):
    ml = {"domain": "ai.onnx.ml"}
    for doubled in (False, True):
        kind, ending = (TensorProto.DOUBLE, "_doubles") if doubled else (TensorProto.FLOAT, "")
        rows = random.normal(size=x.shape) if doubled else x
        scales = {"offset": random.normal(size=COLUMNS).tolist(), "scale": random.normal(size=COLUMNS).tolist()}
        write(directory, f"ml_Scaler{ending}", [node("Scaler", **scales, **ml)], rows, kind=kind)
        for norm in ("MAX", "L1", "L2"):
            write(directory, f"ml_Normalizer_{norm}{ending}", [node("Normalizer", norm=norm, **ml)], rows, kind=kind)
    write(directory, "ml_Scaler_one", [node("Scaler", offset=[0.3], scale=[1.7], **ml)], x)
    missing = numpy.where(random.random(x.shape) < 0.3, numpy.nan, x)
    values = {"imputed_value_floats": random.normal(size=COLUMNS).tolist(), "replaced_value_float": float("nan")}
    write(directory, "ml_Imputer", [node("Imputer", **values, **ml)], missing)
    write(directory, "ml_Binarizer", [node("Binarizer", threshold=0.25, **ml)], x)
    codes = random.integers(0, 6, size=x.shape).astype(float)
    write(directory, "ml_OneHotEncoder", [node("OneHotEncoder", cats_int64s=[3, 1, 4], **ml)], codes + (random.random(x.shape) < 0.3) * 0.5)
    floats = {"keys_floats": [0.0, 1.0, 3.0], "values_floats": [0.5, -1.5, 2.5]}
    write(directory, "ml_LabelEncoder", [node("LabelEncoder", **floats, **ml)], codes)
    nodes = [helper.make_node("LabelEncoder", ["x"], ["t"], keys_int64s=[0, 1, 2], values_strings=["a", "b", "c"], default_string="c", **ml)]
    nodes.append(helper.make_node("LabelEncoder", ["t"], ["y"], keys_strings=["c", "a"], values_floats=[0.25, 0.75], default_float=9.0, **ml))
    write(directory, "ml_LabelEncoder_texts", nodes, codes, kind=TensorProto.INT64)
    nodes = [helper.make_node("CategoryMapper", ["x"], ["t"], cats_int64s=[0, 1, 2], cats_strings=["a", "b", "c"], **ml)]
    nodes += [helper.make_node("CategoryMapper", ["t"], ["i"], cats_int64s=[7, 8], cats_strings=["c", "_Unused"], **ml)]
    write(directory, "ml_CategoryMapper", [*nodes, helper.make_node("Cast", ["i"], ["y"], to=TensorProto.FLOAT)], codes, kind=TensorProto.INT64)
    write(directory, "ml_ArrayFeatureExtractor", [node("ArrayFeatureExtractor", "c", **ml)], x, [constant("c", [4, 0, 4], numpy.int64)])
    write(directory, "ml_FeatureVectorizer", [node("FeatureVectorizer", "x", inputdimensions=[COLUMNS, COLUMNS], **ml)], x)


def main():
    directory = pathlib.Path(sys.argv[1])
    directory.mkdir(parents=True, exist_ok=True)
    random = numpy.random.default_rng(3)
    x = numpy.float32(random.normal(size=(ROWS, COLUMNS)) * 2).astype(float)
    for part in (plain, shaped, products, columns):
        part(directory, random, x)


if __name__ == "__main__":
    main()
