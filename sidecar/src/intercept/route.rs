//! What the traffic of one model means: which tensor holds the features, the score, the label, and whose decision it is.
//!
//! Guarantees: a [`Route`] that exists is consistent: its labels lead to actions, its adverse labels exist, no earlier
//! route hides it, every field that it masks or discloses can occur in its records, every field that its packs require can,
//! too, and its model's files were readable when it was built. Unknown keys are refused.
//! Does not do: looking at traffic (`fields` does), serving receipts (it only says which fields one may show).

use std::sync::Arc;

use ledgerstone::entry::RegisteredName;
use ledgerstone::hash::Hash;
use ledgerstone::pack::Pack;
use ledgerstone::record::{FieldPath, PathPattern, Value};
use serde::Serialize as _;

use super::declared::Told;
use crate::gate::Gate;
use crate::models::artifact::{Artifact, ArtifactError};
use crate::models::{Identity, Served};

pub use self::config::{
    Action, ContestConfig, ExplanationConfig, FeaturesConfig, GenAiConfig, GenAiOperation, LabelConfig,
    MaskConfig, MatchConfig, ModelConfig, RawConfig, ReceiptConfig, RouteConfig, ScoreConfig, SubjectSource,
    ThresholdConfig,
};
pub use self::error::RouteError;
pub use self::glob::Glob;

mod config;
mod error;
mod glob;
pub mod packs;
mod paths;
mod validate;

/// The one method whose decisions are recorded field by field.
pub const MODEL_INFER: &str = "inference.GRPCInferenceService/ModelInfer";

/// Name of the built-in route for models that no configured route matches.
pub const UNROUTED: &str = "unrouted";

/// Fields that a receipt shows unless the route says otherwise: everything about the decision, nothing of its input.
pub const DISCLOSE_DEFAULT: [&str; 16] = [
    "decision/*",
    "time/*",
    "model/*",
    "output/*",
    "outcome/*",
    "gate/effect",
    "gate/reason",
    "explanation/*",
    "notice/*",
    "review/*/action",
    "review/*/reason",
    "review/*/at",
    "contest/*",
    "correction/*",
    "opt_out",
    "delivery/mode",
];

/// One validated route.
#[derive(Clone, Debug)]
pub struct Route {
    config: RouteConfig,
    model: Glob,
    masks: Vec<(PathPattern, String)>,
    disclose: Vec<PathPattern>,
    serves: Option<Serves>,
    told: Told,
    packs: Vec<Arc<Pack>>,
    gate: Option<Arc<Gate>>,
    policy_digest: Hash,
}

impl Route {
    /// The configuration that this route was built from.
    #[must_use]
    pub fn config(&self) -> &RouteConfig {
        &self.config
    }

    /// The route's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.config.name
    }

    /// What names the model that is served now, where the configuration names its files or its digest.
    #[must_use]
    pub fn identity(&self) -> Option<Identity> {
        match self.serves.as_ref()? {
            Serves::Digest(digest) => Some(Identity { digest: *digest, manifest: None }),
            Serves::Files(served) => Some(served.identity()),
        }
    }

    /// The model's files, where the configuration names them.
    pub(crate) fn served(&self) -> Option<Arc<Served>> {
        match self.serves.as_ref()? {
            Serves::Digest(_) => None,
            Serves::Files(served) => Some(Arc::clone(served)),
        }
    }

    /// What was said of declared models.
    pub(crate) fn told(&self) -> &Told {
        &self.told
    }

    /// What the log registers the model as.
    pub(crate) fn registered_name(&self) -> Option<RegisteredName> {
        RegisteredName::parse(self.config.model.registered.as_ref().unwrap_or(&self.config.name)).ok()
    }

    /// The rules of its policy gate, if it has any.
    #[must_use]
    pub fn gate(&self) -> Option<&Arc<Gate>> {
        self.gate.as_ref()
    }

    /// SHA-256 of the route as JSON: which mapping, threshold, labels and gate were in force. Entries carry it.
    #[must_use]
    pub fn policy_digest(&self) -> Hash {
        self.policy_digest
    }

    /// Whether calls for `model` belong to this route.
    #[must_use]
    pub fn matches(&self, model: &str) -> bool {
        self.model.matches(model)
    }

    /// Whether a receipt may show the field at `path`.
    #[must_use]
    pub fn discloses(&self, path: &FieldPath) -> bool {
        self.disclose.iter().any(|pattern| pattern.matches(path))
    }

    /// Why the field at `path` must not be recorded, if it must not.
    #[must_use]
    pub fn masked(&self, path: &FieldPath) -> Option<&str> {
        self.masks.iter().find(|(pattern, _)| pattern.matches(path)).map(|(_, reason)| reason.as_str())
    }

    /// Whether any field of this route is masked.
    #[must_use]
    pub fn has_masks(&self) -> bool {
        !self.masks.is_empty()
    }

    /// The regulation packs that apply to its decisions.
    #[must_use]
    pub fn packs(&self) -> &[Arc<Pack>] {
        &self.packs
    }

    /// What records name the packs by; `None` if there are none.
    pub(crate) fn pack_names(&self) -> Option<Value> {
        let names = || self.packs.iter().map(|pack| Value::from(pack.reference.to_string().as_str()));
        (!self.packs.is_empty()).then(|| Value::Array(names().collect()))
    }

    /// What a label leads to.
    pub(crate) fn action(&self, label: &str) -> Action {
        self.config.actions.get(label).copied().or_else(|| Action::parse(label)).unwrap_or(Action::Score)
    }

    /// Whether a label is against the person concerned.
    pub(crate) fn is_adverse(&self, label: &str) -> bool {
        self.config.adverse.iter().any(|adverse| adverse == label)
    }
}

/// Where the digest of a route's model comes from.
#[derive(Clone, Debug)]
enum Serves {
    Digest(Hash),
    Files(Arc<Served>),
}

/// All routes, in the order of the configuration.
#[derive(Clone, Debug)]
pub struct Routes {
    routes: Vec<Arc<Route>>,
    unrouted: Arc<Route>,
}

impl Routes {
    /// Validates the routes and reads the model files they name. Relative paths are taken from `base`.
    ///
    /// # Errors
    /// [`RouteError`] names the route and what to change.
    pub fn build(configs: &[RouteConfig], base: &std::path::Path) -> Result<Self, RouteError> {
        validate::names(configs)?;
        validate::reachable(configs)?;
        let routes =
            configs.iter().map(|config| build(config, base).map(Arc::new)).collect::<Result<_, _>>()?;
        let unrouted = Arc::new(build(&RouteConfig::named(UNROUTED), base)?);
        Ok(Self { routes, unrouted })
    }

    /// The first route that matches `model`, or the built-in one that records tensors by digest only: traffic that no
    /// route describes is recorded all the same.
    #[must_use]
    pub fn for_model(&self, model: &str) -> &Arc<Route> {
        self.routes.iter().find(|route| route.matches(model)).unwrap_or(&self.unrouted)
    }

    /// Warns of routes whose packs ask for later entries, or which say that some come, where nobody can add any.
    pub(crate) fn tell_what_must_follow(&self) {
        let asks = |route: &Route| route.packs.iter().any(|pack| !pack.obligations.is_empty());
        for route in self.routes.iter().filter(|route| asks(route) || !route.config.later.is_empty()) {
            tracing::warn!(
                route = route.name(),
                "later entries must follow its decisions, and recorder.listen is not set: nobody can add them here"
            );
        }
    }

    /// The routes of the configuration.
    pub(crate) fn configured(&self) -> impl Iterator<Item = &Arc<Route>> {
        self.routes.iter()
    }

    /// The route named `name`, the built-in one included.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<Route>> {
        self.routes.iter().chain([&self.unrouted]).find(|route| route.name() == name)
    }
}

fn build(config: &RouteConfig, base: &std::path::Path) -> Result<Route, RouteError> {
    validate::route(config)?;
    let serves = serves(config, base)?;
    let disclose = match &config.receipt.disclose {
        Some(patterns) => validate::disclose(config, patterns.iter().map(String::as_str))?,
        None => validate::disclose(config, DISCLOSE_DEFAULT.into_iter())?,
    };
    Ok(Route {
        model: Glob::new(&config.matches.model),
        masks: validate::masks(config)?,
        disclose,
        serves,
        told: Told::default(),
        packs: packs::applied(config, base)?,
        gate: gate(config)?,
        policy_digest: policy_digest(config)?,
        config: config.clone(),
    })
}

fn gate(config: &RouteConfig) -> Result<Option<Arc<Gate>>, RouteError> {
    let built = Gate::build(&config.gate, &paths::names(config));
    built.map_err(|source| RouteError::Gate { route: config.name.clone(), source })
}

fn policy_digest(config: &RouteConfig) -> Result<Hash, RouteError> {
    let mut json = Vec::new();
    config
        .serialize(&mut serde_json::Serializer::new(&mut json))
        .map_err(|_| RouteError::PathNotText { route: config.name.clone() })?;
    Ok(Hash::of(&json))
}

fn serves(config: &RouteConfig, base: &std::path::Path) -> Result<Option<Serves>, RouteError> {
    let route = || config.name.clone();
    if let Some(digest) = &config.model.digest {
        return validate::digest(&config.name, digest).map(|digest| Some(Serves::Digest(digest)));
    }
    let artifact = match (&config.model.folder, &config.model.file) {
        (Some(folder), _) => Artifact::Folder(base.join(folder)),
        (None, Some(file)) => Artifact::File(base.join(file)),
        (None, None) => return Ok(None),
    };
    let served = Served::open(artifact).map_err(|source| match source {
        ArtifactError::Unreadable { path, source } if config.model.file.is_some() => {
            RouteError::ModelFile { route: route(), path, source }
        }
        source => RouteError::ModelFolder { route: route(), source },
    })?;
    Ok(Some(Serves::Files(Arc::new(served))))
}

#[cfg(test)]
mod tests;
