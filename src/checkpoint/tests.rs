//! Checkpoints and the two keys of a log.

use proptest::prelude::*;

use super::*;
use crate::note::{SignatureType, SignedNote, SigningKey};

/// The example of tlog-checkpoint; its key is the public one of Go's documentation and not known here.
const EXAMPLE: &str = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";
const EXAMPLE_SIGNATURE: &str = "\u{2014} example.com/behind-the-sofa \
Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n";

fn keys() -> LogKeys {
    LogKeys::generate_from_seeds(&"example.com/lending".parse().unwrap(), [1; 32], [2; 32]).unwrap()
}

fn checkpoint(size: u64) -> Checkpoint {
    keys().checkpoint(TreeSize::new(size), Hash::of(&size.to_be_bytes()))
}

#[test]
fn the_specification_s_example_parses_and_prints_as_it_was() {
    let note = format!("{EXAMPLE}\n{EXAMPLE_SIGNATURE}");
    let signed = SignedCheckpoint::parse(note.as_bytes()).unwrap();
    let checkpoint = signed.checkpoint();
    assert_eq!(checkpoint.origin.as_str(), "example.com/behind-the-sofa");
    assert_eq!(checkpoint.size, TreeSize::new(20_852_163));
    assert_eq!(checkpoint.to_string(), EXAMPLE);
    assert_eq!(signed.note().to_string(), note);
}

#[test]
fn refuses_what_is_not_a_checkpoint() {
    let [origin, size, root] = ["example.com/log", "5", "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I="];
    assert!(Checkpoint::parse(&format!("{origin}\n{size}\n{root}\n")).is_ok());
    let cases = [
        (String::new(), CheckpointError::Lines),
        (format!("{origin}\n{size}\n"), CheckpointError::Lines),
        (format!("{origin}\n{size}\n{root}"), CheckpointError::Lines),
        (format!("{origin}\n{size}\n{root}\nextension\n"), CheckpointError::ExtensionLine),
        (format!("{origin}\n{size}\n{root}\n\n"), CheckpointError::ExtensionLine),
        (format!("{origin}\n05\n{root}\n"), CheckpointError::Size),
        (format!("{origin}\n+5\n{root}\n"), CheckpointError::Size),
        (format!("{origin}\n-5\n{root}\n"), CheckpointError::Size),
        (format!("{origin}\n 5\n{root}\n"), CheckpointError::Size),
        (format!("{origin}\n5 \n{root}\n"), CheckpointError::Size),
        (format!("{origin}\n5.0\n{root}\n"), CheckpointError::Size),
        (format!("{origin}\n٥\n{root}\n"), CheckpointError::Size),
        (format!("{origin}\n\n{root}\n"), CheckpointError::Size),
        (format!("{origin}\n9223372036854775808\n{root}\n"), CheckpointError::Size),
        (format!("{origin}\n18446744073709551616\n{root}\n"), CheckpointError::Size),
        (format!("{origin}\n{size}\n{}\n", &root[..43]), CheckpointError::Root),
        (format!("{origin}\n{size}\n{}\n", root.replace("q2I=", "q2J=")), CheckpointError::Root),
        (format!("{origin}\n{size}\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxqw==\n"), CheckpointError::Root),
        (format!("{origin}\n{size}\n\n"), CheckpointError::Root),
        (format!("{origin}\n0\n{root}\n"), CheckpointError::EmptyRoot),
        (format!("\n{size}\n{root}\n"), CheckpointError::Origin(KeyNameError::Empty)),
    ];
    for (text, expected) in cases {
        assert_eq!(Checkpoint::parse(&text), Err(expected), "{text:?}");
    }
    assert!(matches!(Checkpoint::parse(&format!("a b\n{size}\n{root}\n")), Err(CheckpointError::Origin(_))));
    let empty = format!("{origin}\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n");
    assert!(Checkpoint::parse(&empty).is_ok());
}

#[test]
fn the_size_goes_up_to_what_a_tree_can_have() {
    let largest = checkpoint(TREE_SIZE_MAX);
    assert_eq!(Checkpoint::parse(&largest.to_string()), Ok(largest));
}

#[test]
fn a_log_signs_with_both_keys_and_the_same_bytes_each_time() {
    let (keys, checkpoint) = (keys(), checkpoint(5));
    let note = keys.sign(&checkpoint);
    assert_eq!(note, LogKeys::parse(&keys.to_text()).unwrap().sign(&checkpoint));
    assert_eq!(keys.verifier().verify(note.as_bytes()), Ok(checkpoint));
    let signed = SignedCheckpoint::parse(note.as_bytes()).unwrap();
    let lengths: Vec<usize> = signed.note().signatures().iter().map(|line| line.bytes().len()).collect();
    assert_eq!(lengths, [64, 8 + 2420]);
    let [ed25519, ml_dsa] = keys.vkeys();
    assert_eq!(signed.note().verify(&ed25519), Ok(()), "any note verifier can check the first line");
    assert_eq!(signed.verify(&ml_dsa), Ok(CosignedAt::UNSTATED));
}

#[test]
fn a_log_s_key_signs_a_text_but_never_one_that_reads_as_a_checkpoint() {
    let keys = keys();
    let note = keys.sign_text("{\n  \"a\": 1\n}\n".into()).unwrap();
    let [ed25519, ml_dsa] = keys.vkeys();
    assert_eq!(SignedNote::parse(note.to_string().as_bytes()).unwrap().verify(&ed25519), Ok(()));
    assert_eq!(note.signatures_of(&ml_dsa).count(), 0);
    let head = checkpoint(5).to_string();
    for text in [head.clone(), format!("{head}an extension\n"), "anything\n5\n".into()] {
        assert_eq!(keys.sign_text(text.clone()), Err(SignTextError::Checkpoint), "{text}");
    }
    assert!(matches!(keys.sign_text("no final newline".into()), Err(SignTextError::Note(_))));
}

#[test]
fn a_checkpoint_counts_only_if_every_key_signed_it() {
    let (keys, checkpoint) = (keys(), checkpoint(5));
    let note = keys.sign(&checkpoint);
    for dropped in 0..2 {
        let mut lines: Vec<&str> = note.lines().collect();
        lines.remove(4 + dropped);
        let note = lines.join("\n") + "\n";
        let error = keys.verifier().verify(note.as_bytes()).unwrap_err();
        let LogVerifyError::Signature { key, source } = &error else { panic!("{error}") };
        assert_eq!(**key, keys.vkeys()[dropped]);
        assert_eq!(*source, CosignatureError::Signature(SignatureError::Absent));
        assert_eq!(error.code(), Code::Untrusted);
    }
}

#[test]
fn every_changed_byte_of_a_signed_checkpoint_is_refused() {
    let (keys, checkpoint) = (keys(), checkpoint(5));
    let note = keys.sign(&checkpoint).into_bytes();
    let verifier = keys.verifier();
    // The ML-DSA line is base64 of 3,248 characters: every 16th of them is enough to hit each part of the signature.
    let text_and_first_line = 0..300;
    for at in text_and_first_line.chain((300..note.len()).step_by(16)).chain(note.len() - 4..note.len()) {
        let mut changed = note.clone();
        changed[at] ^= 1;
        assert!(verifier.verify(&changed).is_err(), "byte {at} of {}", note.len());
    }
}

#[test]
fn another_log_s_checkpoint_is_not_ours() {
    let other =
        LogKeys::generate_from_seeds(&"example.com/hiring".parse().unwrap(), [1; 32], [2; 32]).unwrap();
    let note = other.sign(&other.checkpoint(TreeSize::new(5), Hash::of(b"root")));
    let error = keys().verifier().verify(note.as_bytes()).unwrap_err();
    assert!(matches!(error, LogVerifyError::OtherLog { .. }), "{error}");
}

#[test]
#[should_panic(expected = "a log signs under its own origin only")]
fn signing_for_another_origin_is_a_defect() {
    let mut foreign = checkpoint(5);
    foreign.origin = "example.com/hiring".parse().unwrap();
    let _ = keys().sign(&foreign);
}

#[test]
fn refuses_what_is_not_a_log_s_key_file() {
    let text = keys().to_text().to_string();
    let [first, second] = text.lines().collect::<Vec<_>>()[..] else { panic!() };
    let named = SigningKey::from_seed("other".parse().unwrap(), SignatureType::MlDsa44Cosignature, &[2; 32]);
    let named = named.unwrap().to_text().to_string();
    let cases = [
        (String::new(), LogKeysError::Lines),
        (format!("{first}\n"), LogKeysError::Lines),
        (format!("{first}\n{second}"), LogKeysError::Lines),
        (format!("{second}\n{first}\n"), LogKeysError::Types),
        (format!("{first}\n{first}\n"), LogKeysError::Types),
        (format!("{first}\n{named}\n"), LogKeysError::Names),
    ];
    for (text, expected) in cases {
        assert_eq!(LogKeys::parse(&text).unwrap_err(), expected);
    }
    for (text, line) in [(format!("x\n{second}\n"), 1), (format!("{text}{first}\n"), 2)] {
        assert!(matches!(LogKeys::parse(&text), Err(LogKeysError::Key { line: found, .. }) if found == line));
    }
    let one_seed = LogKeys::generate_from_seeds(&"a".parse().unwrap(), [1; 32], [1; 32]);
    assert_eq!(one_seed.unwrap_err(), LogKeysError::SameSeed);
}

#[test]
fn a_verifier_needs_keys_of_one_name() {
    let [ed25519, ml_dsa] = keys().vkeys();
    assert!(LogVerifier::new(vec![ed25519.clone(), ml_dsa]).is_ok());
    assert_eq!(LogVerifier::new(Vec::new()), Err(LogKeysError::Lines));
    let other = VerifierKey::new("b".parse().unwrap(), SignatureType::Ed25519, ed25519.public_key()).unwrap();
    assert_eq!(LogVerifier::new(vec![ed25519, other]), Err(LogKeysError::Names));
}

proptest! {
    #[test]
    fn whatever_parses_as_a_checkpoint_prints_as_it_was(
        text in "[a-z. +]{0,4}\n[0-9]{0,20}\n([A-Za-z0-9+/]{43}=)?\n?(x\n)?",
    ) {
        if let Ok(checkpoint) = Checkpoint::parse(&text) {
            prop_assert_eq!(checkpoint.to_string(), text);
        }
    }

    #[test]
    fn no_bytes_make_the_parsers_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = SignedCheckpoint::parse(&bytes);
        if let Ok(text) = core::str::from_utf8(&bytes) {
            let _ = Checkpoint::parse(text);
            let _ = LogKeys::parse(text);
        }
    }
}
