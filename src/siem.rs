//! What a SIEM is told: one model of events, and its projections.
//!
//! Guarantees: an event is a function of the log's origin and one entry's place and bytes, or of one alert, and every
//! projection is a function of the event, so whoever has the log can make each again and compare; the same fact has the same
//! [`EventId`]. Each event names its log, and its leaf or the tree it was noticed in. Nothing in it is personal (INV-8): it
//! says no more than the entry, which is public. No text of it can break out of its place in any format.
//! Does not do: sending; remembering what was sent; reading a clock.
//! Specification: `docs/siem.md`. Who builds on it: the sidecar's sinks, and `ledgerstone siem reconcile`.

use core::fmt;
use std::sync::Arc;

use crate::code::Code;
use crate::entry::{Entry, EntryError};
use crate::hash::{Hash, leaf_hash};
use crate::merkle::{LeafIndex, TreeSize};
use crate::note::KeyName;
use crate::time::UnixMillis;

mod alert;
mod attribute;
mod cef;
mod derive;
mod ecs;
mod format;
pub mod found;
mod json;
mod kind;
mod leef;
mod ocsf;
mod otlp;
mod rfc5424;

pub use alert::{Alert, Fact};
pub use attribute::{Attribute, AttributeName, Text, Value};
pub use format::{Format, UnknownFormat};
pub use kind::{Activity, Class, EventKind, Severity};
pub use otlp::{LogRecord, OtlpValue};
pub use rfc5424::{APP_NAME, SD_ID};

use attribute::name;

/// Version of the event model; every projection names it as the product's version.
pub const MODEL_VERSION: &str = "1";

/// Who makes the events, as every projection says it.
pub const VENDOR: &str = "Ledgerstone";

/// What makes the events, as every projection says it.
pub const PRODUCT: &str = "Ledgerstone";

/// A log, as its events name it. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    origin: Arc<Text>,
    id: Hash,
}

impl Log {
    /// The log with this origin.
    #[must_use]
    pub fn new(origin: &KeyName) -> Self {
        let origin = origin.as_str();
        Self { origin: Arc::new(Text::new(origin)), id: Hash::of(origin.as_bytes()) }
    }

    /// What `log_id` is in every event: SHA-256 of the origin, as the store's files carry it (`docs/spec/store.md`).
    #[must_use]
    pub const fn id(&self) -> Hash {
        self.id
    }

    /// The origin.
    #[must_use]
    pub fn origin(&self) -> &str {
        self.origin.as_str()
    }
}

/// Which event: the same fact has the same id, however often it is sent. A UUID of version 8 (RFC 9562, section 5.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId([u8; 16]);

impl EventId {
    /// The id of what `preimage` says: the first 16 bytes of its SHA-256, with the version's and the variant's bits set.
    fn of(preimage: &[u8]) -> Self {
        let mut bytes = [0; 16];
        bytes.iter_mut().zip(Hash::of(preimage).as_bytes()).for_each(|(to, from)| *to = *from);
        bytes[6] = bytes[6] & 0x0f | 0x80;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        Self(bytes)
    }

    /// The id's bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::with_capacity(36);
        attribute::push_uuid(&self.0, &mut text);
        f.write_str(&text)
    }
}

/// A leaf and its hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// Its place in the log.
    pub index: LeafIndex,
    /// Its hash, which binds every byte of the entry.
    pub hash: Hash,
}

/// A tree and its root hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tree {
    /// How many leaves it has.
    pub size: TreeSize,
    /// Its root hash.
    pub root: Hash,
}

/// The trace that a decision's request belongs to, where the sender knows it (W3C Trace Context).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trace {
    /// `trace-id`.
    pub trace_id: [u8; 16],
    /// `parent-id`: the span.
    pub span_id: [u8; 8],
}

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    kind: EventKind,
    id: EventId,
    time: UnixMillis,
    log: Log,
    leaf: Option<Leaf>,
    tree: Option<Tree>,
    attributes: Vec<Attribute>,
    trace: Option<Trace>,
}

impl Event {
    /// What the entry of `log` at `index` tells; `bytes` are its exact bytes.
    ///
    /// # Errors
    /// [`EventError::Entry`] if the bytes are no entry.
    pub fn of_entry(log: &Log, index: LeafIndex, bytes: &[u8]) -> Result<Self, EventError> {
        let entry = Entry::decode(bytes).map_err(|error| EventError::Entry { index, error })?;
        let leaf = Leaf { index, hash: leaf_hash(bytes) };
        let preimage = [
            b"ledgerstone/siem-event/v1".as_slice(),
            log.id.as_bytes(),
            &index.get().to_be_bytes(),
            leaf.hash.as_bytes(),
        ]
        .concat();
        let mut attributes = common(log, Some(leaf), None);
        derive::add(&entry, &mut attributes).map_err(|error| EventError::Entry { index, error })?;
        Ok(Self {
            kind: EventKind::of_entry(entry.kind),
            id: EventId::of(&preimage),
            time: entry.recorded_at,
            log: log.clone(),
            leaf: Some(leaf),
            tree: None,
            attributes,
            trace: None,
        })
    }

    /// What an alert of `log` tells.
    #[must_use]
    pub fn of_alert(log: &Log, alert: &Alert) -> Self {
        let kind = alert.fact.kind();
        let leaf = alert.about.map(|(index, hash)| Leaf { index, hash });
        let tree = Tree { size: alert.tree_size, root: alert.root };
        let mut attributes = common(log, leaf, Some(tree));
        let mut add = |name, value| attributes.push(Attribute { name: AttributeName::Known(name), value });
        add(name::WRITER, Value::text(alert.writer.as_str()));
        if let Some(decision) = alert.decision {
            add(name::DECISION_ID, Value::Uuid(*decision.as_bytes()));
        }
        alert.fact.add_to(&mut attributes);
        let mut preimage = b"ledgerstone/siem-alert/v1".to_vec();
        preimage.extend(alert.time.get().to_be_bytes());
        for part in core::iter::once(kind.as_str().to_owned())
            .chain(attributes.iter().map(|attribute| attribute.value.to_text()))
        {
            preimage.extend((part.len() as u64).to_be_bytes());
            preimage.extend(part.into_bytes());
        }
        Self {
            kind,
            id: EventId::of(&preimage),
            time: alert.time,
            log: log.clone(),
            leaf,
            tree: Some(tree),
            attributes,
            trace: None,
        }
    }

    /// The same event, with the trace of the request. Only OTLP and ECS show it; it is no part of what is compared with the log.
    #[must_use]
    pub fn with_trace(mut self, trace: Option<Trace>) -> Self {
        self.trace = trace;
        self
    }

    /// What it tells.
    #[must_use]
    pub const fn kind(&self) -> EventKind {
        self.kind
    }

    /// Which event it is.
    #[must_use]
    pub const fn id(&self) -> EventId {
        self.id
    }

    /// When it was recorded, or noticed.
    #[must_use]
    pub const fn time(&self) -> UnixMillis {
        self.time
    }

    /// Whose it is.
    #[must_use]
    pub const fn log(&self) -> &Log {
        &self.log
    }

    /// The leaf that it stands for, or that an alert is about.
    #[must_use]
    pub const fn leaf(&self) -> Option<Leaf> {
        self.leaf
    }

    /// The tree in which an alert was noticed; none for what an entry tells.
    #[must_use]
    pub const fn tree(&self) -> Option<Tree> {
        self.tree
    }

    /// The trace of the request, where the sender said it.
    #[must_use]
    pub const fn trace(&self) -> Option<Trace> {
        self.trace
    }

    /// Everything that it says, in the order of `docs/siem.md`; log, leaf and tree come first.
    #[must_use]
    pub fn attributes(&self) -> &[Attribute] {
        &self.attributes
    }

    /// The value with this name.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&Value> {
        self.attributes.iter().find(|attribute| attribute.name.is(name)).map(|attribute| &attribute.value)
    }

    /// Whether what was done succeeded: false for a decision whose caller got an error, and for an alert.
    #[must_use]
    pub fn is_success(&self) -> bool {
        !self.kind.is_alert()
            && !matches!(self.value(name::STATUS_CODE), Some(Value::Uint(code)) if *code != 0)
    }
}

/// What every event begins with.
fn common(log: &Log, leaf: Option<Leaf>, tree: Option<Tree>) -> Vec<Attribute> {
    let mut attributes = Vec::with_capacity(24);
    let mut add = |name, value| attributes.push(Attribute { name: AttributeName::Known(name), value });
    add(name::LOG_ID, Value::Hash(log.id));
    if let Some(leaf) = leaf {
        add(name::LEAF_INDEX, Value::Uint(leaf.index.get()));
        add(name::LEAF_HASH, Value::Hash(leaf.hash));
    }
    if let Some(tree) = tree {
        add(name::TREE_SIZE, Value::Uint(tree.size.get()));
        add(name::ROOT_HASH, Value::Hash(tree.root));
    }
    attributes
}

/// Why there is no event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EventError {
    /// The bytes are no entry.
    #[error("the bytes at leaf {index} are no entry, so nothing can be told of them: {error}")]
    Entry {
        /// Where they stand.
        index: LeafIndex,
        /// Why not.
        error: EntryError,
    },
}

impl EventError {
    /// What the reader must do about it.
    #[must_use]
    pub const fn code(self) -> Code {
        match self {
            Self::Entry { error, .. } => error.code(),
        }
    }
}
