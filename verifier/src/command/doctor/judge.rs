//! What is to be said of the numbers and settings that a sidecar tells of itself.

use std::net::SocketAddr;

use super::admin::Told;
use super::finding::{Findings, Level};
use crate::admin::exposition::Exposition;
use crate::admin::{Disk, Journal, Lane, Settings, Status};
use crate::output::{plural, thousands};

/// Bytes that must be free: what waits for publication at most (256 MiB), four journal segments, and as much again.
const FREE_BYTES_MIN: u64 = 512 << 20;

/// Bytes of a journal that is not recycled: past 256 MiB no batch is cut (`docs/spec/store.md`).
const JOURNAL_BYTES_MAX: u64 = 256 << 20;

/// Leaves that may be durable and not public, or public and not in the index.
const LAG_ENTRIES_MAX: f64 = 10_000.0;

/// File descriptors that a sidecar should have: each port takes up to 1,024 connections.
const FILES_MIN: u64 = 2048;

/// Everything that the admin port said.
pub(super) fn all(findings: &mut Findings, told: &Told, free_min: u64) {
    if let Some(status) = &told.status {
        version(findings, &status.version);
        keys(findings, status);
        approvals(findings, status);
        room(findings, status.disk, status.journal, free_min);
        if let Some(files) = status.files_max {
            descriptors(findings, files);
        }
        lanes(findings, &status.anchors);
        packs(findings, status);
        overdue(findings, status);
    }
    if let Some(metrics) = &told.metrics {
        numbers(findings, metrics);
    }
    if let Some(models) = &told.models {
        models_of(findings, models, told.metrics.as_ref());
    }
}

fn version(findings: &mut Findings, theirs: &str) {
    let ours = env!("CARGO_PKG_VERSION");
    if theirs == ours {
        return findings
            .ok("sidecar.version", format!("Sidecar and command line are both of version {ours}."));
    }
    findings.warn(
        "sidecar.version",
        format!("The sidecar is of version {theirs}, this command of {ours}."),
        "Use the `ledgerstone` of the sidecar's own release, or finish the upgrade.",
    );
}

fn keys(findings: &mut Findings, status: &Status) {
    let provider = &status.keys.provider;
    match (&status.keys.error, status.keys.checked_ms) {
        (Some(error), _) => findings.fail(
            "keys.provider",
            format!("The key provider ({provider}) does not wrap and unwrap: {error}."),
            "Make the provider reachable and its credentials good (docs/keys.md); `ledgerstone-sidecar keys check` tries each. \
             Until then decisions live on the keys that were made before.",
        ),
        (None, Some(_)) => findings.ok("keys.provider", format!("The key provider ({provider}) wraps and unwraps.")),
        (None, None) => findings.open(
            "keys.provider",
            "The sidecar does not serve yet, so its key provider was not asked.",
            "Run the command again when it is ready.",
        ),
    }
}

/// What of the configuration waits for signatures while the sidecar runs: another key-encryption key. Any other change that nobody
/// approved lets no sidecar start.
fn approvals(findings: &mut Findings, status: &Status) {
    let wanted = &status.keys.wanted;
    match &status.keys.in_force {
        Some(in_force) if in_force != wanted => findings.warn(
            "approvals",
            format!("The key {wanted} waits for its approval; {in_force} stays in force."),
            "`ledgerstone-sidecar approvals status` says whose signatures are missing; then `keyring rotate --approval FILE` \
             (docs/approvals.md).",
        ),
        _ => findings.ok("approvals", "Nothing of the configuration waits for an approval."),
    }
}

/// Disk and journal, or that they are not known.
pub(super) fn room(findings: &mut Findings, space: Option<Disk>, size: Option<Journal>, free_min: u64) {
    const FIX: &str =
        "See that the store is there and can be read, and that it lies on a disk of this machine.";
    match space {
        Some(space) => disk(findings, space, free_min),
        None => findings.open("disk.free", "How much is free on the disk of the store is not known.", FIX),
    }
    match size {
        Some(size) => journal(findings, size),
        None => findings.open("journal.backlog", "The journal of the store cannot be listed.", FIX),
    }
}

/// The disk of the store.
fn disk(findings: &mut Findings, disk: Disk, free_min: u64) {
    const FIX: &str = "Make room on the volume of log.store, or make it larger: without room nothing is recorded, and in strict mode \
                       nothing answered.";
    let mib = |bytes: u64| thousands(bytes >> 20);
    let detail = format!(
        "{} MiB of {} MiB are free on the disk of the store.",
        mib(disk.free_bytes),
        mib(disk.total_bytes)
    );
    if disk.free_bytes < FREE_BYTES_MIN {
        findings.fail("disk.free", detail, FIX);
    } else if disk.free_bytes < free_min {
        findings.warn("disk.free", format!("{detail} That is less than {} MiB.", mib(free_min)), FIX);
    } else {
        findings.ok("disk.free", detail);
    }
}

/// The journal.
fn journal(findings: &mut Findings, journal: Journal) {
    let files = plural(journal.segments, "segment", "segments");
    let detail = format!("The journal has {files} of {} MiB.", thousands(journal.bytes >> 20));
    if journal.bytes <= JOURNAL_BYTES_MAX {
        return findings.ok("journal.backlog", detail);
    }
    findings.fail(
        "journal.backlog",
        format!("{detail} So much waits to be applied and published."),
        "Look for errors of apply, publish or recycle in the sidecar's log lines: no space, a quota, or a volume that is read-only. \
         Files in journal/ that the sidecar did not write must go.",
    );
}

fn descriptors(findings: &mut Findings, files: u64) {
    if files >= FILES_MIN {
        return findings.ok("files.limit", format!("It may have {} files open.", thousands(files)));
    }
    findings.warn(
        "files.limit",
        format!("It may have only {} files open; a crowd of callers takes more.", thousands(files)),
        "Raise the limit for the sidecar to 4096 at least: LimitNOFILE= in its unit, or ulimit -n.",
    );
}

fn lanes(findings: &mut Findings, lanes: &[Lane]) {
    if lanes.is_empty() {
        return findings.warn(
            "anchors",
            "No lane fixes the log's head outside, so a rewrite of the whole log by its owner would not be seen.",
            "Configure a lane, such as [[anchors.rfc3161]] (docs/anchoring.md).",
        );
    }
    let found = lanes.iter().filter_map(|lane| {
        let name = format!("Lane {} ({})", lane.lane, lane.kind);
        if !lane.alarms.is_empty() {
            return Some((Level::Fail, format!("{name} raises an alarm: {}.", lane.alarms.join("; "))));
        }
        if lane.lag_alarm_seconds > 0 && lane.lag_seconds > lane.lag_alarm_seconds {
            return Some((Level::Fail, format!("{name} is {} s late.", lane.lag_seconds)));
        }
        lane.last_error.as_ref().map(|error| (Level::Warn, format!("{name} does not go on: {error}.")))
    });
    findings.sum(
        "anchors",
        format!("{} in time.", plural(lanes.len() as u64, "lane fixes the log", "lanes fix the log")),
        found.collect(),
        "Check that the target is reachable from the sidecar, its certificate and the account behind it; `ledgerstone-sidecar anchor \
         status` and /anchors say when it is tried again. Nothing is lost: the next statement covers everything since.",
    );
}

fn packs(findings: &mut Findings, status: &Status) {
    let without = status.routes.iter().filter(|route| route.use_case.is_some() && route.packs.is_empty());
    let found =
        without.map(|route| (Level::Warn, format!("Route {} names a use case and no pack.", route.name)));
    findings.sum(
        "routes.packs",
        format!("{} without anything to add.", plural(status.routes.len() as u64, "route is", "routes are")),
        found.collect(),
        "Name the packs of its use case: packs = [...] in the [[route]]; `ledgerstone-sidecar packs list` prints them (docs/packs.md).",
    );
}

fn overdue(findings: &mut Findings, status: &Status) {
    match (status.settings.retention_ms, status.records_overdue) {
        (None, _) => findings.warn(
            "retention",
            "Records whose retention period is over are never erased: no sweep is configured.",
            "Set retention.interval, or run `ledgerstone-sidecar retention` on a schedule of your own (docs/erasure.md).",
        ),
        (Some(_), Some(0)) => findings.ok("retention", "No record is kept past its period."),
        (Some(_), Some(records)) => findings.warn(
            "retention",
            format!("{} past the period; those that are held stay.", plural(records, "record is", "records are")),
            "Run `ledgerstone-sidecar retention --dry-run` to see the classes, and look at the log lines of the last sweep.",
        ),
        (Some(_), None) => {
            findings.open("retention", "The keyring was not read.", "Run the command again when the sidecar is ready.");
        }
    }
}

fn numbers(findings: &mut Findings, metrics: &Exposition) {
    let value = |name| metrics.value(name);
    if let Some(lag) = value("ledgerstone_published_lag_entries") {
        let detail = format!("{lag:.0} entries are durable and not public.");
        if lag > LAG_ENTRIES_MAX {
            findings.warn(
                "log.published",
                detail,
                "The disk is too slow for what is asked, or publishing fails: see the log lines.",
            );
        } else {
            findings.ok("log.published", detail);
        }
    }
    if let (Some(index), Some(size)) = (value("ledgerstone_index_size"), value("ledgerstone_published_size"))
    {
        let detail = format!("The lookup index covers {index:.0} of {size:.0} entries.");
        if size - index > LAG_ENTRIES_MAX {
            findings.warn(
                "index.behind",
                detail,
                "It catches up by itself. Where it does not, stop the sidecar and run `ledgerstone-sidecar index rebuild`.",
            );
        } else {
            findings.ok("index.behind", detail);
        }
    }
    if let Some(open) = value("ledgerstone_upstream_exposed") {
        if open > 0.0 {
            findings.fail(
                "upstream.local",
                "The model server listens on more than loopback, so it can be asked past the sidecar.",
                "Have the model server listen on 127.0.0.1 alone, and set upstream.local_only = \"require\".",
            );
        } else {
            findings.ok("upstream.local", "The model server was not seen to listen on more than loopback.");
        }
    }
    let missing = metrics.all("ledgerstone_hardening").filter(|part| part.value < 1.0);
    let found = missing.map(|part| (Level::Warn, format!("{} is missing or off.", part.label("part"))));
    let found: Vec<_> = found.collect();
    if metrics.all("ledgerstone_hardening").next().is_some() {
        findings.sum(
            "hardening",
            "Every part of the hardening holds.",
            found,
            "Set the part's key in [hardening] to best-effort or required; /hardening says what the kernel or a limit lacks.",
        );
    }
}

fn models_of(findings: &mut Findings, text: &str, metrics: Option<&Exposition>) {
    let mut found: Vec<(Level, String)> = Vec::new();
    for line in text.lines() {
        let mut words = line.splitn(3, ' ');
        let standing = (words.next(), words.next(), words.next());
        let (Some(route), Some(_), Some(standing)) = standing else {
            found.push((Level::NotChecked, format!("/models says `{line}`, which is no line of it.")));
            continue;
        };
        if standing.starts_with("NOT the registered one") {
            found.push((Level::Fail, format!("Route {route} serves another model than the registered one.")));
        } else if standing == "unregistered" {
            found.push((Level::Warn, format!("No model is registered for route {route}.")));
        } else if standing == "the log is being read" {
            found.push((
                Level::NotChecked,
                format!("Whether route {route} serves the registered model is not known yet."),
            ));
        } else if !standing.starts_with("registered at ") && standing != "no model is named" {
            found.push((Level::NotChecked, format!("Route {route} is said to be `{standing}`.")));
        }
    }
    let unreadable = metrics.into_iter().flat_map(|metrics| metrics.all("ledgerstone_model_unreadable"));
    for series in unreadable.filter(|series| series.value > 0.0) {
        found.push((
            Level::Fail,
            format!("The files of route {}'s model cannot be read.", series.label("route")),
        ));
    }
    findings.sum(
        "models",
        "Every route serves the model that is registered for it, or names none.",
        found,
        "Register what is served with `ledgerstone model register`, or put the registered model back. While the log is being read, run the \
         command again.",
    );
}

/// What the configuration says, wherever it was read.
pub(super) fn settings(findings: &mut Findings, settings: &Settings) {
    let is_open =
        |address: &&String| address.parse::<SocketAddr>().is_ok_and(|address| !address.ip().is_loopback());
    let outside: Vec<&str> = settings
        .listen
        .iter()
        .filter(|(_, address)| is_open(address))
        .map(|(name, _)| name.as_str())
        .collect();
    let mut found = Vec::new();
    if !outside.is_empty() && !settings.tls {
        found.push((
            Level::Warn,
            format!("Ports that others reach speak plain text: {}.", outside.join(", ")),
        ));
    }
    if !outside.is_empty() && !settings.access {
        found.push((
            Level::Warn,
            format!("Nobody is asked who calls at ports that others reach: {}.", outside.join(", ")),
        ));
    }
    findings.sum(
        "config.exposed",
        "Ports that others reach speak TLS and ask who calls, or there are none.",
        found,
        "Set [server.tls] (docs/tls.md) and [access] (docs/access.md), or have the ports listen on 127.0.0.1.",
    );
    match settings.keyring_backup_ms {
        Some(_) => findings.ok("config.backup", "The keyring is copied on a schedule."),
        None => findings.warn(
            "config.backup",
            "No copies of the keyring are made; whoever loses it loses every record.",
            "Set keys.backup_interval, or copy it with `ledgerstone-sidecar keyring backup` on a schedule of your own.",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn levels(look: impl FnOnce(&mut Findings)) -> Vec<Level> {
        let mut findings = Findings::default();
        look(&mut findings);
        assert!(findings.all.iter().all(|finding| (finding.level == Level::Ok) == finding.fix.is_none()));
        findings.all.iter().map(|finding| finding.level).collect()
    }

    #[test]
    fn a_disk_is_judged_by_what_is_free() {
        let free = |free_bytes| levels(|f| disk(f, Disk { free_bytes, total_bytes: 1 << 40 }, 2 << 30));
        assert_eq!(free(2 << 30), [Level::Ok]);
        assert_eq!(free((2 << 30) - 1), [Level::Warn]);
        assert_eq!(free(FREE_BYTES_MIN - 1), [Level::Fail]);
    }

    #[test]
    fn ports_that_others_reach_ask_for_tls_and_roles() {
        let judged = |address: &str, tls, access| {
            let listen = [("http".to_owned(), address.to_owned())].into();
            let given = Settings { listen, tls, access, keyring_backup_ms: Some(1), ..Settings::default() };
            levels(|f| settings(f, &given))
        };
        assert_eq!(judged("127.0.0.1:7451", false, false), [Level::Ok, Level::Ok]);
        assert_eq!(judged("[::1]:7451", false, false), [Level::Ok, Level::Ok]);
        assert_eq!(judged("0.0.0.0:7451", true, true), [Level::Ok, Level::Ok]);
        assert_eq!(judged("0.0.0.0:7451", true, false), [Level::Warn, Level::Ok]);
        assert_eq!(judged("[::]:7451", false, true), [Level::Warn, Level::Ok]);
    }

    #[test]
    fn a_route_is_well_only_where_its_model_is_registered_or_none_is_named() {
        let level = |text: &str| levels(|f| models_of(f, text, None));
        assert_eq!(level("a 00 registered at leaf index 3\nb - no model is named\n"), [Level::Ok]);
        assert_eq!(
            level("a 00 registered at leaf index 3\nb 00 the log is being read\n"),
            [Level::NotChecked]
        );
        assert_eq!(level("a 00 unregistered\n"), [Level::Warn]);
        assert_eq!(
            level("a 00 NOT the registered one: 11, at leaf index 3\nb 00 unregistered\n"),
            [Level::Fail]
        );
        assert_eq!(level("<html>\n"), [Level::NotChecked]);
        assert_eq!(level("a 00 something new\n"), [Level::NotChecked]);
    }

    #[test]
    fn a_disk_that_is_not_told_is_not_called_well() {
        assert_eq!(levels(|f| room(f, None, None, 1)), [Level::NotChecked, Level::NotChecked]);
    }

    #[test]
    fn an_index_far_behind_and_a_part_that_is_off_are_told() {
        let text = "ledgerstone_index_size 5\nledgerstone_published_size 20000\nledgerstone_hardening{part=\"seccomp\"} 0\n";
        let metrics = Exposition::parse(text.as_bytes()).unwrap();
        assert_eq!(levels(|f| numbers(f, &metrics)), [Level::Warn, Level::Warn]);
    }
}
