//! The checks of a Bitcoin anchor, as reports list them.

use core::cmp::Ordering;

use super::{Attestation, BitcoinAttestation, DetachedTimestamp, HashOp};
use crate::anchor::bitcoin::{BitcoinTrust, HeaderSegment, Network, ProofError, ProvedBlock, SegmentError};
use crate::check::Check;
use crate::code::{CheckName, Code};
use crate::hash::Hash;

const PATH: CheckName = CheckName::AnchorBitcoinPath;
const WORK: CheckName = CheckName::AnchorBitcoinWork;

/// How many calendars or blocks a detail names; further ones are counted.
const NAMED_MAX: usize = 4;

/// What was found about one anchor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Examination {
    /// [`CheckName::AnchorBitcoinPath`] and [`CheckName::AnchorBitcoinWork`], in this order.
    pub checks: Vec<Check>,
    /// The block that fixes the statement, where both passed: of several the lowest.
    pub proved: Option<ProvedBlock>,
}

/// The checks of [`examine`] alone.
#[must_use]
pub fn checks(statement: &Hash, ots: &[u8], headers: Option<&[u8]>, trust: &BitcoinTrust) -> Vec<Check> {
    examine(statement, ots, headers, trust).checks
}

/// Checks that a statement, of which `statement` is the SHA-256, was hashed into a block that stands in a chain with a pinned one.
///
/// `ots` is the proof, `headers` the segment of the chain that was captured with it. A proof that names several blocks passes by
/// one of them, and fails by any that contradicts a header.
#[must_use]
pub fn examine(statement: &Hash, ots: &[u8], headers: Option<&[u8]>, trust: &BitcoinTrust) -> Examination {
    let outcome = blocks(statement, ots).and_then(|blocks| {
        let Some(headers) = headers else { return Err(without_headers(&blocks)) };
        let segment = HeaderSegment::parse(headers).map_err(bad_headers)?;
        match segment.verify(trust.network, &trust.pins) {
            Ok(chain) => proved(&blocks, |block| chain.prove(block)),
            Err(SegmentError::Unpinned { first }) => {
                Err(unpinned(&blocks, &segment, SegmentError::Unpinned { first }))
            }
            Err(error) => Err(bad_headers(error)),
        }
    });
    match outcome {
        Ok((proved, others)) => {
            Examination { checks: passed(&proved, others, trust.network), proved: Some(proved) }
        }
        Err(checks) => Examination { checks, proved: None },
    }
}

type Checks = Vec<Check>;

/// The blocks that the proof names, at least one.
fn blocks(statement: &Hash, ots: &[u8]) -> Result<Vec<BitcoinAttestation>, Checks> {
    let nothing = || Check::not_checked(WORK, "the proof leads to no block whose work could be checked");
    let failed = |code, detail: String| vec![Check::failed(PATH, code, detail), nothing()];
    let proof = DetachedTimestamp::parse(ots).map_err(|error| failed(error.code(), error.to_string()))?;
    if proof.file_hash() != HashOp::Sha256 || proof.digest() != statement.as_bytes() {
        let found = crate::encoding::hex_encode(proof.digest());
        let kind = proof.file_hash().as_str();
        let detail = format!(
            "the proof is of another file: {kind} {found}, but the statement's is sha256 {statement}"
        );
        return Err(failed(Code::Inconsistent, detail));
    }
    let blocks = proof.bitcoin_attestations().map_err(|error| failed(error.code(), error.to_string()))?;
    if blocks.is_empty() {
        return Err(vec![Check::not_checked(PATH, promises(&proof)), nothing()]);
    }
    Ok(blocks)
}

/// What a proof without a Bitcoin block says instead.
fn promises(proof: &DetachedTimestamp) -> String {
    let mut calendars: Vec<String> = Vec::new();
    for attested in proof.attestations() {
        if let Attestation::Pending(calendar) = attested.attestation {
            calendars.push(calendar.to_string());
        }
    }
    calendars.sort();
    calendars.dedup();
    if calendars.is_empty() {
        return "the proof names no Bitcoin block and no calendar that could lead to one".to_owned();
    }
    let names = listed(&calendars);
    format!(
        "only a calendar's promise, of {names}: upgrade the proof once the promise is kept, some hours after it was made"
    )
}

fn without_headers(blocks: &[BitcoinAttestation]) -> Checks {
    let named: Vec<String> = blocks
        .iter()
        .map(|block| format!("{} with merkle root {}", block.height, block.merkle_root))
        .collect();
    let path =
        format!("the proof leads to block {}; no headers are given to compare it with", listed(&named));
    let work = "needs Bitcoin's headers from a pinned block to the attested one";
    vec![Check::not_checked(PATH, path), Check::not_checked(WORK, work)]
}

fn bad_headers(error: SegmentError) -> Checks {
    vec![
        Check::not_checked(
            PATH,
            "the headers do not hold together, so there is no block to compare the proof with",
        ),
        Check::failed(WORK, error.code(), error.to_string()),
    ]
}

/// Headers that hold together, with no pinned block among them.
fn unpinned(blocks: &[BitcoinAttestation], segment: &HeaderSegment<'_>, error: SegmentError) -> Checks {
    let found = blocks.iter().find_map(|block| Some((block.height, segment.block_of(&block.merkle_root)?)));
    let path = match found {
        Some((height, hash)) => Check::passed(
            PATH,
            format!("the statement was hashed into block {hash}, of height {height} by the proof"),
        )
        .resting_on(format!("the header of {hash}, which is in no chain with a pinned block")),
        None => Check::failed(
            PATH,
            Code::Inconsistent,
            "no header has a merkle root that the proof leads to: keep both files",
        ),
    };
    vec![path, Check::not_checked(WORK, error.to_string())]
}

/// The lowest block that is proved, and the heights of those that the headers do not reach.
fn proved(
    blocks: &[BitcoinAttestation],
    prove: impl Fn(&BitcoinAttestation) -> Result<ProvedBlock, ProofError>,
) -> Result<(ProvedBlock, Vec<u64>), Checks> {
    let (mut lowest, mut others, mut missing) = (None, Vec::new(), None);
    for block in blocks {
        match prove(block) {
            Ok(found) => lowest = lowest.or(Some(found)),
            Err(error @ ProofError::Height { height, .. }) => {
                others.push(height);
                missing = missing.or(Some(error));
            }
            Err(error) => return Err(contradicted(&error)),
        }
    }
    match (lowest, missing) {
        (Some(lowest), _) => Ok((lowest, others)),
        (None, Some(error)) => Err(contradicted(&error)),
        (None, None) => Err(without_headers(blocks)),
    }
}

fn contradicted(error: &ProofError) -> Checks {
    vec![
        Check::failed(PATH, error.code(), error.to_string()),
        Check::not_checked(WORK, "the proof leads to no block of the headers whose work could be checked"),
    ]
}

fn passed(block: &ProvedBlock, others: Vec<u64>, network: Network) -> Checks {
    let ProvedBlock { height, hash, time, pin, work, confirmations } = block;
    let mut path =
        format!("the statement was hashed into block {height}, {hash}, which its miner dated {time}");
    if !others.is_empty() {
        let others: Vec<String> = others.iter().map(u64::to_string).collect();
        path.push_str(&format!(
            "; the headers do not reach block {}, which the proof names too",
            listed(&others)
        ));
    }
    let place = match pin.height.cmp(height) {
        Ordering::Less => format!("{} after the pinned one", counted(height - pin.height)),
        Ordering::Equal => "the pinned one itself".to_owned(),
        Ordering::Greater => format!("{} before the pinned one", counted(pin.height - height)),
    };
    let after = counted(confirmations.saturating_sub(1));
    let mut work = format!(
        "block {height} is {place}, with {after} on top of it; the headers but the pinned one took {work}"
    );
    if network == Network::Regtest {
        work.push_str("; a test network's work proves nothing");
    }
    vec![
        Check::passed(PATH, path),
        Check::passed(WORK, work).resting_on(format!("the pinned Bitcoin block {pin}")),
    ]
}

fn counted(blocks: u64) -> String {
    match blocks {
        0 => "no block".to_owned(),
        1 => "one block".to_owned(),
        more => format!("{more} blocks"),
    }
}

/// The first few, and how many more there are.
fn listed(names: &[String]) -> String {
    let shown = names.iter().take(NAMED_MAX).map(String::as_str).collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(NAMED_MAX) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
