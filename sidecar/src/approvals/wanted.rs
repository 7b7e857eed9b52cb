//! What the configuration puts into force, as digests and names.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use ledgerstone::approval::Roster;
use ledgerstone::entry::RegisteredName;
use ledgerstone::hash::Hash;
use ledgerstone::limits::APPROVERS_BYTES_MAX;

use super::StartError;
use crate::config::Config;
use crate::gate::{policy_digest, policy_kind};
use crate::intercept::RouteConfig;
use crate::keyring::KeyId;

/// What the configuration puts into force.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Who may approve what, if anybody has to.
    pub roster: Option<Roster>,
    /// Digest of [`retention_text`].
    pub retention: Hash,
    /// The key-encryption key.
    pub key: RegisteredName,
    /// The rules of each route that has some: their kind of policy, and their digest.
    pub policies: BTreeMap<RegisteredName, Hash>,
}

impl Wanted {
    /// Reads what `config` names; `key` is its key-encryption key.
    ///
    /// # Errors
    /// [`StartError`] if the approvers cannot be read or the rules make no sense.
    pub fn new(config: &Config, key: &KeyId) -> Result<Self, StartError> {
        let roster = match &config.approvals.approvers {
            None => None,
            Some(path) => {
                let unreadable = |source| StartError::Unreadable { path: path.clone(), source };
                let length = std::fs::metadata(path).map_err(unreadable)?.len();
                if length > APPROVERS_BYTES_MAX as u64 {
                    return Err(unreadable(std::io::ErrorKind::FileTooLarge.into()));
                }
                let file = std::fs::read(path).map_err(unreadable)?;
                Some(Roster::new(&file, &config.approvals.rules)?)
            }
        };
        let key = RegisteredName::parse(key.as_str()).map_err(|_| StartError::Defect)?;
        let gated = config.routes.iter().filter(|route| !route.gate.is_empty());
        let policy = |route: &RouteConfig| Some((policy_kind(&route.name)?, policy_digest(&route.gate)));
        let policies = gated.map(policy).collect::<Option<_>>().ok_or(StartError::Defect)?;
        Ok(Self { roster, retention: Hash::of(retention_text(config).as_bytes()), key, policies })
    }
}

/// For how long what is kept, one rule a line: the classes, the class of records without one, and the classes of the routes.
/// Its SHA-256 is what a change of retention is approved by.
#[must_use]
pub fn retention_text(config: &Config) -> String {
    let mut text = config.retention.matrix.to_text();
    let mut routes: Vec<(&str, &str)> = config
        .routes
        .iter()
        .map(|route| (route.name.as_str(), route.retention.as_deref().unwrap_or_default()))
        .collect();
    routes.sort_unstable();
    for (route, class) in routes {
        // A name and a class hold no newline that is not told from the end of the line.
        _ = writeln!(text, "route {route:?} {class:?}");
    }
    text
}
