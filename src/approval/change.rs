//! What can be changed, and which entry makes which change.

use core::fmt;

use super::history::State;
use crate::entry::{Detail, Entry, Kind, KindDetails, PolicyDetails, RegisteredName, RegisteredVersion};
use crate::hash::Hash;

/// The kind of policy entries that say how long records are kept.
pub const RETENTION: &str = "retention";

/// What a key entry that names the key-encryption key says the key is for (`docs/spec/entry.md`).
pub(super) const KEY_PURPOSE: &str = "key-encryption-key";

/// What kind of change a rule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ChangeKind {
    /// A model comes into use.
    Model = 1,
    /// A policy comes into force.
    Policy = 2,
    /// Another key-encryption key comes into force.
    Key = 3,
    /// Records are kept for other times.
    Retention = 4,
    /// Others may approve, or other rules hold.
    Roster = 5,
}

impl ChangeKind {
    /// Every kind, by rising number.
    pub const ALL: [Self; 5] = [Self::Model, Self::Policy, Self::Key, Self::Retention, Self::Roster];

    /// The number that stands in a roster.
    #[must_use]
    pub const fn number(self) -> u64 {
        self as u64
    }

    /// The kind with this number.
    #[must_use]
    pub fn from_number(number: u64) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.number() == number)
    }

    /// The kind as a word, as statements and configurations write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Policy => "policy",
            Self::Key => "key",
            Self::Retention => "retention",
            Self::Roster => "roster",
        }
    }

    /// The kind that this word names.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

impl fmt::Display for ChangeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One change with everything that it consists of.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// A model comes into use.
    Model {
        /// What it is registered as.
        name: RegisteredName,
        /// Which version of it.
        version: RegisteredVersion,
        /// SHA-256 of the model file, or the root of the folder's manifest.
        digest: Hash,
        /// SHA-256 of the signature bundle, where one is named.
        signature: Option<Hash>,
    },
    /// A policy comes into force.
    Policy {
        /// What kind of policy it is; `retention` is a change of its own.
        kind: RegisteredName,
        /// SHA-256 of the policy.
        digest: Hash,
    },
    /// Another key-encryption key comes into force.
    Key {
        /// The one in force; none where the log names none yet.
        from: Option<RegisteredName>,
        /// The next one.
        to: RegisteredName,
    },
    /// Records are kept for other times.
    Retention {
        /// Digest of the rules in force; none where the log names none yet.
        from: Option<Hash>,
        /// Digest of the next ones.
        to: Hash,
    },
    /// Others may approve, or other rules hold.
    Roster {
        /// Digest of the roster in force.
        from: Hash,
        /// Digest of the next one.
        to: Hash,
    },
}

impl Change {
    /// Which rule it falls under.
    #[must_use]
    pub const fn kind(&self) -> ChangeKind {
        match self {
            Self::Model { .. } => ChangeKind::Model,
            Self::Policy { .. } => ChangeKind::Policy,
            Self::Key { .. } => ChangeKind::Key,
            Self::Retention { .. } => ChangeKind::Retention,
            Self::Roster { .. } => ChangeKind::Roster,
        }
    }

    /// What it changes: of two changes with the same subject the later one holds.
    #[must_use]
    pub fn subject(&self) -> String {
        match self {
            Self::Model { name, .. } => format!("model {name}"),
            Self::Policy { kind, .. } => format!("policy {kind}"),
            other => other.kind().to_string(),
        }
    }

    /// Labels and values, in the order of a statement's lines.
    pub(super) fn lines(&self) -> Vec<(&'static str, String)> {
        let digest = |hash: &Hash| format!("sha256:{hash}");
        let name =
            |from: &Option<RegisteredName>| from.as_ref().map_or("none".to_owned(), ToString::to_string);
        match self {
            Self::Model { name, version, digest: model, signature } => {
                let mut lines = vec![
                    ("name", name.to_string()),
                    ("version", version.to_string()),
                    ("digest", digest(model)),
                ];
                lines.extend(signature.as_ref().map(|signature| ("signature", digest(signature))));
                lines
            }
            Self::Policy { kind, digest: policy } => {
                vec![("name", kind.to_string()), ("digest", digest(policy))]
            }
            Self::Key { from, to } => vec![("from", name(from)), ("to", to.to_string())],
            Self::Retention { from, to } => {
                vec![("from", from.as_ref().map_or("none".to_owned(), digest)), ("to", digest(to))]
            }
            Self::Roster { from, to } => vec![("from", digest(from)), ("to", digest(to))],
        }
    }

    /// The change that `entry` makes where `before` holds; none for entries that change nothing of the kind. What decodes as a model or
    /// a policy has the details of one: a malformed registration is no entry (`log.entries`).
    pub(super) fn of(entry: &Entry, before: &State) -> Option<Self> {
        match entry.kind {
            Kind::Model => match (entry.kind_details(), entry.model) {
                (Ok(KindDetails::Model(model)), Some(digest)) => Some(Self::Model {
                    name: model.name,
                    version: model.version,
                    digest,
                    signature: model.signature,
                }),
                _ => None,
            },
            Kind::Policy => match (entry.kind_details(), entry.policy) {
                (Ok(KindDetails::Policy(PolicyDetails { kind })), Some(digest))
                    if kind.as_str() == RETENTION =>
                {
                    Some(Self::Retention { from: before.retention, to: digest })
                }
                (Ok(KindDetails::Policy(PolicyDetails { kind })), Some(digest)) => {
                    Some(Self::Policy { kind, digest })
                }
                _ => None,
            },
            Kind::Key => {
                let (purpose, to) = (entry.details.value(1)?, entry.details.value(2)?);
                let (Detail::Text(purpose), Detail::Text(to)) = (purpose, to) else { return None };
                let to = RegisteredName::parse(to).ok().filter(|_| purpose == KEY_PURPOSE)?;
                Some(Self::Key { from: before.key.clone(), to })
            }
            Kind::Roster => {
                let Some(Detail::Bytes(roster)) = entry.details.value(1) else { return None };
                Some(Self::Roster { from: before.roster.digest(), to: Hash::of(roster) })
            }
            _ => None,
        }
    }
}

impl fmt::Display for Change {
    /// One line for a person: `model credit-risk, version 3, digest sha256:...`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rest: Vec<String> =
            self.lines().iter().map(|(label, value)| format!("{label} {value}")).collect();
        write!(f, "{}: {}", self.kind(), rest.join(", "))
    }
}
