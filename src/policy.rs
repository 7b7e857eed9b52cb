//! Trust policies: which logs and witnesses a verifier believes, and how many witnesses it asks for
//! (c2sp.org/tlog-policy).
//!
//! Guarantees: every rule of the file format is enforced, names are compared as bytes, a group can only name what stands
//! above it, nothing counts towards two groups. Stricter than C2SP in one point: where several `log` lines share an
//! origin, each of those keys must have signed, not just one. Our logs sign with two algorithms, and asking for both
//! means that breaking one of them is not enough to forge a tree head. Does not do: fetch anything from the URLs.

mod evaluate;
mod parse;
#[cfg(test)]
mod tests;

use core::fmt;

use crate::code::Code;
use crate::cose::ReceiptKey;
use crate::encoding::base64_encode;
use crate::note::{VerifierKey, VerifierKeyError};

pub use evaluate::{Cosigner, Evidence, PolicyViolation};

/// What a verifier trusts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    logs: Vec<Log>,
    receipt_keys: Vec<ReceiptKey>,
    witnesses: Vec<Witness>,
    groups: Vec<Group>,
    quorum: Quorum,
}

/// A log that is believed, by one of its keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    key: VerifierKey,
    url: Option<Opaque>,
}

/// A witness, by its name in this policy and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Witness {
    name: Opaque,
    key: VerifierKey,
    url: Option<Opaque>,
}

/// Members of which at least `threshold` must have witnessed a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    name: Opaque,
    threshold: usize,
    members: Vec<Member>,
}

/// A place in [`Policy::witnesses`] or [`Policy::groups`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Member {
    Witness(usize),
    Group(usize),
}

/// The rule that says when the witnesses are enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Quorum {
    /// `quorum none`: no cosignature is asked for.
    None,
    Of(Member),
}

/// A name or URL of a policy file: bytes without space or control characters, compared as bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Opaque(Vec<u8>);

impl Opaque {
    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Opaque {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

impl fmt::Debug for Opaque {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", String::from_utf8_lossy(&self.0))
    }
}

impl Policy {
    /// The policy that believes one log by all of its keys and asks for no witness.
    ///
    /// # Errors
    /// When there is no key, two are the same, or one is of a type that logs do not sign with.
    pub fn for_log(keys: &[VerifierKey]) -> Result<Self, PolicyError> {
        let mut text = String::new();
        for key in keys {
            text.push_str(&format!("log {key}\n"));
        }
        text.push_str("quorum none\n");
        let policy = Self::parse(text.as_bytes())?;
        if policy.logs.is_empty() { Err(PolicyError::NoLog) } else { Ok(policy) }
    }

    /// The same policy with these receipt keys in place of its own.
    ///
    /// # Errors
    /// When there are too many, or one is listed already, be it for another purpose.
    pub fn with_receipt_keys(mut self, keys: &[ReceiptKey]) -> Result<Self, PolicyError> {
        self.receipt_keys = keys.to_vec();
        Self::parse(&self.to_bytes())
    }

    /// Reads a policy file.
    ///
    /// # Errors
    /// Says which line breaks which rule.
    pub fn parse(bytes: &[u8]) -> Result<Self, PolicyError> {
        parse::policy(bytes)
    }

    /// The policy as a file, one line per item, without comments.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut file = Vec::new();
        for log in &self.logs {
            let key = log.key.to_string();
            push_line(&mut file, [&b"log"[..], key.as_bytes()].into_iter().chain(url_word(&log.url)));
        }
        for key in &self.receipt_keys {
            let (origin, cose_key) = (key.origin().as_str(), base64_encode(&key.to_cose()));
            let words = [parse::RECEIPT_KEY, origin.as_bytes(), cose_key.as_bytes()];
            push_line(&mut file, words.into_iter());
        }
        for witness in &self.witnesses {
            let key = witness.key.to_string();
            let words = [&b"witness"[..], witness.name.as_bytes(), key.as_bytes()];
            push_line(&mut file, words.into_iter().chain(url_word(&witness.url)));
        }
        for group in &self.groups {
            let threshold = group.threshold.to_string();
            let words = [&b"group"[..], group.name.as_bytes(), threshold.as_bytes()];
            let members = group.members.iter().map(|member| self.name_of(*member));
            push_line(&mut file, words.into_iter().chain(members));
        }
        let quorum = match self.quorum {
            Quorum::None => parse::NONE,
            Quorum::Of(member) => self.name_of(member),
        };
        push_line(&mut file, [&b"quorum"[..], quorum].into_iter());
        file
    }

    /// The logs, in the order of the file.
    #[must_use]
    pub fn logs(&self) -> &[Log] {
        &self.logs
    }

    /// The keys that sign COSE receipts, in the order of the file.
    #[must_use]
    pub fn receipt_keys(&self) -> &[ReceiptKey] {
        &self.receipt_keys
    }

    /// The witnesses, in the order of the file.
    #[must_use]
    pub fn witnesses(&self) -> &[Witness] {
        &self.witnesses
    }

    /// The groups, in the order of the file.
    #[must_use]
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// Whether any cosignature is asked for: false after `quorum none`.
    #[must_use]
    pub const fn asks_for_witnesses(&self) -> bool {
        matches!(self.quorum, Quorum::Of(_))
    }

    /// The name in the policy; empty for a place that is not in it, which the parser never makes.
    fn name_of(&self, member: Member) -> &[u8] {
        let name = match member {
            Member::Witness(at) => self.witnesses.get(at).map(|witness| &witness.name),
            Member::Group(at) => self.groups.get(at).map(|group| &group.name),
        };
        name.map_or(&[], |name| name.as_bytes())
    }
}

fn url_word(url: &Option<Opaque>) -> Option<&[u8]> {
    url.as_ref().map(Opaque::as_bytes)
}

fn push_line<'a>(file: &mut Vec<u8>, words: impl Iterator<Item = &'a [u8]>) {
    for (at, word) in words.enumerate() {
        if at > 0 {
            file.push(b' ');
        }
        file.extend_from_slice(word);
    }
    file.push(b'\n');
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.to_bytes()))
    }
}

impl Log {
    /// The key; its name is the log's origin.
    #[must_use]
    pub const fn key(&self) -> &VerifierKey {
        &self.key
    }

    /// Where the log is served, if the policy says so.
    #[must_use]
    pub const fn url(&self) -> Option<&Opaque> {
        self.url.as_ref()
    }
}

impl Witness {
    /// The name that groups and the quorum use.
    #[must_use]
    pub const fn name(&self) -> &Opaque {
        &self.name
    }

    /// The key.
    #[must_use]
    pub const fn key(&self) -> &VerifierKey {
        &self.key
    }

    /// Where the witness is reached, if the policy says so.
    #[must_use]
    pub const fn url(&self) -> Option<&Opaque> {
        self.url.as_ref()
    }
}

impl Group {
    /// The name that other groups and the quorum use.
    #[must_use]
    pub const fn name(&self) -> &Opaque {
        &self.name
    }

    /// How many members must have witnessed a checkpoint.
    #[must_use]
    pub const fn threshold(&self) -> usize {
        self.threshold
    }
}

/// Why bytes are not a policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// More bytes than `limits::POLICY_BYTES_MAX`.
    #[error("the policy has {bytes} bytes, the limit is {}: split it", crate::limits::POLICY_BYTES_MAX)]
    TooLong {
        /// How many bytes there were.
        bytes: usize,
    },
    /// A control character other than tab and newline.
    #[error("control character at byte {at}: save the policy with plain newlines")]
    ControlCharacter {
        /// Where it stands.
        at: usize,
    },
    /// The last line is not ended.
    #[error("the last line does not end in a newline: the policy may be cut off")]
    NoFinalNewline,
    /// No line says which quorum is asked for.
    #[error("no `quorum` line: add `quorum none` or name a witness or group")]
    NoQuorum,
    /// No log, where one is needed.
    #[error("no log key: a policy for a log names at least one")]
    NoLog,
    /// A line breaks a rule.
    #[error("line {number}: {fault}")]
    Line {
        /// Which line, counted from 1.
        number: usize,
        /// Which rule.
        fault: LineFault,
    },
}

impl PolicyError {
    /// What the reader must do about it.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::TooLong { .. } => Code::Limit,
            Self::Line { fault, .. } => fault.code(),
            _ => Code::Malformed,
        }
    }
}

/// The rule that a line of a policy breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LineFault {
    /// The first word is not one of the four.
    #[error("starts with none of `log`, `witness`, `group`, `quorum`")]
    Keyword,
    /// Too few or too many words.
    #[error(
        "has too few or too many words: write `log KEY [URL]`, `witness NAME KEY [URL]`, `group NAME K MEMBER...` or `quorum NAME`"
    )]
    Words,
    /// The key is not a vkey.
    #[error("{0}")]
    Key(VerifierKeyError),
    /// The key is of a type that this role does not sign with.
    #[error("this key's type is not for this role: logs sign with 0x01 or 0x06, witnesses with 0x04 or 0x06")]
    KeyRole,
    /// Not `#receipt-key`, an origin and a COSE_Key in base64.
    #[error("is not `#receipt-key ORIGIN COSE_KEY`: copy the line again, whole")]
    ReceiptKey,
    /// Two logs, or two witnesses, with one public key; or one key for logs and for receipts.
    #[error("repeats a public key: list each key once")]
    DuplicateKey,
    /// A name is defined twice.
    #[error("defines a name that is already taken")]
    DuplicateName,
    /// `none` is not a name to define or a member.
    #[error("uses the reserved name `none`")]
    ReservedName,
    /// A name that no line above defines.
    #[error("uses a name that no line above defines")]
    UnknownName,
    /// A member that is already in a group.
    #[error("uses a name that is already in a group: each can count once")]
    MemberTwice,
    /// Not `all`, `any`, or a number from 1 to the number of members.
    #[error("the threshold is not `all`, `any` or a number from 1 to the number of members")]
    Threshold,
    /// A second quorum.
    #[error("is a second `quorum` line: a policy has exactly one")]
    SecondQuorum,
    /// More logs, witnesses or groups than `limits::POLICY_ITEMS_MAX`.
    #[error("is one item too many: the limit is {} of each kind", crate::limits::POLICY_ITEMS_MAX)]
    TooMany,
}

impl LineFault {
    /// What the reader must do about it.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Key(source) => source.code(),
            Self::TooMany => Code::Limit,
            _ => Code::Malformed,
        }
    }
}
