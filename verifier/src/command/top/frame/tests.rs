//! Frames of a made-up sidecar in every size.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

use std::time::{Duration, Instant};

use super::*;
use crate::exit::Refusal;

const METRICS: &str = "ledgerstone_decisions_total{code=\"OK\",route=\"loans\"} 1200\n\
    ledgerstone_decisions_total{code=\"UNAVAILABLE\",route=\"a-route-with-a-name-that-is-longer-than-its-column\"} 3\n\
    ledgerstone_in_flight 2\nledgerstone_ready 1\nledgerstone_tree_size 1234567\nledgerstone_published_lag_entries 7\n\
    ledgerstone_index_size 1234560\nledgerstone_unrecorded 4\nledgerstone_gate_total{effect=\"refuse\",route=\"loans\"} 9\n\
    ledgerstone_append_duration_seconds_bucket{le=\"0.001\"} 50\nledgerstone_append_duration_seconds_bucket{le=\"+Inf\"} 50\n";

fn heard(metrics: &str) -> Heard {
    let status = crate::admin::status(
        br#"{"format":"ledgerstone-status/v1","version":"0.1.0","origin":"log.example.com/loans","writer":"sidecar-0",
        "time_ms":100000,"started_ms":1000,"last_heartbeat_ms":97000,"settings":{"listen":{},"tls":true,"access":true,"heartbeat_ms":60000},
        "routes":[],"keys":{"provider":"file","wanted":"k"},
        "resident_bytes":123456789,"disk":{"free_bytes":40000000000,"total_bytes":1},"journal":{"segments":1,"bytes":2000000},
        "anchors":[{"lane":"tsa","kind":"rfc3161","state":"confirmed","lag_seconds":90000,"lag_alarm_seconds":86400,
        "confirmed_size":1234000,"last_error":"\u001b[2J","alarms":[]}]}"#,
    );
    let sinks = crate::admin::sinks(
        br#"{"sinks":[{"sink":"soc\u001b]0;x\u0007","kind":"syslog","state":"refused","next_leaf_index":0,"lag_events":12,"lag_seconds":1,
        "alerts_missed":0,"error":"no"}]}"#,
    );
    let sample = Sample {
        at: Instant::now() + Duration::from_secs(2),
        metrics: Exposition::parse(metrics.as_bytes()).unwrap(),
        status: Ok(status.unwrap()),
        sinks: Ok(sinks.unwrap()),
    };
    let mut heard = Heard::of("http://127.0.0.1:7452");
    heard.learn(sample);
    heard
}

#[test]
fn a_frame_names_every_number_it_was_told() {
    let lines = draw(&heard(METRICS), &Screen { width: 80, height: 24, colour: false });
    let text = lines.join("\n");
    for told in [
        "log.example.com/loans",
        "sidecar-0",
        "ready",
        "loans",
        "UNAVAILABLE",
        "1,200",
        "1,234,567",
        "not public yet 7",
        "without a record 4",
        "last heartbeat 3 s ago",
        "refuse",
        "tsa",
        "lag 25 h",
        "error",
        "soc",
        "refused",
        "behind 12 events",
        "117 MiB",
        "37 GiB",
        "p99 990 us",
        "q ends",
    ] {
        assert!(text.contains(told), "no {told} in\n{text}");
    }
}

#[test]
fn a_frame_fits_its_screen_and_steers_no_terminal() {
    for (width, height) in [(80, 24), (20, 5), (1, 1), (0, 0), (200, 60)] {
        let lines = draw(&heard(METRICS), &Screen { width, height, colour: false });
        assert!(lines.len() <= height, "{} lines of {height}", lines.len());
        for line in &lines {
            assert!(line.chars().count() <= width, "{width}: {line}");
            assert!(!line.contains(char::is_control), "{line:?}");
        }
    }
}

#[test]
fn a_sidecar_that_is_gone_is_said_above_what_was_known() {
    let mut heard = heard(METRICS);
    heard.lose(&Refusal::unavailable("connection refused", "Start it."));
    let text = draw(&heard, &Screen { width: 80, height: 24, colour: false }).join("\n");
    assert!(text.contains("NO ANSWER  connection refused") && text.contains("1,234,567"), "{text}");
    let nothing = Heard::of("http://x");
    assert!(draw(&nothing, &Screen { width: 80, height: 24, colour: false })[1].contains("Asking"));
}

#[test]
fn a_page_that_is_not_told_is_said() {
    let mut heard = heard(METRICS);
    let last = heard.last.as_mut().unwrap();
    (last.status, last.sinks) = (Err("status 403".to_owned()), Err("no JSON\u{1b}".to_owned()));
    let text = draw(&heard, &Screen { width: 80, height: 24, colour: false }).join("\n");
    for told in ["/status is not told: status 403", "/siem is not told: no JSON\\u{1b}", "anchors      -"] {
        assert!(text.contains(told), "no {told} in\n{text}");
    }
}

#[test]
fn what_is_not_told_is_no_zero() {
    let text = draw(&heard("a 1\n"), &Screen { width: 80, height: 24, colour: true }).join("\n");
    assert!(text.contains("without a record - ") && text.contains("entries -"), "{text}");
}
