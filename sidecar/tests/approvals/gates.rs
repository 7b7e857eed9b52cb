//! The rules of routes: other ones, and none any more.

use std::fs;

use ledgerstone::approval::{Change, Statement};
use ledgerstone::check::Status as CheckStatus;
use ledgerstone::entry::{Kind, KindDetails};
use ledgerstone::hash::Hash;
use ledgerstone_sidecar::gate::policy_digest;
use tonic::Code;

use crate::world::{Files, RULES, World, approval, everybody, policy, text};

/// One rule of the route before it.
const GATE: &str = "[[route.gate]]\nname = \"known\"\nwhen = \"request\"\nrule = \"true\"\n";

/// A log with two gates, whose rules were in force before anybody had to approve them.
async fn gated() -> Files {
    let files = Files::bare().await;
    let before = fs::read_to_string(files.sidecar.config()).unwrap();
    let other = "[[route]]\nname = \"other\"\nmatch = { model = \"other\" }\n";
    fs::write(files.sidecar.config(), format!("{before}{GATE}{other}{GATE}")).unwrap();
    files.ask(RULES, &everybody());
    let files = files.run().await.stop().await;
    assert_eq!(named(&files).len(), 2);
    files
}

/// What the policy entries of the log name, in their order.
fn named(files: &Files) -> Vec<(String, Hash)> {
    let named = |(_, entry): (u64, ledgerstone::entry::Entry)| match entry.kind_details() {
        Ok(KindDetails::Policy(details)) => (details.kind.to_string(), entry.policy.unwrap()),
        other => panic!("{other:?}"),
    };
    files.entries(Kind::Policy).into_iter().map(named).collect()
}

#[tokio::test]
async fn other_rules_are_told_proposed_and_approved_each_on_its_own() {
    let files = gated().await;
    let (nothing, said) = files.type_in(&["approvals", "status"]);
    assert!(nothing && said.contains("Nothing waits"), "{said}");
    for _ in 0..2 {
        files.change("rule = \"true\"", "rule = \"true || false\"");
    }
    let (done, said) = files.type_in(&["approvals", "status"]);
    assert!(!done && said.contains("policy: name gate.doubler") && said.contains("gate.other"), "{said}");
    assert_eq!(said.matches("takes the approval of 2 of 3").count(), 2, "{said}");
    assert!(files.refused().await.contains("policy: name gate.doubler"));
    let folder = files.path("proposed");
    assert!(files.type_in(&["approvals", "propose", "--output", text(&folder)]).0);
    let (_, checked) = files.type_in(&["gate", "check"]);
    for kind in ["gate.doubler", "gate.other"] {
        let file = folder.join(format!("policy-{kind}.statement"));
        let statement = Statement::parse(&fs::read_to_string(&file).unwrap()).unwrap();
        let Change::Policy { kind: of, digest } = statement.change else { panic!("{}", statement.change) };
        assert_eq!(of.as_str(), kind);
        assert!(checked.contains(&digest.to_string()), "approvers compare it with what `gate check` prints");
        files.have_signed(&file, &["alice", "bob"]);
    }
    let files = files.run().await.stop().await;
    assert_eq!(named(&files).len(), 4);
    let check = files.verify();
    assert_eq!(check.status, CheckStatus::Passed);
    assert_eq!(check.detail, "2 changes were approved as the roster in force asked.");
}

#[tokio::test]
async fn a_gate_is_not_taken_away_without_approval_nor_under_another_name_of_its_route() {
    let files = gated().await;
    let whole = fs::read_to_string(files.sidecar.config()).unwrap();
    let before = files.entries(Kind::Start).len();
    for (what, less) in [
        ("the gate", whole.replacen(GATE, "", 1)),
        ("the name", whole.replacen("name = \"doubler\"", "name = \"doubled\"", 1)),
        ("the route", whole.split_once("[[route]]\nname = \"other\"").unwrap().0.to_owned()),
    ] {
        fs::write(files.sidecar.config(), less).unwrap();
        let refused = files.refused().await;
        assert!(refused.contains("takes the approval of 2 of 3"), "{what}: {refused}");
    }
    assert_eq!(files.entries(Kind::Start).len(), before, "nothing was written");
    fs::write(files.sidecar.config(), whole.replacen(GATE, "", 1)).unwrap();
    files.approve(&["alice"]);
    assert!(files.refused().await.contains("1 of 2 approvers have signed"));
    files.approve(&["alice", "carol"]);
    let files = files.run().await.stop().await;
    let names = named(&files);
    assert_eq!(names[2..], [("gate.doubler".to_owned(), policy_digest(&[]))]);
    // Nothing changes at the next start; the rules come back as other rules would come.
    let files = files.run().await.stop().await;
    assert_eq!(named(&files), names);
    fs::write(files.sidecar.config(), whole).unwrap();
    assert!(files.refused().await.contains("policy: name gate.doubler"));
    assert_eq!(files.verify().detail, "1 change was approved as the roster in force asked.");
}

#[tokio::test]
async fn nobody_registers_rules_of_a_route_while_the_sidecar_runs() {
    let rules = policy("gate.doubler", "other rules");
    for (files, note) in
        [(Files::new().await, approval(&rules, &["alice", "bob"])), (Files::bare().await, Vec::new())]
    {
        let world: World = files.run().await;
        let refused = world.register(&rules, &note).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
        assert!(refused.message().contains("which rules a route has"), "{refused}");
        assert!(named(&world.stop().await).is_empty());
    }
}
