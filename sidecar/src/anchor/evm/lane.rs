//! The lane of an EVM chain: carries out what the library's scheduler decides.
//!
//! Guarantees: a transaction is durable in the journal before an endpoint sees it, and only its stored bytes are sent;
//! the nonce is the scheduler's, from the chain, and never kept here; a proof is verified before it is stored; a fault
//! of the chain, its endpoints or the key ends nothing but the attempt.
//! Does not do: deciding what to do, or when.

use std::fmt::Display;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use alloy_primitives::B256;
use ledgerstone::anchor::evm::Advance;
use ledgerstone::anchor::scheduler::{
    Address, Block as BlockId, BlockHash, Capture, CodeHash, Config, ContractHead, Effect, Event, Receipt,
    Record, Scheduler, Sign, TransactionHash, View,
};
use ledgerstone::anchor::statement::{AnchorKind, LaneName, Statement};
use ledgerstone::hash::Hash;
use ledgerstone::merkle::TreeSize;
use ledgerstone::time::UnixMillis;
use serde_json::{Map, Value, json};
use tokio::task::JoinSet;

use super::beacon::{Beacon, LightError};
use super::block::Block;
use super::broadcast;
use super::capture::{self, Subject};
use super::key::AnchorSigner;
use super::transaction::{self, Order};
use super::view::{Chain, ChainView, ContractState};
use crate::anchor::{Confirmed, Desk, Lane, LaneRun, Proof, Stated};

/// How often the scheduler is told that time passed.
const TICK: Duration = Duration::from_millis(250);

/// The state of a lane that cannot go on.
const STOPPED: &str = "stopped";

const UNREGISTERED: &str = "the contract does not know this log: register it with `anchor deploy --contract`";

/// One EVM chain as an anchor target.
pub struct EvmLane {
    pub(super) config: Config,
    pub(super) chain: Chain,
    pub(super) subject: Subject,
    pub(super) signer: Arc<dyn AnchorSigner>,
    pub(super) beacon: Option<Beacon>,
    /// What the error that is shown is about; it goes once that went well.
    pub(super) failing: Mutex<Option<Step>>,
}

/// A step of a lane that can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Build,
    Journal,
    Sign,
    Send,
    View,
    Capture,
    Append,
}

impl Lane for EvmLane {
    fn name(&self) -> &LaneName {
        &self.config.lane
    }

    fn kind(&self) -> AnchorKind {
        AnchorKind::Ethereum
    }

    fn parameters(&self) -> Map<String, Value> {
        let mut parameters = Map::new();
        parameters.insert("chain_id".to_owned(), json!(self.subject.chain_id));
        parameters.insert("contract".to_owned(), json!(self.subject.contract));
        parameters.insert("first_key".to_owned(), json!(self.subject.first_key));
        parameters
    }

    fn run(self: Box<Self>, desk: Desk, records: Vec<Vec<u8>>) -> LaneRun {
        Box::pin(Arc::<Self>::from(self).work(Arc::new(desk), records))
    }
}

impl EvmLane {
    async fn work(self: Arc<Self>, desk: Arc<Desk>, records: Vec<Vec<u8>>) {
        let (mut scheduler, mut marks) = match recover(&self.config, &records) {
            Ok(recovered) => recovered,
            Err(error) => return stop(&desk, &error),
        };
        let mut published = desk.published();
        let mut running: JoinSet<Event> = JoinSet::new();
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let ended = desk.ended();
        tokio::pin!(ended);
        let mut event = Event::Log(published.borrow_and_update().size);
        loop {
            for effect in scheduler.handle(desk.now(), event) {
                marks.note(&effect);
                self.start(effect, &desk, &mut running);
            }
            marks.show(&desk, &scheduler);
            event = tokio::select! {
                () = &mut ended => return,
                _ = ticks.tick() => Event::Tick,
                Ok(()) = published.changed() => Event::Log(published.borrow_and_update().size),
                Some(done) = running.join_next(), if !running.is_empty() => match done {
                    Ok(event) => event,
                    Err(_) => return stop(&desk, "the lane stopped because of a defect; report it, and restart"),
                },
            };
        }
    }

    /// Starts an effect; its end is an event.
    fn start(self: &Arc<Self>, effect: Effect, desk: &Arc<Desk>, running: &mut JoinSet<Event>) {
        let (lane, desk) = (Arc::clone(self), Arc::clone(desk));
        match effect {
            // Shown with the others that stand, by `show`.
            Effect::Alarm(_) => {}
            effect => _ = running.spawn(async move { lane.perform(effect, &desk).await }),
        }
    }

    async fn perform(&self, effect: Effect, desk: &Desk) -> Event {
        match effect {
            Effect::Build(build) => {
                self.told(desk, Step::Build, desk.build(build).await).map_or(Event::BuildFailed, Event::Built)
            }
            Effect::Journal(record) => self
                .told(desk, Step::Journal, desk.journal(record.encode()).await)
                .map_or(Event::JournalFailed, |()| Event::Journaled),
            Effect::Sign(sign) => {
                self.told(desk, Step::Sign, self.sign(&sign, desk).await).unwrap_or(Event::SignFailed)
            }
            Effect::Broadcast { transaction, raw } => {
                let sent = broadcast::send(&self.chain.endpoints, &raw).await;
                let failure = sent.failures.into_iter().next();
                self.told(desk, Step::Send, failure.map_or(Ok(()), Err));
                Event::Broadcast { transaction, outcome: sent.outcome }
            }
            Effect::Observe { transactions } => self.observe(&transactions, desk).await,
            Effect::Capture(wanted) => {
                let (seq, captured) = (wanted.seq, self.capture(&wanted, desk).await);
                match &captured {
                    // Nothing is wrong: a final block is final to light clients some slots later.
                    Err(error) if matches!(error.downcast_ref(), Some(LightError::NotYet { .. })) => {
                        tracing::debug!(lane = %self.config.lane, %error);
                        return Event::CaptureWaits { seq };
                    }
                    _ => {}
                }
                self.told(desk, Step::Capture, captured)
                    .map_or(Event::CaptureFailed { seq }, |()| Event::Captured { seq })
            }
            Effect::AppendEntry(details) => {
                let seq = details.seq;
                self.told(desk, Step::Append, desk.append(details).await)
                    .map_or(Event::AppendFailed { seq }, |_| Event::Appended { seq })
            }
            _ => Event::Tick,
        }
    }

    /// Shows how a step ended. An error stays until the same step goes well.
    fn told<T, E: Display>(&self, desk: &Desk, step: Step, ended: Result<T, E>) -> Option<T> {
        let mut failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        match ended {
            Ok(value) => {
                if *failing == Some(step) {
                    *failing = None;
                    desk.standing.went_well();
                }
                Some(value)
            }
            Err(error) => {
                *failing = Some(step);
                desk.standing.failed(desk.now(), error);
                None
            }
        }
    }

    /// Signs `advance` with what the stored statement says.
    async fn sign(&self, sign: &Sign, desk: &Desk) -> anyhow::Result<Event> {
        let bytes = desk.statement(sign.seq).await?;
        anyhow::ensure!(Hash::of(&bytes) == sign.statement, "the stored statement {} was changed", sign.seq);
        let statement = Statement::decode(&bytes)?;
        let advance = Advance {
            log_id: self.subject.log_id,
            seq: u32::try_from(statement.seq)?,
            previous: statement.previous,
            size: statement.to.size.get(),
            root: statement.to.root,
            statement: sign.statement,
        };
        let order = Order {
            chain_id: self.subject.chain_id,
            nonce: sign.nonce,
            to: Some(self.subject.contract),
            input: advance.call(),
            gas_limit: sign.gas,
            max_fee_per_gas: sign.fees.max,
            max_priority_fee_per_gas: sign.fees.tip,
        };
        let signer = Arc::clone(&self.signer);
        // A device may take its time.
        let signed = tokio::task::spawn_blocking(move || transaction::sign(order, signer.as_ref())).await??;
        let transaction = TransactionHash::from_bytes(signed.hash.0);
        Ok(Event::Signed { transaction, raw: signed.raw.to_vec() })
    }

    async fn observe(&self, transactions: &[TransactionHash], desk: &Desk) -> Event {
        let transactions: Vec<B256> = transactions.iter().map(|hash| B256::from(*hash.as_bytes())).collect();
        match self.chain.view(&transactions).await {
            Ok(view) => {
                let [at_latest, ..] = &view.contract;
                let unknown = at_latest.head.key == [0; 20] && at_latest.code_hash.is_some();
                let wrong = match view.faults.first() {
                    Some(fault) => Err(fault.to_string()),
                    None if unknown => Err(UNREGISTERED.to_owned()),
                    None if self.ran_out_of_gas(&view) => Err(format!(
                        "a transaction failed because it used up its gas limit of {}: raise `gas`",
                        self.config.gas
                    )),
                    None => Ok(()),
                };
                self.told(desk, Step::View, wrong);
                Event::Observed(observed(&view))
            }
            Err(error) => {
                let event = if error.is_contradiction() { Event::Disagree } else { Event::Unreachable };
                self.told(desk, Step::View, Err::<(), _>(error));
                event
            }
        }
    }

    /// Whether a transaction in flight failed for want of gas; a revert of the contract takes less than the limit.
    fn ran_out_of_gas(&self, view: &ChainView) -> bool {
        let is_used_up = |receipt: &super::receipts::Receipt| {
            !receipt.succeeded() && receipt.gas_used.to::<u64>() >= self.config.gas
        };
        view.receipts.iter().any(is_used_up)
    }

    /// Captures, verifies and stores the proof of a statement.
    async fn capture(&self, wanted: &Capture, desk: &Desk) -> anyhow::Result<()> {
        let captured = capture::capture(&self.chain.endpoints, &self.subject, wanted).await?;
        if let Some(error) = &captured.no_receipt {
            tracing::warn!(lane = %self.config.lane, %error, "the proof is captured without the receipt");
        }
        let mut bundle = captured.bundle;
        if let Some(beacon) = &self.beacon {
            let previous = match wanted.seq {
                1 => None,
                seq => desk.proof(seq - 1, Proof::Evm).await?,
            };
            beacon.extend(&mut bundle, &self.chain.endpoints, previous.as_deref()).await?;
        }
        let bytes = bundle.encode()?;
        let statement = Statement::decode(&desk.statement(wanted.seq).await?)?;
        capture::check(&bytes, &self.subject, &statement, wanted)?;
        Ok(desk.prove(wanted.seq, Proof::Evm, bytes).await?)
    }
}

/// The lane's state from its journal.
pub(super) fn recover(config: &Config, records: &[Vec<u8>]) -> Result<(Scheduler, Marks), String> {
    let decoded: Result<Vec<Record>, _> = records.iter().map(|record| Record::decode(record)).collect();
    let records = decoded.map_err(|error| format!("the lane's journal cannot be used: {error}"))?;
    let mut marks = Marks::default();
    records.iter().for_each(|record| marks.note_record(record));
    let scheduler = Scheduler::recover(config.clone(), records);
    Ok((scheduler.map_err(|error| format!("the lane's journal cannot be used: {error}"))?, marks))
}

fn stop(desk: &Desk, error: &str) {
    desk.standing.state(STOPPED);
    desk.standing.failed(desk.now(), error);
    tracing::error!(lane = %desk.standing.lane(), error, "the lane does not run");
}

/// When the newest statement was planned and the newest one captured; shown once the scheduler counts them as durable.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Marks {
    planned: Option<Stated>,
    captured: Option<(u64, UnixMillis)>,
}

impl Marks {
    fn note(&mut self, effect: &Effect) {
        if let Effect::Journal(record) = effect {
            self.note_record(record);
        }
    }

    fn note_record(&mut self, record: &Record) {
        match record {
            Record::Planned { seq, to, at, .. } => {
                self.planned = Some(Stated { seq: *seq, size: to.size, at: *at });
            }
            Record::Captured { seq, at } => self.captured = Some((*seq, *at)),
            _ => {}
        }
    }

    /// Tells metrics and the admin page how the lane stands.
    fn show(&self, desk: &Desk, scheduler: &Scheduler) {
        let snapshot = scheduler.snapshot(desk.now());
        desk.standing.state(if snapshot.is_stopped { STOPPED } else { snapshot.state.as_str() });
        if let Some(planned) = self.planned.filter(|planned| planned.seq <= snapshot.seq) {
            desk.standing.stated(planned);
        }
        let anchored = snapshot.anchored;
        if let Some((_, at)) = self.captured.filter(|(seq, _)| *seq == anchored.seq) {
            desk.standing.confirmed(Confirmed { seq: anchored.seq, size: anchored.head.size, at });
        }
        desk.standing.alarms(scheduler.alarms());
    }
}

/// A view in the scheduler's words.
fn observed(view: &ChainView) -> View {
    let [latest, safe, finalized] = view.contract;
    View {
        chain_id: view.chain_id,
        latest: block_id(&view.latest),
        safe: block_id(&view.safe),
        finalized: block_id(&view.finalized),
        code: latest.code_hash.map(|hash| CodeHash::from_bytes(hash.0)),
        nonce: view.nonce,
        nonce_finalized: view.nonce_finalized,
        balance: u128::try_from(view.balance).unwrap_or(u128::MAX),
        base_fee: view.base_fee,
        tip: view.tip,
        head: head(&latest),
        head_safe: head(&safe),
        head_finalized: head(&finalized),
        receipts: view.receipts.iter().map(receipt).collect(),
    }
}

fn block_id(block: &Block) -> BlockId {
    BlockId { number: block.number(), hash: BlockHash::from_bytes(block.hash.0) }
}

/// The contract's head. A log that is not registered has the zero key, which is nobody's, so the scheduler does not sign.
fn head(state: &ContractState) -> ContractHead {
    ContractHead {
        seq: state.head.seq.into(),
        size: TreeSize::new(state.head.size),
        statement: Hash::from_bytes(state.head.statement),
        key: Some(Address::from_bytes(state.head.key)),
    }
}

fn receipt(receipt: &super::receipts::Receipt) -> Receipt {
    Receipt {
        transaction: TransactionHash::from_bytes(receipt.transaction_hash.0),
        block: BlockId {
            number: receipt.block_number.to(),
            hash: BlockHash::from_bytes(receipt.block_hash.0),
        },
        succeeded: receipt.succeeded(),
    }
}
