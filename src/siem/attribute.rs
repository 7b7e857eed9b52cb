//! Named values of an event, in forms that no format needs to distrust.
//!
//! Guarantees: a text is short, and holds nothing that ends a line, steers a terminal or turns the direction of writing;
//! every other value is letters, digits, hyphens and commas. What a format itself gives a meaning to, it escapes.

use core::fmt::Write as _;

use crate::hash::Hash;
use crate::limits::SIEM_TEXT_BYTES_MAX;
use crate::merkle::LeafIndex;

/// Names that projections give a place of their own.
pub(super) mod name {
    pub(in crate::siem) const LOG_ID: &str = "log_id";
    pub(in crate::siem) const LEAF_INDEX: &str = "leaf_index";
    pub(in crate::siem) const LEAF_HASH: &str = "leaf_hash";
    pub(in crate::siem) const TREE_SIZE: &str = "tree_size";
    pub(in crate::siem) const ROOT_HASH: &str = "root_hash";
    pub(in crate::siem) const WRITER: &str = "writer";
    pub(in crate::siem) const SESSION: &str = "session";
    pub(in crate::siem) const SEQUENCE: &str = "sequence";
    pub(in crate::siem) const DECISION_ID: &str = "decision_id";
    pub(in crate::siem) const MODEL_DIGEST: &str = "model_digest";
    pub(in crate::siem) const MODEL_NAME: &str = "model_name";
    pub(in crate::siem) const MODEL_VERSION: &str = "model_version";
    pub(in crate::siem) const POLICY_DIGEST: &str = "policy_digest";
    pub(in crate::siem) const MODE: &str = "mode";
    pub(in crate::siem) const STATUS_CODE: &str = "status_code";
    pub(in crate::siem) const OPERATOR: &str = "operator";
    pub(in crate::siem) const VERSION: &str = "version";
    pub(in crate::siem) const DETAIL: &str = "detail";
}

/// Every name that is no number's.
const NAMES: [&str; 65] = [
    "anchor_kind",
    "anchor_seq",
    "anchored_size",
    "approval_digest",
    "approvals",
    "check",
    "commitment_count",
    "commitment_root",
    "configuration_digest",
    "decision_id",
    "detail",
    "details_left_out",
    "entry_kind",
    "erasure_id",
    "first_index",
    "gap_first",
    "gap_last",
    "ground",
    "hold_id",
    "in_flight",
    "key",
    "keys_destroyed",
    "lane",
    "last_index",
    "late_ms",
    "leaf_hash",
    "leaf_index",
    "links",
    "log_id",
    "lowest_in_flight",
    "mode",
    "mode_before",
    "model_digest",
    "model_name",
    "model_signature",
    "model_version",
    "next_index",
    "operator",
    "other_root",
    "other_size",
    "outcome",
    "outside_size",
    "part",
    "parts",
    "policy_digest",
    "policy_kind",
    "previous_session",
    "purpose",
    "reason",
    "records",
    "root_hash",
    "route",
    "rule",
    "scope",
    "sealed_digest",
    "sealed_length",
    "sequence",
    "session",
    "sink",
    "source",
    "statement_digest",
    "status_code",
    "tree_size",
    "version",
    "writer",
];

/// Whether events have a value of this name.
pub(super) fn is_known(name: &str) -> bool {
    let number = name.strip_prefix(name::DETAIL).and_then(|rest| rest.strip_prefix('_'));
    let is_number =
        |text: &str| (1..=20).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    NAMES.contains(&name) || number.is_some_and(is_number)
}

/// One named value. Names are `a-z 0-9 _`, at most 32 characters, because they are SD-NAMEs of RFC 5424 too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// What it is called, in every format.
    pub name: AttributeName,
    /// What it is.
    pub value: Value,
}

/// What a value is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AttributeName {
    /// One of the names that `docs/siem.md` lists.
    Known(&'static str),
    /// The detail of an entry with this number, for kinds whose details are free: `detail_1`.
    Detail(u64),
}

impl AttributeName {
    /// Adds the name to `text`.
    pub fn write(self, text: &mut String) {
        match self {
            Self::Known(name) => text.push_str(name),
            Self::Detail(number) => {
                text.push_str(name::DETAIL);
                text.push('_');
                push_uint(number, text);
            }
        }
    }

    /// Whether it is `known`.
    #[must_use]
    pub fn is(self, known: &str) -> bool {
        matches!(self, Self::Known(name) if name == known)
    }
}

/// A value of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Value {
    /// A count, size, index or code.
    Uint(u64),
    /// True or false.
    Bool(bool),
    /// A word of Ledgerstone's own: `a-z 0-9 - _ .` and spaces.
    Word(&'static str),
    /// Text from elsewhere.
    Text(Text),
    /// A digest; lowercase hex.
    Hash(Hash),
    /// A UUID, as RFC 9562 writes it.
    Uuid([u8; 16]),
    /// Leaf indices, with commas.
    Indices(Vec<LeafIndex>),
}

impl Value {
    /// Adds the value to `text`, as every format but JSON's numbers shows it.
    pub fn write(&self, text: &mut String) {
        match self {
            Self::Uint(value) => push_uint(*value, text),
            Self::Bool(value) => text.push_str(if *value { "true" } else { "false" }),
            Self::Word(word) => text.push_str(word),
            Self::Text(Text(value)) => text.push_str(value),
            Self::Hash(hash) => push_hex(hash.as_bytes(), text),
            Self::Uuid(bytes) => push_uuid(bytes, text),
            Self::Indices(indices) => {
                for (place, index) in indices.iter().enumerate() {
                    if place > 0 {
                        text.push(',');
                    }
                    push_uint(index.get(), text);
                }
            }
        }
    }

    /// Text from elsewhere.
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self::Text(Text::new(text))
    }

    /// The value as text.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        self.write(&mut text);
        text
    }
}

/// Text from elsewhere: at most [`SIEM_TEXT_BYTES_MAX`] bytes, without what ends a line or steers a terminal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text(String);

impl Text {
    /// Takes `text`; what may not be in it becomes U+FFFD, and what is too long ends in U+2026.
    #[must_use]
    pub fn new(text: &str) -> Self {
        if text.len() <= SIEM_TEXT_BYTES_MAX && text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            return Self(text.to_owned());
        }
        let clean = |letter| if steers(letter) { char::REPLACEMENT_CHARACTER } else { letter };
        let mut taken: String = text.chars().take(SIEM_TEXT_BYTES_MAX + 1).map(clean).collect();
        if taken.len() > SIEM_TEXT_BYTES_MAX {
            taken.truncate(taken.floor_char_boundary(SIEM_TEXT_BYTES_MAX - CUT.len_utf8()));
            taken.push(CUT);
        }
        Self(taken)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Stands where a text was cut.
const CUT: char = '\u{2026}';

/// Control characters, line and paragraph separators, and what has no width or turns the direction of writing.
fn steers(letter: char) -> bool {
    letter.is_control()
        || matches!(
            letter,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
        )
}

/// Adds a number to `text`.
pub(super) fn push_uint(value: u64, text: &mut String) {
    // Writing to a string cannot fail.
    let _ = write!(text, "{value}");
}

/// Adds lowercase hex to `text`.
pub(super) fn push_hex(bytes: &[u8], text: &mut String) {
    const DIGITS: [char; 16] =
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).copied().unwrap_or('0');
    text.reserve(bytes.len() * 2);
    for byte in bytes {
        text.push(digit(byte >> 4));
        text.push(digit(byte & 0x0f));
    }
}

/// Adds a UUID to `text`, as RFC 9562, section 4, writes it.
pub(super) fn push_uuid(bytes: &[u8; 16], text: &mut String) {
    for (at, byte) in bytes.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        push_hex(&[*byte], text);
    }
}
