//! What holds and who said so, for `config explain`.
//!
//! Guarantees: no value is secret, because keys stand in files that the configuration only names; a user and a password that
//! somebody put into an address, where nobody takes them, are left out.

use std::collections::BTreeMap;
use std::fmt;
use std::fmt::Write as _;

use ledgerstone::hash::Hash;

use super::Source;
use super::layers::Layers;
use super::setting::SETTINGS;
use super::siem;
use crate::outbound::without_users;

/// One line: a key, its value and its source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The key.
    pub key: String,
    /// The value, if there is one.
    pub value: Option<String>,
    /// Who said so.
    pub source: Source,
}

/// The whole configuration, line by line.
#[derive(Clone, Debug)]
pub struct Explained {
    /// Every key in a fixed order, then every lane of the anchors, every route and every sink.
    pub rows: Vec<Row>,
    /// Environment variables of our prefix that fit no key.
    pub ignored: Vec<String>,
}

impl Explained {
    pub(super) fn new(layers: &Layers) -> Self {
        let keys = SETTINGS.iter().map(|setting| {
            let found = layers.get(setting.key);
            let source = found.as_ref().map_or(Source::Default, |found| found.source.clone());
            Row { key: setting.key.to_owned(), value: found.map(|found| without_users(&found.text)), source }
        });
        let routes = layers.routes.iter().map(|(route, source)| {
            let value = serde_json::to_string(route).ok();
            Row { key: format!("route {:?}", route.name), value, source: source.clone() }
        });
        let lanes = layers.anchors.rows().map(|(key, value, source)| Row { key, value, source });
        let earlier = layers.previous_keys.iter().enumerate().map(|(n, values)| {
            let source = values.values().next().map_or(Source::Default, |found| found.source.clone());
            let texts: BTreeMap<_, _> =
                values.iter().map(|(key, found)| (*key, without_users(&found.text))).collect();
            let value = serde_json::to_string(&texts).ok();
            Row { key: format!("keys.previous \"{}\"", n + 1), value, source }
        });
        let rules = layers.access_rules.iter().enumerate().map(|(n, (rule, source))| Row {
            key: format!("access.rule \"{}\"", n + 1),
            value: serde_json::to_string(rule).ok(),
            source: source.clone(),
        });
        let sinks = siem::rows(layers).map(|(key, value, source)| Row { key, value, source });
        let rows = keys.chain(earlier).chain(rules).chain(lanes).chain(routes).chain(sinks).collect();
        Self { rows, ignored: layers.ignored.clone() }
    }

    /// SHA-256 over keys and values, not over their sources.
    pub(super) fn digest(&self) -> Hash {
        let mut text = String::new();
        for row in &self.rows {
            let value = row.value.as_deref().unwrap_or("");
            _ = writeln!(text, "{} {} {value}", row.key.len(), row.key);
        }
        Hash::of(text.as_bytes())
    }
}

impl fmt::Display for Explained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let values: Vec<String> = self
            .rows
            .iter()
            .map(|row| match &row.value {
                Some(json) if row.key.ends_with('"') => json.clone(),
                Some(value) => format!("{value:?}"),
                None => "(not set)".to_owned(),
            })
            .collect();
        let width = |lengths: &mut dyn Iterator<Item = usize>| lengths.max().unwrap_or(0);
        let key_width = width(&mut self.rows.iter().map(|row| row.key.len()));
        let value_width = width(&mut values.iter().map(String::len).filter(|length| *length <= 48));
        for (row, value) in self.rows.iter().zip(&values) {
            writeln!(f, "{:key_width$}  {value:value_width$}  {}", row.key, row.source)?;
        }
        for name in &self.ignored {
            writeln!(f, "ignored: the environment variable {name} fits no key")?;
        }
        Ok(())
    }
}
