//! An alert as a line of the file: JSON, read back to the same value, so that its event has the same id.

use ledgerstone::code::CheckName;
use ledgerstone::entry::{DecisionId, LaneName, Mode, WriterName};
use ledgerstone::merkle::{LeafIndex, TreeSize};
use ledgerstone::siem::{Alert, Fact};
use ledgerstone::time::UnixMillis;
use serde::{Deserialize, Serialize};

use super::Kept;
use crate::siem::cursor::read_hash as hash;

/// The first line.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct First {
    /// Where the numbers begin.
    begin: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    number: u64,
    time: u64,
    writer: String,
    tree_size: u64,
    root: String,
    about: Option<(u64, String)>,
    decision: Option<String>,
    fact: Written,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Written {
    Tamper { check: Option<String>, detail: String },
    SplitView { other_size: u64, other_root: String, source: String },
    RollbackRefused { outside_size: u64, source: String },
    AnchorLate { lane: String, anchored_size: u64, late_ms: u64 },
    SinkLate { sink: String, next: u64, late_ms: u64 },
    UnregisteredModel { route: String, model: String, digest: Option<String> },
    KeyUse { key: String, purpose: String },
    ModeDowngrade { route: String, from: u64, to: u64 },
    PolicyRefusal { route: String, rule: String },
    Test,
}

/// The first line, with its end.
pub(super) fn begin(begin: u64) -> String {
    serde_json::to_string(&First { begin }).map(|text| text + "\n").unwrap_or_default()
}

/// Reads the first line without its end.
pub(super) fn read_begin(text: &str) -> Option<u64> {
    serde_json::from_str::<First>(text).ok().map(|first| first.begin)
}

/// The line of an alert, with its end; nothing for a fact that this version does not know.
pub(super) fn line(kept: &Kept) -> String {
    let Kept { number, alert } = kept;
    let Some(fact) = fact(&alert.fact) else { return String::new() };
    let line = Line {
        number: *number,
        time: alert.time.get(),
        writer: alert.writer.to_string(),
        tree_size: alert.tree_size.get(),
        root: alert.root.to_string(),
        about: alert.about.map(|(index, hash)| (index.get(), hash.to_string())),
        decision: alert.decision.map(|decision| decision.to_string()),
        fact,
    };
    serde_json::to_string(&line).map(|text| text + "\n").unwrap_or_default()
}

/// Reads a line without its end.
pub(super) fn read(text: &str) -> Option<Kept> {
    let line: Line = serde_json::from_str(text).ok()?;
    let about = match line.about {
        None => None,
        Some((index, text)) => Some((LeafIndex::new(index), hash(&text)?)),
    };
    let decision = match line.decision {
        None => None,
        Some(text) => Some(DecisionId::parse(&text).ok()?),
    };
    let alert = Alert {
        time: UnixMillis::new(line.time),
        writer: WriterName::parse(&line.writer).ok()?,
        tree_size: TreeSize::new(line.tree_size),
        root: hash(&line.root)?,
        about,
        decision,
        fact: known(line.fact)?,
    };
    Some(Kept { number: line.number, alert })
}

fn fact(fact: &Fact) -> Option<Written> {
    Some(match fact.clone() {
        Fact::Tamper { check, detail } => {
            Written::Tamper { check: check.map(|check| check.as_str().to_owned()), detail }
        }
        Fact::SplitView { other_size, other_root, source } => {
            Written::SplitView { other_size: other_size.get(), other_root: other_root.to_string(), source }
        }
        Fact::RollbackRefused { outside_size, source } => {
            Written::RollbackRefused { outside_size: outside_size.get(), source }
        }
        Fact::AnchorLate { lane, anchored_size, late_ms } => {
            Written::AnchorLate { lane: lane.to_string(), anchored_size: anchored_size.get(), late_ms }
        }
        Fact::SinkLate { sink, next, late_ms } => Written::SinkLate { sink, next: next.get(), late_ms },
        Fact::UnregisteredModel { route, model, digest } => {
            Written::UnregisteredModel { route, model, digest: digest.map(|digest| digest.to_string()) }
        }
        Fact::KeyUse { key, purpose } => Written::KeyUse { key, purpose },
        Fact::ModeDowngrade { route, from, to } => {
            Written::ModeDowngrade { route, from: from.number(), to: to.number() }
        }
        Fact::PolicyRefusal { route, rule } => Written::PolicyRefusal { route, rule },
        Fact::Test => Written::Test,
        _ => return None,
    })
}

fn known(written: Written) -> Option<Fact> {
    Some(match written {
        Written::Tamper { check, detail } => {
            let find = |name: String| CheckName::ALL.iter().find(|check| check.as_str() == name).copied();
            Fact::Tamper { check: check.and_then(find), detail }
        }
        Written::SplitView { other_size, other_root, source } => {
            Fact::SplitView { other_size: TreeSize::new(other_size), other_root: hash(&other_root)?, source }
        }
        Written::RollbackRefused { outside_size, source } => {
            Fact::RollbackRefused { outside_size: TreeSize::new(outside_size), source }
        }
        Written::AnchorLate { lane, anchored_size, late_ms } => Fact::AnchorLate {
            lane: LaneName::parse(&lane).ok()?,
            anchored_size: TreeSize::new(anchored_size),
            late_ms,
        },
        Written::SinkLate { sink, next, late_ms } => {
            Fact::SinkLate { sink, next: LeafIndex::new(next), late_ms }
        }
        Written::UnregisteredModel { route, model, digest } => {
            let digest = match digest {
                None => None,
                Some(text) => Some(hash(&text)?),
            };
            Fact::UnregisteredModel { route, model, digest }
        }
        Written::KeyUse { key, purpose } => Fact::KeyUse { key, purpose },
        Written::ModeDowngrade { route, from, to } => {
            Fact::ModeDowngrade { route, from: Mode::from_number(from)?, to: Mode::from_number(to)? }
        }
        Written::PolicyRefusal { route, rule } => Fact::PolicyRefusal { route, rule },
        Written::Test => Fact::Test,
    })
}
