//! What the caller says: names, addresses, instructions, as TOML.
//!
//! Guarantees: every text is on one line, says something and hides nothing; bounded. It is held for the one notice only.

use std::fmt;

use ledgerstone::limits::{NOTICE_DATA_BYTES_MAX, NOTICE_DATA_DEPTH_MAX};
use serde_json::{Map, Value as Json};

use super::NoticeError;
use super::words::is_hidden;

/// What the caller says.
#[derive(Clone, Default)]
pub struct Data(Map<String, Json>);

impl Data {
    /// Reads it.
    ///
    /// # Errors
    /// [`NoticeError::Data`] says which key is wrong.
    pub fn parse(bytes: &[u8]) -> Result<Self, NoticeError> {
        if bytes.len() > NOTICE_DATA_BYTES_MAX {
            return Err(NoticeError::DataBytes);
        }
        let wrong = |what: String| NoticeError::Data { what };
        let text = core::str::from_utf8(bytes).map_err(|_| wrong("it is not UTF-8 text".to_owned()))?;
        // The reader's own words would quote the line, and with it a name or an address.
        let table: toml::Table = toml::from_str(text).map_err(|error| {
            let before = error.span().map_or(0, |span| span.start);
            let line = text.bytes().take(before).filter(|byte| *byte == b'\n').count() + 1;
            wrong(format!("line {line}: {}", error.message().replace('\n', ": ")))
        })?;
        let value = json("", toml::Value::Table(table), NOTICE_DATA_DEPTH_MAX).map_err(wrong)?;
        match value {
            Json::Object(table) => Ok(Self(table)),
            _ => Err(wrong("it is no table".to_owned())),
        }
    }

    /// All of it.
    pub(super) const fn table(&self) -> &Map<String, Json> {
        &self.0
    }

    /// A text at the top.
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.as_str()
    }

    /// A text in a table.
    pub(super) fn text_in(&self, table: &str, key: &str) -> Option<&str> {
        self.0.get(table)?.get(key)?.as_str()
    }
}

impl fmt::Debug for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Data({} keys)", self.0.len())
    }
}

/// The value at `path`; what templates cannot print is refused.
fn json(path: &str, value: toml::Value, depth: usize) -> Result<Json, String> {
    let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    let depth = depth.checked_sub(1).ok_or_else(|| format!("{path}: tables within tables, too deep"))?;
    match value {
        toml::Value::String(text) if text.trim().is_empty() => {
            Err(format!("{path} is empty: leave the key out"))
        }
        toml::Value::String(text) if text.chars().any(is_hidden) => Err(format!(
            "{path} holds a line break, a control character or one that cannot be seen: write one line of plain text, and \
             addresses as a list of lines"
        )),
        toml::Value::String(text) => Ok(Json::String(text)),
        toml::Value::Integer(number) => Ok(Json::from(number)),
        toml::Value::Boolean(truth) => Ok(Json::from(truth)),
        toml::Value::Array(items) if items.is_empty() => Err(format!("{path} is empty: leave the key out")),
        toml::Value::Array(items) => {
            let items = items.into_iter().enumerate();
            items.map(|(place, item)| json(&below(&place.to_string()), item, depth)).collect()
        }
        toml::Value::Table(table) => {
            let pairs = table.into_iter().map(|(key, value)| {
                let value = json(&below(&key), value, depth)?;
                Ok((key, value))
            });
            Ok(Json::Object(pairs.collect::<Result<_, String>>()?))
        }
        toml::Value::Float(_) | toml::Value::Datetime(_) => {
            Err(format!("{path}: write it as text, in quotes, as it shall be printed"))
        }
    }
}
