//! Why a route was refused.

use std::io;
use std::path::PathBuf;

use ledgerstone::code::Code;
use ledgerstone::limits::PACKS_APPLIED_MAX;
use ledgerstone::pack::BUILT_IN;
use ledgerstone::record::FieldPathError;
use ledgerstone::record::schema::ROOTS;

use super::packs::Missing;
use crate::gate::GateError;
use crate::models::artifact::ArtifactError;
use crate::packs::PackFileError;

/// Why the routes of a configuration were refused; every message names the route and what to change.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RouteError {
    /// The name is empty, too long, has other characters, or is the built-in route's.
    #[error(
        "route name {name:?}: use 1 to 64 characters of a-z, 0-9, '.', '_' and '-', and not \"unrouted\""
    )]
    Name {
        /// The name as written.
        name: String,
    },
    /// Two routes have one name.
    #[error("two routes are named {name:?}: give each its own name, because records refer to it")]
    DuplicateName {
        /// The name.
        name: String,
    },
    /// An earlier route takes every call of this one.
    #[error(
        "route {route:?} can never be reached: route {earlier:?} before it matches the same models; change `match.model` or the order"
    )]
    Unreachable {
        /// The hidden route.
        route: String,
        /// The route that hides it.
        earlier: String,
    },
    /// Only `ModelInfer` is recorded field by field.
    #[error(
        "route {route:?}: method {method:?} cannot be recorded; the only one is \"inference.GRPCInferenceService/ModelInfer\""
    )]
    Method {
        /// The route.
        route: String,
        /// The method as written.
        method: String,
    },
    /// Only `strict` exists.
    #[error(
        "route {route:?}: mode {mode:?} is not available; the only mode is \"strict\": the answer waits for its record"
    )]
    Mode {
        /// The route.
        route: String,
        /// The mode as written.
        mode: String,
    },
    /// A key needs something that is not there, or excludes something that is.
    #[error("route {route:?}: {rule}")]
    Rule {
        /// The route.
        route: String,
        /// What to change.
        rule: &'static str,
    },
    /// A name occurs twice where each may stand once.
    #[error("route {route:?}: feature {name:?} is named twice; each column needs its own name")]
    DuplicateFeature {
        /// The route.
        route: String,
        /// The name.
        name: String,
    },
    /// A label that is neither an action nor mapped to one.
    #[error(
        "route {route:?}: label {label:?} leads to no action; add it under `actions` (approve, deny, refer, counteroffer, rank, triage, score)"
    )]
    LabelWithoutAction {
        /// The route.
        route: String,
        /// The label.
        label: String,
    },
    /// `adverse` or `actions` names a label that cannot occur.
    #[error("route {route:?}: `{key}` names {label:?}, which is no label of this route")]
    UnknownLabel {
        /// The route.
        route: String,
        /// `adverse` or `actions`.
        key: &'static str,
        /// The label.
        label: String,
    },
    /// A path pattern that cannot be read.
    #[error("route {route:?}: `{key}` has {text:?}: {source}")]
    Pattern {
        /// The route.
        route: String,
        /// The key.
        key: &'static str,
        /// The pattern as written.
        text: String,
        /// What is wrong with it.
        source: FieldPathError,
    },
    /// A pattern that selects nothing that a record of this route can hold.
    #[error(
        "route {route:?}: `{key}` has {text:?}, which is no field that a record of this route can have{}",
        advice(.nearest.as_deref())
    )]
    UnknownPath {
        /// The route.
        route: String,
        /// The key.
        key: &'static str,
        /// The pattern as written.
        text: String,
        /// The pattern that was most likely meant.
        nearest: Option<String>,
    },
    /// A mask over a field that every record needs.
    #[error(
        "route {route:?}: mask {pattern:?} covers {path}, which every record needs; write a narrower mask"
    )]
    MaskCovers {
        /// The route.
        route: String,
        /// The mask.
        pattern: String,
        /// The field.
        path: &'static str,
    },
    /// The digest is not `sha256:` and 64 lowercase hexadecimal digits.
    #[error("route {route:?}: model.digest must be \"sha256:\" and 64 lowercase hexadecimal digits")]
    Digest {
        /// The route.
        route: String,
    },
    /// The model file could not be read.
    #[error("route {route:?}: cannot read the model file {path}: {source}")]
    ModelFile {
        /// The route.
        route: String,
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The model folder has no manifest.
    #[error("route {route:?}: model.folder: {source}")]
    ModelFolder {
        /// The route.
        route: String,
        /// Why not.
        source: ArtifactError,
    },
    /// A pack that is neither a file nor one of those that come along.
    #[error("route {route:?}: `packs` has {name:?}{}", known_packs(.nearest.as_deref()))]
    UnknownPack {
        /// The route.
        route: String,
        /// The name.
        name: String,
        /// The name that was most likely meant.
        nearest: Option<String>,
    },
    /// A pack's file cannot be used.
    #[error("route {route:?}: `packs`: {source}")]
    Pack {
        /// The route.
        route: String,
        /// Why not.
        source: PackFileError,
    },
    /// Two packs have one name, or there are too many.
    #[error("route {route:?}: `packs` names {name:?} twice, or more than {PACKS_APPLIED_MAX} packs")]
    Packs {
        /// The route.
        route: String,
        /// The first that is too much.
        name: String,
    },
    /// A pattern of `later` that no later entry can hold.
    #[error(
        "route {route:?}: `later` has {text:?}, which no entry added to a decision holds: such paths begin with outcome, explanation, review, notice, contest or correction"
    )]
    NotLater {
        /// The route.
        route: String,
        /// The pattern as written.
        text: String,
    },
    /// Packs require fields that no record of the route can have.
    #[error("route {route:?} cannot satisfy its packs:{}", lacking(.lacks))]
    Lacks {
        /// The route.
        route: String,
        /// What is missing.
        lacks: Vec<Missing>,
    },
    /// A rule of the policy gate cannot be used.
    #[error("route {route:?}: `gate`: {source}")]
    Gate {
        /// The route.
        route: String,
        /// Why not.
        source: GateError,
    },
    /// A path that is not valid text.
    #[error("route {route:?}: model.file or model.folder is not valid UTF-8")]
    PathNotText {
        /// The route.
        route: String,
    },
}

impl RouteError {
    /// What the reader must do about it.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::ModelFile { .. } | Self::ModelFolder { .. } => Code::Unavailable,
            Self::Pack { source, .. } => source.code(),
            _ => Code::Misuse,
        }
    }
}

fn advice(nearest: Option<&str>) -> String {
    match nearest {
        Some(nearest) => format!("; did you mean {nearest:?}?"),
        None => format!(
            ". A path begins with one of {}; a feature and a score have the names that the route gives them",
            ROOTS.join(", ")
        ),
    }
}

fn known_packs(nearest: Option<&str>) -> String {
    let known: Vec<&str> = BUILT_IN.iter().map(|(name, _)| *name).collect();
    match nearest {
        Some(nearest) => format!("; did you mean {nearest:?}?"),
        None => format!(", which is no file (*.toml) and none of {}", known.join(", ")),
    }
}

fn lacking(lacks: &[Missing]) -> String {
    lacks.iter().map(|lack| format!("\n  {lack}")).collect()
}
