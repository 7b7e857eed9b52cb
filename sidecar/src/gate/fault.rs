//! Why a rule could not be evaluated over a decision.

use std::borrow::Cow;

use super::{ITEMS_MAX, STEPS_MAX, TEXT_BYTES_MAX};

/// Why a rule gave neither true nor false. The decision is refused. Names stand in it, never values (INV-8).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// More steps than a rule may take.
    #[error("it takes more than {STEPS_MAX} steps")]
    Steps,
    /// A text or byte string past the limit.
    #[error("a text is longer than {TEXT_BYTES_MAX} bytes")]
    TextTooLong,
    /// A list past the limit.
    #[error("a list has more than {ITEMS_MAX} items")]
    ListTooLong,
    /// A variable that this decision does not have.
    #[error("{name} is not there")]
    Missing {
        /// The variable, as docs/gate.md names it.
        name: String,
    },
    /// A variable that cannot be known at present.
    #[error("{name} is not known yet")]
    NotYet {
        /// The variable.
        name: &'static str,
    },
    /// A value that the record does not show.
    #[error("{name} is masked in the record")]
    Masked {
        /// The variable.
        name: String,
    },
    /// An integer divided by zero.
    #[error("an integer is divided by zero")]
    DivisionByZero,
    /// An integer past its 64 bits.
    #[error("an integer overflows")]
    Overflow,
    /// A place that a list does not have.
    #[error("the list has no such place")]
    NoSuchPlace,
    /// A text or number that cannot become what it should.
    #[error("a value cannot be converted by {to}()")]
    Conversion {
        /// The function.
        to: &'static str,
    },
    /// An operator or function that does not take these types.
    #[error("{what} does not take {}", types(.of))]
    Types {
        /// The operator or function.
        what: &'static str,
        /// The types that it was given.
        of: Vec<&'static str>,
    },
    /// The whole rule gave something else than true or false.
    #[error("the rule gave {gave} instead of true or false")]
    NotBoolean {
        /// Its type.
        gave: &'static str,
    },
}

impl Fault {
    /// Whether another part of the rule may not make up for it: the limits hold for the whole rule.
    pub(super) const fn is_final(&self) -> bool {
        matches!(self, Self::Steps | Self::TextTooLong | Self::ListTooLong)
    }
}

fn types(of: &[&'static str]) -> Cow<'static, str> {
    match of {
        [] => Cow::Borrowed("nothing"),
        [one] => Cow::Borrowed(one),
        several => Cow::Owned(several.join(" and ")),
    }
}
