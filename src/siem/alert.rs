//! What the sidecar notices and the log has no entry for, or not yet.

use super::attribute::{Attribute, AttributeName, Value, name};
use super::kind::EventKind;
use crate::code::CheckName;
use crate::entry::{DecisionId, LaneName, Mode, WriterName};
use crate::hash::Hash;
use crate::merkle::{LeafIndex, TreeSize};
use crate::time::UnixMillis;

/// Something that somebody must be told. The same alert, told again, must be this same value: its event then has the same id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// When it was noticed.
    pub time: UnixMillis,
    /// Who noticed.
    pub writer: WriterName,
    /// How many leaves the log had then.
    pub tree_size: TreeSize,
    /// The root hash of that tree.
    pub root: Hash,
    /// The leaf that it is about, and that leaf's hash.
    pub about: Option<(LeafIndex, Hash)>,
    /// The decision that it is about.
    pub decision: Option<DecisionId>,
    /// What was noticed.
    pub fact: Fact,
}

/// What was noticed. Texts may come from outside: they are cut and cleaned before they go anywhere. None may hold a personal
/// value (INV-8).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fact {
    /// The log, or what derives from it, was changed.
    Tamper {
        /// The check that failed, where one did.
        check: Option<CheckName>,
        /// What does not hold.
        detail: String,
    },
    /// Two roots are signed for one size, or two histories contradict each other.
    SplitView {
        /// The size that the other statement is about.
        other_size: TreeSize,
        /// The root hash that it names.
        other_root: Hash,
        /// Who showed it.
        source: String,
    },
    /// The log was restored to an older state, and signing was refused.
    RollbackRefused {
        /// How many leaves are known outside.
        outside_size: TreeSize,
        /// Who knows of them.
        source: String,
    },
    /// An anchor lane is late.
    AnchorLate {
        /// Which lane.
        lane: LaneName,
        /// How many leaves it has fixed.
        anchored_size: TreeSize,
        /// For how long nothing newer was fixed, in milliseconds.
        late_ms: u64,
    },
    /// A sink is late.
    SinkLate {
        /// What the configuration calls it.
        sink: String,
        /// The next leaf that it is owed.
        next: LeafIndex,
        /// For how long it took nothing, in milliseconds.
        late_ms: u64,
    },
    /// A model decided that the log does not register.
    UnregisteredModel {
        /// The route of the decision.
        route: String,
        /// What the model is called.
        model: String,
        /// Its digest, if it has one.
        digest: Option<Hash>,
    },
    /// A key of the operator's was used.
    KeyUse {
        /// Which one.
        key: String,
        /// What for.
        purpose: String,
    },
    /// Decisions are recorded under a weaker promise than before.
    ModeDowngrade {
        /// The route.
        route: String,
        /// The promise before.
        from: Mode,
        /// The promise since.
        to: Mode,
    },
    /// A rule refused a decision.
    PolicyRefusal {
        /// The route.
        route: String,
        /// The rule.
        rule: String,
    },
    /// Nothing: somebody tries out the export.
    Test,
}

impl Fact {
    /// The kind of event that tells it.
    #[must_use]
    pub const fn kind(&self) -> EventKind {
        match self {
            Self::Tamper { .. } => EventKind::Tamper,
            Self::SplitView { .. } => EventKind::SplitView,
            Self::RollbackRefused { .. } => EventKind::RollbackRefused,
            Self::AnchorLate { .. } => EventKind::AnchorLate,
            Self::SinkLate { .. } => EventKind::SinkLate,
            Self::UnregisteredModel { .. } => EventKind::UnregisteredModel,
            Self::KeyUse { .. } => EventKind::KeyUse,
            Self::ModeDowngrade { .. } => EventKind::ModeDowngrade,
            Self::PolicyRefusal { .. } => EventKind::PolicyRefusal,
            Self::Test => EventKind::Test,
        }
    }

    /// Adds what it says.
    pub(super) fn add_to(&self, attributes: &mut Vec<Attribute>) {
        let mut add = |name, value| attributes.push(Attribute { name: AttributeName::Known(name), value });
        let text = |text: &str| Value::text(text);
        match self {
            Self::Tamper { check, detail } => {
                if let Some(check) = check {
                    add("check", Value::Word(check.as_str()));
                }
                add(name::DETAIL, text(detail));
            }
            Self::SplitView { other_size, other_root, source } => {
                add("other_size", Value::Uint(other_size.get()));
                add("other_root", Value::Hash(*other_root));
                add("source", text(source));
            }
            Self::RollbackRefused { outside_size, source } => {
                add("outside_size", Value::Uint(outside_size.get()));
                add("source", text(source));
            }
            Self::AnchorLate { lane, anchored_size, late_ms } => {
                add("lane", text(lane.as_str()));
                add("anchored_size", Value::Uint(anchored_size.get()));
                add("late_ms", Value::Uint(*late_ms));
            }
            Self::SinkLate { sink, next, late_ms } => {
                add("sink", text(sink));
                add("next_index", Value::Uint(next.get()));
                add("late_ms", Value::Uint(*late_ms));
            }
            Self::UnregisteredModel { route, model, digest } => {
                add("route", text(route));
                add(name::MODEL_NAME, text(model));
                if let Some(digest) = digest {
                    add(name::MODEL_DIGEST, Value::Hash(*digest));
                }
            }
            Self::KeyUse { key, purpose } => {
                add("key", text(key));
                add("purpose", text(purpose));
            }
            Self::ModeDowngrade { route, from, to } => {
                add("route", text(route));
                add("mode_before", Value::Word(from.as_str()));
                add(name::MODE, Value::Word(to.as_str()));
            }
            Self::PolicyRefusal { route, rule } => {
                add("route", text(route));
                add("rule", text(rule));
            }
            Self::Test => {}
        }
    }
}
