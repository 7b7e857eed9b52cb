//! The signed messages byte for byte, and signatures over anything else refused.

use super::*;
use crate::note::SigningKey;

const TEXT: &str = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";

fn name(text: &str) -> KeyName {
    text.parse().unwrap()
}

fn signer(signature_type: SignatureType) -> SigningKey {
    SigningKey::from_seed(name("witness.example.com/w1"), signature_type, &[9; 32]).unwrap()
}

fn at(seconds: u64) -> CosignedAt {
    CosignedAt::new(seconds).unwrap()
}

/// A tree head and the same one changed in each part.
fn heads<'a>(origins: &'a [KeyName; 2], roots: &'a [Hash; 2]) -> [TreeHead<'a>; 5] {
    let head = TreeHead { text: TEXT, origin: &origins[0], size: TreeSize::new(20_852_163), root: &roots[0] };
    [
        head,
        TreeHead { text: "example.com/in-front-of-the-sofa\n", ..head },
        TreeHead { origin: &origins[1], ..head },
        TreeHead { size: TreeSize::new(20_852_164), ..head },
        TreeHead { root: &roots[1], ..head },
    ]
}

#[test]
fn the_ed25519_message_is_the_specification_s_example() {
    assert_eq!(
        String::from_utf8(ed25519_message(at(1_679_315_147), TEXT)).unwrap(),
        format!("cosignature/v1\ntime 1679315147\n{TEXT}")
    );
}

#[test]
fn the_subtree_message_has_every_part_in_its_place() {
    let message = subtree_message(
        &name("w1"),
        at(0x0102_0304),
        &name("log.example"),
        (LeafIndex::new(256), TreeSize::new(512)),
        &Hash::from_bytes([0xab; 32]),
    );
    let mut expected = b"subtree/v1\n\0".to_vec();
    expected.extend(b"\x02w1");
    expected.extend([0, 0, 0, 0, 1, 2, 3, 4]);
    expected.extend(b"\x0blog.example");
    expected.extend([0, 0, 0, 0, 0, 0, 1, 0]);
    expected.extend([0, 0, 0, 0, 0, 0, 2, 0]);
    expected.extend([0xab; 32]);
    assert_eq!(message, expected);
}

#[test]
fn each_type_verifies_what_it_signed_and_hands_back_the_time() {
    let (origins, roots) = ([name("a"), name("b")], [Hash::of(b"a"), Hash::of(b"b")]);
    let [head, ..] = heads(&origins, &roots);
    for (signature_type, time) in [
        (SignatureType::Ed25519, CosignedAt::UNSTATED),
        (SignatureType::Ed25519Cosignature, at(1_679_315_147)),
        (SignatureType::MlDsa44Cosignature, at(1_679_315_147)),
        (SignatureType::MlDsa44Cosignature, CosignedAt::UNSTATED),
    ] {
        let key = signer(signature_type);
        let Ok(signature) = sign(&key, time, &head);
        assert_eq!(verify(key.verifier_key(), &head, &signature), Ok(time), "{signature_type}");
    }
}

#[test]
fn a_cosignature_does_not_hold_for_another_head_time_or_key() {
    let (origins, roots) = ([name("a"), name("b")], [Hash::of(b"a"), Hash::of(b"b")]);
    let [head, other_text, other_origin, other_size, other_root] = heads(&origins, &roots);
    let invalid = Err(CosignatureError::Signature(SignatureError::Invalid));
    for signature_type in [SignatureType::Ed25519Cosignature, SignatureType::MlDsa44Cosignature] {
        let key = signer(signature_type);
        let Ok(signature) = sign(&key, at(5), &head);
        let others: &[&TreeHead<'_>] = match signature_type {
            SignatureType::Ed25519Cosignature => &[&other_text],
            _ => &[&other_origin, &other_size, &other_root],
        };
        for other in others {
            assert_eq!(verify(key.verifier_key(), other, &signature), invalid, "{signature_type} {other:?}");
        }
        let mut later = signature.bytes().to_vec();
        later[7] = 6;
        let later = Signature::new(key.verifier_key().name().clone(), key.verifier_key().id(), later);
        assert_eq!(verify(key.verifier_key(), &head, &later), invalid, "{signature_type}, another time");

        let stranger =
            SigningKey::from_seed(key.verifier_key().name().clone(), signature_type, &[8; 32]).unwrap();
        assert_eq!(verify(stranger.verifier_key(), &head, &signature), Err(CosignatureError::OtherKey));
    }
}

#[test]
fn ml_dsa_commits_to_the_cosigner_s_name() {
    let root = Hash::of(b"root");
    let origin = name("a");
    let head = TreeHead { text: TEXT, origin: &origin, size: TreeSize::new(1), root: &root };
    let key = signer(SignatureType::MlDsa44Cosignature);
    let Ok(signature) = sign(&key, at(5), &head);
    let renamed =
        VerifierKey::new(name("w2"), SignatureType::MlDsa44Cosignature, key.verifier_key().public_key())
            .unwrap();
    let relabelled = Signature::new(renamed.name().clone(), renamed.id(), signature.bytes().to_vec());
    assert_eq!(
        verify(&renamed, &head, &relabelled),
        Err(CosignatureError::Signature(SignatureError::Invalid))
    );
}

#[test]
fn refuses_a_cosignature_without_room_for_its_time_and_a_time_past_the_limit() {
    let root = Hash::of(b"root");
    let origin = name("a");
    let head = TreeHead { text: TEXT, origin: &origin, size: TreeSize::new(1), root: &root };
    for signature_type in [SignatureType::Ed25519Cosignature, SignatureType::MlDsa44Cosignature] {
        let key = signer(signature_type);
        let key = key.verifier_key();
        let line = |bytes: Vec<u8>| Signature::new(key.name().clone(), key.id(), bytes);
        assert_eq!(verify(key, &head, &line(vec![0; 7])), Err(CosignatureError::Truncated));
        assert_eq!(verify(key, &head, &line(vec![0xff; 72])), Err(CosignatureError::Timestamp));
        let no_signature = CosignatureError::Signature(SignatureError::Length);
        assert_eq!(verify(key, &head, &line(vec![0; 8])), Err(no_signature));
    }
    assert_eq!(CosignedAt::new(1 << 63), None);
    assert!(CosignedAt::new((1 << 63) - 1).is_some());
}
