use super::*;
use crate::recompute::onnx::tensor::Kind;

/// Protobuf messages, written by hand.
#[derive(Clone, Default)]
struct Message(Vec<u8>);

impl Message {
    fn number(mut self, field: u32, number: i64) -> Self {
        self.varint(u64::from(field) << 3);
        self.varint(number.cast_unsigned());
        self
    }

    fn bytes(mut self, field: u32, bytes: &[u8]) -> Self {
        self.varint(u64::from(field) << 3 | 2);
        self.varint(bytes.len() as u64);
        self.0.extend(bytes);
        self
    }

    fn float(mut self, field: u32, number: f32) -> Self {
        self.varint(u64::from(field) << 3 | 5);
        self.0.extend(number.to_le_bytes());
        self
    }

    fn varint(&mut self, mut number: u64) {
        while number > 0x7f {
            self.0.push(number.to_le_bytes()[0] | 0x80);
            number >>= 7;
        }
        self.0.push(number.to_le_bytes()[0]);
    }
}

fn floats(name: &str, items: &[f32]) -> Message {
    items.iter().fold(Message::default().bytes(1, name.as_bytes()), |message, item| message.float(7, *item))
}

fn ints(name: &str, items: &[i64]) -> Message {
    items.iter().fold(Message::default().bytes(1, name.as_bytes()), |message, item| message.number(8, *item))
}

fn texts_of(name: &str, items: &[&str]) -> Message {
    items
        .iter()
        .fold(Message::default().bytes(1, name.as_bytes()), |message, item| message.bytes(9, item.as_bytes()))
}

fn int(name: &str, number: i64) -> Message {
    Message::default().bytes(1, name.as_bytes()).number(3, number)
}

fn node(domain: &str, operation: &str, inputs: &[&str], outputs: &[&str], attributes: &[Message]) -> Message {
    let message = inputs.iter().fold(Message::default(), |message, name| message.bytes(1, name.as_bytes()));
    let message = outputs.iter().fold(message, |message, name| message.bytes(2, name.as_bytes()));
    let message = message.bytes(4, operation.as_bytes()).bytes(7, domain.as_bytes());
    attributes.iter().fold(message, |message, attribute| message.bytes(5, &attribute.0))
}

fn plain(operation: &str, inputs: &[&str], outputs: &[&str], attributes: &[Message]) -> Message {
    node("", operation, inputs, outputs, attributes)
}

fn port(name: &str, kind: i64, dims: &[Option<i64>]) -> Message {
    let shape = dims.iter().fold(Message::default(), |shape, dim| {
        let dim = dim.map_or_else(Message::default, |dim| Message::default().number(1, dim));
        shape.bytes(1, &dim.0)
    });
    let tensor = Message::default().number(1, kind).bytes(2, &shape.0);
    Message::default().bytes(1, name.as_bytes()).bytes(2, &Message::default().bytes(1, &tensor.0).0)
}

fn initializer(name: &str, dims: &[i64], items: &[f32]) -> Message {
    let raw: Vec<u8> = items.iter().flat_map(|item| item.to_le_bytes()).collect();
    let message = dims.iter().fold(Message::default(), |message, dim| message.number(1, *dim));
    message.number(2, 1).bytes(8, name.as_bytes()).bytes(9, &raw)
}

/// A file with one input `x` of two columns and one output `y`.
fn file_of(nodes: &[Message], initializers: &[Message], outputs: &[&str]) -> Vec<u8> {
    let graph = nodes.iter().fold(Message::default(), |graph, node| graph.bytes(1, &node.0));
    let graph = initializers.iter().fold(graph, |graph, tensor| graph.bytes(5, &tensor.0));
    let graph = graph.bytes(11, &port("x", 1, &[None, Some(2)]).0);
    let graph = outputs.iter().fold(graph, |graph, name| graph.bytes(12, &port(name, 1, &[]).0));
    file_with(&graph)
}

fn file_with(graph: &Message) -> Vec<u8> {
    let set = |domain: &str, version| Message::default().bytes(1, domain.as_bytes()).number(2, version).0;
    let message = Message::default().number(1, 9).bytes(2, b"tests").bytes(7, &graph.0);
    message.bytes(8, &set("", 17)).bytes(8, &set("ai.onnx.ml", 3)).0
}

fn run(nodes: &[Message], initializers: &[Message], row: [f64; 2]) -> Vec<f64> {
    Model::parse(&file_of(nodes, initializers, &["y"])).unwrap().numbers(&row).unwrap().answer
}

fn refusal(nodes: &[Message], initializers: &[Message]) -> String {
    Model::parse(&file_of(nodes, initializers, &["y"])).unwrap_err().to_string()
}

/// Stumps on the first column at 0 whose false leaves are given; the true ones are zero.
fn stumps(weights: &[f32], more: &[Message]) -> Message {
    let count = weights.len() as i64;
    let each = |items: &[i64]| -> Vec<i64> { (0..count).flat_map(|_| items.iter().copied()).collect() };
    let trees: Vec<i64> = (0..count).flat_map(|tree| [tree; 3]).collect();
    let of_leaves: Vec<i64> = (0..count).flat_map(|tree| [tree; 2]).collect();
    let leaves: Vec<f32> = weights.iter().flat_map(|weight| [0.0, *weight]).collect();
    let modes: Vec<&str> = (0..count).flat_map(|_| ["BRANCH_LEQ", "LEAF", "LEAF"]).collect();
    let mut attributes = vec![
        ints("nodes_treeids", &trees),
        ints("nodes_nodeids", &each(&[0, 1, 2])),
        ints("nodes_featureids", &each(&[0, 0, 0])),
        texts_of("nodes_modes", &modes),
        floats("nodes_values", &vec![0.0; 3 * weights.len()]),
        ints("nodes_truenodeids", &each(&[1, 0, 0])),
        ints("nodes_falsenodeids", &each(&[2, 0, 0])),
        ints("target_treeids", &of_leaves),
        ints("target_nodeids", &each(&[1, 2])),
        ints("target_ids", &each(&[0, 0])),
        floats("target_weights", &leaves),
        int("n_targets", 1),
    ];
    attributes.extend_from_slice(more);
    node("ai.onnx.ml", "TreeEnsembleRegressor", &["x"], &["y"], &attributes)
}

#[test]
fn adds_leaves_in_the_order_of_the_trees_and_the_base_value_last() {
    // 2^24 + 1 is not an f32: (1 + 1) + 2^24 keeps both ones, 2^24 + 1 + 1 none.
    let base = [floats("base_values", &[16_777_216.0])];
    assert_eq!(run(&[stumps(&[1.0, 1.0], &base)], &[], [1.0, 0.0]), [16_777_218.0]);
    let base = [floats("base_values", &[1.0])];
    assert_eq!(run(&[stumps(&[16_777_216.0, 1.0], &base)], &[], [1.0, 0.0]), [16_777_216.0]);
    assert_eq!(run(&[stumps(&[1.0, 1.0, 16_777_216.0], &[])], &[], [1.0, 0.0]), [16_777_218.0]);
}

#[test]
fn gives_rows_of_a_batch_what_they_get_alone() {
    let model = Model::parse(&file_of(&[stumps(&[0.1, 0.2, 0.3], &[])], &[], &["y"])).unwrap();
    let rows: Vec<f64> = (0..61).flat_map(|row| [f64::from(row % 3 - 1), f64::NAN]).collect();
    let alone: Vec<f64> = rows.chunks(2).flat_map(|row| model.numbers(row).unwrap().margins).collect();
    assert_eq!(model.margins_of_rows(&rows).unwrap(), alone);
}

#[test]
fn refuses_trees_that_lead_in_a_circle() {
    let again = stumps(&[1.0], &[]);
    let text = [ints("nodes_truenodeids", &[1, 0, 0]).0, ints("nodes_truenodeids", &[0, 0, 0]).0];
    let place = again.0.windows(text[0].len()).position(|bytes| bytes == text[0]).unwrap();
    let mut circle = again;
    circle.0[place..place + text[1].len()].copy_from_slice(&text[1]);
    assert!(refusal(&[circle], &[]).contains("leads back to itself"));
}

#[test]
fn broadcasts_in_both_directions() {
    let add = plain("Add", &["x", "column"], &["y"], &[]);
    let column = initializer("column", &[3, 1], &[10.0, 20.0, 30.0]);
    assert_eq!(run(&[add], &[column], [1.0, 2.0]), [11.0, 12.0, 21.0, 22.0, 31.0, 32.0]);
}

#[test]
fn computes_a_small_network_and_names_what_only_comes_near() {
    let nodes = [
        plain("MatMul", &["x", "w"], &["product"], &[]),
        plain("Add", &["product", "b"], &["sum"], &[]),
        plain("Relu", &["sum"], &["y"], &[]),
    ];
    let weights = [initializer("w", &[2, 2], &[1.0, -1.0, 2.0, -2.0]), initializer("b", &[2], &[0.5, 0.5])];
    let model = Model::parse(&file_of(&nodes, &weights, &["y"])).unwrap();
    assert_eq!(model.numbers(&[3.0, 4.0]).unwrap().answer, [11.5, 0.0]);
    assert_eq!(model.near_operations(), ["MatMul"]);
    assert!(
        Model::parse(&file_of(&nodes[2..], &[initializer("sum", &[1], &[1.0])], &["y"]))
            .unwrap()
            .near_operations()
            .is_empty()
    );
}

#[test]
fn moves_items_as_the_operations_say() {
    let indices = |name: &str, items: &[i64]| {
        let data = items
            .iter()
            .fold(Message::default().number(1, items.len() as i64).number(2, 7), |m, i| m.number(7, *i));
        data.bytes(8, name.as_bytes())
    };
    let matrix = initializer("m", &[2, 3], &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
    let keep = plain("ReduceMax", &["x"], &["unused"], &[]);
    let one = |node: Message, more: Message| run(&[keep.clone(), node], &[matrix.clone(), more], [0.0; 2]);
    let none = || initializer("none", &[0], &[]);
    assert_eq!(one(plain("Transpose", &["m"], &["y"], &[]), none()), [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]);
    let gather = plain("Gather", &["m", "i"], &["y"], &[int("axis", 1)]);
    assert_eq!(one(gather, indices("i", &[2, -3])), [2.0, 0.0, 5.0, 3.0]);
    let concat = plain("Concat", &["m", "m"], &["y"], &[int("axis", 1)]);
    assert_eq!(one(concat, none())[..6], [0.0, 1.0, 2.0, 0.0, 1.0, 2.0]);
    let slice = run(
        &[keep.clone(), plain("Slice", &["m", "from", "to", "axes", "steps"], &["y"], &[])],
        &[
            matrix.clone(),
            indices("from", &[-1]),
            indices("to", &[-9]),
            indices("axes", &[1]),
            indices("steps", &[-2]),
        ],
        [0.0; 2],
    );
    assert_eq!(slice, [2.0, 0.0, 5.0, 3.0]);
    let sum = run(
        &[keep.clone(), plain("ReduceSum", &["m", "axes"], &["y"], &[int("keepdims", 0)])],
        &[matrix.clone(), indices("axes", &[0])],
        [0.0; 2],
    );
    assert_eq!(sum, [3.0, 5.0, 7.0]);
    let reshape = plain("Reshape", &["m", "shape"], &["reshaped"], &[]);
    let top = plain("ArgMax", &["reshaped"], &["y"], &[int("axis", 0)]);
    assert_eq!(run(&[keep, reshape, top], &[matrix, indices("shape", &[-1])], [0.0; 2]), [5.0]);
}

#[test]
fn refuses_what_it_does_not_know_by_name() {
    let x = ["x"];
    let cases = [
        (node("com.microsoft", "Anything", &x, &["y"], &[]), "the domain com.microsoft"),
        (plain("If", &x, &["y"], &[]), "If with a graph inside"),
        (plain("Anything", &x, &["y"], &[]), "the operation Anything"),
        (plain("Relu", &x, &["y"], &[int("alpha", 1)]), "the attribute alpha"),
        (node("ai.onnx.ml", "TfIdfVectorizer", &x, &["y"], &[]), "the operation TfIdfVectorizer"),
    ];
    for (node, expected) in cases {
        let said = refusal(&[node], &[]);
        assert!(said.contains(expected) && said.contains("cannot be recomputed"), "{said}");
    }
}

#[test]
fn refuses_graphs_that_hang_in_the_air_or_in_a_circle() {
    let undefined = plain("Relu", &["z"], &["y"], &[]);
    assert!(refusal(&[undefined], &[]).contains("reads a value that no earlier node gives"));
    let circle = [plain("Relu", &["b"], &["y"], &[]), plain("Relu", &["y"], &["b"], &[])];
    assert!(refusal(&circle, &[]).contains("reads a value that no earlier node gives"));
    let twice = [plain("Relu", &["x"], &["y"], &[]), plain("Neg", &["x"], &["y"], &[])];
    assert!(refusal(&twice, &[]).contains("is given twice"));
    assert!(refusal(&[plain("Relu", &["x"], &["z"], &[])], &[]).contains("is a value that nothing gives"));
}

#[test]
fn refuses_tensors_in_other_files() {
    let tensor = Message::default().number(1, 1).number(2, 1).bytes(8, b"w").number(14, 1);
    assert!(refusal(&[plain("Relu", &["x"], &["y"], &[])], &[tensor]).contains("lies in another file"));
}

#[test]
fn bounds_what_a_graph_may_make() {
    // Each addition of a column to a row multiplies the items.
    let mut nodes = vec![plain("Reshape", &["x", "column"], &["v0"], &[])];
    let shape = Message::default().number(1, 2).number(2, 7).number(7, -1).number(7, 1).bytes(8, b"column");
    for step in 0..40 {
        let (from, to) = (format!("v{step}"), format!("v{}", step + 1));
        nodes.push(plain("Concat", &[&from, &from], &[&to], &[int("axis", 0)]));
    }
    nodes.push(plain("Relu", &["v40"], &["y"], &[]));
    assert!(refusal(&nodes, &[shape]).contains("too large"));
    let huge = initializer("w", &[1 << 40, 1 << 40], &[]);
    assert!(refusal(&[plain("Relu", &["x"], &["y"], &[])], &[huge]).contains("so many items"));
}

#[test]
fn survives_a_file_cut_or_changed_anywhere() {
    let whole = file_of(&[stumps(&[1.0, 2.0], &[])], &[], &["y"]);
    for length in 0..whole.len() {
        let _ = Model::parse(&whole[..length]);
        let mut changed = whole.clone();
        for value in [0, 1, 0x7f, 0x80, 0xff] {
            changed[length] = value;
            if let Ok(model) = Model::parse(&changed) {
                let _ = model.numbers(&vec![0.5; model.feature_count()]);
            }
        }
    }
}

#[test]
fn takes_a_row_apart_into_columns_of_their_types() {
    let graph = Message::default()
        .bytes(1, &plain("Cast", &["b"], &["c"], &[int("to", 1)]).0)
        .bytes(1, &plain("Add", &["a", "c"], &["y"], &[]).0)
        .bytes(11, &port("a", 1, &[None, Some(1)]).0)
        .bytes(11, &port("b", 7, &[None, Some(1)]).0)
        .bytes(12, &port("y", 1, &[]).0);
    let model = Model::parse(&file_with(&graph)).unwrap();
    assert_eq!(model.feature_names(), ["a", "b"]);
    assert_eq!(model.numbers(&[0.1, 2.0]).unwrap().answer, [f64::from(2.1_f32)]);
    assert!(matches!(model.numbers(&[0.1, 2.5]), Err(RowError::Graph { .. })));
    assert!(matches!(model.numbers(&[0.1]), Err(RowError::Length { expected: 2, found: 1 })));
    let texts = Message::default().bytes(11, &port("a", 8, &[None, Some(1)]).0);
    assert!(Model::parse(&file_with(&texts)).unwrap_err().to_string().contains("outputs are not numbers"));
    assert_eq!(Kind::numbered(16), None, "a type of 16 bits is none that is known");
}

/// The graphs that are kept with the engine's answers, with their names.
#[cfg(feature = "onnxruntime")]
pub(super) fn kept() -> Vec<(String, Vec<u8>)> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/onnx");
    let mut found: Vec<(String, Vec<u8>)> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "onnx"))
        .map(|path| (path.display().to_string(), std::fs::read(path).unwrap()))
        .collect();
    found.sort();
    assert!(found.len() >= 18);
    found
}
