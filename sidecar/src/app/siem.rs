//! Who tells the export something, and what follows the log for it.

use std::sync::Arc;

use ledgerstone::code::Code;
use ledgerstone::entry::Mode;
use ledgerstone::siem::Fact;

use crate::anchor::Anchors;
use crate::config::Config;
use crate::driver::LogHandle;
use crate::intercept::Routes;
use crate::metrics::Metrics;
use crate::models::Models;
use crate::reader::LogReader;
use crate::siem::{Export, ExportError, Followers, Modes};

/// The export that `config` says; models and anchors tell it what they notice.
pub(super) fn build(
    config: &Config,
    metrics: &Metrics,
    models: &Models,
    anchors: &Anchors,
) -> Result<Arc<Export>, ExportError> {
    let export = Export::build(config)?;
    export.measure(metrics);
    models.tell(export.alerts());
    anchors.tell(export.alerts());
    Ok(export)
}

/// Follows the log for every sink; tells of routes that record under a weaker promise than before, and if the log stops because it does
/// not hold together.
pub(super) fn follow(export: &Export, routes: &Routes, reader: &LogReader, log: &LogHandle) -> Followers {
    let (alerts, log) = (Arc::clone(export.alerts()), log.clone());
    tokio::spawn(async move {
        log.ended().await;
        if let Some(halt) = log.halted().filter(|halt| halt.code() == Code::Inconsistent) {
            alerts.raise(Fact::Tamper { check: None, detail: halt.to_string() });
        }
    });
    export.follow_with(reader, modes(routes))
}

/// The promise of each route. One that has another word than those of [`Mode`] was refused before.
fn modes(routes: &Routes) -> Modes {
    const ALL: [Mode; 3] = [Mode::Strict, Mode::Bounded, Mode::Observe];
    let of = |word: &str| ALL.into_iter().find(|mode| mode.as_str() == word);
    routes
        .configured()
        .filter_map(|route| Some((route.name().to_owned(), of(&route.config().mode)?)))
        .collect()
}
