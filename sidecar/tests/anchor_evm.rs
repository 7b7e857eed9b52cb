//! The log's head on real chains: anvil, a proxy before it that lies, and geth.
//!
//! Scenario: a sidecar anchors a growing log while the chain reorganises, restarts, becomes dear, or answers through a
//! proxy that lies about receipts, state, blocks and heights, and while the sidecar itself is killed. Danger: a statement
//! is left out or anchored twice, a nonce is spent on two statements, a proof is kept that proves nothing, a fault goes
//! unseen. Expected end state: the statements are one gap-free chain signed by the log, each proof verifies offline under a
//! block of the chain, the contract's head is the last of them, and whatever stood in the way was named.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::disallowed_macros,
    unreachable_pub,
    dead_code,
    missing_docs,
    reason = "tests fail by panicking, and may read the environment, start programs and print"
)]

#[path = "anchor_evm/attacks.rs"]
mod attacks;
#[path = "anchor_evm/beacon.rs"]
mod beacon;
#[path = "anchor_evm/chain.rs"]
mod chain;
#[path = "anchor_evm/geth.rs"]
mod geth;
#[path = "anchor_evm/lies.rs"]
mod lies;
#[path = "anchor_evm/mainnet.rs"]
mod mainnet;
#[path = "anchor_evm/node.rs"]
mod node;
#[path = "anchor_evm/oracle.rs"]
mod oracle;
#[path = "anchor_evm/rules.rs"]
mod rules;
#[path = "anchor_evm/settings.rs"]
mod settings;
mod support;
#[path = "anchor_evm/trial.rs"]
mod trial;
#[path = "anchor_evm/views.rs"]
mod views;
#[path = "anchor_evm/world.rs"]
mod world;
