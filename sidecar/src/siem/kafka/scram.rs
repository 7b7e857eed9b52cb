//! SCRAM-SHA-256 and SCRAM-SHA-512, the client's side, without channel binding (RFC 5802, RFC 7677).
//!
//! Guarantees: the password never leaves; a server that does not know it is refused; what a server may ask for is bounded.
//! [`Scram::last`] takes as long as the server's iterations do.

use std::num::NonZeroU32;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::{digest, hmac, pbkdf2};
use zeroize::Zeroizing;

/// Iterations that a server may ask for: half a second on a slow core. Kafka's own default is 4,096, its bound 16,384.
const ITERATIONS_MAX: u32 = 1 << 20;

/// What RFC 7677 asks at least.
const ITERATIONS_MIN: u32 = 4096;

/// The hash of a mechanism.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScramHash {
    /// SHA-256.
    Sha256,
    /// SHA-512.
    Sha512,
}

impl ScramHash {
    fn parts(self) -> (&'static digest::Algorithm, hmac::Algorithm, pbkdf2::Algorithm) {
        match self {
            Self::Sha256 => (&digest::SHA256, hmac::HMAC_SHA256, pbkdf2::PBKDF2_HMAC_SHA256),
            Self::Sha512 => (&digest::SHA512, hmac::HMAC_SHA512, pbkdf2::PBKDF2_HMAC_SHA512),
        }
    }
}

/// One exchange.
#[derive(Debug)]
pub struct Scram {
    hash: ScramHash,
    nonce: String,
    first_bare: String,
}

impl Scram {
    /// Begins; `nonce` is new each time.
    #[must_use]
    pub fn new(hash: ScramHash, user: &str, nonce: [u8; 18]) -> Self {
        let nonce = STANDARD.encode(nonce);
        let user = user.replace('=', "=3D").replace(',', "=2C");
        Self { hash, first_bare: format!("n={user},r={nonce}"), nonce }
    }

    /// The first message.
    #[must_use]
    pub fn first(&self) -> String {
        format!("n,,{}", self.first_bare)
    }

    /// The last message, and what the server must answer; nothing where `server_first` is none, or asks for too little or too much.
    #[must_use]
    pub fn last(&self, password: &str, server_first: &str) -> Option<(String, String)> {
        let mut parts = server_first.split(',');
        let mut part = |name| parts.next()?.strip_prefix(name);
        let (nonce, salt, iterations) =
            (part("r=")?, STANDARD.decode(part("s=")?).ok()?, part("i=")?.parse().ok()?);
        let is_ours = nonce.len() > self.nonce.len() && nonce.starts_with(&self.nonce);
        if !is_ours || !(ITERATIONS_MIN..=ITERATIONS_MAX).contains(&iterations) {
            return None;
        }
        let (digest, mac, derivation) = self.hash.parts();
        let mut salted = Zeroizing::new(vec![0; digest.output_len()]);
        pbkdf2::derive(derivation, NonZeroU32::new(iterations)?, &salt, password.as_bytes(), &mut salted);
        let sign = |key: &[u8], text: &[u8]| hmac::sign(&hmac::Key::new(mac, key), text);
        let client_key = sign(&salted, b"Client Key");
        let without_proof = format!("c=biws,r={nonce}");
        let signed = format!("{},{server_first},{without_proof}", self.first_bare);
        let signature = sign(digest::digest(digest, client_key.as_ref()).as_ref(), signed.as_bytes());
        let proof: Vec<u8> = client_key.as_ref().iter().zip(signature.as_ref()).map(|(a, b)| a ^ b).collect();
        let server = sign(sign(&salted, b"Server Key").as_ref(), signed.as_bytes());
        Some((
            format!("{without_proof},p={}", STANDARD.encode(proof)),
            format!("v={}", STANDARD.encode(server)),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The exchange of RFC 7677, section 3, whose nonce is no base64 of ours.
    fn example() -> Scram {
        let nonce = "rOprNGfwEbeRWgbNEkqO".to_owned();
        Scram { hash: ScramHash::Sha256, first_bare: format!("n=user,r={nonce}"), nonce }
    }

    const SERVER_FIRST: &str =
        "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";

    #[test]
    fn makes_the_proof_of_the_rfc_s_example() {
        let (last, server) = example().last("pencil", SERVER_FIRST).unwrap();
        assert_eq!(
            last,
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        );
        assert_eq!(server, "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
    }

    #[test]
    fn refuses_a_server_that_changes_the_nonce_or_asks_for_too_little_or_too_much() {
        for (from, to) in [
            ("r=rOp", "r=xOp"),
            ("r=", "x="),
            ("%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0", ""),
            ("i=4096", "i=4095"),
            ("i=4096", "i=1048577"),
            ("i=4096", "i=-1"),
            ("i=4096", ""),
            ("s=W22", "s=*22"),
        ] {
            let changed = SERVER_FIRST.replacen(from, to, 1);
            assert_ne!(changed, SERVER_FIRST);
            assert_eq!(example().last("pencil", &changed), None, "{changed}");
        }
    }

    #[test]
    fn a_user_with_commas_and_equal_signs_is_escaped() {
        let scram = Scram::new(ScramHash::Sha512, "a=b,c", [0; 18]);
        assert_eq!(scram.first(), "n,,n=a=3Db=2Cc,r=AAAAAAAAAAAAAAAAAAAAAAAA");
    }
}
