//! The values of a plan's randomness, once they are known, each with what shows that it is the one the plan named.
//!
//! *Guarantees*: a value that was checked is the only one that its source could have given: the hash of the one signature of a
//! drand round, the hash of a header with its work, the preimage of a commitment. *Does not do*: check the height of a block.

use ledgerstone::code::Code;
use ledgerstone::encoding::{hex_decode, hex_encode};
use ledgerstone::hash::Hash;
use serde::{Deserialize, Serialize};

use super::beacon::{BITCOIN, DRAND};
use super::bitcoin::{BlockError, BlockHeader};
use super::drand::{DrandChain, DrandError, DrandRound};
use super::plan::digest;
use super::{Beacon, Plan};

/// Bytes of an auditor's secret.
const NONCE_BYTES: usize = 32;

/// Bytes of a file that holds one: as hex with a line feed.
pub const NONCE_FILE_BYTES_MAX: usize = 2 * NONCE_BYTES + 2;

/// What the auditor has at hand when the randomness has come.
#[derive(Clone, Debug, Default)]
pub struct Values {
    /// The round of drand.
    pub drand: Option<DrandRound>,
    /// Its chain, where it is not one of those that are known.
    pub chain: Option<DrandChain>,
    /// The header of the block.
    pub block: Option<BlockHeader>,
    /// The auditors' secrets, by their names.
    pub nonces: Vec<(String, Hash)>,
}

/// The value of one source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reveal {
    /// The source, as the plan names it.
    pub beacon: Beacon,
    /// The value.
    pub value: Hash,
    /// What shows that it is the value.
    pub proof: Proof,
}

/// What shows that a value is that of its source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// The signature of a round, and in a chained scheme the one before it.
    Drand {
        /// The round's.
        signature: Vec<u8>,
        /// The round before.
        previous_signature: Option<Vec<u8>>,
    },
    /// The block's header.
    Block(BlockHeader),
    /// The value itself: its hash stands in the plan.
    Nonce,
}

/// A value in a file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RevealJson {
    source: String,
    value: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    signature: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    previous_signature: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    header: Option<String>,
}

/// An auditor's secret: 64 digits of lowercase hex, and perhaps a line feed.
///
/// # Errors
/// It is none.
pub fn parse_nonce(file: &[u8]) -> Result<Hash, RevealError> {
    let text = core::str::from_utf8(file).map_err(|_| RevealError::NonceText)?;
    digest(text.strip_suffix('\n').unwrap_or(text)).ok_or(RevealError::NonceText)
}

impl Values {
    /// The values of a plan's sources, in the plan's order, each checked.
    ///
    /// # Errors
    /// One is missing, is not the one that the plan names, or is of no source of the plan.
    pub fn reveal(&self, plan: &Plan) -> Result<Vec<Reveal>, RevealError> {
        let mut reveals = Vec::with_capacity(plan.beacons.len());
        for beacon in &plan.beacons {
            let missing = || RevealError::Missing { beacon: beacon.to_string() };
            let reveal = match beacon {
                Beacon::Drand { chain, round } => {
                    let found = self.drand.as_ref().ok_or_else(missing)?;
                    self.drand(beacon, chain, *round, found)?
                }
                Beacon::Block { .. } => {
                    let header = self.block.ok_or_else(missing)?;
                    let value = header.verify().map_err(RevealError::Block)?;
                    Reveal { beacon: beacon.clone(), value, proof: Proof::Block(header) }
                }
                Beacon::Nonce { name, .. } => {
                    let nonce = self.nonces.iter().find(|(whose, _)| whose == name);
                    let value = nonce.ok_or_else(missing)?.1;
                    Reveal { beacon: beacon.clone(), value, proof: Proof::Nonce }
                }
            };
            reveal.check(self.chain.as_ref())?;
            reveals.push(reveal);
        }
        self.refuse_surplus(plan)?;
        Ok(reveals)
    }

    fn drand(
        &self,
        beacon: &Beacon,
        chain: &Hash,
        named: u64,
        found: &DrandRound,
    ) -> Result<Reveal, RevealError> {
        if found.round != named {
            return Err(RevealError::Round { named, found: found.round });
        }
        let chain = chain_of(chain, self.chain.as_ref())?;
        let value = chain.verify(found).map_err(RevealError::Drand)?;
        let previous_signature = found.previous_signature.clone().filter(|_| chain.is_chained());
        let proof = Proof::Drand { signature: found.signature.clone(), previous_signature };
        Ok(Reveal { beacon: beacon.clone(), value, proof })
    }

    /// Refuses what the plan does not name: whoever gives it believes that it counts.
    fn refuse_surplus(&self, plan: &Plan) -> Result<(), RevealError> {
        let drand = self.drand.as_ref().map(|_| DRAND);
        let block = self.block.map(|_| BITCOIN);
        let mut given: Vec<&str> = [drand, block].into_iter().flatten().collect();
        given.extend(self.nonces.iter().map(|(name, _)| name.as_str()));
        given.sort_unstable();
        let is_named = |name: &str| plan.beacons.iter().any(|beacon| beacon.name() == name);
        let repeated = given.windows(2).find(|pair| pair.first() == pair.last()).and_then(<[_]>::first);
        match given.iter().find(|name| !is_named(name)).or(repeated) {
            Some(name) => Err(RevealError::Surplus { name: (*name).to_owned() }),
            None => Ok(()),
        }
    }
}

impl Reveal {
    /// Checks that this is the value of its source; `chain` is drand's, where it is not one of those that are known.
    ///
    /// # Errors
    /// It is not.
    pub fn check(&self, chain: Option<&DrandChain>) -> Result<(), RevealError> {
        let value = match (&self.beacon, &self.proof) {
            (Beacon::Drand { chain: hash, round }, Proof::Drand { signature, previous_signature }) => {
                let chain = chain_of(hash, chain)?;
                let round = DrandRound {
                    round: *round,
                    signature: signature.clone(),
                    previous_signature: previous_signature.clone(),
                    randomness: None,
                };
                if previous_signature.is_some() != chain.is_chained() {
                    return Err(RevealError::Proof);
                }
                chain.verify(&round).map_err(RevealError::Drand)?
            }
            (Beacon::Block { .. }, Proof::Block(header)) => header.verify().map_err(RevealError::Block)?,
            (Beacon::Nonce { name, commitment }, Proof::Nonce) => {
                if Hash::of(self.value.as_bytes()) != *commitment {
                    return Err(RevealError::Commitment { name: name.clone() });
                }
                self.value
            }
            _ => return Err(RevealError::Proof),
        };
        if value == self.value { Ok(()) } else { Err(RevealError::Proof) }
    }

    pub(super) fn to_json(&self) -> RevealJson {
        let mut json = RevealJson {
            source: self.beacon.to_string(),
            value: self.value.to_string(),
            signature: None,
            previous_signature: None,
            header: None,
        };
        match &self.proof {
            Proof::Drand { signature, previous_signature } => {
                json.signature = Some(hex_encode(signature));
                json.previous_signature = previous_signature.as_deref().map(hex_encode);
            }
            Proof::Block(header) => json.header = Some(header.to_hex()),
            Proof::Nonce => {}
        }
        json
    }

    pub(super) fn from_json(json: RevealJson) -> Option<Self> {
        let proof = match (json.signature, json.previous_signature, json.header) {
            (Some(signature), previous, None) => Proof::Drand {
                signature: hex_decode(&signature).ok()?,
                previous_signature: previous.map(|text| hex_decode(&text)).transpose().ok()?,
            },
            (None, None, Some(header)) => Proof::Block(BlockHeader::parse(header.as_bytes()).ok()?),
            (None, None, None) => Proof::Nonce,
            _ => return None,
        };
        Some(Self { beacon: json.source.parse().ok()?, value: digest(&json.value)?, proof })
    }
}

/// The chain with this hash: a known one, or the one that the auditor gave.
fn chain_of(hash: &Hash, given: Option<&DrandChain>) -> Result<DrandChain, RevealError> {
    match given {
        Some(chain) if chain.hash() == *hash => Ok(chain.clone()),
        Some(chain) => Err(RevealError::OtherChain { named: *hash, found: chain.hash() }),
        None => DrandChain::known(hash).ok_or(RevealError::UnknownChain { named: *hash }),
    }
}

/// Why values are not those of a plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RevealError {
    /// A source without a value.
    #[error("the value of {beacon} is missing: nothing can be drawn before all sources have given theirs")]
    Missing {
        /// The source.
        beacon: String,
    },
    /// A value without a source.
    #[error("the plan names no `{name}`, or the value of one source was given twice")]
    Surplus {
        /// The name.
        name: String,
    },
    /// Another round.
    #[error("the file holds round {found} of drand, the plan names round {named}")]
    Round {
        /// The plan's.
        named: u64,
        /// The file's.
        found: u64,
    },
    /// A chain that is not built in.
    #[error("the drand chain {named} is not one that is known here: its information is needed, too")]
    UnknownChain {
        /// The plan's.
        named: Hash,
    },
    /// Another chain's information.
    #[error("the chain's information is that of {found}, the plan names {named}")]
    OtherChain {
        /// The plan's.
        named: Hash,
        /// The one given.
        found: Hash,
    },
    /// A round or chain that cannot be used.
    #[error(transparent)]
    Drand(DrandError),
    /// A header that cannot be used.
    #[error(transparent)]
    Block(BlockError),
    /// A secret that is none.
    #[error("a secret is 32 bytes, written as 64 digits of lowercase hex on one line")]
    NonceText,
    /// Another secret than the one committed to.
    #[error("the secret of `{name}` is not the one that the plan commits to")]
    Commitment {
        /// Whose.
        name: String,
    },
    /// A recorded value that its own proof does not give.
    #[error("a value is not the one that its signature or header gives")]
    Proof,
}

impl RevealError {
    /// What the reader of this error should do.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Missing { .. } | Self::Surplus { .. } | Self::UnknownChain { .. } => Code::Misuse,
            Self::Drand(source) => source.code(),
            Self::Block(source) => source.code(),
            Self::NonceText => Code::Malformed,
            Self::Round { .. } | Self::OtherChain { .. } | Self::Commitment { .. } | Self::Proof => {
                Code::Inconsistent
            }
        }
    }
}
