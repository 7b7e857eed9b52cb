//! The model's rows from a record's features.

use ledgerstone::record::schema;
use ledgerstone::record::{FieldPath, Record, Value};

use super::Obstacle;
use crate::recompute::description::{Column, Dtype, Feature};

/// Integers up to here are exact in binary64.
const INTEGER_MAX: i128 = 1 << 53;

/// The rows of one decision.
pub(super) struct Rows {
    columns: usize,
    /// Whether the record has several rows, and so a place at the end of each path.
    several: bool,
    numbers: Vec<f64>,
}

impl Rows {
    /// Makes every row.
    pub(super) fn read(record: &Record, columns: &[Column], dtype: Dtype) -> Result<Self, Obstacle> {
        let paths = columns.iter().map(|column| schema::feature(&column.feature));
        let paths = paths.collect::<Result<Vec<_>, _>>()?;
        let first = paths.first().ok_or_else(|| Obstacle::input("the description makes no column"))?;
        let several = record.value(first).is_none() && record.value(&first.place(0)?).is_some();
        let mut rows = Self { columns: columns.len(), several, numbers: Vec::new() };
        let mut place = 0;
        loop {
            rows.read_row(record, columns, &paths, several.then_some(place), dtype)?;
            place += 1;
            if !several || record.value(&first.place(place)?).is_none() {
                return Ok(rows);
            }
        }
    }

    fn read_row(
        &mut self,
        record: &Record,
        columns: &[Column],
        paths: &[FieldPath],
        place: Option<u32>,
        dtype: Dtype,
    ) -> Result<(), Obstacle> {
        for (column, path) in columns.iter().zip(paths) {
            let path = super::at(path.clone(), place)?;
            let value = record.value(&path);
            let value = value.ok_or_else(|| Obstacle::input(format_args!("the record has no {path}")))?;
            let feature =
                feature(value, dtype).map_err(|why| Obstacle::input(format_args!("{path} {why}")))?;
            self.numbers.push(column.number(feature).map_err(Obstacle::input)?);
        }
        Ok(())
    }

    pub(super) fn count(&self) -> usize {
        self.numbers.len() / self.columns.max(1)
    }

    /// Every row, with its number.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, &[f64])> {
        self.numbers.chunks_exact(self.columns.max(1)).enumerate()
    }

    /// What stands at the end of the paths of a row.
    pub(super) fn place(&self, row: usize) -> Option<u32> {
        self.several.then_some(u32::try_from(row).unwrap_or(u32::MAX))
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the way back is compared: no bit is lost unseen")]
#[expect(clippy::cast_precision_loss, reason = "integers past 2^53 are refused")]
fn feature(value: &Value, dtype: Dtype) -> Result<Feature<'_>, &'static str> {
    let number = match value {
        Value::Null => return Ok(Feature::Missing),
        Value::Float(number) if number.is_nan() => return Ok(Feature::Missing),
        Value::Float(number) => *number,
        Value::Int(number) if number.abs() <= INTEGER_MAX => *number as f64,
        Value::Int(_) => return Err("is an integer that a double does not hold"),
        Value::Bool(truth) => return Ok(Feature::Bool(*truth)),
        Value::Text(text) => return Ok(Feature::Text(text)),
        Value::Bytes(_) | Value::Array(_) => return Err("is neither a number nor text"),
    };
    if dtype == Dtype::F32 && f64::from(number as f32).to_bits() != number.to_bits() {
        return Err("is no 32-bit float, which is what the description says that the model was given");
    }
    Ok(Feature::Number(number))
}
