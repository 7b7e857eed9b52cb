//! The alert rules of the chart, checked and tried by `promtool`.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::tools::{Tools, list, script, skipped, text};

/// Series while all is well, and their samples a minute apart, as promtool writes them.
const WELL: &[(&str, &str)] = &[
    ("ledgerstone_halted", "0x60"),
    // Those of long ago are in gap entries, and nobody is called for them any more.
    ("ledgerstone_unrecorded", "2x60"),
    ("ledgerstone_upstream_exposed", "0x60"),
    ("ledgerstone_ready", "1x60"),
    ("ledgerstone_published_lag_entries", "5x60"),
    ("ledgerstone_append_duration_seconds_bucket,le=\"0.5\"", "0+100x60"),
    ("ledgerstone_append_duration_seconds_bucket,le=\"1\"", "0+100x60"),
    ("ledgerstone_append_duration_seconds_bucket,le=\"+Inf\"", "0+100x60"),
    ("ledgerstone_decisions_total,route=\"loans\",code=\"OK\"", "0+100x60"),
    ("ledgerstone_decisions_total,route=\"loans\",code=\"UNAVAILABLE\"", "3x60"),
    ("ledgerstone_decisions_total,route=\"loans\",code=\"DEADLINE_EXCEEDED\"", "3x60"),
    ("ledgerstone_tree_size", "100x60"),
    ("ledgerstone_index_size", "100x60"),
    ("ledgerstone_tls_certificate_expiration_timestamp_seconds", "1000000x60"),
    ("ledgerstone_siem_lag_seconds,sink=\"soc\"", "20x60"),
    ("ledgerstone_siem_refused,sink=\"soc\"", "0x60"),
    ("ledgerstone_siem_alerts_missed_total,sink=\"soc\"", "2x60"),
    ("ledgerstone_telemetry_dropped_total,signal=\"traces\",reason=\"full\"", "7x60"),
    ("ledgerstone_models_unregistered,route=\"loans\"", "0x60"),
    ("ledgerstone_model_changed_total,route=\"loans\"", "1x60"),
    ("ledgerstone_model_declared_other_total,route=\"loans\"", "0x60"),
    ("ledgerstone_model_unreadable,route=\"loans\"", "0x60"),
    ("ledgerstone_anchor_lag_seconds,lane=\"tsa\"", "60x60"),
    ("ledgerstone_anchor_alarms_standing,lane=\"tsa\"", "0x60"),
];

/// For each alert the series that is another one than while all is well; without samples it is not there at all.
const CASES: &[(&str, &str, &str)] = &[
    ("LedgerstoneHalted", "ledgerstone_halted", "1x60"),
    ("LedgerstoneUnrecorded", "ledgerstone_unrecorded", "2x50 3x9"),
    // Another session, which lost some before it was first looked at.
    ("LedgerstoneUnrecorded", "ledgerstone_unrecorded", "9x50 3x9"),
    ("LedgerstoneUnrecorded", "ledgerstone_unrecorded", "_x50 3x9"),
    ("LedgerstoneExposed", "ledgerstone_upstream_exposed", "1x60"),
    ("LedgerstoneNotReady", "ledgerstone_ready", "0x60"),
    ("LedgerstoneAbsent", "ledgerstone_ready", ""),
    ("LedgerstonePublishingLate", "ledgerstone_published_lag_entries", "20000x60"),
    ("LedgerstoneSlowCommit", "ledgerstone_append_duration_seconds_bucket,le=\"0.5\"", "0+90x60"),
    (
        "LedgerstoneDecisionsRefused",
        "ledgerstone_decisions_total,route=\"loans\",code=\"UNAVAILABLE\"",
        "0+5x60",
    ),
    (
        "LedgerstoneDecisionsRefused",
        "ledgerstone_decisions_total,route=\"loans\",code=\"DEADLINE_EXCEEDED\"",
        "0+5x60",
    ),
    ("LedgerstoneIndexLate", "ledgerstone_tree_size", "20000x60"),
    (
        "LedgerstoneCertificateExpires",
        "ledgerstone_tls_certificate_expiration_timestamp_seconds",
        "500000x60",
    ),
    (
        "LedgerstoneTelemetryDropped",
        "ledgerstone_telemetry_dropped_total,signal=\"traces\",reason=\"full\"",
        "0+5x60",
    ),
    ("LedgerstoneSinkLate", "ledgerstone_siem_lag_seconds,sink=\"soc\"", "900x60"),
    ("LedgerstoneSinkRefused", "ledgerstone_siem_refused,sink=\"soc\"", "1x60"),
    ("LedgerstoneSinkAlertsLost", "ledgerstone_siem_alerts_missed_total,sink=\"soc\"", "0x50 3x9"),
    ("LedgerstoneModelUnregistered", "ledgerstone_models_unregistered,route=\"loans\"", "1x60"),
    ("LedgerstoneModelChanged", "ledgerstone_model_changed_total,route=\"loans\"", "0x50 1x9"),
    ("LedgerstoneModelChanged", "ledgerstone_model_declared_other_total,route=\"loans\"", "0x50 1x9"),
    ("LedgerstoneModelUnreadable", "ledgerstone_model_unreadable,route=\"loans\"", "1x60"),
    ("LedgerstoneAnchorLate", "ledgerstone_anchor_lag_seconds,lane=\"tsa\"", "90000x60"),
    ("LedgerstoneAnchorAlarm", "ledgerstone_anchor_alarms_standing,lane=\"tsa\"", "1x60"),
];

/// When a case is looked at: all of its alerts have held for long enough.
const AFTER: &str = "1h";

/// The groups of the rules of the chart; nothing where a program cannot be had.
pub(crate) fn rules() -> Option<Vec<Value>> {
    let tools = Tools::find("the alert rules")?;
    let render = tools.render(&["--set", "monitoring.prometheusRule.enabled=true"]);
    Some(list(&render.the("PrometheusRule")["spec"]["groups"]).to_vec())
}

fn promtool() -> Option<PathBuf> {
    script("prometheus-path", &["promtool"]).map_err(|problem| skipped("promtool", &problem)).ok()
}

fn run(promtool: &Path, folder: &Path, arguments: &[&str]) -> Output {
    Command::new(promtool).current_dir(folder).args(arguments).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// A case for promtool: with one series changed, exactly these alerts fire.
fn case(changed: &str, samples: &str, fires: &[&str]) -> Value {
    let of = |(series, values): (&str, &str)| {
        let (name, labels) = series.split_once(',').unwrap_or((series, ""));
        let series = format!(
            "{name}{{namespace=\"lending\",ledgerstone_io_log=\"loans-ledgerstone\",pod=\"p0\",{labels}}}"
        );
        json!({ "series": series, "values": values })
    };
    let with =
        WELL.iter().map(|(series, values)| (*series, if *series == changed { samples } else { *values }));
    let input: Vec<_> = with.filter(|(_, values)| !values.is_empty()).map(of).collect();
    let fires: Vec<_> = fires
        .iter()
        .map(|alert| json!({ "labels": format!("{{alertname=\"{alert}\"}}"), "value": 1 }))
        .collect();
    json!({
        "interval": "1m",
        "input_series": input,
        "promql_expr_test": [{
            "expr": "count by (alertname) (ALERTS{alertstate=\"firing\"})",
            "eval_time": AFTER,
            "exp_samples": fires,
        }],
    })
}

/// Tries all cases on these rules.
fn tried(promtool: &Path, folder: &Path, groups: &[Value]) -> Output {
    let mut cases = vec![case("", "", &[])];
    cases.extend(CASES.iter().map(|(alert, series, samples)| {
        assert!(WELL.iter().any(|(known, _)| known == series), "{series}");
        case(series, samples, &[alert])
    }));
    // What is JSON is YAML.
    std::fs::write(folder.join("rules.yaml"), json!({ "groups": groups }).to_string()).unwrap();
    let tests = json!({ "rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": cases });
    std::fs::write(folder.join("tests.yaml"), tests.to_string()).unwrap();
    run(promtool, folder, &["test", "rules", "tests.yaml"])
}

#[test]
fn every_alert_fires_in_its_case_and_in_no_other() {
    let (Some(groups), Some(promtool)) = (rules(), promtool()) else { return };
    let folder = tempfile::tempdir().unwrap();
    let good = tried(&promtool, folder.path(), &groups);
    assert!(good.status.success(), "{}", said(&good));
    let checked =
        run(&promtool, folder.path(), &["check", "rules", "--lint=all", "--lint-fatal", "rules.yaml"]);
    assert!(checked.status.success(), "{}", said(&checked));

    // The cases tell rules that never fire, and rules that always do: all of the former, and the healthy one too of the latter.
    for (expression, told) in [("vector(1) < 0", CASES.len()), ("vector(1)", CASES.len() + 1)] {
        let mut spoiled = groups.clone();
        let rules = spoiled[0]["rules"].as_array_mut().unwrap();
        for rule in rules.iter_mut() {
            assert!(CASES.iter().any(|(alert, ..)| *alert == text(&rule["alert"])), "no case for {rule}");
            rule["expr"] = json!(expression);
        }
        let bad = tried(&promtool, folder.path(), &spoiled);
        assert_eq!(said(&bad).matches("expr: ").count(), told, "{}", said(&bad));
    }
}
