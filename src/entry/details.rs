//! What only one kind of entry says: a small map, and its typed forms.

use std::collections::BTreeMap;

use super::access::AccessDetails;
use super::erasure::{ErasureDetails, HoldDetails, ReleaseDetails};
use super::{AnchorKind, EntryError, Kind, LaneName, RegisteredName, RegisteredVersion, SessionId};
use crate::hash::Hash;
use crate::limits::{ANCHOR_SEQ_MAX, APPROVAL_SIGNATURES_MAX, APPROVAL_STATEMENT_BYTES_MAX, TREE_SIZE_MAX};
use crate::merkle::TreeSize;

/// Where an entry that changes something holds the statement that was approved (`docs/spec/approval.md`).
pub const DETAIL_STATEMENT: u64 = 30;

/// Where it holds the signatures over the statement.
pub const DETAIL_SIGNATURES: u64 = 31;

/// Bytes of one of those signatures, with the place of its key in the roster.
pub(crate) const APPROVAL_SIGNATURE_BYTES: usize = 65;

/// A value in the details.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Detail {
    /// An unsigned integer.
    Uint(u64),
    /// Bytes.
    Bytes(Vec<u8>),
    /// Text; never a personal value.
    Text(String),
    /// True or false.
    Bool(bool),
}

/// Numbered values, by rising number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Details(BTreeMap<u64, Detail>);

impl Details {
    /// No values.
    #[must_use]
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// The same details and one more, or another value for a number that was there.
    #[must_use]
    pub fn with(mut self, key: u64, detail: Detail) -> Self {
        self.0.insert(key, detail);
        self
    }

    /// The value with this number.
    #[must_use]
    pub fn value(&self, key: u64) -> Option<&Detail> {
        self.0.get(&key)
    }

    /// All values, by rising number.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (u64, &Detail)> {
        self.0.iter().map(|(key, detail)| (*key, detail))
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The approval among them, if there is one: the statement's text, and the signatures behind each other.
    ///
    /// # Errors
    /// The number that is missing or not of its form.
    pub(crate) fn approval(&self) -> Result<Option<(&str, &[u8])>, u64> {
        let (statement, signatures) = match (self.value(DETAIL_STATEMENT), self.value(DETAIL_SIGNATURES)) {
            (None, None) => return Ok(None),
            (Some(Detail::Text(statement)), Some(Detail::Bytes(signatures))) => (statement, signatures),
            (Some(Detail::Text(_)), _) => return Err(DETAIL_SIGNATURES),
            _ => return Err(DETAIL_STATEMENT),
        };
        if !(1..=APPROVAL_STATEMENT_BYTES_MAX).contains(&statement.len()) {
            return Err(DETAIL_STATEMENT);
        }
        let count = signatures.len() / APPROVAL_SIGNATURE_BYTES;
        let is_whole = signatures.len().is_multiple_of(APPROVAL_SIGNATURE_BYTES);
        if !is_whole || !(1..=APPROVAL_SIGNATURES_MAX).contains(&count) {
            return Err(DETAIL_SIGNATURES);
        }
        Ok(Some((statement, signatures)))
    }
}

/// What a start entry says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartDetails {
    /// Version of the sidecar.
    pub version: String,
    /// SHA-256 of its configuration.
    pub configuration: Hash,
    /// The session of the same writer before this one, as far as its store knows.
    pub previous_session: Option<SessionId>,
}

/// What a heartbeat says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeartbeatDetails {
    /// Requests seen and not yet recorded.
    pub in_flight: u64,
    /// The lowest sequence among them; the heartbeat's own if there are none.
    pub lowest_in_flight: u64,
}

/// What a gap entry says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GapDetails {
    /// First sequence without a record.
    pub first: u64,
    /// Last sequence without a record.
    pub last: u64,
    /// Why there is none.
    pub reason: GapReason,
}

/// Why a request that was seen has no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GapReason {
    /// The record could not be made durable; in strict mode the answer was not released either.
    NotRecorded = 1,
    /// The route's time was up and the answer went out without its record.
    TimeUp = 2,
    /// More records waited than memory is granted, and this one was dropped.
    Dropped = 3,
    /// The request ended before there was anything to record.
    Abandoned = 4,
}

impl GapReason {
    /// The number that stands in the entry.
    #[must_use]
    pub const fn number(self) -> u64 {
        self as u64
    }

    /// The reason with this number.
    #[must_use]
    pub const fn from_number(number: u64) -> Option<Self> {
        match number {
            1 => Some(Self::NotRecorded),
            2 => Some(Self::TimeUp),
            3 => Some(Self::Dropped),
            4 => Some(Self::Abandoned),
            _ => None,
        }
    }

    /// The reason as words.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotRecorded => "not recorded",
            Self::TimeUp => "time up",
            Self::Dropped => "dropped",
            Self::Abandoned => "abandoned",
        }
    }
}

/// What a decision entry says beyond its digests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecisionDetails {
    /// gRPC status code that the caller got.
    pub status: u32,
}

/// What a model entry says beyond the model's digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelDetails {
    /// What the model is registered as.
    pub name: RegisteredName,
    /// Which version of it.
    pub version: RegisteredVersion,
    /// SHA-256 of the signature bundle of its folder, where there is one.
    pub signature: Option<Hash>,
}

/// What a policy entry says beyond the policy's digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyDetails {
    /// What kind of policy it is, such as `audit-plan`.
    pub kind: RegisteredName,
}

/// What an anchor entry says: which head was fixed where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnchorDetails {
    /// Which anchor target.
    pub lane: LaneName,
    /// Of which kind it is; never witnesses, which have no statements.
    pub kind: AnchorKind,
    /// Which statement of the lane's chain, counted from 1.
    pub seq: u64,
    /// Leaves in the tree that was fixed, 1 or more.
    pub to_size: TreeSize,
    /// SHA-256 of the statement.
    pub statement: Hash,
}

/// The details of an entry by its kind.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KindDetails {
    /// Of a start entry.
    Start(StartDetails),
    /// A stop entry has none.
    Stop,
    /// Of a heartbeat.
    Heartbeat(HeartbeatDetails),
    /// Of a gap entry.
    Gap(GapDetails),
    /// Of a model entry.
    Model(ModelDetails),
    /// Of a policy entry.
    Policy(PolicyDetails),
    /// Of a decision entry.
    Decision(DecisionDetails),
    /// Of an anchor entry.
    Anchor(AnchorDetails),
    /// Of an erasure entry.
    Erasure(ErasureDetails),
    /// Of a hold.
    Hold(HoldDetails),
    /// Of a release.
    Release(ReleaseDetails),
    /// Of an access entry.
    Access(AccessDetails),
    /// Of any other kind: whatever [`Details`] holds.
    Other,
}

impl KindDetails {
    /// Reads the details of an entry of this kind.
    pub(super) fn read(kind: Kind, details: &Details) -> Result<Self, EntryError> {
        let mut left = Left { kind, details, last: 0, approved: false };
        let typed = match kind {
            Kind::Start => Self::Start(StartDetails {
                version: left.text(1)?.to_owned(),
                configuration: Hash::from_bytes(left.byte_array(2)?),
                previous_session: match details.value(3) {
                    None => None,
                    Some(_) => Some(SessionId::from_bytes(left.byte_array(3)?)),
                },
            }),
            Kind::Stop => Self::Stop,
            Kind::Heartbeat => Self::Heartbeat(HeartbeatDetails {
                in_flight: left.uint(1)?,
                lowest_in_flight: left.uint(2)?,
            }),
            Kind::Gap => Self::Gap(left.gap()?),
            Kind::Model => {
                left.approval()?;
                Self::Model(left.model()?)
            }
            Kind::Policy => {
                left.approval()?;
                let name = RegisteredName::parse(left.text(1)?);
                Self::Policy(PolicyDetails { kind: name.map_err(|_| left.wrong(1))? })
            }
            Kind::Decision => {
                let status = u32::try_from(left.uint(1)?);
                Self::Decision(DecisionDetails { status: status.map_err(|_| left.wrong(1))? })
            }
            Kind::Anchor => Self::Anchor(left.anchor()?),
            Kind::Erasure => Self::Erasure(left.erasure()?),
            Kind::Hold => Self::Hold(left.hold()?),
            Kind::Release => Self::Release(left.release()?),
            Kind::Access => Self::Access(left.access()?),
            _ => return Ok(Self::Other),
        };
        left.finish()?;
        Ok(typed)
    }
}

/// Details being read in rising order.
pub(super) struct Left<'a> {
    kind: Kind,
    pub(super) details: &'a Details,
    last: u64,
    /// Whether an approval stands behind the others.
    approved: bool,
}

impl<'a> Left<'a> {
    pub(super) const fn wrong(&self, key: u64) -> EntryError {
        EntryError::Detail { kind: self.kind, key }
    }

    pub(super) fn detail(&mut self, key: u64) -> Result<&'a Detail, EntryError> {
        self.last = key;
        self.details.value(key).ok_or(self.wrong(key))
    }

    pub(super) fn uint(&mut self, key: u64) -> Result<u64, EntryError> {
        match self.detail(key)? {
            Detail::Uint(value) => Ok(*value),
            _ => Err(self.wrong(key)),
        }
    }

    pub(super) fn text(&mut self, key: u64) -> Result<&'a str, EntryError> {
        match self.detail(key)? {
            Detail::Text(value) => Ok(value),
            _ => Err(self.wrong(key)),
        }
    }

    pub(super) fn byte_array<const N: usize>(&mut self, key: u64) -> Result<[u8; N], EntryError> {
        match self.detail(key)? {
            Detail::Bytes(value) => value.as_slice().try_into().map_err(|_| self.wrong(key)),
            _ => Err(self.wrong(key)),
        }
    }

    /// Reads the form of the approval, if there is one.
    fn approval(&mut self) -> Result<(), EntryError> {
        self.approved = self.details.approval().map_err(|key| self.wrong(key))?.is_some();
        Ok(())
    }

    fn gap(&mut self) -> Result<GapDetails, EntryError> {
        let (first, last) = (self.uint(1)?, self.uint(2)?);
        if last < first {
            return Err(self.wrong(2));
        }
        let reason = GapReason::from_number(self.uint(3)?).ok_or(self.wrong(3))?;
        Ok(GapDetails { first, last, reason })
    }

    fn model(&mut self) -> Result<ModelDetails, EntryError> {
        let name = RegisteredName::parse(self.text(1)?).map_err(|_| self.wrong(1))?;
        let version = RegisteredVersion::parse(self.text(2)?).map_err(|_| self.wrong(2))?;
        let signature = match self.details.value(3) {
            None => None,
            Some(_) => Some(Hash::from_bytes(self.byte_array(3)?)),
        };
        Ok(ModelDetails { name, version, signature })
    }

    fn anchor(&mut self) -> Result<AnchorDetails, EntryError> {
        let lane = LaneName::parse(self.text(1)?).map_err(|_| self.wrong(1))?;
        let kind = AnchorKind::from_number(self.uint(2)?).filter(|kind| kind.has_statements());
        let kind = kind.ok_or(self.wrong(2))?;
        let seq = self.uint(3)?;
        if !(1..=ANCHOR_SEQ_MAX).contains(&seq) {
            return Err(self.wrong(3));
        }
        let to_size = self.uint(4)?;
        if !(1..=TREE_SIZE_MAX).contains(&to_size) {
            return Err(self.wrong(4));
        }
        let statement = Hash::from_bytes(self.byte_array(5)?);
        Ok(AnchorDetails { lane, kind, seq, to_size: TreeSize::new(to_size), statement })
    }

    /// Refuses a number that was not read. Numbers are read from 1 up without a hole but an absent last one.
    fn finish(self) -> Result<(), EntryError> {
        let is_approval = |key: u64| self.approved && matches!(key, DETAIL_STATEMENT | DETAIL_SIGNATURES);
        let surplus = |key: u64| key == 0 || (key > self.last && !is_approval(key));
        match self.details.iter().find(|(key, _)| surplus(*key)) {
            Some((key, _)) => Err(self.wrong(key)),
            None => Ok(()),
        }
    }
}

impl From<StartDetails> for Details {
    fn from(start: StartDetails) -> Self {
        let details = Self::new()
            .with(1, Detail::Text(start.version))
            .with(2, Detail::Bytes(start.configuration.as_bytes().to_vec()));
        match start.previous_session {
            None => details,
            Some(session) => details.with(3, Detail::Bytes(session.as_bytes().to_vec())),
        }
    }
}

impl From<HeartbeatDetails> for Details {
    fn from(heartbeat: HeartbeatDetails) -> Self {
        Self::new()
            .with(1, Detail::Uint(heartbeat.in_flight))
            .with(2, Detail::Uint(heartbeat.lowest_in_flight))
    }
}

impl From<GapDetails> for Details {
    fn from(gap: GapDetails) -> Self {
        Self::new()
            .with(1, Detail::Uint(gap.first))
            .with(2, Detail::Uint(gap.last))
            .with(3, Detail::Uint(gap.reason.number()))
    }
}

impl From<ModelDetails> for Details {
    fn from(model: ModelDetails) -> Self {
        let details = Self::new()
            .with(1, Detail::Text(model.name.to_string()))
            .with(2, Detail::Text(model.version.to_string()));
        match model.signature {
            None => details,
            Some(digest) => details.with(3, Detail::Bytes(digest.as_bytes().to_vec())),
        }
    }
}

impl From<PolicyDetails> for Details {
    fn from(policy: PolicyDetails) -> Self {
        Self::new().with(1, Detail::Text(policy.kind.to_string()))
    }
}

impl From<DecisionDetails> for Details {
    fn from(decision: DecisionDetails) -> Self {
        Self::new().with(1, Detail::Uint(decision.status.into()))
    }
}

impl From<AnchorDetails> for Details {
    fn from(anchor: AnchorDetails) -> Self {
        Self::new()
            .with(1, Detail::Text(anchor.lane.to_string()))
            .with(2, Detail::Uint(anchor.kind.number()))
            .with(3, Detail::Uint(anchor.seq))
            .with(4, Detail::Uint(anchor.to_size.get()))
            .with(5, Detail::Bytes(anchor.statement.as_bytes().to_vec()))
    }
}
