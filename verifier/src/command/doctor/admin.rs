//! The admin port: whether it answers, whether the sidecar is live and ready, and what it says of itself.

use ledgerstone::time::UnixMillis;

use super::Places;
use super::finding::{Findings, Level};
use crate::admin::exposition::{EXPOSITION_BYTES_MAX, Exposition};
use crate::admin::{STATUS_BYTES_MAX, Sink, Status, TEXT_BYTES_MAX, sinks, status};
use crate::output::plural;
use crate::source::{Answered, Web};

/// What every sidecar measures: a page without them is not its page, however well it parses.
const MEASURED: [&str; 6] = [
    "ledgerstone_ready",
    "ledgerstone_published_lag_entries",
    "ledgerstone_published_size",
    "ledgerstone_index_size",
    "ledgerstone_unrecorded",
    "ledgerstone_upstream_exposed",
];

/// What the admin port said.
#[derive(Default)]
pub(super) struct Told {
    pub(super) status: Option<Status>,
    pub(super) metrics: Option<Exposition>,
    /// The lines of `/models`.
    pub(super) models: Option<String>,
    pub(super) sinks: Option<Vec<Sink>>,
    /// The header `date` of an answer, and what this machine's clock said then.
    pub(super) date: Option<(String, UnixMillis)>,
    /// What this machine's clock said when `status` came.
    pub(super) heard: Option<UnixMillis>,
}

/// Asks everything there is to ask.
pub(super) fn ask(findings: &mut Findings, url: &str, places: &Places<'_>) -> Told {
    let mut told = Told::default();
    let web = match Web::new(url, places.web) {
        Ok(web) => web,
        Err(refusal) => {
            findings.open("admin.reached", refusal.message, refusal.next);
            return told;
        }
    };
    let live = match web.get("live", TEXT_BYTES_MAX) {
        Ok(live) => live,
        Err(error) => {
            findings.fail(
                "admin.reached",
                format!("{error}."),
                "Start the sidecar, and check that server.admin_listen is this address, that no firewall or NetworkPolicy is \
                 between, and that http:// or https:// is what it speaks.",
            );
            return told;
        }
    };
    if !matches!(live.status, 200 | 503) {
        findings.fail(
            "admin.reached",
            format!("{url}/live answers with HTTP status {}, as no sidecar does.", live.status),
            "Name the address of server.admin_listen.",
        );
        return told;
    }
    findings.ok("admin.reached", format!("The admin port at {url} answers."));
    told.date = live.date.clone().map(|date| (date, places.clock()));
    liveness(findings, &live, web.get("ready", TEXT_BYTES_MAX).ok().as_ref());
    documents(findings, &web, &mut told, places);
    told
}

fn liveness(findings: &mut Findings, live: &Answered, ready: Option<&Answered>) {
    let words = |answer: &Answered| String::from_utf8_lossy(&answer.body).trim().to_owned();
    if live.status != 200 {
        return findings.fail(
            "sidecar.live",
            format!("The sidecar says: {}.", words(live)),
            "Look at the volume of log.store and at the sidecar's log lines first, then restart it: the restart recovers the log.",
        );
    }
    findings.ok("sidecar.live", "The sidecar is live.");
    let Some(ready) = ready else {
        return findings.open("sidecar.ready", "/ready was not answered.", "Run the command again.");
    };
    if ready.status == 200 {
        return findings.ok("sidecar.ready", "It is ready: requests may be sent to it.");
    }
    let why = words(ready);
    let fix = if why.contains("recovered") {
        "Wait; its log lines say how far recovery is. If it does not end, look at the disk of log.store."
    } else if why.contains("stopping") {
        "Start it again, if nobody else does."
    } else if why.contains("listens on") {
        "Have the model server listen on 127.0.0.1 alone."
    } else {
        "Make room on the disk of log.store and look at its log lines; nothing is lost, and it takes requests again by itself."
    };
    findings.fail("sidecar.ready", format!("It takes no requests: {why}."), fix);
}

/// Reads the documents that take the role operator.
fn documents(findings: &mut Findings, web: &Web, told: &mut Told, places: &Places<'_>) {
    let refused = |findings: &mut Findings, status: u16| {
        findings.fail(
            "access.operator",
            format!("The admin port refuses to say more (HTTP status {status}): whoever asks has not the role operator."),
            "Show who you are with --cert-file and --key-file or --token-file, and give that certificate or claim the role \
             operator by an [[access.rule]] (docs/access.md).",
        );
    };
    match web.get("status", STATUS_BYTES_MAX) {
        Ok(answer) if matches!(answer.status, 401 | 403) => return refused(findings, answer.status),
        Ok(answer) if answer.status == 200 => match status(&answer.body) {
            Ok(status) => {
                findings.ok("admin.status", "/status can be read.");
                (told.status, told.heard) = (Some(status), Some(places.clock()));
            }
            Err(why) => findings.fail("admin.status", format!("/status cannot be read: {why}."), UPGRADE),
        },
        Ok(answer) => findings.open("admin.status", format!("/status answers {}.", answer.status), UPGRADE),
        Err(error) => findings.open("admin.status", format!("{error}."), error.next()),
    }
    match web.get("metrics", EXPOSITION_BYTES_MAX) {
        Ok(answer) if matches!(answer.status, 401 | 403) => return refused(findings, answer.status),
        Ok(answer) if answer.status == 200 => match Exposition::parse(&answer.body) {
            Ok(metrics) => scraped(findings, metrics, told),
            Err(error) => findings.fail(
                "metrics.scrape",
                format!("/metrics is no Prometheus text: {error}."),
                "See that nothing stands between that changes it, such as a proxy's page of its own.",
            ),
        },
        Ok(answer) => {
            findings.fail(
                "metrics.scrape",
                format!("/metrics answers {}.", answer.status),
                "Look at the sidecar's log lines.",
            );
        }
        Err(error) => findings.open("metrics.scrape", format!("{error}."), error.next()),
    }
    pages(findings, web, told);
}

/// Takes a scrape for what it is, if it is a sidecar's.
fn scraped(findings: &mut Findings, metrics: Exposition, told: &mut Told) {
    let lacks = MEASURED.iter().find(|name| !metrics.value(name).is_some_and(f64::is_finite));
    if let Some(lacks) = lacks {
        return findings.fail(
            "metrics.scrape",
            format!("/metrics does not have {lacks}, which every sidecar measures."),
            "See that nothing stands between that changes or empties it, and that this is the admin port of a sidecar of this release.",
        );
    }
    findings.ok("metrics.scrape", "/metrics can be scraped and parsed.");
    told.metrics = Some(metrics);
}

/// Reads how models and sinks stand.
fn pages(findings: &mut Findings, web: &Web, told: &mut Told) {
    match web.get("models", TEXT_BYTES_MAX) {
        Ok(answer) if answer.status == 200 => {
            told.models = Some(String::from_utf8_lossy(&answer.body).into_owned());
        }
        Ok(answer) => findings.open("models", format!("/models answers {}.", answer.status), UPGRADE),
        Err(error) => findings.open("models", format!("{error}."), error.next()),
    }
    match web.get("siem", STATUS_BYTES_MAX) {
        Ok(answer) if answer.status == 200 => match sinks(&answer.body) {
            Ok(sinks) => told.sinks = Some(sinks),
            Err(why) => findings.fail("siem.sinks", format!("/siem cannot be read: {why}."), UPGRADE),
        },
        Ok(answer) => findings.open("siem.sinks", format!("/siem answers {}.", answer.status), UPGRADE),
        Err(error) => findings.open("siem.sinks", format!("{error}."), error.next()),
    }
}

const UPGRADE: &str = "Use the `ledgerstone` of the sidecar's own release.";

/// Events that a sink may be behind: some seconds of a busy sidecar.
const SINK_EVENTS: u64 = 10_000;

/// Seconds that its oldest event may wait.
const SINK_SECONDS: u64 = 300;

/// What is to be said of the sinks.
pub(super) fn judge_sinks(findings: &mut Findings, sinks: &[Sink]) {
    if sinks.is_empty() {
        return findings.ok("siem.sinks", "No sink of a SIEM is configured.");
    }
    let found: Vec<_> = sinks.iter().filter_map(stands).collect();
    let is_refused = sinks.iter().any(Sink::is_refused);
    let refused = if is_refused {
        "A sink that is refused goes on once `ledgerstone-sidecar siem reset NAME --to PLACE` says where; find out first why its cursor \
         does not fit the log (docs/siem-export.md). "
    } else {
        ""
    };
    findings.sum(
        "siem.sinks",
        format!("{} what is published.", plural(sinks.len() as u64, "sink follows", "sinks follow")),
        found,
        format!(
            "{refused}Look at the receiver that the sink names: whether it runs, takes the sidecar's certificate or token, and has room. \
             Nothing is lost: the sidecar goes on from its cursor."
        ),
    );
}

/// What is wrong with a sink, if anything.
fn stands(sink: &Sink) -> Option<(Level, String)> {
    let name = format!("Sink {} ({})", sink.sink, sink.kind);
    let error = sink.error.as_ref().map_or_else(String::new, |error| format!(", last error: {error}"));
    if sink.is_refused() {
        return Some((Level::Fail, format!("{name} gets nothing until its cursor is mended{error}.")));
    }
    if sink.alerts_missed > 0 {
        let missed = plural(sink.alerts_missed, "alert", "alerts");
        return Some((Level::Warn, format!("{name} never got {missed}, because too many waited{error}.")));
    }
    let is_late = sink.lag_events > SINK_EVENTS || sink.lag_seconds > SINK_SECONDS;
    let behind = plural(sink.lag_events, "event", "events");
    (is_late || sink.error.is_some() || sink.state == "ended").then(|| {
        (Level::Warn, format!("{name} is {}, {behind} and {} s behind{error}.", sink.state, sink.lag_seconds))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(change: &str, to: &str) -> (Level, String) {
        let page = r#"{"sinks":[{"sink":"soc","kind":"syslog","state":"following","next_leaf_index":9,"lag_events":7,"lag_seconds":3,
            "alerts_missed":0,"error":null}]}"#;
        assert!(page.contains(change));
        let mut findings = Findings::default();
        judge_sinks(&mut findings, &sinks(page.replacen(change, to, 1).as_bytes()).unwrap());
        let finding = &findings.all[0];
        (finding.level, format!("{} {}", finding.detail, finding.fix.as_deref().unwrap_or_default()))
    }

    #[test]
    fn a_sink_is_well_only_while_it_follows_in_time() {
        assert_eq!(judged("soc", "soc").0, Level::Ok);
        for (change, to, level, told) in [
            ("following", "refused", Level::Fail, "siem reset"),
            ("null", "\"connection refused\"", Level::Warn, "connection refused"),
            ("\"lag_events\":7", "\"lag_events\":10001", Level::Warn, "10,001 events"),
            ("\"lag_seconds\":3", "\"lag_seconds\":301", Level::Warn, "301 s behind"),
            ("\"alerts_missed\":0", "\"alerts_missed\":2", Level::Warn, "2 alerts"),
            ("following", "ended", Level::Warn, "ended"),
        ] {
            let (found, text) = judged(change, to);
            assert!(found == level && text.contains(told), "{change}: {found:?} {text}");
        }
        let mut findings = Findings::default();
        judge_sinks(&mut findings, &[]);
        assert_eq!(findings.all[0].level, Level::Ok);
    }

    #[test]
    fn a_scrape_without_what_every_sidecar_measures_is_none() {
        let level = |text: &str| {
            let (mut findings, mut told) = (Findings::default(), Told::default());
            scraped(&mut findings, Exposition::parse(text.as_bytes()).unwrap(), &mut told);
            (findings.all[0].level, told.metrics.is_some())
        };
        let whole: String = MEASURED.iter().map(|name| format!("{name} 1\n")).collect();
        assert_eq!(level(&whole), (Level::Ok, true));
        assert_eq!(level(""), (Level::Fail, false));
        assert_eq!(
            level(&whole.replace("ledgerstone_unrecorded 1", "ledgerstone_unrecorded NaN")),
            (Level::Fail, false)
        );
    }
}
