//! How the chain sees a lane, for a person.

use std::fmt::Write as _;
use std::path::Path;

use alloy_primitives::{Address, B256, U256};
use ledgerstone::encoding::hex_encode;
use ledgerstone::store::fs::StdDisk;
use ledgerstone::time::UnixMillis;

use super::lane::{EvmLane, recover};
use super::view::ChainView;
use crate::anchor::journal;

impl EvmLane {
    /// Looks at the chain once, and at the journal in `store`, and says what is there. Nothing is changed or sent.
    pub async fn describe(&self, store: &Path, origin: &str, now: UnixMillis) -> String {
        let mut text = String::new();
        match self.chain.view(&[]).await {
            Ok(view) => self.say(&view, &mut text),
            Err(error) => _ = writeln!(text, "  chain: {error}"),
        }
        self.say_flight(store, origin, now, &mut text);
        text
    }

    fn say(&self, view: &ChainView, text: &mut String) {
        let (latest, last) = (view.latest.number(), view.finalized.number());
        let asked = self.chain.endpoints.len();
        _ = writeln!(
            text,
            "  chain {}: block {latest}, final block {last}, {} of {asked} endpoints agree",
            view.chain_id, view.endpoints
        );
        if view.chain_id != self.config.chain_id {
            _ = writeln!(text, "    WRONG CHAIN: {} is configured", self.config.chain_id);
        }
        for fault in &view.faults {
            _ = writeln!(text, "    {fault}");
        }
        let [at_latest, _, at_finalized] = &view.contract;
        let code = match at_latest.code_hash {
            None => "no code: deploy the contract or correct the address",
            Some(hash) if hash == B256::from(*self.config.code.as_bytes()) => "the expected code",
            Some(_) => "OTHER CODE than AnchorHead's",
        };
        _ = writeln!(text, "  contract {}: {code}", self.chain.contract);
        let key = Address::from(at_latest.head.key);
        let registered = match key {
            Address::ZERO => "not registered: `anchor deploy --contract` does it".to_owned(),
            key if key == self.chain.account => format!("key {key}, this lane's"),
            key => format!("key {key}, NOT this lane's"),
        };
        _ = writeln!(text, "    log id 0x{}: {registered}", hex_encode(self.chain.log_id.as_bytes()));
        let (head, known) = (&at_latest.head, &at_finalized.head);
        _ = writeln!(
            text,
            "    head: statement {} of {} entries; final: statement {} of {} entries",
            head.seq, head.size, known.seq, known.size
        );
        let anchor = U256::from(self.config.fee_cap) * U256::from(self.config.gas);
        let anchors = view.balance.checked_div(anchor).unwrap_or(U256::MAX);
        _ = writeln!(
            text,
            "  account {}: {} wei, {anchors} anchors at the fee cap, nonce {}",
            self.chain.account, view.balance, view.nonce
        );
        _ = writeln!(text, "  fees: base fee {} wei, suggested tip {} wei", view.base_fee, view.tip);
    }

    fn say_flight(&self, store: &Path, origin: &str, now: UnixMillis, text: &mut String) {
        let lane = &self.config.lane;
        let identity = journal::identity(origin, lane.as_str());
        let read = journal::read(&StdDisk::new(store), &format!("{}/{lane}", journal::FOLDER), identity);
        let recovered = read.map_err(|error| error.to_string());
        let recovered = recovered.and_then(|read| recover(&self.config, &read.records));
        let (scheduler, _) = match recovered {
            Ok(recovered) => recovered,
            Err(error) => {
                _ = writeln!(text, "  in flight: {error}");
                return;
            }
        };
        let snapshot = scheduler.snapshot(now);
        if scheduler.attempts().is_empty() && snapshot.state.as_str() == "idle" {
            _ = writeln!(text, "  in flight: nothing");
            return;
        }
        _ = writeln!(text, "  in flight: statement {}, {}", snapshot.seq, snapshot.state);
        for attempt in scheduler.attempts() {
            _ = writeln!(
                text,
                "    transaction {} of nonce {}, at most {} wei per gas",
                attempt.transaction, attempt.nonce, attempt.fees.max
            );
        }
        if let Some(place) = scheduler.place() {
            _ = writeln!(text, "    seen in block {}", place.block);
        }
    }
}
