//! What differs from one beacon chain to another: sizes, forks, genesis.

use super::super::bundle::BeaconFork;
use super::super::keccak::Word;
use crate::code::Code;

/// The sizes that a chain was built with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preset {
    /// Members of a sync committee, a multiple of 8.
    pub committee_size: usize,
    /// Slots of an epoch.
    pub slots_per_epoch: u64,
    /// Epochs that a sync committee serves.
    pub epochs_per_period: u64,
}

/// The sizes of every public chain.
pub const MAINNET: Preset = Preset { committee_size: 512, slots_per_epoch: 32, epochs_per_period: 256 };

/// The sizes of the consensus specifications' small test chains.
pub const MINIMAL: Preset = Preset { committee_size: 32, slots_per_epoch: 8, epochs_per_period: 8 };

impl Preset {
    /// The preset with this name, as the consensus specifications name it.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "mainnet" => Some(MAINNET),
            "minimal" => Some(MINIMAL),
            _ => None,
        }
    }
}

/// From which epoch a fork's version signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ForkAt {
    /// The first epoch.
    pub epoch: u64,
    /// The version that signatures are made under.
    pub version: [u8; 4],
    /// The fork whose types are spoken; `None` for one whose types cannot be read here.
    pub fork: Option<BeaconFork>,
}

/// One beacon chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// Its sizes.
    pub preset: Preset,
    /// Root of the validators at genesis: part of every signature, so that no other chain's can be taken.
    pub genesis_validators_root: Word,
    /// Its forks from Capella on, by rising epoch.
    pub forks: Vec<ForkAt>,
}

/// `genesis_validators_root` of mainnet.
const MAINNET_GENESIS: Word = [
    0x4b, 0x36, 0x3d, 0xb9, 0x4e, 0x28, 0x61, 0x20, 0xd7, 0x6e, 0xb9, 0x05, 0x34, 0x0f, 0xdd, 0x4e, 0x54,
    0xbf, 0xe9, 0xf0, 0x6b, 0xf3, 0x3f, 0xf6, 0xcf, 0x5a, 0xd2, 0x7f, 0x51, 0x1b, 0xfe, 0x95,
];

/// `genesis_validators_root` of Sepolia.
const SEPOLIA_GENESIS: Word = [
    0xd8, 0xea, 0x17, 0x1f, 0x3c, 0x94, 0xae, 0xa2, 0x1e, 0xbc, 0x42, 0xa1, 0xed, 0x61, 0x05, 0x2a, 0xcf,
    0x3f, 0x92, 0x09, 0xc0, 0x0e, 0x4e, 0xfb, 0xaa, 0xdd, 0xac, 0x09, 0xed, 0x9b, 0x80, 0x78,
];

/// Why forks make no chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ForksError {
    /// None at all.
    #[error("a beacon chain has a fork at least: name it, with its epoch and version")]
    None,
    /// A fork that stands after a later one, twice, or begins before the one that it follows.
    #[error("the forks are out of order: write them by rising epoch, each once")]
    Order,
}

impl ForksError {
    /// What the reader must do next.
    #[must_use]
    pub const fn code(self) -> Code {
        Code::Malformed
    }
}

impl Chain {
    /// A chain with these forks, in their order; several may begin at one epoch, of which the last is then in force.
    ///
    /// # Errors
    /// [`ForksError`] without forks, or where they are out of order.
    pub fn new(
        preset: Preset,
        genesis_validators_root: Word,
        forks: Vec<ForkAt>,
    ) -> Result<Self, ForksError> {
        if forks.is_empty() {
            return Err(ForksError::None);
        }
        // A fork whose types are not known stands after those that are.
        let place = |at: &ForkAt| (at.fork.is_none(), at.fork);
        let is_ordered =
            |(one, next): (&ForkAt, &ForkAt)| one.epoch <= next.epoch && place(one) < place(next);
        if !forks.iter().zip(forks.iter().skip(1)).all(is_ordered) {
            return Err(ForksError::Order);
        }
        Ok(Self { preset, genesis_validators_root, forks })
    }

    /// Ethereum mainnet (chain id 1), as of Fulu.
    #[must_use]
    pub fn mainnet() -> Self {
        Self {
            preset: MAINNET,
            genesis_validators_root: MAINNET_GENESIS,
            forks: vec![
                fork(194_048, [3, 0, 0, 0], Some(BeaconFork::Capella)),
                fork(269_568, [4, 0, 0, 0], Some(BeaconFork::Deneb)),
                fork(364_032, [5, 0, 0, 0], Some(BeaconFork::Electra)),
                fork(411_392, [6, 0, 0, 0], Some(BeaconFork::Fulu)),
            ],
        }
    }

    /// Sepolia (chain id 11155111), as of Fulu; the fork after it is named, and its types are not read.
    #[must_use]
    pub fn sepolia() -> Self {
        Self {
            preset: MAINNET,
            genesis_validators_root: SEPOLIA_GENESIS,
            forks: vec![
                fork(56_832, [0x90, 0, 0, 0x72], Some(BeaconFork::Capella)),
                fork(132_608, [0x90, 0, 0, 0x73], Some(BeaconFork::Deneb)),
                fork(222_464, [0x90, 0, 0, 0x74], Some(BeaconFork::Electra)),
                fork(272_640, [0x90, 0, 0, 0x75], Some(BeaconFork::Fulu)),
                fork(353_024, [0x90, 0, 0, 0x76], None),
            ],
        }
    }

    /// The beacon chain of an EVM chain that is known here.
    #[must_use]
    pub fn of_chain_id(chain_id: u64) -> Option<Self> {
        match chain_id {
            1 => Some(Self::mainnet()),
            11_155_111 => Some(Self::sepolia()),
            _ => None,
        }
    }

    /// The period of the sync committee that serves at `slot`.
    #[must_use]
    pub const fn period(&self, slot: u64) -> u64 {
        match self.epoch(slot).checked_div(self.preset.epochs_per_period) {
            Some(period) => period,
            None => 0,
        }
    }

    /// The fork in force at `slot`; `None` before Capella.
    #[must_use]
    pub fn fork_at(&self, slot: u64) -> Option<ForkAt> {
        let epoch = self.epoch(slot);
        self.forks.iter().rev().find(|fork| fork.epoch <= epoch).copied()
    }

    /// The fork whose version signs what stands in the block at `signature_slot`: that of the slot before.
    #[must_use]
    pub fn signing_fork(&self, signature_slot: u64) -> Option<ForkAt> {
        self.fork_at(signature_slot.max(1) - 1)
    }

    /// The earliest signature slot after `attested_slot` at which the same committee signs under the same version.
    ///
    /// No signature covers the signature slot itself. A bundle holds this one, so that it has no byte that could be
    /// another.
    #[must_use]
    pub fn earliest_signature_slot(&self, attested_slot: u64, signature_slot: u64) -> u64 {
        let period = self.period(signature_slot);
        let slots = self.preset.slots_per_epoch;
        let mut slot = attested_slot.saturating_add(1);
        if self.period(slot) != period {
            slot = period.saturating_mul(self.preset.epochs_per_period).saturating_mul(slots);
        }
        match self.signing_fork(signature_slot) {
            Some(fork) if self.signing_fork(slot) != Some(fork) => {
                slot.max(fork.epoch.saturating_mul(slots).saturating_add(1))
            }
            _ => slot,
        }
    }

    const fn epoch(&self, slot: u64) -> u64 {
        match slot.checked_div(self.preset.slots_per_epoch) {
            Some(epoch) => epoch,
            None => 0,
        }
    }
}

const fn fork(epoch: u64, version: [u8; 4], fork: Option<BeaconFork>) -> ForkAt {
    ForkAt { epoch, version, fork }
}
