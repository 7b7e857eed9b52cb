//! Every truncation and every changed byte of replies.

use ledgerstone::anchor::rfc3161::{Imprint, Request, StampError, Trust, Verified, verify};

use crate::authority::{DATA, ask, local, openssl_authority, roots};
use crate::pki::{EC, has_openssl, soon};

/// Changes every byte in eleven ways. Gives the places and values at which the reply still verified, each time with the
/// very same outcome.
fn accepted(reply: &[u8], nonce: u64, trust: &Trust) -> Vec<(usize, u8)> {
    let judge = |bytes: &[u8]| -> Result<Verified, StampError> {
        verify(bytes, &Imprint::of(DATA), Some(nonce), trust)
    };
    let original = judge(reply).unwrap();
    let mut bytes = reply.to_vec();
    let mut accepted = Vec::new();
    for place in 0..reply.len() {
        for change in [1, 2, 4, 8, 16, 32, 64, 128, 255, 0x0a, 0x21] {
            bytes[place] = reply[place] ^ change;
            if let Ok(found) = judge(&bytes) {
                assert_eq!(found, original, "byte {place} means something else as {:#x}", bytes[place]);
                accepted.push((place, bytes[place]));
            }
        }
        bytes[place] = reply[place];
    }
    accepted
}

fn check_every_end(reply: &[u8], trust: &Trust) {
    for end in 0..reply.len() {
        let found = verify(&reply[..end], &Imprint::of(DATA), None, trust);
        assert!(matches!(found, Err(StampError::Malformed(_))), "{end}: {found:?}");
    }
    for more in [&[0][..], &[0x30, 0], reply] {
        let found = verify(&[reply, more].concat(), &Imprint::of(DATA), None, trust);
        assert_eq!(found, Err(StampError::Malformed("reply")));
    }
}

#[test]
fn no_byte_of_the_librarys_replies_can_be_changed_or_cut_off() {
    let (authority, trust) = local();
    let reply = authority.answer(&Request::new(Imprint::of(DATA), 5).encode(), soon(), 1);
    check_every_end(&reply, &trust);
    assert!(accepted(&reply, 5, &trust).is_empty());
}

#[test]
fn no_byte_of_a_reply_of_openssl_with_its_whole_chain_can_be_changed_or_cut_off() {
    if !has_openssl() {
        return;
    }
    let pki = openssl_authority(EC, "signer_digest = sha256\naccuracy = secs:1\ntsa_name = yes");
    let reply = ask(&pki, &Request::new(Imprint::of(DATA), 5));
    check_every_end(&reply, &roots(&pki));
    let accepted = accepted(&reply, 5, &roots(&pki));
    assert!(accepted.is_empty(), "{} changes, the first {:?}", accepted.len(), accepted.first());
}

/// `rsaEncryption` beside a digest and `sha256WithRSAEncryption` say the same, and their numbers differ in one byte.
#[test]
fn one_byte_of_a_reply_of_rsa_has_a_second_value_of_the_same_meaning() {
    if !has_openssl() {
        return;
    }
    let pki = openssl_authority("-newkey rsa:2048", "signer_digest = sha256");
    let reply = ask(&pki, &Request::new(Imprint::of(DATA), 5));
    check_every_end(&reply, &roots(&pki));
    let accepted = accepted(&reply, 5, &roots(&pki));
    let rsa = [6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 5, 0, 4, 0x82];
    let at = reply.windows(rsa.len()).position(|window| window == rsa).unwrap() + 10;
    assert!(accepted == [(at, 11)], "{} changes, the first {:?}", accepted.len(), accepted.first());
}
