//! Values that flow through a graph: numbers, truth values or texts in a box of some dimensions.
//!
//! *Guarantees*: a tensor has exactly as many items as its dimensions say.
//!
//! *Does not do*: types that no supported operation makes: 16-bit floats, unsigned numbers, complex numbers.

use super::Fault;

/// Items of a tensor.
pub(super) const ITEMS_MAX: usize = 1 << 24;

/// Items in a box.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tensor {
    dims: Vec<usize>,
    data: Data,
}

/// Items of one type, the last dimension's side by side.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Data {
    F32(Vec<f32>),
    F64(Vec<f64>),
    I64(Vec<i64>),
    I32(Vec<i32>),
    Bool(Vec<bool>),
    /// Only `nodes_modes` of a tree ensemble has these.
    U8(Vec<u8>),
    Text(Vec<String>),
}

/// The type of a tensor's items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    F32,
    F64,
    I64,
    I32,
    Bool,
    U8,
    Text,
}

impl Kind {
    /// Every type, with its number in `TensorProto.DataType`.
    const NUMBERS: [(Self, u8); 7] = [
        (Self::F32, 1),
        (Self::U8, 2),
        (Self::I32, 6),
        (Self::I64, 7),
        (Self::Text, 8),
        (Self::Bool, 9),
        (Self::F64, 11),
    ];

    /// The type with this number in `TensorProto.DataType`.
    pub(super) fn numbered(number: i64) -> Option<Self> {
        Self::NUMBERS.iter().find(|(_, known)| i64::from(*known) == number).map(|(kind, _)| *kind)
    }

    /// Its number in `TensorProto.DataType`.
    #[cfg(feature = "onnxruntime")]
    pub(super) fn number(self) -> u64 {
        // Every type is in the table; 0 is `UNDEFINED`.
        Self::NUMBERS.iter().find(|(kind, _)| *kind == self).map_or(0, |(_, number)| u64::from(*number))
    }
}

/// Runs an expression with `$items` bound to the vector of a tensor of any numeric type.
macro_rules! with_numbers {
    ($data:expr, $items:ident => $body:expr, else $other:expr) => {
        match $data {
            Data::F32($items) => $body,
            Data::F64($items) => $body,
            Data::I64($items) => $body,
            Data::I32($items) => $body,
            Data::Bool(_) | Data::U8(_) | Data::Text(_) => $other,
        }
    };
}
pub(super) use with_numbers;

/// Runs an expression for items of any type and wraps its vector again.
macro_rules! map_items {
    ($data:expr, $items:ident => $body:expr) => {
        match $data {
            Data::F32($items) => Data::F32($body),
            Data::F64($items) => Data::F64($body),
            Data::I64($items) => Data::I64($body),
            Data::I32($items) => Data::I32($body),
            Data::Bool($items) => Data::Bool($body),
            Data::U8($items) => Data::U8($body),
            Data::Text($items) => Data::Text($body),
        }
    };
}
pub(super) use map_items;

impl Data {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::F32(items) => items.len(),
            Self::F64(items) => items.len(),
            Self::I64(items) => items.len(),
            Self::I32(items) => items.len(),
            Self::Bool(items) => items.len(),
            Self::U8(items) => items.len(),
            Self::Text(items) => items.len(),
        }
    }

    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::F32(_) => Kind::F32,
            Self::F64(_) => Kind::F64,
            Self::I64(_) => Kind::I64,
            Self::I32(_) => Kind::I32,
            Self::Bool(_) => Kind::Bool,
            Self::U8(_) => Kind::U8,
            Self::Text(_) => Kind::Text,
        }
    }
}

impl Tensor {
    /// A tensor of these dimensions.
    pub(super) fn new(dims: Vec<usize>, data: Data) -> Result<Self, Fault> {
        match items_of(&dims) {
            Some(items) if items == data.len() => Ok(Self { dims, data }),
            _ => Err(Fault::new("has another number of items than its dimensions say")),
        }
    }

    /// Items in a row.
    pub(super) fn vector(data: Data) -> Self {
        Self { dims: vec![data.len()], data }
    }

    /// One item without dimensions.
    pub(super) fn scalar(data: Data) -> Result<Self, Fault> {
        Self::new(Vec::new(), data)
    }

    pub(super) fn dims(&self) -> &[usize] {
        &self.dims
    }

    pub(super) fn data(&self) -> &Data {
        &self.data
    }

    pub(super) fn into_data(self) -> Data {
        self.data
    }

    pub(super) fn len(&self) -> usize {
        self.data.len()
    }

    pub(super) fn kind(&self) -> Kind {
        self.data.kind()
    }

    /// The same items in other dimensions.
    pub(super) fn reshaped(&self, dims: Vec<usize>) -> Result<Self, Fault> {
        Self::new(dims, self.data.clone())
    }

    /// Rows and columns as the operations of `ai.onnx.ml` take them: one dimension is one row.
    pub(super) fn rows_and_columns(&self) -> Result<(usize, usize), Fault> {
        match *self.dims.as_slice() {
            [columns] => Ok((1, columns)),
            [rows, columns] => Ok((rows, columns)),
            _ => Err(Fault::new("has neither one dimension nor two")),
        }
    }

    pub(super) fn f32s(&self) -> Result<&[f32], Fault> {
        match &self.data {
            Data::F32(items) => Ok(items),
            _ => Err(Fault::new("is not of 32-bit floating-point numbers")),
        }
    }

    /// Whole numbers, such as axes and shapes.
    pub(super) fn i64s(&self) -> Result<Vec<i64>, Fault> {
        match &self.data {
            Data::I64(items) => Ok(items.clone()),
            Data::I32(items) => Ok(items.iter().copied().map(i64::from).collect()),
            _ => Err(Fault::new("is not of whole numbers")),
        }
    }

    pub(super) fn bools(&self) -> Result<&[bool], Fault> {
        match &self.data {
            Data::Bool(items) => Ok(items),
            _ => Err(Fault::new("is not of truth values")),
        }
    }

    /// Every number as `f32`, rounded once, as the operations of `ai.onnx.ml` read their input.
    #[expect(clippy::cast_possible_truncation, reason = "the engine rounds here, too")]
    pub(super) fn to_f32s(&self) -> Result<Vec<f32>, Fault> {
        match &self.data {
            Data::F32(items) => Ok(items.clone()),
            Data::F64(items) => Ok(items.iter().map(|item| *item as f32).collect()),
            Data::I64(items) => Ok(items.iter().map(|item| *item as f32).collect()),
            Data::I32(items) => Ok(items.iter().map(|item| *item as f32).collect()),
            Data::Bool(_) | Data::U8(_) | Data::Text(_) => Err(Fault::new("is not of numbers")),
        }
    }

    /// Every number as `f64`; whole numbers past 2^53 are rounded.
    pub(super) fn to_f64s(&self) -> Result<Vec<f64>, Fault> {
        match &self.data {
            Data::F32(items) => Ok(items.iter().copied().map(f64::from).collect()),
            Data::F64(items) => Ok(items.clone()),
            Data::I64(items) => Ok(items.iter().map(|item| *item as f64).collect()),
            Data::I32(items) => Ok(items.iter().copied().map(f64::from).collect()),
            Data::Bool(items) => Ok(items.iter().map(|item| f64::from(u8::from(*item))).collect()),
            Data::U8(_) | Data::Text(_) => Err(Fault::new("is not of numbers")),
        }
    }
}

/// Items of a box, if they can be counted and are not too many.
pub(super) fn items_of(dims: &[usize]) -> Option<usize> {
    dims.iter().try_fold(1_usize, |items, dim| items.checked_mul(*dim)).filter(|items| *items <= ITEMS_MAX)
}

/// The axis of a tensor of `rank` dimensions; negative ones count from the end.
pub(super) fn axis_of(axis: i64, rank: usize) -> Result<usize, Fault> {
    let rank_signed = i64::try_from(rank).unwrap_or(i64::MAX);
    let counted = if axis < 0 { axis.saturating_add(rank_signed) } else { axis };
    usize::try_from(counted)
        .ok()
        .filter(|axis| *axis < rank)
        .ok_or(Fault::new("names an axis that its input does not have"))
}

/// The dimensions that two boxes broadcast to.
pub(super) fn broadcast(a: &[usize], b: &[usize]) -> Result<Vec<usize>, Fault> {
    let rank = a.len().max(b.len());
    let padded = |dims: &[usize], axis: usize| {
        (axis + dims.len()).checked_sub(rank).and_then(|axis| dims.get(axis).copied()).unwrap_or(1)
    };
    let dims: Result<Vec<usize>, Fault> = (0..rank)
        .map(|axis| match (padded(a, axis), padded(b, axis)) {
            (a, b) if a == b => Ok(a),
            (1, b) => Ok(b),
            (a, 1) => Ok(a),
            _ => Err(Fault::new("has inputs whose dimensions do not broadcast")),
        })
        .collect();
    let dims = dims?;
    items_of(&dims).ok_or(Fault::new("makes a tensor that is too large"))?;
    Ok(dims)
}

/// For each item of the box `to`, the place of its item in the box `from` that is broadcast to it.
pub(super) fn broadcast_places(from: &[usize], to: &[usize]) -> Vec<usize> {
    let missing = to.len().saturating_sub(from.len());
    let mut strides = vec![0; to.len()];
    let mut stride = 1;
    for (into, dim) in strides.iter_mut().skip(missing).rev().zip(from.iter().rev()) {
        *into = if *dim == 1 { 0 } else { stride };
        stride *= dim;
    }
    places(to, &strides)
}

/// For each item of a box in its order, the sum of its coordinates times the strides.
pub(super) fn places(dims: &[usize], strides: &[usize]) -> Vec<usize> {
    let items = items_of(dims).unwrap_or(0);
    let mut found = vec![0];
    found.reserve(items);
    for (dim, stride) in dims.iter().zip(strides) {
        found = found.iter().flat_map(|place| (0..*dim).map(move |at| place + at * stride)).collect();
    }
    found
}

/// The strides of a box whose last dimension's items stand side by side.
pub(super) fn strides_of(dims: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; dims.len()];
    let mut stride = 1;
    for (into, dim) in strides.iter_mut().zip(dims).rev() {
        *into = stride;
        stride *= dim;
    }
    strides
}

/// The items at these places.
pub(super) fn pick<T: Clone>(items: &[T], places: &[usize]) -> Result<Vec<T>, Fault> {
    let picked: Option<Vec<T>> = places.iter().map(|place| items.get(*place).cloned()).collect();
    picked.ok_or(Fault::new("reads past the end of its input"))
}
