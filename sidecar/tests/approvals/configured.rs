//! What the configuration changes: retention, and who may approve.

use std::fs;
use std::path::Path;

use ledgerstone::approval::{Change, PublicRoster};
use ledgerstone::check::Status as CheckStatus;
use ledgerstone::entry::{Entry, Kind, SessionId, StartDetails, WriterName};
use ledgerstone::hash::Hash;
use ledgerstone_sidecar::driver::{self, Draft, Options};
use ledgerstone_sidecar::log_keys;
use tonic::Code;

use crate::world::{Files, RULES, approval, approver, everybody, ledgerstone, model, text};

/// Appends a change as a program would that asks nobody: with the log's own keys, in a session of its own.
pub(crate) async fn append_unapproved(files: &Files, change: &Change) {
    let config = files.config();
    let keys = log_keys::load(&config.log.key_file, &config.log.origin).unwrap();
    let store = files.sidecar.store();
    let log = tokio::task::spawn_blocking(move || driver::open(&store, keys, Options::default()).unwrap().0);
    let log = log.await.unwrap();
    let (writer, session) = (WriterName::parse("another").unwrap(), SessionId::from_bytes([8; 16]));
    let start =
        StartDetails { version: "0".to_owned(), configuration: Hash::of(b"another"), previous_session: None };
    let entries = [
        Entry::start(writer.clone(), session, start),
        change.entry((writer.clone(), session, 1), &PublicRoster::empty()),
        Entry::stop(writer, session, 2),
    ];
    for entry in entries {
        log.append(Draft { entry, sealed: None }).await.unwrap();
    }
    log.stop().await.unwrap();
}

fn with_retention() -> String {
    format!("{RULES}retention = \"2 of alice, bob, carol\"\n")
}

#[tokio::test]
async fn another_retention_period_takes_two_before_the_sidecar_starts() {
    let files = Files::bare().await;
    files.ask(&with_retention(), &everybody());
    let files = files.run().await.stop().await;
    assert_eq!(files.entries(Kind::Policy).len(), 1, "what held when the roster began stands in the log");
    files.add("[retention]\ndefault = \"7y\"");
    let refused = files.refused().await;
    assert!(refused.contains("retention: from sha256:"), "{refused}");
    assert!(refused.contains("approvals propose"), "{refused}");
    files.approve(&["alice"]);
    let refused = files.refused().await;
    assert!(refused.contains("1 of 2 approvers have signed"), "{refused}");
    let before = files.entries(Kind::Start).len();
    files.approve(&["alice", "carol"]);
    let files = files.run().await.stop().await;
    assert_eq!(
        files.entries(Kind::Start).len(),
        before + 1,
        "a sidecar that does not start says nothing in the log"
    );
    assert_eq!(files.entries(Kind::Policy).len(), 2);
    // The same note says nothing about going back, nor about the class of a route.
    files.change("default = \"7y\"", "default = \"1mo\"");
    assert!(
        files.refused().await.contains("is not approved")
            || files.refused().await.contains("takes the approval")
    );
    files.change("default = \"1mo\"", "default = \"7y\"");
    files.change("name = \"doubler\"\n", "name = \"doubler\"\nretention = \"1mo\"\n");
    assert!(files.refused().await.contains("takes the approval of 2 of 3"));
    files.change("name = \"doubler\"\nretention = \"1mo\"\n", "name = \"doubler\"\n");
    let files = files.run().await.stop().await;
    let check = files.verify();
    assert_eq!(check.status, CheckStatus::Passed);
    assert_eq!(check.detail, "1 change was approved as the roster in force asked.");
}

#[tokio::test]
async fn what_is_proposed_for_retention_can_be_read() {
    let files = Files::bare().await;
    files.ask(&with_retention(), &everybody());
    let files = files.run().await.stop().await;
    let (nothing, said) = files.type_in(&["approvals", "status"]);
    assert!(nothing && said.contains("Nothing waits"), "{said}");
    files.add("[retention]\ndefault = \"7y\"");
    let (waits, said) = files.type_in(&["approvals", "status"]);
    assert!(!waits && said.contains("takes the approval of 2 of 3"), "{said}");
    let folder = files.path("proposed");
    let (done, said) = files.type_in(&["approvals", "propose", "--output", text(&folder)]);
    assert!(done, "{said}");
    let statement = fs::read_to_string(folder.join("retention.statement")).unwrap();
    let rules = fs::read(folder.join("retention.txt")).unwrap();
    assert!(statement.contains(&format!("to sha256:{}\n", Hash::of(&rules))), "{statement}");
    assert!(String::from_utf8(rules).unwrap().contains("default \"7y\"\n"));
    let (again, said) = files.type_in(&["approvals", "propose", "--output", text(&folder)]);
    assert!(!again && said.contains("exists already"), "{said}");
    for valid in ["32d", "0s", "soon"] {
        let (done, said) =
            files.type_in(&["approvals", "propose", "--output", text(&folder), "--valid", valid]);
        assert!(!done && said.contains("at most 31d"), "{said}");
    }
}

fn without_carol() -> (String, String) {
    (
        RULES.replace(", carol", ""),
        everybody().lines().filter(|line| !line.contains("carol")).map(|line| format!("{line}\n")).collect(),
    )
}

#[tokio::test]
async fn another_roster_takes_the_approval_of_the_one_before() {
    let files = Files::new().await.run().await.stop().await;
    // Whoever edits the configuration cannot make himself the one who approves.
    let mallory = approver("mallory", "mallory");
    files.ask("model = \"1 of mallory\"\nroster = \"1 of mallory\"\n", &mallory);
    assert!(files.refused().await.contains("takes the approval of 2 of 3"));
    files.approve(&["mallory"]);
    assert!(files.refused().await.contains("bank.example/mallory is of nobody in the roster"));
    // Carol leaves.
    let (rules, approvers) = without_carol();
    files.ask(&rules, &approvers);
    assert!(files.refused().await.contains("takes the approval of 2 of 3"));
    files.approve(&["bob", "alice"]);
    let world = files.run().await;
    let change = model("1");
    let refused = world.register(&change, &approval(&change, &["alice", "carol"])).await.unwrap_err();
    assert!(refused.message().contains("a key that is not in the roster any more"), "{refused}");
    world.register(&change, &approval(&change, &["alice", "bob"])).await.unwrap();
    let files = world.stop().await;
    assert_eq!(files.entries(Kind::Roster).len(), 2);
    assert_eq!(files.verify().detail, "2 changes were approved as the roster in force asked.");
}

#[tokio::test]
async fn taking_the_approvals_out_of_the_configuration_takes_approval_too() {
    let files = Files::new().await.run().await.stop().await;
    files.no_approvals();
    let refused = files.refused().await;
    assert!(
        refused.contains("roster: from sha256:") && refused.contains("takes the approval of 2 of 3"),
        "{refused}"
    );
    files.add("[approvals]\nfolder = \"approved\"");
    files.approve(&["carol", "bob"]);
    let world = files.run().await;
    let change = model("1");
    world.register(&change, b"").await.unwrap();
    let files = world.stop().await;
    let check = files.verify();
    assert_eq!(check.status, CheckStatus::Passed);
    assert!(
        check.detail.contains("For 1 change since the first roster nobody had to approve"),
        "{}",
        check.detail
    );
    // Another roster begins as the first one did.
    files.no_approvals();
    files.ask(RULES, &everybody());
    let world = files.run().await;
    assert_eq!(world.register(&model("2"), b"").await.unwrap_err().code(), Code::PermissionDenied);
    world.stop().await;
}

#[tokio::test]
async fn other_names_and_another_order_are_no_other_roster() {
    let files = Files::new().await.run().await.stop().await;
    let turned: Vec<String> =
        everybody().lines().rev().map(|line| line.replace("approver bob", "approver robert")).collect();
    files.ask(&RULES.replace("bob", "robert"), &(turned.join("\n") + "\n"));
    let files = files.run().await.stop().await;
    assert_eq!(files.entries(Kind::Roster).len(), 1);
}

#[tokio::test]
async fn the_verifiers_command_names_the_roster_that_the_sidecar_proposes() {
    let files = Files::new().await.run().await.stop().await;
    let (rules, approvers) = without_carol();
    files.ask(&rules, &approvers);
    let folder = files.path("proposed");
    assert!(files.type_in(&["approvals", "propose", "--output", text(&folder)]).0);
    let statement = fs::read_to_string(folder.join("roster.statement")).unwrap();
    let (_, to) = statement.split_once("\nto sha256:").unwrap();
    let file = files.path("approvers");
    let rule = |kind: &str| format!("{kind}=2 of alice, bob");
    let rules = [rule("model"), rule("policy"), rule("roster")];
    let words =
        ["approval", "roster", text(&file), "--rule", &rules[0], "--rule", &rules[1], "--rule", &rules[2]];
    ledgerstone(&words).unwrap();
    let roster = ledgerstone::approval::Roster::new(approvers.as_bytes(), &files.config().approvals.rules);
    assert_eq!(&to[..64], roster.unwrap().public().digest().to_string());
}

#[tokio::test]
async fn rules_and_approvers_that_make_no_sense_stop_the_start() {
    let files = Files::bare().await;
    for (rules, approvers, says) in [
        ("roster = \"1 of eve\"\n", everybody(), "names eve, who has no line"),
        ("roster = \"1 of alice\"\n", format!("{}more", everybody()), "line 5: is not `approver NAME VKEY`"),
        ("roster = \"1 of alice\"\n", everybody() + &approver("dora", "bob"), "repeats a public key"),
        ("roster = \"1 of alice\"\n", "x".repeat(33 * 1024), "cannot be read"),
    ] {
        files.ask(rules, &approvers);
        let refused = files.refused().await;
        assert!(refused.contains(says), "{refused}");
    }
    fs::remove_file(files.path("approvers")).unwrap();
    assert!(files.refused().await.contains("cannot be read"));
    files.ask("roster = \"1 of alice\"\n", &everybody());
    files.change("folder = \"approved\"", "folder = \"nowhere\"");
    assert!(files.refused().await.contains("nowhere cannot be read"));
    files.change("folder = \"nowhere\"", "folder = \"approved\"");
    // What is no approval, and what is too long for one, is passed over.
    fs::write(files.path("approved/0.note"), vec![b'x'; 70 * 1024]).unwrap();
    fs::write(files.path("approved/1.note"), "not a note").unwrap();
    fs::create_dir(files.path("approved/folder")).unwrap();
    let files = files.run().await.stop().await;
    for n in 0..=256 {
        fs::write(files.path(&format!("approved/n{n}.note")), "").unwrap();
    }
    assert!(files.refused().await.contains("has more than 256 files"));
    let config = |rules: &str| {
        let text = fs::read_to_string(files.sidecar.config()).unwrap();
        let text = text.replace("roster = \"1 of alice\"\n", rules);
        ledgerstone_sidecar::config::Config::from_toml(&text, Path::new("/"))
            .map(drop)
            .map_err(|error| error.to_string())
    };
    assert!(config("").unwrap_err().contains("approvals.roster is not"));
    for wrong in ["0 of alice", "2 of alice", "1 of alice, alice", "alice", "1 of "] {
        assert!(
            config(&format!("roster = \"{wrong}\"\n")).unwrap_err().contains("approvals.roster"),
            "{wrong}"
        );
    }
}
