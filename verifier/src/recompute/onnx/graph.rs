//! A graph whose operations were built one after the other, each with what the earlier ones gave for a made-up row.
//!
//! *Guarantees*: an operation reads only what an earlier one, an initializer or an input gives, so that there are no circles; each
//! value is given once. What the made-up row shows to be impossible is refused with the file, not with a row.
//!
//! *Does not do*: run two operations at once, or leave out one whose result nobody reads.

mod column;
#[cfg(feature = "onnxruntime")]
pub(super) mod peer;

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::HashMap;
use std::sync::Arc;

use super::file::{File, Node, Port};
use super::ops::{self, Built, Inputs, STEPS_OF_ITEM, Versions};
use super::tensor::{Kind, Tensor};
use super::{FEATURES_MAX, Fault, Numbers, texts};
use crate::recompute::Texts;
use crate::recompute::error::{ModelError, RowError, malformed, shown, unsupported};
use column::{Column, column};

/// The newest versions whose operations were compared with the engine's.
const PLAIN_VERSIONS: std::ops::RangeInclusive<i64> = 7..=25;
const ML_VERSIONS: std::ops::RangeInclusive<i64> = 1..=5;

/// Numbers of an answer, and margins.
const ANSWERS_MAX: usize = 1 << 16;

/// What a made-up row's floating-point columns hold.
const TRIAL: f64 = 0.5;

/// A value, once it is given; initializers are not copied.
type Slot<'a> = Option<Cow<'a, Tensor>>;

/// Operations in their order, and the places of their values.
#[derive(Clone)]
pub(super) struct Graph {
    columns: Vec<Column>,
    names: Vec<String>,
    width: usize,
    constants: Arc<Vec<(usize, Tensor)>>,
    steps: Arc<Vec<Step>>,
    values: usize,
    margins: Vec<usize>,
    answers: Vec<usize>,
    labels: Vec<usize>,
    /// The values that are the graph's outputs, in their order.
    outputs: Vec<usize>,
    /// The one operation behind the answers that gives scores before their transform.
    scoring: Option<usize>,
    /// The type of the margins that it gives.
    margin_kind: Option<Kind>,
    near_margins: Vec<String>,
    near_answers: Vec<String>,
    is_by_row: bool,
    gives_doubles: bool,
}

struct Step {
    place: String,
    operation: String,
    inputs: Vec<Option<usize>>,
    outputs: Vec<Option<usize>>,
    built: Built,
}

impl std::fmt::Debug for Graph {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let places: Vec<&str> = self.steps.iter().map(|step| step.place.as_str()).collect();
        formatter.debug_struct("Graph").field("columns", &self.columns).field("steps", &places).finish()
    }
}

/// What is known while a graph is built.
#[derive(Default)]
struct Draft<'a> {
    places: HashMap<&'a str, usize>,
    values: Vec<Slot<'static>>,
    constants: Vec<(usize, Tensor)>,
    steps: Vec<Step>,
    work: Cell<u64>,
}

impl Graph {
    /// Builds the graph of a file; gives what it says of a made-up row, too.
    pub(super) fn build(file: File<'_>) -> Result<(Self, Numbers), ModelError> {
        let versions = versions(&file)?;
        let Some(parts) = file.graph else { return Err(malformed("ModelProto", "has no graph")) };
        let mut draft = Draft::default();
        for (name, tensor) in parts.initializers {
            let place = draft.place(name)?;
            draft.constants.push((place, tensor.clone()));
            draft.set(place, tensor);
        }
        let (mut columns, mut names) = (Vec::new(), Vec::new());
        for port in &parts.inputs {
            // Files of the first versions list initializers as inputs, too.
            if draft.places.contains_key(port.name) {
                continue;
            }
            let column = column(port, draft.place(port.name)?)?;
            let width = vec![
                if column.kind == Kind::F32 || column.kind == Kind::F64 { TRIAL } else { 0.0 };
                column.width
            ];
            let mut texts = Texts::default();
            texts.keep("");
            let tensor = column
                .tensor(&width, &texts, 1)
                .map_err(|error| malformed(port_place(port), error.problem))?;
            draft.set(column.value, tensor);
            names.push(shown(port.name));
            columns.push(column);
        }
        let width = columns.iter().try_fold(0_usize, |sum, column| sum.checked_add(column.width));
        let width = width.filter(|width| (1..=FEATURES_MAX).contains(width));
        let width =
            width.ok_or_else(|| unsupported("a model of so many columns, or none,", "GraphProto.input"))?;
        for node in &parts.nodes {
            draft.add(node, versions)?;
        }
        if columns.iter().any(|column| column.width != 1) {
            names.clear();
        }
        let mut graph = Self {
            columns,
            names,
            width,
            constants: Arc::new(draft.constants),
            steps: Arc::new(draft.steps),
            values: draft.values.len(),
            margins: Vec::new(),
            answers: Vec::new(),
            labels: Vec::new(),
            outputs: Vec::new(),
            scoring: None,
            margin_kind: None,
            near_margins: Vec::new(),
            near_answers: Vec::new(),
            is_by_row: false,
            gives_doubles: false,
        };
        graph.choose(&parts.outputs, &draft.places, &draft.values)?;
        let trial = graph.collect(&draft.values, 1).ok().and_then(|mut found| found.pop());
        let trial = trial.ok_or_else(|| malformed("GraphProto.output", "gives no numbers"))?;
        Ok((graph, trial))
    }

    /// Chooses which values are margins, answers and labels.
    fn choose(
        &mut self,
        outputs: &[Port<'_>],
        places: &HashMap<&str, usize>,
        values: &[Slot<'_>],
    ) -> Result<(), ModelError> {
        let kind = |place: usize| values.get(place).and_then(Option::as_deref).map(Tensor::kind);
        let mut found = Vec::new();
        for port in outputs {
            let place = places.get(port.name).copied().filter(|place| kind(*place).is_some());
            found.push(place.ok_or_else(|| malformed(port_place(port), "is a value that nothing gives"))?);
        }
        let is_float = |place: &usize| matches!(kind(*place), Some(Kind::F32 | Kind::F64));
        let is_text = |place: &usize| kind(*place) == Some(Kind::Text);
        (self.answers, self.labels) = found.iter().copied().partition(is_float);
        if self.answers.is_empty() {
            (self.labels, self.answers) = found.iter().copied().partition(is_text);
        }
        let behind_answers = self.behind(&self.answers);
        let is_scoring =
            |number: &&usize| self.steps.get(**number).is_some_and(|step| step.built.gives_raw_scores);
        let scoring: Vec<&usize> = behind_answers.iter().filter(is_scoring).collect();
        self.scoring = match *scoring {
            [number] => Some(*number),
            _ => None,
        };
        self.margins = match self.scoring {
            Some(number) => {
                self.steps.get(number).and_then(|step| *step.outputs.last()?).into_iter().collect()
            }
            None => self.answers.clone(),
        };
        self.margin_kind = self.margins.first().and_then(|place| kind(*place));
        self.outputs = found;
        let behind_margins = self.behind(&self.margins);
        let numbers = self.answers.iter().chain(&self.margins);
        self.gives_doubles = numbers.copied().any(|place| kind(place) != Some(Kind::F32));
        let steps = |numbers: &[usize]| {
            numbers.iter().filter_map(|number| self.steps.get(*number)).collect::<Vec<_>>()
        };
        let near = |numbers: &[usize]| {
            let mut near: Vec<String> = steps(numbers)
                .into_iter()
                .filter(|step| step.built.is_near)
                .map(|step| step.operation.clone())
                .collect();
            near.sort();
            near.dedup();
            near
        };
        let (near_margins, near_answers) = (near(&behind_margins), near(&behind_answers));
        let all_by_row = steps(&behind_margins).iter().all(|step| step.built.is_by_row) && self.takes_rows();
        (self.near_margins, self.near_answers, self.is_by_row) = (near_margins, near_answers, all_by_row);
        Ok(())
    }

    /// The steps that these values need, from the last to the first.
    fn behind(&self, values: &[usize]) -> Vec<usize> {
        let mut needed = vec![false; self.values];
        let mark = |needed: &mut Vec<bool>, place: usize| {
            if let Some(mark) = needed.get_mut(place) {
                *mark = true;
            }
        };
        values.iter().for_each(|place| mark(&mut needed, *place));
        let mut found = Vec::new();
        for (number, step) in self.steps.iter().enumerate().rev() {
            if step.outputs.iter().flatten().any(|place| needed.get(*place) == Some(&true)) {
                found.push(number);
                step.inputs.iter().flatten().for_each(|place| mark(&mut needed, *place));
            }
        }
        found
    }

    /// What the graph says of rows that stand one after the other.
    pub(super) fn run(&self, rows: &[f64], texts: &Texts, count: usize) -> Result<Vec<Numbers>, RowError> {
        let mut values: Vec<Slot<'_>> = vec![None; self.values];
        for (place, tensor) in self.constants.iter() {
            if let Some(into) = values.get_mut(*place) {
                *into = Some(Cow::Borrowed(tensor));
            }
        }
        for (column, tensor) in self.columns.iter().zip(self.inputs(rows, texts, count)?) {
            if let Some(into) = values.get_mut(column.value) {
                *into = Some(Cow::Owned(tensor));
            }
        }
        let work = Cell::new(0);
        for step in self.steps.iter() {
            let outputs = step.run(&values, &work, false);
            let outputs = outputs
                .map_err(|fault| RowError::Graph { place: step.place.clone(), problem: fault.problem })?;
            for (place, tensor) in step.outputs.iter().zip(outputs) {
                if let Some(into) = place.and_then(|place| values.get_mut(place)) {
                    *into = Some(Cow::Owned(tensor));
                }
            }
        }
        let problem = |fault: Fault| RowError::Graph { place: "outputs".to_owned(), problem: fault.problem };
        self.collect(&values, count).map_err(problem)
    }

    /// The graph's inputs, of rows that stand one after the other.
    pub(crate) fn inputs(&self, rows: &[f64], texts: &Texts, count: usize) -> Result<Vec<Tensor>, RowError> {
        if rows.len() != self.width * count {
            return Err(RowError::Length { expected: self.width, found: rows.len() });
        }
        let mut start = 0;
        let mut tensors = Vec::with_capacity(self.columns.len());
        for (number, column) in self.columns.iter().enumerate() {
            let part: Cow<'_, [f64]> = if column.width == self.width {
                rows.into()
            } else {
                rows.chunks_exact(self.width)
                    .flat_map(|row| row.get(start..start + column.width).unwrap_or_default())
                    .copied()
                    .collect()
            };
            let problem = |fault: Fault| RowError::Graph {
                place: format!("input {}", number + 1),
                problem: fault.problem,
            };
            tensors.push(column.tensor(&part, texts, count).map_err(problem)?);
            start += column.width;
        }
        Ok(tensors)
    }

    /// The numbers of each row.
    fn collect(&self, values: &[Slot<'_>], count: usize) -> Result<Vec<Numbers>, Fault> {
        let tensor =
            |place: &usize| values.get(*place).and_then(Option::as_deref).ok_or(Fault::new("is not given"));
        let mut found = vec![Numbers { margins: Vec::new(), answer: Vec::new(), labels: Vec::new() }; count];
        let mut spread = |places: &[usize], is_margin: bool| -> Result<(), Fault> {
            for place in places {
                let numbers = tensor(place)?.to_f64s()?;
                let width = numbers.len() / count.max(1);
                if width * count != numbers.len() || width > ANSWERS_MAX {
                    return Err(Fault::new("does not give every row as many numbers"));
                }
                for (found, numbers) in found.iter_mut().zip(numbers.chunks_exact(width.max(1))) {
                    if is_margin { found.margins.extend(numbers) } else { found.answer.extend(numbers) }
                }
            }
            Ok(())
        };
        spread(&self.margins, true)?;
        spread(&self.answers, false)?;
        for place in &self.labels {
            let labels = texts(tensor(place)?);
            let width = (labels.len() / count.max(1)).max(1);
            for (found, labels) in found.iter_mut().zip(labels.chunks_exact(width)) {
                found.labels.extend_from_slice(labels);
            }
        }
        Ok(found)
    }

    /// The columns that take texts.
    pub(super) fn text_columns(&self) -> Vec<usize> {
        let kinds = self.columns.iter().flat_map(|column| std::iter::repeat_n(column.kind, column.width));
        kinds.enumerate().filter(|(_, kind)| *kind == Kind::Text).map(|(place, _)| place).collect()
    }

    pub(super) fn columns(&self) -> usize {
        self.width
    }

    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    pub(super) fn near_margins(&self) -> &[String] {
        &self.near_margins
    }

    pub(super) fn near_answers(&self) -> &[String] {
        &self.near_answers
    }

    /// Whether the inputs take several rows at once.
    pub(super) fn takes_rows(&self) -> bool {
        self.columns
            .iter()
            .all(|column| column.is_open && column.dims.as_ref().is_some_and(|dims| dims.len() == 1))
    }

    pub(super) fn is_by_row(&self) -> bool {
        self.is_by_row
    }

    pub(super) fn gives_doubles(&self) -> bool {
        self.gives_doubles
    }

    pub(super) fn trees(&self) -> usize {
        self.steps.iter().map(|step| step.built.trees).sum()
    }

    pub(super) fn libm(&self) -> Option<&'static str> {
        self.steps.iter().find_map(|step| step.built.libm)
    }

    /// The scoring operations, or how many operations there are.
    pub(super) fn purpose(&self) -> String {
        let is_scoring = |step: &&Step| step.built.gives_raw_scores || step.built.trees > 0;
        let scoring: Vec<&str> =
            self.steps.iter().filter(is_scoring).map(|step| step.operation.as_str()).collect();
        match scoring.as_slice() {
            [] => format!("graph of {} operations", self.steps.len()),
            [one] => (*one).to_owned(),
            [first, ..] => format!("{first} and {} more", scoring.len() - 1),
        }
    }
}

impl Step {
    fn run(&self, values: &[Slot<'_>], work: &Cell<u64>, is_trial: bool) -> Result<Vec<Tensor>, Fault> {
        let value =
            |place: &Option<usize>| place.and_then(|place| values.get(place)).and_then(Option::as_deref);
        let inputs = Inputs { values: self.inputs.iter().map(value).collect(), work, is_trial };
        let outputs = (self.built.run)(&inputs)?;
        let items: usize = outputs.iter().map(Tensor::len).sum();
        inputs.charge(items.saturating_mul(STEPS_OF_ITEM))?;
        Ok(outputs)
    }
}

impl<'a> Draft<'a> {
    /// A place for a value of this name.
    fn place(&mut self, name: &'a str) -> Result<usize, ModelError> {
        let place = self.values.len();
        if name.is_empty() || self.places.insert(name, place).is_some() {
            return Err(malformed(format!("value {}", shown(name)), "is given twice, or has no name"));
        }
        self.values.push(None);
        Ok(place)
    }

    fn set(&mut self, place: usize, tensor: Tensor) {
        if let Some(into) = self.values.get_mut(place) {
            *into = Some(Cow::Owned(tensor));
        }
    }

    /// Builds a node's operation and runs it with the made-up values.
    fn add(&mut self, node: &Node<'a>, versions: Versions) -> Result<(), ModelError> {
        let mut inputs = Vec::with_capacity(node.inputs.len());
        for name in &node.inputs {
            let known = self.places.get(name).copied();
            if known.is_none() && !name.is_empty() {
                return Err(malformed(node.place(), "reads a value that no earlier node gives"));
            }
            inputs.push(known);
        }
        let value =
            |place: &Option<usize>| place.and_then(|place| self.values.get(place)).and_then(Option::as_deref);
        let given: Vec<Option<&Tensor>> = inputs.iter().map(value).collect();
        let built = ops::build(node, &given, versions)?;
        let gives_raw_scores = built.gives_raw_scores;
        let step = Step {
            place: node.place(),
            operation: shown(node.operation),
            inputs,
            outputs: Vec::new(),
            built,
        };
        let outputs = step.run(&self.values, &self.work, true);
        let outputs = outputs.map_err(|fault| malformed(node.place(), fault.problem))?;
        let named = outputs.len() - usize::from(gives_raw_scores);
        // Of Dropout and BatchNormalization only the first output is known; one more is refused where it is read.
        let mut places = Vec::with_capacity(outputs.len());
        for (number, tensor) in outputs.into_iter().enumerate() {
            let name = node.outputs.get(number).copied().filter(|_| number < named).unwrap_or_default();
            let place = match name {
                "" if number < named => None,
                "" => {
                    self.values.push(None);
                    Some(self.values.len() - 1)
                }
                name => Some(self.place(name)?),
            };
            if let Some(place) = place {
                self.set(place, tensor);
            }
            places.push(place);
        }
        self.steps.push(Step { outputs: places, ..step });
        Ok(())
    }
}

fn port_place(port: &Port<'_>) -> String {
    format!("value {}", shown(port.name))
}

fn versions(file: &File<'_>) -> Result<Versions, ModelError> {
    let mut versions = Versions { plain: 0, ml: 0 };
    for (domain, version) in &file.operation_sets {
        let (into, known) = match *domain {
            "" => (&mut versions.plain, PLAIN_VERSIONS),
            "ai.onnx.ml" => (&mut versions.ml, ML_VERSIONS),
            // Converters list sets of which the graph uses nothing; a node of another set is refused.
            _ => continue,
        };
        if !known.contains(version) {
            let place = format!("ModelProto.opset_import, domain {}", shown(domain));
            return Err(unsupported(format!("version {version} of an operation set"), place));
        }
        if *into != 0 && *into != *version {
            return Err(malformed("ModelProto.opset_import", "gives an operation set two versions"));
        }
        *into = *version;
    }
    Ok(versions)
}
