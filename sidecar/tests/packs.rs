//! Regulation packs against a running log.
//!
//! Scenario: the real sidecar in front of a model server that gives no reasons, on a route under Regulation B; the command line of the
//! real binary looks at the log, today and on a day to come; then notices and reasons are added through the recorder's port. Danger: a
//! decision that lacks what its pack requires is counted as satisfied, or a met one as lacking; a record that nobody can open passes;
//! what is kept in memory decides what is found. End state: each decision is counted once under each rule that it breaks, the exit
//! status says so, and nothing is found any more once everything was added.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and starts the program"
)]

mod support;
#[path = "api/world.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod world;

use std::process::Output;
use std::sync::Arc;

use ledgerstone::hash::Hash;
use ledgerstone::pack::Pack;
use ledgerstone::proto::ledgerstone_v1::recorder_client::RecorderClient;
use ledgerstone::proto::ledgerstone_v1::value::Kind as ValueKind;
use ledgerstone::proto::ledgerstone_v1::{AppendFollowUpRequest, Field, Value};
use ledgerstone::time::UnixMillis;
use ledgerstone_sidecar::keyring::{self, FileKeyProvider};
use ledgerstone_sidecar::packs::Shelf;
use ledgerstone_sidecar::packs::check::{Options, Progress, WINDOW_BYTES, check};
use ledgerstone_sidecar::packs::tally::Tally;
use ledgerstone_sidecar::reader::LogReader;
use serde_json::Value as Json;
use tonic::transport::{Channel, Endpoint};

use self::support::Sidecar;
use self::world::{Told, World, build, damage_last_sealed, init};

/// A route of which every decision of these tests is a denial, without reasons.
const ROUTE: &str = r#"
[[route]]
name = "doubler"
match = { model = "doubler" }
features = [{ tensor = "features", names = ["value"] }]
score = { tensor = "score" }
threshold = { value = 10.0, above = "approve", below = "deny" }
adverse = ["deny"]
explanation = { parameter = "why", method = "none" }
packs = ["reg-b"]
"#;

/// A log with a sidecar on it, configured with `route`.
async fn world(route: &str) -> World {
    let (folder, files) = init().await;
    configure(&files, route);
    let app = build(&files, &["recorder.listen=127.0.0.1:0".to_owned()]).await.spawn().await.unwrap();
    World { folder, files, app }
}

/// Puts `route` in the place of the configured ones.
fn configure(files: &Sidecar, route: &str) {
    let text = std::fs::read_to_string(files.config()).unwrap();
    let (front, _) = text.split_once("[[route]]").unwrap();
    std::fs::write(files.config(), format!("{front}{route}")).unwrap();
}

fn packs(files: &Sidecar, arguments: &[&str]) -> (i32, String, String) {
    let Output { status, stdout, stderr } = files.command("packs").args(arguments).output().unwrap();
    (status.code().unwrap(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

fn packs_json(files: &Sidecar, arguments: &[&str]) -> (i32, Json) {
    let (status, out, error) = packs(files, &[&["check", "--json"], arguments].concat());
    (status, serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out}{error}")))
}

/// How many decisions a rule counts under `key`.
fn counted(report: &Json, what: &str, key: &str) -> u64 {
    let rules = report["rules"].as_array().unwrap().iter();
    let rule = rules.filter(|rule| rule["what"].as_str().unwrap().contains(what)).collect::<Vec<_>>();
    assert!(rule.len() <= 1, "{report}");
    rule.first().map_or(0, |rule| rule[key]["decisions"].as_u64().unwrap())
}

/// The day so many days from now, as the command line takes it.
fn in_days(days: u64) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let time = UnixMillis::new(u64::try_from(now.as_millis()).unwrap() + days * 86_400_000);
    time.to_string()[..10].to_owned()
}

fn now() -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    now.as_millis().to_string()
}

async fn recorder(world: &World) -> RecorderClient<Channel> {
    let address = world.app.recorder_addr.unwrap();
    RecorderClient::new(Endpoint::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap())
}

fn field(path: &str, kind: ValueKind) -> Field {
    Field { path: path.to_owned(), value: Some(Value { kind: Some(kind) }) }
}

fn text(path: &str, text: &str) -> Field {
    field(path, ValueKind::Text(text.to_owned()))
}

async fn add(world: &World, told: &Told, kind: &str, fields: Vec<Field>) {
    let (decision_id, kind) = (told.decision.clone(), kind.to_owned());
    let request = AppendFollowUpRequest { decision_id, kind, request_id: String::new(), fields };
    recorder(world).await.append_follow_up(request).await.unwrap();
}

async fn add_notice(world: &World, told: &Told, kind: &str) {
    let fields = vec![text("notice/[0]/kind", kind), field("notice/[0]/delivered_at", ValueKind::Int(now()))];
    add(world, told, "notice", fields).await;
}

async fn add_reasons(world: &World, told: &Told) {
    let reason = text("explanation/reason/[0]/text", "the value is too low");
    add(world, told, "explanation", vec![text("explanation/method", "by hand"), reason]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_reasons_and_overdue_notices_are_found_until_they_are_added() {
    let world = world(ROUTE).await;
    let told = world.decide(5).await;
    world.published(told[4].index + 1).await;

    // Today the reasons lack, and the notices still have time.
    let (status, report) = packs_json(&world.files, &["--log"]);
    assert_eq!((status, &report["decisions"], &report["judged"]), (1, &5.into(), &5.into()), "{report}");
    assert_eq!(counted(&report, "explanation/reason", "lacking"), 5, "{report}");
    assert_eq!(
        (counted(&report, "notice", "due"), counted(&report, "notice", "overdue")),
        (5, 0),
        "{report}"
    );
    assert_eq!(report["rules"].as_array().unwrap().len(), 2, "everything else is there: {report}");
    let first = &report["rules"][0]["lacking"]["first"];
    assert_eq!(first.as_array().unwrap().len(), 3);
    assert_eq!(first[0]["decision_id"], told[0].decision);
    assert_eq!(first[0]["leaf_index"], told[0].index);

    // In 40 days the notices are overdue.
    let later = ["--log", "--at", &in_days(40)];
    let (status, report) = packs_json(&world.files, &later);
    assert_eq!((status, counted(&report, "notice", "overdue")), (1, 5), "{report}");
    let (status, table, _) = packs(&world.files, &[&["check"], &later[..]].concat());
    assert_eq!(status, 1);
    assert!(table.contains("5  OVERDUE") && table.contains("and 2 more"), "{table}");
    assert!(table.contains(&told[0].decision) && table.contains("12 CFR 1002.9"), "{table}");

    // One of them is told, one is told something else, one gets reasons.
    add_notice(&world, &told[1], "adverse_action").await;
    add_notice(&world, &told[2], "pre_use").await;
    add_reasons(&world, &told[3]).await;
    let (status, report) = packs_json(&world.files, &later);
    assert_eq!(status, 1);
    assert_eq!((counted(&report, "notice", "overdue"), counted(&report, "explanation", "lacking")), (4, 4));

    for one in &told {
        add_notice(&world, one, "adverse_action").await;
        add_reasons(&world, one).await;
    }
    let (status, report) = packs_json(&world.files, &later);
    assert_eq!((status, &report["rules"]), (0, &Json::Array(Vec::new())), "{report}");
    let (status, table, _) = packs(&world.files, &["check", "--log"]);
    assert_eq!(status, 0, "{table}");
    assert!(table.contains("Nothing lacks") && table.contains("no legal advice"), "{table}");

    // As of a day before all this there was nothing.
    let (status, report) = packs_json(&world.files, &["--log", "--at", "2020-01-01"]);
    assert_eq!((status, &report["decisions"]), (0, &0.into()), "{report}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_judged_is_neither_lacking_nor_satisfied() {
    let own = r#"format = "ledgerstone-pack/v1"
name = "house"
version = 1
as_of = "2026-11-21"
title = "House rules"
jurisdiction = "Here"
source = [{ id = "a", citation = "A", certainty = "read" }]
requires = [{ any = ["decision/route"], source = "a", rule = "r" }]
"#;
    let route = ROUTE.replace("packs = [\"reg-b\"]", "packs = [\"house.toml\"]");
    let (folder, files) = init().await;
    configure(&files, &route);
    std::fs::write(files.folder.join("house.toml"), own).unwrap();
    let app = build(&files, &[]).await.spawn().await.unwrap();
    let world = World { folder, files, app };
    world.decide(2).await;
    let world = world.stop().await;
    let files = &world.files;
    assert_eq!(packs_json(files, &["--log"]).0, 0);

    // The pack is changed: what the records name is not at hand any more, until it is given.
    std::fs::write(files.folder.join("old.toml"), own).unwrap();
    std::fs::write(files.folder.join("house.toml"), own.replace("version = 1", "version = 2")).unwrap();
    let (status, report) = packs_json(files, &["--log"]);
    assert_eq!((status, &report["judged"], &report["undecided"]), (2, &0.into(), &true.into()), "{report}");
    let unknown = &report["packs_not_at_hand"][0];
    assert!(unknown["pack"].as_str().unwrap().starts_with("house 1 "), "{report}");
    assert_eq!(unknown["decisions"]["decisions"], 2);
    let old = files.folder.join("old.toml").display().to_string();
    assert_eq!(packs_json(files, &["--log", "--pack", &old]).0, 0);

    // A record that was changed is not judged.
    damage_last_sealed(&files.store());
    let (status, report) = packs_json(files, &["--log", "--pack", &old]);
    assert_eq!((status, &report["not_opened"]["decisions"]), (2, &1.into()), "{report}");

    // Without the key-encryption key nothing is judged at all.
    let kek = std::fs::read_to_string(files.folder.join("kek.key")).unwrap();
    let mut words: Vec<&str> = kek.split(' ').collect();
    words[1] = "another-key";
    std::fs::write(files.folder.join("kek.key"), words.join(" ")).unwrap();
    let (status, out, error) = packs(files, &["check", "--log"]);
    assert!(status == 1 && out.is_empty() && error.contains("holds another-key"), "{out}{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn decisions_from_before_a_pack_was_in_force_are_judged_on_request_only() {
    let route = ROUTE.replace("packs = [\"reg-b\"]", "use_case = \"5b\"\npacks = [\"eu-ai-act\"]");
    let world = world(&route).await;
    world.decide(2).await;
    let world = world.stop().await;
    let (status, report) = packs_json(&world.files, &["--log"]);
    assert_eq!((status, &report["before_in_force"]), (0, &2.into()), "{report}");
    let (status, report) = packs_json(&world.files, &["--log", "--early"]);
    assert_eq!((status, counted(&report, "explanation", "lacking")), (1, 2), "{report}");
}

/// What is found, in a form that can be compared.
fn findings(tally: &Tally) -> Vec<String> {
    let rules = tally.rules.iter().map(|(key, found)| {
        format!(
            "{key:?} {:?} {:?} {:?} {:?} {:?}",
            found.lacking, found.masked, found.overdue, found.due, found.late
        )
    });
    let numbers = [tally.entries, tally.decisions, tally.checked, tally.without_packs];
    rules.chain([format!("{numbers:?} {:?}", tally.closed)]).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_size_of_a_window_changes_nothing_that_is_found() {
    let world = world(ROUTE).await;
    let told = world.decide(600).await;
    for one in told.iter().step_by(150) {
        add_notice(&world, one, "adverse_action").await;
        add_reasons(&world, one).await;
    }
    let world = world.stop().await;
    let log = LogReader::at_rest(&world.files.store()).unwrap();
    let provider = Arc::new(FileKeyProvider::load(&world.files.folder.join("kek.key")).unwrap());
    let origin = Hash::of(b"example.com/tests");
    let keys = keyring::to_read(&world.files.store(), origin, provider).unwrap();
    let shelf = Shelf::new([Arc::new(Pack::built_in("reg-b").unwrap())]);
    let at = UnixMillis::new(4_000_000_000_000);
    let mut found = Vec::new();
    let mut windows = Vec::new();
    for window_bytes in [1, 40_000, WINDOW_BYTES] {
        let (mut passes, mut last) = (1, None);
        let options = Options { at, early: false, named: 1000, window_bytes };
        let tally = check(&log, keys.as_ref(), &shelf, options, |progress, _| {
            passes +=
                u32::from(matches!((last, progress), (Some(Progress::Later(_)), Progress::Decisions(_))));
            last = Some(progress);
        });
        found.push(findings(&tally.unwrap()));
        windows.push(passes);
    }
    assert!(windows[0] > 1 && windows[2] == 1, "{windows:?}");
    assert_eq!(found[0], found[2]);
    assert_eq!(found[1], found[2]);
    assert!(found[2].iter().any(|line| line.contains("decisions: 596")), "{:?}", found[2].last());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_that_lacks_what_its_packs_require_does_not_start() {
    let (_folder, files) = init().await;
    configure(&files, &ROUTE.replace("explanation = { parameter = \"why\", method = \"none\" }\n", ""));
    let output = files.command("run").output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        !output.status.success() && said.contains("route \"doubler\" cannot satisfy its packs"),
        "{said}"
    );
    assert!(
        said.contains("explanation/reason/*/text or explanation/reason/*/code in every adverse decision"),
        "{said}"
    );
    let (status, table, _) = packs(&files, &["check"]);
    assert_eq!(status, 1);
    assert!(table.contains("MISSING      explanation/reason/*/text"), "{table}");
    assert!(
        table.contains("always       time/decided") && table.contains("traffic      output/score/*"),
        "{table}"
    );
    assert!(table.contains("recorder.listen is not set"), "{table}");
    let (status, report) = packs_json(&files, &[]);
    assert_eq!((status, &report["lacks"]), (1, &true.into()));
    configure(&files, ROUTE);
    assert_eq!(packs_json(&files, &[]).0, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn packs_are_listed_and_shown_with_their_sources() {
    let (_folder, files) = init().await;
    let (status, list, _) = packs(&files, &["list"]);
    assert_eq!(status, 0);
    for (name, _) in ledgerstone::pack::BUILT_IN {
        assert!(list.contains(name), "{list}");
        let (status, shown, _) = packs(&files, &["show", name]);
        assert!(status == 0 && shown.contains("State of law  2026-11-21"), "{shown}");
        for said in ["Sources", "no legal advice", "A decision's record must hold", "not checked"] {
            assert!(shown.contains(said), "{said}: {shown}");
        }
    }
    let (_, shown, _) = packs(&files, &["show", "reg-b"]);
    assert!(shown.contains("known, not read again: check before quoting"), "{shown}");
    assert!(shown.contains("(americascreditunions.org; nafcu.org)"), "{shown}");
    let (status, _, error) = packs(&files, &["show", "reg-z"]);
    assert!(status == 1 && error.contains("none of the packs that come along"), "{error}");
    let (status, _, _) = packs(&files, &["check", "--at", "2026-01-01"]);
    assert_eq!(status, 64, "--at is for logs");
    let (status, _, error) = packs(&files, &["check", "--log", "--at", "soon"]);
    assert!(status == 1 && error.contains("YYYY-MM-DD"), "{error}");
}
