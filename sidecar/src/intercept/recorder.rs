//! Makes a record of one decision, seals it and has its entry in the log before anyone may see the answer.
//!
//! Guarantees (INV-9): a `Recorded` exists only after the log returned the entry's leaf index, and only a `Recorded`
//! lets an answer go. A decision whose fields cannot be mapped is recorded by its digests. Nothing personal reaches the
//! entry (INV-8): it holds ids, digests and a status code.
//! Does not do: talking to the caller or the model server.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use ledgerstone::entry::{DecisionDetails, DecisionId, Entry, Kind, Mode};
use ledgerstone::limits::SEALED_BYTES_MAX;
use ledgerstone::merkle::LeafIndex;
use ledgerstone::record::{RecordError, RecordSecret};
use ledgerstone::siem::Fact;
use ledgerstone::time::UnixMillis;

use super::answered::Answered;
use super::append::AppendFault;
use super::asked::Asked;
use super::declared;
use super::fields::{self, Facts, FieldsError, Outcomes, Times};
use super::gated::{self, Gated};
use super::route::{RawConfig, Route, Routes};
use super::session::{Seen, Session};
use crate::access::Origin;
use crate::keyring::{About, KeyringError, RecordKeys, Taken};
use crate::metrics::Metrics;
use crate::models::Models;
use crate::seal::{self, SealError, SealedContent};
use crate::siem::Alerts;
use crate::telemetry::{DecisionSpan, Tracing};

/// Bytes of request and response up to which a record is made on the thread that serves the call: hashing and sealing
/// them takes about 100 microseconds. Larger ones go to a thread that may block.
const INLINE_BYTES_MAX: usize = 64 * 1024;

/// Bytes of request and response that a sealed record keeps: the other half is for fields, which repeat the request at most.
const RAW_BYTES_MAX: usize = SEALED_BYTES_MAX / 2;

/// How long a decision waits for a new subject key where none is at hand.
const KEYS_WAIT: Duration = Duration::from_secs(5);

/// An entry, its sealed record, the keys that are in use until the log has it, and what is counted of it.
pub(super) type Prepared = (Entry, Bytes, Taken, Outcomes);

/// Records decisions. Clones stand for the same one.
#[derive(Clone)]
pub struct Recorder(Arc<Inner>, Option<Arc<Models>>, Option<Arc<Alerts>>, Tracing);

struct Inner {
    session: Arc<Session>,
    keys: Arc<dyn RecordKeys>,
    routes: Routes,
    origin: String,
    metrics: Metrics,
}

/// One decision, ready to be recorded.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) id: DecisionId,
    /// When its request arrived.
    pub(crate) arrived: Instant,
    pub(crate) route: Arc<Route>,
    pub(crate) caller: Origin,
    pub(crate) subject_header: Option<String>,
    pub(crate) caller_gone: bool,
    pub(crate) gated: Gated,
    pub(crate) times: Times,
    pub(crate) asked: Asked,
    pub(crate) answered: Answered,
}

/// A decision whose entry is in the log. Its answer may go.
#[derive(Debug)]
pub(crate) struct Recorded {
    pub(crate) id: DecisionId,
    pub(crate) index: LeafIndex,
}

impl Recorder {
    /// Records into the log of `session`, under keys of `keys`, as `routes` say. `origin` is the log's.
    #[must_use]
    pub fn new(
        session: Arc<Session>,
        keys: Arc<dyn RecordKeys>,
        routes: Routes,
        origin: &str,
        metrics: Metrics,
    ) -> Self {
        let inner = Inner { session, keys, routes, origin: origin.to_owned(), metrics };
        Self(Arc::new(inner), None, None, Tracing::default())
    }

    /// Lets rules of the policy gate ask which models are registered. Without it a rule that does refuses.
    #[must_use]
    pub fn with_models(self, models: Arc<Models>) -> Self {
        Self(self.0, Some(models), self.2, self.3)
    }

    /// Tells `alerts` of decisions that a rule of the policy gate refused.
    #[must_use]
    pub fn with_alerts(self, alerts: Arc<Alerts>) -> Self {
        Self(self.0, self.1, Some(alerts), self.3)
    }

    /// Traces decisions. Without it none is.
    #[must_use]
    pub fn with_tracing(self, tracing: Tracing) -> Self {
        Self(self.0, self.1, self.2, tracing)
    }

    pub(crate) fn tracing(&self) -> &Tracing {
        &self.3
    }

    pub(crate) fn models(&self) -> Option<&Models> {
        self.1.as_deref()
    }

    /// The session that numbers the decisions.
    #[must_use]
    pub fn session(&self) -> &Arc<Session> {
        &self.0.session
    }

    /// The routes in force.
    #[must_use]
    pub fn routes(&self) -> &Routes {
        &self.0.routes
    }

    pub(crate) fn origin(&self) -> &str {
        &self.0.origin
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    /// Records one decision and returns once its entry is durable.
    pub(crate) async fn record(
        &self,
        seen: Seen,
        case: Case,
        span: &DecisionSpan,
    ) -> Result<Recorded, NotRecorded> {
        let (id, arrived) = (case.id, case.arrived);
        let code = case.answered.code;
        let route = Arc::clone(&case.route);
        gated::tell(&route, &case.gated);
        let effect = case.gated.counted();
        let refusing = route.gate().and_then(|gate| case.gated.refusing(gate));
        let (entry, sealed, keys, outcomes) = self.prepare(seen.sequence(), case).await?;
        let (model, handed_over) = (entry.model, Instant::now());
        let mut step = span.step("ledgerstone.append");
        let appended = seen.append(entry, Some(sealed)).await;
        if appended.is_err() {
            step.failed("not_recorded");
        }
        drop(step);
        let index = appended?;
        keys.done();
        let (metrics, seen) = (&self.0.metrics, span.seen());
        metrics.append(handed_over.elapsed(), seen);
        metrics.decided(route.name(), arrived.elapsed(), seen);
        metrics.decision(route.name(), code);
        for (action, persons) in outcomes {
            metrics.outcomes(route.name(), model, action, persons);
        }
        span.recorded(index, model, effect);
        if route.gate().is_some() {
            metrics.gate(route.name(), effect);
        }
        if let (Some(alerts), Some(rule)) = (&self.2, refusing) {
            let fact = Fact::PolicyRefusal { route: route.name().to_owned(), rule: rule.to_owned() };
            alerts.raise_about(fact, None, Some(id));
        }
        tracing::debug!(decision = %id, leaf_index = index.get(), route = route.name(), "recorded");
        Ok(Recorded { id, index })
    }

    /// The entry of `case` and its sealed record, made on this thread.
    pub(super) fn prepare_now(&self, sequence: u64, case: &Case) -> Result<Prepared, NotRecorded> {
        self.0.prepare(sequence, case)
    }

    /// The same. Where the keyring has no new key at hand it is waited for, up to a time.
    async fn prepare(&self, sequence: u64, case: Case) -> Result<Prepared, NotRecorded> {
        let (case, until) = (Arc::new(case), tokio::time::Instant::now() + KEYS_WAIT);
        loop {
            match self.prepare_once(sequence, Arc::clone(&case)).await {
                Err(NotRecorded::Seal(SealError::Keys(KeyringError::PoolEmpty))) => {
                    if tokio::time::timeout_at(until, self.0.keys.refilled()).await.is_err() {
                        return Err(NotRecorded::Seal(SealError::Keys(KeyringError::PoolEmpty)));
                    }
                }
                prepared => return prepared,
            }
        }
    }

    async fn prepare_once(&self, sequence: u64, case: Arc<Case>) -> Result<Prepared, NotRecorded> {
        if case.asked.body.len() + case.answered.body.len() <= INLINE_BYTES_MAX {
            return self.prepare_now(sequence, &case);
        }
        let inner = Arc::clone(&self.0);
        tokio::task::spawn_blocking(move || inner.prepare(sequence, &case))
            .await
            .unwrap_or(Err(NotRecorded::Panicked))
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder").field("session", &self.0.session).finish_non_exhaustive()
    }
}

impl Inner {
    /// The entry of `case` and its sealed record.
    fn prepare(&self, sequence: u64, case: &Case) -> Result<Prepared, NotRecorded> {
        let raw = Raw::of(case);
        let id = case.id.to_string();
        // Read once, so that the record and its entry name the same model while the files change.
        let (model, model_problem) =
            declared::identity(&case.route, case.answered.infer.as_ref(), &self.metrics);
        let facts = Facts {
            id: &id,
            route: &case.route,
            model,
            model_problem,
            caller: &case.caller,
            gated: &case.gated,
            subject_header: case.subject_header.as_deref(),
            caller_gone: case.caller_gone,
            times: case.times,
            asked: &case.asked,
            answered: &case.answered,
            key: self.keys.key_name().as_str(),
            raw_too_large: matches!(raw, Raw::TooLarge),
        };
        let record = fields::record(&facts).or_else(|error| fields::minimal(&facts, &error))?;
        let secret = RecordSecret::from_bytes(*seal::random()?);
        let commitment = record.commit(&secret).commitment();
        let outcomes = fields::outcomes(&record);
        let (request, response) = raw.kept();
        let content = SealedContent { secret, record, request, response };
        let about = About::of(&content.record, case.times.received);
        let keys = self.keys.take(&about).map_err(SealError::Keys)?;
        let sealed = seal::seal_under(self.keys.as_ref(), &keys, &case.id, Kind::Decision, &content)?;
        let details = DecisionDetails { status: i32::from(case.answered.code).unsigned_abs() };
        let session = &self.session;
        let mut entry =
            Entry::decision(session.writer().clone(), session.id(), sequence, case.id, commitment, details);
        entry.model = model.map(|model| model.digest);
        entry.policy = Some(case.route.policy_digest());
        entry.mode = Some(Mode::Strict);
        Ok((entry, sealed.into(), keys, outcomes))
    }
}

/// The wire's bytes that go into the sealed record.
enum Raw {
    Kept { request: Option<Bytes>, response: Option<Bytes> },
    Left,
    TooLarge,
}

impl Raw {
    fn of(case: &Case) -> Self {
        if case.route.config().raw == RawConfig::Digest || case.route.has_masks() {
            return Self::Left;
        }
        let message = |message: Option<&super::frame::Message>, body: &Bytes| {
            let bytes = message.map_or(body, |message| &message.bytes);
            (!bytes.is_empty()).then(|| bytes.clone())
        };
        let request = message(case.asked.message.as_ref(), &case.asked.body);
        let response = message(case.answered.message.as_ref(), &case.answered.body);
        let length = |bytes: &Option<Bytes>| bytes.as_ref().map_or(0, Bytes::len);
        if length(&request) + length(&response) > RAW_BYTES_MAX {
            return Self::TooLarge;
        }
        Self::Kept { request, response }
    }

    fn kept(self) -> (Option<Bytes>, Option<Bytes>) {
        match self {
            Self::Kept { request, response } => (request, response),
            Self::Left | Self::TooLarge => (None, None),
        }
    }
}

/// A fresh decision id: UUIDv7 (RFC 9562, section 5.7) of `now`, the rest random.
pub(crate) fn decision_id(now: UnixMillis) -> Result<DecisionId, NotRecorded> {
    let random = seal::random::<10>()?;
    let uuid = uuid::Builder::from_unix_timestamp_millis(now.get(), &random).into_uuid();
    Ok(DecisionId::from_bytes(uuid.into_bytes()))
}

/// The time, as the operating system tells it; a clock before 1970 reads as 1970.
pub(crate) fn now() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMillis::new(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// Why a decision has no record. Its answer stays here.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotRecorded {
    /// Not even the digests make a record.
    #[error("the record cannot be made: {0}")]
    Fields(#[from] FieldsError),
    /// No keys or no randomness.
    #[error("the record cannot be sealed: {0}")]
    Seal(#[from] SealError),
    /// The log did not take it.
    #[error("the record is not in the log: {0}")]
    Log(#[from] AppendFault),
    /// A defect.
    #[error("the record cannot be made because of a defect; report it")]
    Panicked,
}

impl From<RecordError> for NotRecorded {
    fn from(error: RecordError) -> Self {
        Self::Fields(error.into())
    }
}
