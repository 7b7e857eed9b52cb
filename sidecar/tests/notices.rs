//! Notices about decisions of a running sidecar.
//!
//! Scenario: decisions under Regulation B are denials; reasons are added; the operator renders the notice with the command line, as HTML
//! and as PDF, and has it recorded; the log is checked against the pack on a day when the notice is overdue. Danger: a notice goes
//! out without a reason; what was sent cannot be told afterwards; a name or an address stays behind in the log, the index or a log
//! line. End state: the notice is overdue until it is recorded and not afterwards; the entry holds the digest of the very file, and
//! nothing of what the caller said is found in any file of the running system.

#![cfg(feature = "notices")]
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

use std::fs;
use std::path::Path;
use std::process::Output;

use ledgerstone::hash::Hash;
use ledgerstone::proto::ledgerstone_v1::recorder_client::RecorderClient;
use ledgerstone::proto::ledgerstone_v1::value::Kind as ValueKind;
use ledgerstone::proto::ledgerstone_v1::{AppendFollowUpRequest, Field, Value};
use ledgerstone::time::UnixMillis;
use serde_json::Value as Json;
use tonic::transport::Endpoint;

use self::support::Sidecar;
use self::world::{Told, World, build, init};

/// A route of which every decision of these tests is a denial, without reasons.
const ROUTE: &str = r#"
[[route]]
name = "doubler"
match = { model = "doubler" }
features = [{ tensor = "features", names = ["value"] }]
score = { tensor = "score" }
threshold = { value = 10.0, above = "approve", below = "deny" }
adverse = ["deny"]
later = ["explanation/*"]
packs = ["reg-b"]
"#;

/// What nobody may find outside of the notice.
const PLANTED: [&str; 3] = ["Zephyrine Quillfeather", "77 Wyvern Crescent", "Xanthippe Lending"];

const DATA: &str = r#"
consumer_report = false
[applicant]
name = "Zephyrine Quillfeather"
address = ["77 Wyvern Crescent", "Boulder, CO 80301"]
[creditor]
name = "Xanthippe Lending"
address = ["1 Main Street", "Denver, CO 80202"]
[federal_agency]
name = "Federal Trade Commission"
address = ["Equal Credit Opportunity", "Washington, DC 20580"]
"#;

async fn world() -> World {
    let (folder, files) = init().await;
    let text = fs::read_to_string(files.config()).unwrap();
    let (front, _) = text.split_once("[[route]]").unwrap();
    fs::write(files.config(), format!("{front}{ROUTE}")).unwrap();
    fs::write(files.folder.join("data.toml"), DATA).unwrap();
    let app = build(&files, &["recorder.listen=127.0.0.1:0".to_owned()]).await.spawn().await.unwrap();
    World { folder, files, app }
}

fn run(files: &Sidecar, command: &str, arguments: &[&str]) -> (i32, String, String) {
    let output = files.command(command).args(arguments).current_dir(&files.folder).output();
    let Output { status, stdout, stderr } = output.unwrap();
    (status.code().unwrap(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

/// `notice render` of an adverse action notice.
fn render(files: &Sidecar, told: &Told, format: &str, output: &str, more: &[&str]) -> (i32, String, String) {
    let decision = told.decision.as_str();
    let fixed = ["render", "--kind", "adverse-action", "--decision", decision, "--format", format];
    let named = ["--data", "data.toml", "--date", "2026-11-20", "-o", output];
    run(files, "notice", &[&fixed[..], &named[..], more].concat())
}

async fn add_reasons(world: &World, told: &Told, texts: &[&str]) {
    let field = |path: String, text: &str| Field {
        path,
        value: Some(Value { kind: Some(ValueKind::Text(text.to_owned())) }),
    };
    let mut fields = vec![field("explanation/method".to_owned(), "by hand")];
    for (place, text) in texts.iter().enumerate() {
        fields.push(field(format!("explanation/reason/[{place}]/text"), text));
    }
    let request = AppendFollowUpRequest {
        decision_id: told.decision.clone(),
        kind: "explanation".to_owned(),
        request_id: String::new(),
        fields,
    };
    let address = format!("http://{}", world.app.recorder_addr.unwrap());
    let channel = Endpoint::from_shared(address).unwrap().connect().await.unwrap();
    RecorderClient::new(channel).append_follow_up(request).await.unwrap();
}

/// How many notices are overdue in 40 days.
fn overdue(files: &Sidecar) -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let then = UnixMillis::new(u64::try_from(now.as_millis()).unwrap() + 40 * 86_400_000).to_string();
    let (_, report, error) = run(files, "packs", &["check", "--log", "--json", "--at", &then[..10]]);
    let report: Json = serde_json::from_str(&report).unwrap_or_else(|_| panic!("{report}{error}"));
    let rules = report["rules"].as_array().unwrap().iter();
    let notices = rules.filter(|rule| rule["what"].as_str().unwrap().contains("notice"));
    notices.map(|rule| rule["overdue"]["decisions"].as_u64().unwrap()).sum()
}

/// The file and every file below, with its bytes.
fn files_below(path: &Path, found: &mut Vec<(String, Vec<u8>)>) {
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            files_below(&entry.unwrap().path(), found);
        }
    } else if let Ok(bytes) = fs::read(path) {
        found.push((path.display().to_string(), bytes));
    }
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notice_is_overdue_until_it_is_made_and_recorded() {
    let world = world().await;
    let told = world.decide(2).await;
    world.published(told[1].index + 1).await;
    let files = &world.files;
    assert_eq!(overdue(files), 2);

    // Without reasons there is no notice, and nothing is written.
    let (status, _, error) = render(files, &told[0], "html", "notice.html", &[]);
    assert!(
        status == 1 && error.contains("reasons") && error.contains("add an explanation entry"),
        "{error}"
    );
    assert!(!files.folder.join("notice.html").exists());
    add_reasons(
        &world,
        &told[0],
        &["Income insufficient", "Short employment", "Too many inquiries", "No deposit", "No phone"],
    )
    .await;

    // The same command gives the same file, in another process, too.
    let recorder = format!("http://{}", world.app.recorder_addr.unwrap());
    for format in ["html", "pdf"] {
        let mut made = Vec::new();
        for name in [format!("one.{format}"), format!("two.{format}")] {
            let (status, out, error) = render(files, &told[0], format, &name, &[]);
            assert_eq!(status, 0, "{error}");
            let bytes = fs::read(files.folder.join(name)).unwrap();
            assert!(out.contains("Reasons   4, the principal ones; 1 more"), "{out}");
            assert!(out.contains(&format!("SHA-256   {}", Hash::of(&bytes))), "{out}");
            made.push(bytes);
        }
        assert!(made[0] == made[1], "{format}");
    }
    assert_eq!(overdue(files), 2, "making a notice is not sending it");

    // Recorded once, however often the command is given.
    let sent = ["--record", "--channel", "mail", "--delivered", "2026-11-23", "--recorder", &recorder];
    let (status, out, error) = render(files, &told[0], "pdf", "one.pdf", &sent);
    assert!(
        status == 0 && out.contains("The same as one.pdf") && out.contains("Recorded  at leaf index"),
        "{out}{error}"
    );
    assert_eq!(overdue(files), 1);
    let (status, out, _) = render(files, &told[0], "pdf", "one.pdf", &sent);
    assert!(status == 0 && out.contains("where it was already"), "{out}");
    let later = ["--record", "--channel", "mail", "--delivered", "2026-11-24", "--recorder", &recorder];
    let (status, _, error) = render(files, &told[0], "pdf", "one.pdf", &later);
    assert!(
        status == 1 && error.contains("says something else"),
        "a second word about the same file is refused: {error}"
    );

    // The entry holds what was sent by its digest, and nothing else.
    let (_, opened, _) = run(files, "record", &["open", &told[0].decision]);
    let opened: Json = serde_json::from_str(&opened).unwrap();
    let notices: Vec<&Json> =
        opened["later"].as_array().unwrap().iter().filter(|entry| entry["kind"] == "notice").collect();
    assert_eq!(notices.len(), 1, "{opened}");
    let fields = notices[0]["fields"].as_object().unwrap();
    let mut paths: Vec<&str> =
        fields.keys().map(String::as_str).filter(|path| path.starts_with("notice/")).collect();
    paths.sort_unstable();
    assert_eq!(
        paths,
        ["channel", "delivered_at", "digest", "kind", "template_version"]
            .map(|part| format!("notice/[0]/{part}"))
    );
    assert_eq!(fields["notice/[0]/kind"], "adverse_action");
    assert!(fields["notice/[0]/template_version"].as_str().unwrap().starts_with("adverse-action/en "));
    let digest = fields["notice/[0]/digest"]["base64"].as_str().unwrap();
    let file = fs::read(files.folder.join("one.pdf")).unwrap();
    assert_eq!(digest, ledgerstone::encoding::base64_encode(Hash::of(&file).as_bytes()));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_caller_says_of_a_person_stays_in_the_notice() {
    let world = world().await;
    let told = world.decide(1).await;
    add_reasons(&world, &told[0], &["Income insufficient"]).await;
    let recorder = format!("http://{}", world.app.recorder_addr.unwrap());
    let more = ["--record", "--channel", "email", "--recorder", &recorder, "--log-filter", "trace"];
    let (status, out, error) = render(&world.files, &told[0], "html", "notice.html", &more);
    assert_eq!(status, 0, "{error}");
    let page = fs::read(world.files.folder.join("notice.html")).unwrap();
    let world = world.stop().await;
    let mut found = Vec::new();
    files_below(&world.files.store(), &mut found);
    assert!(found.len() > 5);
    found.push(("standard output".to_owned(), out.into_bytes()));
    found.push(("standard error".to_owned(), error.into_bytes()));
    for planted in PLANTED {
        assert!(contains(&page, planted), "{planted}");
        for (name, bytes) in &found {
            assert!(!contains(bytes, planted), "{planted} stands in {name}");
        }
    }
    // A refusal does not say it either.
    let data = DATA.replace("77 Wyvern Crescent", "77 Wyvern\\nCrescent");
    fs::write(world.files.folder.join("data.toml"), data).unwrap();
    let (status, _, error) = render(&world.files, &told[0], "html", "other.html", &[]);
    assert!(status == 1 && error.contains("applicant.address.0") && !error.contains("Wyvern"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_that_make_no_sense_are_refused_and_nothing_is_replaced() {
    let world = world().await;
    let told = world.decide(1).await;
    add_reasons(&world, &told[0], &["Income insufficient"]).await;
    let files = &world.files;
    fs::write(files.folder.join("mine.html"), "mine").unwrap();
    let (status, _, error) = render(files, &told[0], "html", "mine.html", &[]);
    assert!(status == 1 && error.contains("says something else"), "{error}");
    assert_eq!(fs::read_to_string(files.folder.join("mine.html")).unwrap(), "mine");

    let refused = |arguments: &[&str]| {
        let (status, _, error) = render(files, &told[0], "html", "new.html", arguments);
        assert!(!files.folder.join("new.html").exists(), "{error}");
        (status, error)
    };
    let (status, error) = refused(&["--language", "de"]);
    assert!(status == 1 && error.contains("there are en, es"), "{error}");
    assert_eq!(refused(&["--record"]).0, 64, "a channel is part of the entry");
    assert_eq!(refused(&["--channel", "mail"]).0, 64);
    let (status, _, error) = run(
        files,
        "notice",
        &["render", "--kind", "letter", "--format", "html", "--data", "data.toml", "-o", "new.html"],
    );
    assert!(status == 1 && error.contains("admt-disclosure, adverse-action"), "{error}");

    // Nobody answers: the file is there, and the command can be given again.
    let gone = ["--record", "--channel", "mail", "--recorder", "http://127.0.0.1:9"];
    let (status, _, error) = render(files, &told[0], "html", "new.html", &gone);
    assert!(status == 1 && error.contains("did not record it"), "{error}");
    assert!(files.folder.join("new.html").exists());

    let (status, list, _) = run(files, "notice", &["list"]);
    assert!(
        status == 0 && list.contains("ai-explanation  en de fr es") && list.contains("no legal advice"),
        "{list}"
    );
    let (status, written, _) = run(files, "notice", &["templates", "mine"]);
    assert!(status == 0 && written.contains("adverse-action/en.html"), "{written}");
    let path = files.folder.join("mine/adverse-action/en.html");
    let text = fs::read_to_string(&path).unwrap().replace("Dear", "Good day");
    fs::write(&path, text).unwrap();
    let (_, again, _) = run(files, "notice", &["templates", "mine"]);
    assert!(again.contains("was left alone"), "{again}");
    let with = ["--set", "notices.templates=mine"];
    let (status, _, error) = render(files, &told[0], "html", "own.html", &with);
    assert_eq!(status, 0, "{error}");
    assert!(fs::read_to_string(files.folder.join("own.html")).unwrap().contains("Good day Zephyrine"));
    world.stop().await;
}
