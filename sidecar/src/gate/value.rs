//! The values that rules work on.
//!
//! Guarantees: numbers of different types compare by what they are worth, without rounding; NaN equals nothing; values of
//! different types are unequal, and have no order (cel-spec, "Equality" and "Ordering").

use std::borrow::Cow;
use std::cmp::Ordering;
use std::sync::Arc;

use super::program::BYTES_A_STEP;

/// A value. It borrows from the rule or from the decision where it can.
#[derive(Clone, Debug)]
pub enum Val<'a> {
    /// Known to be nothing.
    Null,
    /// True or false.
    Bool(bool),
    /// `int`.
    Int(i64),
    /// `uint`.
    Uint(u64),
    /// `double`.
    Double(f64),
    /// `string`.
    Text(Cow<'a, str>),
    /// `bytes`.
    Bytes(Cow<'a, [u8]>),
    /// `list`.
    List(Arc<[Val<'a>]>),
}

impl Val<'_> {
    /// The same value, which borrows from this one.
    pub(super) fn borrowed(&self) -> Val<'_> {
        match self {
            Self::Text(text) => Val::Text(Cow::Borrowed(text)),
            Self::Bytes(bytes) => Val::Bytes(Cow::Borrowed(bytes)),
            other => other.clone(),
        }
    }

    /// An integer of a tensor or a record.
    #[must_use]
    pub fn integer(value: i128) -> Option<Self> {
        let int = i64::try_from(value).map(Self::Int);
        int.ok().or_else(|| u64::try_from(value).ok().map(Self::Uint))
    }

    /// The type's name in CEL.
    #[must_use]
    pub const fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Uint(_) => "uint",
            Self::Double(_) => "double",
            Self::Text(_) => "string",
            Self::Bytes(_) => "bytes",
            Self::List(_) => "list",
        }
    }

    /// What comparing or copying it costs beyond one step.
    pub(super) fn weight(&self) -> u64 {
        match self {
            Self::Text(text) => text.len() as u64 / BYTES_A_STEP,
            Self::Bytes(bytes) => bytes.len() as u64 / BYTES_A_STEP,
            Self::List(items) => items.iter().map(|item| 1 + item.weight()).sum(),
            _ => 0,
        }
    }

    fn number(&self) -> Option<Number> {
        match self {
            Self::Int(value) => Some(Number::Integer((*value).into())),
            Self::Uint(value) => Some(Number::Integer((*value).into())),
            Self::Double(value) => Some(Number::Double(*value)),
            _ => None,
        }
    }

    /// Whether two values are the same.
    #[must_use]
    pub fn equals(&self, other: &Val<'_>) -> bool {
        match (self, other) {
            (Self::Null, Val::Null) => true,
            (Self::Bool(a), Val::Bool(b)) => a == b,
            (Self::Text(a), Val::Text(b)) => a == b,
            (Self::Bytes(a), Val::Bytes(b)) => a == b,
            (Self::List(a), Val::List(b)) => {
                a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| a.equals(b))
            }
            _ => match (self.number(), other.number()) {
                (Some(a), Some(b)) => a.compare(b) == Some(Ordering::Equal),
                _ => false,
            },
        }
    }

    /// Which comes first: `Some(None)` where a NaN is compared, nothing where the types have no order.
    #[expect(clippy::option_option, reason = "no order between types is an error, a NaN is not")]
    pub(super) fn order(&self, other: &Val<'_>) -> Option<Option<Ordering>> {
        match (self, other) {
            (Self::Bool(a), Val::Bool(b)) => Some(Some(a.cmp(b))),
            (Self::Text(a), Val::Text(b)) => Some(Some(a.cmp(b))),
            (Self::Bytes(a), Val::Bytes(b)) => Some(Some(a.cmp(b))),
            _ => Some(self.number()?.compare(other.number()?)),
        }
    }
}

#[derive(Clone, Copy)]
enum Number {
    Integer(i128),
    Double(f64),
}

impl Number {
    fn compare(self, other: Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Integer(a), Self::Integer(b)) => Some(a.cmp(&b)),
            (Self::Double(a), Self::Double(b)) => a.partial_cmp(&b),
            (Self::Integer(a), Self::Double(b)) => with_double(a, b),
            (Self::Double(a), Self::Integer(b)) => with_double(b, a).map(Ordering::reverse),
        }
    }
}

/// Compares without rounding: first the whole part, then what is behind the point.
#[expect(clippy::cast_possible_truncation, reason = "a whole number below 2^65 is exact in an i128")]
fn with_double(integer: i128, double: f64) -> Option<Ordering> {
    const BEYOND: f64 = 36_893_488_147_419_103_232.0;
    if double.is_nan() {
        return None;
    }
    if double >= BEYOND {
        return Some(Ordering::Less);
    }
    if double <= -BEYOND {
        return Some(Ordering::Greater);
    }
    let whole = double.trunc();
    Some(integer.cmp(&(whole as i128)).then(whole.total_cmp(&double)))
}
