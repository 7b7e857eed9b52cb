//! Rounds of drand, checked offline with the public key of their chain.
//!
//! *Guarantees*: a value is given out only for a round whose signature verifies under the key that the chain's hash commits to; the
//! value is the SHA-256 of that signature, whatever the file says. Implements drand's schemes `pedersen-bls-chained`,
//! `pedersen-bls-unchained` and `bls-unchained-g1-rfc9380`.
//!
//! *Does not do*: fetch anything; judge whether the members of a chain that is not known here can be trusted.

#[cfg(test)]
mod tests;

use drand_verify::{G1Pubkey, G2PubkeyRfc, Pubkey, VerificationError, derive_randomness};
use ledgerstone::code::Code;
use ledgerstone::encoding::hex_decode;
use ledgerstone::hash::Hash;
use ledgerstone::time::UnixMillis;
use serde::Deserialize;

use super::plan::digest;

/// Bytes of a chain's information or of a round: each is a few hundred.
pub const DRAND_BYTES_MAX: usize = 16 * 1024;

/// What the two mainnet chains of the League of Entropy say of themselves at `/info`; their hashes commit to the keys.
const KNOWN: [&str; 2] = [
    r#"{"public_key":"868f005eb8e6e4ca0a47c8a77ceaa5309a47978a7c71bc5cce96366b5d7a569937c529eeda66c7293784a9402801af31",
    "period":30,"genesis_time":1595431050,"hash":"8990e7a9aaed2ffed73dbd7092123d6f289930540d7651336225dc172e51b2ce",
    "groupHash":"176f93498eac9ca337150b46d21dd58673ea4e3581185f869672e59fa4cb390a","schemeID":"pedersen-bls-chained",
    "metadata":{"beaconID":"default"}}"#,
    r#"{"public_key":"83cf0f2896adee7eb8b5f01fcad3912212c437e0073e911fb90022d3e760183c8c4b450b6a0a6c3ac6a5776a2d1064510d1fec758c921cc22b0e17e63aaf4bcb5ed66304de9cf809bd274ca73bab4af5a6e9c76a4bc09e76eae8991ef5ece45a",
    "period":3,"genesis_time":1692803367,"hash":"52db9ba70e0cc0f6eaf7803dd07447a1f5477735fd3f661792ba94600c84e971",
    "groupHash":"f477d5c89f21a17c863a7f937c6a6d15859414d2be09cd448d4279af331c5d3e","schemeID":"bls-unchained-g1-rfc9380",
    "metadata":{"beaconID":"quicknet"}}"#,
];

/// Bytes before the round in a chained message: a signature, or for the first round the genesis seed. An empty one would make the
/// message that of an unchained round.
const PREVIOUS_BYTES: [usize; 2] = [96, 32];

/// The identifier that stands for no identifier.
const DEFAULT_ID: &str = "default";

/// How a chain signs its rounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
enum Scheme {
    /// Signatures on G2, each over the one before it and the round.
    #[serde(rename = "pedersen-bls-chained")]
    Chained,
    /// Signatures on G2 over the round alone.
    #[serde(rename = "pedersen-bls-unchained")]
    Unchained,
    /// Signatures on G1 over the round alone, hashed to the curve as RFC 9380 says.
    #[serde(rename = "bls-unchained-g1-rfc9380")]
    UnchainedOnG1,
}

/// A drand chain: whose key signs, and when its rounds come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DrandChain {
    hash: Hash,
    id: String,
    scheme: Scheme,
    public_key: Vec<u8>,
    period_s: u32,
    genesis_s: u64,
}

/// What a chain says of itself at `/info`.
#[derive(Deserialize)]
struct InfoJson {
    public_key: String,
    period: u32,
    genesis_time: u64,
    hash: Option<String>,
    #[serde(rename = "groupHash")]
    group_hash: String,
    #[serde(rename = "schemeID")]
    scheme: Option<String>,
    #[serde(default)]
    metadata: MetadataJson,
}

#[derive(Default, Deserialize)]
struct MetadataJson {
    #[serde(rename = "beaconID")]
    beacon_id: Option<String>,
}

impl DrandChain {
    /// The chain with this hash, if it is one of the two that are built in.
    #[must_use]
    pub fn known(hash: &Hash) -> Option<Self> {
        KNOWN.iter().filter_map(|info| Self::parse(info.as_bytes()).ok()).find(|chain| chain.hash == *hash)
    }

    /// Reads what a chain says of itself, and computes its hash from that.
    ///
    /// # Errors
    /// It is no chain's information, or not in a scheme that can be checked here, or states another hash.
    pub fn parse(bytes: &[u8]) -> Result<Self, DrandError> {
        let json: InfoJson = read(bytes, "chain's information")?;
        let scheme = match json.scheme {
            None => Scheme::Chained,
            Some(name) => serde_json::from_value(name.into()).map_err(|_| DrandError::Scheme)?,
        };
        let public_key = hex_decode(&json.public_key).map_err(|_| DrandError::Key)?;
        if !is_key(scheme, &public_key) {
            return Err(DrandError::Key);
        }
        let seed = hex_decode(&json.group_hash).map_err(|_| DrandError::Hash)?;
        let id = json.metadata.beacon_id.filter(|id| !id.is_empty() && id != DEFAULT_ID);
        // drand, `Info.Hash`: period, genesis time, key, genesis seed, and the identifier unless it is the default one.
        let preimage = [
            json.period.to_be_bytes().as_slice(),
            &json.genesis_time.to_be_bytes(),
            &public_key,
            &seed,
            id.as_deref().unwrap_or_default().as_bytes(),
        ]
        .concat();
        let hash = Hash::of(&preimage);
        if json.hash.is_some_and(|stated| stated != hash.to_string()) {
            return Err(DrandError::Hash);
        }
        let id = id.unwrap_or_else(|| DEFAULT_ID.to_owned());
        Ok(Self { hash, id, scheme, public_key, period_s: json.period, genesis_s: json.genesis_time })
    }

    /// The chain's hash.
    #[must_use]
    pub const fn hash(&self) -> Hash {
        self.hash
    }

    /// What people call the chain.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// When a round comes, by the chain's own timetable.
    #[must_use]
    pub fn due(&self, round: u64) -> Option<UnixMillis> {
        let after = round.checked_sub(1)?.checked_mul(u64::from(self.period_s))?;
        self.genesis_s.checked_add(after)?.checked_mul(1000).map(UnixMillis::new)
    }

    /// The randomness of a round, if the chain signed it.
    ///
    /// # Errors
    /// The signature is not the chain's over this round.
    pub fn verify(&self, round: &DrandRound) -> Result<Hash, DrandError> {
        let previous: &[u8] = match self.scheme {
            Scheme::Chained => {
                let previous = round.previous_signature.as_deref();
                previous.filter(|bytes| PREVIOUS_BYTES.contains(&bytes.len())).ok_or(DrandError::Previous)?
            }
            Scheme::Unchained | Scheme::UnchainedOnG1 => &[],
        };
        let invalid = |_: VerificationError| DrandError::Signature { round: round.round };
        let verified = match self.scheme {
            Scheme::Chained | Scheme::Unchained => G1Pubkey::from_variable(&self.public_key)
                .map_err(|_| DrandError::Key)?
                .verify(round.round, previous, &round.signature)
                .map_err(invalid)?,
            Scheme::UnchainedOnG1 => G2PubkeyRfc::from_variable(&self.public_key)
                .map_err(|_| DrandError::Key)?
                .verify(round.round, previous, &round.signature)
                .map_err(invalid)?,
        };
        let value = Hash::from_bytes(derive_randomness(&round.signature));
        match round.randomness {
            _ if !verified => Err(DrandError::Signature { round: round.round }),
            Some(stated) if stated != value => Err(DrandError::Randomness),
            _ => Ok(value),
        }
    }

    /// Whether a round's message holds the signature before it.
    #[must_use]
    pub fn is_chained(&self) -> bool {
        self.scheme == Scheme::Chained
    }
}

/// A round as drand's servers give it at `/public/ROUND`; nothing of it is trusted yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DrandRound {
    /// Its number.
    pub round: u64,
    /// The chain's signature.
    pub signature: Vec<u8>,
    /// The signature of the round before it, in a chained scheme.
    pub previous_signature: Option<Vec<u8>>,
    /// What the file says the randomness is.
    pub randomness: Option<Hash>,
}

#[derive(Deserialize)]
struct RoundJson {
    round: u64,
    signature: String,
    previous_signature: Option<String>,
    randomness: Option<String>,
}

impl DrandRound {
    /// Reads a round.
    ///
    /// # Errors
    /// It is none.
    pub fn parse(bytes: &[u8]) -> Result<Self, DrandError> {
        let json: RoundJson = read(bytes, "round")?;
        let hex = |text: String| hex_decode(&text).map_err(|_| DrandError::Hex);
        Ok(Self {
            round: json.round,
            signature: hex(json.signature)?,
            previous_signature: json.previous_signature.map(hex).transpose()?,
            randomness: json.randomness.map(|text| digest(&text).ok_or(DrandError::Hex)).transpose()?,
        })
    }
}

fn is_key(scheme: Scheme, key: &[u8]) -> bool {
    match scheme {
        Scheme::Chained | Scheme::Unchained => G1Pubkey::from_variable(key).is_ok(),
        Scheme::UnchainedOnG1 => G2PubkeyRfc::from_variable(key).is_ok(),
    }
}

fn read<'a, T: Deserialize<'a>>(bytes: &'a [u8], what: &'static str) -> Result<T, DrandError> {
    if bytes.len() > DRAND_BYTES_MAX {
        return Err(DrandError::TooLong);
    }
    serde_json::from_slice(bytes).map_err(|error| DrandError::Json {
        what,
        line: error.line(),
        column: error.column(),
    })
}

/// Why a round or a chain's information cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DrandError {
    /// More bytes than either has.
    #[error("a round or a chain's information has at most {DRAND_BYTES_MAX} bytes")]
    TooLong,
    /// Not JSON with the keys that are needed.
    #[error("line {line}, column {column}: not the JSON of a drand {what}")]
    Json {
        /// A round or a chain's information.
        what: &'static str,
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
    },
    /// Hex that is none.
    #[error("signatures and randomness are lowercase hex, the randomness 64 digits of it")]
    Hex,
    /// Another scheme.
    #[error(
        "only the schemes pedersen-bls-chained, pedersen-bls-unchained and bls-unchained-g1-rfc9380 can be checked"
    )]
    Scheme,
    /// A key that is none.
    #[error("the public key is not one of the chain's scheme")]
    Key,
    /// The information does not give the hash.
    #[error("the chain's information does not give the hash that it states: it was changed or cut")]
    Hash,
    /// A chained round without the signature before it.
    #[error(
        "this chain signs each round together with the one before it, but the file has no previous_signature"
    )]
    Previous,
    /// The signature is wrong.
    #[error(
        "the signature of round {round} is not the chain's: the file was changed, or is of another chain or round"
    )]
    Signature {
        /// The round that the file claims to be.
        round: u64,
    },
    /// The file states another randomness.
    #[error("the randomness in the file is not that of its signature: the file was changed")]
    Randomness,
}

impl DrandError {
    /// What the reader of this error should do.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::TooLong => Code::Limit,
            Self::Signature { .. } => Code::Untrusted,
            Self::Hash | Self::Randomness => Code::Inconsistent,
            _ => Code::Malformed,
        }
    }
}
