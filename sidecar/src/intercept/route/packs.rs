//! What the regulation packs of a route require, and which of it the route's records can hold.
//!
//! Guarantees: a route that can never hold a required field is refused with the list of all of them. Does not do: promising that a
//! field is there that depends on what callers and the model server send; which ones do, [`Requirement::presence`] says.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use ledgerstone::limits::PACKS_APPLIED_MAX;
use ledgerstone::pack::{self, BUILT_IN, Pack};
use ledgerstone::record::schema::{self, ReasonPart};
use ledgerstone::record::{FieldPath, PathPattern};

use super::{RouteConfig, RouteError, validate};
use crate::nearest::nearest;
use crate::packs;

/// How a record of the route comes to hold a required field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Presence {
    /// Never.
    Never,
    /// An entry that is added to the decision brings it.
    Later,
    /// It is there if the caller and the model server send what it is taken from.
    Traffic,
    /// It is in every record.
    Always,
}

/// One requirement of a pack, and how a route meets it.
#[derive(Clone, Debug)]
pub struct Requirement {
    /// The pack.
    pub pack: Arc<Pack>,
    /// What it requires.
    pub required: pack::Requirement,
    /// How a record of the route comes to hold it.
    pub presence: Presence,
    /// The mask that keeps it out.
    pub masked_by: Option<String>,
}

/// A required field that no record of a route can have.
#[derive(Clone, Debug)]
pub struct Missing(Requirement);

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Requirement { pack, required, masked_by, .. } = &self.0;
        let citation = pack.source(required.source).map_or("", |source| source.citation.as_str());
        write!(
            f,
            "{}: {required} in {}: {} ({citation}). ",
            pack.reference.name(),
            required.when.as_str(),
            required.rule
        )?;
        match masked_by {
            Some(mask) => {
                write!(f, "The mask {mask:?} keeps it out: write a narrower one, or leave the pack out")
            }
            None => f.write_str(advice(required)),
        }
    }
}

/// What to write into the route so that its records hold one of the required fields.
fn advice(required: &pack::Requirement) -> &'static str {
    let begins = |root: &str| required.any.iter().any(|pattern| pattern.as_str().starts_with(root));
    for (root, advice) in [
        (
            "explanation/",
            "Set `explanation`, or `later = [\"explanation/*\"]` where explanation entries bring it",
        ),
        (
            "outcome/adverse",
            "Set `threshold` or `label`, or `later = [\"outcome/*\"]` where outcome entries bring it",
        ),
        (
            "outcome/",
            "Set `score`, `threshold` or `label`, or `later = [\"outcome/*\"]` where outcome entries bring it",
        ),
        ("output/score/", "Set `score`"),
        ("output/label", "Set `threshold` or `label`"),
        ("input/feature/", "Set `features`"),
        ("model/digest", "Set `model.folder`, `model.file` or `model.digest`"),
        ("model/title", "Set `model.name`"),
        ("model/threshold", "Set `score` and `threshold`"),
        ("decision/use_case", "Set `use_case`"),
        ("decision/tenant", "Set `tenant`"),
        ("decision/subject", "Set `subject`"),
        ("privacy/lawful_basis", "Set `lawful_basis`"),
        ("privacy/purpose", "Set `purpose`"),
        ("privacy/retention_class", "Set `retention`"),
    ] {
        if begins(root) {
            return advice;
        }
    }
    "This sidecar records it for no route: leave the pack out"
}

/// The packs of a route; all of their required fields can stand in its records.
pub(super) fn applied(config: &RouteConfig, base: &Path) -> Result<Vec<Arc<Pack>>, RouteError> {
    let packs = named(config, base)?;
    let requirements = requirements(config, &packs)?;
    let lacks: Vec<Missing> =
        requirements.into_iter().filter(|one| one.presence == Presence::Never).map(Missing).collect();
    if lacks.is_empty() { Ok(packs) } else { Err(RouteError::Lacks { route: config.name.clone(), lacks }) }
}

/// The packs that a route names: what ends in `.toml` is a file, seen from `base`.
///
/// # Errors
/// [`RouteError`] says which one cannot be had.
pub fn named(config: &RouteConfig, base: &Path) -> Result<Vec<Arc<Pack>>, RouteError> {
    let route = || config.name.clone();
    let mut packs: Vec<Arc<Pack>> = Vec::new();
    for name in &config.packs {
        let pack = if name.ends_with(".toml") {
            packs::read(&base.join(name)).map_err(|source| RouteError::Pack { route: route(), source })?
        } else {
            Pack::built_in(name).map(Arc::new).ok_or_else(|| {
                let nearest = nearest(name, BUILT_IN.iter().map(|(known, _)| *known)).map(str::to_owned);
                RouteError::UnknownPack { route: route(), name: name.clone(), nearest }
            })?
        };
        let is_twice = packs.iter().any(|earlier| earlier.reference.name() == pack.reference.name());
        if is_twice || packs.len() == PACKS_APPLIED_MAX {
            return Err(RouteError::Packs { route: route(), name: name.clone() });
        }
        packs.push(pack);
    }
    Ok(packs)
}

/// Everything that `packs` require of the records of a route, and how they come to hold it.
///
/// # Errors
/// [`RouteError`] if a mask or a pattern of `later` cannot be read.
pub fn requirements(config: &RouteConfig, packs: &[Arc<Pack>]) -> Result<Vec<Requirement>, RouteError> {
    let (masks, later) = (validate::masks(config)?, validate::later(config)?);
    let held = held(config);
    let mask_of = |path: &FieldPath| masks.iter().map(|(mask, _)| mask).find(|mask| mask.matches(path));
    let requirement = |pack: &Arc<Pack>, required: &pack::Requirement| {
        let fitting = || held.iter().filter(|(path, _)| required.asks_for(path));
        let open = fitting().filter(|(path, _)| mask_of(path).is_none()).map(|(_, presence)| *presence);
        let by_entry = required.any.iter().any(|wanted| later.iter().any(|later| covers(later, wanted)));
        let presence = open.chain(by_entry.then_some(Presence::Later)).max().unwrap_or(Presence::Never);
        let mask = fitting().find_map(|(path, _)| mask_of(path)).map(|mask| mask.as_str().to_owned());
        Requirement {
            pack: Arc::clone(pack),
            required: required.clone(),
            presence,
            masked_by: mask.filter(|_| presence == Presence::Never),
        }
    };
    let each = |pack: &Arc<Pack>| -> Vec<Requirement> {
        pack.requirements.iter().map(|required| requirement(pack, required)).collect()
    };
    Ok(packs.iter().flat_map(each).collect())
}

/// Whether some path fits both patterns: each segment is the same in both, or a star in one.
fn covers(later: &PathPattern, wanted: &PathPattern) -> bool {
    let (mut later, mut wanted) =
        (later.as_str().split('/').peekable(), wanted.as_str().split('/').peekable());
    loop {
        match (later.next(), wanted.next()) {
            (None, None) => return true,
            (Some("*"), Some(_)) if later.peek().is_none() => return true,
            (Some(_), Some("*")) if wanted.peek().is_none() => return true,
            (Some(a), Some(b)) if a == b || a == "*" || b == "*" => {}
            _ => return false,
        }
    }
}

/// Every path that a record of the route can hold, those of lists and tensors once.
fn held(config: &RouteConfig) -> Vec<(FieldPath, Presence)> {
    let mut held: Vec<(FieldPath, Presence)> = Vec::new();
    let mut hold = |presence: Presence, paths: &mut dyn Iterator<Item = FieldPath>| {
        held.extend(paths.map(|path| (path, presence)));
    };
    hold(Presence::Always, &mut ALWAYS.into_iter());
    hold(Presence::Always, &mut configured(config));
    hold(Presence::Traffic, &mut TRAFFIC.into_iter());
    hold(Presence::Traffic, &mut families());
    hold(Presence::Traffic, &mut mapped(config));
    held
}

/// In every record, whatever was asked.
const ALWAYS: [FieldPath; 10] = [
    schema::DECISION_ID,
    schema::DECISION_SCHEMA,
    schema::DECISION_ROUTE,
    schema::DECISION_PACKS,
    schema::TIME_RECEIVED,
    schema::TIME_DECIDED,
    schema::TIME_CLOCK_SOURCE,
    schema::DELIVERY_MODE,
    schema::INPUT_OBSERVED,
    schema::PRIVACY_KEY,
];

/// What the caller's connection, the request, the model server and its answer may bring to any record.
const TRAFFIC: [FieldPath; 29] = [
    schema::TIME_MODEL_STARTED,
    schema::TIME_MODEL_ENDED,
    schema::CALLER_WORKLOAD,
    schema::CALLER_PRINCIPAL,
    schema::CALLER_ADDRESS,
    schema::DELIVERY_UPSTREAM_STATUS,
    schema::DELIVERY_CALLER_GONE,
    schema::DECISION_REQUEST_ID,
    schema::MODEL_NAME,
    schema::MODEL_VERSION,
    schema::MODEL_VERSION_REQUESTED,
    schema::EXECUTION_ENGINE,
    schema::EXECUTION_ENGINE_VERSION,
    schema::EXECUTION_DTYPE,
    schema::EXECUTION_THREADS,
    schema::EXECUTION_BATCH_SIZE,
    schema::EXECUTION_BATCH_INDEX,
    schema::EXECUTION_PADDING,
    schema::EXECUTION_DECODE_MODE,
    schema::EXECUTION_LIBM,
    schema::EXECUTION_FINGERPRINT,
    schema::INPUT_RAW_DIGEST,
    schema::INPUT_COMPRESSION,
    schema::INPUT_CARRIED_DIGEST,
    schema::INPUT_ERROR,
    schema::OUTPUT_RAW_DIGEST,
    schema::OUTPUT_COMPRESSION,
    schema::OUTPUT_CARRIED_DIGEST,
    schema::OUTPUT_ERROR,
];

/// One path of each family that tensors make; their names are known when they come.
fn families() -> impl Iterator<Item = FieldPath> {
    let sides = [schema::Side::Input, schema::Side::Output].into_iter();
    let fields = sides.filter_map(|side| schema::tensor_fields(side, "name", "", &[], &[]).ok());
    fields.flatten().map(|(path, _)| path)
}

/// What the configuration says of every decision.
fn configured(config: &RouteConfig) -> impl Iterator<Item = FieldPath> {
    [
        (config.tenant.is_some(), schema::DECISION_TENANT),
        (config.use_case.is_some(), schema::DECISION_USE_CASE),
        (config.retention.is_some(), schema::PRIVACY_RETENTION_CLASS),
        (config.lawful_basis.is_some(), schema::PRIVACY_LAWFUL_BASIS),
        (config.purpose.is_some(), schema::PRIVACY_PURPOSE),
        (config.model.name.is_some(), schema::MODEL_TITLE),
        (config.threshold.is_some(), schema::MODEL_THRESHOLD),
        (
            config.model.folder.is_some() || config.model.file.is_some() || config.model.digest.is_some(),
            schema::MODEL_DIGEST,
        ),
        (config.model.folder.is_some(), schema::MODEL_MANIFEST),
    ]
    .into_iter()
    .filter_map(|(is_held, path)| is_held.then_some(path))
}

/// What the mapping takes from requests and answers that have it.
fn mapped(config: &RouteConfig) -> impl Iterator<Item = FieldPath> {
    let labels = config.threshold.is_some() || config.label.is_some();
    let explained = config.explanation.as_ref();
    let gated = !config.gate.is_empty();
    let plain = [
        (config.subject.is_some(), schema::DECISION_SUBJECT),
        (config.model.declared.is_some(), schema::MODEL_DIGEST),
        (gated, schema::GATE_POLICY),
        (gated, schema::GATE_EFFECT),
        (gated, schema::GATE_RULES),
        (gated, schema::GATE_STAGES),
        (gated, schema::GATE_VERDICTS),
        (gated, schema::GATE_EFFECTS),
        (gated, schema::GATE_REASON),
        (gated, schema::GATE_ERROR),
        (labels, schema::OUTPUT_LABEL),
        (labels, schema::OUTCOME_ADVERSE),
        (labels || config.score.is_some(), schema::OUTCOME_ACTION),
        (explained.is_some_and(|explained| explained.method.is_some()), schema::EXPLANATION_METHOD),
        (explained.is_some_and(|explained| explained.version.is_some()), schema::EXPLANATION_VERSION),
    ];
    let plain = plain.into_iter().filter_map(|(is_held, path)| is_held.then_some(path));
    let names = config.features.iter().flat_map(|features| &features.names);
    let features = names.filter_map(|name| schema::feature(name).ok());
    let scores = config.score.iter().filter_map(|score| schema::score(&score.tensor).ok());
    let parts = [
        ReasonPart::Code,
        ReasonPart::Text,
        ReasonPart::Feature,
        ReasonPart::Contribution,
        ReasonPart::Direction,
    ];
    let reasons = parts.into_iter().filter(move |_| explained.is_some()).map(|part| schema::reason(0, part));
    plain.chain(features).chain(scores).chain(reasons)
}
