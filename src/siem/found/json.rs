//! Events in JSON: OCSF, ECS and OTLP, bare or within what exports put around them.

use core::fmt;
use std::collections::BTreeMap;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use super::{Fields, Format, Found, FoundError, Shape, read_within};

/// What exports put around an event: nothing, Splunk's HEC and search results, Elasticsearch's documents.
const WRAPPERS: [&str; 5] = ["", "event.", "result.", "_source.", "_source.event."];

/// Where exports put an event that is text.
const TEXTS: [&str; 6] =
    ["event", "_raw", "result._raw", "_source.event.original", "_source.message", "message"];

/// Where a log record lies in an OTLP request: `resourceLogs.0.scopeLogs.0.logRecords.0.`.
const RECORD: [&str; 3] = ["resourceLogs", "scopeLogs", "logRecords"];

/// The events in one JSON object.
pub(super) fn read(line: &str, depth: u8) -> Result<Vec<Found>, FoundError> {
    let mut fields = Fields::new();
    let mut deserializer = serde_json::Deserializer::from_str(line);
    let whole = Flat { path: "", fields: &mut fields }.deserialize(&mut deserializer);
    whole.and_then(|()| deserializer.end()).map_err(|_| FoundError::Json)?;
    for wrapper in WRAPPERS {
        let request = format!("{wrapper}{}.", RECORD[0]);
        if fields.range(request.clone()..).next().is_some_and(|(name, _)| name.starts_with(&request)) {
            return records(without(fields, wrapper));
        }
        let has = |name: &str| fields.contains_key(&format!("{wrapper}{name}"));
        let format = match (has("class_uid"), has("ledgerstone.log_id")) {
            (true, _) if has("unmapped.log_id") => match has("attestation_list.0.uid") {
                true => Format::OcsfIntegrity,
                false => Format::Ocsf,
            },
            (_, true) => Format::Ecs,
            _ => continue,
        };
        return Ok(vec![Found::new(without(fields, wrapper), Shape::Bare(format))?]);
    }
    match TEXTS.iter().find_map(|name| fields.get(*name)) {
        Some(text) => read_within(text.trim(), depth),
        None => Err(FoundError::Foreign),
    }
}

/// What stands within a wrapper.
fn without(fields: Fields, wrapper: &str) -> Fields {
    if wrapper.is_empty() {
        return fields;
    }
    let within = |(name, value): (String, String)| Some((name.strip_prefix(wrapper)?.to_owned(), value));
    fields.into_iter().filter_map(within).collect()
}

/// The log records of an OTLP request.
fn records(fields: Fields) -> Result<Vec<Found>, FoundError> {
    let mut records: BTreeMap<[u64; 3], Fields> = BTreeMap::new();
    for (name, value) in fields {
        let mut parts = name.splitn(7, '.');
        let mut at = [0; 3];
        let is_record = RECORD.iter().zip(&mut at).all(|(known, at)| {
            let number = (parts.next() == Some(known)).then(|| parts.next()?.parse().ok()).flatten();
            number.is_some_and(|number| {
                *at = number;
                true
            })
        });
        if let (true, Some(rest)) = (is_record, parts.next()) {
            records.entry(at).or_default().insert(rest.to_owned(), value);
        }
    }
    let found: Result<Vec<_>, _> = records
        .into_values()
        .map(|fields| Found::new(by_key(&fields)?, Shape::Bare(Format::Otlp)))
        .filter(|found| *found != Err(FoundError::Foreign))
        .collect();
    match found?.as_slice() {
        [] => Err(FoundError::Foreign),
        found => Ok(found.to_vec()),
    }
}

/// The same with attributes under their keys, in whatever order they stand: `attributes.0.key` and `attributes.0.value.intValue` become
/// one, as do `body.stringValue` and `body`.
fn by_key(fields: &Fields) -> Result<Fields, FoundError> {
    let mut keyed = Fields::new();
    for (name, value) in fields {
        let name = match name.strip_prefix("attributes.") {
            None => name.strip_suffix(".stringValue").unwrap_or(name).to_owned(),
            Some(rest) => {
                let (number, member) = rest.split_once('.').ok_or(FoundError::Json)?;
                match member {
                    "key" => continue,
                    "value.stringValue" | "value.intValue" | "value.boolValue" => {}
                    _ => return Err(FoundError::Json),
                }
                let key = fields.get(&format!("attributes.{number}.key")).ok_or(FoundError::Json)?;
                format!("attributes.{key}")
            }
        };
        if keyed.insert(name, value.clone()).is_some() {
            return Err(FoundError::Json);
        }
    }
    Ok(keyed)
}

/// Puts every value below one place of a JSON document under its path.
struct Flat<'a> {
    path: &'a str,
    fields: &'a mut Fields,
}

impl Flat<'_> {
    fn below(&mut self, name: &str) -> (String, &mut Fields) {
        let path = if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) };
        (path, self.fields)
    }

    /// A path that is there already is a name that stood twice.
    fn put<E: serde::de::Error>(self, value: String) -> Result<(), E> {
        match self.fields.insert(self.path.to_owned(), value) {
            None => Ok(()),
            Some(_) => Err(E::custom("a name stands twice")),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Flat<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Flat<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<(), E> {
        self.put(value.to_string())
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<(), E> {
        self.put(value.to_string())
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<(), E> {
        self.put(value.to_string())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<(), E> {
        self.put(value.to_string())
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<(), E> {
        self.put(value.to_owned())
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<(), A::Error> {
        for place in 0_u64.. {
            let (path, fields) = self.below(&place.to_string());
            if items.next_element_seed(Flat { path: &path, fields })?.is_none() {
                break;
            }
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut members: A) -> Result<(), A::Error> {
        let mut names = std::collections::BTreeSet::new();
        while let Some(name) = members.next_key::<String>()? {
            let (path, fields) = self.below(&name);
            if !names.insert(name) {
                return Err(A::Error::custom("a name stands twice"));
            }
            members.next_value_seed(Flat { path: &path, fields })?;
        }
        Ok(())
    }
}
