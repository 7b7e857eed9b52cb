//! `packs check` against a configuration: whether each route can hold what its packs require, and what else they ask.

use std::io::Write;
use std::sync::Arc;

use anyhow::Result;
use ledgerstone::pack::{CountsFrom, Erasure, Kept, Pack, Retention};
use serde_json::{Value as Json, json};

use crate::config::Config;
use crate::intercept::route::RouteConfig;
use crate::intercept::route::packs::{Presence, Requirement, named, requirements};

/// Prints how each route of `config` stands; true if any of them would be refused for its packs.
pub(super) fn check(config: &Config, as_json: bool, out: &mut impl Write) -> Result<bool> {
    let (mut lacks, mut shown) = (false, Vec::new());
    for route in &config.routes {
        let packs = named(route, &config.base)?;
        let required = requirements(route, &packs)?;
        lacks |= required.iter().any(|one| one.presence == Presence::Never);
        if as_json {
            shown.push(route_json(config, route, &packs, &required));
        } else {
            print(config, route, &packs, &required, out)?;
        }
    }
    if as_json {
        let report = json!({ "format": "ledgerstone-packs-routes/v1", "lacks": lacks, "routes": shown });
        writeln!(out, "{}", serde_json::to_string_pretty(&report)?)?;
    } else if config.routes.is_empty() {
        writeln!(out, "The configuration has no route.")?;
    }
    Ok(lacks)
}

/// How the record of a route comes to hold something, in words.
const fn presence(presence: Presence) -> &'static str {
    match presence {
        Presence::Never => "MISSING",
        Presence::Later => "later entry",
        Presence::Traffic => "traffic",
        Presence::Always => "always",
    }
}

fn print(
    config: &Config,
    route: &RouteConfig,
    packs: &[Arc<Pack>],
    required: &[Requirement],
    out: &mut impl Write,
) -> Result<()> {
    writeln!(out, "Route {}", route.name)?;
    if packs.is_empty() {
        writeln!(out, "  names no pack")?;
    }
    for pack in packs {
        let since = pack.in_force_from.map_or(String::new(), |date| format!(", in force from {date}"));
        writeln!(
            out,
            "  {} {}, state of the law {}{since}",
            pack.reference.name(),
            pack.reference.version(),
            pack.as_of
        )?;
        for one in required.iter().filter(|one| one.pack.reference == pack.reference) {
            let mask = one.masked_by.as_ref().map_or(String::new(), |mask| format!(" (masked by {mask})"));
            let when = one.required.when.as_str();
            writeln!(out, "    {:<11}  {}, {when}{mask}", presence(one.presence), one.required)?;
        }
        for asked in &pack.obligations {
            let nowhere = if config.recorder_listen.is_none() {
                "; recorder.listen is not set, so nobody can add it here"
            } else {
                ""
            };
            writeln!(out, "    {:<11}  {asked}{nowhere}", "must follow")?;
        }
        for retention in &pack.retention {
            writeln!(out, "    {:<11}  {}", "keep", kept(retention))?;
        }
        if let Some(erasing) = &pack.erasure {
            writeln!(out, "    {:<11}  {}", "erasure", erasure(erasing.erasure))?;
        }
        for asked in &pack.unchecked {
            writeln!(out, "    {:<11}  {}", "not checked", asked.rule)?;
        }
    }
    if let (Some(class), false) = (&route.retention, packs.is_empty()) {
        writeln!(out, "  retention class {class:?}: what it means is not compared with the packs")?;
    }
    Ok(())
}

fn route_json(config: &Config, route: &RouteConfig, packs: &[Arc<Pack>], required: &[Requirement]) -> Json {
    let each = |pack: &Arc<Pack>| {
        let mine = required.iter().filter(|one| one.pack.reference == pack.reference);
        let requires: Vec<Json> = mine
            .map(|one| {
                json!({
                    "any": one.required.any.iter().map(|pattern| pattern.as_str()).collect::<Vec<_>>(),
                    "when": one.required.when.as_str(),
                    "presence": one.presence,
                    "masked_by": one.masked_by,
                    "rule": one.required.rule,
                    "citation": pack.source(one.required.source).map(|source| &source.citation),
                })
            })
            .collect();
        json!({
            "name": pack.reference.name(),
            "version": pack.reference.version(),
            "sha256": pack.reference.digest().to_string(),
            "as_of": pack.as_of.to_string(),
            "in_force_from": pack.in_force_from.map(|date| date.to_string()),
            "requires": requires,
            "must_follow": pack.obligations.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "keep": pack.retention.iter().map(kept).collect::<Vec<_>>(),
            "erasure": pack.erasure.as_ref().map(|erasing| erasure(erasing.erasure)),
            "not_checked": pack.unchecked.iter().map(|asked| &asked.rule).collect::<Vec<_>>(),
        })
    };
    json!({
        "route": route.name,
        "recorder": config.recorder_listen.is_some(),
        "retention_class": route.retention,
        "packs": packs.iter().map(each).collect::<Vec<_>>(),
    })
}

/// How long something is kept, in words.
pub(super) fn kept(retention: &Retention) -> String {
    let of = match retention.of {
        Kept::Records => "records",
        Kept::Documents => "documents",
    };
    let from = match retention.from {
        CountsFrom::Decision => "from the decision",
        CountsFrom::Unstated => "from when, the source read does not say",
    };
    format!("{of} at least {}, {from}", retention.keep)
}

/// Whether records may be erased, in words.
pub(super) const fn erasure(erasure: Erasure) -> &'static str {
    match erasure {
        Erasure::Allowed => "allowed",
        Erasure::Refused => "refused",
    }
}
