//! Events as a SIEM holds them, read back, and compared with what the log says.
//!
//! Guarantees: what [`read`] takes for an event names its log, and its leaf or the tree it was noticed in;
//! [`Found::differences`] makes the event of the leaf again, in the very format that was found, and names every field that is
//! missing or says something else, and every attribute that the event does not have. Other fields that a SIEM or a relay adds are no
//! difference. Nothing here is trusted: a line is bounded, and
//! a name that stands twice in one object is refused, because two readers may take two values for it.
//! Does not do: reading files; looking up leaves.

use std::collections::BTreeMap;

use super::attribute::{is_known, name};
use super::{Event, Format, VENDOR};
use crate::code::Code;
use crate::encoding::hex_decode;
use crate::hash::Hash;
use crate::limits::{SIEM_DIFFERENCES_MAX, SIEM_LINE_BYTES_MAX};
use crate::merkle::LeafIndex;

mod json;
mod lines;

/// Names and values of one event, as its format has them.
type Fields = BTreeMap<String, String>;

/// How an event was found written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// In a format, whatever stood around it.
    Bare(Format),
    /// As a message of RFC 5424, with a body in a format or a sentence.
    Syslog(Option<Format>),
}

impl Shape {
    /// Adds `event` to `out` in this shape.
    pub fn render(self, event: &Event, out: &mut String) {
        match self {
            Self::Bare(format) => format.render(event, out),
            Self::Syslog(body) => Format::rfc5424(body, event, out),
        }
    }
}

/// What an event that was found stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// What the entry at this leaf tells.
    Leaf(LeafIndex),
    /// An alert that the log has no entry for.
    Alert,
}

/// One event as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    log_id: Hash,
    claim: Claim,
    shape: Shape,
    fields: Fields,
}

/// The events in one line: none if it is empty, one, or all those of an OTLP request.
///
/// # Errors
/// [`FoundError::Foreign`] if the line holds no event of Ledgerstone at all, another one if it looks like one and is none.
pub fn read(line: &str) -> Result<Vec<Found>, FoundError> {
    if line.len() > SIEM_LINE_BYTES_MAX {
        return Err(FoundError::TooLong);
    }
    let line = line.trim_matches(|letter: char| letter.is_whitespace() || letter == '\u{feff}');
    if line.is_empty() {
        return Ok(Vec::new());
    }
    read_within(line, DEPTH_MAX)
}

/// How many wrappers are taken off: an export's document, the document's source, a message of syslog.
const DEPTH_MAX: u8 = 3;

fn read_within(line: &str, depth: u8) -> Result<Vec<Found>, FoundError> {
    let Some(depth) = depth.checked_sub(1) else { return Err(FoundError::Foreign) };
    if line.starts_with('{') {
        return json::read(line, depth);
    }
    if line.starts_with('<') {
        match lines::syslog(line) {
            Some(Ok(message)) => return syslog(message).map(|found| vec![found]),
            Some(Err(error)) => return Err(error),
            None => {}
        }
    }
    // Whichever comes first is the event: the other word may stand in a value of it.
    let from = |word: &str| line.find(word).and_then(|at| line.get(at..));
    match (from("CEF:"), from("LEEF:")) {
        (Some(cef), leef) if leef.is_none_or(|leef| cef.len() > leef.len()) => {
            bare(lines::cef(cef)?, "Device Vendor", Format::Cef, FoundError::Cef)
        }
        (_, Some(leef)) => bare(lines::leef(leef)?, "Vendor", Format::Leef, FoundError::Leef),
        (_, None) => Err(FoundError::Foreign),
    }
}

/// An event whose header says whose it is.
fn bare(fields: Fields, vendor: &str, format: Format, error: FoundError) -> Result<Vec<Found>, FoundError> {
    if fields.get(vendor).is_none_or(|vendor| vendor != VENDOR) {
        return Err(FoundError::Foreign);
    }
    let found = Found::new(fields, Shape::Bare(format));
    found.map(|found| vec![found]).map_err(|found| if found == FoundError::Foreign { error } else { found })
}

/// A message of RFC 5424, with what is in its body.
fn syslog(message: lines::Message) -> Result<Found, FoundError> {
    let lines::Message { mut fields, body } = message;
    let inner = match read_within(&body, 1) {
        Ok(inner) => inner.into_iter().next(),
        Err(FoundError::Foreign) => None,
        Err(error) => return Err(error),
    };
    let format = match inner {
        Some(Found { shape: Shape::Bare(format), fields: inner, .. }) => {
            fields.extend(inner.into_iter().map(|(name, value)| (format!("msg.{name}"), value)));
            Some(format)
        }
        _ => {
            fields.insert("msg".to_owned(), body);
            None
        }
    };
    Found::new(fields, Shape::Syslog(format))
}

impl Found {
    fn new(fields: Fields, shape: Shape) -> Result<Self, FoundError> {
        let value = |name: &str| fields.get(&place(shape, name));
        let log_id = value(name::LOG_ID).ok_or(FoundError::Foreign)?;
        let log_id = hex_decode(log_id).ok().and_then(|bytes| Hash::try_from(bytes.as_slice()).ok());
        let log_id = log_id.ok_or(FoundError::LogId)?;
        let claim = match (value(name::TREE_SIZE), value(name::LEAF_INDEX)) {
            (Some(_), _) => Claim::Alert,
            (None, Some(index)) => {
                let is_canonical = index.bytes().all(|byte| byte.is_ascii_digit());
                let index = index.parse().ok().filter(|_| is_canonical).ok_or(FoundError::LeafIndex)?;
                Claim::Leaf(LeafIndex::new(index))
            }
            (None, None) => return Err(FoundError::LeafIndex),
        };
        Ok(Self { log_id, claim, shape, fields })
    }

    /// Which log it names.
    #[must_use]
    pub const fn log_id(&self) -> Hash {
        self.log_id
    }

    /// What it stands for.
    #[must_use]
    pub const fn claim(&self) -> Claim {
        self.claim
    }

    /// How it was written.
    #[must_use]
    pub const fn shape(&self) -> Shape {
        self.shape
    }

    /// The fields in which it is not what `event` is in the same shape, by name and at most [`SIEM_DIFFERENCES_MAX`] of them: those that
    /// are missing or say something else, and attributes that `event` does not have. None if it says the same.
    #[must_use]
    pub fn differences(&self, event: &Event) -> Vec<String> {
        let mut text = String::with_capacity(4096);
        self.shape.render(event, &mut text);
        let expected = read(&text).ok().and_then(|found| found.into_iter().next());
        // Were what is written here ever not read back, nothing would count as unaltered.
        let Some(expected) = expected else { return vec!["event".to_owned()] };
        let expected = &expected.fields;
        let changed = expected
            .iter()
            .filter(|(name, value)| self.fields.get(*name).is_none_or(|found| !is_same(found, value)))
            .map(|(name, _)| name);
        let added =
            self.fields.keys().filter(|name| !expected.contains_key(*name) && is_attribute(self.shape, name));
        changed.chain(added).take(SIEM_DIFFERENCES_MAX).cloned().collect()
    }
}

/// Whether a field is where an attribute of an event would be, and not what a relay adds.
fn is_attribute(shape: Shape, field: &str) -> bool {
    let known = |prefix: &str| field.strip_prefix(prefix).is_some_and(is_known);
    match shape {
        Shape::Syslog(body) => {
            let within = body.zip(field.strip_prefix("msg."));
            known("sd.") || within.is_some_and(|(format, field)| is_attribute(Shape::Bare(format), field))
        }
        Shape::Bare(Format::Ocsf | Format::OcsfIntegrity) => known("unmapped."),
        Shape::Bare(Format::Ecs) => known("ledgerstone."),
        Shape::Bare(Format::Otlp) => known("attributes.ledgerstone."),
        Shape::Bare(Format::Leef) => known(""),
        Shape::Bare(Format::Cef) => {
            field.strip_prefix("ledgerstone").is_some_and(|words| is_known(&snake(words)))
        }
    }
}

/// `CommitmentRoot` as `commitment_root`, and `Detail1` as `detail_1`.
fn snake(words: &str) -> String {
    let mut name = String::with_capacity(words.len() + 4);
    let mut was_digit = false;
    for letter in words.chars() {
        let starts = letter.is_ascii_uppercase() || letter.is_ascii_digit() && !was_digit;
        if starts && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_lowercase());
        was_digit = letter.is_ascii_digit();
    }
    name
}

/// Where a shape has the attribute `name`.
fn place(shape: Shape, name: &str) -> String {
    match shape {
        Shape::Syslog(_) => format!("sd.{name}"),
        Shape::Bare(Format::Ocsf | Format::OcsfIntegrity) => format!("unmapped.{name}"),
        Shape::Bare(Format::Ecs) => format!("ledgerstone.{name}"),
        Shape::Bare(Format::Otlp) => format!("attributes.ledgerstone.{name}"),
        Shape::Bare(Format::Leef) => name.to_owned(),
        Shape::Bare(Format::Cef) => match name {
            name::LOG_ID => "cs1".to_owned(),
            name::LEAF_INDEX => "cn1".to_owned(),
            _ => "cn3".to_owned(),
        },
    }
}

/// Whether two values say the same. Relays write a point in time with fewer decimals, or UTC as an offset.
fn is_same(found: &str, expected: &str) -> bool {
    found == expected || instant(found).is_some_and(|found| instant(expected) == Some(found))
}

/// A point in time in UTC as RFC 3339 writes it, without what does not change it: date and time, and decimals.
fn instant(text: &str) -> Option<(&str, &str)> {
    let local = text.strip_suffix('Z').or_else(|| text.strip_suffix("+00:00"))?;
    let (seconds, decimals) = local.split_once('.').unwrap_or((local, ""));
    let is_digits = decimals.bytes().all(|byte| byte.is_ascii_digit());
    (seconds.len() == 19 && seconds.as_bytes().get(10) == Some(&b'T') && is_digits)
        .then_some((seconds, decimals.trim_end_matches('0')))
}

/// Why a line is no event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FoundError {
    /// It is somebody else's.
    #[error("not an event of Ledgerstone")]
    Foreign,
    /// More than [`SIEM_LINE_BYTES_MAX`] bytes.
    #[error("the line is longer than {SIEM_LINE_BYTES_MAX} bytes: export one event a line")]
    TooLong,
    /// It begins as JSON and is none, or a name stands twice in one object.
    #[error("the line is not one JSON object with each name once: export it again")]
    Json,
    /// It begins as CEF and is none.
    #[error("the line begins as CEF and does not go on so: export it again")]
    Cef,
    /// It begins as LEEF and is none.
    #[error("the line begins as LEEF 2.0 and does not go on so, or its tabs were replaced: export it again")]
    Leef,
    /// It begins as a message of RFC 5424 and is none.
    #[error("the line begins as a message of RFC 5424 and does not go on so: export it again")]
    Syslog,
    /// The log it names is no SHA-256.
    #[error("its log_id is not 64 lowercase hexadecimal digits")]
    LogId,
    /// It names no leaf.
    #[error("it names its log, but neither a leaf of it nor a tree")]
    LeafIndex,
}

impl FoundError {
    /// What the reader must do about it.
    #[must_use]
    pub const fn code(self) -> Code {
        match self {
            Self::TooLong => Code::Limit,
            _ => Code::Malformed,
        }
    }
}
