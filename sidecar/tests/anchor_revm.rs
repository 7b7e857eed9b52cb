//! The log's head on a chain in the test's own process, where every fault comes exactly when it is meant to.
//!
//! Scenario: a sidecar anchors a growing log on a chain whose transactions an EVM executes with the contract's committed
//! bytecode. The chain reorganises by 1, 5 and 30 blocks at every state of a statement, drops transactions, and is seen
//! through endpoints that close, hang, delay, refuse, talk nonsense, stand still, or lie about receipts, state, blocks and
//! what is final; at last through a seeded mixture of all that. No other program is needed. Danger: a proof is kept that
//! does not hold on the true chain, a nonce is spent on two statements, a statement is anchored or said twice, the lane
//! never recovers. Expected end state: the log is anchored, the statements are one gap-free chain, each in the contract and
//! in the log once, and `verify anchors` holds under the true chain's final blocks.

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

#[path = "anchor_revm/chain.rs"]
mod chain;
#[path = "anchor_revm/connections.rs"]
mod connections;
#[path = "anchor_revm/endpoint.rs"]
mod endpoint;
#[path = "../../tests/support/ethereum.rs"]
mod ethereum;
#[path = "anchor_revm/faults.rs"]
mod faults;
#[path = "anchor_revm/mixture.rs"]
mod mixture;
#[path = "anchor_revm/model.rs"]
mod model;
#[path = "anchor_evm/node.rs"]
mod node;
#[path = "anchor_revm/reorgs.rs"]
mod reorgs;
#[path = "anchor_revm/stage.rs"]
mod stage;
mod support;
#[path = "anchor_evm/world.rs"]
mod world;
