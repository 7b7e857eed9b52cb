//! The keys of `config.json`.
//!
//! *Guarantees*: a key of another type than asked for is refused by its name; null is as good as none.
//!
//! *Does not do*: know what a key means.

use serde_json::{Map, Value};

use crate::recompute::error::{ModelError, malformed};

/// The keys of the object, or of one inside it.
#[derive(Clone, Copy)]
pub(super) struct Keys<'a>(pub(super) &'a Map<String, Value>);

/// Where a key stands, for a message.
pub(super) fn at(key: &str) -> String {
    format!("config.json {key}")
}

impl<'a> Keys<'a> {
    pub(super) fn get(&self, key: &str) -> Option<&'a Value> {
        self.0.get(key).filter(|value| !value.is_null())
    }

    pub(super) fn count(&self, key: &str) -> Result<Option<usize>, ModelError> {
        let number = |value: &Value| value.as_u64().and_then(|number| usize::try_from(number).ok());
        self.read(key, number, "is no whole number")
    }

    /// A number that must be there and not be 0.
    pub(super) fn size(&self, key: &str) -> Result<usize, ModelError> {
        match self.count(key)? {
            Some(0) => Err(malformed(at(key), "is 0")),
            Some(number) => Ok(number),
            None => Err(malformed(at(key), "is missing")),
        }
    }

    pub(super) fn number(&self, key: &str) -> Result<Option<f64>, ModelError> {
        self.read(key, Value::as_f64, "is no number")
    }

    pub(super) fn flag(&self, key: &str) -> Result<Option<bool>, ModelError> {
        self.read(key, Value::as_bool, "is neither true nor false")
    }

    pub(super) fn text(&self, key: &str) -> Option<&'a str> {
        self.get(key).and_then(Value::as_str)
    }

    fn read<T>(
        &self,
        key: &str,
        read: impl Fn(&Value) -> Option<T>,
        problem: &'static str,
    ) -> Result<Option<T>, ModelError> {
        let read = |value| read(value).ok_or_else(|| malformed(at(key), problem));
        self.get(key).map(read).transpose()
    }
}
