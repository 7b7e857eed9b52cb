//! Our proofs against the reference implementation in Python, and against a calendar that speaks the protocol.
//!
//! Danger: our files are read by nobody else, or two readers see two things in one file. Expected: the reference writes every
//! file of ours as we wrote it, and we every one of its; of mangled files both refuse the same; a statement stamped with two
//! calendars and upgraded after their blocks verifies here and there, and with no bit of proof or headers changed; the command
//! that the documentation names, `ots verify`, does what it says there.
//! The reference is `opentimestamps` and `opentimestamps-client` of PyPI, in an environment that `scripts/py-env` makes.

#![cfg(feature = "opentimestamps")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::disallowed_macros,
    reason = "a test fails by panicking, starts programs, opens sockets and says what it skips"
)]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use ledgerstone::anchor::bitcoin::{BitcoinTrust, Network, Pin};
use ledgerstone::anchor::opentimestamps::{
    Attestation, CalendarAnswer, DetachedTimestamp, HashOp, Op, Stamping, Timestamp, examine,
};
use ledgerstone::check::Status;
use ledgerstone::encoding::{base64_decode, hex_decode, hex_encode};
use ledgerstone::hash::Hash;
use serde_json::Value;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// A Python that has the reference; nothing where it cannot be had, and a failure under `CI=true`.
fn python() -> Option<String> {
    let made = Command::new(root().join("scripts/py-env"))
        .arg(root().join("tests/oracle/opentimestamps_requirements.txt"))
        .output();
    match made {
        Ok(made) if made.status.success() => Some(String::from_utf8(made.stdout).unwrap().trim().to_owned()),
        failed => {
            let ci = std::env::var_os("CI").is_some_and(|ci| ci == "true");
            assert!(!ci, "the opentimestamps package is needed: {failed:?}");
            println!(
                "skipped: the reference implementation of OpenTimestamps, because scripts/py-env failed"
            );
            None
        }
    }
}

/// What the reference answers to each line.
fn reference(python: &str, arguments: &[&str], lines: &[String]) -> Vec<String> {
    let mut child = Command::new(python)
        .arg(root().join("tests/oracle/opentimestamps_reference.py"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut stdin, text) = (child.stdin.take().unwrap(), lines.join("\n"));
    let writer = std::thread::spawn(move || stdin.write_all(text.as_bytes()).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// Numbers that follow from a seed.
struct Draw(u64);

impl Draw {
    fn below(&mut self, most: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % most
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| u8::try_from(self.below(256)).unwrap()).collect()
    }

    fn attestation(&mut self) -> Attestation {
        let height = [0, 127, 128, 358_391, u64::MAX][self.below(5)];
        let uri = ["", "https://a.example", "http://127.0.0.1:80/x_y"][self.below(3)];
        match self.below(4) {
            0 => Attestation::Pending(uri.parse().unwrap()),
            1 => Attestation::Bitcoin { height },
            2 => Attestation::Litecoin { height },
            _ => Attestation::Ethereum { height },
        }
    }

    fn operation(&mut self) -> Op {
        let length = [1, 2, 32, 127, 128, 900][self.below(6)];
        match self.below(8) {
            0 => Op::Hash(HashOp::Sha1),
            1 => Op::Hash(HashOp::Ripemd160),
            2 => Op::Hash(HashOp::Sha256),
            3 => Op::Hash(HashOp::Keccak256),
            4 => Op::Append(self.bytes(length)),
            5 => Op::Prepend(self.bytes(length)),
            6 => Op::Reverse,
            _ => Op::Hexlify,
        }
    }

    fn timestamp(&mut self, depth: usize) -> Timestamp {
        let mut node = Timestamp::attested(self.attestation());
        for _ in 0..self.below(3) {
            node.merge(&Timestamp::attested(self.attestation()));
        }
        for _ in 0..if depth == 0 { 0 } else { self.below(4) } {
            let operation = self.operation();
            node.merge(&Timestamp::after(operation, self.timestamp(depth - 1)));
        }
        node
    }
}

#[test]
fn the_reference_writes_our_proofs_as_we_wrote_them() {
    let Some(python) = python() else { return };
    let mut draw = Draw(7);
    let mut ours = Vec::new();
    while ours.len() < 300 {
        let (kind, length) = [(HashOp::Sha1, 20), (HashOp::Sha256, 32)][draw.below(2)];
        let (digest, timestamp) = (draw.bytes(length), draw.timestamp(5));
        // A tree whose messages grow past the limit is none.
        if let Ok(proof) = DetachedTimestamp::new(kind, &digest, timestamp) {
            ours.push(hex_encode(&proof.to_bytes()));
        }
    }
    assert_eq!(reference(&python, &["reserialise"], &ours), ours);
}

#[test]
fn we_write_the_references_proofs_as_it_wrote_them() {
    let Some(python) = python() else { return };
    let theirs = reference(&python, &["random", "11", "400"], &[]);
    assert_eq!(theirs.len(), 400);
    for line in &theirs {
        let proof = DetachedTimestamp::parse(&hex_decode(line).unwrap()).unwrap();
        assert_eq!(hex_encode(&proof.to_bytes()), *line);
    }
}

#[test]
fn every_operation_gives_the_message_that_the_reference_computes() {
    let Some(python) = python() else { return };
    let theirs = reference(&python, &["random", "23", "400"], &[]);
    let said = reference(&python, &["messages"], &theirs);
    assert_eq!(said.len(), theirs.len());
    let mut count = 0;
    for (line, said) in theirs.iter().zip(&said) {
        let proof = DetachedTimestamp::parse(&hex_decode(line).unwrap()).unwrap();
        let mut ours: Vec<String> = proof.attestations().iter().map(|one| hex_encode(&one.message)).collect();
        ours.sort_unstable();
        count += ours.len();
        assert_eq!(ours.join(" "), *said, "{line}");
    }
    assert!(count > 2_000, "{count} attestations");
}

#[test]
fn of_mangled_proofs_both_refuse_the_same() {
    let Some(python) = python() else { return };
    let theirs = reference(&python, &["random", "5", "400"], &[]);
    let small: Vec<Vec<u8>> =
        theirs.iter().map(|line| hex_decode(line).unwrap()).filter(|bytes| bytes.len() < 600).collect();
    let mut draw = Draw(3);
    let mut mangled = Vec::new();
    for _ in 0..6_000 {
        let mut bytes = small[draw.below(small.len())].clone();
        for _ in 0..=draw.below(3) {
            // Past magic and version, which other tests change.
            let at = 32 + draw.below(bytes.len() - 32);
            match draw.below(5) {
                0 => bytes[at] ^= 1 << draw.below(8),
                1 => bytes[at] = [0x00, 0xff, 0x08, 0x67, 0xf0, 0xf1, 0xf2, 0xf3, 0x80][draw.below(9)],
                2 => _ = bytes.remove(at),
                3 => bytes.insert(at, [0x00, 0xff, 0x02, 0x03, 0xf2, 0x80][draw.below(6)]),
                _ => bytes.truncate(at.max(40)),
            }
            if bytes.len() < 60 {
                break;
            }
        }
        mangled.push(bytes);
    }
    let lines: Vec<String> = mangled.iter().map(|bytes| hex_encode(bytes)).collect();
    let said = reference(&python, &["reserialise"], &lines);
    let (mut read, mut refused) = (0, 0);
    for (bytes, said) in mangled.iter().zip(&said) {
        let ours = DetachedTimestamp::parse(bytes).map(|proof| hex_encode(&proof.to_bytes()));
        let ours = ours.unwrap_or_else(|_| "refused".to_owned());
        assert_eq!(ours, *said, "{}", hex_encode(bytes));
        if ours == "refused" { refused += 1 } else { read += 1 }
    }
    assert_eq!(read + refused, said.len());
    assert!(
        read > 1_000 && refused > 1_000,
        "{read} read and {refused} refused: the mangling is too weak or too strong"
    );
}

/// A calendar of `tests/oracle/ots_calendar.py`; ends with the test.
struct Calendar {
    process: Child,
    url: String,
    pin: Pin,
    headers: PathBuf,
}

impl Calendar {
    fn start(python: &str, headers: &Path, height: u64) -> Self {
        let mut process = Command::new(python)
            .arg(root().join("tests/oracle/ots_calendar.py"))
            .args(["--headers", headers.to_str().unwrap(), "--height", &height.to_string()])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let said: Value = serde_json::from_str(&line).unwrap();
        let hash = said["pin"]["hash"].as_str().unwrap().parse().unwrap();
        let url = said["url"].as_str().unwrap().to_owned();
        Self { process, url, pin: Pin { height, hash }, headers: headers.to_owned() }
    }

    /// One request; the status and the body of the answer.
    fn ask(&self, method: &str, path: &str, body: &[u8]) -> (u16, Vec<u8>) {
        let mut stream = TcpStream::connect(self.url.strip_prefix("http://").unwrap()).unwrap();
        let head = format!("{method} /{path} HTTP/1.0\r\nContent-Length: {}\r\n\r\n", body.len());
        stream.write_all(&[head.as_bytes(), body].concat()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let end = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
        let status = std::str::from_utf8(&answer[9..12]).unwrap().parse().unwrap();
        (status, answer.split_off(end + 4))
    }

    fn stamp(&self, stamping: &Stamping) -> CalendarAnswer {
        let (status, body) = self.ask("POST", "digest", stamping.commitment().as_bytes());
        assert_eq!(status, 200);
        CalendarAnswer::parse(&body, stamping.commitment().as_bytes()).unwrap()
    }

    fn mine(&self, blocks: usize) -> u64 {
        let (status, body) = self.ask("POST", "mine", blocks.to_string().as_bytes());
        assert_eq!(status, 200);
        serde_json::from_slice::<Value>(&body).unwrap()["height"].as_u64().unwrap()
    }

    fn upgrade(&self, proof: &mut DetachedTimestamp) -> u16 {
        let requests = proof.upgrade_requests();
        let request = requests.iter().find(|one| one.calendar.as_str() == self.url).unwrap();
        let (status, body) = self.ask("GET", &request.path(), b"");
        if status == 200 {
            let answer = CalendarAnswer::parse(&body, &request.commitment).unwrap();
            assert_eq!(proof.upgrade(&answer), Ok(true));
        }
        status
    }

    fn headers(&self) -> Vec<u8> {
        fs::read(&self.headers).unwrap()
    }

    fn trust(&self) -> BitcoinTrust {
        BitcoinTrust { network: Network::Regtest, pins: vec![self.pin] }
    }
}

impl Drop for Calendar {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn statuses(statement: &Hash, proof: &[u8], headers: Option<&[u8]>, trust: &BitcoinTrust) -> [Status; 2] {
    let found = examine(statement, proof, headers, trust);
    let [path, work] = found.checks.as_slice() else { panic!("{found:?}") };
    assert_eq!(found.proved.is_some(), path.status == Status::Passed && work.status == Status::Passed);
    [path.status, work.status]
}

#[test]
fn a_statement_goes_from_two_calendars_to_a_block_and_needs_neither_afterwards() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let alice = Calendar::start(&python, &folder.path().join("alice"), 100);
    let bob = Calendar::start(&python, &folder.path().join("bob"), 2_000);
    let statement = Hash::of(b"statement");
    let stamping = Stamping::new(statement, [9; 16]);
    // Others stamp too, so that the path leads through a tree.
    for other in 0..5 {
        alice.stamp(&Stamping::new(Hash::of(&[other]), [other; 16]));
    }
    let mut proof = stamping.finish(&[alice.stamp(&stamping), bob.stamp(&stamping)]).unwrap();
    let waiting = statuses(&statement, &proof.to_bytes(), Some(&alice.headers()), &alice.trust());
    assert_eq!(waiting, [Status::NotChecked; 2]);
    assert_eq!((proof.upgrade_requests().len(), alice.upgrade(&mut proof)), (2, 404));

    let height = alice.mine(1);
    assert_eq!((height, alice.upgrade(&mut proof)), (101, 200));
    assert!(proof.is_complete());
    let at_bob = proof.upgrade_requests();
    assert_eq!(at_bob.iter().map(|one| one.calendar.as_str()).collect::<Vec<_>>(), [&bob.url]);
    let (bytes, headers) = (proof.to_bytes(), alice.headers());
    assert_eq!(statuses(&statement, &bytes, Some(&headers), &alice.trust()), [Status::Passed; 2]);
    assert_eq!(statuses(&statement, &bytes, None, &alice.trust()), [Status::NotChecked; 2]);
    let nobody = BitcoinTrust { pins: vec![], ..alice.trust() };
    assert_eq!(statuses(&statement, &bytes, Some(&headers), &nobody), [Status::Passed, Status::NotChecked]);
    assert_eq!(statuses(&Hash::of(b"another"), &bytes, Some(&headers), &alice.trust())[0], Status::Failed);
    let elsewhere = statuses(&statement, &bytes, Some(&bob.headers()), &bob.trust());
    assert_eq!(elsewhere, [Status::Failed, Status::NotChecked], "bob's chain has no such block");

    // The calendars end; what stays stands by itself, here and with the reference.
    let only = proof.only(height).unwrap();
    assert_eq!((only.upgrade_requests(), only.attestations().len()), (vec![], 1));
    let (bytes, trust) = (only.to_bytes(), alice.trust());
    drop((alice, bob));
    assert_eq!(reference(&python, &["reserialise"], &[hex_encode(&bytes)]), [hex_encode(&bytes)]);
    let line = format!("{} {}", hex_encode(&bytes), hex_encode(&headers[80..]));
    assert_eq!(reference(&python, &["verify"], &[line]), ["1700000600"]);
    assert_eq!(statuses(&statement, &bytes, Some(&headers), &trust), [Status::Passed; 2]);
    no_bit_can_change(&statement, &bytes, &headers, &trust);
}

/// What `ots` says to the arguments of a command, in a folder, with options before them; and whether it says success.
fn ots(python: &str, folder: &Path, options: &[&str], command: &str) -> (bool, String) {
    let arguments = command.strip_prefix("ots ").unwrap().split(' ');
    let output = Command::new(Path::new(python).with_file_name("ots"))
        .args(["--no-cache", "--no-default-whitelist"])
        .args(options)
        .args(arguments)
        .current_dir(folder)
        .env("TZ", "UTC")
        .output()
        .unwrap();
    (output.status.success(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn the_documented_command_verifies_our_proof_with_a_node_and_no_other_file_with_it() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let calendar = Calendar::start(&python, &folder.path().join("headers"), 100);
    let stamping = Stamping::new(Hash::of(b"what was stated"), [9; 16]);
    let mut proof = stamping.finish(&[calendar.stamp(&stamping)]).unwrap();
    let height = calendar.mine(3);
    assert_eq!(calendar.upgrade(&mut proof), 200);
    let proof = proof.only(height).unwrap().to_bytes();
    let write = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes).unwrap();
    let node = calendar.url.replace("http://", "http://user:word@");
    let options = ["--btc-regtest", "--bitcoin-node", &node];
    for (page, command) in [
        ("docs/verify-by-hand.md", "ots verify -f statement statement.ots"),
        ("docs/anchoring.md", "ots verify -f statement proof.ots"),
    ] {
        assert!(fs::read_to_string(root().join(page)).unwrap().contains(command), "{page}: {command}");
        let name = command.rsplit(' ').next().unwrap();
        write("statement", b"what was stated");
        write(name, &proof);
        let (holds, said) = ots(&python, folder.path(), &options, command);
        assert!(
            holds && said.contains("Success! Bitcoin block 101 attests existence as of 2023-11-14"),
            "{said}"
        );
        write("statement", b"what was not stated");
        let (holds, said) = ots(&python, folder.path(), &options, command);
        assert!(!holds && said.contains("File does not match original"), "{said}");
        // A proof that leads to another root than the block's: its first operation appends another nonce.
        write("statement", b"what was stated");
        let mut changed = proof.clone();
        let nonce = changed.windows(16).position(|window| window == [9; 16]).unwrap();
        changed[nonce] ^= 1;
        write(name, &changed);
        let (holds, said) = ots(&python, folder.path(), &options, command);
        assert!(!holds && said.contains("Bitcoin verification failed"), "{said}");
    }
}

/// The proof that `docs/verify-by-hand.md` shows: of the statement of the example receipt's anchor, to a block of a chain for
/// tests.
fn example() -> DetachedTimestamp {
    let receipt: Value =
        serde_json::from_slice(&fs::read(root().join("tests/golden/receipt-anchored.json")).unwrap())
            .unwrap();
    let statement = base64_decode(receipt["anchors"][0]["statement"].as_str().unwrap()).unwrap();
    let hashed = |timestamp| Timestamp::after(Op::Hash(HashOp::Sha256), timestamp);
    let root = Timestamp::attested(Attestation::Bitcoin { height: 101 });
    let beside = Hash::of(b"another transaction");
    let transaction = Timestamp::after(Op::Prepend(beside.as_bytes().to_vec()), hashed(hashed(root)));
    let nonced = Timestamp::after(Op::Append(vec![9; 16]), hashed(transaction));
    DetachedTimestamp::new(HashOp::Sha256, Hash::of(&statement).as_bytes(), nonced).unwrap()
}

#[test]
fn the_client_reads_the_page_s_proof_to_the_root_that_we_read() {
    let golden = root().join("tests/golden/statement.ots");
    if std::env::var_os("LEDGERSTONE_BLESS").is_some() {
        fs::write(&golden, example().to_bytes()).unwrap();
    }
    assert_eq!(fs::read(golden).unwrap(), example().to_bytes(), "run again with LEDGERSTONE_BLESS=1");
    let [block] = example().bitcoin_attestations().unwrap()[..] else { panic!("one block") };
    // `tests/verify_by_hand.rs` sees the client print it.
    let said = format!("check that Bitcoin block {} has merkleroot {}\n", block.height, block.merkle_root);
    let page = fs::read_to_string(root().join("docs/verify-by-hand.md")).unwrap();
    assert!(page.contains(&said), "{said}");
}

/// Whatever bit of the proof or of the headers changes, whatever is cut off: it is proved no more.
fn no_bit_can_change(statement: &Hash, proof: &[u8], headers: &[u8], trust: &BitcoinTrust) {
    let holds =
        |proof: &[u8], headers: &[u8]| examine(statement, proof, Some(headers), trust).proved.is_some();
    let changes = |bytes: &[u8]| {
        let bytes = bytes.to_vec();
        (0..bytes.len() * 8).map(move |bit| {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            (bit, changed)
        })
    };
    for (bit, changed) in changes(proof) {
        assert!(!holds(&changed, headers), "proof, byte {}, bit {}", bit / 8, bit % 8);
    }
    for (bit, changed) in changes(headers) {
        assert!(!holds(proof, &changed), "headers, byte {}, bit {}", bit / 8, bit % 8);
    }
    assert!((0..proof.len()).all(|length| !holds(&proof[..length], headers)));
    assert!((0..headers.len()).all(|length| !holds(proof, &headers[..length])));
}

#[test]
fn confirmations_and_a_later_pin_are_told() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let calendar = Calendar::start(&python, &folder.path().join("headers"), 0);
    let statement = Hash::of(b"statement");
    let stamping = Stamping::new(statement, [1; 16]);
    let mut proof = stamping.finish(&[calendar.stamp(&stamping)]).unwrap();
    let height = calendar.mine(6);
    assert_eq!((calendar.upgrade(&mut proof), height), (200, 1));
    let found = examine(&statement, &proof.to_bytes(), Some(&calendar.headers()), &calendar.trust());
    let proved = found.proved.unwrap();
    assert_eq!((proved.confirmations, proved.pin, proved.work.log2()), (6, calendar.pin, 18));
    assert!(
        found.checks[1]
            .detail
            .starts_with("block 1 is one block after the pinned one, with 5 blocks on top of it"),
        "{found:?}"
    );
    // Pinned at the last block instead, what lies before it follows from its hash.
    let headers = calendar.headers();
    let tip: [u8; 80] = headers[6 * 80..].try_into().unwrap();
    let pin = Pin { height: 6, hash: ledgerstone::anchor::bitcoin::BlockHash::of(&tip) };
    let trust = BitcoinTrust { network: Network::Regtest, pins: vec![pin] };
    assert_eq!(examine(&statement, &proof.to_bytes(), Some(&headers), &trust).proved.unwrap().pin, pin);
    let only = proof.only(height).unwrap();
    no_bit_can_change(
        &statement,
        &only.to_bytes(),
        &headers[80..],
        &BitcoinTrust { pins: vec![pin], ..trust },
    );
}

#[test]
fn the_calendar_refuses_what_is_no_question() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let calendar = Calendar::start(&python, &folder.path().join("headers"), 100);
    for (method, path, body, status) in [
        ("POST", "digest", vec![], 400),
        ("POST", "digest", vec![0; 65], 400),
        ("POST", "elsewhere", vec![0; 32], 400),
        ("GET", "timestamp/zz", vec![], 400),
        ("GET", "timestamp/00", vec![], 404),
        ("GET", "", vec![], 404),
    ] {
        assert_eq!(calendar.ask(method, path, &body).0, status, "{method} {path}");
    }
}
