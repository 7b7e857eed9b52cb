//! What another engine needs to be asked for the numbers of a graph: its inputs, which outputs to ask for, and what they are.
//!
//! *Guarantees*: the answers of the other engine are put together by the same code as one's own. *Does not do*: run the other engine.

use std::borrow::Cow;

use super::super::Fault;
use super::super::Numbers;
use super::super::tensor::{Kind, Tensor};
use super::{Graph, Slot};

/// The scoring operation of a graph, whose transform is to be left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scoring {
    /// Its place among the nodes.
    pub(crate) node: usize,
    /// The place of the scores among its outputs.
    pub(crate) output: usize,
    /// The scores' type.
    pub(crate) kind: Kind,
}

impl Graph {
    /// The operation that gives the margins; none where the margins are the answers.
    pub(crate) fn scoring(&self) -> Option<Scoring> {
        let node = self.scoring?;
        let step = self.steps.get(node)?;
        // The last value is the scores before their transform, which the file does not name; the one before it is the scores.
        Some(Scoring { node, output: step.outputs.len().checked_sub(2)?, kind: self.margin_kind? })
    }

    /// The numbers of each row, from the graph's outputs and the scores before their transform.
    pub(crate) fn numbers(
        &self,
        outputs: Vec<Tensor>,
        scores: Option<Tensor>,
        count: usize,
    ) -> Result<Vec<Numbers>, Fault> {
        if outputs.len() != self.outputs.len() || scores.is_some() != self.scoring.is_some() {
            return Err(Fault::new("gives another number of outputs than the file has"));
        }
        let mut values: Vec<Slot<'_>> = vec![None; self.values];
        let scores = scores.into_iter().zip(&self.margins);
        for (tensor, place) in outputs.into_iter().zip(&self.outputs).chain(scores) {
            if let Some(into) = values.get_mut(*place) {
                *into = Some(Cow::Owned(tensor));
            }
        }
        self.collect(&values, count)
    }
}
