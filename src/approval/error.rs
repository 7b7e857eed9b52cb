//! Why a change is not approved, and what is wrong with a roster, a statement or an entry.

use super::change::{Change, ChangeKind};
use crate::code::Code;
use crate::encoding::cbor::CborError;
use crate::limits::{
    APPROVAL_SIGNATURES_MAX, APPROVAL_STATEMENT_BYTES_MAX, APPROVERS_BYTES_MAX, APPROVERS_MAX,
};
use crate::merkle::LeafIndex;
use crate::note::{KeyName, NoteError, VerifierKeyError};
use crate::time::UnixMillis;

/// Why a change must not take effect.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ApprovalError {
    /// Approval is asked for and none came.
    #[error(
        "a change of kind `{kind}` takes the approval of {need} of {of} persons: propose it, have the statement signed by them and \
         send that along (docs/approvals.md)"
    )]
    Missing {
        /// The kind of change.
        kind: ChangeKind,
        /// How many must approve.
        need: usize,
        /// Out of how many.
        of: usize,
    },
    /// An approval came and none is asked for.
    #[error("nobody has to approve a change of kind `{kind}` here: send it without an approval")]
    NotAsked {
        /// The kind of change.
        kind: ChangeKind,
    },
    /// The bytes are no signed note.
    #[error("the approval is no signed note: {0}")]
    Note(NoteError),
    /// The text is no statement.
    #[error("the approval's statement: {0}")]
    Statement(StatementError),
    /// The statement is about another log.
    #[error(
        "the approval is for the log {named}, and this is {log}: propose the change for this log and have that signed"
    )]
    OtherLog {
        /// The log that it names.
        named: KeyName,
        /// This log.
        log: KeyName,
    },
    /// The statement is about another change.
    #[error(
        "the approval is for another change; approved is [{approved}], asked for is [{asked}]: have exactly what is asked for signed"
    )]
    OtherChange {
        /// The change of the statement.
        approved: Box<Change>,
        /// The change that was asked for.
        asked: Box<Change>,
    },
    /// Its time has not come.
    #[error("the approval holds from {created} on: check the clock of whoever proposed it, or wait")]
    NotYet {
        /// When it begins.
        created: UnixMillis,
    },
    /// Its time is over.
    #[error("the approval expired at {expires}: propose the change again and have that signed")]
    Expired {
        /// When it ended.
        expires: UnixMillis,
    },
    /// It was used, and what it approved has been changed since.
    #[error(
        "the approval was used at leaf index {index}, and that has been changed since: propose the change again and have that signed"
    )]
    Used {
        /// Where it was used.
        index: LeafIndex,
    },
    /// Too few have signed.
    #[error("{have} of {need} approvers have signed: have {} more sign the same statement", need.saturating_sub(*have))]
    TooFew {
        /// How many count.
        have: usize,
        /// How many are needed.
        need: usize,
    },
    /// Too few, because somebody signed more than once.
    #[error(
        "{have} of {need} approvers have signed: several signatures are of the same person, who counts once; have somebody else sign"
    )]
    SamePerson {
        /// How many count.
        have: usize,
        /// How many are needed.
        need: usize,
    },
    /// Too few, because somebody who signed does not count for this kind.
    #[error(
        "{have} of {need} approvers have signed: another signature is of somebody who does not count for changes of kind `{kind}`"
    )]
    NotOfRule {
        /// The kind of change.
        kind: ChangeKind,
        /// How many count.
        have: usize,
        /// How many are needed.
        need: usize,
    },
    /// Too few, because a signature is of nobody in the roster.
    #[error(
        "the signature of {key} is of nobody in the roster: have one of the approvers sign, or change the roster first"
    )]
    Unknown {
        /// The name in the signature line.
        key: KeyName,
    },
    /// Too few, because a signature is of a key that an earlier roster had.
    #[error(
        "the signature of {key} is of a key that is not in the roster any more: have one of the present approvers sign"
    )]
    Removed {
        /// The name in the signature line.
        key: KeyName,
    },
    /// A signature is not over this statement.
    #[error(
        "a signature of an approver does not verify: the statement was changed after it was signed; have it signed again"
    )]
    Signature,
    /// A signature names a place that the roster does not have.
    #[error("a signature names a key that the roster does not have")]
    NoSuchKey,
    /// The key has signed already.
    #[error("{key} has signed this statement already: somebody else must sign next")]
    AlreadySigned {
        /// The key.
        key: KeyName,
    },
    /// The key signed nothing, or something else.
    #[error("the key does not sign this text; give another key file")]
    NotSigned,
    /// More changes were approved than can be remembered.
    #[error("the log has more approved changes than a replay can be told from: begin a new log")]
    Full,
}

impl ApprovalError {
    /// What the reader must do about it.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Note(error) => error.code(),
            Self::Statement(error) => error.code(),
            Self::NotAsked { .. } | Self::AlreadySigned { .. } | Self::NotSigned | Self::Used { .. } => {
                Code::Misuse
            }
            Self::Full => Code::Limit,
            _ => Code::Untrusted,
        }
    }
}

/// Why a text is no statement.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StatementError {
    /// More than [`APPROVAL_STATEMENT_BYTES_MAX`] bytes.
    #[error("{bytes} bytes; a statement has at most {APPROVAL_STATEMENT_BYTES_MAX}")]
    TooLong {
        /// How many there were.
        bytes: usize,
    },
    /// The first line is another one.
    #[error(
        "it does not begin with `ledgerstone/approval/v1`: give the file that `ledgerstone approval propose` wrote"
    )]
    Domain,
    /// A line is not the one that stands there.
    #[error("line {number} is not `{label}` with its value: make it with `ledgerstone approval propose`")]
    Line {
        /// Which line, counted from 1.
        number: usize,
        /// What stands first in it.
        label: &'static str,
    },
    /// It says the same in another spelling, or says more.
    #[error("it is not spelled as `ledgerstone approval propose` spells it, or goes on behind its end")]
    Spelling,
    /// It ends before it begins, or holds for too long.
    #[error("it must end after it begins, and within 31 days")]
    Lifetime,
}

impl StatementError {
    /// What the reader must do about it.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::TooLong { .. } => Code::Limit,
            _ => Code::Malformed,
        }
    }
}

/// What is wrong with approvers or rules.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RosterError {
    /// The file, or a roster of the log, is too long.
    #[error("{bytes} bytes; a file of approvers has at most {APPROVERS_BYTES_MAX}")]
    TooLong {
        /// How many there were.
        bytes: usize,
    },
    /// The file is not UTF-8.
    #[error("the file of approvers is not UTF-8 text")]
    NotUtf8,
    /// A line breaks a rule.
    #[error("line {number}: {fault}")]
    Line {
        /// Which line, counted from 1.
        number: usize,
        /// Which rule.
        fault: Box<RosterError>,
    },
    /// A line is not of its form.
    #[error("is not `approver NAME VKEY`")]
    Words,
    /// A name is none.
    #[error("a person's name has 1 to 64 characters of a-z 0-9 . _ -, and stands between commas in a rule")]
    Name,
    /// A key is none.
    #[error("{0}")]
    Key(VerifierKeyError),
    /// A key signs something else than notes.
    #[error(
        "approvers sign with Ed25519 keys of type 0x01: take the first line that `ledgerstone key show` prints"
    )]
    KeyRole,
    /// A key stands twice.
    #[error("repeats a public key: each key is one person's")]
    DuplicateKey,
    /// More than [`APPROVERS_MAX`] keys or persons.
    #[error("more than {APPROVERS_MAX} keys or persons")]
    TooMany,
    /// A rule is not of its form.
    #[error("write a rule as `2 of alice, bob, carol`")]
    RuleForm,
    /// A rule names somebody twice.
    #[error("the rule names {name} twice: each person counts once")]
    NamedTwice {
        /// Who.
        name: String,
    },
    /// A rule asks for nobody.
    #[error("the rule asks for 0 approvals: leave it out if nobody has to approve")]
    ThresholdZero,
    /// A rule asks for more persons than it names.
    #[error("the rule asks for {threshold} of {persons} persons: nobody could ever approve")]
    ThresholdAbove {
        /// How many it asks for.
        threshold: usize,
        /// How many it names.
        persons: usize,
    },
    /// A rule asks for more persons than an entry has room for.
    #[error("the rule asks for {threshold} approvals; an entry has room for {APPROVAL_SIGNATURES_MAX}")]
    ThresholdLimit {
        /// How many it asks for.
        threshold: usize,
    },
    /// A rule names somebody without a key.
    #[error("the rule for `{kind}` names {name}, who has no line in the file of approvers")]
    Unknown {
        /// The rule.
        kind: ChangeKind,
        /// Who.
        name: String,
    },
    /// There is no rule for the roster itself.
    #[error("there is no rule for `roster`: say who may change the approvers and the rules")]
    NoRosterRule,
    /// A roster of the log is not of its form.
    #[error("this is no roster")]
    Public,
    /// A roster of the log is no deterministic CBOR.
    #[error("this is no roster: {0}")]
    Cbor(#[from] CborError),
}

impl RosterError {
    /// What the reader must do about it.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::TooLong { .. } | Self::TooMany | Self::ThresholdLimit { .. } => Code::Limit,
            Self::Public | Self::Cbor(_) => Code::Malformed,
            _ => Code::Misuse,
        }
    }
}

/// Why an entry should not be in its log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// Its roster is none.
    #[error("it names no roster")]
    Roster,
    /// Its approval is half there, or not of its form.
    #[error("its approval is not of the form that it has to have")]
    Form,
    /// It has no approval and needs one.
    #[error("a change of kind `{kind}` needed the approval of {need}, and the entry holds none")]
    Missing {
        /// The kind of change.
        kind: ChangeKind,
        /// How many had to approve.
        need: usize,
    },
    /// It has an approval and nobody asks for one.
    #[error("it holds an approval of kind `{kind}`, and no roster before it says who may approve that")]
    NotAsked {
        /// The kind of change.
        kind: ChangeKind,
    },
    /// Its statement was used before.
    #[error("its approval was used already, at leaf index {index}")]
    Replayed {
        /// Where.
        index: LeafIndex,
    },
    /// Its approval does not hold.
    #[error("{0}")]
    Approval(ApprovalError),
}
