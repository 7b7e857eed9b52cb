//! What one view of the chain says about a lane, without acting on it.

use super::State;
use super::config::Config;
use super::course::{Course, Flight};
use super::event::{ContractHead, View};
use super::record::Place;
use super::word::Block;
use crate::anchor::alarm::Alarm;
use crate::anchor::schedule::Tip;
use crate::limits::ANCHOR_NONCE_AHEAD_MAX;
use crate::merkle::TreeSize;
use crate::time::UnixMillis;

/// Where the statement in flight is, as a view shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sight {
    /// The contract's newest statement is the one before.
    NotMined,
    /// The contract's newest is the one in flight.
    Held(State, Place),
}

/// What forbids acting on a view.
pub(super) fn obstacle(
    config: &Config,
    course: &Course,
    view: &View,
    log: TreeSize,
    now: UnixMillis,
) -> Option<Alarm> {
    if view.chain_id != config.chain_id {
        return Some(Alarm::ChainId { expected: config.chain_id, found: view.chain_id });
    }
    if view.code != Some(config.code) {
        return Some(Alarm::Code);
    }
    if view.head.key.is_some_and(|key| key != config.key) {
        return Some(Alarm::Key);
    }
    if !is_one_chain(view) {
        return Some(Alarm::Disagree { since: now });
    }
    foreign_head(course, &view.head)
        .or_else(|| log_behind(course, log.max(view.head.size), log))
        .or_else(|| nonce_obstacle(course, view))
}

/// Whether the parts of a view can belong to one chain, in which numbers only grow.
fn is_one_chain(view: &View) -> bool {
    let blocks = [view.finalized.number, view.safe.number, view.latest.number];
    let heads = [&view.head_finalized, &view.head_safe, &view.head];
    blocks.is_sorted()
        && heads.is_sorted_by_key(|head| head.seq)
        && heads.is_sorted_by_key(|head| head.size)
        && view.nonce_finalized <= view.nonce
        && (view.head.seq == 0 || view.head.key.is_some())
}

/// The alarm if the log is smaller than what is fixed, or is being fixed.
pub(super) fn log_behind(course: &Course, seen: TreeSize, log: TreeSize) -> Option<Alarm> {
    let flight = course.flight.as_ref().map_or(TreeSize::EMPTY, |flight| flight.to.size);
    let anchored = seen.max(course.tip.head.size).max(flight);
    (anchored > log).then_some(Alarm::LogBehind { anchored, log })
}

/// The alarm if the contract's newest statement is neither the lane's last nor the one in flight.
fn foreign_head(course: &Course, head: &ContractHead) -> Option<Alarm> {
    let tip = &course.tip;
    if head.seq < tip.seq {
        return Some(Alarm::HeadBehind { found: head.seq, confirmed: tip.seq });
    }
    let known = match &course.flight {
        _ if head.seq == tip.seq => is_tip(head, tip),
        Some(flight) if head.seq == flight.seq => is_of(head, flight),
        flight => {
            let made = flight.as_ref().map_or(tip.seq, |flight| flight.seq);
            return Some(Alarm::HeadAhead { found: head.seq, made });
        }
    };
    (!known).then_some(Alarm::HeadForeign { seq: head.seq, found: head.statement })
}

/// The alarm if the account's nonce cannot be what the endpoints say.
fn nonce_obstacle(course: &Course, view: &View) -> Option<Alarm> {
    let known = course.nonce_floor.max(view.nonce_finalized);
    let is_sound =
        view.nonce >= course.nonce_floor && view.nonce.saturating_sub(known) <= ANCHOR_NONCE_AHEAD_MAX;
    (!is_sound).then_some(Alarm::Nonce { found: view.nonce, expected: known })
}

fn is_tip(head: &ContractHead, tip: &Tip) -> bool {
    head.statement == tip.statement && head.size == tip.head.size
}

fn is_of(head: &ContractHead, flight: &Flight) -> bool {
    head.seq == flight.seq && head.statement == flight.statement && head.size == flight.to.size
}

/// Where `flight` is in a view that [`obstacle`] has nothing against. The contract decides; receipts only say where.
pub(super) fn sight(flight: &Flight, view: &View) -> Sight {
    if !is_of(&view.head, flight) {
        return Sight::NotMined;
    }
    let (state, holds) = if is_of(&view.head_finalized, flight) {
        (State::Finalized, view.finalized)
    } else if is_of(&view.head_safe, flight) {
        (State::Safe, view.safe)
    } else {
        (State::Mined, view.latest)
    };
    Sight::Held(state, place(flight, view, holds))
}

/// The block of the transaction that did it; without a receipt that fits, `holds`, in whose state the contract has it.
fn place(flight: &Flight, view: &View, holds: Block) -> Place {
    let receipt = view.receipts.iter().find(|receipt| {
        let is_ours = flight.attempts.iter().any(|attempt| attempt.transaction == receipt.transaction);
        is_ours && receipt.succeeded && receipt.block.number <= holds.number
    });
    match receipt {
        Some(receipt) => Place { block: receipt.block, transaction: Some(receipt.transaction) },
        None => Place { block: holds, transaction: None },
    }
}

/// Whether a second sight tells more or other than the first.
pub(super) fn is_news(state: State, known: Option<Place>, seen: State, place: Place) -> bool {
    let has_moved = match (known, place.transaction) {
        (Some(known), Some(_)) => known.transaction.is_none() || known.block != place.block,
        _ => known.is_none(),
    };
    state != seen || has_moved
}
