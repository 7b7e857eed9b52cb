//! Where an audit's randomness will come from: named in the plan, before anybody can know its value.
//!
//! *Guarantees*: one text for each source. *Does not do*: fetch or check a value.

use std::fmt;
use std::str::FromStr;

use ledgerstone::hash::Hash;

use super::PlanError;

/// Bytes of the name of an auditor.
const NAME_BYTES_MAX: usize = 64;

/// The name of the drand beacon; a plan has one of them at most.
pub(super) const DRAND: &str = "drand";

/// The one chain whose blocks can be checked.
pub(super) const BITCOIN: &str = "bitcoin";

/// One source of randomness.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Beacon {
    /// A round of a drand chain.
    Drand {
        /// The chain's hash.
        chain: Hash,
        /// The round, from 1.
        round: u64,
    },
    /// The hash of a block of Bitcoin.
    Block {
        /// The block's height.
        height: u64,
    },
    /// An auditor's own number, committed to by its SHA-256.
    Nonce {
        /// Whose it is.
        name: String,
        /// SHA-256 of its 32 bytes.
        commitment: Hash,
    },
}

impl Beacon {
    /// The name under which its value is revealed.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Drand { .. } => DRAND,
            Self::Block { .. } => BITCOIN,
            Self::Nonce { name, .. } => name,
        }
    }
}

impl FromStr for Beacon {
    type Err = PlanError;

    fn from_str(text: &str) -> Result<Self, PlanError> {
        let parts: Vec<_> = text.split(':').collect();
        match parts.as_slice() {
            [DRAND, chain, round] => {
                let round = number(round).filter(|round| *round > 0).ok_or(PlanError::Beacon)?;
                Ok(Self::Drand { chain: digest(chain)?, round })
            }
            ["block", BITCOIN, height] => {
                Ok(Self::Block { height: number(height).ok_or(PlanError::Beacon)? })
            }
            ["nonce", whose, commitment] => {
                Ok(Self::Nonce { name: name(whose)?, commitment: digest(commitment)? })
            }
            _ => Err(PlanError::Beacon),
        }
    }
}

impl fmt::Display for Beacon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Drand { chain, round } => write!(f, "{DRAND}:{chain}:{round}"),
            Self::Block { height } => write!(f, "block:{BITCOIN}:{height}"),
            Self::Nonce { name, commitment } => write!(f, "nonce:{name}:{commitment}"),
        }
    }
}

/// Lowercase letters, digits, points and hyphens; two names are taken.
fn name(text: &str) -> Result<String, PlanError> {
    let known = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'.';
    let fits = (1..=NAME_BYTES_MAX).contains(&text.len()) && text.bytes().all(known);
    if fits && text != DRAND && text != BITCOIN { Ok(text.to_owned()) } else { Err(PlanError::Name) }
}

fn digest(text: &str) -> Result<Hash, PlanError> {
    super::plan::digest(text).ok_or(PlanError::Beacon)
}

/// A number without leading zeros that any JSON reader keeps exactly.
fn number(text: &str) -> Option<u64> {
    let number: u64 = text.parse().ok()?;
    (number <= super::POPULATION_MAX && number.to_string() == text).then_some(number)
}
