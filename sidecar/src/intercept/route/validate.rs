//! The rules between the keys of a route.

use std::collections::BTreeSet;

use ledgerstone::encoding::hex_decode;
use ledgerstone::hash::Hash;
use ledgerstone::record::schema::{FORMS, feature};
use ledgerstone::record::{FieldPath, PathPattern};

use super::paths;
use super::{Action, Glob, MODEL_INFER, RouteConfig, RouteError, SubjectSource, UNROUTED};

/// Features that one route may name: with their scores and labels they must fit a record's fields.
pub(crate) const FEATURES_MAX: usize = 1024;

/// Bytes of each thing that people are told by every record of a route.
const CONTEST_BYTES_MAX: usize = 2048;

/// Fields without which a record could not be found again, would hide that it hides something, or by which rules it is judged.
const NEVER_MASKED: [&str; 6] = [
    "decision/id",
    "decision/route",
    "decision/packs",
    "gate/policy",
    "gate/effect",
    "privacy/masked/[0]/pointer",
];

/// Every route has its own, well-formed name.
pub(super) fn names(configs: &[RouteConfig]) -> Result<(), RouteError> {
    let mut seen = BTreeSet::new();
    for config in configs {
        if !is_name(&config.name) || config.name == UNROUTED {
            return Err(RouteError::Name { name: config.name.clone() });
        }
        if !seen.insert(&config.name) {
            return Err(RouteError::DuplicateName { name: config.name.clone() });
        }
    }
    Ok(())
}

/// No route is hidden by an earlier one: the earlier pattern would have to match the later pattern's own text.
pub(super) fn reachable(configs: &[RouteConfig]) -> Result<(), RouteError> {
    for (place, config) in configs.iter().enumerate() {
        let hides = |earlier: &&RouteConfig| Glob::new(&earlier.matches.model).matches(&config.matches.model);
        if let Some(earlier) = configs.iter().take(place).find(hides) {
            return Err(RouteError::Unreachable {
                route: config.name.clone(),
                earlier: earlier.name.clone(),
            });
        }
    }
    Ok(())
}

/// The rules within one route.
pub(super) fn route(config: &RouteConfig) -> Result<(), RouteError> {
    let route = || config.name.clone();
    if config.method != MODEL_INFER && config.method != "ModelInfer" {
        return Err(RouteError::Method { route: route(), method: config.method.clone() });
    }
    if config.mode != "strict" {
        return Err(RouteError::Mode { route: route(), mode: config.mode.clone() });
    }
    if let Some(rule) = broken_rule(config) {
        return Err(RouteError::Rule { route: route(), rule });
    }
    features(config)?;
    labels(config)
}

/// A digest as the configuration writes it.
pub(super) fn digest(route: &str, text: &str) -> Result<Hash, RouteError> {
    text.strip_prefix("sha256:")
        .and_then(|hex| hex_decode(hex).ok())
        .and_then(|bytes| Hash::try_from(bytes.as_slice()).ok())
        .ok_or_else(|| RouteError::Digest { route: route.to_owned() })
}

/// The patterns of `receipt.disclose`.
pub(super) fn disclose<'a>(
    config: &RouteConfig,
    patterns: impl Iterator<Item = &'a str>,
) -> Result<Vec<PathPattern>, RouteError> {
    patterns.map(|text| pattern(config, "receipt.disclose", text)).collect()
}

/// The patterns of `mask`, with their reasons.
pub(super) fn masks(config: &RouteConfig) -> Result<Vec<(PathPattern, String)>, RouteError> {
    config
        .mask
        .iter()
        .map(|mask| {
            let pattern = pattern(config, "mask.path", &mask.path)?;
            for path in NEVER_MASKED {
                if FieldPath::parse(path).is_ok_and(|path| pattern.matches(&path)) {
                    return Err(RouteError::MaskCovers {
                        route: config.name.clone(),
                        pattern: mask.path.clone(),
                        path,
                    });
                }
            }
            Ok((pattern, mask.reason.clone()))
        })
        .collect()
}

/// The patterns of `later`: each selects something that entries added to a decision hold.
pub(super) fn later(config: &RouteConfig) -> Result<Vec<PathPattern>, RouteError> {
    let read = |text: &String| {
        let pattern = pattern(config, "later", text)?;
        let root = text.split('/').next().unwrap_or_default();
        let is_later = FORMS.iter().any(|form| form.kind == root);
        is_later
            .then_some(pattern)
            .ok_or_else(|| RouteError::NotLater { route: config.name.clone(), text: text.clone() })
    };
    config.later.iter().map(read).collect()
}

fn pattern(config: &RouteConfig, key: &'static str, text: &str) -> Result<PathPattern, RouteError> {
    let (route, owned) = (config.name.clone(), text.to_owned());
    let pattern = match PathPattern::parse(text) {
        Ok(pattern) => pattern,
        Err(source) => return Err(RouteError::Pattern { route, key, text: owned, source }),
    };
    match paths::unknown(config, &pattern) {
        None => Ok(pattern),
        Some(nearest) => Err(RouteError::UnknownPath { route, key, text: owned, nearest }),
    }
}

fn is_web(url: &str) -> bool {
    ["https://", "http://"].iter().any(|scheme| url.strip_prefix(scheme).is_some_and(|rest| !rest.is_empty()))
}

fn broken_rule(config: &RouteConfig) -> Option<&'static str> {
    let explanation = config.explanation.as_ref();
    let rules = [
        (config.matches.model.is_empty(), "`match.model` is empty; write \"*\" for every model"),
        (
            [config.model.file.is_some(), config.model.folder.is_some(), config.model.digest.is_some()]
                .into_iter()
                .filter(|given| *given)
                .count()
                > 1,
            "give one of `model.folder`, `model.file` and `model.digest`: the others would be ignored",
        ),
        (
            config.model.registered.as_ref().is_some_and(|name| !is_name(name)),
            "`model.registered` is 1 to 64 characters of a-z 0-9 . _ -",
        ),
        (
            config.threshold.is_some() && config.score.is_none(),
            "`threshold` needs `score`: say which tensor holds the score",
        ),
        (
            config.threshold.is_some() && config.label.is_some(),
            "give `threshold` or `label`, not both: they could contradict each other",
        ),
        (
            config.threshold.as_ref().is_some_and(|t| !t.value.is_finite()),
            "`threshold.value` must be a finite number",
        ),
        (
            config.threshold.as_ref().is_some_and(|t| t.above == t.below),
            "`threshold.above` and `threshold.below` are the same label",
        ),
        (
            config.label.as_ref().is_some_and(|label| label.names.is_empty()),
            "`label.names` is empty; list the labels that may come",
        ),
        (
            explanation.is_some_and(|e| e.parameter.is_some() == e.tensor.is_some()),
            "`explanation` needs exactly one of `parameter` and `tensor`",
        ),
        (
            [&config.lawful_basis, &config.purpose].iter().any(|text| text.as_deref() == Some("")),
            "`lawful_basis` and `purpose` are words, or left out",
        ),
        (
            config.mask.iter().any(|mask| mask.reason.is_empty()),
            "every `mask` needs a `reason`: hidden is not missing",
        ),
        (
            matches!(&config.subject, Some(SubjectSource::Metadata(name)) if !is_header(name)),
            "`subject.metadata` must be a lowercase header name that does not end in \"-bin\"",
        ),
    ];
    rules.into_iter().chain(told(config)).find_map(|(broken, rule)| broken.then_some(rule))
}

/// The rules of what people are told by every record of the route.
fn told(config: &RouteConfig) -> [(bool, &'static str); 4] {
    let contest = config.contest.as_ref();
    [
        (
            contest.is_some_and(|contest| contest.ways().next().is_none()),
            "`contest` needs a way to contest: give `url`, `email`, `phone`, `address` or `text`",
        ),
        (
            contest.is_some_and(|contest| {
                contest.ways().any(|way| way.is_empty() || way.len() > CONTEST_BYTES_MAX)
            }),
            "what `contest` says has 1 to 2048 bytes each: every record of the route carries it",
        ),
        (
            contest.and_then(|contest| contest.url.as_deref()).is_some_and(|url| !is_web(url)),
            "`contest.url` starts with https:// or http://",
        ),
        (
            config.role.as_ref().is_some_and(|role| role.is_empty() || role.len() > CONTEST_BYTES_MAX),
            "`role` has 1 to 2048 bytes",
        ),
    ]
}

fn features(config: &RouteConfig) -> Result<(), RouteError> {
    let route = || config.name.clone();
    let mut seen = BTreeSet::new();
    for features in &config.features {
        if features.names.is_empty() {
            return Err(RouteError::Rule {
                route: route(),
                rule: "`features.names` is empty; name the tensor's columns",
            });
        }
        for name in &features.names {
            if feature(name).and_then(|path| path.place(u32::MAX)).is_err() {
                return Err(RouteError::Rule {
                    route: route(),
                    rule: "a feature name is empty or too long; shorten it to 70 bytes",
                });
            }
            if !seen.insert(name) {
                return Err(RouteError::DuplicateFeature { route: route(), name: name.clone() });
            }
        }
    }
    if seen.len() > FEATURES_MAX {
        return Err(RouteError::Rule {
            route: route(),
            rule: "more than 1024 features are named; record such tensors by digest instead",
        });
    }
    Ok(())
}

fn labels(config: &RouteConfig) -> Result<(), RouteError> {
    let labels: Vec<&String> = match (&config.threshold, &config.label) {
        (Some(threshold), _) => vec![&threshold.above, &threshold.below],
        (None, Some(label)) => label.names.iter().collect(),
        (None, None) => Vec::new(),
    };
    for label in &labels {
        if !config.actions.contains_key(*label) && Action::parse(label).is_none() {
            return Err(RouteError::LabelWithoutAction {
                route: config.name.clone(),
                label: (*label).clone(),
            });
        }
    }
    let adverse = config.adverse.iter().map(|label| ("adverse", label));
    let actions = config.actions.keys().map(|label| ("actions", label));
    for (key, label) in adverse.chain(actions) {
        if !labels.contains(&label) {
            return Err(RouteError::UnknownLabel { route: config.name.clone(), key, label: label.clone() });
        }
    }
    Ok(())
}

fn is_name(name: &str) -> bool {
    let allowed = |c: u8| matches!(c, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-');
    (1..=64).contains(&name.len()) && name.bytes().all(allowed)
}

fn is_header(name: &str) -> bool {
    http::HeaderName::from_lowercase(name.as_bytes()).is_ok() && !name.ends_with("-bin")
}
