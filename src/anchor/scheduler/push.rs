//! What a lane does about a view of the chain: plan, sign, send, replace, capture, or nothing.

use super::effect::{Capture, Effect, Sign};
use super::event::{Broadcast, View};
use super::record::{Attempt, Record};
use super::watch::{self, Sight};
use super::word::{Fees, TransactionHash};
use super::{Scheduler, State, Task, fees};
use crate::anchor::alarm::Alarm;
use crate::anchor::schedule::is_past;
use crate::limits::ANCHOR_ATTEMPTS_MAX;
use crate::time::UnixMillis;

/// The transaction that was sent last, since the chain last changed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent {
    transaction: TransactionHash,
    /// When it was sent first.
    since: UnixMillis,
    /// An endpoint has another of its nonce that offers too much to take this one.
    is_underpriced: bool,
}

impl Scheduler {
    pub(super) fn observed(&mut self, now: UnixMillis, view: &View, effects: &mut Vec<Effect>) {
        if !self.is_observing {
            return;
        }
        self.is_observing = false;
        self.blind_since = None;
        self.balance = Some(view.balance);
        let mut found = Vec::new();
        self.act_on(now, view, &mut found, effects);
        self.alarms.end(|standing| {
            is_of_view(standing) && !found.iter().any(|alarm| alarm.as_str() == standing.as_str())
        });
        for alarm in found {
            self.alarm(alarm, effects);
        }
    }

    /// `found` is what this view gives cause for; an alarm that is not among it ends.
    fn act_on(&mut self, now: UnixMillis, view: &View, found: &mut Vec<Alarm>, effects: &mut Vec<Effect>) {
        let Some(log) = self.log else { return };
        if let Some(alarm) = watch::obstacle(&self.config, &self.course, view, log, now) {
            self.is_blocked = true;
            if matches!(alarm, Alarm::HeadBehind { .. }) {
                self.resend_last(now, view, effects);
            }
            found.push(alarm);
            return;
        }
        self.is_blocked = false;
        if view.balance < self.config.balance_floor {
            let (balance, floor) = (view.balance, self.config.balance_floor);
            found.push(Alarm::BalanceLow { balance, floor });
        }
        match self.course.flight.as_ref().map(|flight| watch::sight(flight, view)) {
            None if self.is_free() => self.plan(now, log, effects),
            None => {}
            Some(sight) => self.steer(now, view, sight, found, effects),
        }
    }

    /// Takes the statement in flight to where the view shows it, and on from there.
    fn steer(
        &mut self,
        now: UnixMillis,
        view: &View,
        sight: Sight,
        found: &mut Vec<Alarm>,
        effects: &mut Vec<Effect>,
    ) {
        let is_final = matches!(sight, Sight::Held(State::Finalized, _));
        if matches!(self.task, Task::Capturing { .. }) && !is_final {
            // The block whose state is being captured is not final after all; a proof of it would be worthless.
            self.task = Task::Idle;
        }
        let Some(flight) = self.course.flight.as_ref().filter(|_| self.is_free()) else { return };
        match sight {
            Sight::NotMined => match flight.place {
                Some(place) => self.journal(Record::Unmined { block: place.block }, effects),
                None => self.push(now, view, found, effects),
            },
            Sight::Held(state, place) if watch::is_news(flight.state, flight.place, state, place) => {
                let record = match state {
                    State::Finalized => Record::Finalized(place),
                    State::Safe => Record::Safe(place),
                    _ => Record::Mined(place),
                };
                self.journal(record, effects);
            }
            Sight::Held(State::Finalized, _) => self.settle(now, view, found, effects),
            Sight::Held(..) => {}
        }
    }

    /// Captures the proof, once every nonce that was signed for the statement is used up for good: a transaction that could
    /// still be mined would hold its nonce back from the next statement.
    fn settle(&mut self, now: UnixMillis, view: &View, found: &mut Vec<Alarm>, effects: &mut Vec<Effect>) {
        let Some(flight) = &self.course.flight else { return };
        if let Some(nonce) = flight.nonce_max().filter(|nonce| view.nonce_finalized <= *nonce) {
            if view.nonce <= nonce {
                self.push(now, view, found, effects);
            }
            return;
        }
        if !self.may_retry(now, self.failed.capture) {
            return;
        }
        let mined = flight.place.and_then(|place| Some((place.transaction?, place.block)));
        let (seq, statement) = (flight.seq, flight.statement);
        effects.push(Effect::Capture(Capture { seq, statement, block: view.finalized, mined }));
        self.task = Task::Capturing { seq };
    }

    /// Gets the account's next nonce used by the statement in flight: sends, replaces, or signs the first of that nonce.
    fn push(&mut self, now: UnixMillis, view: &View, found: &mut Vec<Alarm>, effects: &mut Vec<Effect>) {
        let market = fees::market(&self.config, view.base_fee, view.tip);
        let best = self.course.flight.as_ref().and_then(|flight| flight.best(view.nonce)).cloned();
        let Some(best) = best else {
            self.sign(now, view, market, found, effects);
            return;
        };
        let is_stuck = self.sent.is_some_and(|sent| {
            let is_old = is_past(now, sent.since, self.config.replace_after_ms);
            sent.transaction == best.transaction && (is_old || sent.is_underpriced)
        });
        let replacement = || market.and_then(|market| fees::replacement(&self.config, best.fees, market));
        if !is_stuck || !self.sign(now, view, replacement(), found, effects) {
            self.send(now, best, effects);
        }
    }

    /// Asks for a transaction of the account's next nonce; false if it may not be or cannot be paid.
    fn sign(
        &mut self,
        now: UnixMillis,
        view: &View,
        fees: Result<Fees, u128>,
        found: &mut Vec<Alarm>,
        effects: &mut Vec<Effect>,
    ) -> bool {
        let Some(flight) = &self.course.flight else { return false };
        let (seq, statement, nonce, gas) = (flight.seq, flight.statement, view.nonce, self.config.gas);
        assert!(nonce >= self.course.nonce_floor, "no nonce is signed for two statements");
        let fees = match fees {
            Ok(fees) => fees,
            Err(needed) => {
                found.push(Alarm::FeeCap { needed, cap: self.config.fee_cap });
                return false;
            }
        };
        let needed = fees.max.saturating_mul(gas.into());
        let budget = self.config.gas_budget_day;
        let is_new = flight.best(nonce).is_none();
        // Replacements leave room for transactions of other nonces, without which none of them could be mined.
        let attempts_max = if is_new { ANCHOR_ATTEMPTS_MAX } else { ANCHOR_ATTEMPTS_MAX / 2 };
        let refusal = if flight.attempts.len() >= attempts_max {
            Some(Alarm::Attempts { seq, attempts: flight.attempts.len() })
        } else if is_new && self.course.gas_spent(now).saturating_add(gas) > budget {
            Some(Alarm::GasBudget { budget })
        } else if view.balance < needed {
            Some(Alarm::BalanceEmpty { balance: view.balance, needed })
        } else {
            None
        };
        if let Some(alarm) = refusal {
            found.push(alarm);
            return false;
        }
        if !self.may_retry(now, self.failed.sign) {
            return false;
        }
        let sign = Sign { seq, statement, nonce, fees, gas };
        effects.push(Effect::Sign(sign));
        self.task = Task::Signing(sign);
        true
    }

    /// Sends a transaction that is durable.
    pub(super) fn send(&mut self, now: UnixMillis, attempt: Attempt, effects: &mut Vec<Effect>) {
        if self.broadcasting.is_some() {
            return;
        }
        let transaction = attempt.transaction;
        if self.sent.is_none_or(|sent| sent.transaction != transaction) {
            self.sent = Some(Sent { transaction, since: now, is_underpriced: false });
        }
        self.broadcasting = Some(transaction);
        effects.push(Effect::Broadcast { transaction, raw: attempt.raw });
    }

    /// Sends the last captured statement's transaction again where the chain lost it.
    fn resend_last(&mut self, now: UnixMillis, view: &View, effects: &mut Vec<Effect>) {
        let is_before = view.head.seq.checked_add(1) == Some(self.course.tip.seq);
        let last = self.course.last.as_ref().filter(|_| is_before);
        if let Some(best) = last.and_then(|last| last.best(view.nonce)).cloned() {
            self.send(now, best, effects);
        }
    }

    /// Takes note of what became of a transaction that was sent.
    pub(super) fn broadcast(
        &mut self,
        transaction: TransactionHash,
        outcome: Broadcast,
        effects: &mut Vec<Effect>,
    ) {
        if self.broadcasting != Some(transaction) {
            return;
        }
        self.broadcasting = None;
        let Some(flight) = &self.course.flight else { return };
        let Some(attempt) = flight.attempts.iter().find(|attempt| attempt.transaction == transaction) else {
            return;
        };
        match outcome {
            Broadcast::Taken => {
                let is_written =
                    self.records.iter().any(|record| *record == Record::Broadcast { transaction });
                let is_known = flight.taken.contains(&transaction) || is_written;
                self.alarms.end(|alarm| matches!(alarm, Alarm::Refused { .. }));
                if !is_known {
                    self.journal(Record::Broadcast { transaction }, effects);
                }
            }
            Broadcast::Underpriced => {
                let sent = self.sent.as_mut().filter(|sent| sent.transaction == transaction);
                if let Some(sent) = sent {
                    sent.is_underpriced = true;
                }
            }
            Broadcast::InsufficientFunds => {
                let needed = attempt.fees.max.saturating_mul(attempt.gas.into());
                let balance = self.balance.unwrap_or_default();
                self.alarm(Alarm::BalanceEmpty { balance, needed }, effects);
            }
            Broadcast::Refused => {
                let seq = flight.seq;
                self.alarm(Alarm::Refused { seq }, effects);
            }
            // The next view tells what used the nonce, or whether somebody answers again.
            Broadcast::NonceTooLow | Broadcast::Unreachable => {}
        }
    }
}

/// Whether an alarm stands only as long as views give cause for it.
const fn is_of_view(alarm: &Alarm) -> bool {
    matches!(
        alarm,
        Alarm::Unreachable { .. }
            | Alarm::Disagree { .. }
            | Alarm::LogBehind { .. }
            | Alarm::ChainId { .. }
            | Alarm::Code
            | Alarm::Key
            | Alarm::HeadAhead { .. }
            | Alarm::HeadForeign { .. }
            | Alarm::HeadBehind { .. }
            | Alarm::Nonce { .. }
            | Alarm::FeeCap { .. }
            | Alarm::GasBudget { .. }
            | Alarm::BalanceLow { .. }
            | Alarm::BalanceEmpty { .. }
            | Alarm::Attempts { .. }
    )
}
