//! The log's head and what leads to it: signatures, tiles, proofs, and that a later head extends an earlier one.

use ledgerstone::checkpoint::{Checkpoint, SignedCheckpoint};
use ledgerstone::code::Code;
use ledgerstone::hash::leaf_hash;
use ledgerstone::limits::NOTE_BYTES_MAX;
use ledgerstone::merkle::consistency;
use ledgerstone::policy::Policy;
use ledgerstone::tile::{TILE_WIDTH, TileKind, TileNodes, TilePath, TileSource as _, decode_hashes};
use ledgerstone::verify::{self, Status};

use super::Places;
use super::finding::Findings;
use crate::command::log_entries::{decode, read_bundle};
use crate::command::proved::{self, Tiles, chain};
use crate::exit::Refusal;
use crate::output::plural;
use crate::source::{Directory, ReadError, Source};

/// Entry bundles at the end of the log that are read: 4,096 entries, and at most 8 MiB of them.
const BUNDLES: u64 = 16;

/// Entries anywhere in the log that are proved, too.
const DRAWN: usize = 8;

const KEEP: &str = "Keep what you have of both: it is evidence. `ledgerstone verify log` over the whole log says what differs; ask the \
                    operator for an explanation, in writing.";

/// A head and the entries before it.
pub(super) struct Read {
    pub(super) checkpoint: Checkpoint,
    /// Whether the keys of the policy signed it; nothing where there is no policy.
    pub(super) signed: Option<bool>,
    /// Whether what leads to it is whole.
    pub(super) is_whole: bool,
    /// The leaf index of the first of `tail`.
    pub(super) first: u64,
    /// The newest entries, as bytes.
    pub(super) tail: Vec<Vec<u8>>,
}

/// Reads the head and the end of the log.
pub(super) fn read(
    findings: &mut Findings,
    source: &dyn Source,
    store: Option<&Directory>,
    places: &Places<'_>,
) -> Option<Read> {
    let note = match source.checkpoint() {
        Ok(note) => note,
        Err(error) => {
            unread(findings, &error);
            return None;
        }
    };
    let (report, checkpoint) = verify::checkpoint(&note, places.policy);
    let Some(checkpoint) = checkpoint else {
        findings.fail(
            "log.checkpoint",
            format!("What {} serves as checkpoint is none.", source.label()),
            "Name the address of server.http_listen, or the store directory; a damaged file is written anew at the next start.",
        );
        return None;
    };
    let entries = plural(checkpoint.size.get(), "entry", "entries");
    findings.ok("log.checkpoint", format!("{} states {entries} of {}.", source.label(), checkpoint.origin));
    findings.origins.push(("what is read of the log", checkpoint.origin.to_string()));
    let stored = store.and_then(|store| SignedCheckpoint::parse(&store.checkpoint().ok()?).ok());
    findings.origins.extend(stored.map(|stored| ("the store", stored.checkpoint().origin.to_string())));
    let failed: Vec<_> = report.checks().iter().filter(|check| check.status == Status::Failed).collect();
    let signed = places.policy.map(|_| failed.is_empty());
    match failed.first() {
        Some(check) => {
            findings.fail("log.signatures", check.detail.clone(), wrong_keys(source, places.policy))
        }
        None if signed.is_some() => findings.ok("log.signatures", "Every key of your policy signed it."),
        None => findings.left_out.push("whether the keys you trust signed the log: --policy FILE"),
    }
    let mut read = Read { checkpoint, signed, is_whole: true, first: 0, tail: Vec::new() };
    match tiles(source, store, &mut read) {
        Ok(detail) => findings.ok("log.tiles", detail),
        Err(refusal) => {
            read.is_whole = false;
            let name = "log.tiles";
            match refusal.code {
                Code::Unavailable if !refusal.message.contains("does not exist") => {
                    findings.open(name, refusal.message, refusal.next);
                }
                _ => findings.fail(name, refusal.message, KEEP),
            }
        }
    }
    Some(read)
}

/// A checkpoint that could not be had.
fn unread(findings: &mut Findings, error: &ReadError) {
    let detail = format!("{error}.");
    match error {
        ReadError::Status { status: 401 | 403, .. } => findings.fail(
            "access.log",
            detail,
            "Show who you are with --cert-file and --key-file or --token-file, and give that certificate or claim the role operator, \
             compliance or auditor (docs/access.md), or set access.log = \"public\".",
        ),
        ReadError::Missing { .. } => findings.fail(
            "log.checkpoint",
            detail,
            "Name the address of server.http_listen, or the store directory of a log that `ledgerstone-sidecar init` made.",
        ),
        _ => findings.fail(
            "http.reached",
            detail,
            "Start the sidecar, and check that server.http_listen is this address, that nothing is between, and that http:// or https:// \
             is what it speaks.",
        ),
    }
}

/// What to do about signatures that the policy does not take.
fn wrong_keys(source: &dyn Source, policy: Option<&Policy>) -> String {
    let own = source.read("log.policy", NOTE_BYTES_MAX).ok().and_then(|bytes| Policy::parse(&bytes).ok());
    let differs = own.zip(policy).is_some_and(|(own, given)| own.logs() != given.logs());
    let first = if differs { "The log names other keys than your policy file: " } else { "" };
    format!(
        "{first}check that --policy is this log's file, out of a source you trust. If it is, log.key_file is not this log's key: put the \
         right one back before anything else is signed."
    )
}

/// Holds the newest entries against their tiles, proves some, and compares files with the store's.
fn tiles(source: &dyn Source, store: Option<&Directory>, read: &mut Read) -> Result<String, Refusal> {
    let (size, width) = (read.checkpoint.size.get(), u64::from(TILE_WIDTH));
    let bundles = size.div_ceil(width);
    let begin = bundles.saturating_sub(BUNDLES);
    read.first = begin * width;
    let (served, mut compared) = (Tiles(source), 0);
    for bundle in begin..bundles {
        let bytes = read_bundle(source, bundle, read.checkpoint.size)?;
        let wide = u16::try_from((size - bundle * width).min(width)).unwrap_or(TILE_WIDTH);
        let path = TilePath::partial(TileKind::Hashes(0), bundle, wide)
            .map_err(|error| Refusal::new(Code::Internal, error, "Report this."))?;
        let stored = served.read(&path).or_else(|error| served.read(&path.to_full()).map_err(|_| error))?;
        let hashes = decode_hashes(&stored).unwrap_or_default();
        for (place, entry) in decode(source, bundle, &bytes)?.into_iter().take(wide.into()).enumerate() {
            if hashes.get(place) != Some(&leaf_hash(entry)) {
                let index = bundle * width + place as u64;
                return Err(Refusal::new(
                    Code::Inconsistent,
                    format_args!("Entry {index} and its hash in {path} do not fit."),
                    KEEP,
                ));
            }
            read.tail.push(entry.to_vec());
        }
        compared += u64::from(same_in_store(store, &path, &stored)?);
    }
    let mut indices: Vec<u64> =
        (begin..bundles).map(|bundle| bundle * width).chain(size.checked_sub(1)).collect();
    indices.extend(drawn(size));
    indices.sort_unstable();
    indices.dedup();
    proved::entries(source, &read.checkpoint, &indices, |_| Ok(()))?;
    let proved = plural(indices.len() as u64, "entry", "entries");
    let beside =
        if compared > 0 { format!(", and {compared} served tiles are the store's") } else { String::new() };
    Ok(format!("{proved} proved up to the signed root{beside}."))
}

/// Whether a full tile that was served is the file of the store; false where there is none to compare.
fn same_in_store(store: Option<&Directory>, path: &TilePath, served: &[u8]) -> Result<bool, Refusal> {
    let Some(store) = store.filter(|_| path.is_full()) else { return Ok(false) };
    let stored = store.read(&path.to_string(), crate::source::TILE_BYTES_MAX)?;
    if stored == served {
        return Ok(true);
    }
    Err(Refusal::new(
        Code::Inconsistent,
        format_args!("{path} is another file in the store than the one served."),
        KEEP,
    ))
}

/// Leaf indices anywhere in a log of `size` entries; none where the system gives no randomness.
fn drawn(size: u64) -> Vec<u64> {
    let mut random = [0_u8; 8 * DRAWN];
    if size == 0 || getrandom::fill(&mut random).is_err() {
        return Vec::new();
    }
    random.as_chunks().0.iter().map(|eight| u64::from_le_bytes(*eight) % size).collect()
}

/// Whether the newest head extends `earlier` ones, each with what to call it.
pub(super) fn consistent(findings: &mut Findings, source: &dyn Source, earlier: &[(String, Checkpoint)]) {
    let name = "log.consistent";
    let newest = source.checkpoint().map_err(Refusal::from).and_then(|note| {
        SignedCheckpoint::parse(&note).map_err(|error| Refusal::malformed(error, "Run the command again."))
    });
    let newest = match newest {
        Ok(newest) => newest.checkpoint().clone(),
        Err(refusal) => return findings.open(name, refusal.message, refusal.next),
    };
    for (called, before) in earlier {
        match extends(source, before, &newest) {
            Ok(()) => {}
            Err(refusal) if refusal.code == Code::Unavailable => {
                return findings.open(name, refusal.message, refusal.next);
            }
            Err(refusal) => {
                return findings.fail(
                    name,
                    format!("The log does not extend {called}: {}.", refusal.message),
                    KEEP,
                );
            }
        }
    }
    let heads = plural(earlier.len() as u64, "earlier head", "earlier heads");
    findings
        .ok(name, format!("The head of {} extends {heads}.", plural(newest.size.get(), "entry", "entries")));
}

fn extends(source: &dyn Source, before: &Checkpoint, newest: &Checkpoint) -> Result<(), Refusal> {
    let differs = |why: &str| Refusal::new(Code::Inconsistent, why, KEEP);
    if before.origin != newest.origin {
        return Err(differs("it is of another log"));
    }
    if before.size > newest.size {
        return Err(differs("it has fewer entries now, so it was set back"));
    }
    if before.size == newest.size || before.size.is_empty() {
        let same = before.size.is_empty() || before.root == newest.root;
        return if same { Ok(()) } else { Err(differs("two roots for one size")) };
    }
    let tiles = Tiles(source);
    let nodes = TileNodes::new(&tiles, newest.size);
    let proof = consistency::prove(&nodes, before.size, newest.size)
        .map_err(|error| Refusal::new(error.code(), chain(&error), "Run the command again."))?;
    consistency::verify(before.size, &before.root, newest.size, &newest.root, &proof)
        .map_err(|error| Refusal::new(error.code(), error, KEEP))
}
