//! What the console is told: how the sidecar stands, in one JSON object.
//!
//! Guarantees: nothing in it is personal (INV-8): routes are named by the configuration, models by digests and registered names,
//! decisions by random ids. Does not do: judging; the page says what is missing, late or not anchored, and checks the proofs itself.

use std::collections::BTreeMap;

use ledgerstone::encoding::base64_encode;
use ledgerstone::merkle::TreeSize;
use ledgerstone::time::UnixMillis;
use serde::Serialize;
use serde_json::{Value as Json, json};

use super::look::Looked;
use super::{Inner, Open, alerts};
use crate::anchor::Standing as LaneStanding;
use crate::driver::system_clock;
use crate::intercept::route::{Route, UNROUTED};
use crate::models::Standing;

/// Counts of decisions, by route and by code or by what the gate did.
const DECISIONS: &str = "ledgerstone_decisions_total";
const GATE: &str = "ledgerstone_gate_total";

/// For one route, a count for each word.
type Counts = BTreeMap<String, BTreeMap<String, u64>>;

impl Inner {
    /// How everything stands that needs no log: routes, anchors, and whether the sidecar is up.
    pub(super) fn standing(&self) -> Json {
        let Self { status, facts, anchors, .. } = self;
        let reason = |result: Result<(), String>| result.err();
        json!({
            "now": system_clock().get(),
            "origin": facts.origin,
            "writer": facts.writer,
            "version": env!("CARGO_PKG_VERSION"),
            "heartbeat_ms": self.heartbeat_ms(),
            "live": reason(status.live().map_err(|reason| reason.to_string())),
            "ready": reason(status.ready().map_err(|reason| reason.to_string())),
            "durable": status.committed().get(),
            "routes": self.routes(),
            "alerts": alerts::told(&self.alerts),
            "anchors": {
                "lanes": anchors.lanes().map(|lane| lane_json(lane)).collect::<Vec<_>>(),
                "quorum": anchors.quorum().map(ToString::to_string),
                "anchored": anchors.anchored_size().map(TreeSize::get),
            },
        })
    }

    /// Every route with what it serves and what it decided since the start.
    fn routes(&self) -> Vec<Json> {
        let decisions = self.counts(DECISIONS, "code");
        let gates = self.counts(GATE, "effect");
        let counted = |counts: &Counts, route: &str| json!(counts.get(route));
        let described = |route: &Route| {
            let config = route.config();
            let (standing, registered_at) = match self.models.standing(route) {
                Standing::NoDigest => ("none", None),
                Standing::Reading => ("reading", None),
                Standing::Unregistered => ("unregistered", None),
                Standing::Registered { index } => ("registered", Some(index.get())),
                Standing::Differs { index, .. } => ("differs", Some(index.get())),
            };
            json!({
                "name": route.name(),
                "model": config.matches.model,
                "mode": config.mode,
                "digest": route.identity().map(|identity| identity.digest.to_string()),
                "standing": standing,
                "registered_at": registered_at,
                "decisions": counted(&decisions, route.name()),
                "gate": counted(&gates, route.name()),
            })
        };
        let mut routes: Vec<Json> = self.routes.configured().map(|route| described(route)).collect();
        // Traffic that no route describes is told of once there is some.
        let unrouted = self.routes.get(UNROUTED).filter(|_| decisions.contains_key(UNROUTED));
        routes.extend(unrouted.map(|route| described(route)));
        routes
    }

    /// The values of a counter by route and by `label`.
    fn counts(&self, name: &str, label: &str) -> Counts {
        let mut counts = Counts::new();
        for (mut labels, value) in self.metrics.counts(name) {
            if let (Some(route), Some(word)) = (labels.remove("route"), labels.remove(label)) {
                counts.entry(route).or_default().insert(word, value);
            }
        }
        counts
    }
}

/// How one anchor lane stands.
fn lane_json(lane: &LaneStanding) -> Json {
    let shown = lane.shown();
    let millis = |time: UnixMillis| time.get();
    json!({
        "lane": lane.lane().to_string(),
        "kind": lane.kind().as_str(),
        "state": shown.state,
        "confirmed": shown.confirmed.map(|known| json!({"seq": known.seq, "size": known.size.get(), "at": known.at.get()})),
        "error": shown.error.map(|(at, text)| json!({"at": at.get(), "text": text})),
        "next_attempt": shown.next_attempt.map(millis),
        "waiting_since": shown.waiting_since.map(millis),
        "alarms": shown.alarms.iter().map(|(_, text)| text).collect::<Vec<_>>(),
    })
}

/// What there is to say of the log.
#[derive(Serialize)]
pub(super) struct OfLog<'a> {
    session: String,
    in_flight: u64,
    unrecorded: u64,
    published: u64,
    checkpoint: &'a str,
    /// For whoever asks for the first time.
    policy: Option<&'a str>,
    /// That the tree that whoever asks knew is the beginning of this one.
    consistency: Option<Consistency>,
    models: Vec<Json>,
    read: Looked<'a>,
}

/// A consistency proof, or why there is none.
#[derive(Serialize)]
struct Consistency {
    from: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    proof: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl Inner {
    /// How the log stands for somebody who knew a tree of `known` leaves. Blocks on the disk.
    pub(super) fn of_log(&self, open: &Open, known: Option<TreeSize>) -> Json {
        let mut look = open.look();
        let read = look.when_due(&open.log);
        // Read after the look, so that what is proved is not older than what was read.
        let published = open.log.published();
        let models = read.summary.models().map(|(digest, seen)| {
            let registered = self.models.registered_as(digest);
            json!({"digest": digest.to_string(), "registered": registered, "seen": seen})
        });
        let told = OfLog {
            session: open.session.id().to_string(),
            in_flight: open.session.in_flight(),
            unrecorded: open.session.unrecorded(),
            published: published.size.get(),
            checkpoint: &published.checkpoint,
            policy: known.is_none().then(|| open.log.policy_text()),
            consistency: known.map(|from| consistency(open, from, published.size)),
            models: models.collect(),
            read,
        };
        json!(told)
    }
}

fn consistency(open: &Open, from: TreeSize, to: TreeSize) -> Consistency {
    let proved = open.log.consistency(from, to);
    let (proof, error) = match proved {
        Ok(proof) => (Some(proof.iter().map(|hash| base64_encode(hash.as_bytes())).collect()), None),
        Err(error) => (None, Some(error.to_string())),
    };
    Consistency { from: from.get(), proof, error }
}
