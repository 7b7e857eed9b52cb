//! From a bundle to what it shows, and to the three checks of a report.

use super::bundle::Bundle;
use super::contract::{Address, Advance, LogId, StoredHead, code_hash};
use super::error::EvmError;
use super::header::BlockHeader;
use super::keccak::{Word, keccak256};
use super::receipt;
use super::rlp::{Item, RlpError};
use super::trie;
use crate::check::Check;
use crate::code::CheckName;
use crate::encoding::hex_encode;
use crate::hash::Hash;

#[cfg(feature = "beacon")]
use super::beacon::{self, Finalized};

/// What the bundle must show: a statement's own values.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// The log's origin line.
    pub origin: &'a str,
    /// The statement's number, from 1.
    pub seq: u64,
    /// The tree size it states (`to`).
    pub size: u64,
    /// The root hash it states (`to`).
    pub root: Hash,
    /// SHA-256 of the statement before it; zero for the first.
    pub previous: Hash,
    /// SHA-256 of the statement's bytes.
    pub statement: Hash,
}

/// What the auditor knows from elsewhere.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Trust {
    /// The chain that anchors are to stand on.
    pub chain_id: u64,
    /// The contract, where one is demanded.
    pub contract: Option<Address>,
    /// The log's first anchor key, where one is demanded. Without it the bundle says which; an operator with two keys has
    /// two log ids, so all bundles of a lane must then name the same.
    pub first_key: Option<Address>,
    /// Keccak-256 of the contract's code; the committed contract's unless set otherwise.
    pub code_hash: Word,
    /// Hashes of blocks that the auditor knows to be the chain's.
    pub blocks: Vec<Word>,
    /// The beacon chain and the sync committees that the auditor relies on.
    #[cfg(feature = "beacon")]
    pub beacon: Option<beacon::Trust>,
}

impl Trust {
    /// Relies on nothing but the chain's id and the committed contract's code.
    #[must_use]
    pub fn new(chain_id: u64) -> Self {
        Self {
            chain_id,
            contract: None,
            first_key: None,
            code_hash: code_hash(),
            blocks: Vec::new(),
            #[cfg(feature = "beacon")]
            beacon: None,
        }
    }
}

/// What a bundle was found to show.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Facts {
    /// Which head of the contract is the log's.
    pub log_id: LogId,
    /// The head in the block's state.
    pub head: StoredHead,
    /// The block whose state was shown.
    pub block: BlockHeader,
    /// Whether the transaction's receipt was shown too.
    pub has_receipt: bool,
    /// What says that the block is one of the chain.
    pub basis: Basis,
    /// What the light client found, where it could.
    #[cfg(feature = "beacon")]
    pub finalized: Option<Finalized>,
}

/// What says that a block is one of the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Basis {
    /// Nobody but the RPC endpoints that were asked.
    Endpoint,
    /// A block that the auditor pinned: this one, or one that follows it.
    PinnedBlock {
        /// The pinned block's number.
        number: u64,
        /// Its hash.
        hash: Word,
    },
    /// A sync committee, chained from one that the auditor pinned.
    SyncCommittee {
        /// The period of the committee that signed.
        period: u64,
    },
}

/// Checks everything that a bundle holds.
///
/// A bundle shows a statement only where it is the latest in its block's state. A part that the trust does not reach, such
/// as a light client's proof without a pinned committee, is left out and the basis says so; what is there and wrong is
/// an error.
///
/// # Errors
/// [`EvmError`], for the first thing that does not hold.
pub fn verify(bundle: &Bundle, expected: &Expected<'_>, trust: &Trust) -> Result<Facts, EvmError> {
    let headers = headers(bundle)?;
    let (log_id, head) = storage(bundle, &headers, expected, trust)?;
    let basis = pinned(&headers, trust);
    #[cfg(feature = "beacon")]
    let finalized = match finality(bundle, &headers, trust.beacon.as_ref()) {
        Finality::Missing(_) => None,
        Finality::Checked(result) => Some(result?),
    };
    #[cfg(feature = "beacon")]
    let basis = match (&finalized, basis) {
        (Some(finalized), Basis::Endpoint) => Basis::SyncCommittee { period: finalized.period },
        (_, basis) => basis,
    };
    Ok(Facts {
        log_id,
        head,
        block: headers.block,
        has_receipt: bundle.receipt.is_some(),
        basis,
        #[cfg(feature = "beacon")]
        finalized,
    })
}

/// What the bundles of a lane led to so far: sync committees from which the next bundle may start.
#[derive(Clone, Debug, Default)]
pub struct Learned {
    /// Each with the period of the pinned committee that it was chained from.
    #[cfg(feature = "beacon")]
    committees: Vec<(beacon::PinnedCommittee, u64)>,
}

#[cfg(feature = "beacon")]
impl Learned {
    /// The auditor's trust, and what was learned of periods about which the auditor says nothing.
    fn extend(&self, trust: &beacon::Trust) -> beacon::Trust {
        let mut all = trust.clone();
        let is_pinned = |period| trust.committees.iter().any(|pinned| pinned.period == period);
        let learned = self.committees.iter().map(|(committee, _)| *committee);
        all.committees.extend(learned.filter(|committee| !is_pinned(committee.period)));
        all
    }

    /// The period of the pinned committee that the one of `period` rests on.
    fn origin(&self, period: u64, trust: &beacon::Trust) -> u64 {
        let is_pinned = trust.committees.iter().any(|pinned| pinned.period == period);
        let learned = self.committees.iter().find(|(committee, _)| !is_pinned && committee.period == period);
        learned.map_or(period, |(_, origin)| *origin)
    }

    fn add(&mut self, finalized: &Finalized, origin: u64) {
        for committee in &finalized.learned {
            if !self.committees.iter().any(|(known, _)| known == committee) {
                self.committees.push((*committee, origin));
            }
        }
    }
}

/// The three checks of a report: `anchor.evm.storage`, `anchor.evm.header`, `anchor.evm.finality`, in that order.
///
/// `proof` is the file `proof.evm`.
#[must_use]
pub fn checks(proof: &[u8], expected: &Expected<'_>, trust: &Trust) -> Vec<Check> {
    checks_after(proof, expected, trust, &mut Learned::default())
}

/// [`checks`] of a bundle that follows others, whose sync committees were `learned`; those that it leads to are added.
#[must_use]
pub fn checks_after(
    proof: &[u8],
    expected: &Expected<'_>,
    trust: &Trust,
    learned: &mut Learned,
) -> Vec<Check> {
    let read = Bundle::decode(proof)
        .map_err(EvmError::from)
        .and_then(|bundle| headers(&bundle).map(|headers| (bundle, headers)));
    match read {
        Ok((bundle, headers)) => {
            let storage = storage_check(&bundle, &headers, expected, trust);
            let finality = finality_check(&bundle, &headers, trust, learned);
            let header = header_check(&headers, trust, &finality);
            vec![storage, header, finality]
        }
        Err(error) => vec![
            Check::failed(CheckName::AnchorEvmStorage, error.code(), error.to_string()),
            Check::not_checked(CheckName::AnchorEvmHeader, "the bundle could not be read"),
            Check::not_checked(CheckName::AnchorEvmFinality, "the bundle could not be read"),
        ],
    }
}

/// The bundle's headers, each seen to be the parent of the next.
struct Headers {
    /// The block whose state is shown.
    block: BlockHeader,
    /// All of them, the first included.
    all: Vec<BlockHeader>,
}

fn headers(bundle: &Bundle) -> Result<Headers, EvmError> {
    let all = linked(&bundle.headers)?;
    let block = all.first().copied().ok_or(EvmError::HeaderLink { at: 0 })?;
    Ok(Headers { block, all })
}

fn linked(encoded: &[Vec<u8>]) -> Result<Vec<BlockHeader>, EvmError> {
    let all = encoded.iter().map(|bytes| BlockHeader::decode(bytes)).collect::<Result<Vec<_>, _>>()?;
    match all.windows(2).position(|pair| !matches!(pair, [parent, child] if follows(parent, child))) {
        Some(at) => Err(EvmError::HeaderLink { at: at + 1 }),
        None => Ok(all),
    }
}

fn follows(parent: &BlockHeader, child: &BlockHeader) -> bool {
    child.parent_hash == parent.hash && parent.number.checked_add(1) == Some(child.number)
}

/// Reads the head out of the first header's state and compares it with what is expected.
fn storage(
    bundle: &Bundle,
    headers: &Headers,
    expected: &Expected<'_>,
    trust: &Trust,
) -> Result<(LogId, StoredHead), EvmError> {
    if bundle.chain_id != trust.chain_id {
        return Err(EvmError::Chain { found: bundle.chain_id, trusted: trust.chain_id });
    }
    if trust.contract.is_some_and(|contract| contract != bundle.contract) {
        return Err(EvmError::Contract);
    }
    if trust.first_key.is_some_and(|key| key != bundle.first_key) {
        return Err(EvmError::FirstKey);
    }
    let key = keccak256(&bundle.contract);
    let account = trie::lookup(&headers.block.state_root, &key, &bundle.account_proof)
        .map_err(EvmError::Account)?
        .ok_or(EvmError::NoContract)?;
    let (storage_root, code_hash) = account_roots(account).map_err(EvmError::State)?;
    if code_hash != trust.code_hash {
        return Err(EvmError::Code);
    }
    let log_id = LogId::new(&bundle.first_key, expected.origin);
    let [packed, statement, _] = log_id.slots();
    let packed = stored(&storage_root, &packed, &bundle.packed_proof)?;
    let statement = stored(&storage_root, &statement, &bundle.statement_proof)?;
    let head = StoredHead::from_words(&packed, &statement);
    compare(&head, expected)?;
    if let Some(proof) = &bundle.receipt {
        check_receipt(bundle, headers, proof, &advance(log_id, &head, expected))?;
    }
    Ok((log_id, head))
}

fn compare(head: &StoredHead, expected: &Expected<'_>) -> Result<(), EvmError> {
    let found = u64::from(head.seq);
    match found.cmp(&expected.seq) {
        _ if head.key == [0; 20] => Err(EvmError::NoHead),
        core::cmp::Ordering::Less => Err(EvmError::HeadBefore { found, expected: expected.seq }),
        core::cmp::Ordering::Greater => Err(EvmError::HeadAfter { found, expected: expected.seq }),
        _ if head.statement != *expected.statement.as_bytes() => Err(EvmError::OtherStatement { seq: found }),
        _ if head.size != expected.size => {
            Err(EvmError::OtherSize { found: head.size, expected: expected.size })
        }
        _ => Ok(()),
    }
}

fn advance(log_id: LogId, head: &StoredHead, expected: &Expected<'_>) -> Advance {
    Advance {
        log_id,
        seq: head.seq,
        previous: expected.previous,
        size: expected.size,
        root: expected.root,
        statement: expected.statement,
    }
}

fn check_receipt(
    bundle: &Bundle,
    headers: &Headers,
    proof: &super::ReceiptProof,
    advance: &Advance,
) -> Result<(), EvmError> {
    let earlier = linked(&proof.headers)?;
    if earlier.last().is_some_and(|last| !follows(last, &headers.block)) {
        return Err(EvmError::HeaderLink { at: earlier.len() });
    }
    let block = earlier.first().unwrap_or(&headers.block);
    Ok(receipt::check(block, proof.index, &proof.proof, &bundle.contract, advance)?)
}

/// Storage root and code hash of an account: the third and fourth of `[nonce, balance, storageRoot, codeHash]`.
fn account_roots(account: &[u8]) -> Result<(Word, Word), RlpError> {
    let [nonce, balance, storage_root, code_hash] = Item::decode(account)?.list()?.exactly()?;
    nonce.uint()?;
    balance.bytes()?;
    Ok((storage_root.array()?, code_hash.array()?))
}

/// A slot's value: an RLP string without leading zeros, put back to 32 bytes.
fn stored(storage_root: &Word, slot: &Word, proof: &[Vec<u8>]) -> Result<Word, EvmError> {
    let value = trie::lookup(storage_root, &keccak256(slot), proof)
        .map_err(EvmError::Storage)?
        .ok_or(EvmError::NoHead)?;
    let value = Item::decode(value).and_then(Item::bytes).map_err(EvmError::State)?;
    let mut word = [0; 32];
    let gap = word.len().checked_sub(value.len()).ok_or(EvmError::State(RlpError::Length))?;
    if value.first() == Some(&0) {
        return Err(EvmError::State(RlpError::NotShortest));
    }
    word.iter_mut().skip(gap).zip(value).for_each(|(to, from)| *to = *from);
    Ok(word)
}

fn pinned(headers: &Headers, trust: &Trust) -> Basis {
    match headers.all.iter().find(|header| trust.blocks.contains(&header.hash)) {
        Some(header) => Basis::PinnedBlock { number: header.number, hash: header.hash },
        None => Basis::Endpoint,
    }
}

/// How the light client's part went.
#[cfg(feature = "beacon")]
enum Finality {
    /// It is not there, or the trust does not reach it; what is missing.
    Missing(String),
    /// It was checked.
    Checked(Result<Finalized, EvmError>),
}

#[cfg(feature = "beacon")]
fn finality(bundle: &Bundle, headers: &Headers, trust: Option<&beacon::Trust>) -> Finality {
    let Some(part) = &bundle.beacon else {
        return Finality::Missing("the bundle holds no light client proof".into());
    };
    let Some(trust) = trust else {
        return Finality::Missing("pin a sync committee in the trust file to have this checked".into());
    };
    match beacon::verify_part(part, trust) {
        Err(error) if error.is_out_of_reach() => Finality::Missing(error.to_string()),
        Err(error) => Finality::Checked(Err(error.into())),
        Ok(finalized) if headers.all.last().is_none_or(|last| last.hash != finalized.block_hash) => {
            Finality::Checked(Err(EvmError::OtherFinalized))
        }
        Ok(finalized) => Finality::Checked(Ok(finalized)),
    }
}

fn storage_check(bundle: &Bundle, headers: &Headers, expected: &Expected<'_>, trust: &Trust) -> Check {
    let name = CheckName::AnchorEvmStorage;
    match storage(bundle, headers, expected, trust) {
        Ok((_, head)) => {
            let receipt =
                if bundle.receipt.is_some() { ", and the transaction's receipt names it too" } else { "" };
            let detail = format!(
                "block {} of chain {}: contract 0x{} names statement {} as the latest{receipt}",
                headers.block.number,
                bundle.chain_id,
                hex_encode(&bundle.contract),
                head.seq
            );
            Check::passed(name, detail).resting_on(format!("block 0x{}", hex_encode(&headers.block.hash)))
        }
        Err(error) => Check::failed(name, error.code(), error.to_string()),
    }
}

/// `finality` is the check of the light client's part, made before.
fn header_check(headers: &Headers, trust: &Trust, finality: &Check) -> Check {
    let name = CheckName::AnchorEvmHeader;
    let BlockHeader { number, hash, timestamp, .. } = headers.block;
    let detail = format!("block {number}, 0x{}, made at {timestamp} by its own word", hex_encode(&hash));
    if let Basis::PinnedBlock { number: pinned, hash } = pinned(headers, trust) {
        return Check::passed(name, detail)
            .resting_on(format!("pinned block {pinned}, 0x{}", hex_encode(&hash)));
    }
    if finality.status == crate::check::Status::Passed {
        let basis = finality.rests_on.clone().unwrap_or_default();
        return Check::passed(name, detail).resting_on(basis);
    }
    let next = "compare that hash with a source of your own, and pin it in the trust file";
    Check::not_checked(name, format!("{detail}: {next}")).resting_on("the word of the RPC endpoints")
}

#[cfg(feature = "beacon")]
fn finality_check(bundle: &Bundle, headers: &Headers, trust: &Trust, learned: &mut Learned) -> Check {
    let name = CheckName::AnchorEvmFinality;
    let all = trust.beacon.as_ref().map(|trust| learned.extend(trust));
    match finality(bundle, headers, all.as_ref()) {
        Finality::Missing(needed) => Check::not_checked(name, needed),
        Finality::Checked(Err(error)) => Check::failed(name, error.code(), error.to_string()),
        Finality::Checked(Ok(finalized)) => {
            let detail = format!(
                "{} of {} members of the sync committee of period {} signed that slot {} is final",
                finalized.participants, finalized.committee_size, finalized.period, finalized.slot
            );
            let start = finalized.pinned_period;
            let origin = trust.beacon.as_ref().map_or(start, |trust| learned.origin(start, trust));
            learned.add(&finalized, origin);
            Check::passed(name, detail).resting_on(format!("the pinned sync committee of period {origin}"))
        }
    }
}

#[cfg(not(feature = "beacon"))]
fn finality_check(bundle: &Bundle, _: &Headers, _: &Trust, _: &mut Learned) -> Check {
    let needed = if bundle.beacon.is_some() {
        "the bundle's light client proof needs a build with the feature `beacon`"
    } else {
        "the bundle holds no light client proof"
    };
    Check::not_checked(CheckName::AnchorEvmFinality, needed)
}
