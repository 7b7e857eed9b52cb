//! What was given, from a record's features: rows of numbers, or texts.

#[cfg(feature = "neural")]
use ledgerstone::record::schema;
use ledgerstone::record::{FieldPath, Record, Value};

use super::Obstacle;
use crate::recompute::description::{Column, Dtype, Feature};
use crate::recompute::{TEXT_BYTES_MAX, Texts};

/// Integers up to here are exact in binary64.
const INTEGER_MAX: i128 = 1 << 53;

/// The rows of one decision, each with as many numbers as there are columns.
pub(super) struct Numeric {
    columns: usize,
    places: Vec<Option<u32>>,
    numbers: Vec<f64>,
    /// What stands in the columns that take texts.
    texts: Texts,
}

impl Numeric {
    /// Makes every row; `paths` are those of the columns' features.
    pub(super) fn read(
        record: &Record,
        columns: &[Column],
        paths: &[FieldPath],
        dtype: Dtype,
        text_columns: &[usize],
    ) -> Result<Self, Obstacle> {
        let first = paths.first().ok_or_else(|| Obstacle::input("the description makes no column"))?;
        let places = places(record, first)?;
        let mut rows = Self {
            columns: columns.len(),
            numbers: Vec::with_capacity(columns.len() * places.len()),
            places: Vec::new(),
            texts: Texts::default(),
        };
        for place in &places {
            rows.read_row(record, (columns, text_columns), paths, *place, dtype)?;
        }
        Ok(Self { places, ..rows })
    }

    fn read_row(
        &mut self,
        record: &Record,
        (columns, text_columns): (&[Column], &[usize]),
        paths: &[FieldPath],
        place: Option<u32>,
        dtype: Dtype,
    ) -> Result<(), Obstacle> {
        for (number, (column, path)) in columns.iter().zip(paths).enumerate() {
            let placed = place.map(|place| path.place(place)).transpose()?;
            let path = placed.as_ref().unwrap_or(path);
            let value = record.value(path);
            let value = value.ok_or_else(|| Obstacle::input(format_args!("the record has no {path}")))?;
            let feature =
                feature(value, dtype).map_err(|why| Obstacle::input(format_args!("{path} {why}")))?;
            self.numbers.push(if text_columns.binary_search(&number).is_ok() {
                let text = text_of(feature, column);
                self.texts.keep(text.map_err(|why| Obstacle::input(format_args!("{path} {why}")))?)
            } else {
                column.number(feature).map_err(Obstacle::input)?
            });
        }
        Ok(())
    }

    /// Every row.
    pub(super) fn iter(&self) -> impl Iterator<Item = &[f64]> {
        self.numbers.chunks_exact(self.columns.max(1))
    }

    /// What stands in the columns that take texts.
    pub(super) const fn texts(&self) -> &Texts {
        &self.texts
    }

    /// What stands at the end of the paths of each row.
    pub(super) fn places(&self) -> &[Option<u32>] {
        &self.places
    }
}

/// The text of a column that takes one, as it was recorded.
fn text_of<'a>(feature: Feature<'a>, column: &Column) -> Result<&'a str, &'static str> {
    match feature {
        Feature::Text(_) if !column.steps.is_empty() => {
            Err("is a text, and the description has steps for numbers")
        }
        Feature::Text(text) if text.len() > TEXT_BYTES_MAX => Err("is a text of more than 65,536 bytes"),
        Feature::Text(text) => Ok(text),
        Feature::Missing => {
            Err("is missing, and the model takes a text; record the text that the model was given")
        }
        Feature::Number(_) | Feature::Bool(_) => Err("is no text, and the model takes one"),
    }
}

/// What stands at the end of the paths of each row: nothing for a single one.
fn places(record: &Record, first: &FieldPath) -> Result<Vec<Option<u32>>, Obstacle> {
    if record.value(first).is_some() || record.value(&first.place(0)?).is_none() {
        return Ok(vec![None]);
    }
    let mut places = Vec::new();
    for place in 0.. {
        if record.value(&first.place(place)?).is_none() {
            break;
        }
        places.push(Some(place));
    }
    Ok(places)
}

/// The texts of a feature, each with its place.
#[cfg(feature = "neural")]
pub(super) fn texts<'a>(
    record: &'a Record,
    feature: &str,
) -> Result<(Vec<Option<u32>>, Vec<&'a str>), Obstacle> {
    let path = schema::feature(feature)?;
    let places = places(record, &path)?;
    let text = |place: &Option<u32>| {
        let path = super::at(path.clone(), *place)?;
        match record.value(&path) {
            Some(Value::Text(text)) => Ok(text.as_str()),
            Some(_) => Err(Obstacle::input(format_args!("{path} is no text"))),
            None => Err(Obstacle::input(format_args!("the record has no {path}"))),
        }
    };
    let texts = places.iter().map(text).collect::<Result<_, Obstacle>>()?;
    Ok((places, texts))
}

/// A number that counts something, if the record has it.
#[cfg(feature = "neural")]
pub(super) fn count(record: &Record, path: &FieldPath) -> Result<Option<usize>, Obstacle> {
    match record.value(path) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Int(count)) if *count >= 0 => Ok(usize::try_from(*count).ok()),
        Some(_) => Err(Obstacle::input(format_args!("{path} is no count"))),
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
