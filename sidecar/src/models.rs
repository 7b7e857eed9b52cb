//! Which model each route serves, and whether it is the one that the log registers under the route's name.
//!
//! Guarantees: a digest is of the bytes on disk, read at start and again whenever a file's size or times changed, off the
//! way of requests; what the log registers is known again after a restart. A difference is logged once and stays in the
//! metrics and under `/models` until it is gone.
//! Does not do: refusing a decision; what is served is recorded as it is, and the audit sees it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use ledgerstone::entry::{Entry, RegisteredName};
use ledgerstone::hash::Hash;
use ledgerstone::merkle::LeafIndex;
use ledgerstone::registry::Registration;
use ledgerstone::siem::Fact;
use tokio::task::spawn_blocking;

use crate::index::{Index, IndexError};
use crate::intercept::Routes;
use crate::intercept::route::Route;
use crate::metrics::Metrics;
use crate::reader::LogReader;
use crate::siem::Alerts;

pub mod artifact;
mod folder;
mod served;

pub use self::served::{Identity, Look, Served};

/// Names of models that the sidecar follows: about 250 bytes each make 1 MiB.
pub const NAMES_MAX: usize = 4096;

/// How long to wait before the registrations are read again after the index or the log failed.
const RETRY: Duration = Duration::from_secs(1);

/// The models of one sidecar.
#[derive(Debug)]
pub struct Models {
    routes: Routes,
    known: Mutex<Known>,
    alerts: OnceLock<Arc<Alerts>>,
}

#[derive(Debug, Default)]
struct Known {
    /// The newest registration of each name.
    newest: BTreeMap<RegisteredName, Registration>,
    /// Whether the log was read to the end of what it was at start.
    complete: bool,
    /// What was last said of each route.
    told: BTreeMap<String, Standing>,
}

/// How what a route serves stands to what the log registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The route names no model, so that its decisions name no digest.
    NoDigest,
    /// The log is still being read.
    Reading,
    /// Nothing was ever registered under the route's name.
    Unregistered,
    /// What is registered is served.
    Registered {
        /// Where it was registered.
        index: LeafIndex,
    },
    /// Something else than what is registered is served.
    Differs {
        /// Where the other one was registered.
        index: LeafIndex,
        /// Its digest.
        registered: Hash,
    },
}

impl Models {
    /// Follows the models of `routes`.
    #[must_use]
    pub fn new(routes: Routes) -> Self {
        Self { routes, known: Mutex::default(), alerts: OnceLock::new() }
    }

    /// Tells `alerts` of models that are not registered.
    pub(crate) fn tell(&self, alerts: &Arc<Alerts>) {
        // Set once, by the one caller that builds the application.
        _ = self.alerts.set(Arc::clone(alerts));
    }

    /// Takes a model entry of the log; other entries say nothing here. False if no further name can be kept.
    pub(crate) fn learn(&self, index: LeafIndex, entry: &Entry) -> bool {
        let Some(registration) = Registration::of(index, entry) else { return true };
        let mut known = self.known();
        let newest = known.newest.get(&registration.name).map(|newest| newest.index);
        if newest.is_none() && known.newest.len() >= NAMES_MAX {
            return false;
        }
        if newest.is_none_or(|newest| newest < index) {
            known.newest.insert(registration.name.clone(), registration);
        }
        true
    }

    /// Whether a registration under `name` can be kept.
    pub(crate) fn has_room(&self, name: &RegisteredName) -> bool {
        let known = self.known();
        known.newest.contains_key(name) || known.newest.len() < NAMES_MAX
    }

    /// Reads back what the log registered before this session, once `index` covers it.
    pub(crate) async fn read_back(self: Arc<Self>, index: Arc<Index>, log: LogReader) {
        let size = log.published().size;
        let mut covered = index.covered();
        loop {
            if covered.wait_for(|covered| *covered >= size).await.is_err() {
                return;
            }
            let (models, index, log) = (Arc::clone(&self), Arc::clone(&index), log.clone());
            match spawn_blocking(move || models.read(&index, &log)).await {
                Ok(Ok(())) => break,
                Ok(Err(error)) => tracing::warn!(%error, "the registered models cannot be read back yet"),
                Err(_) => return tracing::error!("reading back the registered models panicked; report it"),
            }
            tokio::time::sleep(RETRY).await;
        }
        self.known().complete = true;
        self.check();
    }

    fn read(&self, index: &Index, log: &LogReader) -> Result<(), ReadBackError> {
        for place in index.registrations()? {
            let entry = Entry::decode(&log.entry(place)?)?;
            if !self.learn(place, &entry) {
                tracing::warn!(
                    names = NAMES_MAX,
                    leaf_index = place.get(),
                    "too many names of models; this one is not followed"
                );
            }
        }
        Ok(())
    }

    /// How the route stands.
    #[must_use]
    pub fn standing(&self, route: &Route) -> Standing {
        let known = self.known();
        let Some(identity) = route.identity() else { return Standing::NoDigest };
        if !known.complete {
            return Standing::Reading;
        }
        match route.registered_name().and_then(|name| known.newest.get(&name)) {
            None => Standing::Unregistered,
            Some(newest) if newest.digest == identity.digest => Standing::Registered { index: newest.index },
            Some(newest) => Standing::Differs { index: newest.index, registered: newest.digest },
        }
    }

    /// Whether `digest` is the newest model that the log registers under the name of `route`; nothing while the log is being read.
    pub(crate) fn is_registered(&self, route: &Route, digest: Option<Hash>) -> Option<bool> {
        let known = self.known();
        let newest = route.registered_name().and_then(|name| known.newest.get(&name));
        known.complete.then(|| digest.is_some() && newest.map(|newest| newest.digest) == digest)
    }

    /// The name and version that `digest` was registered as last, if it still is the newest one of that name.
    pub(crate) fn registered_as(&self, digest: &Hash) -> Option<String> {
        let known = self.known();
        let newest = known.newest.values().find(|newest| newest.digest == *digest)?;
        Some(format!("{} {}", newest.name, newest.version))
    }

    /// Says in the log of the sidecar how each route stands, where that changed.
    pub(crate) fn check(&self) {
        for route in self.routes.configured() {
            let standing = self.standing(route);
            let before = self.known().told.insert(route.name().to_owned(), standing);
            if before == Some(standing) {
                continue;
            }
            let (name, serves) = (route.name(), route.identity().map(|identity| identity.digest));
            if let (Some(alerts), Standing::Unregistered | Standing::Differs { .. }) =
                (self.alerts.get(), standing)
            {
                let model = route.registered_name().map_or_else(String::new, |name| name.to_string());
                alerts.raise(Fact::UnregisteredModel { route: name.to_owned(), model, digest: serves });
            }
            match standing {
                Standing::NoDigest | Standing::Reading => {}
                Standing::Unregistered => {
                    tracing::warn!(
                        route = name,
                        "unregistered: no model is registered under the route's name"
                    );
                }
                Standing::Registered { index } => {
                    tracing::info!(route = name, leaf_index = index.get(), "serves the registered model");
                }
                Standing::Differs { index, registered } => tracing::warn!(
                    route = name,
                    serves = serves.map(|digest| digest.to_string()),
                    %registered,
                    leaf_index = index.get(),
                    "serves another model than the registered one"
                ),
            }
        }
    }

    /// Looks at the files of each route every `interval`.
    pub(crate) async fn watch(self: Arc<Self>, interval: Duration, metrics: Metrics) {
        loop {
            tokio::time::sleep(interval).await;
            for route in self.routes.configured() {
                let Some(served) = route.served() else { continue };
                let looked = spawn_blocking(move || served.look()).await;
                match looked {
                    Ok(Look::Same) => {}
                    Ok(Look::Changed { from, to }) => {
                        tracing::warn!(route = route.name(), %from, %to, "the served model changed");
                        metrics.model_changed(route.name());
                        self.check();
                    }
                    Ok(Look::Renamed) => {
                        tracing::warn!(
                            route = route.name(),
                            "files of the served model were renamed, which its digest does not say"
                        );
                        metrics.model_changed(route.name());
                    }
                    Ok(Look::Unreadable { first: true, error }) => {
                        tracing::warn!(route = route.name(), %error, "the served model cannot be read");
                    }
                    Ok(Look::Unreadable { .. }) => {}
                    Err(_) => tracing::error!(
                        route = route.name(),
                        "looking at the served model panicked; report it"
                    ),
                }
            }
        }
    }

    /// Adds the gauges that are read from this state.
    pub(crate) fn measure(self: &Arc<Self>, metrics: &Metrics) {
        self.routes.configured().for_each(|route| metrics.begin(route.name()));
        let models = Arc::clone(self);
        metrics.gauge_by_route(
            "ledgerstone_models_unregistered",
            "1 while a route serves another model than the one registered under its name",
            move || {
                let routes = models.routes.configured();
                let value =
                    |route: &Route| u64::from(matches!(models.standing(route), Standing::Differs { .. }));
                routes.map(|route| (route.name().to_owned(), value(route))).collect()
            },
        );
        let models = Arc::clone(self);
        metrics.gauge_by_route(
            "ledgerstone_model_unreadable",
            "1 while a route's model files cannot be read, so that a change of them would not be seen",
            move || {
                let served = models.routes.configured().filter_map(|route| Some((route, route.served()?)));
                served
                    .map(|(route, served)| (route.name().to_owned(), u64::from(served.is_unreadable())))
                    .collect()
            },
        );
    }

    /// How every route stands, one a line.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for route in self.routes.configured() {
            let digest = route.identity().map_or("-".to_owned(), |identity| identity.digest.to_string());
            let standing = match self.standing(route) {
                Standing::NoDigest => "no model is named".to_owned(),
                Standing::Reading => "the log is being read".to_owned(),
                Standing::Unregistered => "unregistered".to_owned(),
                Standing::Registered { index } => format!("registered at leaf index {index}"),
                Standing::Differs { index, registered } => {
                    format!("NOT the registered one: {registered}, at leaf index {index}")
                }
            };
            _ = writeln!(text, "{} {digest} {standing}", route.name());
        }
        text
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // Every method leaves it whole, so a panic elsewhere does not spoil it.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why the registrations cannot be read back.
#[derive(Debug, thiserror::Error)]
enum ReadBackError {
    #[error(transparent)]
    Index(#[from] IndexError),
    #[error(transparent)]
    Log(#[from] crate::reader::LogReadError),
    #[error(transparent)]
    Entry(#[from] ledgerstone::entry::EntryError),
}
