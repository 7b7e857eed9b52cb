//! Events for a SIEM: one model, its formats, and reading them back.
//!
//! Scenario: one event of every kind is written in every format, by itself and as the body of a syslog message; readers that are not ours
//! take them apart; somebody changes a byte. Danger: an event is lost between two fields because a model's name holds a separator; a
//! SIEM shows a decision that was changed and nobody can tell; two copies of one event look like two. End state: every format is what
//! its standard says, an event read back is the event of its leaf, and each changed byte is noticed.
//!
//! `UPDATE_GOLDEN=1 cargo test --test siem` rewrites `tests/vectors/siem/`; read the diff before you commit it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::disallowed_macros,
    unreachable_pub,
    missing_docs,
    reason = "tests fail by panicking, and may read the environment, start programs and print"
)]

#[path = "siem/altered.rs"]
mod altered;
#[path = "siem/samples.rs"]
mod samples;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use ledgerstone::entry::Kind;
use ledgerstone::limits::{SIEM_EVENT_BYTES_MAX, SIEM_TEXT_BYTES_MAX};
use ledgerstone::merkle::LeafIndex;
use ledgerstone::note::KeyName;
use ledgerstone::siem::found::{Claim, FoundError, Shape, read};
use ledgerstone::siem::{Event, EventKind, Format, LogRecord, OtlpValue, Trace, Value};

use samples::{HOSTILE, alerts, events, leaves, log};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn shapes() -> Vec<(String, Shape)> {
    let bare = Format::ALL.into_iter().map(|format| (format.to_string(), Shape::Bare(format)));
    let bodies = [None].into_iter().chain(Format::ALL.map(Some));
    let syslog =
        bodies.map(|body| (format!("syslog-{}", body.map_or("plain", Format::as_str)), Shape::Syslog(body)));
    bare.chain(syslog).collect()
}

fn rendered(shape: Shape, event: &Event) -> String {
    let mut text = String::new();
    shape.render(event, &mut text);
    text
}

/// The event of a strict decision that went well.
fn decision() -> Event {
    events().into_iter().find(|event| event.kind() == EventKind::DecisionRecorded).unwrap()
}

#[test]
fn the_samples_have_every_kind_of_entry_and_of_event() {
    let told: BTreeSet<_> = events().iter().map(Event::kind).collect();
    assert_eq!(told.into_iter().collect::<Vec<_>>(), EventKind::ALL);
    let kinds: BTreeSet<_> = Kind::ALL.into_iter().map(EventKind::of_entry).collect();
    assert_eq!(kinds.len(), Kind::ALL.len(), "each kind of entry has a kind of event of its own");
}

#[test]
fn names_fit_every_format_that_uses_them() {
    let is_name = |name: &str| {
        (1..=32).contains(&name.len())
            && name
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._".contains(&byte))
    };
    let names: BTreeSet<_> = EventKind::ALL.iter().map(|kind| kind.as_str()).collect();
    assert_eq!(names.len(), EventKind::ALL.len(), "no name stands for two kinds");
    for kind in EventKind::ALL {
        assert!(is_name(kind.as_str()), "{kind}");
        assert_eq!(kind.is_alert(), kind.as_str().starts_with("alert."), "{kind}");
        assert_eq!(kind.is_alert(), kind.class().uid() == 2004, "{kind}");
        assert!(kind.title().bytes().all(|byte| matches!(byte, b' '..=b'~')) && !kind.title().contains('|'));
    }
    for event in events() {
        let mut seen = BTreeSet::new();
        for attribute in event.attributes() {
            let mut name = String::new();
            attribute.name.write(&mut name);
            assert!(is_name(&name), "{name}");
            assert!(seen.insert(name.clone()), "{} says {name} twice", event.kind());
        }
    }
}

#[test]
fn every_format_is_as_written_down() {
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let mut differing = Vec::new();
    for (name, shape) in shapes() {
        let path = root().join("tests/vectors/siem").join(format!("{name}.txt"));
        let text: String = events().iter().map(|event| rendered(shape, event) + "\n").collect();
        if update {
            std::fs::write(&path, text).unwrap();
        } else if std::fs::read_to_string(&path).unwrap_or_default() != text {
            differing.push(path);
        }
    }
    assert!(differing.is_empty(), "other than written down: {differing:?}");
}

#[test]
fn every_event_is_one_bounded_line_that_steers_no_terminal() {
    for event in events() {
        for (name, shape) in shapes() {
            let text = rendered(shape, &event);
            assert!(text.len() <= SIEM_EVENT_BYTES_MAX, "{name} of {}: {} bytes", event.kind(), text.len());
            let is_leef = name.ends_with("leef");
            let steers = |letter: char| {
                (letter.is_control() && !(is_leef && letter == '\t'))
                    || matches!(letter, '\u{2028}' | '\u{202e}' | '\u{feff}')
            };
            assert!(!text.contains(steers), "{name} of {}: {text:?}", event.kind());
        }
    }
}

#[test]
fn a_text_from_outside_ends_nowhere_but_at_its_own_end() {
    let event = events().into_iter().find(|event| event.kind() == EventKind::UnregisteredModel).unwrap();
    let Some(Value::Text(cleaned)) = event.value("model_name") else { panic!("a name") };
    let cleaned = cleaned.as_str();
    assert!(cleaned.starts_with("m\"] \\|=^\u{fffd}\u{fffd}\u{fffd}\u{fffd}[2J"), "{cleaned:?}");
    assert!(cleaned.ends_with("cs1=x leaf_index=\"7\" }],\u{fffd}"), "{cleaned:?}");
    for (name, shape) in shapes() {
        let found = read(&rendered(shape, &event)).unwrap();
        let [found] = found.as_slice() else { panic!("{name}: {found:?}") };
        assert_eq!((found.claim(), found.shape()), (Claim::Alert, shape), "{name}");
        assert_eq!(found.differences(&event), Vec::<String>::new(), "{name}");
    }
    // The others take the fields apart in the test with readers that are not ours.
}

#[test]
fn long_texts_are_cut_at_a_letter_and_say_so() {
    for text in ["x".repeat(257), "\u{e9}".repeat(200), "\u{1f600}".repeat(100)] {
        let Value::Text(cut) = Value::text(&text) else { panic!("a text") };
        assert!(cut.as_str().len() <= SIEM_TEXT_BYTES_MAX && cut.as_str().ends_with('\u{2026}'), "{cut:?}");
        assert!(text.starts_with(cut.as_str().trim_end_matches('\u{2026}')));
    }
    let whole = "x".repeat(SIEM_TEXT_BYTES_MAX);
    assert_eq!(Value::text(&whole).to_text(), whole);
}

#[test]
fn every_event_reads_back_as_itself_in_every_shape() {
    for event in events() {
        for (name, shape) in shapes() {
            let found = read(&rendered(shape, &event)).unwrap_or_else(|error| panic!("{name}: {error}"));
            let [found] = found.as_slice() else { panic!("{name}: {found:?}") };
            assert_eq!(found.log_id(), log().id(), "{name}");
            assert_eq!(found.shape(), shape, "{name}");
            let claim = match (event.tree(), event.leaf()) {
                (None, Some(leaf)) => Claim::Leaf(leaf.index),
                _ => Claim::Alert,
            };
            assert_eq!(found.claim(), claim, "{name}");
            assert_eq!(found.differences(&event), Vec::<String>::new(), "{name}");
        }
    }
}

#[test]
fn each_changed_byte_of_a_decision_is_noticed_in_every_shape() {
    let event = decision();
    let claim = Claim::Leaf(event.leaf().unwrap().index);
    for (name, shape) in shapes() {
        let text = rendered(shape, &event);
        // Who carried an OTLP record is the carrier's to say.
        let compared = text.find("\"logRecords\"").map_or(0, |at| at + "\"logRecords\":[{".len());
        let end = if name.ends_with("otlp") { text.len() - "}]}]}]}".len() } else { text.len() };
        let start = if name == "otlp" { compared } else { 0 };
        let carrier = if name == "syslog-otlp" { text.find('{').unwrap()..compared } else { 0..0 };
        for at in (start..end).filter(|at| !carrier.contains(at)) {
            let mut changed = text.clone().into_bytes();
            changed[at] = if changed[at] == b'0' { b'1' } else { b'0' };
            let changed = String::from_utf8(changed).unwrap();
            let Ok(found) = read(&changed) else { continue };
            let is_noticed = found.iter().all(|found| {
                found.log_id() != log().id()
                    || found.claim() != claim
                    // What stood around it is gone, and with it what is said of it.
                    || found.shape() != shape
                    || !found.differences(&event).is_empty()
            });
            assert!(is_noticed, "{name}, byte {at}: {changed}");
        }
    }
}

#[test]
fn what_differs_is_named() {
    let event = decision();
    let named = |shape: Shape, from: &str, to: &str| {
        let text = rendered(shape, &event);
        assert!(text.contains(from), "{text}");
        read(&text.replacen(from, to, 1)).unwrap()[0].differences(&event)
    };
    assert_eq!(named(Shape::Bare(Format::Ocsf), "\"severity_id\":1", "\"severity_id\":5"), ["severity_id"]);
    assert_eq!(
        named(Shape::Bare(Format::Ecs), "\"mode\":\"strict\"", "\"mode\":\"none\""),
        ["ledgerstone.mode"]
    );
    assert_eq!(named(Shape::Bare(Format::Ecs), ",\"mode\":\"strict\"", ""), ["ledgerstone.mode"]);
    assert_eq!(named(Shape::Bare(Format::Cef), "|1|rt=", "|9|rt="), ["Severity"]);
    assert_eq!(named(Shape::Bare(Format::Cef), "dvchost=gateway-1", "dvchost=gateway-2"), ["dvchost"]);
    assert_eq!(named(Shape::Bare(Format::Leef), "\tstatus_code=0", "\tstatus_code=7"), ["status_code"]);
    assert_eq!(
        named(Shape::Bare(Format::Otlp), "\"intValue\":\"17\"", "\"intValue\":\"18\""),
        ["attributes.ledgerstone.sequence"]
    );
    assert_eq!(named(Shape::Syslog(None), "mode=\"strict\"", "mode=\"bounded\""), ["sd.mode"]);
    assert_eq!(named(Shape::Syslog(Some(Format::Cef)), "<110>", "<109>"), ["pri"]);
}

#[test]
fn what_carriers_and_exports_add_is_no_difference() {
    let event = decision();
    let [ocsf, ecs, otlp] =
        [Format::Ocsf, Format::Ecs, Format::Otlp].map(|format| rendered(Shape::Bare(format), &event));
    let cef = rendered(Shape::Bare(Format::Cef), &event);
    let plain = rendered(Shape::Syslog(None), &event);
    let quoted = |text: &str| serde_json::to_string(text).unwrap();
    let lines = [
        format!("{{\"time\":1795000000.000,\"host\":\"h\",\"event\":{ocsf},\"fields\":{{\"a\":1}}}}"),
        format!("{{\"event\":{},\"sourcetype\":\"cef\"}}", quoted(&cef)),
        format!("{{\"preview\":false,\"result\":{{\"_raw\":{},\"_time\":\"x\"}}}}", quoted(&plain)),
        format!(
            "{{\"_index\":\"i\",\"_id\":\"1\",\"_source\":{}}}",
            ecs.replacen('{', "{\"agent\":{\"name\":\"a\"},", 1)
        ),
        format!("{{\"_source\":{{\"event\":{{\"original\":{}}}}}}}", quoted(&cef)),
        format!("  {ocsf}\r"),
        otlp.replace("\"timeUnixNano\"", "\"observedTimeUnixNano\":\"5\",\"timeUnixNano\"")
            .replace("service.name", "k8s.pod.name"),
        format!("Nov 18 11:06:40 relay {cef}"),
        plain.replace("40.000Z", "40Z"),
        plain.replace("40.000Z", "40.000000+00:00"),
        plain.replacen(" [", " [timeQuality tzKnown=\"1\" note=\"a ] \\\" b\"][", 1),
        plain.replacen("] A decision", "] \u{feff}A decision", 1),
    ];
    for line in lines {
        let found = read(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert_eq!(found.len(), 1, "{line}");
        assert_eq!(found[0].differences(&event), Vec::<String>::new(), "{line}");
    }
    // Elasticsearch gives back names with dots.
    let dotted = ecs.replace("\"ecs\":{\"version\":\"9.4.0\"}", "\"ecs.version\":\"9.4.0\"");
    assert_ne!(dotted, ecs);
    assert_eq!(read(&dotted).unwrap()[0].differences(&event), Vec::<String>::new());
}

#[test]
fn reads_every_record_of_an_otlp_request() {
    let events: Vec<_> = events().into_iter().take(3).collect();
    let records: Vec<_> = events
        .iter()
        .map(|event| {
            let text = rendered(Shape::Bare(Format::Otlp), event);
            let start = text.find("\"logRecords\":[").unwrap() + "\"logRecords\":[".len();
            text[start..text.len() - "]}]}]}".len()].to_owned()
        })
        .collect();
    let line = format!(
        "{{\"resourceLogs\":[{{\"scopeLogs\":[{{\"logRecords\":[{{\"body\":{{\"stringValue\":\"else\"}}}},{}]}},{{\"logRecords\":[{}]}}]}}]}}",
        records[..2].join(","),
        records[2]
    );
    let found = read(&line).unwrap();
    assert_eq!(found.len(), 3);
    for (found, event) in found.iter().zip(&events) {
        assert_eq!(found.differences(event), Vec::<String>::new());
    }
}

#[test]
fn refuses_lines_that_are_no_events() {
    let ocsf = rendered(Shape::Bare(Format::Ocsf), &decision());
    let cef = rendered(Shape::Bare(Format::Cef), &decision());
    let leef = rendered(Shape::Bare(Format::Leef), &decision());
    let plain = rendered(Shape::Syslog(None), &decision());
    let id = log().id().to_string();
    for (line, error) in [
        ("a line of somebody else".to_owned(), FoundError::Foreign),
        ("{\"class_uid\":6003}".to_owned(), FoundError::Foreign),
        ("{\"event\":{\"event\":{\"event\":\"x\"}}}".to_owned(), FoundError::Foreign),
        ("<13>Nov 18 11:06:40 host app: text".to_owned(), FoundError::Foreign),
        ("{".to_owned(), FoundError::Json),
        (ocsf[..ocsf.len() - 1].to_owned(), FoundError::Json),
        (format!("{ocsf}{ocsf}"), FoundError::Json),
        (ocsf.replacen("\"severity_id\":1", "\"severity_id\":5,\"severity_id\":1", 1), FoundError::Json),
        (ocsf.replace(&id, "00"), FoundError::LogId),
        (ocsf.replace(&id, &id.to_uppercase()), FoundError::LogId),
        (ocsf.replace("\"leaf_index\":", "\"leaf_index\":-"), FoundError::LeafIndex),
        (ocsf.replace("\"leaf_index\":", "\"leaf_inde\":"), FoundError::LeafIndex),
        (cef.replace("|rt=", " rt="), FoundError::Cef),
        (cef.replace(" outcome=success", " outcome=success outcome=failure"), FoundError::Cef),
        (cef.replace("outcome=success", "outcome=succ\\ess"), FoundError::Cef),
        (leef.replace('\t', " "), FoundError::Leef),
        (leef.replace("\tsev=", "\tsev=2\tsev="), FoundError::Leef),
        (plain.replace("] A decision was recorded", ""), FoundError::Syslog),
        (plain.replacen(" log_id=", " leaf_index=\"1\" log_id=", 1), FoundError::Syslog),
        ("[".repeat(300) + &"]".repeat(300), FoundError::Foreign),
        (format!("{{\"a\":{}{}}}", "[".repeat(300), "]".repeat(300)), FoundError::Json),
        ("x".repeat(8 * 1024 * 1024 + 1), FoundError::TooLong),
    ] {
        let shown = line.chars().take(200).collect::<String>();
        match read(&line) {
            Err(found) => assert_eq!(found, error, "{shown}"),
            // LEEF whose tabs are gone is one attribute.
            Ok(found) => panic!("{shown}: {found:?}"),
        }
    }
    assert_eq!(read("   \r"), Ok(Vec::new()));
}

#[test]
fn the_same_fact_has_the_same_id_and_another_one_another() {
    let ids: BTreeSet<_> = events().iter().map(Event::id).collect();
    assert_eq!(ids.len(), events().len(), "no two events share an id");
    assert_eq!(ids, events().iter().map(Event::id).collect(), "made again, they have the same ids");
    let bytes = leaves().remove(0);
    let event = |log, index| Event::of_entry(log, LeafIndex::new(index), &bytes).unwrap().id();
    let other = ledgerstone::siem::Log::new(&KeyName::new("example.com/other").unwrap());
    let own = log();
    assert_ne!(event(&own, 0), event(&own, 1));
    assert_ne!(event(&own, 0), event(&other, 0));
    for id in &ids {
        let text = id.to_string();
        assert!(
            text.len() == 36 && text.as_bytes()[14] == b'8' && b"89ab".contains(&text.as_bytes()[19]),
            "{text}"
        );
    }
    let mut alert = alerts().remove(0);
    let before = Event::of_alert(&log(), &alert).id();
    alert.time = alert.time.plus_millis(1);
    assert_ne!(Event::of_alert(&log(), &alert).id(), before);
}

#[test]
fn a_trace_stands_where_otlp_and_ecs_have_it_and_changes_nothing_else() {
    let trace = Trace { trace_id: [0xab; 16], span_id: [0xcd; 8] };
    let event = decision().with_trace(Some(trace));
    let record = LogRecord::of(&event);
    assert_eq!(record.trace, Some(trace));
    assert_eq!((record.severity_number, record.event_name.as_str()), (9, "ledgerstone.decision.recorded"));
    assert!(
        record.attributes.contains(&("ledgerstone.leaf_index".to_owned(), OtlpValue::Int(10))),
        "{record:?}"
    );
    for format in [Format::Otlp, Format::Ecs] {
        let text = rendered(Shape::Bare(format), &event);
        assert!(text.contains(&"ab".repeat(16)) && text.contains(&"cd".repeat(8)), "{text}");
        assert_eq!(read(&text).unwrap()[0].differences(&decision()), Vec::<String>::new());
    }
    assert_eq!(event.id(), decision().id());
}

#[test]
fn bytes_that_are_no_entry_are_refused_with_their_place() {
    let error = Event::of_entry(&log(), LeafIndex::new(7), b"\xff").unwrap_err();
    assert!(error.to_string().starts_with("the bytes at leaf 7 are no entry"), "{error}");
    assert_eq!(error.code(), ledgerstone::code::Code::Malformed);
}

#[test]
fn every_alert_has_its_section_in_the_runbook() {
    let page = std::fs::read_to_string(root().join("docs/operations.md")).unwrap();
    let (_, runbook) = page.split_once("\n## Runbook\n").unwrap();
    let told: Vec<_> = runbook.split("\n### ").filter(|section| section.starts_with("alert.")).collect();
    for kind in EventKind::ALL.iter().filter(|kind| kind.is_alert()) {
        let heading = format!("{kind}\n");
        let section = told.iter().find_map(|section| section.strip_prefix(&heading));
        let section = section.unwrap_or_else(|| panic!("docs/operations.md has no ### {kind}"));
        assert!(section.trim().len() > 100, "{kind} says too little: {section}");
    }
    assert_eq!(told.len(), EventKind::ALL.iter().filter(|kind| kind.is_alert()).count());
}

#[test]
fn the_page_has_the_table_that_the_code_has_and_examples_that_it_makes() {
    let page = std::fs::read_to_string(root().join("docs/siem.md")).unwrap();
    for kind in EventKind::ALL {
        let class = kind.class();
        let row = format!(
            "| `{kind}` | {} | {} | {} {} |",
            kind.title(),
            kind.severity().as_str(),
            class.uid(),
            class.activity().name
        );
        assert!(page.contains(&row), "docs/siem.md lacks\n{row}");
    }
    let rows = page.lines().filter(|line| line.starts_with("| `") && line.matches('|').count() == 5).count();
    assert_eq!(rows, EventKind::ALL.len(), "docs/siem.md has other rows too");
    for (name, shape) in
        shapes().into_iter().filter(|(name, _)| !name.starts_with("syslog-") || name == "syslog-plain")
    {
        let text = rendered(shape, &decision());
        assert!(
            page.contains(&format!("```text {name}\n{text}\n```")),
            "docs/siem.md lacks\n```text {name}\n{text}\n```"
        );
    }
    for event in events() {
        for attribute in event.attributes() {
            let mut name = String::new();
            attribute.name.write(&mut name);
            let name = if name.starts_with("detail_") { "detail_N".to_owned() } else { name };
            assert!(page.contains(&format!("`{name}`")), "docs/siem.md does not say what {name} is");
        }
    }
}

/// What a script of `scripts/` printed that makes an environment; none if it cannot be had.
fn environment(script: &str, of: &str) -> Option<String> {
    let made = Command::new(root().join(script)).arg(root().join(of)).output();
    let made = made.ok().filter(|made| made.status.success());
    assert!(made.is_some() || std::env::var_os("CI").is_none(), "{script} {of} must work in CI");
    if made.is_none() {
        println!("skipped because {script} {of} failed");
    }
    Some(String::from_utf8(made?.stdout).unwrap().trim().to_owned())
}

/// What a program says that must find nothing wrong.
fn said(program: &str, script: &str, arguments: &[&Path]) -> String {
    let judged = Command::new(program).arg(root().join(script)).args(arguments).output().unwrap();
    let (said, errors) = (String::from_utf8_lossy(&judged.stdout), String::from_utf8_lossy(&judged.stderr));
    assert!(judged.status.success(), "{script}:\n{said}\n{errors}");
    said.into_owned()
}

/// Every event in every shape as a file of lines, and what each must be taken apart into.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, shape) in shapes() {
        let text: String = events().iter().map(|event| rendered(shape, event) + "\n").collect();
        std::fs::write(folder.path().join(format!("{name}.txt")), text).unwrap();
    }
    let expected: Vec<BTreeMap<String, String>> = events()
        .iter()
        .map(|event| {
            let mut expected = BTreeMap::from([
                ("kind".to_owned(), event.kind().to_string()),
                ("title".to_owned(), event.kind().title().to_owned()),
                ("event_id".to_owned(), event.id().to_string()),
                ("time".to_owned(), event.time().get().to_string()),
            ]);
            for attribute in event.attributes() {
                let mut name = "attribute:".to_owned();
                attribute.name.write(&mut name);
                expected.insert(name, attribute.value.to_text());
            }
            expected
        })
        .collect();
    std::fs::write(folder.path().join("expected.json"), serde_json::to_string(&expected).unwrap()).unwrap();
    folder
}

#[test]
fn readers_that_are_not_ours_take_every_event_apart_as_it_was_meant() {
    let Some(python) = environment("scripts/py-env", "tests/oracle/siem_requirements.txt") else { return };
    let folder = folder();
    let said = said(&python, "tests/oracle/siem.py", &[folder.path()]);
    for name in ["ocsf", "ocsf-integrity", "cef", "syslog-plain", "syslog-cef", "syslog-ocsf", "otlp"] {
        assert!(said.contains(&format!("{name}: {} events\n", events().len())), "{said}");
    }
}

#[test]
fn elastics_own_list_of_fields_has_every_field() {
    let Some(modules) = environment("scripts/npm-env", "scripts/ecs") else { return };
    let folder = folder();
    let said = said("node", "tests/oracle/ecs.js", &[folder.path(), Path::new(&modules)]);
    assert_eq!(said, format!("ecs: {} events\n", events().len()));
}

#[test]
fn the_hostile_text_is_as_bad_as_it_should_be() {
    for part in
        ['"', ']', '\\', '|', '=', '\t', '\r', '\n', '\u{1b}', '\u{9b}', '\u{202e}', '\u{2028}', '\0', '<']
    {
        assert!(HOSTILE.contains(part), "{part:?}");
    }
}
