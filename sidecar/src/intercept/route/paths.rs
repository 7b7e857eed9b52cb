//! Whether a path that a route names can stand in any of its records.
//!
//! Danger that it meets: a mask with a spelling mistake hides nothing, and what was to stay out of the record is kept.
//! Does not do: reading patterns, or knowing the tensors that traffic will bring.

use ledgerstone::record::{FieldPath, PathPattern, schema};

use super::RouteConfig;
use crate::gate::Names;
use crate::nearest::nearest;

/// What the pattern must be instead, if it can select nothing: the nearest that can, where one is near.
pub(super) fn unknown(config: &RouteConfig, pattern: &PathPattern) -> Option<Option<String>> {
    let segments: Vec<&str> = pattern.as_str().split('/').collect();
    let mapped = match *segments.as_slice() {
        ["input", "feature", name, ..] if name != "*" => Some(features(config)),
        ["output", "score", name, ..] if name != "*" => Some(scores(config)),
        _ => None,
    };
    let is_mapped =
        mapped.as_ref().is_none_or(|names| names.iter().any(|name| Some(&name.as_str()) == segments.get(2)));
    if schema::can_select(pattern) && is_mapped {
        return None;
    }
    let candidates = candidates(config, &segments);
    Some(nearest(pattern.as_str(), candidates.iter().map(String::as_str)).map(str::to_owned))
}

/// The names of the route's features, as they stand in paths.
fn features(config: &RouteConfig) -> Vec<String> {
    let names = config.features.iter().flat_map(|features| &features.names);
    names.filter_map(|name| schema::feature(name).ok()).filter_map(last_segment).collect()
}

/// The name of the route's score, as it stands in paths.
fn scores(config: &RouteConfig) -> Vec<String> {
    let path = config.score.as_ref().and_then(|score| schema::score(&score.tensor).ok());
    path.and_then(last_segment).into_iter().collect()
}

/// The names of the route that the rules of its gate may use.
pub(super) fn names(config: &RouteConfig) -> Names {
    Names {
        features: config.features.iter().flat_map(|features| features.names.clone()).collect(),
        scores: config.score.iter().map(|score| score.tensor.clone()).collect(),
        labels: config.threshold.is_some() || config.label.is_some(),
    }
}

fn last_segment(path: FieldPath) -> Option<String> {
    path.segments().last().map(str::to_owned)
}

/// Every known path in the form that `segments` have: names from the route where it gives any, else as they were written,
/// stars where they were written, and no longer than what was written where that ends in a star.
fn candidates(config: &RouteConfig, segments: &[&str]) -> Vec<String> {
    let mut candidates = Vec::new();
    for spec in schema::PATHS {
        let names = match spec.pattern {
            family if family.starts_with("input/feature/") => features(config),
            family if family.starts_with("output/score/") => scores(config),
            // Callers name parameters as they like: no spelling of one is nearer than another.
            family if family.starts_with("input/parameter/") => Vec::new(),
            _ => segments.iter().map(|&segment| segment.to_owned()).collect(),
        };
        candidates.extend(names.iter().map(|name| shaped(spec.pattern, name, segments)));
    }
    candidates.sort();
    candidates.dedup();
    candidates
}

/// `known` with `name` for its name and with the stars and places of `written`.
fn shaped(known: &str, name: &str, written: &[&str]) -> String {
    let ends_in_star = written.last() == Some(&"*");
    let length = if ends_in_star { written.len() } else { usize::MAX };
    let segment = |(at, segment): (usize, &str)| match (segment, written.get(at)) {
        (_, Some(&"*")) => "*".to_owned(),
        ("<name>", _) => name.to_owned(),
        ("[n]", Some(place)) if place.starts_with('[') => (*place).to_owned(),
        ("[n]", _) => "*".to_owned(),
        (literal, _) => literal.to_owned(),
    };
    let segments: Vec<String> = known.split('/').enumerate().take(length).map(segment).collect();
    segments.join("/")
}
