//! The inputs of a graph: which columns of a row each takes, and as what type.
//!
//! *Guarantees*: a number that an input's type does not hold is refused, but that 64-bit numbers are rounded once where the input has 32.
//!
//! *Does not do*: know where texts come from.

use super::super::FEATURES_MAX;
use super::super::Fault;
use super::super::file::Port;
use super::super::tensor::{Data, Kind, Tensor};
use super::port_place;
use crate::recompute::Texts;
use crate::recompute::error::{ModelError, unsupported};

/// An input of the graph: some columns of the row.
#[derive(Clone, Debug)]
pub(super) struct Column {
    pub(super) value: usize,
    pub(super) kind: Kind,
    /// The dimensions of a row in the input, the first left out; none where the input is a vector.
    pub(super) dims: Option<Vec<usize>>,
    pub(super) width: usize,
    /// The file gives rows no number.
    pub(super) is_open: bool,
}

/// The columns of an input.
pub(super) fn column(port: &Port<'_>, value: usize) -> Result<Column, ModelError> {
    let no = |what: &str| unsupported(what, port_place(port));
    let kind = port.kind.and_then(Kind::numbered);
    let kind = match kind {
        Some(kind) if kind != Kind::U8 => kind,
        _ => return Err(no("an input of such a type")),
    };
    let Some(dims) = &port.dims else { return Err(no("an input of unknown dimensions")) };
    let Some((rows, rest)) = dims.split_first() else { return Err(no("an input without dimensions")) };
    if rows.is_some_and(|rows| rows != 1) && !rest.is_empty() {
        return Err(no("an input of another number of rows than one"));
    }
    let known: Option<Vec<usize>> =
        rest.iter().map(|dim| dim.and_then(|dim| usize::try_from(dim).ok()).filter(|dim| *dim > 0)).collect();
    let known = known.ok_or_else(|| no("an input of an unknown number of columns"))?;
    let width = known.iter().try_fold(1_usize, |width, dim| width.checked_mul(*dim));
    let width = match (rest, rows) {
        // A vector of a known length is a row; one of an unknown length has one item a row.
        ([], Some(length)) => usize::try_from(*length).ok(),
        _ => width,
    };
    let width = width.filter(|width| (1..=FEATURES_MAX).contains(width));
    let width = width.ok_or_else(|| no("an input of so many columns"))?;
    let dims = if rest.is_empty() { None } else { Some(known) };
    Ok(Column { value, kind, dims, width, is_open: rows.is_none() })
}

impl Column {
    /// The input's tensor, of rows that stand one after the other.
    pub(super) fn tensor(&self, items: &[f64], texts: &Texts, rows: usize) -> Result<Tensor, Fault> {
        let whole = || -> Result<Vec<i64>, Fault> {
            let whole: Option<Vec<i64>> = items.iter().map(|item| whole(*item)).collect();
            whole.ok_or(Fault::new("takes whole numbers, and is given another"))
        };
        let data = match self.kind {
            Kind::F32 => Data::F32(items.iter().map(|item| narrow(*item)).collect()),
            Kind::F64 => Data::F64(items.to_vec()),
            Kind::I64 => Data::I64(whole()?),
            Kind::I32 => {
                let narrow: Option<Vec<i32>> =
                    whole()?.iter().map(|item| i32::try_from(*item).ok()).collect();
                Data::I32(narrow.ok_or(Fault::new("takes 32-bit numbers, and is given a larger one"))?)
            }
            Kind::Bool => match items.iter().all(|item| *item == 0.0 || *item == 1.0) {
                true => Data::Bool(items.iter().map(|item| *item == 1.0).collect()),
                false => return Err(Fault::new("takes 0 and 1, and is given another number")),
            },
            Kind::Text => {
                let found: Option<Vec<String>> =
                    items.iter().map(|item| texts.of(*item).map(str::to_owned)).collect();
                Data::Text(found.ok_or(Fault::new("takes a text, and is given a number"))?)
            }
            Kind::U8 => return Err(Fault::new("takes no such numbers")),
        };
        match &self.dims {
            None => Ok(Tensor::vector(data)),
            Some(dims) => Tensor::new([&[rows], dims.as_slice()].concat(), data),
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "an input of 32-bit numbers is rounded once")]
fn narrow(item: f64) -> f32 {
    item as f32
}

/// The same number as an integer, where there is one.
#[expect(clippy::cast_possible_truncation, reason = "the range was checked")]
fn whole(item: f64) -> Option<i64> {
    const END: f64 = 9_007_199_254_740_992.0;
    (item.fract() == 0.0 && item.abs() <= END).then_some(item as i64)
}
