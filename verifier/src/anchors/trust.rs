//! The file that says whom a reader of anchors trusts.
//!
//! Guarantees: every list and every value in it is bounded, an unknown key is refused, and what is refused is named. Does
//! not do: shipping any root of trust; they come from whoever reads.
//! Specification: `docs/spec/anchor-trust.md`.

use std::path::Path;

use ledgerstone::anchor::bitcoin::{BitcoinTrust, Pin};
use ledgerstone::anchor::{evm, rfc3161};
use ledgerstone::code::Code;
use ledgerstone::encoding::hex_decode;
use ledgerstone::limits::{ANCHOR_TRUST_BYTES_MAX, ANCHOR_TRUST_ITEMS_MAX};
use ledgerstone::verify::anchors::AnchorTrust;
use serde::Deserialize;

use crate::exit::Refusal;
use crate::source::read_input;

/// What the first key of the file says.
pub const TRUST_FORMAT: &str = "ledgerstone-anchor-trust/v1";

/// The file, key by key.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: String,
    quorum: Option<String>,
    bitcoin: Option<Bitcoin>,
    #[serde(default)]
    ethereum: Vec<Chain>,
    rfc3161: Option<Timestamps>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Bitcoin {
    network: Option<String>,
    blocks: Vec<Block>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Block {
    height: u64,
    hash: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Chain {
    chain_id: u64,
    contract: Option<String>,
    first_key: Option<String>,
    code_hash: Option<String>,
    #[serde(default)]
    blocks: Vec<String>,
    beacon: Option<Beacon>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Beacon {
    network: Option<String>,
    preset: Option<String>,
    genesis_validators_root: Option<String>,
    #[serde(default)]
    forks: Vec<Fork>,
    committees: Vec<Committee>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fork {
    fork: String,
    epoch: u64,
    version: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Committee {
    period: u64,
    root: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Timestamps {
    roots: Vec<String>,
    #[serde(default)]
    certificates: Vec<String>,
    #[serde(default)]
    revocation_lists: Vec<String>,
    #[serde(default)]
    policies: Vec<String>,
}

/// Gives the bytes of a file that a trust file names, under the key that names it.
pub type ReadNamed<'a> = dyn Fn(&'static str, &str) -> Result<Vec<u8>, TrustError> + 'a;

/// Why a text is not a trust file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TrustError {
    /// Not text, or too much of it.
    #[error("it has more than {ANCHOR_TRUST_BYTES_MAX} bytes, or is not UTF-8 text")]
    Text,
    /// Not TOML with the keys of a trust file.
    #[error("line {line}: {what}")]
    Toml {
        /// The line, counted from 1.
        line: usize,
        /// What the parser found.
        what: String,
    },
    /// Another format or version.
    #[error("its format is not {TRUST_FORMAT}: use a command line that knows it")]
    Format,
    /// A list is too long.
    #[error("{list} lists more than {ANCHOR_TRUST_ITEMS_MAX}")]
    TooMany {
        /// The list's key.
        list: &'static str,
    },
    /// A value is not what its key holds.
    #[error("{key}: {what}")]
    Value {
        /// The key, such as `bitcoin.blocks`.
        key: &'static str,
        /// What is wrong with it, and what to write.
        what: String,
    },
    /// A file that it names could not be read.
    #[error("{key}: {path} cannot be read: {what}")]
    Unreadable {
        /// The key that names it.
        key: &'static str,
        /// The file.
        path: String,
        /// What the system said.
        what: String,
    },
}

impl TrustError {
    /// What the reader must do about it.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::TooMany { .. } => Code::Limit,
            Self::Unreadable { .. } => Code::Unavailable,
            _ => Code::Malformed,
        }
    }

    fn value(key: &'static str, what: impl ToString) -> Self {
        Self::Value { key, what: what.to_string() }
    }
}

/// Reads the trust file that the user named.
///
/// # Errors
/// It, or a file that it names, cannot be read or is malformed.
pub fn read(path: &Path) -> Result<AnchorTrust, Refusal> {
    let bytes = read_input(path, ANCHOR_TRUST_BYTES_MAX)?;
    let beside = path.parent().unwrap_or(Path::new("."));
    let read = |key: &'static str, name: &str| {
        read_input(&beside.join(name), ANCHOR_TRUST_BYTES_MAX).map_err(|error| TrustError::Unreadable {
            key,
            path: name.to_owned(),
            what: error.to_string(),
        })
    };
    parse(&bytes, &read).map_err(|error| {
        Refusal::new(
            error.code(),
            format_args!("{} is not an anchor trust file: {error}", path.display()),
            "docs/spec/anchor-trust.md has an example; get the values from somewhere else than from who is checked.",
        )
    })
}

/// Reads a trust file; `read` gives the bytes of a file that it names, under the key that names it.
///
/// # Errors
/// [`TrustError`] says which key is wrong.
pub fn parse(bytes: &[u8], read: &ReadNamed<'_>) -> Result<AnchorTrust, TrustError> {
    let text = std::str::from_utf8(bytes).map_err(|_| TrustError::Text)?;
    if bytes.len() > ANCHOR_TRUST_BYTES_MAX {
        return Err(TrustError::Text);
    }
    let file: File = toml::from_str(text).map_err(|error| syntax(text, &error))?;
    if file.format != TRUST_FORMAT {
        return Err(TrustError::Format);
    }
    let quorum = file.quorum.map(|text| text.parse().map_err(|error| TrustError::value("quorum", error)));
    few("ethereum", &file.ethereum)?;
    Ok(AnchorTrust {
        quorum: quorum.transpose()?,
        bitcoin: file.bitcoin.map(|bitcoin| blocks(&bitcoin)).transpose()?,
        ethereum: file.ethereum.iter().map(chain).collect::<Result<_, _>>()?,
        rfc3161: file.rfc3161.map(|authorities| timestamps(&authorities, read)).transpose()?,
    })
}

fn syntax(text: &str, error: &toml::de::Error) -> TrustError {
    let at = error.span().map_or(0, |span| span.start);
    let line = text.get(..at).unwrap_or(text).matches('\n').count() + 1;
    TrustError::Toml { line, what: error.message().to_owned() }
}

fn few<T>(list: &'static str, items: &[T]) -> Result<(), TrustError> {
    if items.len() > ANCHOR_TRUST_ITEMS_MAX { Err(TrustError::TooMany { list }) } else { Ok(()) }
}

fn blocks(bitcoin: &Bitcoin) -> Result<BitcoinTrust, TrustError> {
    few("bitcoin.blocks", &bitcoin.blocks)?;
    let network = match bitcoin.network.as_deref() {
        None => Default::default(),
        Some(name) => name.parse().map_err(|error| TrustError::value("bitcoin.network", error))?,
    };
    let pin = |block: &Block| {
        let hash = block.hash.parse().map_err(|error| TrustError::value("bitcoin.blocks", error))?;
        Ok(Pin { height: block.height, hash })
    };
    Ok(BitcoinTrust { network, pins: bitcoin.blocks.iter().map(pin).collect::<Result<_, _>>()? })
}

fn chain(chain: &Chain) -> Result<evm::Trust, TrustError> {
    few("ethereum.blocks", &chain.blocks)?;
    let mut trust = evm::Trust::new(chain.chain_id);
    trust.contract = chain.contract.as_deref().map(|text| hex("ethereum.contract", text)).transpose()?;
    trust.first_key = chain.first_key.as_deref().map(|text| hex("ethereum.first_key", text)).transpose()?;
    if let Some(text) = &chain.code_hash {
        trust.code_hash = hex("ethereum.code_hash", text)?;
    }
    trust.blocks = chain.blocks.iter().map(|text| hex("ethereum.blocks", text)).collect::<Result<_, _>>()?;
    trust.beacon = chain.beacon.as_ref().map(beacon).transpose()?;
    Ok(trust)
}

fn beacon(beacon: &Beacon) -> Result<evm::beacon::Trust, TrustError> {
    few("ethereum.beacon.committees", &beacon.committees)?;
    few("ethereum.beacon.forks", &beacon.forks)?;
    let committee = |committee: &Committee| {
        let root = hex("ethereum.beacon.committees", &committee.root)?;
        Ok(evm::beacon::PinnedCommittee { period: committee.period, root })
    };
    let committees = beacon.committees.iter().map(committee).collect::<Result<_, _>>()?;
    let is_own =
        beacon.preset.is_some() || beacon.genesis_validators_root.is_some() || !beacon.forks.is_empty();
    let chain = match beacon.network.as_deref() {
        Some("mainnet") if !is_own => evm::beacon::Chain::mainnet(),
        Some("sepolia") if !is_own => evm::beacon::Chain::sepolia(),
        None => own_chain(beacon)?,
        Some(_) => {
            let what = "write mainnet or sepolia; for another chain leave it out and give preset, genesis_validators_root and forks";
            return Err(TrustError::value("ethereum.beacon.network", what));
        }
    };
    Ok(evm::beacon::Trust { chain, committees })
}

/// A beacon chain that is none of the public ones.
fn own_chain(beacon: &Beacon) -> Result<evm::beacon::Chain, TrustError> {
    let preset = beacon.preset.as_deref().and_then(evm::beacon::Preset::parse);
    let preset =
        preset.ok_or_else(|| TrustError::value("ethereum.beacon.preset", "write mainnet or minimal"))?;
    let genesis = beacon.genesis_validators_root.as_deref().unwrap_or_default();
    let genesis_validators_root = hex("ethereum.beacon.genesis_validators_root", genesis)?;
    let fork = |fork: &Fork| {
        let known = evm::BeaconFork::parse(&fork.fork);
        let known = known.ok_or_else(|| {
            TrustError::value("ethereum.beacon.forks", "write capella, deneb, electra or fulu")
        })?;
        let version = hex("ethereum.beacon.forks", &fork.version)?;
        Ok(evm::beacon::ForkAt { epoch: fork.epoch, version, fork: Some(known) })
    };
    let forks = beacon.forks.iter().map(fork).collect::<Result<_, _>>()?;
    evm::beacon::Chain::new(preset, genesis_validators_root, forks)
        .map_err(|error| TrustError::value("ethereum.beacon.forks", error))
}

/// `0x` and two digits of hexadecimal for each of `N` bytes, as chains write them; the case of letters does not matter.
fn hex<const N: usize>(key: &'static str, text: &str) -> Result<[u8; N], TrustError> {
    let wrong = || TrustError::value(key, format_args!("write 0x and {} hexadecimal digits", 2 * N));
    let digits = text.strip_prefix("0x").filter(|digits| digits.len() == 2 * N).ok_or_else(wrong)?;
    let bytes = hex_decode(&digits.to_ascii_lowercase()).map_err(|_| wrong())?;
    bytes.try_into().map_err(|_| wrong())
}

fn timestamps(authorities: &Timestamps, read: &ReadNamed<'_>) -> Result<rfc3161::Trust, TrustError> {
    let mut trust = rfc3161::Trust::default();
    let load = |key, text: &String| {
        if text.contains("-----BEGIN ") { Ok(text.clone().into_bytes()) } else { read(key, text) }
    };
    type Add = fn(&mut rfc3161::Trust, &[u8]) -> Result<(), rfc3161::TrustError>;
    let lists: [(&'static str, &[String], Add); 3] = [
        ("rfc3161.roots", &authorities.roots, rfc3161::Trust::add_roots),
        ("rfc3161.certificates", &authorities.certificates, rfc3161::Trust::add_certificates),
        ("rfc3161.revocation_lists", &authorities.revocation_lists, rfc3161::Trust::add_revocation_lists),
    ];
    for (key, names, add) in lists {
        few(key, names)?;
        for name in names {
            add(&mut trust, &load(key, name)?).map_err(|error| TrustError::value(key, error))?;
        }
    }
    few("rfc3161.policies", &authorities.policies)?;
    for policy in &authorities.policies {
        trust.add_policy(policy.parse().map_err(|error| TrustError::value("rfc3161.policies", error))?);
    }
    Ok(trust)
}
