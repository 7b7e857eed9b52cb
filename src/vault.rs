//! The protected-attribute vault: sex, race or age of the people that decisions are about, kept apart from the decisions.
//!
//! Guarantees: a row names a person by a tag that only whoever opens the record can compute, so neither the vault nor the log nor
//! both tell whose row it is; the rows stand in the order of their tags, which says nothing about the order of the decisions; one
//! vault has one form. Once a record's secret is destroyed, its row belongs to nobody. Does not do: prove that an attribute is true.
//! Specification: `docs/spec/vault.md`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::code::Code;
use crate::encoding::{base64_decode, base64_encode};
use crate::hash::{Hash, hmac_sha256};
use crate::limits::{VAULT_ATTRIBUTES_MAX, VAULT_BYTES_MAX, VAULT_TEXT_BYTES_MAX};
use crate::note::KeyName;
use crate::record::RecordSecret;

/// The format of the first line.
pub const FORMAT: &str = "ledgerstone-vault/v1";

/// What the tag is made from, before the person's place: no field path has a NUL, so no tag equals a salt.
const DOMAIN: &[u8] = b"ledgerstone/vault/v1\0";

/// Who a row is about: `HMAC-SHA-256(record secret, "ledgerstone/vault/v1" || 0x00 || place)`, the place as four bytes, the most
/// significant first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PersonTag(Hash);

impl PersonTag {
    /// The tag of the person at `place`, from 0, of the record with this secret.
    #[must_use]
    pub fn new(secret: &RecordSecret, place: u32) -> Self {
        let message = [DOMAIN, &place.to_be_bytes()].concat();
        Self(Hash::from_bytes(hmac_sha256(secret.as_bytes(), &message)))
    }
}

/// Attributes of people, by their tags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vault {
    origin: KeyName,
    attributes: Vec<String>,
    rows: BTreeMap<PersonTag, Vec<Option<String>>>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct HeadLine {
    format: String,
    origin: String,
    attributes: Vec<String>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct RowLine {
    tag: String,
    values: Vec<Option<String>>,
}

impl Vault {
    /// A vault without rows, for the decisions of the log `origin`.
    ///
    /// # Errors
    /// [`VaultError`] if the attributes are none, too many, twice the same, or not named by `a-z`, `0-9` and `_`.
    pub fn new(origin: KeyName, attributes: Vec<String>) -> Result<Self, VaultError> {
        let is_name = |name: &String| {
            let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
            (1..=VAULT_TEXT_BYTES_MAX).contains(&name.len()) && name.bytes().all(allowed)
        };
        if !(1..=VAULT_ATTRIBUTES_MAX).contains(&attributes.len()) || !attributes.iter().all(is_name) {
            return Err(VaultError::Attributes);
        }
        let repeated =
            |(place, name): (usize, &String)| attributes.iter().skip(place + 1).any(|other| other == name);
        if attributes.iter().enumerate().any(repeated) {
            return Err(VaultError::Attributes);
        }
        Ok(Self { origin, attributes, rows: BTreeMap::new() })
    }

    /// Adds a person: a value for each attribute, in the attributes' order; `None` where it is not known.
    ///
    /// # Errors
    /// [`VaultError`] if the person is there already, or a value is missing, too long, empty or holds a control character.
    pub fn insert(&mut self, person: PersonTag, values: Vec<Option<String>>) -> Result<(), VaultError> {
        let is_value = |value: &String| {
            (1..=VAULT_TEXT_BYTES_MAX).contains(&value.len()) && !value.contains(char::is_control)
        };
        if values.len() != self.attributes.len() || !values.iter().flatten().all(is_value) {
            return Err(VaultError::Values);
        }
        match self.rows.insert(person, values) {
            None => Ok(()),
            Some(_) => Err(VaultError::Twice),
        }
    }

    /// The log whose decisions the people are about.
    #[must_use]
    pub fn origin(&self) -> &KeyName {
        &self.origin
    }

    /// The attributes' names.
    #[must_use]
    pub fn attributes(&self) -> &[String] {
        &self.attributes
    }

    /// The values of a person, in the attributes' order.
    #[must_use]
    pub fn get(&self, person: PersonTag) -> Option<&[Option<String>]> {
        self.rows.get(&person).map(Vec::as_slice)
    }

    /// How many people it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether it has nobody.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Reads a vault file.
    ///
    /// # Errors
    /// [`VaultError`] if it is none, or not in the one form that [`Vault::to_text`] gives.
    pub fn parse(text: &[u8]) -> Result<Self, VaultError> {
        if text.len() > VAULT_BYTES_MAX {
            return Err(VaultError::TooLarge);
        }
        let text = str::from_utf8(text).map_err(|_| VaultError::Line { number: 1 })?;
        let mut lines = text.lines();
        let head: HeadLine = line(lines.next().unwrap_or_default(), 1)?;
        if head.format != FORMAT {
            return Err(VaultError::Format);
        }
        let origin = KeyName::new(&head.origin).map_err(|_| VaultError::Line { number: 1 })?;
        let mut vault = Self::new(origin, head.attributes)?;
        for (row, number) in lines.zip(2..) {
            let row: RowLine = line(row, number)?;
            let tag = base64_decode(&row.tag).ok().and_then(|bytes| Hash::try_from(bytes.as_slice()).ok());
            let tag = PersonTag(tag.ok_or(VaultError::Line { number })?);
            vault.insert(tag, row.values)?;
        }
        if vault.to_text() == text { Ok(vault) } else { Err(VaultError::Form) }
    }

    /// The file's text.
    #[must_use]
    pub fn to_text(&self) -> String {
        let head = HeadLine {
            format: FORMAT.to_owned(),
            origin: self.origin.to_string(),
            attributes: self.attributes.clone(),
        };
        let mut text = json(&head);
        for (tag, values) in &self.rows {
            text += &json(&RowLine { tag: base64_encode(tag.0.as_bytes()), values: values.clone() });
        }
        text
    }
}

fn line<'a, T: Deserialize<'a>>(text: &'a str, number: usize) -> Result<T, VaultError> {
    serde_json::from_str(text).map_err(|_| VaultError::Line { number })
}

fn json(line: &impl Serialize) -> String {
    let mut text = String::new();
    // Texts and lists of texts always serialise, and writing to a string does not fail.
    _ = writeln!(text, "{}", serde_json::to_string(line).unwrap_or_default());
    text
}

/// Why something is no vault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VaultError {
    /// More than [`VAULT_BYTES_MAX`] bytes.
    #[error("a vault has at most {VAULT_BYTES_MAX} bytes; divide the people into several")]
    TooLarge,
    /// A line that is not what it should be.
    #[error("line {number} is not that of a vault; make the vault again")]
    Line {
        /// Which, from 1.
        number: usize,
    },
    /// Another format.
    #[error("it is of another format; this program reads {FORMAT}")]
    Format,
    /// The attributes cannot be.
    #[error("a vault has 1 to {VAULT_ATTRIBUTES_MAX} different attributes, named with a-z, 0-9 and `_`")]
    Attributes,
    /// The values cannot be.
    #[error(
        "a person has a text of 1 to {VAULT_TEXT_BYTES_MAX} bytes without control characters, or nothing, for each attribute"
    )]
    Values,
    /// A person stands there twice.
    #[error("a person stands there twice; keep one row")]
    Twice,
    /// Not in its one form.
    #[error("it is not in the one form of a vault: rows by tag, no spaces; make the vault again")]
    Form,
}

impl VaultError {
    /// What the reader must do about it.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::TooLarge => Code::Limit,
            Self::Attributes | Self::Values | Self::Twice => Code::Misuse,
            Self::Line { .. } | Self::Format | Self::Form => Code::Malformed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROWS: [(u8, [Option<&str>; 2]); 3] =
        [(9, [Some("female"), Some("white")]), (1, [Some("male"), None]), (5, [None, None])];

    fn secret(byte: u8) -> RecordSecret {
        RecordSecret::from_bytes([byte; 32])
    }

    fn vault() -> Vault {
        let attributes = vec!["sex".to_owned(), "race_ethnicity".to_owned()];
        let mut vault = Vault::new(KeyName::new("example.com/log").unwrap(), attributes).unwrap();
        for (byte, values) in ROWS {
            let values = values.into_iter().map(|value| value.map(str::to_owned)).collect();
            vault.insert(PersonTag::new(&secret(byte), 0), values).unwrap();
        }
        vault
    }

    #[test]
    fn a_tag_is_the_hmac_of_domain_and_place_under_the_records_secret() {
        let expected = hmac_sha256(&[7; 32], b"ledgerstone/vault/v1\0\0\0\x01\x02");
        assert_eq!(PersonTag::new(&secret(7), 258), PersonTag(Hash::from_bytes(expected)));
        assert_ne!(PersonTag::new(&secret(7), 0), PersonTag::new(&secret(8), 0));
    }

    #[test]
    fn what_is_written_reads_back_and_is_found_by_tag() {
        let vault = vault();
        let again = Vault::parse(vault.to_text().as_bytes()).unwrap();
        assert_eq!(again, vault);
        assert_eq!(again.get(PersonTag::new(&secret(1), 0)).unwrap(), [Some("male".to_owned()), None]);
        assert_eq!(again.get(PersonTag::new(&secret(1), 1)), None, "another person of the same record");
        assert_eq!((again.len(), again.attributes().len()), (3, 2));
    }

    #[test]
    fn the_rows_stand_by_tag_and_not_in_the_order_of_decisions() {
        let text = vault().to_text();
        let tags: Vec<_> =
            text.lines().skip(1).map(|row| row.split('"').nth(3).unwrap().to_owned()).collect();
        let by_bytes = |tag: &String| base64_decode(tag).unwrap();
        assert!(tags.is_sorted_by_key(by_bytes), "{tags:?}");
        let swapped =
            [text.lines().next().unwrap(), text.lines().nth(2).unwrap(), text.lines().nth(1).unwrap()];
        assert_eq!(Vault::parse((swapped.join("\n") + "\n").as_bytes()), Err(VaultError::Form));
    }

    #[test]
    fn refuses_what_is_no_vault_and_says_where() {
        let text = vault().to_text();
        let change = |from: &str, to: &str| Vault::parse(text.replacen(from, to, 1).as_bytes()).unwrap_err();
        assert_eq!(change("vault/v1", "vault/v2"), VaultError::Format);
        assert_eq!(change("\"sex\",", ""), VaultError::Values);
        assert_eq!(change("\"sex\"", "\"race_ethnicity\""), VaultError::Attributes);
        assert_eq!(change("\"sex\"", "\"Sex\""), VaultError::Attributes);
        assert_eq!(change("\"female\"", "\"\""), VaultError::Values);
        assert_eq!(change("\"female\"", "\"fe\\u0007male\""), VaultError::Values);
        assert_eq!(change("{\"tag\"", "{ \"tag\""), VaultError::Form);
        assert_eq!(change("{\"tag\"", "{\"name\""), VaultError::Line { number: 2 });
        assert_eq!(change("example.com/log", ""), VaultError::Line { number: 1 });
        assert_eq!(Vault::parse(b""), Err(VaultError::Line { number: 1 }));
        assert_eq!(Vault::parse(b"\xff"), Err(VaultError::Line { number: 1 }));
        let row = text.lines().nth(1).unwrap();
        assert_eq!(Vault::parse(format!("{text}{row}\n").as_bytes()), Err(VaultError::Twice));
        assert_eq!(
            Vault::parse(text.trim_end().as_bytes()),
            Err(VaultError::Form),
            "no end of the last line"
        );
    }

    #[test]
    fn takes_no_attributes_and_values_past_its_bounds() {
        let origin = || KeyName::new("example.com/log").unwrap();
        let many = (0..=VAULT_ATTRIBUTES_MAX).map(|number| format!("a{number}")).collect();
        assert_eq!(Vault::new(origin(), many), Err(VaultError::Attributes));
        assert_eq!(Vault::new(origin(), vec![]), Err(VaultError::Attributes));
        let mut vault = Vault::new(origin(), vec!["sex".to_owned()]).unwrap();
        let long = Some("x".repeat(VAULT_TEXT_BYTES_MAX + 1));
        assert_eq!(vault.insert(PersonTag::new(&secret(1), 0), vec![long]), Err(VaultError::Values));
    }
}
