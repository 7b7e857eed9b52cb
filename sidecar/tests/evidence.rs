//! Decisions recorded by the real sidecar, exported as evidence, and recomputed by the verifier from that file alone.
//!
//! Danger: a bundle that leaves something out, that proves nothing, or that lets a changed record, model or sample pass. Expected:
//! what was decided follows bit for bit; whatever was changed, cut or swapped is refused or counted as an exception.

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

mod support;

use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::OnceLock;

use ledgerstone::hash::Hash;
use ledgerstone::merkle::{self, TreeSize};
use ledgerstone::proto::inference::ModelInferRequest;
use ledgerstone::proto::ledgerstone_v1::recorder_client::RecorderClient;
use ledgerstone::proto::ledgerstone_v1::registry_client::RegistryClient;
use ledgerstone::proto::ledgerstone_v1::value::Kind as ValueKind;
use ledgerstone::proto::ledgerstone_v1::{AppendFollowUpRequest, Field, RegisterModelRequest, Value};
use ledgerstone::store::fs::FsReader;
use ledgerstone::tile::TileNodes;
use ledgerstone_verifier::audit::results::{self, Decision, Head, Tail};
use ledgerstone_verifier::audit::run::{self, Admitted, Options, RunError};
use ledgerstone_verifier::audit::verdict::Verdict;
use ledgerstone_verifier::bundle::BundleError;
use ledgerstone_verifier::progress::Silent;
use ledgerstone_verifier::report::{assemble, recheck};
use support::{Sidecar, free_port, request, serve_doubler};
use tempfile::TempDir;

/// The scorecard that gives what the doubler gives.
const CARD: &str = r#"{"format": "ledgerstone-scorecard/v1", "name": "doubler", "adverse": "low", "link": "identity", "base": 0,
    "terms": [{"feature": "value", "coefficient": 2}]}"#;

const DESCRIPTION: &str = r#"{"format": "ledgerstone-recompute/v1", "model": "card.json", "dtype": "FP32",
    "scores": [{"name": "score", "of": "margins"}],
    "tensors": [{"name": "score", "of": "margins", "dtype": "FP32"}]}"#;

/// Decisions in the log: more than one tile of them.
const DECISIONS: u64 = 300;

/// A log with decisions under a model that is one file, and nobody who writes it.
struct World {
    folder: TempDir,
    sidecar: Sidecar,
}

/// The same log for every test: nothing here changes it.
fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| decided(CARD, doubled()))
}

/// The requests of a log with [`DECISIONS`].
fn doubled() -> impl Iterator<Item = ModelInferRequest> {
    (0..DECISIONS).map(|number| request(&format!("r{number}"), number as f32 + 0.1))
}

/// A sidecar that was told that `card` decides, while the doubler does, and refuses every other model's name.
fn decided(card: &str, requests: impl Iterator<Item = ModelInferRequest>) -> World {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let sidecar = runtime.block_on(async {
        let sidecar = Sidecar::init(folder.path(), serve_doubler().await);
        std::fs::write(folder.path().join("card.json"), card).unwrap();
        let config = std::fs::read_to_string(sidecar.config()).unwrap();
        std::fs::write(sidecar.config(), config + "model = { file = \"card.json\" }\n").unwrap();
        let mut running = sidecar.start();
        let mut client = sidecar.client().await;
        for request in requests {
            let is_known = request.model_name == "doubler";
            assert_eq!(client.model_infer(request).await.is_ok(), is_known);
        }
        assert!(running.stop().success());
        sidecar
    });
    World { folder, sidecar }
}

impl World {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Exports with the sidecar's own command.
    fn export(&self, name: &str, arguments: &[&str]) -> Output {
        let mut command = self.sidecar.command("bundle");
        command.current_dir(self.folder.path()).arg("export").arg("-o").arg(name).args(arguments);
        command.output().unwrap()
    }

    fn exported(&self, name: &str, arguments: &[&str]) -> PathBuf {
        let output = self.export(name, arguments);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        self.path(name)
    }

    /// The transcript of a draw, as far as an export reads it.
    fn draw(&self, name: &str, size: u64, drawn: &[u64], skipped: &[u64]) -> PathBuf {
        let reader = FsReader::open(&self.sidecar.store());
        let nodes = TileNodes::new(&reader, reader.size().unwrap());
        let root = merkle::root(&nodes, TreeSize::new(size)).unwrap();
        let text = format!(
            r#"{{"origin": "example.com/tests", "tree_size": {size}, "root": "{root}", "drawn": {drawn:?}, "skipped": {skipped:?}}}"#
        );
        std::fs::write(self.path(name), text).unwrap();
        self.path(name)
    }
}

fn options(bundle: &Path, output: &str) -> Options {
    Options {
        bundle: bundle.to_owned(),
        output: bundle.with_file_name(output),
        threads: 2,
        description: Some(DESCRIPTION.as_bytes().to_vec()),
        ..Options::default()
    }
}

/// Runs a bundle of a range.
fn run(options: &Options) -> Result<(Head, Tail), RunError> {
    let _ = std::fs::remove_file(&options.output);
    run::run(options, |_| Ok(Admitted::default()), &mut Silent)
}

fn lines(options: &Options) -> Vec<Decision> {
    let mut decisions = Vec::new();
    let file = std::io::BufReader::new(std::fs::File::open(&options.output).unwrap());
    results::read(file, |decision| decisions.push(decision)).unwrap();
    decisions
}

#[test]
fn what_was_decided_follows_from_the_file_alone() {
    let world = world();
    let bundle = world.exported("all.bundle", &["--model", "card.json"]);
    let options = options(&bundle, "all.jsonl");
    let (head, tail) = run(&options).unwrap();
    assert_eq!(tail.decisions, DECISIONS);
    assert_eq!(tail.verdicts.get(&Verdict::Exact), Some(&DECISIONS), "{:?}", lines(&options).first());
    assert_eq!((tail.exceptions, tail.entries), (0, head.tree_size));
    let scores = lines(&options).iter().map(|line| line.scores[0]).collect::<Vec<_>>();
    assert_eq!(scores[0], (Some(f64::from(0.1_f32 * 2.0)), Some(f64::from(0.1_f32 * 2.0))));
}

/// A log with three decisions, then the registration of their model, then two more.
fn registered_late() -> World {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let sidecar = runtime.block_on(async {
        let sidecar = Sidecar::init(folder.path(), serve_doubler().await);
        std::fs::write(folder.path().join("card.json"), CARD).unwrap();
        let registry = format!("127.0.0.1:{}", free_port());
        let config = std::fs::read_to_string(sidecar.config()).unwrap();
        let more = format!("model = {{ file = \"card.json\" }}\n\n[registry]\nlisten = \"{registry}\"\n");
        std::fs::write(sidecar.config(), config + &more).unwrap();
        let mut running = sidecar.start();
        let mut client = sidecar.client().await;
        for number in 0..5_u8 {
            if number == 3 {
                let model = RegisterModelRequest {
                    name: "doubler".into(),
                    version: "1".into(),
                    digest: Hash::of(CARD.as_bytes()).as_bytes().to_vec().into(),
                    signature_digest: Vec::new().into(),
                    approval: Vec::new().into(),
                };
                let mut registry = RegistryClient::connect(format!("http://{registry}")).await.unwrap();
                registry.register_model(model).await.unwrap();
            }
            client.model_infer(request(&format!("r{number}"), f32::from(number))).await.unwrap();
        }
        assert!(running.stop().success());
        sidecar
    });
    World { folder, sidecar }
}

#[test]
fn decisions_before_the_registration_of_their_model_are_exceptions() {
    let world = registered_late();
    let bundle = world.exported("all.bundle", &["--model", "card.json"]);
    let whole = options(&bundle, "all.jsonl");
    let (head, tail) = run(&whole).unwrap();
    assert_eq!((head.registrations, tail.decisions, tail.exceptions), (1, 5, 3));
    let late: Vec<bool> = lines(&whole).iter().map(|line| line.verdict == Verdict::Unverifiable).collect();
    assert_eq!(late, [true, true, true, false, false]);
    assert!(lines(&whole)[0].differences.last().unwrap().what.contains("did not register"));

    // The registration comes along with a part of the log in which it does not stand.
    let after = world.exported("after.bundle", &["--model", "card.json", "--from", "5", "--to", "5"]);
    let (head, tail) = run(&options(&after, "after.jsonl")).unwrap();
    assert_eq!((head.registrations, tail.decisions, tail.exceptions), (1, 1, 0));
}

#[test]
fn what_was_added_to_decisions_comes_along_and_changes_no_verdict() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let sidecar = runtime.block_on(async {
        let sidecar = Sidecar::init(folder.path(), serve_doubler().await);
        std::fs::write(folder.path().join("card.json"), CARD).unwrap();
        let recorder = format!("127.0.0.1:{}", free_port());
        let config = std::fs::read_to_string(sidecar.config()).unwrap();
        let more = format!("model = {{ file = \"card.json\" }}\n\n[recorder]\nlisten = \"{recorder}\"\n");
        std::fs::write(sidecar.config(), config + &more).unwrap();
        let mut running = sidecar.start();
        let mut client = sidecar.client().await;
        let mut recorder = RecorderClient::connect(format!("http://{recorder}")).await.unwrap();
        for number in 0..3_u8 {
            let decided =
                client.model_infer(request(&format!("r{number}"), f32::from(number))).await.unwrap();
            let decision_id = decided.metadata().get("ledgerstone-decision-id").unwrap();
            let action = Value { kind: Some(ValueKind::Text("deny".to_owned())) };
            let fields = vec![Field { path: "outcome/action".to_owned(), value: Some(action) }];
            let outcome = AppendFollowUpRequest {
                decision_id: decision_id.to_str().unwrap().to_owned(),
                kind: "outcome".to_owned(),
                request_id: String::new(),
                fields,
            };
            recorder.append_follow_up(outcome).await.unwrap();
        }
        assert!(running.stop().success());
        sidecar
    });
    let world = World { folder, sidecar };
    let bundle = world.exported("all.bundle", &["--model", "card.json"]);
    let options = options(&bundle, "all.jsonl");
    let (head, tail) = run(&options).unwrap();
    assert_eq!((tail.decisions, tail.exceptions, tail.entries), (3, 0, head.tree_size));
    assert_eq!(tail.verdicts.get(&Verdict::Exact), Some(&3), "{:?}", lines(&options));
    assert!(head.tree_size >= 8, "start, three decisions with what was added to each, stop");
}

#[test]
fn a_log_without_registrations_passes_unless_they_are_asked_for() {
    let world = self::world();
    let bundle = world.exported("none.bundle", &["--model", "card.json", "--from", "1", "--to", "9"]);
    let mut options = options(&bundle, "none.jsonl");
    assert_eq!(run(&options).unwrap().1.exceptions, 0);
    options.must_be_registered = true;
    let (_, tail) = run(&options).unwrap();
    assert_eq!(tail.verdicts.get(&Verdict::Unverifiable), Some(&tail.decisions));
}

#[test]
fn a_call_that_ended_in_an_error_is_no_exception_and_no_answer() {
    let calls = (0..5_u8).map(|number| {
        let mut request = request(&format!("r{number}"), f32::from(number));
        if number % 2 == 1 {
            request.model_name = "halver".into();
        }
        request
    });
    let world = decided(CARD, calls);
    let bundle = world.exported("all.bundle", &["--model", "card.json"]);
    let options = options(&bundle, "all.jsonl");
    let (_, tail) = run(&options).unwrap();
    let verdicts: Vec<Verdict> = lines(&options).iter().map(|line| line.verdict).collect();
    let (exact, none) = (Verdict::Exact, Verdict::NoAnswer);
    assert_eq!(verdicts, [exact, none, exact, none, exact], "{:?}", lines(&options)[1].differences);
    assert_eq!((tail.decisions, tail.exceptions), (5, 0));
    let report = assemble(std::fs::File::open(&options.output).unwrap(), None).unwrap();
    recheck(&report).unwrap();
    assert!(report.claims.headline.contains("2 calls ended in an error"), "{}", report.claims.headline);
    assert!(
        report
            .claims
            .establishes
            .iter()
            .any(|point| point.starts_with("For 3 decisions the recorded outcome"))
    );
    assert!(
        report.claims.does_not_establish.iter().any(|point| point.contains("2 calls that ended in an error"))
    );
}

#[test]
fn an_export_repeated_is_the_same_file_and_never_replaces_one() {
    let world = world();
    let one = world.exported("one.bundle", &["--model", "card.json"]);
    let two = world.exported("two.bundle", &["--model", "card.json"]);
    assert!(std::fs::read(&one).unwrap() == std::fs::read(two).unwrap());
    let again = world.export("one.bundle", &["--model", "card.json"]);
    assert!(!again.status.success());
    assert!(String::from_utf8_lossy(&again.stderr).contains("exists already"));
}

#[test]
fn a_part_of_the_log_is_proved_in_the_whole() {
    let world = world();
    for (from, to) in [(1, 1), (3, 290), (255, 256), (256, 300)] {
        let name = format!("part-{from}.bundle");
        let bundle = world
            .exported(&name, &["--model", "card.json", "--from", &from.to_string(), "--to", &to.to_string()]);
        let options = options(&bundle, &format!("part-{from}.jsonl"));
        let (_, tail) = run(&options).unwrap();
        assert_eq!(tail.entries, to - from + 1);
        assert_eq!(tail.exceptions, 0);
        assert!(lines(&options).iter().all(|line| (from..=to).contains(&line.leaf_index)));
    }
    let beyond = world.export("beyond.bundle", &["--to", "100000"]);
    assert!(String::from_utf8_lossy(&beyond.stderr).contains("name indices below its size"));
}

#[test]
fn a_draw_is_exported_in_its_order_and_held_against_the_log() {
    let world = world();
    let draw = world.draw("draw.json", 290, &[270, 5, 17], &[0]);
    let bundle = world.exported("draw.bundle", &["--model", "card.json", "--draw", draw.to_str().unwrap()]);
    let options = options(&bundle, "draw.jsonl");
    let listed = |listed: &[u64]| {
        let admitted = Admitted { checkpoint_verified: false, listed: Some((listed.to_vec(), 3)) };
        let _ = std::fs::remove_file(&options.output);
        let _ = std::fs::remove_file(options.output.with_file_name("draw.jsonl.partial"));
        let admit = |front: &ledgerstone_verifier::bundle::Front| {
            let reader = FsReader::open(&world.sidecar.store());
            let nodes = TileNodes::new(&reader, reader.size().unwrap());
            let root = merkle::root(&nodes, TreeSize::new(290)).unwrap();
            front.draw.as_ref().unwrap().check(TreeSize::new(290), &root, front)?;
            Ok(admitted)
        };
        run::run(&options, admit, &mut Silent)
    };
    let (_, tail) = listed(&[270, 5, 17, 0]).unwrap();
    assert_eq!((tail.decisions, tail.exceptions, tail.entries), (3, 0, 4));
    let order: Vec<u64> = lines(&options).iter().map(|line| line.leaf_index).collect();
    assert_eq!(order, [270, 5, 17]);
    assert!(matches!(listed(&[5, 270, 17, 0]), Err(RunError::Bundle(BundleError::Order { .. }))));
    assert!(matches!(listed(&[270, 5, 17]), Err(RunError::Bundle(BundleError::Order { .. }))));
    assert!(matches!(
        listed(&[270, 5, 17, 0, 9]),
        Err(RunError::Bundle(BundleError::MissingEntry { index: 9 }))
    ));
}

#[test]
fn a_decision_that_a_draw_calls_none_is_noticed() {
    let world = world();
    let draw = world.draw("false.json", 290, &[5], &[6]);
    let bundle = world.exported("false.bundle", &["--model", "card.json", "--draw", draw.to_str().unwrap()]);
    let admitted = Admitted { checkpoint_verified: false, listed: Some((vec![5, 6], 1)) };
    let ran = run::run(&options(&bundle, "false.jsonl"), |_| Ok(admitted), &mut Silent);
    assert!(matches!(ran, Err(RunError::Draw(why)) if why.contains("entry 6 was skipped")));
}

#[test]
fn decisions_of_a_model_that_does_not_come_along_are_exceptions() {
    let world = world();
    std::fs::write(world.path("other.json"), CARD.replace("\"coefficient\": 2", "\"coefficient\": 3"))
        .unwrap();
    let output = world.export("other.bundle", &["--model", "other.json"]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("300 decisions name the model") && said.contains("does not come along"), "{said}");
    let options = options(&world.path("other.bundle"), "other.jsonl");
    let (_, tail) = run(&options).unwrap();
    assert_eq!(tail.verdicts.get(&Verdict::Unverifiable), Some(&DECISIONS));
    assert_eq!(tail.exceptions, DECISIONS);
}

#[test]
fn a_server_that_does_not_serve_the_named_model_is_found_and_no_lost_record_passes() {
    let named = CARD.replace("\"coefficient\": 2", "\"coefficient\": 2.00000012");
    let world = decided(&named, doubled());
    let bundle = world.exported("served.bundle", &["--model", "card.json"]);
    let options = options(&bundle, "served.jsonl");
    let (_, tail) = run(&options).unwrap();
    assert_eq!(tail.verdicts.get(&Verdict::MismatchSameOutcome), Some(&DECISIONS));
    let first = &lines(&options)[0];
    assert_eq!(first.differences[0].what, "output/score/score");

    // One record is damaged, all after the file's middle are gone: none of them counts as seen.
    let sealed = world.sidecar.store().join("sealed/000");
    let mut bytes = std::fs::read(&sealed).unwrap();
    bytes.truncate(bytes.len() / 2);
    bytes[100] ^= 1;
    std::fs::write(&sealed, bytes).unwrap();
    let bundle = world.exported("damaged.bundle", &["--model", "card.json"]);
    let options = self::options(&bundle, "damaged.jsonl");
    let (_, tail) = run(&options).unwrap();
    let lost: Vec<_> =
        lines(&options).into_iter().filter(|line| line.verdict == Verdict::Unverifiable).collect();
    assert!(lost.len() as u64 > DECISIONS / 3 && (lost.len() as u64) < DECISIONS, "{} are lost", lost.len());
    assert_eq!((tail.decisions, tail.exceptions), (DECISIONS, DECISIONS));
    assert!(lost.iter().all(|line| line.differences[0].what.contains("lost")), "{:?}", lost[0]);
}

#[test]
fn an_interrupted_run_goes_on_and_gives_the_same_file() {
    let world = world();
    let bundle = world.exported("resumed.bundle", &["--model", "card.json", "--from", "1", "--to", "290"]);
    let options = options(&bundle, "resumed.jsonl");
    run(&options).unwrap();
    let whole = std::fs::read(&options.output).unwrap();
    let partial = options.output.with_file_name("resumed.jsonl.partial");
    for keep in [0, 10, whole.len() / 2, whole.len() - 1] {
        std::fs::write(&partial, &whole[..keep]).unwrap();
        run(&options).unwrap();
        assert!(std::fs::read(&options.output).unwrap() == whole, "{keep}");
    }
    let text = String::from_utf8(whole).unwrap().replace("example.com/tests", "example.com/other");
    std::fs::write(&partial, text).unwrap();
    assert!(matches!(run(&options), Err(RunError::OtherPartial { .. })));
}

#[test]
fn a_bundle_that_was_cut_or_changed_shows_nothing_else() {
    let world = world();
    let bundle = world.exported("whole.bundle", &["--model", "card.json"]);
    let whole = std::fs::read(&bundle).unwrap();
    let (_, true_tail) = run(&options(&bundle, "whole.jsonl")).unwrap();
    let changed = world.path("changed.bundle");
    let options = options(&changed, "changed.jsonl");
    let step = whole.len() / 40;
    for length in (0..whole.len()).step_by(step) {
        std::fs::write(&changed, &whole[..length]).unwrap();
        let _ = std::fs::remove_file(world.path("changed.jsonl.partial"));
        assert!(run(&options).is_err(), "cut to {length} of {} bytes", whole.len());
    }
    let (mut noticed, mut tried) = (0, 0);
    for place in (0..whole.len()).step_by(step / 8) {
        let mut bytes = whole.clone();
        bytes[place] ^= 0x10;
        std::fs::write(&changed, bytes).unwrap();
        let _ = std::fs::remove_file(world.path("changed.jsonl.partial"));
        tried += 1;
        match run(&options) {
            Err(_) => noticed += 1,
            Ok((_, tail)) => {
                assert_eq!(tail.decisions, true_tail.decisions, "byte {place}");
                noticed += u64::from(tail.exceptions > 0);
            }
        }
    }
    // What nothing rests on, such as the policy that comes along and the kept bytes' own spelling, may differ unseen.
    assert!(noticed * 10 > tried * 9, "only {noticed} of {tried} changes were noticed");
}

#[cfg(feature = "age")]
#[test]
fn an_encrypted_bundle_opens_for_its_recipient_only() {
    use age::secrecy::ExposeSecret as _;
    let world = world();
    let [own, other] = [(); 2].map(|()| age::x25519::Identity::generate());
    let recipient = own.to_public().to_string();
    let bundle = world.exported("age.bundle", &["--model", "card.json", "--recipient", &recipient]);
    let bytes = std::fs::read(&bundle).unwrap();
    assert!(bytes.starts_with(b"age-encryption.org/v1"));
    let mut options = options(&bundle, "age.jsonl");
    assert!(matches!(run(&options), Err(RunError::Bundle(BundleError::Decrypt { .. }))));
    for (name, identity) in [("own.txt", &own), ("other.txt", &other)] {
        std::fs::write(world.path(name), format!("# key\n{}\n", identity.to_string().expose_secret()))
            .unwrap();
    }
    options.identities = vec![world.path("other.txt")];
    assert!(matches!(run(&options), Err(RunError::Bundle(BundleError::Decrypt { .. }))));
    options.identities.push(world.path("own.txt"));
    assert_eq!(run(&options).unwrap().1.exceptions, 0);
    let bad = world.export("bad.bundle", &["--recipient", "age1nonsense"]);
    assert!(String::from_utf8_lossy(&bad.stderr).contains("not an age recipient"));
}
