//! Model folders: what is served, what the log registers, and what happens when the two part.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Parser as _;
use ledgerstone::entry::{Entry, Kind, KindDetails};
use ledgerstone::hash::{Hash, leaf_hash};
use ledgerstone::manifest::Manifest;
use ledgerstone::merkle::{LeafIndex, TreeSize, inclusion};
use ledgerstone::proto::ledgerstone_v1::registry_client::RegistryClient;
use ledgerstone::proto::ledgerstone_v1::{RegisterModelRequest, RegisterPolicyRequest, RegisterResponse};
use ledgerstone::receipt::Receipt;
use ledgerstone::store::fs::FsReader;
use ledgerstone_verifier::audit::PlanFile;
use ledgerstone_verifier::cli::Arguments;
use ledgerstone_verifier::command;
use ledgerstone_verifier::exit::{Exit, Refusal};
use ledgerstone_verifier::output::Output;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

use crate::support::{PATIENCE, Sidecar, http_get};
use crate::world::{DRAIN, World, build, init};

const FLAGS: [&str; 2] = ["registry.listen=127.0.0.1:0", "models.watch_interval=20ms"];

/// A folder with a model, and its digest.
fn model(files: &Sidecar) -> (PathBuf, Hash) {
    let folder = files.config().parent().unwrap().join("mortgage");
    fs::create_dir_all(folder.join("labels")).unwrap();
    for (name, text) in CONTENTS {
        fs::write(folder.join(name), text).unwrap();
    }
    fs::write(folder.join("model.sig"), "not part of the model").unwrap();
    (folder, digest(&CONTENTS))
}

const CONTENTS: [(&str, &str); 3] =
    [("weights.json", "{}"), ("threshold.json", "0.5"), ("labels/en.json", "[\"deny\"]")];

fn digest(contents: &[(&str, &str)]) -> Hash {
    let files = contents.iter().map(|(name, text)| ((*name).to_owned(), Hash::of(text.as_bytes())));
    Manifest::new(files).unwrap().root()
}

/// A sidecar whose route `doubler` serves the folder, registered as `loans`.
async fn world(flags: &[&str]) -> (World, PathBuf, Hash) {
    let (folder, files) = init().await;
    let (model, digest) = model(&files);
    let config = fs::read_to_string(files.config()).unwrap();
    let (name, model_key) =
        ("name = \"doubler\"\n", "model = { folder = \"mortgage\", registered = \"loans\" }\n");
    assert!(config.contains(name), "the sidecar has a route of its own");
    fs::write(files.config(), config.replace(name, &format!("{name}{model_key}"))).unwrap();
    let flags: Vec<String> = flags.iter().map(|flag| (*flag).to_owned()).collect();
    let app = build(&files, &flags).await.spawn().await.unwrap();
    (World { folder, files, app }, model, digest)
}

async fn registry(world: &World) -> RegistryClient<Channel> {
    let address = world.app.registry_addr.unwrap();
    RegistryClient::new(Endpoint::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap())
}

fn request(name: &str, version: &str, digest: Hash) -> RegisterModelRequest {
    RegisterModelRequest {
        name: name.into(),
        version: version.into(),
        digest: digest.as_bytes().to_vec().into(),
        signature_digest: Vec::new().into(),
        approval: Vec::new().into(),
    }
}

async fn register(world: &World, version: &str, digest: Hash) -> Result<RegisterResponse, Status> {
    let answer = registry(world).await.register_model(request("loans", version, digest)).await;
    answer.map(tonic::Response::into_inner)
}

async fn admin(world: &World, path: &str) -> String {
    String::from_utf8(http_get(world.app.admin_addr, path).await.unwrap().1).unwrap()
}

/// Waits until the page at `path` of the admin port has `text`.
async fn until(world: &World, path: &str, text: &str) {
    let begin = Instant::now();
    loop {
        let page = admin(world, path).await;
        if page.contains(text) {
            return;
        }
        assert!(begin.elapsed() < PATIENCE, "no {text} in\n{page}");
        tokio::task::yield_now().await;
    }
}

/// The entry of a log at rest.
fn entry(store: &Path, index: u64) -> Entry {
    let reader = FsReader::open(store);
    Entry::decode(&reader.entry(LeafIndex::new(index), reader.size().unwrap()).unwrap()).unwrap()
}

#[tokio::test]
async fn a_folder_is_recorded_by_the_root_of_its_manifest() {
    let (world, _, digest) = world(&FLAGS).await;
    let told = world.decide(1).await.remove(0);
    let ask = ledgerstone::proto::ledgerstone_v1::GetReceiptRequest {
        decision_id: told.decision.clone(),
        fields: Vec::new(),
    };
    let receipt = world.receipts().await.get_receipt(ask).await.unwrap().into_inner().receipt;
    let receipt = Receipt::parse(&receipt).unwrap();
    let fields = receipt.to_json();
    for path in ["model/digest", "model/manifest"] {
        assert!(fields.contains(&format!("\"path\": \"{path}\"")), "{fields}");
    }
    let root = ledgerstone::encoding::base64_encode(digest.as_bytes());
    assert_eq!(fields.matches(&root).count(), 1, "{root} in {fields}");
    let stopped = world.stop().await;
    assert_eq!(entry(&stopped.files.store(), told.index).model, Some(digest));
}

#[tokio::test]
async fn a_registration_is_proved_and_known_again_after_a_restart() {
    let (world, _, digest) = world(&FLAGS).await;
    until(&world, "/models", "unregistered").await;
    assert!(admin(&world, "/metrics").await.contains("ledgerstone_models_unregistered{route=\"doubler\"} 0"));
    let answer = register(&world, "2026.1", digest).await.unwrap();
    let (index, size) = (LeafIndex::new(answer.leaf_index), TreeSize::new(answer.tree_size));
    let policy = world.policy();
    let signed = ledgerstone::checkpoint::SignedCheckpoint::parse(&answer.checkpoint).unwrap();
    policy.check_log(&signed).unwrap();
    let proof: Vec<Hash> = answer.proof.iter().map(|hash| Hash::try_from(hash.as_ref()).unwrap()).collect();
    let root = signed.checkpoint().root;
    inclusion::verify(&leaf_hash(&answer.entry), index, size, &proof, &root).unwrap();
    let entry = Entry::decode(&answer.entry).unwrap();
    assert_eq!((entry.kind, entry.model), (Kind::Model, Some(digest)));
    let Ok(KindDetails::Model(details)) = entry.kind_details() else { panic!("{entry:?}") };
    assert_eq!(
        (details.name.as_str(), details.version.as_str(), details.signature),
        ("loans", "2026.1", None)
    );
    let registered = format!("registered at leaf index {index}");
    until(&world, "/models", &registered).await;
    let stopped = world.stop().await;
    let world = stopped.start().await;
    until(&world, "/models", &registered).await;
    world.stop().await;
}

#[tokio::test]
async fn a_change_of_the_folder_is_recorded_and_told_until_it_is_registered() {
    let (world, folder, before) = world(&FLAGS).await;
    register(&world, "1", before).await.unwrap();
    let first = world.decide(1).await.remove(0).index;
    fs::write(folder.join("threshold.json"), "0.6").unwrap();
    until(&world, "/metrics", "ledgerstone_model_changed_total{route=\"doubler\"} 1").await;
    let second = world.decide(1).await.remove(0).index;
    until(&world, "/models", &format!("NOT the registered one: {before}")).await;
    until(&world, "/metrics", "ledgerstone_models_unregistered{route=\"doubler\"} 1").await;
    assert_eq!(http_get(world.app.admin_addr, "/ready").await.unwrap().0, 200);
    let after = digest(&[CONTENTS[0], ("threshold.json", "0.6"), CONTENTS[2]]);
    register(&world, "2", after).await.unwrap();
    until(&world, "/metrics", "ledgerstone_models_unregistered{route=\"doubler\"} 0").await;
    let stopped = world.stop().await;
    assert_eq!(entry(&stopped.files.store(), first).model, Some(before));
    assert_eq!(entry(&stopped.files.store(), second).model, Some(after));
}

#[tokio::test]
async fn a_folder_that_cannot_be_read_any_more_is_told_and_its_last_digest_stands() {
    let (world, folder, before) = world(&FLAGS).await;
    let away = folder.with_extension("away");
    fs::rename(&folder, &away).unwrap();
    until(&world, "/metrics", "ledgerstone_model_unreadable{route=\"doubler\"} 1").await;
    let during = world.decide(1).await.remove(0).index;
    fs::rename(&away, &folder).unwrap();
    until(&world, "/metrics", "ledgerstone_model_unreadable{route=\"doubler\"} 0").await;
    assert!(
        admin(&world, "/metrics").await.contains("ledgerstone_model_changed_total{route=\"doubler\"} 0\n")
    );
    let stopped = world.stop().await;
    assert_eq!(entry(&stopped.files.store(), during).model, Some(before));
}

#[tokio::test]
async fn refuses_free_text_and_digests_that_are_none() {
    let (world, _, digest) = world(&FLAGS).await;
    let mut client = registry(&world).await;
    let good = request("loans", "1", digest);
    let wrong = [
        RegisterModelRequest { name: "Jane Doe".into(), ..good.clone() },
        RegisterModelRequest { name: String::new(), ..good.clone() },
        RegisterModelRequest { version: "1 for Jane".into(), ..good.clone() },
        RegisterModelRequest { digest: vec![0; 31].into(), ..good.clone() },
        RegisterModelRequest { signature_digest: vec![0; 33].into(), ..good.clone() },
    ];
    for request in wrong {
        let refused = client.register_model(request.clone()).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{request:?}");
    }
    let plan = RegisterPolicyRequest {
        kind: "audit-plan".into(),
        digest: digest.as_bytes().to_vec().into(),
        approval: Vec::new().into(),
    };
    let refused =
        client.register_policy(RegisterPolicyRequest { kind: "an audit".into(), ..plan.clone() }).await;
    assert_eq!(refused.unwrap_err().code(), Code::InvalidArgument);
    let long = RegisterModelRequest { name: "x".repeat(20_000), ..good };
    assert_eq!(client.register_model(long).await.unwrap_err().code(), Code::OutOfRange);
    let answer = client.register_policy(plan).await.unwrap().into_inner();
    let entry = Entry::decode(&answer.entry).unwrap();
    assert_eq!((entry.kind, entry.policy), (Kind::Policy, Some(digest)));
    world.stop().await;
}

#[tokio::test]
async fn nothing_is_registered_unless_the_configuration_says_where() {
    let (world, _, digest) = world(&[]).await;
    assert_eq!(world.app.registry_addr, None);
    let mut client = RegistryClient::new(world.channel().await);
    let refused = client.register_model(request("loans", "1", digest)).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unimplemented);
    world.app.drain(DRAIN).await.unwrap();
}

#[tokio::test]
async fn refuses_a_folder_that_is_no_model_and_two_ways_to_name_one() {
    let (_folder, files) = init().await;
    let (model, _) = model(&files);
    let config = fs::read_to_string(files.config()).unwrap();
    let refusal = async |keys: &str| {
        let route = format!("\n[[route]]\nname = \"loans\"\nmodel = {{ {keys} }}\n");
        fs::write(files.config(), format!("{config}{route}")).unwrap();
        match ledgerstone_sidecar::app::App::build(files.load::<&str>(&[])).await {
            Ok(_) => panic!("{keys} was taken"),
            Err(error) => error.to_string(),
        }
    };
    assert!(refusal("folder = \"nowhere\"").await.contains("model.folder: "));
    assert!(refusal("folder = \"mortgage/weights.json\"").await.contains("model.folder: "));
    assert!(refusal("folder = \"mortgage\", file = \"x\"").await.contains("give one of"));
    assert!(refusal("folder = \"mortgage\", registered = \"Big Loans\"").await.contains("model.registered"));
    std::os::unix::fs::symlink(model.join("weights.json"), model.join("link")).unwrap();
    assert!(refusal("folder = \"mortgage\"").await.contains("link"));
}

/// The command line with `arguments`, as its binary runs it.
async fn ledgerstone(arguments: &[&str]) -> Result<Exit, Refusal> {
    let parsed = Arguments::try_parse_from(["ledgerstone"].iter().chain(arguments)).unwrap();
    let work = move || command::run(&parsed.command, &mut Output::standard(parsed.output));
    tokio::task::spawn_blocking(work).await.unwrap()
}

#[tokio::test]
async fn the_command_line_registers_a_folder_and_a_plan_and_believes_no_other_log() {
    let (world, folder, digest) = world(&FLAGS).await;
    let at = |path: &Path| path.display().to_string();
    let (model, store) = (at(&folder), world.files.store());
    let (policy, signature) = (at(&store.join("log.policy")), at(&folder.join("model.sig")));
    let sidecar = format!("grpc://{}", world.app.registry_addr.unwrap());
    let as_loans = ["--name", "loans", "--version", "1", "--signature", &signature, "--sidecar", &sidecar];
    let register = [&["model", "register", &model], &as_loans[..], &["--policy", &policy]].concat();
    assert_eq!(ledgerstone(&register).await.unwrap(), Exit::Verified);
    until(&world, "/models", &format!("doubler {digest} registered at leaf index ")).await;
    let planned = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/audit_plan/signed");
    let plan = ["audit", "register", &at(&planned), "--sidecar", &sidecar, "--policy", &policy];
    assert_eq!(ledgerstone(&plan).await.unwrap(), Exit::Verified);
    let (other, _files) = init().await;
    let others = at(&other.path().join("store/log.policy"));
    let untrusted = [&["model", "register", &model], &as_loans[..], &["--policy", &others]].concat();
    let refusal = ledgerstone(&untrusted).await.unwrap_err();
    assert!(refusal.message.contains("does not prove the registration"), "{}", refusal.message);
    let callers = format!("grpc://{}", world.app.grpc_addr);
    let elsewhere = ["audit", "register", &at(&planned), "--sidecar", &callers];
    let refusal = ledgerstone(&elsewhere).await.unwrap_err();
    assert!(refusal.next.contains("registry.listen"), "{}", refusal.next);
    let stopped = world.stop().await;
    let size = FsReader::open(&stopped.files.store()).size().unwrap().get();
    let entries = (0..size).map(|index| entry(&stopped.files.store(), index));
    let registered: Vec<Entry> = entries.filter(|entry| entry.kind.is_registration()).collect();
    let kinds: Vec<Kind> = registered.iter().map(|entry| entry.kind).collect();
    assert_eq!(kinds, [Kind::Model, Kind::Policy, Kind::Model]);
    let signed = Hash::of(b"not part of the model");
    let Ok(KindDetails::Model(details)) = registered[0].kind_details() else { panic!() };
    assert_eq!(details.signature, Some(signed));
    let plan = PlanFile::parse(&fs::read(&planned).unwrap()).unwrap();
    assert_eq!(registered[1].policy, Some(plan.digest()), "without its signature");
    assert_eq!(ledgerstone(&["log", "models", &at(&stopped.files.store())]).await.unwrap(), Exit::Verified);
    let verify = ["verify", "log", &at(&stopped.files.store()), "--policy", &policy];
    assert_eq!(ledgerstone(&verify).await.unwrap(), Exit::Verified);
}

#[tokio::test]
async fn a_renamed_file_is_told_although_the_digest_does_not_say_it() {
    let (world, folder, before) = world(&FLAGS).await;
    fs::rename(folder.join("weights.json"), folder.join("weights.old")).unwrap();
    until(&world, "/metrics", "ledgerstone_model_changed_total{route=\"doubler\"} 1").await;
    until(&world, "/models", &format!("doubler {before} ")).await;
    world.stop().await;
}

#[tokio::test]
async fn a_change_of_a_single_file_is_recorded_too() {
    let (folder, files) = init().await;
    model(&files);
    let config = fs::read_to_string(files.config()).unwrap();
    let (name, key) = ("name = \"doubler\"\n", "model = { file = \"mortgage/weights.json\" }\n");
    fs::write(files.config(), config.replace(name, &format!("{name}{key}"))).unwrap();
    let flags: Vec<String> = FLAGS.iter().map(|flag| (*flag).to_owned()).collect();
    let app = build(&files, &flags).await.spawn().await.unwrap();
    let world = World { folder, files, app };
    let first = world.decide(1).await.remove(0).index;
    let file = world.files.config().parent().unwrap().join("mortgage/weights.json");
    fs::write(&file, "{ }").unwrap();
    until(&world, "/metrics", "ledgerstone_model_changed_total{route=\"doubler\"} 1").await;
    let second = world.decide(1).await.remove(0).index;
    let stopped = world.stop().await;
    let model = |index| entry(&stopped.files.store(), index).model;
    assert_eq!((model(first), model(second)), (Some(Hash::of(b"{}")), Some(Hash::of(b"{ }"))));
}
