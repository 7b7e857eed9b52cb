//! `[approvals]`: which changes need the approval of several persons, and whose.

use std::collections::BTreeMap;
use std::path::PathBuf;

use ledgerstone::approval::{ChangeKind, Rule};

use super::error::ConfigError;
use super::layers::Layers;

/// The keys of the rules.
const RULES: [(ChangeKind, &str); 5] = [
    (ChangeKind::Model, "approvals.model"),
    (ChangeKind::Policy, "approvals.policy"),
    (ChangeKind::Key, "approvals.key"),
    (ChangeKind::Retention, "approvals.retention"),
    (ChangeKind::Roster, ROSTER),
];

const APPROVERS: &str = "approvals.approvers";

const ROSTER: &str = "approvals.roster";

/// Which changes need approval.
#[derive(Clone, Debug, Default)]
pub struct ApprovalsConfig {
    /// The file with the approvers' names and keys; without it nothing needs approval.
    pub approvers: Option<PathBuf>,
    /// The folder with signed approvals of what the configuration changes.
    pub folder: Option<PathBuf>,
    /// How many of whom must approve which kind of change.
    pub rules: BTreeMap<ChangeKind, Rule>,
}

impl ApprovalsConfig {
    pub(super) fn from_layers(layers: &Layers) -> Result<Self, ConfigError> {
        let approvers = layers.path(APPROVERS)?;
        let mut rules = BTreeMap::new();
        for (kind, key) in RULES {
            let Some(found) = layers.get(key) else { continue };
            if approvers.is_none() {
                return Err(ConfigError::Half { present: key, absent: APPROVERS });
            }
            let rule = found.text.parse::<Rule>();
            let expected = rule.as_ref().err().map(ToString::to_string).unwrap_or_default();
            rules.insert(kind, layers.parse(key, &expected, |_| rule.ok())?);
        }
        if approvers.is_some() && !rules.contains_key(&ChangeKind::Roster) {
            return Err(ConfigError::Half { present: APPROVERS, absent: ROSTER });
        }
        Ok(Self { approvers, folder: layers.path("approvals.folder")?, rules })
    }
}
