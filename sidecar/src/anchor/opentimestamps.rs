//! A lane of Bitcoin through OpenTimestamps calendars.
//!
//! Guarantees: the calendars see a hash of the statement's hash and a nonce, so they learn nothing and cannot tell one log from
//! another; as many of them as the quorum says must have promised before a statement counts as accepted; only
//! calendars of the configuration are ever asked, whatever an answer names; with a file of headers a block counts only if
//! it stands in that chain under five more. Does not do: believing a calendar about Bitcoin where there are headers to
//! look at; without them its word is kept, and an auditor checks it.
//! Implements the client side of the calendars of opentimestamps/opentimestamps-server (`otsserver/rpc.py`).

use std::path::PathBuf;
use std::sync::Arc;

use http::Method;
use ledgerstone::anchor::bitcoin::{BitcoinAttestation, HEADER_BYTES, HeaderSegment, Network, Pin};
use ledgerstone::anchor::opentimestamps::{
    Attestation, CalendarAnswer, DetachedTimestamp, Stamping, UpgradeRequest,
};
use ledgerstone::anchor::statement::{AnchorKind, LaneName};
use ledgerstone::anchor::submission::Config;
use ledgerstone::code::Code;
use ledgerstone::hash::Hash;
use ledgerstone::limits::OTS_ANSWER_BYTES_MAX;
use serde_json::json;
use tokio::task::{JoinSet, spawn_blocking};

use super::DeskError;
use super::folder::Proof;
use super::lane::{Desk, Lane, LaneRun};
use super::setup::{self, SetupError};
use super::submission::{Target, TargetFault, Work, described, random, run, settings};
use crate::config::anchors::OpenTimestampsConfig;
use crate::outbound::http::{Address, Client, HttpFault, Question};

/// Blocks from the one that holds a statement to the newest, both included, before it counts: what Bitcoin's users wait for.
const CONFIRMATIONS: usize = 6;

/// Media type of a calendar's answers.
const ANSWER_TYPE: &str = "application/vnd.opentimestamps.v1";

/// Media type of what is posted, as the reference client sends it.
const DIGEST_TYPE: &str = "application/x-www-form-urlencoded";

/// The calendars of one lane.
#[derive(Debug)]
struct Calendars {
    addresses: Vec<Address>,
    quorum: usize,
    client: Client,
    headers: Option<PathBuf>,
    network: Network,
}

/// The lane of one set of calendars.
#[derive(Debug)]
pub(super) struct OpenTimestampsLane {
    settings: Config,
    calendars: Arc<Calendars>,
}

impl OpenTimestampsLane {
    /// Reads the certificates that `config` names.
    pub(super) fn new(config: &OpenTimestampsConfig) -> Result<Self, SetupError> {
        let client = Client::new(config.lane.timeout, config.lane.ca_file.as_deref());
        let client = client.map_err(|source| SetupError::Ca { lane: config.lane.name.clone(), source })?;
        let mut settings = settings(&config.lane, AnchorKind::Bitcoin, config.upgrade_interval);
        settings.resubmit_after_ms = u64::try_from(config.resubmit_after.as_millis()).unwrap_or(u64::MAX);
        let calendars = Calendars {
            addresses: config.calendars.clone(),
            quorum: config.quorum,
            client,
            headers: config.headers.clone(),
            network: config.network,
        };
        Ok(Self { settings, calendars: Arc::new(calendars) })
    }
}

impl Lane for OpenTimestampsLane {
    fn name(&self) -> &LaneName {
        &self.settings.lane
    }

    fn kind(&self) -> AnchorKind {
        AnchorKind::Bitcoin
    }

    fn parameters(&self) -> serde_json::Map<String, serde_json::Value> {
        let calendars: Vec<String> = self.calendars.addresses.iter().map(ToString::to_string).collect();
        let network = self.calendars.network.as_str();
        described(&[("calendars", json!(calendars)), ("network", json!(network))])
    }

    fn run(self: Box<Self>, desk: Desk, records: Vec<Vec<u8>>) -> LaneRun {
        run(self.settings, self.calendars, desk, records)
    }
}

impl Target for Calendars {
    fn submit<'a>(&'a self, desk: &'a Desk, seq: u64, statement: Hash) -> Work<'a> {
        Box::pin(self.stamp(desk, seq, statement))
    }

    fn upgrade<'a>(&'a self, desk: &'a Desk, seq: u64, statement: Hash) -> Work<'a> {
        Box::pin(self.complete(desk, seq, statement))
    }

    fn capture<'a>(&'a self, desk: &'a Desk, seq: u64, statement: Hash) -> Work<'a> {
        Box::pin(self.keep_headers(desk, seq, statement))
    }
}

impl Calendars {
    /// Has the calendars promise to hash the statement into a block.
    async fn stamp(&self, desk: &Desk, seq: u64, statement: Hash) -> Result<(), TargetFault> {
        let kept = match desk.proof(seq, Proof::Ots).await? {
            Some(bytes) => Some(parse(&bytes, statement)?),
            None => None,
        };
        // Left by a crash between the proof and its record; one that waited too long has its record, and is added to.
        if let Some(kept) = &kept
            && !desk.standing.is_accepted(seq)
            && self.promised(kept) >= self.quorum
        {
            return Ok(());
        }
        let stamping = Stamping::new(statement, random()?);
        let (answers, faults) = self.ask_all(stamping.commitment()).await;
        if answers.len() < self.quorum {
            let (answered, needed) = (answers.len(), self.quorum);
            return Err(TargetFault::Quorum { answered, needed, faults });
        }
        let mut proof = stamping.finish(&answers).map_err(|error| self.refused(&error, error.code()))?;
        if let Some(kept) = kept {
            proof.merge(&kept).map_err(|error| self.refused(&error, error.code()))?;
        }
        Ok(desk.prove(seq, Proof::Ots, proof.to_bytes()).await?)
    }

    /// Asks every calendar to stamp `commitment`, all at once.
    async fn ask_all(&self, commitment: Hash) -> (Vec<CalendarAnswer>, Vec<String>) {
        let mut asked = JoinSet::new();
        for (place, address) in self.addresses.iter().cloned().enumerate() {
            let client = self.client.clone();
            asked.spawn(async move { (place, stamp_at(&client, &address, commitment).await, address) });
        }
        let (mut answers, mut faults) = (Vec::new(), Vec::new());
        while let Some(done) = asked.join_next().await {
            match done {
                Ok((place, Ok(answer), address)) if promises(&answer, &address) => {
                    answers.push((place, answer))
                }
                Ok((_, Ok(_), address)) => {
                    faults.push(format!(
                        "{address}: it promises under another calendar's name; configure the calendar by its own name"
                    ));
                }
                Ok((_, Err(fault), _)) => faults.push(fault.to_string()),
                Err(_) => faults.push("asking a calendar stopped because of a defect; report it".to_owned()),
            }
        }
        // One order whoever was first, so that the same answers give the same proof.
        answers.sort_by_key(|(place, _)| *place);
        (answers.into_iter().map(|(_, answer)| answer).collect(), faults)
    }

    /// How many of the calendars have promised something in `proof`.
    fn promised(&self, proof: &DetachedTimestamp) -> usize {
        let attested = proof.attestations();
        let has_promised = |address: &&Address| {
            attested.iter().any(|attested| match &attested.attestation {
                Attestation::Pending(uri) => is_at(uri.as_str(), address),
                _ => false,
            })
        };
        if proof.is_complete() { self.quorum } else { self.addresses.iter().filter(has_promised).count() }
    }

    /// Asks the calendars for what leads to a block.
    async fn complete(&self, desk: &Desk, seq: u64, statement: Hash) -> Result<(), TargetFault> {
        let mut proof = self.kept(desk, seq, statement).await?;
        let mut faults = Vec::new();
        let mut is_changed = false;
        for request in proof.upgrade_requests() {
            let Some(address) = self.address_of(&request) else { continue };
            match upgrade_at(&self.client, address, &request).await {
                Ok(answer) => match proof.upgrade(&answer) {
                    Ok(changed) => is_changed |= changed,
                    Err(error) => faults.push(format!("{address}: {error}")),
                },
                // What a calendar says while its next transaction is not deep enough.
                Err(TargetFault::Http { fault: HttpFault::Status { status: 404, .. }, .. }) => {}
                Err(fault) => faults.push(fault.to_string()),
            }
        }
        if is_changed {
            desk.prove(seq, Proof::Ots, proof.to_bytes()).await?;
        }
        match self.block(&proof).await {
            Ok(_) => Ok(()),
            Err(TargetFault::NotYet(_)) if !faults.is_empty() => Err(TargetFault::Calendars { faults }),
            Err(fault) => Err(fault),
        }
    }

    /// Keeps the headers that the proof rests on, and of the proof what leads to that block.
    async fn keep_headers(&self, desk: &Desk, seq: u64, statement: Hash) -> Result<(), TargetFault> {
        let proof = self.kept(desk, seq, statement).await?;
        let Some(Found { block, headers }) = self.block(&proof).await? else { return Ok(()) };
        desk.prove(seq, Proof::Headers, headers).await?;
        match proof.only_block(&block) {
            Some(only) => Ok(desk.prove(seq, Proof::Ots, only.to_bytes()).await?),
            None => Ok(()),
        }
    }

    async fn kept(&self, desk: &Desk, seq: u64, statement: Hash) -> Result<DetachedTimestamp, TargetFault> {
        let missing = || TargetFault::NotYet("there is no proof yet".to_owned());
        parse(&desk.proof(seq, Proof::Ots).await?.ok_or_else(missing)?, statement)
    }

    /// The block that `proof` leads to, as the headers show it; nothing where there are no headers and its word counts.
    async fn block(&self, proof: &DetachedTimestamp) -> Result<Option<Found>, TargetFault> {
        if !proof.is_complete() {
            return Err(TargetFault::NotYet("no calendar has it in a block".to_owned()));
        }
        let Some(path) = self.headers.clone() else { return Ok(None) };
        let blocks = proof.bitcoin_attestations().map_err(|error| self.refused(&error, error.code()))?;
        let network = self.network;
        let found = spawn_blocking(move || {
            let shown = path.display().to_string();
            let file =
                setup::read_file(&path).map_err(|error| TargetFault::File(format!("{shown}: {error}")))?;
            blocks.iter().find_map(|block| find(&file, network, block)).ok_or_else(|| {
                TargetFault::NotYet(format!("{shown} has no block that the proof leads to under five more"))
            })
        });
        found.await.map_err(|_| DeskError::Defect)?.map(Some)
    }

    /// The configured calendar that `request` names.
    fn address_of(&self, request: &UpgradeRequest) -> Option<&Address> {
        self.addresses.iter().find(|address| is_at(request.calendar.as_str(), address))
    }

    fn refused(&self, error: &dyn std::fmt::Display, code: Code) -> TargetFault {
        TargetFault::Refused { target: "the calendars".to_owned(), reason: error.to_string(), code }
    }
}

/// A block that a proof leads to, and the headers up to it and five more.
#[derive(Debug)]
struct Found {
    block: BitcoinAttestation,
    headers: Vec<u8>,
}

/// Looks for the block of `attestation` in a file of headers.
fn find(file: &[u8], network: Network, attestation: &BitcoinAttestation) -> Option<Found> {
    let segment = HeaderSegment::parse(file).ok()?;
    let place = segment.headers().position(|header| header.merkle_root() == attestation.merkle_root)?;
    let headers = file.get(..(place + CONFIRMATIONS) * HEADER_BYTES)?;
    let kept = HeaderSegment::parse(headers).ok()?;
    // The file is the operator's own, so that its first block counts as pinned; what follows must hold together from it.
    let first = kept.headers().next()?;
    let height = attestation.height.checked_sub(u64::try_from(place).ok()?)?;
    let chain = kept.verify(network, &[Pin { height, hash: first.hash() }]).ok()?;
    chain.prove(attestation).ok()?;
    Some(Found { block: *attestation, headers: headers.to_vec() })
}

/// Reads a proof of the store, which must be of `statement`.
fn parse(bytes: &[u8], statement: Hash) -> Result<DetachedTimestamp, TargetFault> {
    let damaged = |reason: String| TargetFault::File(format!("proof.ots in the store is damaged: {reason}"));
    let proof = DetachedTimestamp::parse(bytes).map_err(|error| damaged(error.to_string()))?;
    match proof.digest() == statement.as_bytes() {
        true => Ok(proof),
        false => Err(damaged("it is of another statement".to_owned())),
    }
}

/// Whether `uri` names the calendar at `address`.
fn is_at(uri: &str, address: &Address) -> bool {
    uri.trim_end_matches('/') == address.to_string().trim_end_matches('/')
}

/// Whether `answer` can be upgraded at `address`, or needs no upgrade.
fn promises(answer: &CalendarAnswer, address: &Address) -> bool {
    let mut open = vec![answer.timestamp()];
    while let Some(timestamp) = open.pop() {
        let counts = timestamp.attestations().any(|attestation| match attestation {
            Attestation::Pending(uri) => is_at(uri.as_str(), address),
            Attestation::Bitcoin { .. } => true,
            _ => false,
        });
        if counts {
            return true;
        }
        open.extend(timestamp.operations().map(|(_, result)| result));
    }
    false
}

async fn stamp_at(
    client: &Client,
    address: &Address,
    commitment: Hash,
) -> Result<CalendarAnswer, TargetFault> {
    let body = commitment.as_bytes().to_vec();
    ask(client, address, Method::POST, "digest", body, commitment.as_bytes()).await
}

async fn upgrade_at(
    client: &Client,
    address: &Address,
    request: &UpgradeRequest,
) -> Result<CalendarAnswer, TargetFault> {
    ask(client, address, Method::GET, &request.path(), Vec::new(), &request.commitment).await
}

async fn ask(
    client: &Client,
    address: &Address,
    method: Method,
    path: &str,
    body: Vec<u8>,
    commitment: &[u8],
) -> Result<CalendarAnswer, TargetFault> {
    let target = || address.to_string();
    let unusable = || TargetFault::File(format!("{address}: no address can be made of it and {path}"));
    let question = Question {
        address: address.join(path).ok_or_else(unusable)?,
        content_type: (method == Method::POST).then_some(DIGEST_TYPE),
        method,
        accept: ANSWER_TYPE,
        headers: Vec::new(),
        body: body.into(),
        answer_bytes_max: OTS_ANSWER_BYTES_MAX,
    };
    let answer = client.ask(question).await.map_err(|fault| TargetFault::Http { target: target(), fault })?;
    CalendarAnswer::parse(&answer, commitment).map_err(|error| TargetFault::Refused {
        target: target(),
        reason: error.to_string(),
        code: error.code(),
    })
}
