//! The statement that approvers sign, and the note that carries it with their signatures.
//!
//! Guarantees: a statement has one spelling, so that its digest names it; what is printed for a person is the very text that is
//! signed. The first line is of this purpose alone, and the second is no number, so that nobody reads it as a checkpoint.

use core::fmt;

use super::change::{Change, ChangeKind};
use super::error::{ApprovalError, StatementError};
use crate::encoding::{hex_decode, hex_encode};
use crate::entry::{RegisteredName, RegisteredVersion};
use crate::hash::Hash;
use crate::limits::{APPROVAL_LIFETIME_MS_MAX, APPROVAL_STATEMENT_BYTES_MAX};
use crate::note::{KeyName, Signature, SignedNote};
use crate::time::{Date, UnixMillis};

/// The first line.
const DOMAIN: &str = "ledgerstone/approval/v1";

/// Bytes of a nonce.
const NONCE_BYTES: usize = 16;

/// What makes two statements of the same change two: 16 random bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nonce([u8; NONCE_BYTES]);

impl Nonce {
    /// Takes fresh random bytes.
    #[must_use]
    pub const fn new(bytes: [u8; NONCE_BYTES]) -> Self {
        Self(bytes)
    }
}

/// One change of one log, for a time, once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// Which log.
    pub log: KeyName,
    /// Which change.
    pub change: Change,
    /// From when on it can be used.
    pub created: UnixMillis,
    /// Until when it can be used.
    pub expires: UnixMillis,
    /// What tells it from another statement of the same change.
    pub nonce: Nonce,
}

impl Statement {
    /// The text that is signed.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = format!("{DOMAIN}\nlog {}\nchange {}\n", self.log, self.change.kind());
        for (label, value) in self.change.lines() {
            text.push_str(&format!("{label} {value}\n"));
        }
        let nonce = hex_encode(&self.nonce.0);
        text.push_str(&format!("created {}\nexpires {}\nnonce {nonce}\n", self.created, self.expires));
        text
    }

    /// What names it: SHA-256 of the text.
    #[must_use]
    pub fn digest(&self) -> Hash {
        Hash::of(self.to_text().as_bytes())
    }

    /// Reads a statement in its one spelling.
    ///
    /// # Errors
    /// [`StatementError`] for anything else than what [`Statement::to_text`] gives.
    pub fn parse(text: &str) -> Result<Self, StatementError> {
        if text.len() > APPROVAL_STATEMENT_BYTES_MAX {
            return Err(StatementError::TooLong { bytes: text.len() });
        }
        let mut lines = Lines { left: text.split_terminator('\n').peekable(), number: 0 };
        if lines.next() != Some(DOMAIN) {
            return Err(StatementError::Domain);
        }
        let log = lines.value("log", |name| KeyName::new(name).ok())?;
        let kind = lines.value("change", ChangeKind::from_word)?;
        let change = change(kind, &mut lines)?;
        let created = lines.value("created", time)?;
        let expires = lines.value("expires", time)?;
        let nonce = lines.value("nonce", |text| hex_decode(text).ok()?.try_into().ok().map(Nonce))?;
        let statement = Self { log, change, created, expires, nonce };
        if statement.to_text() != text {
            return Err(StatementError::Spelling);
        }
        let lifetime = expires.millis_since(created);
        if lifetime == 0 || lifetime > APPROVAL_LIFETIME_MS_MAX {
            return Err(StatementError::Lifetime);
        }
        Ok(statement)
    }
}

fn change(kind: ChangeKind, lines: &mut Lines<'_>) -> Result<Change, StatementError> {
    let or_none = |text: &str| if text == "none" { Some(None) } else { digest(text).map(Some) };
    Ok(match kind {
        ChangeKind::Model => Change::Model {
            name: lines.value("name", |text| RegisteredName::parse(text).ok())?,
            version: lines.value("version", |text| RegisteredVersion::parse(text).ok())?,
            digest: lines.value("digest", digest)?,
            signature: match lines.is_next("signature") {
                true => Some(lines.value("signature", digest)?),
                false => None,
            },
        },
        ChangeKind::Policy => Change::Policy {
            kind: lines.value("name", |text| RegisteredName::parse(text).ok())?,
            digest: lines.value("digest", digest)?,
        },
        ChangeKind::Key => Change::Key {
            from: lines.value("from", |text| match text {
                "none" => Some(None),
                name => RegisteredName::parse(name).ok().map(Some),
            })?,
            to: lines.value("to", |text| RegisteredName::parse(text).ok())?,
        },
        ChangeKind::Retention => {
            Change::Retention { from: lines.value("from", or_none)?, to: lines.value("to", digest)? }
        }
        ChangeKind::Roster => {
            Change::Roster { from: lines.value("from", digest)?, to: lines.value("to", digest)? }
        }
    })
}

/// The lines that are left.
struct Lines<'a> {
    left: core::iter::Peekable<core::str::SplitTerminator<'a, char>>,
    /// Of the last one taken, counted from 1.
    number: usize,
}

impl<'a> Lines<'a> {
    fn next(&mut self) -> Option<&'a str> {
        self.number += 1;
        self.left.next()
    }

    fn is_next(&mut self, label: &str) -> bool {
        self.left.peek().is_some_and(|line| line.split(' ').next() == Some(label))
    }

    /// Takes the next line, which is `label` and a value that `read` takes.
    fn value<T>(
        &mut self,
        label: &'static str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, StatementError> {
        let value = self.next().and_then(|line| line.strip_prefix(label)?.strip_prefix(' '));
        value.and_then(read).ok_or(StatementError::Line { number: self.number, label })
    }
}

fn digest(text: &str) -> Option<Hash> {
    Hash::try_from(hex_decode(text.strip_prefix("sha256:")?).ok()?.as_slice()).ok()
}

/// A time as [`UnixMillis`] prints it; whether it is printed so again is checked with the whole text.
fn time(text: &str) -> Option<UnixMillis> {
    let (date, rest) = text.split_at_checked(10)?;
    let number = |range: core::ops::Range<usize>| -> Option<u64> {
        let digits = rest.get(range).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))?;
        digits.parse().ok()
    };
    let (hours, minutes, seconds, millis) = (number(1..3)?, number(4..6)?, number(7..9)?, number(10..13)?);
    let of_day = ((hours * 60 + minutes) * 60 + seconds) * 1000 + millis;
    let time = Date::parse(date)?.start().plus_millis(of_day);
    (time.to_string() == text).then_some(time)
}

/// A statement and the signatures that claim to be over it, as a signed note (c2sp.org/signed-note).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approvals {
    statement: Statement,
    note: SignedNote,
}

impl Approvals {
    /// Reads the note. Nothing in it is believed by that.
    ///
    /// # Errors
    /// [`ApprovalError`] if it is no note, or its text no statement.
    pub fn parse(bytes: &[u8]) -> Result<Self, ApprovalError> {
        let note = SignedNote::parse(bytes).map_err(ApprovalError::Note)?;
        let statement = Statement::parse(note.text()).map_err(ApprovalError::Statement)?;
        Ok(Self { statement, note })
    }

    /// The statement with `signatures` and one more: that of the note that `sign` makes of its text.
    ///
    /// # Errors
    /// [`ApprovalError::AlreadySigned`] if the key has signed it, [`ApprovalError::Note`] if there are too many signatures,
    /// [`ApprovalError::NotSigned`] if `sign` signs no such text.
    pub fn sign<E>(
        statement: Statement,
        signatures: &[Signature],
        sign: impl FnOnce(String) -> Result<SignedNote, E>,
    ) -> Result<Self, ApprovalError> {
        let text = statement.to_text();
        let signed = sign(text.clone()).map_err(|_| ApprovalError::NotSigned)?;
        if signed.text() != text {
            return Err(ApprovalError::NotSigned);
        }
        let is_of = |one: &Signature, other: &Signature| one.name() == other.name() && one.id() == other.id();
        for own in signed.signatures() {
            if signatures.iter().any(|known| is_of(known, own)) {
                return Err(ApprovalError::AlreadySigned { key: own.name().clone() });
            }
        }
        let signatures = signatures.iter().chain(signed.signatures()).cloned().collect();
        let note = SignedNote::new(text, signatures).map_err(ApprovalError::Note)?;
        Ok(Self { statement, note })
    }

    /// What is approved.
    #[must_use]
    pub const fn statement(&self) -> &Statement {
        &self.statement
    }

    /// The note: text and signature lines.
    #[must_use]
    pub const fn note(&self) -> &SignedNote {
        &self.note
    }
}

impl fmt::Display for Approvals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.note.fmt(f)
    }
}
