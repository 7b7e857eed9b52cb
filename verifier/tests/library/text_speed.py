"""MiniLM as an ONNX graph, and how long onnxruntime takes for it; verifier/examples/text_speed.rs asks.

    python text_speed.py OUT_DIR THREADS

OUT_DIR is what text_minilm.py filled. For each number of texts on standard input the first so many of OUT_DIR/texts.json are run once, as tokens
filled up to the longest; the answer is the seconds and the farthest that a vector lies from OUT_DIR/vectors.f32.
"""

import json
import pathlib
import sys
import time

import numpy
import onnx
import onnxruntime
import text_minilm
from onnx import TensorProto, helper


class Graph:
    """Nodes in the order of the computation, and the numbers that they hold."""

    def __init__(self):
        self.nodes, self.held = [], []

    def hold(self, value, kind):
        name = f"held{len(self.held)}"
        self.held.append(onnx.numpy_helper.from_array(numpy.asarray(value, kind), name))
        return name

    def f32(self, value):
        return self.hold(value, numpy.float32)

    def i64(self, value):
        return self.hold(value, numpy.int64)

    def add(self, operation, *inputs, **attributes):
        name = f"made{len(self.nodes)}"
        self.nodes.append(helper.make_node(operation, list(inputs), [name], **attributes))
        return name


def encoder(w, config):
    """The encoder and the mean of its tokens, in the operations that PyTorch's exporter writes for BERT."""
    g = Graph()
    width, heads = config["hidden_size"], config["num_attention_heads"]

    def linear(name, x):
        return g.add("Add", g.add("MatMul", x, g.f32(w[f"{name}.weight"].T)), g.f32(w[f"{name}.bias"]))

    def norm(name, x):
        weight, bias = g.f32(w[f"{name}.weight"]), g.f32(w[f"{name}.bias"])
        return g.add("LayerNormalization", x, weight, bias, axis=-1, epsilon=config["layer_norm_eps"])

    def split(x):
        return g.add("Transpose", g.add("Reshape", x, g.i64([0, 0, heads, width // heads])), perm=[0, 2, 1, 3])

    words = g.add("Gather", g.f32(w["embeddings.word_embeddings.weight"]), "ids")
    places = g.add("Gather", g.f32(w["embeddings.position_embeddings.weight"]), "places")
    x = g.add("Add", g.add("Add", words, places), g.f32(w["embeddings.token_type_embeddings.weight"][0]))
    x = norm("embeddings.LayerNorm", x)
    away = g.add("Mul", g.add("Sub", g.f32(1), g.add("Unsqueeze", "mask", g.i64([1, 2]))), g.f32(-1e9))
    for layer in range(config["num_hidden_layers"]):
        at = f"encoder.layer.{layer}"
        query, key, value = (split(linear(f"{at}.attention.self.{name}", x)) for name in ("query", "key", "value"))
        near = g.add("MatMul", query, g.add("Transpose", key, perm=[0, 1, 3, 2]))
        near = g.add("Add", g.add("Div", near, g.f32(numpy.sqrt(width / heads))), away)
        seen = g.add("MatMul", g.add("Softmax", near, axis=-1), value)
        seen = g.add("Reshape", g.add("Transpose", seen, perm=[0, 2, 1, 3]), g.i64([0, 0, width]))
        x = norm(f"{at}.attention.output.LayerNorm", g.add("Add", linear(f"{at}.attention.output.dense", seen), x))
        inner = g.add("Gelu", linear(f"{at}.intermediate.dense", x))
        x = norm(f"{at}.output.LayerNorm", g.add("Add", linear(f"{at}.output.dense", inner), x))
    weights = g.add("Unsqueeze", "mask", g.i64([2]))
    total = g.add("ReduceSum", g.add("Mul", x, weights), g.i64([1]), keepdims=0)
    mean = g.add("Div", total, g.add("ReduceSum", weights, g.i64([1]), keepdims=0))
    length = g.add("ReduceL2", mean, g.i64([1]), keepdims=1)
    g.nodes.append(helper.make_node("Div", [mean, length], ["vectors"]))
    shaped = lambda name, kind, shape: helper.make_tensor_value_info(name, kind, shape)
    inputs = [
        shaped("ids", TensorProto.INT64, ["texts", "tokens"]),
        shaped("places", TensorProto.INT64, ["tokens"]),
        shaped("mask", TensorProto.FLOAT, ["texts", "tokens"]),
    ]
    outputs = [shaped("vectors", TensorProto.FLOAT, ["texts", width])]
    graph = helper.make_graph(g.nodes, "minilm", inputs, outputs, g.held)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def main():
    out, threads = pathlib.Path(sys.argv[1]), int(sys.argv[2])
    config = json.loads((out / "model/config.json").read_text())
    w = text_minilm.read_safetensors(out / "model/model.safetensors")
    vocabulary = (out / "model/vocab.txt").read_text().splitlines()
    pieces = text_minilm.Pieces({piece: id for id, piece in enumerate(vocabulary)})
    tokens = [pieces(text) for text in json.loads((out / "texts.json").read_text())]
    vectors = numpy.fromfile(out / "vectors.f32", numpy.float32).reshape(len(tokens), -1)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    model = encoder(w, config).SerializeToString()
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    print("ready", flush=True)
    for line in sys.stdin:
        count = int(line)
        longest = max(map(len, tokens[:count]))
        ids, mask = numpy.zeros((count, longest), numpy.int64), numpy.zeros((count, longest), numpy.float32)
        for row, text in enumerate(tokens[:count]):
            ids[row, : len(text)], mask[row, : len(text)] = text, 1
        given = {"ids": ids, "places": numpy.arange(longest), "mask": mask}
        start = time.perf_counter()
        made = session.run(None, given)[0]
        seconds = time.perf_counter() - start
        print(seconds, float(numpy.abs(made - vectors[:count]).max()), longest, flush=True)


if __name__ == "__main__":
    main()
