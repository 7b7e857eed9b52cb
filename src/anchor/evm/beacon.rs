//! The light client of the beacon chain: from a pinned sync committee to a finalized execution block.
//!
//! Guarantees: [`verify_update`] accepts what `validate_light_client_update` of the consensus specifications accepts, from
//! Capella to Fulu, and says how many members signed; [`verify_part`] further demands two thirds of the committee at each step, a
//! finalized header, and that no byte of the part could be another. Does not do: follow the chain, keep a clock, force
//! an update without finality, read the types of forks after Fulu (they are refused by name).
//! Implements consensus-specs, `specs/{altair,capella,deneb,electra}/light-client/sync-protocol.md`.

mod json;
mod part;
mod spec;
mod ssz;
mod types;
mod update;

#[cfg(test)]
mod tests;

pub use json::{JsonError, bootstrap_from_json, update_from_json, updates_from_json};
pub use part::{BeaconError, Finalized, PinnedCommittee, Trust, verify_part};
pub use spec::{Chain, ForkAt, ForksError, MAINNET, MINIMAL, Preset};
pub use ssz::SszError;
pub use types::{BeaconHeader, Bootstrap, ExecutionHeader, Header, SyncAggregate, SyncCommittee, Update};
pub use update::{UpdateError, Verified, verify_update};
