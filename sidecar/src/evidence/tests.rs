use std::path::Path;

use ledgerstone::evidence::{Absence, RecordPart, Run};
use ledgerstone::merkle::LeafIndex;
use zeroize::Zeroizing;

use super::ExportError;
use super::archive::Archive;

const HEADER: &[u8] = b"{}";

/// A run of three megabytes that do not shrink much.
fn run(number: u64) -> Run {
    let mut state = number + 1;
    let noise = (0..3_000_000).map(|_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()[0]
    });
    let record = RecordPart::Opened(Zeroizing::new(noise.collect()));
    let absent = (b"entry".to_vec(), RecordPart::Absent(Absence::Lost));
    Run {
        first: LeafIndex::new(number),
        entries: vec![(b"entry".to_vec(), record), absent],
        proof: Vec::new(),
    }
}

fn open(path: &Path) -> Archive {
    Archive::open(path, &[], HEADER, "checkpoint").unwrap()
}

fn front(archive: &mut Archive) {
    archive.member("bundle.json", HEADER).unwrap();
    archive.stream("models/x", 5, b"model".as_slice()).unwrap();
    archive.front_is_written().unwrap();
}

fn put(archive: &mut Archive, number: u64) {
    let run = run(number);
    archive.count_absent(&run);
    archive.run(&format!("runs/{number}"), &run).unwrap();
}

#[test]
fn an_interrupted_export_goes_on_to_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole");
    let mut archive = open(&whole);
    front(&mut archive);
    (0..5).for_each(|number| put(&mut archive, number));
    let (bytes, absent) = archive.finish().unwrap();
    assert_eq!(bytes, std::fs::metadata(&whole).unwrap().len());
    assert_eq!(absent.values().copied().collect::<Vec<_>>(), [5]);

    let cut = folder.path().join("cut");
    for stop in 0..5 {
        let mut archive = open(&cut);
        front(&mut archive);
        (0..stop).for_each(|number| put(&mut archive, number));
        drop(archive);
        let mut archive = open(&cut);
        let there = archive.runs();
        assert!(there <= stop && there + 1 >= stop, "{there} of {stop}");
        assert!(!archive.is_fresh());
        (there..5).for_each(|number| put(&mut archive, number));
        let (_, counted) = archive.finish().unwrap();
        assert_eq!(counted, absent, "stopped after {stop}");
        assert!(std::fs::read(&cut).unwrap() == std::fs::read(&whole).unwrap(), "stopped after {stop}");
        std::fs::remove_file(&cut).unwrap();
    }
    assert!(!folder.path().join("cut.partial.state").exists());
}

#[test]
fn what_another_export_left_is_not_gone_on_with() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bundle");
    let mut archive = open(&path);
    front(&mut archive);
    drop(archive);
    let other = Archive::open(&path, &[], b"{\"other\": 1}", "checkpoint");
    assert!(matches!(other, Err(ExportError::OtherPartial { .. })));
}

#[test]
fn a_model_that_became_shorter_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let mut archive = open(&folder.path().join("bundle"));
    assert!(archive.stream("models/x", 6, b"model".as_slice()).is_err());
}
