//! The light client's part of a bundle: from a pinned committee to the finalized execution block.

use super::super::bundle::BeaconPart;
use super::super::keccak::Word;
use super::spec::Chain;
use super::ssz::{SszError, is_branch};
use super::types::{Bootstrap, SyncCommittee, Update, is_since_electra};
use super::update::{UpdateError, Verified, check_execution, verify_update};
use crate::code::Code;

/// What the auditor relies on of a beacon chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trust {
    /// The chain.
    pub chain: Chain,
    /// Sync committees that the auditor knows to be the chain's.
    pub committees: Vec<PinnedCommittee>,
}

/// A sync committee, named by its period and root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PinnedCommittee {
    /// The period in which it signs.
    pub period: u64,
    /// Its hash tree root.
    pub root: Word,
}

impl PinnedCommittee {
    /// The committee that a `LightClientBootstrap` shows for a block whose root the auditor knows.
    ///
    /// # Errors
    /// [`BeaconError::Bootstrap`] for another block, or a committee that the block's state does not name.
    pub fn from_bootstrap(
        chain: &Chain,
        bootstrap: &Bootstrap,
        block_root: &Word,
    ) -> Result<Self, BeaconError> {
        let header = &bootstrap.header.beacon;
        let at = chain.fork_at(header.slot).and_then(|at| at.fork);
        if at != Some(bootstrap.fork) {
            return Err(BeaconError::Update(UpdateError::Fork(header.slot)));
        }
        check_execution(chain, &bootstrap.header)?;
        let gindex = if is_since_electra(bootstrap.fork) { 86 } else { 54 };
        let root = bootstrap.current_sync_committee.root();
        if header.root() != *block_root || !is_branch(&root, &bootstrap.branch, gindex, &header.state_root) {
            return Err(BeaconError::Bootstrap);
        }
        Ok(Self { period: chain.period(header.slot), root })
    }
}

/// What the light client found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finalized {
    /// The slot that is final.
    pub slot: u64,
    /// Hash of its execution block.
    pub block_hash: Word,
    /// Number of its execution block.
    pub block_number: u64,
    /// Period of the committee that signed it.
    pub period: u64,
    /// Period of the pinned committee from which that one was chained.
    pub pinned_period: u64,
    /// How many members signed it.
    pub participants: usize,
    /// How many members the committee has.
    pub committee_size: usize,
    /// The committees that the updates led to, from the one after the pinned one on: another bundle may start from them.
    pub learned: Vec<PinnedCommittee>,
}

/// Why the light client's part does not hold, or could not be checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BeaconError {
    /// Bytes that are not of their type.
    #[error(transparent)]
    Ssz(#[from] SszError),
    /// An update that does not hold.
    #[error(transparent)]
    Update(#[from] UpdateError),
    /// No committee of that period is pinned.
    #[error(
        "the proof starts from the sync committee of period {0}: pin that one, or check the bundles before it, which lead \
         to it"
    )]
    NotPinned(u64),
    /// Another committee of that period is pinned: evidence of two chains.
    #[error("the proof starts from another sync committee of period {0} than the pinned one")]
    OtherCommittee(u64),
    /// An update that is not of the period at which the chain of committees stands.
    #[error("an update is signed in period {found}, where the chain of committees stands at {expected}")]
    Period {
        /// The update's.
        found: u64,
        /// Where the chain stands.
        expected: u64,
    },
    /// An update without a next committee that is final in its own period.
    #[error(
        "the update of period {0} does not show a next committee that is final: take the period's best update"
    )]
    NoNextCommittee(u64),
    /// A finality update that shows no finalized header.
    #[error("the finality update shows no finalized header")]
    NotFinal,
    /// Fewer signatures than two thirds of the committee.
    #[error("{participants} of {size} members signed, which is less than two thirds")]
    Participants {
        /// How many signed.
        participants: usize,
        /// How many there are.
        size: usize,
    },
    /// A signature slot other than the earliest one that means the same.
    #[error(
        "the signature slot is {found} where bundles hold {earliest}, the earliest with the same committee and fork"
    )]
    SignatureSlot {
        /// The update's.
        found: u64,
        /// The one to write.
        earliest: u64,
    },
    /// A bootstrap of another block, or with a committee that is not the block's.
    #[error("the bootstrap is not of the trusted block")]
    Bootstrap,
}

impl BeaconError {
    /// What the reader must do next.
    #[must_use]
    pub const fn code(self) -> Code {
        match self {
            Self::Ssz(error) => error.code(),
            Self::Update(error) => error.code(),
            Self::NotPinned(_) | Self::Participants { .. } => Code::Untrusted,
            Self::OtherCommittee(_) | Self::Bootstrap => Code::Inconsistent,
            _ => Code::Malformed,
        }
    }

    /// Whether nothing is wrong, and what is needed to decide is not at hand.
    #[must_use]
    pub const fn is_out_of_reach(self) -> bool {
        matches!(self, Self::NotPinned(_) | Self::Update(UpdateError::UnknownFork(_)))
    }
}

impl Update {
    /// The update with the signature slot that bundles hold.
    #[must_use]
    pub fn with_earliest_signature_slot(mut self, chain: &Chain) -> Self {
        self.signature_slot = chain.earliest_signature_slot(self.attested.beacon.slot, self.signature_slot);
        self
    }
}

/// Checks the light client's part of a bundle.
///
/// # Errors
/// [`BeaconError`]; where [`BeaconError::is_out_of_reach`], nothing was found wrong and nothing shown.
pub fn verify_part(part: &BeaconPart, trust: &Trust) -> Result<Finalized, BeaconError> {
    let chain = &trust.chain;
    let preset = &chain.preset;
    let mut committee = SyncCommittee::decode(&part.committee, preset)?;
    let finality = Update::decode_finality(&part.finality.ssz, part.finality.fork, preset)?;
    let updates = part
        .updates
        .iter()
        .map(|update| Update::decode(&update.ssz, update.fork, preset))
        .collect::<Result<Vec<_>, _>>()?;
    // Before anything is called out of reach: a changed byte must not look like a committee that is not pinned.
    updates.iter().chain([&finality]).try_for_each(|update| check_signature_slot(chain, update))?;
    let pinned_period = chain.period(updates.first().unwrap_or(&finality).signature_slot);
    check_pinned(trust, pinned_period, &committee)?;
    let (mut period, mut learned) = (pinned_period, Vec::new());
    for update in updates {
        let root = next_committee(chain, &committee, period, &update)?;
        period += 1;
        learned.push(PinnedCommittee { period, root });
        if let Some((next, _)) = update.next {
            committee = next;
        }
    }
    let verified = signed(chain, &committee, period, &finality)?;
    let header = verified.finalized.ok_or(BeaconError::NotFinal)?;
    Ok(Finalized {
        slot: header.beacon.slot,
        block_hash: header.execution.block_hash(),
        block_number: header.execution.block_number(),
        period,
        pinned_period,
        participants: verified.participants,
        committee_size: preset.committee_size,
        learned,
    })
}

fn check_pinned(trust: &Trust, period: u64, committee: &SyncCommittee) -> Result<(), BeaconError> {
    let root = committee.root();
    let mut of_period = trust.committees.iter().filter(|pinned| pinned.period == period);
    if of_period.clone().next().is_none() {
        return Err(BeaconError::NotPinned(period));
    }
    if of_period.any(|pinned| pinned.root == root) {
        Ok(())
    } else {
        Err(BeaconError::OtherCommittee(period))
    }
}

/// Root of the committee after `period`, which this update of `period` shows to be final.
fn next_committee(
    chain: &Chain,
    committee: &SyncCommittee,
    period: u64,
    update: &Update,
) -> Result<Word, BeaconError> {
    let verified = signed(chain, committee, period, update)?;
    let is_final_in = |slot| chain.period(slot) == period;
    match (verified.next_committee_root, &verified.finalized) {
        (Some(root), Some(finalized))
            if is_final_in(verified.attested.slot) && is_final_in(finalized.beacon.slot) =>
        {
            Ok(root)
        }
        _ => Err(BeaconError::NoNextCommittee(period)),
    }
}

fn check_signature_slot(chain: &Chain, update: &Update) -> Result<(), BeaconError> {
    let found = update.signature_slot;
    let earliest = chain.earliest_signature_slot(update.attested.beacon.slot, found);
    if found == earliest { Ok(()) } else { Err(BeaconError::SignatureSlot { found, earliest }) }
}

/// Checks an update that two thirds of the committee of `period` must have signed.
fn signed(
    chain: &Chain,
    committee: &SyncCommittee,
    period: u64,
    update: &Update,
) -> Result<Verified, BeaconError> {
    let found = chain.period(update.signature_slot);
    if found != period {
        return Err(BeaconError::Period { found, expected: period });
    }
    let verified = verify_update(chain, committee, update)?;
    let (participants, size) = (verified.participants, chain.preset.committee_size);
    if participants * 3 < size * 2 {
        return Err(BeaconError::Participants { participants, size });
    }
    Ok(verified)
}
