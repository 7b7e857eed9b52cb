//! Says in the log which rules are in force, before anything is decided by them.
//!
//! Guarantees: an entry of kind `policy` names the rules of every route with a gate before the first decision of the session;
//! rules that the log names already are not named again, except after the lookup index was lost on a long log.

use std::collections::BTreeSet;
use std::sync::Arc;

use ledgerstone::entry::{Entry, KindDetails, RegisteredName};
use ledgerstone::hash::Hash;
use ledgerstone::merkle::LeafIndex;
use ledgerstone::tile::TILE_WIDTH;
use tokio::task::spawn_blocking;

use super::RecoverError;
use crate::gate::POLICY_KIND;
use crate::index::Index;
use crate::intercept::{Routes, Session};
use crate::reader::{LogReadError, LogReader};

/// Bundles that are read from the end where the index does not cover them yet.
const BUNDLES_MAX: u64 = 256;

/// Names the rules of `routes` that the log does not name yet.
pub(super) async fn announce(
    routes: &Routes,
    session: &Session,
    index: &Arc<Index>,
    log: &LogReader,
) -> Result<(), RecoverError> {
    let mut new: BTreeSet<Hash> =
        routes.configured().filter_map(|route| Some(route.gate()?.policy())).collect();
    let Ok(kind) = RegisteredName::parse(POLICY_KIND) else { return Err(RecoverError::Defect) };
    if new.is_empty() {
        return Ok(());
    }
    let (index, log, wanted) = (Arc::clone(index), log.clone(), kind.clone());
    let named = spawn_blocking(move || named(&index, &log, &wanted)).await;
    for digest in named.map_err(|_| RecoverError::Defect)?? {
        new.remove(&digest);
    }
    for digest in new {
        session.announce_policy(kind.clone(), digest).await?;
        tracing::info!(policy = %digest, "rules came into force that the log did not name before");
    }
    Ok(())
}

/// The policies of `kind` that the log names.
fn named(index: &Index, log: &LogReader, kind: &RegisteredName) -> Result<Vec<Hash>, LogReadError> {
    let is_kind = |entry: &Entry| match entry.kind_details() {
        Ok(KindDetails::Policy(details)) => entry.policy.filter(|_| details.kind == *kind),
        _ => None,
    };
    let mut found = Vec::new();
    // An index that cannot be asked is built again; until then the end of the log has to do.
    for place in index.registrations().unwrap_or_default() {
        let entry = entry(log, place)?;
        found.extend(entry.as_ref().and_then(is_kind));
    }
    let covered = index.covered().borrow().get() / u64::from(TILE_WIDTH);
    let bundles = log.published().size.get().div_ceil(u64::from(TILE_WIDTH));
    for number in (covered.max(bundles.saturating_sub(BUNDLES_MAX))..bundles).rev() {
        let records = log.records(&log.bundle(number)?, |_, _| false)?;
        found.extend(records.iter().filter_map(|record| is_kind(&record.entry)));
    }
    Ok(found)
}

fn entry(log: &LogReader, place: LeafIndex) -> Result<Option<Entry>, LogReadError> {
    Ok(Entry::decode(&log.entry(place)?).ok())
}
