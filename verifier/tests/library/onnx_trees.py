"""Makes random tree ensembles of every kind that the three operations know and writes what onnxruntime answers with one thread.

    python onnx_trees.py OUT_DIR [COUNT [SEED]]

Each becomes NAME.onnx and NAME.bits as in onnx_models.py. Thresholds and rows come from one small set of numbers, so that rows often meet a
threshold exactly, and some values are missing or infinite.
"""

import pathlib
import sys

import numpy
import onnx
import onnx_models
from onnx import TensorProto, helper

COLUMNS = 4
VALUES = [-3.0, -1.5, -1.0, -0.25, -0.0, 0.0, 0.1, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 7.0, 30.0, 31.0, 100.25]
WHOLE = [value for value in VALUES if value == int(value)]  # the engine takes no other members of sets
MODES = ["BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ"]
TRANSFORMS = ["NONE", "LOGISTIC", "SOFTMAX", "SOFTMAX_ZERO"]


def grow(random, depth, modes):
    """A random tree as nested tuples: a leaf is a number, a split is (mode, column, value, missing goes true, true, false)."""
    if depth == 0 or random.random() < 0.15:
        return None
    split = (random.choice(modes), int(random.integers(COLUMNS)), float(random.choice(VALUES)), int(random.integers(2)))
    return (*split, grow(random, depth - 1, modes), grow(random, depth - 1, modes))


def weight(random, positive):
    value = float(numpy.float32(random.normal()))
    return abs(value) / 4 if positive else value


def lists_of(random, trees, outputs, several, positive):
    """The lists of versions 1 to 4."""
    nodes = {name: [] for name in ("treeids", "nodeids", "featureids", "modes", "values", "truenodeids", "falsenodeids", "missing")}
    votes = {name: [] for name in ("treeids", "nodeids", "ids", "weights")}

    def add(tree, number, node):
        place = len(nodes["nodeids"])
        row = (number, node, 0, "LEAF", 0.0, 0, 0, 0) if tree is None else (number, node, tree[1], tree[0], tree[2], 0, 0, tree[3])
        for name, value in zip(nodes, row):
            nodes[name].append(value)
        if tree is None:
            given = random.permutation(outputs)[: int(random.integers(1, outputs + 1))] if several else [int(random.choice(outputs))]
            for output in given if isinstance(outputs, int) else [random.choice(outputs)]:
                for name, value in zip(votes, (number, node, int(output), weight(random, positive))):
                    votes[name].append(value)
            return node + 1
        nodes["truenodeids"][place] = node + 1
        after = add(tree[4], number, node + 1)
        nodes["falsenodeids"][place] = after
        return add(tree[5], number, after)

    for number, tree in enumerate(trees):
        add(tree, number, 0)
    return nodes, votes


def numbers(name, values, kind):
    if kind == TensorProto.FLOAT:
        return {name: [float(value) for value in values]}
    return {f"{name}_as_tensor": helper.make_tensor(name, kind, [len(values)], values)}


def old(random, kind):
    """A classifier or regressor of versions 1 to 4."""
    classifier = bool(random.integers(2))
    modes = MODES if random.random() < 0.6 else [random.choice(MODES)]
    trees = [grow(random, int(random.integers(1, 6)), modes) for _ in range(int(random.integers(1, 12)))]
    outputs = int(random.integers(2, 5)) if classifier else int(random.integers(1, 4))
    positive = random.random() < 0.4
    binary = classifier and outputs == 2 and random.random() < 0.7
    nodes, votes = lists_of(random, trees, [int(random.integers(2))] if binary else outputs, outputs > 1 and random.random() < 0.6 and not binary, positive)
    attributes = {f"nodes_{name}": values for name, values in nodes.items() if name not in ("values", "missing")}
    attributes |= numbers("nodes_values", nodes["values"], kind)
    if random.random() < 0.6:
        attributes["nodes_missing_value_tracks_true"] = nodes["missing"]
    prefix = "class" if classifier else "target"
    attributes |= {f"{prefix}_{name}": values for name, values in votes.items() if name != "weights"}
    attributes |= numbers(f"{prefix}_weights", votes["weights"], kind)
    attributes["post_transform"] = str(random.choice(TRANSFORMS))
    if outputs != 2 and random.random() < 0.1:
        attributes["post_transform"] = "PROBIT"
    if random.random() < 0.5:
        count = 1 if binary and random.random() < 0.5 else outputs  # else the engine leaves a score unwritten
        attributes |= numbers("base_values", [weight(random, False) for _ in range(count)], kind)
    if classifier:
        attributes["classlabels_int64s"] = [int(label) for label in random.permutation(20)[:outputs]]
        return helper.make_node("TreeEnsembleClassifier", ["x"], ["label", "scores"], domain="ai.onnx.ml", **attributes), TensorProto.FLOAT, True
    attributes["n_targets"] = outputs
    attributes["aggregate_function"] = str(random.choice(["SUM", "AVERAGE", "MIN", "MAX"]))
    return helper.make_node("TreeEnsembleRegressor", ["x"], ["scores"], domain="ai.onnx.ml", **attributes), TensorProto.FLOAT, False


def new(random, kind):
    """An ensemble of version 5."""
    trees = [grow(random, int(random.integers(1, 6)), MODES + ["BRANCH_MEMBER"]) for _ in range(int(random.integers(1, 12)))]
    trees = [tree for tree in trees if tree] or [("BRANCH_LEQ", 0, 0.5, 0, None, None)]
    outputs = int(random.integers(1, 4))
    splits, leaves, members, roots = [], [], {}, []

    def add(tree):
        """The place of a node or leaf, and whether it is a leaf."""
        if tree is None:
            leaves.append((int(random.integers(outputs)), weight(random, False)))
            return len(leaves) - 1, 1
        place = len(splits)
        splits.append(None)
        (yes, yes_leaf), (no, no_leaf) = add(tree[4]), add(tree[5])
        splits[place] = (tree, yes, yes_leaf, no, no_leaf)
        if tree[0] == "BRANCH_MEMBER":
            members[place] = [float(value) for value in random.permutation(WHOLE)[: int(random.integers(1, 6))]]
        return place, 0

    for tree in trees:
        roots.append(add(tree)[0])
    tensor = lambda name, values, kind=kind: helper.make_tensor(name, kind, [len(values)], values)
    attributes = {
        "tree_roots": roots,
        "n_targets": outputs,
        "aggregate_function": int(random.integers(4)),
        "post_transform": int(random.integers(4)),
        "nodes_featureids": [split[0][1] for split in splits],
        "nodes_modes": tensor("modes", [(MODES + ["BRANCH_MEMBER"]).index(split[0][0]) for split in splits], TensorProto.UINT8),
        "nodes_splits": tensor("splits", [split[0][2] for split in splits]),
        "nodes_truenodeids": [split[1] for split in splits],
        "nodes_trueleafs": [split[2] for split in splits],
        "nodes_falsenodeids": [split[3] for split in splits],
        "nodes_falseleafs": [split[4] for split in splits],
        "leaf_targetids": [leaf[0] for leaf in leaves],
        "leaf_weights": tensor("weights", [leaf[1] for leaf in leaves]),
    }
    if random.random() < 0.6:
        attributes["nodes_missing_value_tracks_true"] = [split[0][3] for split in splits]
    if members:
        listed = [value for place in sorted(members) for value in [*members[place], float("nan")]]
        attributes["membership_values"] = tensor("members", listed)
    return helper.make_node("TreeEnsemble", ["x"], ["scores"], domain="ai.onnx.ml", **attributes), kind, False


def ensemble(random):
    kind = TensorProto.DOUBLE if random.random() < 0.3 else TensorProto.FLOAT
    is_new = random.random() < 0.35
    node, output, classifies = new(random, kind) if is_new else old(random, kind)
    outputs = [helper.make_tensor_value_info("scores", output, None)]
    if classifies:
        outputs.insert(0, helper.make_tensor_value_info("label", TensorProto.INT64, None))
    graph = helper.make_graph([node], "trees", [helper.make_tensor_value_info("x", kind, [None, COLUMNS])], outputs)
    version = 5 if is_new else 3
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20), helper.make_opsetid("ai.onnx.ml", version)])
    model.ir_version = 9
    return model


def drawn(random):
    """A random ensemble and rows for it."""
    model = ensemble(random)
    is_new = model.graph.node[0].op_type == "TreeEnsemble"  # whose sets take whole numbers only
    values = [*(WHOLE if is_new else VALUES), numpy.nan, *([] if is_new else [numpy.inf, -numpy.inf])]
    return model, random.choice(values, size=(64, COLUMNS))


def main():
    directory = pathlib.Path(sys.argv[1])
    count, seed = (int(number) for number in (sys.argv[2:] + [1000, 1][len(sys.argv) - 2 :]))
    directory.mkdir(parents=True, exist_ok=True)
    random = numpy.random.default_rng(seed)
    for number in range(count):
        onnx_models.write(directory, f"trees_{number:04}", *drawn(random), single=False)


if __name__ == "__main__":
    main()
