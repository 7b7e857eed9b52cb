//! Registrations with too few approvals, and with enough.

use std::fs;

use ledgerstone::approval::{Recorded, Statement};
use ledgerstone::check::Status as CheckStatus;
use ledgerstone::entry::{DETAIL_STATEMENT, Entry, Kind};
use ledgerstone::hash::{Hash, leaf_hash};
use ledgerstone::merkle::{LeafIndex, TreeSize, inclusion};
use ledgerstone::note::KeyName;
use ledgerstone_verifier::exit::Exit;
use tokio::task::{JoinSet, spawn_blocking};
use tonic::Code;

use crate::world::{Files, World, approval, keys, ledgerstone, model, now, policy, signed, statement, text};

#[tokio::test]
async fn without_an_approval_and_with_one_of_two_nothing_is_registered() {
    let world = World::new().await;
    let change = model("1");
    let none = world.register(&change, b"").await.unwrap_err();
    assert_eq!(none.code(), Code::PermissionDenied);
    assert!(none.message().contains("takes the approval of 2 of 3 persons"), "{none}");
    let one = world.register(&change, &approval(&change, &["alice"])).await.unwrap_err();
    assert_eq!(one.code(), Code::PermissionDenied);
    assert!(one.message().contains("1 of 2 approvers have signed: have 1 more sign"), "{one}");
    let files = world.stop().await;
    assert!(files.entries(Kind::Model).is_empty());
    assert_eq!(files.verify().status, CheckStatus::Passed);
}

#[tokio::test]
async fn two_approve_and_the_entry_shows_it_to_whoever_has_the_log() {
    let world = World::new().await;
    let change = model("1");
    let note = approval(&change, &["carol", "alice"]);
    let answer = world.register(&change, &note).await.unwrap();
    let (index, size) = (LeafIndex::new(answer.leaf_index), TreeSize::new(answer.tree_size));
    let signed = ledgerstone::checkpoint::SignedCheckpoint::parse(&answer.checkpoint).unwrap();
    let proof: Vec<Hash> = answer.proof.iter().map(|hash| Hash::try_from(hash.as_ref()).unwrap()).collect();
    inclusion::verify(&leaf_hash(&answer.entry), index, size, &proof, &signed.checkpoint().root).unwrap();
    let entry = Entry::decode(&answer.entry).unwrap();
    let recorded = Recorded::of(&entry).unwrap().unwrap();
    assert_eq!(Statement::parse(recorded.statement()).unwrap().change, change);
    assert_eq!(recorded.signatures(), 2);
    // Names of people stand nowhere in the log.
    let files = world.stop().await;
    let roster = files.entries(Kind::Roster).remove(0).1.encode().unwrap();
    for bytes in [answer.entry.to_vec(), roster] {
        for name in ["alice", "bob", "carol", "bank.example"] {
            assert!(!bytes.windows(name.len()).any(|window| window == name.as_bytes()), "{name}");
        }
    }
    let check = files.verify();
    assert_eq!(check.status, CheckStatus::Passed);
    assert_eq!(check.detail, "1 change was approved as the roster in force asked.");
    assert!(check.rests_on.is_some(), "the first roster is the operator's word");
}

#[tokio::test]
async fn one_person_is_one_whichever_keys_signed() {
    let world = World::new().await;
    let change = model("1");
    let twice = world.register(&change, &approval(&change, &["alice", "alice-card"])).await.unwrap_err();
    assert_eq!(twice.code(), Code::PermissionDenied);
    assert!(twice.message().contains("of the same person, who counts once"), "{twice}");
    // The same signature line twice.
    let note = String::from_utf8(approval(&change, &["bob"])).unwrap();
    let line = note.lines().last().unwrap().to_owned();
    let twice = world.register(&change, format!("{note}{line}\n").as_bytes()).await.unwrap_err();
    assert!(twice.message().contains("of the same person, who counts once"), "{twice}");
    assert!(world.register(&change, &approval(&change, &["alice", "alice-card", "bob"])).await.is_ok());
    assert_eq!(world.stop().await.entries(Kind::Model).len(), 1);
}

#[tokio::test]
async fn strangers_other_changes_other_logs_and_other_times_are_refused_each_in_its_words() {
    let world = World::new().await;
    let (change, both) = (model("1"), ["alice", "bob"]);
    let fresh = || statement(&change);
    let one_byte = signed(&statement(&model("2")), &both);
    let elsewhere = Statement { log: KeyName::new("example.com/other").unwrap(), ..fresh() };
    let (past, future) = (now().get() - 3_600_000, now().plus_millis(3_600_000));
    let expired = Statement {
        created: ledgerstone::time::UnixMillis::new(past),
        expires: ledgerstone::time::UnixMillis::new(past + 1000),
        ..fresh()
    };
    let early = Statement { created: future, ..fresh() };
    let long = Statement { expires: now().plus_millis(32 * 86_400_000), ..fresh() };
    let mut broken = approval(&change, &both);
    let at = broken.len() - 10;
    broken[at] = if broken[at] == b'A' { b'B' } else { b'A' };
    let denied = Code::PermissionDenied;
    for (note, code, says) in [
        (approval(&change, &["alice", "mallory"]), denied, "bank.example/mallory is of nobody in the roster"),
        (one_byte, denied, "the approval is for another change"),
        (signed(&elsewhere, &both), denied, "the approval is for the log example.com/other"),
        (signed(&expired, &both), denied, "the approval expired at"),
        (signed(&early, &both), denied, "the approval holds from"),
        (signed(&long, &both), Code::InvalidArgument, "within 31 days"),
        (broken, denied, "a signature of an approver does not verify"),
        (fresh().to_text().into_bytes(), Code::InvalidArgument, "the approval is no signed note"),
        (b"rubbish".to_vec(), Code::InvalidArgument, "the approval is no signed note"),
        (vec![b'a'; 15 * 1024], Code::InvalidArgument, "the approval is no signed note"),
    ] {
        let refused = world.register(&change, &note).await.unwrap_err();
        assert_eq!(refused.code(), code, "{refused}");
        assert!(refused.message().contains(says), "{refused}");
    }
    let files = world.stop().await;
    assert!(files.entries(Kind::Model).is_empty());
}

#[tokio::test]
async fn two_equal_requests_at_once_make_one_entry() {
    let world = World::new().await;
    let change = model("1");
    let note = approval(&change, &["alice", "bob"]);
    let address = world.app.registry_addr.unwrap();
    let mut asking = JoinSet::new();
    for _ in 0..8 {
        let (change, note) = (change.clone(), note.clone());
        asking
            .spawn(async move { crate::world::register(address, &change, &note).await.unwrap().leaf_index });
    }
    let answered = asking.join_all().await;
    assert!(answered.iter().all(|index| *index == answered[0]), "{answered:?}");
    let files = world.stop().await;
    assert_eq!(files.entries(Kind::Model).len(), 1);
    assert_eq!(files.verify().status, CheckStatus::Passed);
}

#[tokio::test]
async fn policies_are_approved_as_models_are_and_retention_is_no_such_policy() {
    let world = World::new().await;
    let plan = policy("audit-plan", "the plan");
    assert_eq!(world.register(&plan, b"").await.unwrap_err().code(), Code::PermissionDenied);
    let other = approval(&policy("audit-plan", "another plan"), &["alice", "bob"]);
    assert_eq!(world.register(&plan, &other).await.unwrap_err().code(), Code::PermissionDenied);
    assert!(world.register(&plan, &approval(&plan, &["alice", "bob"])).await.is_ok());
    let retention = policy("retention", "keep nothing");
    let refused = world.register(&retention, &approval(&retention, &["alice", "bob"])).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
    assert_eq!(world.stop().await.verify().status, CheckStatus::Passed);
}

#[tokio::test]
async fn a_log_without_a_roster_asks_nobody_and_takes_no_approval_for_it() {
    let world = Files::bare().await.run().await;
    let change = model("1");
    let needless = world.register(&change, &approval(&change, &["alice", "bob"])).await.unwrap_err();
    assert_eq!(needless.code(), Code::InvalidArgument);
    let answer = world.register(&change, b"").await.unwrap();
    assert!(Entry::decode(&answer.entry).unwrap().details.value(DETAIL_STATEMENT).is_none());
    let files = world.stop().await;
    assert!(files.entries(Kind::Roster).is_empty() && files.entries(Kind::Policy).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_proposes_signs_shows_and_registers() {
    let world = World::new().await;
    let folder = world.files.path("credit");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("weights.json"), "{}").unwrap();
    let [proposed, one, two] = ["model.statement", "one.note", "two.note"].map(|name| world.files.path(name));
    for name in ["alice", "bob"] {
        fs::write(world.files.path(&format!("{name}.key")), keys(name).to_text().as_bytes()).unwrap();
    }
    let (alice, bob) = (world.files.path("alice.key"), world.files.path("bob.key"));
    let of_model = ["--name", "credit", "--version", "7"];
    let propose = [
        &["approval", "propose", "model", text(&folder), "--log", "example.com/tests", "-o", text(&proposed)],
        of_model.as_slice(),
    ];
    ledgerstone(&propose.concat()).unwrap();
    ledgerstone(&["approval", "sign", text(&proposed), "--key", text(&alice), "--yes", "-o", text(&one)])
        .unwrap();
    let again = ["approval", "sign", text(&one), "--key", text(&alice), "--yes", "-o", text(&two)];
    assert!(ledgerstone(&again).unwrap_err().to_string().contains("has signed this statement already"));
    let sidecar = format!("grpc://{}", world.app.registry_addr.unwrap());
    let register = |approval: &std::path::Path| {
        let words = [
            &["model", "register", text(&folder), "--sidecar", &sidecar, "--approval", text(approval)],
            of_model.as_slice(),
        ];
        let words: Vec<String> = words.concat().into_iter().map(str::to_owned).collect();
        spawn_blocking(move || ledgerstone(&words.iter().map(String::as_str).collect::<Vec<_>>()))
    };
    let refused = register(&one).await.unwrap().unwrap_err();
    assert!(refused.to_string().contains("1 of 2 approvers have signed"), "{refused}");
    let approvers = world.files.path("approvers");
    let show =
        ["approval", "show", text(&one), "--approvers", text(&approvers), "--rule", "2 of alice, bob, carol"];
    assert!(ledgerstone(&show).unwrap_err().to_string().contains("1 of 2 approvers have signed"));
    ledgerstone(&["approval", "sign", text(&one), "--key", text(&bob), "--yes", "-o", text(&two)]).unwrap();
    assert_eq!(register(&two).await.unwrap().unwrap(), Exit::Verified);
    let files = world.stop().await;
    assert_eq!(files.entries(Kind::Model).len(), 1);
    assert_eq!(files.verify().detail, "1 change was approved as the roster in force asked.");
}
