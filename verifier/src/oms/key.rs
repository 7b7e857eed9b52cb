//! The public key of a model's signer: ECDSA on P-256 or P-384, as a PEM file.
//!
//! Guarantees: one spelling of a key is accepted (SubjectPublicKeyInfo with a named curve and an uncompressed point), so its
//! hint is that of `model-signing`. Does not do: private keys, certificates, P-521.

use ledgerstone::code::Code;
use ledgerstone::encoding::{base64_decode, base64_encode};
use ledgerstone::hash::Hash;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, EcdsaVerificationAlgorithm, UnparsedPublicKey,
};

/// Bytes of a public key file: the longer one has 215.
pub const PUBLIC_KEY_BYTES_MAX: usize = 16 * 1024;

/// What stands before the point of a P-256 key in DER (RFC 5480): a sequence of the algorithm `ecPublicKey` with the named
/// curve `prime256v1`, and the head of a bit string.
const P256_HEAD: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
    0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// The same of a P-384 key, with the named curve `secp384r1`.
const P384_HEAD: [u8; 23] = [
    0x30, 0x76, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b, 0x81,
    0x04, 0x00, 0x22, 0x03, 0x62, 0x00,
];

const BEGIN: &str = "-----BEGIN PUBLIC KEY-----";
const END: &str = "-----END PUBLIC KEY-----";

/// The curve of a key, which says the hash function too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Curve {
    /// P-256 with SHA-256.
    P256,
    /// P-384 with SHA-384.
    P384,
}

impl Curve {
    /// The key's kind for people.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::P256 => "ECDSA P-256",
            Self::P384 => "ECDSA P-384",
        }
    }

    fn algorithm(self) -> &'static EcdsaVerificationAlgorithm {
        match self {
            Self::P256 => &ECDSA_P256_SHA256_ASN1,
            Self::P384 => &ECDSA_P384_SHA384_ASN1,
        }
    }
}

/// A signer's public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    curve: Curve,
    der: Vec<u8>,
    point: Vec<u8>,
}

impl PublicKey {
    /// Reads the PEM file that `openssl ec -pubout` writes.
    ///
    /// # Errors
    /// [`KeyError`] says what else it is.
    pub fn from_pem(bytes: &[u8]) -> Result<Self, KeyError> {
        let text = std::str::from_utf8(bytes).map_err(|_| KeyError::NotPem)?;
        if text.contains("PRIVATE KEY") {
            return Err(KeyError::Private);
        }
        let (_, rest) = text.split_once(BEGIN).ok_or(KeyError::NotPem)?;
        let (body, _) = rest.split_once(END).ok_or(KeyError::NotPem)?;
        let base64: String = body.split_ascii_whitespace().collect();
        let der = base64_decode(&base64).map_err(|_| KeyError::NotPem)?;
        for (curve, head, bytes) in [(Curve::P256, P256_HEAD.as_slice(), 65), (Curve::P384, &P384_HEAD, 97)] {
            if let Some(point) = der.strip_prefix(head)
                && point.len() == bytes
                && point.first() == Some(&4)
            {
                return Ok(Self { curve, point: point.to_vec(), der });
            }
        }
        Err(KeyError::OtherKind)
    }

    /// The key's curve.
    #[must_use]
    pub const fn curve(&self) -> Curve {
        self.curve
    }

    /// What `model-signing` writes into a signature to name the key: SHA-256 of its PEM file, in hexadecimal.
    #[must_use]
    pub fn hint(&self) -> String {
        let base64 = base64_encode(&self.der);
        let lines = base64.as_bytes().chunks(64).map(String::from_utf8_lossy);
        let body: String = lines.map(|line| format!("{line}\n")).collect();
        Hash::of(format!("{BEGIN}\n{body}{END}\n").as_bytes()).to_string()
    }

    /// Whether `signature`, in DER, is this key's over `message`.
    pub(super) fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), ring::error::Unspecified> {
        UnparsedPublicKey::new(self.curve.algorithm(), &self.point).verify(message, signature)
    }
}

/// Why a file is not a public key that can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// Not PEM, or PEM of something else.
    #[error("it is not a public key as PEM, with `{BEGIN}` before it")]
    NotPem,
    /// A private key.
    #[error("it is a private key, which nobody but the signer should have; give the public one")]
    Private,
    /// A key of another kind.
    #[error("it is not an ECDSA key on P-256 or P-384")]
    OtherKind,
}

impl KeyError {
    /// What the reader must do about it.
    #[must_use]
    pub const fn code(self) -> Code {
        Code::Malformed
    }
}
