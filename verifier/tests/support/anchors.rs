//! Anchors for the small log: a timestamp authority with fixed keys, a Bitcoin test chain mined here, an EVM chain of one
//! block for each statement. Every proof is a real one of its kind; only who vouches for it is made up.

use std::fs;
use std::path::Path;

use ledgerstone::anchor::bitcoin::{BlockHeader, Network};
use ledgerstone::anchor::evm::{Bundle, LogId, code_hash, keccak256};
use ledgerstone::anchor::opentimestamps::{Attestation, DetachedTimestamp, HashOp, Op, Timestamp};
use ledgerstone::anchor::rfc3161::authority::Authority;
use ledgerstone::anchor::rfc3161::{Imprint, Request};
use ledgerstone::anchor::statement::{Head, LaneName, NO_STATEMENT, Statement};
use ledgerstone::checkpoint::SignedCheckpoint;
use ledgerstone::encoding::{base64_encode, hex_encode};
use ledgerstone::hash::Hash;
use ledgerstone::merkle::{TreeSize, consistency};
use ledgerstone::store::fs::FsReader;
use ledgerstone::tile::TileNodes;
use ledgerstone::time::UnixMillis;

use crate::ethereum::{Trie, account, header, list, packed};

/// The lanes that [`write`] makes.
pub(crate) const LANES: [(&str, &str); 3] =
    [("bitcoin", "bitcoin"), ("chain", "ethereum"), ("stamps", "rfc3161")];

const CHAIN_ID: u64 = 31_337;
const CONTRACT: [u8; 20] = [0xc0; 20];
const FIRST_KEY: [u8; 20] = [0xa1; 20];

/// When the authority stamped the first statement: 2026-11-18T12:00:00Z.
const STAMPED_MS: u64 = 1_795_003_200_000;

/// What an auditor must know to check the anchors.
#[derive(Default)]
pub(crate) struct Known {
    /// Of each block that holds a statement, its height and hash.
    pins: Vec<(u64, String)>,
    /// Of each block that shows a statement, its hash.
    blocks: Vec<String>,
}

/// The timestamp authority.
pub(crate) fn authority() -> Authority {
    let (from, to) = (UnixMillis::new(1_790_000_000_000), UnixMillis::new(1_990_000_000_000));
    Authority::create(&[0x5a; 32], "Example authority", from, to).expect("an authority")
}

impl Known {
    /// The trust file of an auditor who relies on all of it and asks for `quorum`.
    pub(crate) fn trust(&self, quorum: &str) -> String {
        let pins: Vec<_> = self
            .pins
            .iter()
            .map(|(height, hash)| format!("{{ height = {height}, hash = \"{hash}\" }}"))
            .collect();
        let blocks: Vec<_> = self.blocks.iter().map(|hash| format!("\"0x{hash}\"")).collect();
        format!(
            "format = \"ledgerstone-anchor-trust/v1\"\nquorum = \"{quorum}\"\n\n[bitcoin]\nnetwork = \"regtest\"\nblocks = \
             [{}]\n\n[[ethereum]]\nchain_id = {CHAIN_ID}\ncontract = \"0x{}\"\nfirst_key = \"0x{}\"\nblocks = [{}]\n\n\
             [rfc3161]\nroots = [\"\"\"\n{}\"\"\"]\n",
            pins.join(", "),
            hex_encode(&CONTRACT),
            hex_encode(&FIRST_KEY),
            blocks.join(", "),
            authority().root_pem(),
        )
    }
}

/// Writes a lane of each kind beside the log in `store`, with a statement for each of `notes`, the log's checkpoints in their
/// order.
pub(crate) fn write(store: &Path, notes: &[&str]) -> Known {
    let mut known = Known::default();
    for (lane, kind) in LANES {
        let folder = store.join("anchors").join(lane);
        fs::create_dir_all(&folder).expect("a folder");
        let about = format!("{{\"format\":\"ledgerstone-anchor-lane/v1\",\"kind\":\"{kind}\"}}\n");
        fs::write(folder.join("lane"), about).expect("a description");
        let (mut from, mut previous) = (Head::empty(), NO_STATEMENT);
        for (seq, note) in (1..).zip(notes) {
            let statement = statement(lane, seq, (from, previous), note);
            let files = folder.join(format!("{seq:08}"));
            fs::create_dir(&files).expect("a folder");
            let bytes = statement.encode().expect("a statement");
            fs::write(files.join("statement"), &bytes).expect("a file");
            fs::write(files.join("checkpoint"), note).expect("a file");
            fs::write(files.join("consistency"), growth(store, from.size, statement.to.size))
                .expect("a file");
            for (name, proof) in proofs(kind, &statement, &bytes, &mut known) {
                fs::write(files.join(name), proof).expect("a proof");
            }
            (from, previous) = (statement.to, Hash::of(&bytes));
        }
    }
    known
}

fn statement(lane: &str, seq: u64, (from, previous): (Head, Hash), note: &str) -> Statement {
    let signed = SignedCheckpoint::parse(note.as_bytes()).expect("a checkpoint");
    let checkpoint = signed.checkpoint();
    Statement {
        origin: checkpoint.origin.clone(),
        lane: LaneName::parse(lane).expect("a lane"),
        seq,
        from,
        to: Head { size: checkpoint.size, root: checkpoint.root },
        previous,
        checkpoint: Hash::of(note.as_bytes()),
    }
}

/// The consistency proof between two sizes, as its file has it.
fn growth(store: &Path, from: TreeSize, to: TreeSize) -> String {
    if from.is_empty() {
        return String::new();
    }
    let reader = FsReader::open(store);
    let nodes = TileNodes::new(&reader, reader.size().expect("a published size"));
    let proof = consistency::prove(&nodes, from, to).expect("a proof");
    proof.iter().map(|hash| base64_encode(hash.as_bytes()) + "\n").collect()
}

fn proofs(
    kind: &str,
    statement: &Statement,
    bytes: &[u8],
    known: &mut Known,
) -> Vec<(&'static str, Vec<u8>)> {
    match kind {
        "rfc3161" => vec![("proof.tsr", stamped(bytes, statement.seq))],
        "bitcoin" => {
            let (proof, headers) = attested(bytes, statement.seq, known);
            vec![("proof.ots", proof), ("headers", headers)]
        }
        _ => vec![("proof.evm", stored(statement, bytes, known))],
    }
}

/// The authority's reply for a statement, an hour after the one before.
pub(crate) fn stamped(statement: &[u8], seq: u64) -> Vec<u8> {
    let request = Request::new(Imprint::of(statement), seq).encode();
    authority().answer(&request, UnixMillis::new(STAMPED_MS + 3_600_000 * seq), seq)
}

/// A proof that leads to a block of a test chain, and the headers from the pinned block to that one.
fn attested(statement: &[u8], seq: u64, known: &mut Known) -> (Vec<u8>, Vec<u8>) {
    let height = 1000 + 10 * seq;
    let aside = Hash::of(&seq.to_be_bytes());
    let joined = [Hash::of(statement).as_bytes().as_slice(), aside.as_bytes()].concat();
    let root = *Hash::of(&joined).as_bytes();
    let attested =
        Timestamp::after(Op::Hash(HashOp::Sha256), Timestamp::attested(Attestation::Bitcoin { height }));
    let timestamp = Timestamp::after(Op::Append(aside.as_bytes().to_vec()), attested);
    let digest = Hash::of(statement);
    let proof =
        DetachedTimestamp::new(HashOp::Sha256, digest.as_bytes(), timestamp).expect("a proof").to_bytes();
    let time = 1_795_010_000 + 600 * u32::try_from(height - 1000).expect("a small height");
    let before = mined(&[0x11; 32], &[0x22; 32], time - 600);
    let block = mined(BlockHeader::from_bytes(before).hash().header_order(), &root, time);
    // The last header of a segment has none after it that names it, and a test chain's work is next to nothing: pin that one.
    known.pins.push((height, BlockHeader::from_bytes(block).hash().to_string()));
    (proof, [before, block].concat())
}

/// A header of the test chain with enough work, which is little.
fn mined(previous: &[u8; 32], root: &[u8; 32], time: u32) -> [u8; 80] {
    let mut header = [0; 80];
    header[..4].copy_from_slice(&0x2000_0000_u32.to_le_bytes());
    header[4..36].copy_from_slice(previous);
    header[36..68].copy_from_slice(root);
    header[68..72].copy_from_slice(&time.to_le_bytes());
    header[72..76].copy_from_slice(&Network::Regtest.easiest_bits().to_le_bytes());
    for nonce in 0_u32.. {
        header[76..].copy_from_slice(&nonce.to_le_bytes());
        if BlockHeader::from_bytes(header).shows_work(Network::Regtest).expect("a target") {
            break;
        }
    }
    header
}

/// A block whose state has the contract with the statement as the log's latest.
fn stored(statement: &Statement, bytes: &[u8], known: &mut Known) -> Vec<u8> {
    let rlp = |word: &[u8]| {
        let mut value = Vec::new();
        let start = word.iter().take_while(|byte| **byte == 0).count();
        ledgerstone::anchor::evm::rlp::write_bytes(&mut value, &word[start..]);
        value
    };
    let [packed_slot, statement_slot, _] = LogId::new(&FIRST_KEY, statement.origin.as_str()).slots();
    let seq = u32::try_from(statement.seq).expect("a small number");
    let storage = Trie::new([
        (keccak256(&packed_slot).to_vec(), rlp(&packed(seq, statement.to.size.get(), &FIRST_KEY))),
        (keccak256(&statement_slot).to_vec(), rlp(Hash::of(bytes).as_bytes())),
        (keccak256(b"another").to_vec(), rlp(&[7; 32])),
    ]);
    let state = Trie::new([
        (keccak256(&CONTRACT).to_vec(), account(&storage.root(), &code_hash())),
        (keccak256(b"somebody").to_vec(), account(&[9; 32], &[8; 32])),
    ]);
    let block = header(1000 + statement.seq, &[1; 32], &state.root(), &keccak256(&list(&[])));
    known.blocks.push(hex_encode(&keccak256(&block)));
    let bundle = Bundle {
        chain_id: CHAIN_ID,
        contract: CONTRACT,
        first_key: FIRST_KEY,
        headers: vec![block],
        account_proof: state.proof(&keccak256(&CONTRACT)),
        packed_proof: storage.proof(&keccak256(&packed_slot)),
        statement_proof: storage.proof(&keccak256(&statement_slot)),
        receipt: None,
        beacon: None,
    };
    bundle.encode().expect("a bundle")
}
