//! What operations of `ai.onnx.ml` share: their input as rows, lists of labels, and attributes.
//!
//! *Guarantees*: a label is taken from its list by its place.
//!
//! *Does not do*: arithmetic.

use std::borrow::Cow;

use super::super::Fault;
use super::super::file::Node;
use super::super::tensor::{Data, Tensor};
use super::trees::Items;
use crate::recompute::error::{ModelError, malformed, shown, unsupported};

/// Rows of numbers.
#[derive(Debug)]
pub(crate) struct Table<'a, T: Clone> {
    items: Cow<'a, [T]>,
    columns: usize,
}

impl<'a, T: Clone + Items> Table<'a, T> {
    /// The tensor's rows, which have at least so many columns.
    pub(crate) fn of(tensor: &'a Tensor, columns_min: usize) -> Result<Self, Fault> {
        let (_, columns) = tensor.rows_and_columns()?;
        if columns < columns_min || columns == 0 {
            return Err(Fault::new("takes more columns than its input has"));
        }
        Ok(Self { items: T::of(tensor)?, columns })
    }

    /// The rows, one after another.
    pub(crate) fn items(&self) -> &[T] {
        &self.items
    }

    pub(crate) fn columns(&self) -> usize {
        self.columns
    }

    pub(crate) fn rows(&self) -> impl ExactSizeIterator<Item = &[T]> {
        self.items.chunks_exact(self.columns)
    }
}

/// The labels of classes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Labels {
    Numbers(Vec<i64>),
    Texts(Vec<String>),
}

impl Labels {
    /// The labels of an operation, which gives either texts or numbers.
    pub(crate) fn read(node: &Node<'_>, texts: &str, numbers: &str) -> Result<Self, ModelError> {
        let texts: Vec<String> = node.texts(texts)?.into_iter().map(str::to_owned).collect();
        let numbers = node.integers(numbers)?;
        match (texts.is_empty(), numbers.is_empty()) {
            (false, true) => Ok(Self::Texts(texts)),
            (true, _) => Ok(Self::Numbers(numbers)),
            (false, false) => Err(malformed(node.place(), "has labels of two types")),
        }
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Numbers(numbers) => numbers.len(),
            Self::Texts(texts) => texts.len(),
        }
    }

    /// The labels at these places, one a row.
    pub(crate) fn tensor(&self, places: &[usize]) -> Result<Tensor, Fault> {
        let unknown = Fault::new("chooses a class that has no label");
        let data = match self {
            Self::Numbers(numbers) => {
                let chosen: Option<Vec<i64>> = places.iter().map(|at| numbers.get(*at).copied()).collect();
                Data::I64(chosen.ok_or(unknown)?)
            }
            Self::Texts(texts) => {
                let chosen: Option<Vec<String>> = places.iter().map(|at| texts.get(*at).cloned()).collect();
                Data::Text(chosen.ok_or(unknown)?)
            }
        };
        Ok(Tensor::vector(data))
    }
}

/// Refuses a node that has an attribute which is not read.
pub(crate) fn only(node: &Node<'_>, known: &[&str]) -> Result<(), ModelError> {
    match node.attribute_names().find(|name| !known.contains(name)) {
        Some(name) => Err(unsupported(format!("the attribute {}", shown(name)), node.place())),
        None => Ok(()),
    }
}

/// An attribute that is a tensor of bytes.
pub(crate) fn small_numbers(node: &Node<'_>, name: &str) -> Result<Vec<u8>, ModelError> {
    match node.tensor(name)?.map(Tensor::into_data) {
        Some(Data::U8(items)) => Ok(items),
        _ => Err(malformed(node.place(), "lacks a list of bytes")),
    }
}
