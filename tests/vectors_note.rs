//! Signatures against vectors from outside, and the examples of the C2SP specifications.
//!
//! Danger: a signature that one implementation takes and another refuses lets two verifiers disagree about one receipt.
//! Expected: of the Ed25519 edge cases exactly those without small-order points, leftover low-order components or
//! non-canonical encodings verify; ML-DSA-44 gives the accumulated digests of keys and signatures.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "a test fails by panicking, reads the golden files and says what it skips"
)]

use std::path::PathBuf;

use ledgerstone::checkpoint::{LogVerifier, SignedCheckpoint};
use ledgerstone::encoding::{base64_decode, hex_decode, hex_encode};
use ledgerstone::hash::{Hash, empty_root};
use ledgerstone::merkle::{TreeSize, consistency};
use ledgerstone::note::{SignatureType, SignedNote, Signer, SigningKey, VerifierKey, VerifierKeyError};
use serde::Deserialize;
use shake::{ExtendableOutput, Shake128, Update, XofReader};

/// The folder of outside vectors, or a printed line that says what is left out without it.
fn vectors(below: &str, cases: &str) -> Option<PathBuf> {
    let ci = std::env::var_os("CI").is_some_and(|ci| ci == "true");
    match std::env::var_os("LEDGERSTONE_VECTORS").map(|dir| PathBuf::from(dir).join(below)) {
        Some(path) if path.exists() => Some(path),
        _ if ci => panic!("LEDGERSTONE_VECTORS has no {below}: under CI=true the vectors must be there"),
        _ => {
            println!("skipped: LEDGERSTONE_VECTORS has no {below}, which leaves out {cases} cases");
            None
        }
    }
}

#[derive(Deserialize)]
struct Ed25519Case {
    number: u32,
    key: String,
    sig: String,
    msg: String,
    flags: Option<Vec<String>>,
}

impl Ed25519Case {
    fn has(&self, flag: &str) -> bool {
        self.flags.iter().flatten().any(|one| one == flag)
    }

    /// What a strict, cofactorless verifier must say.
    ///
    /// A public key or R of small order makes a signature that holds for other messages too; a leftover low-order
    /// residue holds only in verifiers that multiply by the cofactor; a non-canonical encoding is a second spelling.
    /// Low-order components alone cancel out, so such a signature is valid everywhere.
    fn must_verify(&self) -> bool {
        let refused =
            ["low_order_A", "low_order_R", "low_order_residue", "non_canonical_A", "non_canonical_R"];
        !refused.iter().any(|flag| self.has(flag))
    }
}

#[test]
fn ed25519_refuses_every_edge_case_that_others_disagree_on() {
    let Some(path) = vectors("cctv/ed25519/ed25519vectors.json", "914") else { return };
    let cases: Vec<Ed25519Case> = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let (mut verified, mut weak_keys) = (0, 0);
    for case in &cases {
        let key = VerifierKey::new(
            "cctv.example".parse().unwrap(),
            SignatureType::Ed25519,
            &hex_decode(&case.key).unwrap(),
        );
        let accepted = match key {
            Ok(key) => key.verify_message(case.msg.as_bytes(), &hex_decode(&case.sig).unwrap()).is_ok(),
            Err(error) => {
                assert_eq!(error, VerifierKeyError::WeakKey, "case {}", case.number);
                weak_keys += 1;
                false
            }
        };
        assert_eq!(accepted, case.must_verify(), "case {} {:?}", case.number, case.flags);
        assert!(!case.has("reencoded_k") || !accepted, "case {}", case.number);
        verified += u32::from(accepted);
    }
    assert_eq!((cases.len(), verified), (914, 43), "the set changed: look at what is new");
    println!("{} cases: {verified} verified, {weak_keys} refused for their key", cases.len());
}

/// Keys and signatures over the empty message from seeds drawn from SHAKE128, hashed together.
fn accumulated(count: usize) -> String {
    let mut seeds = Shake128::default().finalize_xof();
    let mut sum = Shake128::default();
    for _ in 0..count {
        let mut seed = [0; 32];
        seeds.read(&mut seed);
        let name = "cctv.example".parse().unwrap();
        let key = SigningKey::from_seed(name, SignatureType::MlDsa44Cosignature, &seed).unwrap();
        let signature = key.sign_message(b"");
        assert_eq!(key.verifier_key().verify_message(b"", &signature), Ok(()));
        sum.update(key.verifier_key().public_key());
        sum.update(&signature);
    }
    let mut digest = [0; 32];
    sum.finalize_xof().read(&mut digest);
    hex_encode(&digest)
}

#[test]
fn ml_dsa_44_gives_the_accumulated_digest_of_a_hundred_and_of_ten_thousand() {
    let Some(path) = vectors("cctv/ML-DSA/accumulated/README.md", "10000") else { return };
    let readme = std::fs::read_to_string(path).unwrap();
    let section = readme.split("### ML-DSA-44").nth(1).unwrap().split("###").next().unwrap();
    let expected = |label: &str| {
        let line = section.lines().find(|line| line.starts_with(label)).unwrap();
        line.split('`').nth(1).unwrap().to_owned()
    };
    assert_eq!(accumulated(100), expected("- 100 iterations"));
    assert_eq!(accumulated(10_000), expected("- 10 000 iterations"));
}

#[test]
fn ml_dsa_44_signs_the_benchmark_messages_of_an_all_zero_seed() {
    let mut signed = 0;
    for file in ["ML-DSA-44.json", "ML-DSA-44.alt.json"] {
        let Some(path) = vectors(&format!("cctv/ML-DSA/benchmark/{file}"), "about 200") else { return };
        let messages: Vec<String> = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let name = "cctv.example".parse().unwrap();
        let key = SigningKey::from_seed(name, SignatureType::MlDsa44Cosignature, &[0; 32]).unwrap();
        for message in &messages {
            let signature = key.sign_message(message.as_bytes());
            assert_eq!(
                key.verifier_key().verify_message(message.as_bytes(), &signature),
                Ok(()),
                "{message}"
            );
            signed += 1;
        }
    }
    println!("{signed} messages signed and verified");
    assert!(signed > 200, "{signed}");
}

/// `signed-note.md`: a note, and the key that verifies it.
#[test]
fn the_signed_note_example_verifies_under_its_key() {
    let key: VerifierKey =
        "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k".parse().unwrap();
    let note = "This is an example message.\n\n\u{2014} example.com/foo \
        Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";
    assert_eq!(SignedNote::parse(note.as_bytes()).unwrap().verify(&key), Ok(()));
}

/// `signed-note.md`: a text with an empty line and letters beyond ASCII.
#[test]
fn the_signed_note_with_an_empty_line_parses() {
    let note = "Ognuno sta solo sul cuor della terra\ntrafitto da un raggio di sole:\n\ned è subito sera.\n\n\
        \u{2014} quasimodo.example/salvatore NnugSzTjtVAewIS+Z/iJhUPeFDkO/5QQ2i5ddnGITLlC+EhfLW9oJKONrMouFSQU0xMcXxj99ihAQwaqP3ZekRwNtIc=\n";
    let parsed = SignedNote::parse(note.as_bytes()).unwrap();
    assert_eq!(parsed.text().lines().count(), 4);
    assert_eq!(parsed.to_string(), note);
}

/// `tlog-cosignature.md`: a checkpoint with the log's signature and a witness's.
#[test]
fn the_cosigned_checkpoint_example_parses_into_its_parts() {
    let note = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n\
        \u{2014} example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n\
        \u{2014} witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n";
    let signed = SignedCheckpoint::parse(note.as_bytes()).unwrap();
    assert_eq!(signed.checkpoint().size.get(), 20_852_163);
    let [log, witness] = signed.note().signatures() else { panic!("two signatures") };
    assert_eq!((log.bytes().len(), witness.bytes().len()), (64, 8 + 64));
    let time = u64::from_be_bytes(witness.bytes()[..8].try_into().unwrap());
    assert_eq!(time, 1_679_315_147, "the time that the specification's message states");
}

/// What a witness remembers of one log, and the HTTP status it must answer an `add-checkpoint` request with.
struct Witness {
    log: LogVerifier,
    seen: (TreeSize, Hash),
}

impl Witness {
    fn status(&mut self, request: &str) -> u16 {
        let (head, note) = request.split_once("\n\n").unwrap();
        let mut lines = head.lines();
        let old = lines.next().unwrap().strip_prefix("old ").unwrap().parse().unwrap();
        let proof: Vec<Hash> =
            lines.map(|line| Hash::try_from(base64_decode(line).unwrap().as_slice()).unwrap()).collect();
        let Ok(checkpoint) = self.log.verify(note.as_bytes()) else { return 403 };
        let (size, root) = self.seen;
        if TreeSize::new(old) != size {
            return 409;
        }
        // Every tree extends the empty one, and no proof says so.
        let first = size.is_empty() && proof.is_empty();
        if !first && consistency::verify(size, &root, checkpoint.size, &checkpoint.root, &proof).is_err() {
            return 422;
        }
        self.seen = (checkpoint.size, checkpoint.root);
        200
    }
}

/// `witness/`: what another project's log signed, with the status that another project's witness must answer.
#[test]
fn another_project_s_checkpoints_get_the_verdicts_of_its_own_witness() {
    let Some(dir) = vectors("witness", "11") else { return };
    let public = hex_decode("ffdc2d4d98e4124d3feaf788c0c2f9abfd796083d1f0495437f302ec79cf100f").unwrap();
    // A sigsum log's origin is the hash of its key.
    let name = format!("sigsum.org/v1/tree/{}", Hash::of(&public)).parse().unwrap();
    let key = VerifierKey::new(name, SignatureType::Ed25519, &public).unwrap();
    let mut statuses = Vec::new();
    for file in ["litewitness.txt", "bastion.txt"] {
        let log = LogVerifier::new(vec![key.clone()]).unwrap();
        let mut witness = Witness { log, seen: (TreeSize::EMPTY, empty_root()) };
        let text = std::fs::read_to_string(dir.join(file)).unwrap();
        for request in text.split("add-checkpoint\n```\n").skip(1) {
            let (body, after) = request.split_once("```\nHTTP ").unwrap();
            let status = witness.status(body);
            assert_eq!(status.to_string(), after.lines().next().unwrap(), "{file}:\n{body}");
            statuses.push(status);
        }
    }
    println!("{} requests: {statuses:?}", statuses.len());
    assert!([200, 403, 409, 422].iter().all(|status| statuses.contains(status)), "{statuses:?}");
}
