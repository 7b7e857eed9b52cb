//! The alerts that the console tells: what the sidecar noticed and the log has no entry for.
//!
//! Guarantees: the newest [`ALERTS_MAX`], each with a sentence of bounded length; no sink is named, because who may look here may not see
//! the sinks everywhere. Does not do: telling what still stands; an alert is of the moment when it was raised.

use ledgerstone::siem::{Alert, Fact};
use serde_json::{Value as Json, json};

use crate::siem::Alerts;

/// Alerts that are told, the newest ones: about 500 bytes each make 16 KiB.
const ALERTS_MAX: usize = 32;

/// Characters of what comes from elsewhere: a sentence.
const TEXT_MAX: usize = 300;

/// The newest alerts, the newest first.
pub(super) fn told(alerts: &Alerts) -> Vec<Json> {
    alerts.newest(ALERTS_MAX).iter().map(told_of).collect()
}

fn told_of(alert: &Alert) -> Json {
    let kind = alert.fact.kind();
    let about: String = about(&alert.fact).chars().take(TEXT_MAX).collect();
    json!({
        "at": alert.time.get(),
        "kind": kind.as_str(),
        "severity": kind.severity().as_str(),
        "title": kind.title(),
        "about": about,
        "index": alert.about.map(|(index, _)| index.get()),
        "decision": alert.decision.map(|decision| decision.to_string()),
    })
}

/// What it is about, where the kind alone does not say that.
fn about(fact: &Fact) -> String {
    match fact {
        Fact::Tamper { detail, .. } => detail.clone(),
        Fact::SplitView { other_size, source, .. } => format!("at {other_size} entries, shown by {source}"),
        Fact::RollbackRefused { outside_size, source } => format!("{source} knows of {outside_size} entries"),
        Fact::AnchorLate { lane, late_ms, .. } => format!("{lane}, for {} s", late_ms / 1_000),
        Fact::SinkLate { late_ms, .. } => format!("for {} s", late_ms / 1_000),
        Fact::UnregisteredModel { route, model, .. } => format!("{model} on route {route}"),
        Fact::KeyUse { key, purpose } => format!("{key}: {purpose}"),
        Fact::ModeDowngrade { route, from, to } => {
            format!("{route}, {} instead of {}", to.as_str(), from.as_str())
        }
        Fact::PolicyRefusal { route, rule } => format!("{rule} on route {route}"),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use ledgerstone::entry::WriterName;
    use ledgerstone::hash::Hash;
    use ledgerstone::merkle::{LeafIndex, TreeSize};
    use ledgerstone::time::UnixMillis;

    use super::*;

    fn of(fact: Fact) -> Json {
        told_of(&Alert {
            time: UnixMillis::new(7),
            writer: WriterName::parse("w").unwrap(),
            tree_size: TreeSize::new(3),
            root: Hash::of(b"root"),
            about: Some((LeafIndex::new(2), Hash::of(b"leaf"))),
            decision: None,
            fact,
        })
    }

    #[test]
    fn says_what_it_is_about_and_names_no_sink() {
        let refusal = of(Fact::PolicyRefusal { route: "loans".into(), rule: "small".into() });
        assert_eq!(
            (&refusal["about"], &refusal["severity"]),
            (&json!("small on route loans"), &json!("Medium"))
        );
        assert_eq!(
            (&refusal["at"], &refusal["index"], &refusal["decision"]),
            (&json!(7), &json!(2), &Json::Null)
        );
        let late = of(Fact::SinkLate { sink: "soc".into(), next: LeafIndex::new(1), late_ms: 61_000 });
        assert_eq!(late["about"], "for 61 s");
        assert!(!late.to_string().contains("soc"));
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let tamper = of(Fact::Tamper { check: None, detail: "ä".repeat(2 * TEXT_MAX) });
        assert_eq!(tamper["about"], "ä".repeat(TEXT_MAX));
    }
}
