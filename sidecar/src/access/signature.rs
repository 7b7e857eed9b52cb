//! Signatures of tokens, checked by the crypto provider that TLS uses: there is no second one.
//!
//! Guarantees: the algorithms are those of [`Algorithm`]; `none` and everything with a shared secret have no value here, so no
//! token can ask for them. Does not do: signing. Specification: RFC 7518, section 3; RFC 8037, section 3.1.

use rustls::SignatureScheme;

/// How a token may be signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// RSASSA-PSS with SHA-256.
    Ps256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// Ed25519.
    EdDsa,
}

impl Algorithm {
    /// Every algorithm.
    pub const ALL: [Self; 4] = [Self::Rs256, Self::Ps256, Self::Es256, Self::EdDsa];

    /// Its name in tokens and keys (RFC 7518, section 3.1).
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Ps256 => "PS256",
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
        }
    }

    /// The algorithm of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.as_str() == name)
    }

    const fn scheme(self) -> SignatureScheme {
        match self {
            Self::Rs256 => SignatureScheme::RSA_PKCS1_SHA256,
            Self::Ps256 => SignatureScheme::RSA_PSS_SHA256,
            Self::Es256 => SignatureScheme::ECDSA_NISTP256_SHA256,
            Self::EdDsa => SignatureScheme::ED25519,
        }
    }

    /// Whether `signature` over `message` is by the key `public`, as [`super::jwks`] keeps it.
    pub(super) fn verifies(self, public: &[u8], message: &[u8], signature: &[u8]) -> bool {
        let der;
        let signature = match self {
            Self::Es256 => {
                let Some(encoded) = der_ecdsa(signature) else { return false };
                der = encoded;
                der.as_slice()
            }
            _ => signature,
        };
        let known = crate::tls::provider().signature_verification_algorithms.mapping;
        let found = known.iter().find(|(scheme, _)| *scheme == self.scheme());
        // The first is the one whose curve is the scheme's own.
        let algorithm = found.and_then(|(_, algorithms)| algorithms.first());
        algorithm.is_some_and(|algorithm| algorithm.verify_signature(public, message, signature).is_ok())
    }
}

/// `SEQUENCE { modulus INTEGER, exponent INTEGER }` (RFC 8017, appendix A.1.1).
pub(super) fn der_rsa(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
    der_sequence(modulus, exponent)
}

/// A signature of 64 bytes as `SEQUENCE { r INTEGER, s INTEGER }` (RFC 3279, section 2.2.3).
fn der_ecdsa(signature: &[u8]) -> Option<Vec<u8>> {
    let (r, s) = signature.split_at_checked(32)?;
    (s.len() == 32).then(|| der_sequence(r, s))
}

fn der_sequence(one: &[u8], other: &[u8]) -> Vec<u8> {
    let content = [der_integer(one), der_integer(other)].concat();
    der_value(0x30, &content)
}

/// A number that is not negative, from its bytes.
fn der_integer(bytes: &[u8]) -> Vec<u8> {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let digits = bytes.get(zeros..).unwrap_or_default();
    // Its first bit would be the sign.
    let sign: &[u8] = if digits.first().is_none_or(|first| *first >= 0x80) { &[0] } else { &[] };
    der_value(0x02, &[sign, digits].concat())
}

fn der_value(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let zeros = length.iter().take_while(|byte| **byte == 0).count();
    let digits = length.get(zeros..).unwrap_or_default();
    let mut value = vec![tag];
    match digits {
        [] => value.push(0),
        [short] if *short < 0x80 => value.push(*short),
        digits => {
            // At most eight digits, so the count fits the seven bits.
            value.push(0x80 | u8::try_from(digits.len()).unwrap_or(8));
            value.extend_from_slice(digits);
        }
    }
    value.extend_from_slice(content);
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_their_one_spelling_in_der() {
        assert_eq!(der_integer(&[0, 0, 1]), [2, 1, 1]);
        assert_eq!(der_integer(&[0x80]), [2, 2, 0, 0x80]);
        assert_eq!(der_integer(&[0, 0]), [2, 1, 0]);
        let long = der_rsa(&[0xff; 256], &[1, 0, 1]);
        assert_eq!(long.get(..8), Some([0x30, 0x82, 1, 10, 2, 0x82, 1, 1].as_slice()));
        assert_eq!(long.get(264..), Some([0xff, 2, 3, 1, 0, 1].as_slice()));
        assert_eq!(der_value(4, &[7; 200]).get(..3), Some([4, 0x81, 200].as_slice()));
        assert_eq!((der_ecdsa(&[1; 63]), der_ecdsa(&[1; 65]), der_ecdsa(&[])), (None, None, None));
    }

    #[test]
    fn no_name_asks_for_no_signature_or_a_shared_secret() {
        for name in ["none", "None", "HS256", "HS512", "RS512", "ES384", "rs256", "", "EdDSA "] {
            assert_eq!(Algorithm::from_name(name), None, "{name}");
        }
    }
}
