//! Scenario: the proof vectors of transparency-dev/merkle and the tile path seeds of cloudflare/azul, which other
//! implementations of the same specifications are held to. Danger: a verifier that accepts a proof which the rest of the
//! field refuses, or a case that is silently not run. End: every file below the folder was read, the number of files is
//! the one that is known, and every verdict is the one the file states.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "a test fails by panicking, finds its data through the environment and says what it skips"
)]

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ledgerstone::hash::Hash;
use ledgerstone::merkle::subtree::{self, Subtree};
use ledgerstone::merkle::{LeafIndex, TreeSize, consistency, inclusion};
use ledgerstone::tile::TilePath;
use serde::Deserialize;
use serde::de::DeserializeOwned;

#[test]
fn agrees_with_every_inclusion_vector() {
    run("rfc6962-merkle/inclusion", 98, |case: &InclusionCase| {
        let size = TreeSize::new(case.tree_size);
        let claim = Claim::new(&case.leaf_hash, &case.root, &case.proof)?;
        let index = LeafIndex::new(case.leaf_idx);
        inclusion::verify(&claim.first, index, size, &claim.proof, &claim.second).map_err(drop)
    });
}

#[test]
fn agrees_with_every_consistency_vector() {
    run("rfc6962-merkle/consistency", 98, |case: &ConsistencyCase| {
        let claim = Claim::new(&case.root1, &case.root2, &case.proof)?;
        let (from, to) = (TreeSize::new(case.size1), TreeSize::new(case.size2));
        consistency::verify(from, &claim.first, to, &claim.second, &claim.proof).map_err(drop)
    });
}

#[test]
fn agrees_with_every_subtree_inclusion_vector() {
    run("rfc6962-merkle/subtreeinclusion", 204, |case: &SubtreeInclusionCase| {
        let subtree = case.range.subtree()?;
        let claim = Claim::new(&case.leaf_hash, &case.root, &case.proof)?;
        let index = LeafIndex::new(case.leaf_idx);
        subtree::verify_inclusion(&claim.first, index, subtree, &claim.proof, &claim.second).map_err(drop)
    });
}

#[test]
fn agrees_with_every_subtree_consistency_vector() {
    run("rfc6962-merkle/subtreeconsistency", 118, |case: &SubtreeConsistencyCase| {
        let subtree = case.range.subtree()?;
        let claim = Claim::new(&case.root1, &case.root2, &case.proof)?;
        let size = TreeSize::new(case.size);
        subtree::verify_consistency(subtree, &claim.first, size, &claim.second, &claim.proof).map_err(drop)
    });
}

#[test]
fn reads_the_tile_path_seeds_once_their_height_is_taken_away() {
    let Some(folder) = vectors("tile-path-seeds", 8) else {
        return;
    };
    let files = files_below(&folder);
    assert_eq!(files.len(), 8, "files below {}", folder.display());
    // The seeds are paths of the Go checksum database, `tile/<height>/<level>/<index>`; C2SP paths have no height.
    // Of what remains, three seeds have an index without its marks, a negative level and a level called "data".
    let parses = [true, true, true, true, true, false, false, false];
    for (file, parses) in files.iter().zip(parses) {
        let text = fs::read_to_string(file).unwrap();
        let text = text.trim_end();
        let (_, rest) = text.strip_prefix("tile/").unwrap().split_once('/').unwrap();
        let without_height = format!("tile/{rest}");
        let path = without_height.parse::<TilePath>();
        assert_eq!(path.is_ok(), parses, "{}: {without_height}", file.display());
        if let Ok(path) = path {
            assert_eq!(path.to_string(), without_height);
        }
        let with_height = text.parse::<TilePath>();
        assert!(with_height.is_err(), "{}: {text}", file.display());
    }
}

/// What a case file says beside the claim.
trait Case: DeserializeOwned {
    fn description(&self) -> &str;
    fn must_fail(&self) -> bool;
}

macro_rules! case {
    ($name:ident { $($(#[$field_attribute:meta])* $field:ident: $type:ty),* $(,)? }) => {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct $name {
            $($(#[$field_attribute])* $field: $type,)*
            proof: Option<Vec<String>>,
            desc: String,
            want_err: bool,
        }

        impl Case for $name {
            fn description(&self) -> &str {
                &self.desc
            }

            fn must_fail(&self) -> bool {
                self.want_err
            }
        }
    };
}

case!(InclusionCase { leaf_idx: u64, tree_size: u64, root: String, leaf_hash: String });
case!(ConsistencyCase { size1: u64, size2: u64, root1: String, root2: String });
case!(SubtreeInclusionCase {
    leaf_idx: u64,
    #[serde(flatten)]
    range: Range,
    root: String,
    leaf_hash: String
});
case!(SubtreeConsistencyCase {
    #[serde(flatten)]
    range: Range,
    size: u64,
    root1: String,
    root2: String
});

#[derive(Deserialize)]
struct Range {
    start: u64,
    end: u64,
}

impl Range {
    fn subtree(&self) -> Result<Subtree, ()> {
        Subtree::new(LeafIndex::new(self.start), TreeSize::new(self.end)).map_err(drop)
    }
}

/// The hashes of a case. A hash of another length than 32 bytes cannot be said in our types, so it is refused here.
struct Claim {
    first: Hash,
    second: Hash,
    proof: Vec<Hash>,
}

impl Claim {
    fn new(first: &str, second: &str, proof: &Option<Vec<String>>) -> Result<Self, ()> {
        let proof = proof.iter().flatten().map(|hash| parse(hash));
        Ok(Self { first: parse(first)?, second: parse(second)?, proof: proof.collect::<Result<_, _>>()? })
    }
}

fn parse(text: &str) -> Result<Hash, ()> {
    let bytes = STANDARD.decode(text).unwrap();
    // Some cases stand for any hash with a short text; equal texts must stay equal and different ones different.
    if bytes.starts_with(b"don't care") {
        return Ok(Hash::of(&bytes));
    }
    Hash::try_from(bytes.as_slice()).map_err(drop)
}

/// Runs every case below `folder`, which must be `count`.
fn run<C: Case>(folder: &str, count: usize, verify: impl Fn(&C) -> Result<(), ()>) {
    let Some(folder) = vectors(folder, count) else {
        return;
    };
    let files = files_below(&folder);
    assert_eq!(files.len(), count, "files below {}", folder.display());
    let mut refused = 0;
    for file in &files {
        let case: C = serde_json::from_slice(&fs::read(file).unwrap())
            .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        assert_eq!(verify(&case).is_err(), case.must_fail(), "{} ({})", file.display(), case.description());
        refused += usize::from(case.must_fail());
    }
    assert!(refused > 0 && refused < count, "{refused} of {count} are refused");
}

/// A folder of outside vectors; nothing where they are not installed, which is a failure in CI.
fn vectors(folder: &str, count: usize) -> Option<PathBuf> {
    let path = std::env::var_os("LEDGERSTONE_VECTORS").map(|base| Path::new(&base).join(folder));
    match path {
        Some(path) if path.is_dir() => Some(path),
        missing => {
            let ci = std::env::var_os("CI").is_some_and(|value| value == "true");
            assert!(!ci, "LEDGERSTONE_VECTORS must hold {folder} in CI, it is {missing:?}");
            println!("skipped: {folder}, {count} cases (set LEDGERSTONE_VECTORS)");
            None
        }
    }
}

/// All files below a folder, in a stable order.
fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}
