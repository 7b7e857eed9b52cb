//! Keys and notes: the examples of signed-note, and the ways in which bytes fail to be them.

use proptest::prelude::*;

use super::*;

const VKEY: &str = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
const NOTE: &str = "This is an example message.\n\n\u{2014} example.com/foo \
Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";

fn key() -> VerifierKey {
    VKEY.parse().unwrap()
}

fn signing_key(signature_type: SignatureType) -> SigningKey {
    SigningKey::from_seed("example.com/log".parse().unwrap(), signature_type, &[7; 32]).unwrap()
}

const TYPES: [SignatureType; 3] =
    [SignatureType::Ed25519, SignatureType::Ed25519Cosignature, SignatureType::MlDsa44Cosignature];

#[test]
fn the_specification_s_example_verifies_and_prints_as_it_was() {
    let note = SignedNote::parse(NOTE.as_bytes()).unwrap();
    assert_eq!(note.verify(&key()), Ok(()));
    assert_eq!(note.text(), "This is an example message.\n");
    assert_eq!(note.to_string(), NOTE);
    assert_eq!(key().to_string(), VKEY);
}

#[test]
fn a_changed_text_or_signature_does_not_verify() {
    let changed_text = NOTE.replace("example message", "exbmple message");
    let changed_signature = NOTE.replace("Uw2QOkn8", "Uw2QOkn9");
    for note in [changed_text, changed_signature] {
        let note = SignedNote::parse(note.as_bytes()).unwrap();
        assert_eq!(note.verify(&key()), Err(SignatureError::Invalid));
    }
}

#[test]
fn a_signature_counts_only_under_name_and_id() {
    let other_name = NOTE.replace("example.com/foo", "example.com/bar");
    let other_id = NOTE.replace("Uw2QOkn8", "Uw2QOUn8");
    for note in [other_name, other_id] {
        let note = SignedNote::parse(note.as_bytes()).unwrap();
        assert_eq!(note.verify(&key()), Err(SignatureError::Absent));
    }
}

#[test]
fn one_wrong_signature_of_a_known_key_spoils_a_right_one() {
    let line = NOTE.split_once("\n\n").unwrap().1;
    let twice = format!("{NOTE}{}", line.replace("kn8srV1", "kn8srV2"));
    let note = SignedNote::parse(twice.as_bytes()).unwrap();
    assert_eq!(note.verify(&key()), Err(SignatureError::Invalid));
}

#[test]
fn unknown_signatures_are_kept_and_ignored() {
    let with_other = format!("{NOTE}\u{2014} witness.example AAAAAAE=\n");
    let note = SignedNote::parse(with_other.as_bytes()).unwrap();
    assert_eq!(note.signatures().len(), 2);
    assert_eq!(note.verify(&key()), Ok(()));
    assert_eq!(note.to_string(), with_other);
}

#[test]
fn the_text_may_hold_empty_lines_and_is_split_at_the_last() {
    let note = format!("one\n\ntwo\n\n{}", NOTE.split_once("\n\n").unwrap().1);
    assert_eq!(SignedNote::parse(note.as_bytes()).unwrap().text(), "one\n\ntwo\n");
}

#[test]
fn refuses_what_is_not_a_note() {
    let line = NOTE.split_once("\n\n").unwrap().1.trim_end();
    let cases: Vec<(&str, String)> = vec![
        ("nothing", String::new()),
        ("no final newline", NOTE.trim_end().to_owned()),
        ("no blank line", NOTE.replace("\n\n", "\n")),
        ("no signature", "text\n\n".to_owned()),
        ("carriage returns", NOTE.replace('\n', "\r\n")),
        ("tab", NOTE.replace("an example", "an\texample")),
        ("zero byte", NOTE.replace("an example", "an\0example")),
        ("line without dash", format!("text\n\n{}\n", &line["\u{2014} ".len()..])),
        ("hyphen for em dash", NOTE.replace('\u{2014}', "-")),
        ("two em dashes", NOTE.replace('\u{2014}', "\u{2014} \u{2014}")),
        ("two spaces after the dash", NOTE.replace("\u{2014} ", "\u{2014}  ")),
        ("two spaces after the name", NOTE.replace("foo U", "foo  U")),
        ("no name", NOTE.replace(" example.com/foo ", " ")),
        ("name with plus", NOTE.replace("com/foo", "com/f+o")),
        ("name with no-break space", NOTE.replace("com/foo", "com/f\u{a0}o")),
        ("base64 without padding", NOTE.replace("yaQM=", "yaQM")),
        ("base64 with trailing bits", NOTE.replace("yaQM=", "yaQN=")),
        ("url-safe base64", NOTE.replace("kn8srV1", "k_8srV1")),
        ("space at the end of a line", NOTE.replace("yaQM=", "yaQM= ")),
        ("key id alone", "text\n\n\u{2014} example.com/foo Uw2QOg==\n".to_owned()),
        ("empty base64", "text\n\n\u{2014} example.com/foo \n".to_owned()),
        ("empty line after the signatures", format!("{NOTE}\n")),
    ];
    for (what, note) in cases {
        let parsed = SignedNote::parse(note.as_bytes());
        assert!(parsed.is_err(), "{what}: {parsed:?}");
        assert_eq!(parsed.unwrap_err().code(), Code::Malformed, "{what}");
    }
    assert!(SignedNote::parse(b"text \xff\n\n\xe2\x80\x94 a AAAAAAE=\n").is_err(), "not UTF-8");
}

#[test]
fn takes_thirty_two_signatures_and_no_more() {
    let line = "\u{2014} a AAAAAAE=\n";
    assert!(SignedNote::parse(format!("t\n\n{}", line.repeat(SIGNATURES_MAX)).as_bytes()).is_ok());
    let error =
        SignedNote::parse(format!("t\n\n{}", line.repeat(SIGNATURES_MAX + 1)).as_bytes()).unwrap_err();
    assert_eq!((error.code(), error), (Code::Limit, NoteError::TooManySignatures));
    let long = SignedNote::parse("x".repeat(NOTE_BYTES_MAX + 1).as_bytes()).unwrap_err();
    assert_eq!(long, NoteError::TooLong { bytes: NOTE_BYTES_MAX + 1, bytes_max: NOTE_BYTES_MAX });
}

#[test]
fn a_note_is_only_built_if_it_reads_back() {
    let signature = SignedNote::parse(NOTE.as_bytes()).unwrap().signatures().to_vec();
    assert!(SignedNote::new("text\n".to_owned(), signature.clone()).is_ok());
    for text in ["text", "", "te\rxt\n"] {
        assert!(SignedNote::new(text.to_owned(), signature.clone()).is_err(), "{text:?}");
    }
    assert_eq!(SignedNote::new("text\n".to_owned(), Vec::new()), Err(NoteError::NoSignatures));
}

#[test]
fn refuses_what_is_not_a_vkey() {
    let cases = [
        ("", VerifierKeyError::Parts),
        ("example.com/foo", VerifierKeyError::Parts),
        ("example.com/foo+530d903a", VerifierKeyError::Parts),
        (&VKEY.replace("530d903a", "530D903A"), VerifierKeyError::KeyId),
        (&VKEY.replace("530d903a", "530d903"), VerifierKeyError::KeyId),
        (&VKEY.replace("530d903a", "+30d903a"), VerifierKeyError::KeyId),
        (&VKEY.replace("Kv3U2k", "Kv3U2_"), VerifierKeyError::Base64),
        (&format!("{VKEY}="), VerifierKeyError::Base64),
        (&VKEY.replace("AekyeR", "AukyeR"), VerifierKeyError::UnknownType { byte: 2 }),
        ("example.com/foo+530d903a+", VerifierKeyError::KeyLength),
        ("example.com/foo+530d903a+AQ==", VerifierKeyError::KeyLength),
        ("example.com/foo+530d903a+Bg==", VerifierKeyError::KeyLength),
    ];
    for (text, expected) in cases {
        assert_eq!(text.parse::<VerifierKey>().unwrap_err(), expected, "{text}");
    }
    assert!(matches!(" +530d903a+AQ==".parse::<VerifierKey>(), Err(VerifierKeyError::Name(_))));
    assert!(matches!(
        VKEY.replace("foo", "fop").parse::<VerifierKey>(),
        Err(VerifierKeyError::OtherId { .. })
    ));
    let wrong_id = VKEY.replace("530d903a", "530d903b").parse::<VerifierKey>().unwrap_err();
    assert_eq!(wrong_id.code(), Code::Inconsistent);
}

#[test]
fn a_vkey_with_a_plus_in_its_base64_parses() {
    let key = (0..=u8::MAX)
        .map(|seed| {
            let name = "a".parse().unwrap();
            SigningKey::from_seed(name, SignatureType::Ed25519, &[seed; 32]).unwrap().verifier_key().clone()
        })
        .find(|key| key.to_string().matches('+').count() > 2)
        .unwrap();
    assert_eq!(key.to_string().parse::<VerifierKey>().unwrap(), key);
}

#[test]
fn a_key_name_must_fit_a_cosignature() {
    assert!(KeyName::new(&"x".repeat(255)).is_ok());
    assert_eq!(KeyName::new(&"x".repeat(256)), Err(KeyNameError::TooLong { bytes: 256 }));
    assert_eq!(KeyName::new(""), Err(KeyNameError::Empty));
    for name in ["a b", "a+b", "a\nb", "a\u{2003}b", "a\u{3000}", "\u{7f}"] {
        assert!(matches!(KeyName::new(name), Err(KeyNameError::Character { .. })), "{name:?}");
    }
    assert!(KeyName::new("münchen.example/größe").is_ok());
}

#[test]
fn weak_and_non_canonical_ed25519_keys_are_refused() {
    let mut identity = [0; 32];
    identity[0] = 1;
    let mut non_canonical_identity = [0xff; 32];
    non_canonical_identity[0] = 0xee;
    non_canonical_identity[31] = 0x7f;
    for (what, bytes) in [("order 1", identity), ("p + 1", non_canonical_identity), ("order 4", [0; 32])] {
        let key = VerifierKey::new("a".parse().unwrap(), SignatureType::Ed25519, &bytes);
        assert_eq!(key.unwrap_err(), VerifierKeyError::WeakKey, "{what}");
    }
}

#[test]
fn private_keys_survive_their_text_and_sign_the_same_bytes_each_time() {
    for signature_type in TYPES {
        let key = signing_key(signature_type);
        let again = SigningKey::parse(&key.to_text()).unwrap();
        assert_eq!(again.verifier_key(), key.verifier_key());
        let signature = key.sign_message(b"message");
        assert_eq!(signature, again.sign_message(b"message"), "{signature_type}");
        assert_eq!(key.verifier_key().verify_message(b"message", &signature), Ok(()));
        assert_eq!(
            key.verifier_key().verify_message(b"massage", &signature),
            Err(SignatureError::Invalid),
            "{signature_type}"
        );
        let vkey = key.verifier_key().to_string();
        assert_eq!(vkey.parse::<VerifierKey>().unwrap().to_string(), vkey);
    }
}

#[test]
fn a_signature_of_the_wrong_length_is_said_to_be_one() {
    for signature_type in TYPES {
        let key = signing_key(signature_type);
        let mut signature = key.sign_message(b"message");
        signature.push(0);
        assert_eq!(key.verifier_key().verify_message(b"message", &signature), Err(SignatureError::Length));
        signature.truncate(signature.len() - 2);
        assert_eq!(key.verifier_key().verify_message(b"message", &signature), Err(SignatureError::Length));
    }
}

#[test]
fn cosignature_keys_do_not_verify_the_text_itself() {
    let key = signing_key(SignatureType::Ed25519Cosignature);
    let note = SignedNote::parse(NOTE.as_bytes()).unwrap();
    assert_eq!(note.verify(key.verifier_key()), Err(SignatureError::OtherMessage));
}

#[test]
fn no_private_byte_reaches_debug_output() {
    for signature_type in TYPES {
        let key = signing_key(signature_type);
        let secret = key.to_text().rsplit('+').next().unwrap().to_owned();
        let shown = format!("{key:?}");
        assert!(shown.contains("private half hidden") && !shown.contains(&secret), "{shown}");
        assert!(!shown.contains("7, 7, 7") && !shown.contains("070707"), "{shown}");
    }
}

#[test]
fn refuses_what_is_not_a_private_key() {
    let text = signing_key(SignatureType::Ed25519).to_text().to_string();
    assert!(SigningKey::parse(&format!("{text}\n")).is_ok());
    let (head, material) = text.rsplit_once('+').unwrap();
    let cases = [
        (String::new(), SigningKeyError::Parts),
        (text.replace("PRIVATE", "PUBLIC"), SigningKeyError::Parts),
        (head.to_owned(), SigningKeyError::Parts),
        (text.replace("+702f3c70+", "+702F3C70+"), SigningKeyError::KeyId),
        (format!("{text}\n\n"), SigningKeyError::Base64),
        (format!("{head}+"), SigningKeyError::SeedLength),
        (format!("{head}+AQ=="), SigningKeyError::SeedLength),
        (format!("{head}+{}", base64(&[2; 33])), SigningKeyError::UnknownType { byte: 2 }),
        (format!("{head}+{}", base64(&[1; 34])), SigningKeyError::SeedLength),
        (format!("{head}+{}", base64(&[1; 33])), SigningKeyError::OtherId),
        (text.replace("/log", "/lug"), SigningKeyError::OtherId),
        (format!("{head}+{}", &material[..material.len() - 1]), SigningKeyError::Base64),
    ];
    for (text, expected) in cases {
        assert_eq!(SigningKey::parse(&text).unwrap_err(), expected, "{text}");
    }
}

fn base64(bytes: &[u8]) -> String {
    crate::encoding::base64_encode(bytes)
}

proptest! {
    #[test]
    fn no_bytes_make_the_note_parser_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        if let Ok(note) = SignedNote::parse(&bytes) {
            prop_assert_eq!(note.to_string().into_bytes(), bytes);
        }
    }

    #[test]
    fn whatever_parses_as_a_note_prints_as_it_was(
        text in "([ -~é—]{0,20}\n){0,4}",
        lines in proptest::collection::vec("— [a-z/.]{1,8} [A-Za-z0-9+/]{8}([A-Za-z0-9+/]{2}==)?", 0..4),
    ) {
        let note = format!("{text}\n{}", lines.iter().map(|line| format!("{line}\n")).collect::<String>());
        if let Ok(parsed) = SignedNote::parse(note.as_bytes()) {
            prop_assert_eq!(parsed.to_string(), note);
        }
    }

    #[test]
    fn no_text_makes_the_key_parsers_panic(text in ".{0,60}", tail in "[+A-Za-z0-9/=]{0,80}") {
        let _ = text.parse::<VerifierKey>();
        let _ = format!("{text}+{tail}").parse::<VerifierKey>();
        let _ = SigningKey::parse(&text);
        let _ = SigningKey::parse(&format!("PRIVATE+KEY+{tail}"));
        let _ = Signature::parse_line(&text);
        let _ = KeyName::new(&text);
    }
}
