//! The page on logs in every state.

use std::path::{Path, PathBuf};
use std::time::Duration;

use ledgerstone::entry::{DecisionId, Reference};
use ledgerstone::hash::Hash;
use ledgerstone::proto::inference::grpc_inference_service_client::GrpcInferenceServiceClient;
use ledgerstone::proto::ledgerstone_v1::RegisterModelRequest;
use ledgerstone::proto::ledgerstone_v1::registry_client::RegistryClient;
use ledgerstone::tile::EntryBundle;
use ledgerstone_sidecar::access::Role;
use tokio::task::JoinSet;

use crate::anchored::{Authority, Stopped};
use crate::guarded::{self, word};
use crate::support::{SLOW, request};
use crate::walk::{Walk, beside, is_possible};
use crate::world::{self, Told, World};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_log_has_nothing_to_show_and_says_so() {
    if !is_possible() {
        return;
    }
    let world = World::new().await;
    let walk = Walk::start("empty", world.app.admin_addr);
    beside(move || walk.end()).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_busy_log_is_shown_as_it_grows_to_whoever_looks_and_however() {
    let Some(authority) = is_possible().then(Authority::start).flatten() else { return };
    let digest = Hash::of(b"model");
    let more = format!(
        "[anchors]\nlag_alarm = \"1m\"\nquorum = \"1 of rfc3161\"\n{}\n[registry]\nlisten = \"127.0.0.1:0\"\n\n[[route]]\nname = \"cards\"\nmatch = {{ model = \"doubler-cards\" }}\nmodel = {{ digest = \"sha256:{digest}\" }}\n\n[[route]]\nname = \"trial\"\nmatch = {{ model = \"doubler-trial\" }}\n[[route.gate]]\nname = \"closed\"\nwhen = \"request\"\nrule = \"size(model.name) > 100\"\notherwise = \"refuse\"\n\n[[siem]]\nname = \"archive\"\nkind = \"file\"\npath = \"archive.json\"\n",
        authority.lane("tsa")
    );
    let app = Stopped::new(&more).await.start().await;
    let registry = format!("http://{}", app.app.registry_addr.unwrap());
    let registration = RegisterModelRequest {
        name: "cards".into(),
        version: "2026.1".into(),
        digest: digest.as_bytes().to_vec().into(),
        ..RegisterModelRequest::default()
    };
    RegistryClient::connect(registry).await.unwrap().register_model(registration).await.unwrap();
    let model = GrpcInferenceServiceClient::connect(format!("http://{}", app.app.grpc_addr)).await.unwrap();
    let first = Told::by(&model.clone().model_infer(request("r", 2.5)).await.unwrap());
    let traffic = tokio::spawn(async move {
        for n in 0_u32.. {
            let mut asked = request(&format!("r{n}"), 2.5);
            match n % 23 {
                0 => asked.model_name = "nobody".to_owned(),
                3 => asked.model_name = "doubler-trial".to_owned(),
                1 | 7 | 11 | 13 => asked.model_name = "doubler-cards".to_owned(),
                _ => {}
            }
            _ = model.clone().model_infer(asked).await;
            let wave = (f64::from(n) / 40.0).sin() * 25.0 + 30.0;
            tokio::time::sleep(Duration::from_millis(wave as u64)).await;
        }
    });
    app.until_confirmed("tsa", 2).await;
    let walk = Walk::start("busy", app.app.admin_addr);
    let reference = Reference::of(DecisionId::parse(&first.decision).unwrap());
    let both = format!("{} {}", first.decision, reference.to_string().replace('-', ""));
    beside(move || walk.until("decision").go(&both).end()).await;
    traffic.abort();
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gaps_and_a_session_that_broke_off_are_told_and_counted() {
    if !is_possible() {
        return;
    }
    let (folder, files) = world::init().await;
    let mut running = files.start();
    let mut model = files.client().await;
    for n in 0..40 {
        model.model_infer(request(&format!("r{n}"), 2.5)).await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    running.kill();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let narrow = ["limits.in_flight_max=1".to_owned()];
    let app = world::build(&files, &narrow).await.spawn().await.unwrap();
    let world = World { folder, files, app };
    let model = world.model().await;
    for round in 0..8 {
        let mut calls = JoinSet::new();
        for _ in 0..4 {
            let mut model = model.clone();
            let id = if round % 4 == 1 { SLOW } else { "r" };
            calls.spawn(async move { model.model_infer(request(id, 2.5)).await.is_ok() });
        }
        calls.join_all().await;
        tokio::time::sleep(Duration::from_millis(400)).await;
    }
    // Gap entries come within a second.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let walk = Walk::start("gap", world.app.admin_addr);
    beside(move || walk.end()).await;
    world.stop().await;
}

/// The bundle of the first 256 entries, and a tile.
fn file(store: &Path, path: &str) -> PathBuf {
    store.join("log/tile").join(path)
}

/// Changes one byte in the middle of entry `leaf` of the first bundle; the bytes as they were.
fn change_entry(store: &Path, leaf: u64) -> Vec<u8> {
    let path = file(store, "entries/000");
    let honest = std::fs::read(&path).unwrap();
    let mut entries: Vec<Vec<u8>> =
        EntryBundle::decode(&honest).unwrap().into_iter().map(<[u8]>::to_vec).collect();
    let entry = &mut entries[leaf as usize];
    let at = entry.len() - 20;
    entry[at] ^= 1;
    std::fs::write(&path, EntryBundle::encode(&entries).unwrap()).unwrap();
    honest
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_that_is_changed_on_the_disk_is_found_while_the_page_is_open() {
    if !is_possible() {
        return;
    }
    let world = World::new().await;
    let told = world.decide(600).await;
    world.published(601).await;
    let (changed, other) = (told[100].clone(), told[400].clone());
    let store = world.files.store();
    let walk = Walk::start("tampered", world.app.admin_addr);
    beside(move || {
        let walk = walk.until("change");
        let honest = change_entry(&store, changed.index);
        let walk =
            walk.go(&format!("{} {} {}", changed.decision, changed.index, other.decision)).until("put back");
        std::fs::write(file(&store, "entries/000"), honest).unwrap();
        walk.go("").end();
    })
    .await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tiles_that_are_changed_on_the_disk_fail_the_consistency_proof_that_the_page_checks() {
    if !is_possible() {
        return;
    }
    let world = World::new().await;
    world.decide(160).await;
    let walk = Walk::start("tiles", world.app.admin_addr);
    let walk = beside(move || walk.until("change")).await;
    // What the page saw ends within the first tile, which is full now: the proof takes nodes out of it.
    world.decide(200).await;
    world.published(361).await;
    let path = file(&world.files.store(), "0/000");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[0] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    beside(move || walk.go("").end()).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_sessions_are_told_newest_first_and_the_others_counted() {
    if !is_possible() {
        return;
    }
    let mut world = World::new().await;
    for _ in 0..11 {
        world.decide(2).await;
        world = world.stop().await.start().await;
    }
    let walk = Walk::start("sessions", world.app.admin_addr);
    beside(move || walk.end()).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_and_errors_that_would_run_turn_or_hide_are_shown_as_text() {
    if !is_possible() {
        return;
    }
    let (folder, files) = world::init().await;
    let hostile = "\n[[route]]\nname = \"other\"\nmatch = { model = \"<b onclick=window.ran=1>*\" }\n";
    let text = std::fs::read_to_string(files.config()).unwrap() + hostile;
    std::fs::write(files.config(), text).unwrap();
    let app = world::build(&files, &[]).await.spawn().await.unwrap();
    let world = World { folder, files, app };
    world.decide(3).await;
    let walk = Walk::start("hostile", world.app.admin_addr);
    beside(move || walk.end()).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sidecar_with_roles_shows_nothing_without_a_token_that_may() {
    let world = if is_possible() { guarded::World::new("").await } else { None };
    let Some(world) = world else { return };
    let tokens = [Role::Operator, Role::Application].map(|role| world.issuer.token("u-1", &[word(role)]));
    let walk = Walk::start("access", world.app.admin_addr);
    beside(move || walk.until("tokens").go(&tokens.join(" ")).end()).await;
    world.stop().await;
}
