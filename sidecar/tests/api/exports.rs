//! `receipt export`: the receipts of many decisions.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read as _;
use std::path::Path;

use ledgerstone::receipt::Receipt;
use ledgerstone::verify::{self, Verdict};
use ledgerstone_sidecar::cli::ReceiptExportArguments;
use ledgerstone_sidecar::commands;

use crate::world::{World, damage_last_sealed};

fn arguments(output: &Path, from: u64, to: Option<u64>, route: Option<&str>) -> ReceiptExportArguments {
    ReceiptExportArguments { output: output.to_owned(), from, to, route: route.map(str::to_owned) }
}

fn export(world: &World, arguments: &ReceiptExportArguments) -> Result<String, String> {
    let (mut out, config) = (Vec::new(), world.files.load::<&str>(&[]));
    let done = commands::receipt_export(&config, arguments, &mut out);
    let said = String::from_utf8(out).unwrap();
    done.map(|()| said.clone()).map_err(|error| format!("{said}{error:#}"))
}

#[tokio::test]
async fn every_receipt_of_the_range_is_written_once_and_verifies() {
    let world = World::new().await;
    let told = world.decide(300).await;
    world.published(told[299].index + 1).await;
    let (folder, archive) = (world.folder.path().join("all"), world.folder.path().join("some.tar.zst"));
    let said = export(&world, &arguments(&folder, 0, None, None)).unwrap();
    assert!(said.contains("wrote 300 receipts"), "{said}");
    let policy = world.policy();
    let judged = |bytes: &[u8]| {
        assert_eq!(verify::receipt(bytes, Some(&policy)).verdict(), Verdict::Verified);
        Receipt::parse(bytes).unwrap().decision().to_string()
    };
    let all: BTreeSet<String> =
        fs::read_dir(&folder).unwrap().map(|file| judged(&fs::read(file.unwrap().path()).unwrap())).collect();
    assert_eq!(all, told.iter().map(|told| told.decision.clone()).collect());

    let said = export(&world, &arguments(&archive, 10, Some(270), Some("doubler"))).unwrap();
    // The log also has heartbeats, so that a range of entries holds fewer decisions.
    let expected: BTreeSet<String> = told
        .iter()
        .filter(|told| (10..=270).contains(&told.index))
        .map(|told| told.decision.clone())
        .collect();
    assert!(expected.len() > 200 && said.contains(&format!("wrote {} receipts", expected.len())), "{said}");
    let mut members = tar::Archive::new(zstd::Decoder::new(fs::File::open(&archive).unwrap()).unwrap());
    let mut found = BTreeSet::new();
    for member in members.entries().unwrap() {
        let (mut member, mut bytes) = (member.unwrap(), Vec::new());
        member.read_to_end(&mut bytes).unwrap();
        let decision = judged(&bytes);
        assert_eq!(member.path().unwrap().to_str().unwrap(), format!("{decision}.json"));
        found.insert(decision);
    }
    assert_eq!(found, expected);
    let none = world.folder.path().join("none");
    assert!(
        export(&world, &arguments(&none, 0, None, Some("another"))).unwrap().contains("wrote 0 receipts")
    );
    world.stop().await;
}

#[tokio::test]
async fn nothing_is_overwritten_and_a_range_behind_the_log_is_refused() {
    let world = World::new().await;
    world.decide(1).await;
    world.published(2).await;
    let there = world.folder.path().join("there.tar.zst");
    fs::write(&there, "mine").unwrap();
    assert!(export(&world, &arguments(&there, 0, None, None)).unwrap_err().contains("exists already"));
    assert_eq!(fs::read(&there).unwrap(), b"mine");
    let behind = world.folder.path().join("behind");
    assert!(export(&world, &arguments(&behind, 99, None, None)).unwrap_err().contains("--from"));
    assert!(!behind.exists());
    world.stop().await;
}

#[tokio::test]
async fn a_decision_whose_record_does_not_open_is_named_and_the_others_are_written() {
    let world = World::new().await;
    world.decide(3).await;
    world.published(4).await;
    let stopped = world.stop().await;
    damage_last_sealed(&stopped.files.store());
    let (mut out, folder) = (Vec::new(), stopped.folder.path().join("out"));
    let config = stopped.files.load::<&str>(&[]);
    let error = commands::receipt_export(&config, &arguments(&folder, 0, None, None), &mut out).unwrap_err();
    let said = String::from_utf8(out).unwrap();
    assert!(error.to_string().contains("1 decisions have no receipt"), "{error}");
    assert!(said.contains("entry 3: no receipt") && said.contains("wrote 2 receipts"), "{said}");
}
