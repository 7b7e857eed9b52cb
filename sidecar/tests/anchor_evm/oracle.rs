//! Captured proofs before a verifier that shares no code with ours: `tests/oracle/evm_bundle.py`, on the Ethereum Foundation's
//! Python libraries. Both must say the same of every bundle, changed or not.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use ledgerstone::anchor::evm::{Basis, BlockHeader, Bundle, CODE_HASH_HEX, Expected, Trust, verify};
use ledgerstone::anchor::statement::Statement;
use ledgerstone::encoding::hex_encode;
use ledgerstone::hash::Hash;

use crate::node::Anvil;
use crate::world::{ORIGIN, World};

/// The path of a Python with the packages; nothing where it cannot be had, and a failure under `CI=true`.
fn python() -> Option<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let made = Command::new(root.join("scripts/py-env"))
        .arg(root.join("tests/oracle/evm_requirements.txt"))
        .output()
        .unwrap();
    if made.status.success() {
        return Some(String::from_utf8(made.stdout).unwrap().trim().to_owned());
    }
    let why = String::from_utf8_lossy(&made.stderr).into_owned();
    assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "the Python packages are needed: {why}");
    println!("skipped because scripts/py-env failed: {why}");
    None
}

/// A captured anchor: the files of one statement, and the block under which it is shown.
struct Anchor {
    bytes: Vec<u8>,
    statement: Statement,
    bundle: Bundle,
    block: [u8; 32],
}

impl Anchor {
    fn read(world: &World, seq: u64) -> Self {
        let folder = world.statement(seq);
        let bytes = std::fs::read(folder.join("statement")).unwrap();
        let bundle = Bundle::decode(&std::fs::read(folder.join("proof.evm")).unwrap()).unwrap();
        let block = BlockHeader::decode(&bundle.headers[0]).unwrap().hash;
        Self { statement: Statement::decode(&bytes).unwrap(), bytes, bundle, block }
    }

    /// Whether our verifier finds the statement shown under the known block.
    fn is_shown(&self, proof: &[u8]) -> bool {
        let expected = Expected {
            origin: ORIGIN,
            seq: self.statement.seq,
            size: self.statement.to.size.get(),
            root: self.statement.to.root,
            previous: self.statement.previous,
            statement: Hash::of(&self.bytes),
        };
        let mut trust = Trust::new(31_337);
        trust.blocks = vec![self.block];
        let facts = Bundle::decode(proof).ok().and_then(|bundle| verify(&bundle, &expected, &trust).ok());
        facts.is_some_and(|facts| matches!(facts.basis, Basis::PinnedBlock { .. }))
    }

    /// A line for the oracle.
    fn line(&self, proof: &[u8]) -> String {
        let (statement, proof) = (hex_encode(&self.bytes), hex_encode(proof));
        format!("{statement} {proof} {} 31337 {}", CODE_HASH_HEX.trim_end(), hex_encode(&self.block))
    }
}

/// Every list of nodes or headers of a bundle, by the key under which it stands.
fn lists(bundle: &mut Bundle) -> Vec<(&'static str, &mut Vec<Vec<u8>>)> {
    let mut all = vec![
        ("headers", &mut bundle.headers),
        ("account", &mut bundle.account_proof),
        ("packed", &mut bundle.packed_proof),
        ("statement", &mut bundle.statement_proof),
    ];
    if let Some(receipt) = &mut bundle.receipt {
        all.push(("receipt's headers", &mut receipt.headers));
        all.push(("receipt", &mut receipt.proof));
    }
    all
}

/// Bundles with one thing changed, and what that is. `other` is a sound bundle of another statement.
fn changed(bundle: &Bundle, other: &Bundle) -> Vec<(String, Bundle)> {
    let mut all = Vec::new();
    let mut with = |what: String, change: &dyn Fn(&mut Bundle)| {
        let mut one = bundle.clone();
        change(&mut one);
        all.push((what, one));
    };
    with("another chain".to_owned(), &|one| one.chain_id += 1);
    with("another contract".to_owned(), &|one| one.contract[19] ^= 1);
    with("another key".to_owned(), &|one| one.first_key[0] ^= 0x80);
    with("no receipt".to_owned(), &|one| one.receipt = None);
    with("the receipt of another".to_owned(), &|one| one.receipt.clone_from(&other.receipt));
    with("storage swapped".to_owned(), &|one| {
        std::mem::swap(&mut one.packed_proof, &mut one.statement_proof);
    });
    with("another index".to_owned(), &|one| {
        one.receipt.iter_mut().for_each(|receipt| receipt.index += 1);
    });
    with("another's header behind".to_owned(), &|one| one.headers.extend(other.headers.clone()));
    let mut shape = bundle.clone();
    let lengths: Vec<Vec<usize>> =
        lists(&mut shape).iter().map(|(_, list)| list.iter().map(Vec::len).collect()).collect();
    for (place, items) in lengths.iter().enumerate() {
        with(format!("list {place} of another"), &|one| {
            let mut other = other.clone();
            if let Some((_, theirs)) = lists(&mut other).get(place) {
                lists(one)[place].1.clone_from(theirs);
            }
        });
        with(format!("list {place}, one item more"), &|one| lists(one)[place].1.push(vec![0xc0]));
        for (at, length) in items.iter().enumerate() {
            with(format!("list {place}, without {at}"), &|one| _ = lists(one)[place].1.remove(at));
            with(format!("list {place}, {at} twice"), &|one| {
                let list = &mut lists(one)[place].1;
                list.insert(at, list[at].clone());
            });
            if at > 0 {
                with(format!("list {place}, {at} first"), &|one| lists(one)[place].1[..=at].rotate_right(1));
            }
            for byte in [0, 1, 3, length / 2, length - 1] {
                with(format!("list {place}, item {at}, byte {byte}"), &|one| {
                    lists(one)[place].1[at][byte] ^= 1 << (byte % 8);
                });
            }
            with(format!("list {place}, item {at} lengthened"), &|one| lists(one)[place].1[at].push(0));
        }
    }
    all
}

/// The file with bytes changed, cut and put in, from a seed.
fn mangled(bytes: &[u8], count: usize) -> Vec<(String, Vec<u8>)> {
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    let mut below = |bound: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(seed >> 33).unwrap() % bound
    };
    // The first bytes hold the most structure: every one of them, and some of all others.
    let places: Vec<usize> = (0..120).chain((0..count).map(|_| below(bytes.len()))).collect();
    let mut all = Vec::new();
    for at in places {
        let mut one = bytes.to_vec();
        let what = match below(6) {
            0 => {
                one.insert(at, [0x00, 0x18, 0x58, 0x80, 0xa0, 0xff][below(6)]);
                "with a byte more"
            }
            1 => {
                one.remove(at);
                "with a byte less"
            }
            2 => {
                one.truncate(at);
                "cut"
            }
            _ => {
                one[at] ^= 1 << below(8);
                "with a bit changed"
            }
        };
        all.push((format!("{what} at {at}"), one));
    }
    all.push(("lengthened".to_owned(), [bytes, &[0]].concat()));
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verifier_without_our_code_says_the_same_of_every_captured_proof() {
    let Some(python) = python() else { return };
    let Some(anvil) = Anvil::start(2, &[]).await else { return };
    let world = World::new(&anvil).await;
    world.lane(&[anvil.url()], "");
    let app = world.start().await;
    world.proved(3).await;
    app.drain(Duration::from_secs(20)).await.unwrap();

    let anchors: Vec<Anchor> = (1..=3).map(|seq| Anchor::read(&world, seq)).collect();
    let mut cases: Vec<(&Anchor, String, Vec<u8>)> = Vec::new();
    for (anchor, other) in anchors.iter().zip(anchors.iter().cycle().skip(1)) {
        assert!(anchor.bundle.receipt.is_some());
        let sound = anchor.bundle.encode().unwrap();
        cases.push((anchor, "as it was captured".to_owned(), sound.clone()));
        cases.push((anchor, "another's".to_owned(), other.bundle.encode().unwrap()));
        for (what, one) in changed(&anchor.bundle, &other.bundle) {
            // A list that no bundle may have is not written.
            if let Ok(bytes) = one.encode() {
                cases.push((anchor, what, bytes));
            }
        }
        cases.extend(mangled(&sound, 300).into_iter().map(|(what, bytes)| (anchor, what, bytes)));
    }
    let lines: String = cases.iter().map(|(anchor, _, proof)| anchor.line(proof) + "\n").collect();
    let said = oracle(&python, lines);
    assert_eq!(said.len(), cases.len());
    for ((anchor, what, proof), said) in cases.iter().zip(&said) {
        let ours = if anchor.is_shown(proof) { "shown" } else { "refused" };
        assert_eq!(ours, said, "statement {}, {what}: {}", anchor.statement.seq, hex_encode(proof));
    }
    let mut shown = 0;
    for ((anchor, what, proof), _) in cases.iter().zip(&said).filter(|(_, said)| *said == "shown") {
        // As it was captured, or without its receipt: nothing else shows anything.
        let mut bundle = Bundle::decode(proof).unwrap();
        bundle.receipt = bundle.receipt.or_else(|| anchor.bundle.receipt.clone());
        assert_eq!(bundle, anchor.bundle, "{what}");
        shown += 1;
    }
    println!("{} bundles, {shown} of them shown", said.len());
    assert!(shown >= 2 * anchors.len() && said.len() > 1_000);
    keep(&anchors[1]);
}

/// What the oracle says to each line.
fn oracle(python: &str, lines: String) -> Vec<String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/oracle/evm_bundle.py");
    let mut child = Command::new(python)
        .arg(script)
        .arg("lines")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(lines.as_bytes()).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// With `LEDGERSTONE_CAPTURED` set to a folder, writes the files that `docs/verify-by-hand.md` uses there.
fn keep(anchor: &Anchor) {
    let Some(folder) = std::env::var_os("LEDGERSTONE_CAPTURED") else { return };
    let folder = Path::new(&folder);
    std::fs::write(folder.join("captured.statement"), &anchor.bytes).unwrap();
    std::fs::write(folder.join("captured.evm"), anchor.bundle.encode().unwrap()).unwrap();
    println!("known block: {}", hex_encode(&anchor.block));
}
