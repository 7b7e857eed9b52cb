//! Policy files: the specification's example, the ways to break each rule, and quorums as truth tables.

use proptest::prelude::*;

use super::*;
use crate::checkpoint::{Checkpoint, LogKeys};
use crate::cosignature::{self, CosignedAt, TreeHead};
use crate::hash::Hash;
use crate::limits::{POLICY_BYTES_MAX, POLICY_ITEMS_MAX};
use crate::merkle::TreeSize;
use crate::note::{SignatureType, Signer, SigningKey};

fn log_keys() -> LogKeys {
    LogKeys::generate_from_seeds(&"example.com/log".parse().unwrap(), [1; 32], [2; 32]).unwrap()
}

fn witness_key(seed: u8) -> SigningKey {
    let signature_type = if seed.is_multiple_of(2) {
        SignatureType::Ed25519Cosignature
    } else {
        SignatureType::MlDsa44Cosignature
    };
    let name = format!("witness.example/{seed}").parse().unwrap();
    SigningKey::from_seed(name, signature_type, &[seed; 32]).unwrap()
}

fn vkey(seed: u8) -> String {
    witness_key(seed).verifier_key().to_string()
}

fn log_line() -> String {
    format!("log {}\n", log_keys().vkeys()[0])
}

/// The example of tlog-policy, its elided keys filled in.
fn example() -> String {
    let key = |seed| vkey(seed);
    format!(
        "{}\nwitness X1 {}\nwitness X2 {}\nwitness X3 {}\ngroup X-witnesses 2 X1 X2 X3\n\n\
         witness Y1 {}\nwitness Y2 {}\nwitness Y3 {}\ngroup Y-witnesses any Y1 Y2 Y3\n\n\
         group X-and-Y all X-witnesses Y-witnesses\nquorum X-and-Y\n",
        log_line(),
        key(10),
        key(11),
        key(12),
        key(13),
        key(14),
        key(15)
    )
}

fn fault(text: &str) -> LineFault {
    match Policy::parse(text.as_bytes()) {
        Err(PolicyError::Line { fault, .. }) => fault,
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn the_specification_s_example_asks_for_two_of_x_and_one_of_y() {
    let policy = Policy::parse(example().as_bytes()).unwrap();
    assert_eq!((policy.logs().len(), policy.witnesses().len(), policy.groups().len()), (1, 6, 3));
    assert!(policy.asks_for_witnesses());
    for set in 0_u8..64 {
        let witnessed: Vec<bool> = (0..6).map(|bit| set >> bit & 1 == 1).collect();
        let (x, y) = witnessed.split_at(3);
        let count = |part: &[bool]| part.iter().filter(|one| **one).count();
        assert_eq!(policy.quorum_met(&witnessed), count(x) >= 2 && count(y) >= 1, "{witnessed:?}");
    }
}

#[test]
fn thresholds_hold_for_every_set_of_witnesses() {
    let witnesses: String = (0..4).map(|at| format!("witness w{at} {}\n", vkey(20 + at))).collect();
    for (threshold, needed) in [("any", 1), ("1", 1), ("2", 2), ("3", 3), ("4", 4), ("all", 4)] {
        let text = format!("{witnesses}group g {threshold} w0 w1 w2 w3\nquorum g\n");
        let policy = Policy::parse(text.as_bytes()).unwrap();
        for set in 0_u32..16 {
            let witnessed: Vec<bool> = (0..4).map(|bit| set >> bit & 1 == 1).collect();
            assert_eq!(policy.quorum_met(&witnessed), set.count_ones() >= needed, "{threshold} {set:b}");
        }
    }
    let single = Policy::parse(format!("{witnesses}quorum w2\n").as_bytes()).unwrap();
    assert!(single.quorum_met(&[false, false, true, false]));
    assert!(!single.quorum_met(&[true, true, false, true]));
    let none = Policy::parse(format!("{witnesses}quorum none\n").as_bytes()).unwrap();
    assert!(none.quorum_met(&[false; 4]) && !none.asks_for_witnesses());
}

#[test]
fn comments_blank_lines_tabs_and_urls_are_read() {
    let (log, w) = (log_line(), vkey(20));
    let text = format!(
        "# a comment\n \t# another\n\n \t \n\t{} https://log.example/ \nwitness \t w {w}\thttps://w.example\t\nquorum w",
        log.trim_end()
    );
    let policy = Policy::parse(format!("{text}\n").as_bytes()).unwrap();
    assert_eq!(policy.logs()[0].url().unwrap().to_string(), "https://log.example/");
    assert_eq!(policy.witnesses()[0].url().unwrap().to_string(), "https://w.example");
    assert_eq!(policy.witnesses()[0].name().to_string(), "w");
    assert_eq!(Policy::parse(text.as_bytes()), Err(PolicyError::NoFinalNewline));
    assert_eq!(Policy::parse(&policy.to_bytes()).as_ref(), Ok(&policy));
}

#[test]
fn names_are_bytes_not_letters() {
    let mut text = format!("witness K {}\nwitness ", vkey(20)).into_bytes();
    text.extend(b"\xe2\x84\xaa \x20");
    text.extend(vkey(21).bytes());
    text.extend(b"\nwitness \xff\xfe ");
    text.extend(vkey(22).bytes());
    text.extend(b"\ngroup G all K \xe2\x84\xaa \xff\xfe\nquorum G\n");
    let policy = Policy::parse(&text).unwrap();
    assert_eq!(policy.witnesses()[2].name().as_bytes(), b"\xff\xfe");
    assert_eq!(Policy::parse(&policy.to_bytes()), Ok(policy));
}

#[test]
fn refuses_lines_that_break_a_rule() {
    let (log, w, x) = (log_line(), vkey(20), vkey(21));
    let log = log.trim_end();
    let log_key = log_keys().vkeys()[0].to_string();
    let two = format!("witness w {w}\nwitness x {x}\n");
    let cases = [
        ("logs x\n".to_owned(), LineFault::Keyword),
        ("Log x\n".to_owned(), LineFault::Keyword),
        ("log\n".to_owned(), LineFault::Words),
        (format!("{log} url more\n"), LineFault::Words),
        ("witness w\n".to_owned(), LineFault::Words),
        (format!("witness w {w} url # comment\n"), LineFault::Words),
        ("quorum\n".to_owned(), LineFault::Words),
        (format!("{two}quorum w x\n"), LineFault::Words),
        (format!("{two}group g\n"), LineFault::Words),
        (format!("{two}group g any\n"), LineFault::Words),
        (format!("{log}\n{log}\n"), LineFault::DuplicateKey),
        (format!("witness w {w}\nwitness x {w}\n"), LineFault::DuplicateKey),
        (format!("witness w {log_key}\n"), LineFault::KeyRole),
        (format!("log {w}\n"), LineFault::KeyRole),
        (format!("witness w {w}\nwitness w {x}\n"), LineFault::DuplicateName),
        (format!("{two}group w any x\n"), LineFault::DuplicateName),
        (format!("{two}group g any w\ngroup g any x\n"), LineFault::DuplicateName),
        (format!("witness none {w}\n"), LineFault::ReservedName),
        (format!("{two}group none any w\n"), LineFault::ReservedName),
        (format!("{two}group g any w none\n"), LineFault::ReservedName),
        (format!("{two}group g any w y\n"), LineFault::UnknownName),
        (format!("{two}group g any g\n"), LineFault::UnknownName),
        (format!("{two}quorum y\n"), LineFault::UnknownName),
        (format!("quorum w\n{two}"), LineFault::UnknownName),
        (format!("{two}group g any w w\n"), LineFault::MemberTwice),
        (format!("{two}group g any w\ngroup h any w x\n"), LineFault::MemberTwice),
        (format!("{two}group g 0 w x\n"), LineFault::Threshold),
        (format!("{two}group g 3 w x\n"), LineFault::Threshold),
        (format!("{two}group g 01 w x\n"), LineFault::Threshold),
        (format!("{two}group g +1 w x\n"), LineFault::Threshold),
        (format!("{two}group g ALL w x\n"), LineFault::Threshold),
        (format!("{two}group g 99999999999999999999 w x\n"), LineFault::Threshold),
        (format!("{two}quorum w\nquorum w\n"), LineFault::SecondQuorum),
        ("quorum none\nquorum none\n".to_owned(), LineFault::SecondQuorum),
    ];
    for (text, expected) in cases {
        assert_eq!(fault(&text), expected, "{text}");
    }
    assert!(matches!(fault("log x\n"), LineFault::Key(_)));
    assert!(matches!(
        fault(&format!("witness w {}\n", w.replace("witness.", "witless."))),
        LineFault::Key(_)
    ));
}

#[test]
fn one_key_under_two_names_or_types_is_a_duplicate() {
    let key =
        SigningKey::from_seed("a".parse().unwrap(), SignatureType::MlDsa44Cosignature, &[3; 32]).unwrap();
    let renamed = VerifierKey::new(
        "b".parse().unwrap(),
        SignatureType::MlDsa44Cosignature,
        key.verifier_key().public_key(),
    );
    let text = format!("witness a {}\nwitness b {}\n", key.verifier_key(), renamed.unwrap());
    assert_eq!(fault(&text), LineFault::DuplicateKey);
}

#[test]
fn refuses_files_that_are_not_policies() {
    let log = log_line();
    assert_eq!(Policy::parse(b""), Err(PolicyError::NoQuorum));
    assert_eq!(Policy::parse(b"\n"), Err(PolicyError::NoQuorum));
    assert_eq!(Policy::parse(log.as_bytes()), Err(PolicyError::NoQuorum));
    for byte in [0, b'\r', 0x0b, 0x1f, 0x7f] {
        let text = [b"quorum none", &[byte][..], b"\n"].concat();
        assert_eq!(Policy::parse(&text), Err(PolicyError::ControlCharacter { at: 11 }), "{byte:#x}");
    }
    let long = vec![b'#'; POLICY_BYTES_MAX + 1];
    assert_eq!(Policy::parse(&long).unwrap_err().code(), Code::Limit);
    assert_eq!(Policy::for_log(&[]), Err(PolicyError::NoLog));
}

#[test]
fn takes_as_many_of_each_as_the_limit_says() {
    let key = |seed: usize| {
        let seed = u8::try_from(seed).unwrap();
        let name = "w".parse().unwrap();
        let key = SigningKey::from_seed(name, SignatureType::Ed25519Cosignature, &[seed; 32]).unwrap();
        key.verifier_key().to_string()
    };
    let witnesses = |count| (0..count).map(|at| format!("witness w{at} {}\n", key(at))).collect::<String>();
    assert!(Policy::parse(format!("{}quorum none\n", witnesses(POLICY_ITEMS_MAX)).as_bytes()).is_ok());
    assert_eq!(fault(&witnesses(POLICY_ITEMS_MAX + 1)), LineFault::TooMany);
    let groups: String = (0..=POLICY_ITEMS_MAX)
        .map(|at| {
            format!("group g{at} any {}\n", if at == 0 { "w0".to_owned() } else { format!("g{}", at - 1) })
        })
        .collect();
    assert_eq!(fault(&format!("{}{groups}", witnesses(1))), LineFault::TooMany);
}

#[test]
fn our_own_policy_names_both_keys_and_asks_for_no_witness() {
    let policy = Policy::for_log(&log_keys().vkeys()).unwrap();
    let [ed25519, ml_dsa] = log_keys().vkeys();
    assert_eq!(policy.to_string(), format!("log {ed25519}\nlog {ml_dsa}\nquorum none\n"));
    assert_eq!(Policy::parse(&policy.to_bytes()), Ok(policy));
}

/// A checkpoint of the log with cosignatures by the witnesses of these seeds.
fn cosigned(seeds: &[u8]) -> String {
    let checkpoint: Checkpoint = log_keys().checkpoint(TreeSize::new(5), Hash::of(b"root"));
    let mut note = log_keys().sign(&checkpoint);
    let text = checkpoint.to_string();
    let head =
        TreeHead { text: &text, origin: &checkpoint.origin, size: checkpoint.size, root: &checkpoint.root };
    for seed in seeds {
        let Ok(line) = cosignature::sign(
            &witness_key(*seed),
            CosignedAt::new(1_700_000_000 + u64::from(*seed)).unwrap(),
            &head,
        );
        note.push_str(&format!("{line}\n"));
    }
    note
}

#[test]
fn cosignatures_meet_the_quorum_and_their_times_are_handed_back() {
    let policy = Policy::parse(example().as_bytes()).unwrap();
    let evidence = policy.check(cosigned(&[10, 12, 13]).as_bytes()).unwrap();
    assert_eq!(evidence.checkpoint.size, TreeSize::new(5));
    let cosigners: Vec<(String, u64)> =
        evidence.cosigners.iter().map(|one| (one.name.to_string(), one.at.get())).collect();
    assert_eq!(
        cosigners,
        [
            ("X1".to_owned(), 1_700_000_010),
            ("X3".to_owned(), 1_700_000_012),
            ("Y1".to_owned(), 1_700_000_013)
        ]
    );
    for seeds in [&[][..], &[10, 12], &[13, 14, 15], &[10, 13]] {
        let violation = policy.check(cosigned(seeds).as_bytes()).unwrap_err();
        assert!(matches!(&violation, PolicyViolation::Quorum { cosigned } if cosigned.len() == seeds.len()));
        assert_eq!(violation.code(), Code::Untrusted);
    }
}

#[test]
fn a_wrong_cosignature_spoils_a_quorum_that_could_do_without() {
    let policy = Policy::parse(example().as_bytes()).unwrap();
    let note = cosigned(&[10, 11, 12, 13]);
    let spoiled = note.lines().map(|line| match line.strip_prefix("\u{2014} witness.example/12 ") {
        Some(blob) => {
            let mut bytes = crate::encoding::base64_decode(blob).unwrap();
            *bytes.last_mut().unwrap() ^= 1;
            format!("\u{2014} witness.example/12 {}\n", crate::encoding::base64_encode(&bytes))
        }
        None => format!("{line}\n"),
    });
    let violation = policy.check(spoiled.collect::<String>().as_bytes()).unwrap_err();
    assert!(
        matches!(&violation, PolicyViolation::Cosignature { witness, .. } if witness.as_bytes() == b"X3"),
        "{violation}"
    );
}

#[test]
fn every_listed_key_of_the_log_must_have_signed() {
    let policy = Policy::for_log(&log_keys().vkeys()).unwrap();
    let note = cosigned(&[]);
    assert_eq!(policy.check(note.as_bytes()).unwrap().log_keys, log_keys().vkeys());
    for dropped in [4, 5] {
        let mut lines: Vec<&str> = note.lines().collect();
        lines.remove(dropped);
        let violation = policy.check((lines.join("\n") + "\n").as_bytes()).unwrap_err();
        assert!(matches!(violation, PolicyViolation::LogSignature { .. }), "{violation}");
    }
    let other = LogKeys::generate_from_seeds(&"other".parse().unwrap(), [5; 32], [6; 32]).unwrap();
    let other = Policy::for_log(&other.vkeys()).unwrap();
    assert!(matches!(other.check(note.as_bytes()), Err(PolicyViolation::UnknownLog { .. })));
}

#[test]
fn a_policy_without_logs_believes_no_checkpoint() {
    let policy = Policy::parse(b"quorum none\n").unwrap();
    assert!(matches!(policy.check(cosigned(&[]).as_bytes()), Err(PolicyViolation::UnknownLog { .. })));
}

proptest! {
    #[test]
    fn no_bytes_make_the_policy_parser_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = Policy::parse(&bytes);
    }

    #[test]
    fn whatever_parses_survives_being_written(
        lines in proptest::collection::vec(
            prop_oneof![
                Just(format!("witness a {}", vkey(20))),
                Just(format!("witness b {} u", vkey(21))),
                "group [ab][cd] (all|any|[0-3])( [abcd]{1,2}){0,3}",
                "quorum (a|b|ac|none)",
                "#.{0,5}",
            ],
            0..8,
        ),
    ) {
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        if let Ok(policy) = Policy::parse(text.as_bytes()) {
            prop_assert_eq!(Policy::parse(&policy.to_bytes()), Ok(policy));
        }
    }
}
