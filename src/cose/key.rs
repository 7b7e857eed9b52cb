//! The log's receipt key: Ed25519, for COSE receipts and nothing else.
//!
//! Guarantees: a public key has one text, its COSE_Key (RFC 9052, section 7) in deterministic CBOR; it is named by its COSE Key
//! Thumbprint (RFC 9679) with SHA-256; a weak key is refused. A private key's file cannot be taken for a log's key file, nor
//! the other way round. Does not do: making keys, because the library has no randomness.

use core::fmt;

use zeroize::Zeroizing;

use crate::code::Code;
use crate::encoding::cbor::Writer;
use crate::hash::Hash;
use crate::note::{
    KeyName, SignatureType, Signer as _, SigningKey, SigningKeyError, VerifierKey, VerifierKeyError,
};

/// The first line of a private key's file.
const FILE_FORMAT: &str = "ledgerstone-receipt-key/v1";

/// Labels of a COSE_Key (RFC 9052, table 4, and RFC 9053, table 19) and what they hold here.
const KTY: i128 = 1;
const ALG: i128 = 3;
const CRV: i128 = -1;
const X: i128 = -2;
/// Octet key pair.
const KTY_OKP: i128 = 1;
const CRV_ED25519: i128 = 6;

/// Bytes of an Ed25519 public key and of a seed.
const KEY_BYTES: usize = 32;

/// A log's public receipt key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiptKey {
    /// Under the log's origin. Its type says which algorithm it is; it signs no note.
    key: VerifierKey,
    kid: Hash,
}

impl ReceiptKey {
    /// Names the Ed25519 key `public` as the receipt key of the log `origin`.
    ///
    /// # Errors
    /// The bytes are no key, or a weak one.
    pub fn new(origin: KeyName, public: &[u8]) -> Result<Self, ReceiptKeyError> {
        let key = VerifierKey::new(origin, SignatureType::Ed25519, public).map_err(ReceiptKeyError::Key)?;
        let kid = Hash::of(&thumbprint_input(public));
        Ok(Self { key, kid })
    }

    /// Reads a COSE_Key.
    ///
    /// # Errors
    /// It is no deterministic COSE_Key of an Ed25519 key with its algorithm and nothing else, or the key is weak.
    pub fn from_cose(origin: KeyName, cose_key: &[u8]) -> Result<Self, ReceiptKeyError> {
        let start = cose_key_start();
        let public = cose_key.strip_prefix(start.as_slice()).ok_or(ReceiptKeyError::Form)?;
        if public.len() != KEY_BYTES {
            return Err(ReceiptKeyError::Form);
        }
        Self::new(origin, public)
    }

    /// The COSE_Key that [`ReceiptKey::from_cose`] reads.
    #[must_use]
    pub fn to_cose(&self) -> Vec<u8> {
        let mut bytes = cose_key_start();
        bytes.extend_from_slice(self.key.public_key());
        bytes
    }

    /// The log whose key it is.
    #[must_use]
    pub const fn origin(&self) -> &KeyName {
        self.key.name()
    }

    /// The key's thumbprint, which receipts name it by.
    #[must_use]
    pub const fn kid(&self) -> &Hash {
        &self.kid
    }

    /// What checks its signatures.
    #[must_use]
    pub const fn verifier_key(&self) -> &VerifierKey {
        &self.key
    }
}

/// Everything of the COSE_Key before the public key itself.
fn cose_key_start() -> Vec<u8> {
    let mut writer = Writer::new();
    writer.map(4).int(KTY).int(KTY_OKP).int(ALG).int(super::ALG_ED25519);
    writer.int(CRV).int(CRV_ED25519).int(X).bytes_head(KEY_BYTES as u64);
    writer.into_bytes()
}

/// What a thumbprint hashes: the required members alone (RFC 9679, section 4.1).
fn thumbprint_input(public: &[u8]) -> Vec<u8> {
    let mut writer = Writer::new();
    writer.map(3).int(KTY).int(KTY_OKP).int(CRV).int(CRV_ED25519).int(X).bytes(public);
    writer.into_bytes()
}

/// A log's private receipt key.
pub struct ReceiptSigningKey {
    secret: SigningKey,
    public: ReceiptKey,
}

impl ReceiptSigningKey {
    /// The key that `seed` derives: 32 bytes nobody can guess, used for this one key.
    ///
    /// # Errors
    /// The derived key is refused; for a random seed this does not happen.
    pub fn from_seed(origin: KeyName, seed: &[u8; 32]) -> Result<Self, ReceiptSigningKeyError> {
        let secret = SigningKey::from_seed(origin, SignatureType::Ed25519, seed);
        Self::of(secret.map_err(ReceiptSigningKeyError::Key)?)
    }

    /// Reads a key file: its format, then the key.
    ///
    /// # Errors
    /// Says which part is wrong, never what it holds.
    pub fn parse(text: &str) -> Result<Self, ReceiptSigningKeyError> {
        let line = text.strip_prefix(FILE_FORMAT).and_then(|rest| rest.strip_prefix('\n'));
        let secret = SigningKey::parse(line.ok_or(ReceiptSigningKeyError::Format)?);
        Self::of(secret.map_err(ReceiptSigningKeyError::Key)?)
    }

    fn of(secret: SigningKey) -> Result<Self, ReceiptSigningKeyError> {
        let key = secret.verifier_key();
        if key.signature_type() != SignatureType::Ed25519 {
            return Err(ReceiptSigningKeyError::Algorithm);
        }
        let public = ReceiptKey::new(key.name().clone(), key.public_key());
        Ok(Self { public: public.map_err(ReceiptSigningKeyError::Public)?, secret })
    }

    /// The secret where it lies in memory: for whoever has the operating system keep those pages off its disks.
    #[must_use]
    pub fn secrets(&self) -> Vec<&[u8]> {
        self.secret.secrets()
    }

    /// The text that [`ReceiptSigningKey::parse`] reads; wiped when dropped.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        Zeroizing::new(format!("{FILE_FORMAT}\n{}\n", self.secret.to_text().as_str()))
    }

    /// The public half.
    #[must_use]
    pub const fn receipt_key(&self) -> &ReceiptKey {
        &self.public
    }

    /// Signs exactly `message`.
    pub(super) fn sign(&self, message: &[u8]) -> [u8; super::SIGNATURE_BYTES] {
        let mut signature = [0; super::SIGNATURE_BYTES];
        for (to, from) in signature.iter_mut().zip(self.secret.sign_message(message)) {
            *to = from;
        }
        signature
    }
}

impl fmt::Debug for ReceiptSigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReceiptSigningKey({}, private half hidden)", self.public.kid)
    }
}

/// Why bytes are not a public receipt key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiptKeyError {
    /// Not the COSE_Key of an Ed25519 key.
    #[error("this is not the COSE_Key of an Ed25519 key (kty 1, alg -19, crv 6, x): copy it again")]
    Form,
    /// The key itself is refused.
    #[error("{0}")]
    Key(VerifierKeyError),
}

impl ReceiptKeyError {
    /// What the reader must do about it.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Form => Code::Malformed,
            Self::Key(source) => source.code(),
        }
    }
}

/// Why a text is not a private receipt key. No variant carries any part of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiptSigningKeyError {
    /// Another first line: a log's key file, for example.
    #[error("a receipt key file starts with the line `{FILE_FORMAT}`: a log's key signs nothing but the log")]
    Format,
    /// The key's line is malformed.
    #[error("{0}")]
    Key(SigningKeyError),
    /// A key of another algorithm.
    #[error("a receipt key is an Ed25519 key (type 0x01)")]
    Algorithm,
    /// The derived public key is refused.
    #[error("{0}")]
    Public(ReceiptKeyError),
}

impl ReceiptSigningKeyError {
    /// What the reader must do about it.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Key(source) => source.code(),
            Self::Public(source) => source.code(),
            Self::Format | Self::Algorithm => Code::Malformed,
        }
    }
}
