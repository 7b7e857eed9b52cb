//! Operations of `ai.onnx.ml` that prepare columns: `Scaler`, `Normalizer`, `Imputer`, `Binarizer`, `OneHotEncoder`, `LabelEncoder`,
//! `CategoryMapper`, `ArrayFeatureExtractor`, `FeatureVectorizer`, `ZipMap`.
//!
//! *Guarantees*: the engine's bits: each does one or two operations on an item, or one sum in the order of the columns.
//!
//! *Does not do*: make the maps of `ZipMap`; its probabilities stay in the order of the classes.

use super::super::Fault;
use super::super::file::Node;
use super::super::ops::{Built, Inputs};
use super::super::tensor::{Data, Tensor, pick};
use super::table::only;
use crate::recompute::error::{ModelError, malformed, shown, unsupported};

pub(crate) fn build(node: &Node<'_>, inputs: &[Option<&Tensor>]) -> Result<Built, ModelError> {
    let built = match node.operation {
        "Scaler" => scaler(node)?,
        "Normalizer" => normalizer(node)?,
        "Imputer" => imputer(node)?,
        "Binarizer" => {
            only(node, &["threshold"])?;
            let threshold = node.float("threshold")?.unwrap_or(0.0);
            Built::new(move |inputs| {
                let input = inputs.get(0)?;
                let above = input.f32s()?.iter().map(|x| if *x > threshold { 1.0 } else { 0.0 }).collect();
                Ok(vec![Tensor::new(input.dims().to_vec(), Data::F32(above))?])
            })
        }
        "OneHotEncoder" => one_hot(node)?,
        "LabelEncoder" | "CategoryMapper" => label_encoder(node, inputs)?,
        "ArrayFeatureExtractor" => {
            only(node, &[])?;
            Built::new(extracted)
        }
        "FeatureVectorizer" => {
            only(node, &["inputdimensions"])?;
            let widths = node.integers("inputdimensions")?;
            Built::new(move |inputs| vectorized(inputs, &widths))
        }
        "ZipMap" => {
            only(node, &["classlabels_int64s", "classlabels_strings"])?;
            Built::new(|inputs| Ok(vec![inputs.get(0)?.clone()]))
        }
        other => return Err(unsupported(format!("the operation {}", shown(other)), node.place())),
    };
    Ok(built.by_row())
}

#[expect(clippy::cast_possible_truncation, reason = "the engine rounds here, too")]
fn scaler(node: &Node<'_>) -> Result<Built, ModelError> {
    only(node, &["offset", "scale"])?;
    let (offsets, scales) = (node.floats("offset")?, node.floats("scale")?);
    if offsets.is_empty() || offsets.len() != scales.len() {
        return Err(malformed(node.place(), "has another number of offsets than of scales"));
    }
    Ok(Built::new(move |inputs| {
        let input = inputs.get(0)?;
        let (_, columns) = input.rows_and_columns()?;
        if offsets.len() != 1 && offsets.len() != columns {
            return Err(Fault::new("has another number of scales than its input has columns"));
        }
        let pairs = || offsets.iter().zip(&scales).cycle();
        let scaled: Vec<f32> = match input.data() {
            // Numbers of 64 bits are scaled before they are rounded.
            Data::F64(items) => items
                .iter()
                .zip(pairs())
                .map(|(x, (offset, scale))| ((x - f64::from(*offset)) * f64::from(*scale)) as f32)
                .collect(),
            _ => {
                let items = input.to_f32s()?;
                items.iter().zip(pairs()).map(|(x, (offset, scale))| (x - offset) * scale).collect()
            }
        };
        Ok(vec![Tensor::new(input.dims().to_vec(), Data::F32(scaled))?])
    }))
}

#[expect(clippy::cast_possible_truncation, reason = "the engine rounds here, too")]
fn normalizer(node: &Node<'_>) -> Result<Built, ModelError> {
    only(node, &["norm"])?;
    let norm: fn(&mut [f32], &[f32]) = match node.text("norm")?.unwrap_or("MAX") {
        "MAX" => |row, _| {
            let greatest =
                row.iter().fold(-f32::MAX, |greatest, x| if greatest < *x { *x } else { greatest });
            divide(row, greatest);
        },
        "L1" => |row, _| {
            let mut sum = 0.0;
            row.iter().for_each(|x| sum += x.abs());
            divide(row, sum);
        },
        "L2" => |row, squares| {
            let mut sum = 0.0;
            squares.iter().for_each(|square| sum += square);
            if sum != 0.0 {
                for (x, square) in row.iter_mut().zip(squares) {
                    let size = (square / sum).sqrt();
                    *x = if *x < 0.0 { -size } else { size };
                }
            }
        },
        _ => return Err(malformed(node.place(), "has an unknown norm")),
    };
    Ok(Built::new(move |inputs| {
        let input = inputs.get(0)?;
        let (_, columns) = input.rows_and_columns()?;
        // Squares of 64-bit numbers are rounded after the product.
        let squares: Vec<f32> = match input.data() {
            Data::F32(items) => items.iter().map(|x| x * x).collect(),
            Data::F64(items) => items.iter().map(|x| (x * x) as f32).collect(),
            _ => return Err(Fault::new("normalizes whole numbers")),
        };
        let mut items = input.to_f32s()?;
        let rows = items.chunks_mut(columns.max(1)).zip(squares.chunks(columns.max(1)));
        rows.for_each(|(row, squares)| norm(row, squares));
        Ok(vec![Tensor::new(input.dims().to_vec(), Data::F32(items))?])
    }))
}

fn divide(row: &mut [f32], by: f32) {
    if by != 0.0 {
        row.iter_mut().for_each(|x| *x /= by);
    }
}

fn imputer(node: &Node<'_>) -> Result<Built, ModelError> {
    only(
        node,
        &["imputed_value_floats", "imputed_value_int64s", "replaced_value_float", "replaced_value_int64"],
    )?;
    let (floats, integers) = (node.floats("imputed_value_floats")?, node.integers("imputed_value_int64s")?);
    if floats.is_empty() == integers.is_empty() {
        return Err(malformed(node.place(), "needs values of one type"));
    }
    let replaced = node.float("replaced_value_float")?.unwrap_or(0.0);
    let replaced_integer = node.integer("replaced_value_int64")?.unwrap_or(0);
    Ok(Built::new(move |inputs| {
        let input = inputs.get(0)?;
        let (_, columns) = input.rows_and_columns()?;
        let data = match input.data() {
            Data::F32(items) => {
                let is_replaced = |x: f32| x == replaced || (x.is_nan() && replaced.is_nan());
                Data::F32(imputed(items, columns, &floats, is_replaced)?)
            }
            Data::I64(items) => Data::I64(imputed(items, columns, &integers, |x| x == replaced_integer)?),
            _ => return Err(Fault::new("imputes another type than the engine does")),
        };
        Ok(vec![Tensor::new(input.dims().to_vec(), data)?])
    }))
}

fn imputed<T: Copy>(
    items: &[T],
    columns: usize,
    values: &[T],
    is_replaced: impl Fn(T) -> bool,
) -> Result<Vec<T>, Fault> {
    let first = *values.first().ok_or(Fault::new("has no values of its input's type"))?;
    let by_column = values.len() == columns;
    let value = |place: usize| {
        let own = values.get(place.checked_rem(columns).unwrap_or(0)).copied().unwrap_or(first);
        if by_column { own } else { first }
    };
    let filled = |(place, item): (usize, &T)| if is_replaced(*item) { value(place) } else { *item };
    Ok(items.iter().enumerate().map(filled).collect())
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the engine drops the fraction, too; the range is checked"
)]
fn one_hot(node: &Node<'_>) -> Result<Built, ModelError> {
    only(node, &["cats_int64s", "cats_strings", "zeros"])?;
    let (numbers, texts) = (node.integers("cats_int64s")?, node.texts("cats_strings")?);
    let texts: Vec<String> = texts.into_iter().map(str::to_owned).collect();
    if numbers.is_empty() == texts.is_empty() {
        return Err(malformed(node.place(), "needs categories of one type"));
    }
    let allows_unknown = node.integer("zeros")?.unwrap_or(1) != 0;
    Ok(Built::new(move |inputs| {
        let input = inputs.get(0)?;
        let of_number = |number: f64| -> Result<Option<usize>, Fault> {
            const END: f64 = 9_007_199_254_740_992.0;
            let whole = (number.abs() <= END).then_some(number as i64);
            let whole = whole.ok_or(Fault::new("is given a category that is no whole number"))?;
            // A repeated category counts where it stands last.
            Ok(numbers.iter().rposition(|known| *known == whole))
        };
        let found: Result<Vec<Option<usize>>, Fault> = match input.data() {
            Data::Text(items) => {
                Ok(items.iter().map(|item| texts.iter().rposition(|known| known == item)).collect())
            }
            Data::I64(items) => {
                Ok(items.iter().map(|item| numbers.iter().rposition(|known| known == item)).collect())
            }
            Data::F32(_) | Data::F64(_) => input.to_f64s()?.into_iter().map(of_number).collect(),
            _ => Err(Fault::new("encodes another type than the engine does")),
        };
        let found = found?;
        if !allows_unknown && !inputs.is_trial && found.contains(&None) {
            return Err(Fault::new("is given a category that it does not know"));
        }
        let width = numbers.len().max(texts.len());
        inputs.charge(found.len().saturating_mul(width))?;
        let mut dims = input.dims().to_vec();
        dims.push(width);
        let mut ones = vec![
            0.0_f32;
            super::super::tensor::items_of(&dims)
                .ok_or(Fault::new("makes too large a tensor"))?
        ];
        for (row, place) in ones.chunks_mut(width).zip(found) {
            if let Some(one) = place.and_then(|place| row.get_mut(place)) {
                *one = 1.0;
            }
        }
        Ok(vec![Tensor::new(dims, Data::F32(ones))?])
    }))
}

/// Keys or values of an encoder, in attributes of this prefix.
fn listed(node: &Node<'_>, prefix: &str) -> Result<Option<Data>, ModelError> {
    let name = |kind: &str| format!("{prefix}_{kind}");
    if node.has(&name("floats")) {
        return Ok(Some(Data::F32(node.floats(&name("floats"))?)));
    }
    if node.has(&name("int64s")) {
        return Ok(Some(Data::I64(node.integers(&name("int64s"))?)));
    }
    if node.has(&name("strings")) {
        let texts = node.texts(&name("strings"))?.into_iter().map(str::to_owned).collect();
        return Ok(Some(Data::Text(texts)));
    }
    Ok(node.tensor(&name("tensor"))?.map(Tensor::into_data))
}

fn label_encoder(node: &Node<'_>, inputs: &[Option<&Tensor>]) -> Result<Built, ModelError> {
    let wrong = |problem| malformed(node.place(), problem);
    let is_mapper = node.operation == "CategoryMapper";
    let names = ["floats", "int64s", "strings", "tensor"];
    let lists: Vec<String> =
        ["keys", "values"].iter().flat_map(|list| names.map(|kind| format!("{list}_{kind}"))).collect();
    let mut known: Vec<&str> = lists.iter().map(String::as_str).collect();
    known.extend(["default_float", "default_int64", "default_string", "default_tensor"]);
    known.extend(["classes_strings", "cats_strings", "cats_int64s"]);
    only(node, &known)?;
    let from_text = matches!(inputs.first().copied().flatten().map(Tensor::data), Some(Data::Text(_)));
    let texts = |name: &str| -> Result<Data, ModelError> {
        Ok(Data::Text(node.texts(name)?.into_iter().map(str::to_owned).collect()))
    };
    let (keys, values) = if is_mapper || node.has("classes_strings") {
        let texts = texts(if is_mapper { "cats_strings" } else { "classes_strings" })?;
        let count = i64::try_from(texts.len()).unwrap_or(0);
        let numbers = if is_mapper { node.integers("cats_int64s")? } else { (0..count).collect() };
        if from_text { (texts, Data::I64(numbers)) } else { (Data::I64(numbers), texts) }
    } else {
        let lists = listed(node, "keys")?.zip(listed(node, "values")?);
        lists.ok_or_else(|| wrong("has no keys or no values"))?
    };
    if keys.len() != values.len() || matches!(&keys, Data::F32(keys) if keys.iter().any(|key| key.is_nan())) {
        return Err(wrong("has keys that do not fit its values"));
    }
    // The default is one more value, behind the others.
    let default = node.tensor("default_tensor")?.map(Tensor::into_data);
    let values = match (values, default) {
        (Data::F32(items), Some(Data::F32(default))) => Data::F32([items, default].concat()),
        (Data::I64(items), Some(Data::I64(default))) => Data::I64([items, default].concat()),
        (Data::Text(items), Some(Data::Text(default))) => Data::Text([items, default].concat()),
        (Data::F32(items), None) => {
            Data::F32([items, vec![node.float("default_float")?.unwrap_or(-0.0)]].concat())
        }
        (Data::I64(items), None) => {
            Data::I64([items, vec![node.integer("default_int64")?.unwrap_or(-1)]].concat())
        }
        (Data::Text(items), None) => {
            Data::Text([items, vec![node.text("default_string")?.unwrap_or("_Unused").to_owned()]].concat())
        }
        _ => return Err(unsupported("an encoder of such types", node.place())),
    };
    Ok(Built::new(move |inputs| encoded(inputs.get(0)?, &keys, &values)))
}

fn encoded(input: &Tensor, keys: &Data, values: &Data) -> Result<Vec<Tensor>, Fault> {
    fn places<T: PartialEq>(items: &[T], keys: &[T]) -> Vec<usize> {
        let place = |item: &T| keys.iter().position(|key| key == item).unwrap_or(keys.len());
        items.iter().map(place).collect()
    }
    let found = match (input.data(), keys) {
        (Data::F32(items), Data::F32(keys)) => places(items, keys),
        (Data::I64(items), Data::I64(keys)) => places(items, keys),
        (Data::Text(items), Data::Text(keys)) => places(items, keys),
        _ => return Err(Fault::new("has keys of another type than its input")),
    };
    let data = match values {
        Data::F32(values) => Data::F32(pick(values, &found)?),
        Data::I64(values) => Data::I64(pick(values, &found)?),
        Data::Text(values) => Data::Text(pick(values, &found)?),
        _ => return Err(Fault::new("has values of a type that is not supported")),
    };
    Ok(vec![Tensor::new(input.dims().to_vec(), data)?])
}

/// `ArrayFeatureExtractor`: columns of the last axis.
fn extracted(inputs: &Inputs<'_>) -> Result<Vec<Tensor>, Fault> {
    let input = inputs.get(0)?;
    let (width, outer) = input.dims().split_last().ok_or(Fault::new("has no axis"))?;
    let columns: Option<Vec<usize>> = inputs
        .get(1)?
        .i64s()?
        .iter()
        .map(|column| usize::try_from(*column).ok().filter(|column| column < width))
        .collect();
    let columns = columns.ok_or(Fault::new("names a column that its input does not have"))?;
    let rows: usize = outer.iter().product();
    inputs.charge(rows.saturating_mul(columns.len()))?;
    let from: Vec<usize> =
        (0..rows).flat_map(|row| columns.iter().map(move |column| row * width + column)).collect();
    let outer = if outer.is_empty() { &[1][..] } else { outer };
    let dims = [outer, &[columns.len()]].concat();
    let data = super::super::tensor::map_items!(input.data(), items => pick(items, &from)?);
    Ok(vec![Tensor::new(dims, data)?])
}

/// `FeatureVectorizer`: rows of several tables side by side, as 32-bit numbers.
fn vectorized(inputs: &Inputs<'_>, widths: &[i64]) -> Result<Vec<Tensor>, Fault> {
    let mut tables = Vec::with_capacity(inputs.values.len());
    let mut rows = None;
    for (place, width) in widths.iter().enumerate() {
        let input = inputs.get(place)?;
        let (own, columns) = input.rows_and_columns()?;
        if i64::try_from(columns) != Ok(*width) || *rows.get_or_insert(own) != own {
            return Err(Fault::new("is given a table of another size than it says"));
        }
        tables.push((input.to_f32s()?, columns));
    }
    let (rows, columns) = (rows.unwrap_or(0), tables.iter().map(|(_, columns)| columns).sum::<usize>());
    if widths.len() != inputs.values.len() || columns == 0 {
        return Err(Fault::new("is given another number of tables than it says"));
    }
    let part = |row: usize, (items, columns): &(Vec<f32>, usize)| {
        items.get(row * columns..(row + 1) * columns).unwrap_or_default().to_vec()
    };
    let joined = (0..rows).flat_map(|row| tables.iter().flat_map(move |table| part(row, table))).collect();
    Ok(vec![Tensor::new(vec![rows, columns], Data::F32(joined))?])
}
