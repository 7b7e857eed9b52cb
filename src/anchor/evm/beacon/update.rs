//! One light client update: what it claims, and whether the committee signed it.

use blst::BLST_ERROR;
use blst::min_pk::{AggregatePublicKey, PublicKey, Signature};

use super::super::bundle::BeaconFork;
use super::super::keccak::Word;
use super::spec::Chain;
use super::ssz::{chunk, is_branch, pair};
use super::types::{BeaconHeader, Header, KEY_BYTES, SyncAggregate, SyncCommittee, Update, is_since_electra};
use crate::code::Code;

/// Generalized index of the execution payload in a block body.
const EXECUTION_PAYLOAD: u64 = 25;

/// `DOMAIN_SYNC_COMMITTEE`.
const DOMAIN: [u8; 4] = [7, 0, 0, 0];

/// The ciphersuite of the consensus specifications' signatures.
const DST: &[u8] = b"BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_";

/// The bit of a compressed key that says which of the two points with its abscissa it is.
const SIGN_BIT: u8 = 0x20;

/// What an update was found to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The header that the committee signed.
    pub attested: BeaconHeader,
    /// The header that is final in its state, where the update shows one.
    pub finalized: Option<Header>,
    /// Root of the committee that serves in the period after the attested header's, where the update shows one.
    pub next_committee_root: Option<Word>,
    /// How many members signed.
    pub participants: usize,
}

/// Why an update is worth nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UpdateError {
    /// A slot in a fork whose types cannot be read here, or before Capella.
    #[error("slot {0} is of a fork whose types are not known: use a newer release, or pin the block")]
    UnknownFork(u64),
    /// Types of another fork than the one at the attested slot.
    #[error("the update has the types of another fork than the one at slot {0}")]
    Fork(u64),
    /// Slots out of order: the signature must follow the attested header, and that the finalized one.
    #[error("the slots of the update are out of order")]
    Slots,
    /// Nobody signed.
    #[error("no member of the committee signed")]
    NoParticipants,
    /// A payload header that is not in its block's body.
    #[error("the execution payload header at slot {0} is not in the block's body")]
    Execution(u64),
    /// A finalized header that the attested state does not name.
    #[error("the attested state does not name the finalized header")]
    Finalized,
    /// A next committee that the attested state does not name.
    #[error("the attested state does not name the next sync committee")]
    NextCommittee,
    /// A key that is no point of its curve.
    #[error("the committee has a key that is no point of the curve")]
    Key,
    /// A signature that the participants did not make.
    #[error("the sync committee did not sign this header")]
    Signature,
    /// A committee or its bits of another size.
    #[error("the committee has another size than the chain's")]
    Size,
}

impl UpdateError {
    /// What the reader must do next.
    #[must_use]
    pub const fn code(self) -> Code {
        match self {
            Self::UnknownFork(_) => Code::Unavailable,
            Self::Fork(_) | Self::Slots | Self::Size | Self::Key => Code::Malformed,
            Self::Signature | Self::NoParticipants => Code::Untrusted,
            Self::Execution(_) | Self::Finalized | Self::NextCommittee => Code::Inconsistent,
        }
    }
}

/// Checks an update that `committee` is to have signed (`validate_light_client_update`).
///
/// The caller decides that `committee` is the one of the signature slot's period, and how many participants are enough.
///
/// # Errors
/// [`UpdateError`] for the first thing that does not hold.
pub fn verify_update(
    chain: &Chain,
    committee: &SyncCommittee,
    update: &Update,
) -> Result<Verified, UpdateError> {
    let size = chain.preset.committee_size;
    if committee.pubkeys.len() != size || update.aggregate.bits.len() * 8 != size {
        return Err(UpdateError::Size);
    }
    let participants = update.aggregate.participants();
    if participants == 0 {
        return Err(UpdateError::NoParticipants);
    }
    let slot = update.attested.beacon.slot;
    if fork_of(chain, slot)? != update.fork {
        return Err(UpdateError::Fork(slot));
    }
    check_execution(chain, &update.attested)?;
    let finalized = finalized(chain, update)?;
    let finalized_slot = finalized.map_or(0, |header| header.beacon.slot);
    if update.signature_slot <= slot || slot < finalized_slot {
        return Err(UpdateError::Slots);
    }
    let next_committee_root = next_committee(update)?;
    let root = signing_root(chain, &update.attested.beacon, update.signature_slot)?;
    check_signature(committee, &update.aggregate, participants, &root)?;
    Ok(Verified {
        attested: update.attested.beacon,
        finalized: finalized.cloned(),
        next_committee_root,
        participants,
    })
}

/// The fork whose types are spoken at `slot`.
fn fork_of(chain: &Chain, slot: u64) -> Result<BeaconFork, UpdateError> {
    chain.fork_at(slot).and_then(|at| at.fork).ok_or(UpdateError::UnknownFork(slot))
}

/// Checks that the payload header stands in the body of its block (`is_valid_light_client_header`).
pub(super) fn check_execution(chain: &Chain, header: &Header) -> Result<(), UpdateError> {
    let slot = header.beacon.slot;
    let root = header.execution.root(fork_of(chain, slot)?).ok_or(UpdateError::Execution(slot))?;
    if is_branch(&root, &header.execution_branch, EXECUTION_PAYLOAD, &header.beacon.body_root) {
        Ok(())
    } else {
        Err(UpdateError::Execution(slot))
    }
}

/// The finalized header, where the update shows one; one without a branch must be empty.
fn finalized<'a>(chain: &Chain, update: &'a Update) -> Result<Option<&'a Header>, UpdateError> {
    let header = &update.finalized;
    if is_zero(&update.finality_branch) {
        let is_empty = header.beacon == BeaconHeader::default()
            && header.execution.is_zero()
            && is_zero(&header.execution_branch);
        return if is_empty { Ok(None) } else { Err(UpdateError::Finalized) };
    }
    let gindex = if is_since_electra(update.fork) { 169 } else { 105 };
    let state = &update.attested.beacon.state_root;
    if !is_branch(&header.beacon.root(), &update.finality_branch, gindex, state) {
        return Err(UpdateError::Finalized);
    }
    check_execution(chain, header)?;
    Ok(Some(header))
}

/// The next committee's root, where the update shows one.
fn next_committee(update: &Update) -> Result<Option<Word>, UpdateError> {
    let Some((committee, branch)) = &update.next else { return Ok(None) };
    if is_zero(branch) {
        let is_empty = committee.encode().iter().all(|byte| *byte == 0);
        return if is_empty { Ok(None) } else { Err(UpdateError::NextCommittee) };
    }
    let gindex = if is_since_electra(update.fork) { 87 } else { 55 };
    let root = committee.root();
    if is_branch(&root, branch, gindex, &update.attested.beacon.state_root) {
        Ok(Some(root))
    } else {
        Err(UpdateError::NextCommittee)
    }
}

/// Whether a branch is the empty one of an update that shows nothing there.
fn is_zero(branch: &[Word]) -> bool {
    branch.as_flattened().iter().all(|byte| *byte == 0)
}

/// What the members signed (`compute_signing_root` with `compute_domain`).
fn signing_root(chain: &Chain, header: &BeaconHeader, signature_slot: u64) -> Result<Word, UpdateError> {
    let fork = chain.signing_fork(signature_slot).ok_or(UpdateError::UnknownFork(signature_slot))?;
    let fork_data = pair(&chunk(&fork.version), &chain.genesis_validators_root);
    let mut domain = [0; 32];
    domain.iter_mut().zip(DOMAIN.iter().chain(&fork_data)).for_each(|(to, from)| *to = *from);
    Ok(pair(&header.root(), &domain))
}

fn check_signature(
    committee: &SyncCommittee,
    aggregate: &SyncAggregate,
    participants: usize,
    message: &Word,
) -> Result<(), UpdateError> {
    let key = sum_of_participants(committee, aggregate, participants).map_err(|_| UpdateError::Key)?;
    let signature = Signature::uncompress(&aggregate.signature).map_err(|_| UpdateError::Signature)?;
    match signature.verify(true, message, DST, &[], &key, true) {
        BLST_ERROR::BLST_SUCCESS => Ok(()),
        _ => Err(UpdateError::Signature),
    }
}

/// The sum of the keys of those who signed.
///
/// Uncompressing a key takes a square root. Where most have signed, the sum of all, which the committee carries, less the
/// few that did not sign is the same point for a fraction of the work.
fn sum_of_participants(
    committee: &SyncCommittee,
    aggregate: &SyncAggregate,
    participants: usize,
) -> Result<PublicKey, BLST_ERROR> {
    let members = committee.pubkeys.iter().enumerate();
    let mut keys = Vec::new();
    if participants * 2 > committee.pubkeys.len() {
        keys.push(PublicKey::uncompress(&committee.aggregate_pubkey)?);
        for (_, key) in members.filter(|(member, _)| !aggregate.has_signed(*member)) {
            keys.push(PublicKey::uncompress(&negated(key))?);
        }
    } else {
        for (_, key) in members.filter(|(member, _)| aggregate.has_signed(*member)) {
            keys.push(PublicKey::uncompress(key)?);
        }
    }
    let keys: Vec<&PublicKey> = keys.iter().collect();
    Ok(AggregatePublicKey::aggregate(&keys, false)?.to_public_key())
}

/// The compressed form of the other point with the same abscissa.
const fn negated(key: &[u8; KEY_BYTES]) -> [u8; KEY_BYTES] {
    let mut other = *key;
    let [first, ..] = &mut other;
    *first ^= SIGN_BIT;
    other
}
