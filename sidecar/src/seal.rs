//! A record under lock: its fields, its secret and the wire's bytes, encrypted for whoever holds the keys.
//!
//! Guarantees: each record has a key of its own, fresh at random and wrapped under subject keys ([`RecordKeys`]); the decision id is
//! bound into the encryption, so a sealed record cannot be passed off as another decision's; what opens is what was
//! sealed, and every changed byte is refused; plaintext is wiped from memory that this module owns.
//! Does not do: finding sealed records (the store does), keeping keys (the keyring does), hiding how long a record is.
//! Specification: COSE_Encrypt0 (RFC 9052, section 5.2) with AES-256-GCM (RFC 9053, section 4.1).
//!
//! ```text
//! 16([ h'a10103',                        protected: {alg: A256GCM}
//!      { 5: nonce,                       unprotected
//!        -70001: wrapped record key,
//!        -70002: names of subject keys, 16 bytes each; or, sealed before there were any, 4: key-encryption key },
//!      ciphertext ])
//! external_aad = ["ledgerstone/sealed/v1", decision id as 16 bytes, ?kind of the entry unless it is the decision's]
//! plaintext    = { 1: record secret, 2: [[path, value], ...], ?3: request, ?4: response }
//! ```
//!
//! Names of keys and the wrapped key stand outside the protected part; changing one gives another record key or none, and with
//! it the ciphertext does not open.

use aes_gcm::aead::{Aead as _, Payload};
use aes_gcm::{Aes256Gcm, KeyInit as _, Nonce};
use bytes::Bytes;
use coset::cbor::value::Value as CborValue;
use coset::{
    CoseEncrypt0, CoseEncrypt0Builder, Header, HeaderBuilder, Label, TaggedCborSerializable as _, iana,
};
use ledgerstone::code::Code;
use ledgerstone::encoding::cbor::Writer;
use ledgerstone::entry::{DecisionId, Entry, Kind};
use ledgerstone::limits::SEALED_BYTES_MAX;
use ledgerstone::record::{
    Contents, FieldTree, LABEL_SUBJECT_KEYS, LABEL_WRAPPED_KEY, Record, RecordSecret, SealedUnder,
    SubjectKeyId, encode_contents,
};
use zeroize::Zeroizing;

use crate::keyring::{
    KEY_BYTES, KeptKey, KeyId, KeyProvider, KeyringError, RecordKey, RecordKeys, Taken, Under, WrappedKey,
};

/// First item of the external data: nothing sealed for another purpose opens as a record.
const DOMAIN: &str = "ledgerstone/sealed/v1";

/// Length of an AES-GCM nonce.
const NONCE_BYTES: usize = 12;

/// What a sealed record holds.
#[derive(Clone, Debug)]
pub struct SealedContent {
    /// What the salts of the field tree are derived from.
    pub secret: RecordSecret,
    /// The fields.
    pub record: Record,
    /// The request as protobuf bytes, where the route keeps it.
    pub request: Option<Bytes>,
    /// The response as protobuf bytes, where the route keeps it.
    pub response: Option<Bytes>,
}

impl SealedContent {
    /// The field tree, if it is the one that `entry` commits to.
    #[must_use]
    pub fn committed(&self, entry: &Entry) -> Option<FieldTree<'_>> {
        let tree = self.record.commit(&self.secret);
        (Some(tree.commitment()) == entry.commitment).then_some(tree)
    }
}

/// Seals as [`seal_under`] does, under a fresh key that the key-encryption key of `keys` wraps itself.
///
/// # Errors
/// As [`seal_under`].
pub fn seal(
    keys: &dyn KeyProvider,
    decision: &DecisionId,
    kind: Kind,
    content: &SealedContent,
) -> Result<Vec<u8>, SealError> {
    seal_under(keys, &Taken::PROVIDER, decision, kind, content)
}

/// Seals `content` as the record of the entry of `kind` about `decision`, under a fresh key that `keys` wraps under those `taken`.
///
/// # Errors
/// [`SealError`] if the keys or randomness are not to be had, or the result would be larger than
/// [`SEALED_BYTES_MAX`].
pub fn seal_under<K: RecordKeys + ?Sized>(
    keys: &K,
    taken: &Taken,
    decision: &DecisionId,
    kind: Kind,
    content: &SealedContent,
) -> Result<Vec<u8>, SealError> {
    let random = random::<{ KEY_BYTES + NONCE_BYTES }>()?;
    let (key, nonce) = random.split_first_chunk::<KEY_BYTES>().ok_or(SealError::NoRandomness)?;
    let key = RecordKey::new(Zeroizing::new(*key));
    let nonce: [u8; NONCE_BYTES] = nonce.try_into().map_err(|_| SealError::NoRandomness)?;
    let kept = keys.keep(taken, &key).map_err(SealError::Keys)?;
    let plaintext = plaintext(content);
    if plaintext.len() > SEALED_BYTES_MAX {
        return Err(SealError::TooLarge);
    }
    let message = CoseEncrypt0Builder::new()
        .protected(HeaderBuilder::new().algorithm(iana::Algorithm::A256GCM).build())
        .unprotected(unprotected(&kept, &nonce))
        .try_create_ciphertext(&plaintext, &external(decision, kind), |plaintext, aad| {
            let payload = Payload { msg: plaintext, aad };
            cipher(&key).encrypt(&Nonce::from(nonce), payload)
        })
        .map_err(|_| SealError::TooLarge)?
        .build();
    let sealed = message.to_tagged_vec().map_err(|_| SealError::TooLarge)?;
    if sealed.len() > SEALED_BYTES_MAX {
        return Err(SealError::TooLarge);
    }
    Ok(sealed)
}

/// Opens the sealed record of the entry of `kind` about `decision`.
///
/// # Errors
/// [`OpenError`] if the bytes are not the sealed record of this decision, or the key is not to be had.
pub fn open<K: RecordKeys + ?Sized>(
    keys: &K,
    decision: &DecisionId,
    kind: Kind,
    sealed: &[u8],
) -> Result<SealedContent, OpenError> {
    let (message, kept, nonce) = read(sealed)?;
    let key = keys.record_key(&kept).map_err(OpenError::Keys)?;
    let plaintext = message.decrypt_ciphertext(
        &external(decision, kind),
        || OpenError::Malformed,
        |ciphertext, aad| {
            let payload = Payload { msg: ciphertext, aad };
            cipher(&key).decrypt(&Nonce::from(nonce), payload).map_err(|_| OpenError::Changed)
        },
    )?;
    let plaintext = Zeroizing::new(plaintext);
    content(&plaintext)
}

/// What the record of an entry of `kind` is sealed for: its decision, or of an access to a stretch of the log nothing but its kind.
#[must_use]
pub fn sealed_for(decision: Option<DecisionId>, kind: Kind) -> Option<DecisionId> {
    decision.or_else(|| (kind == Kind::Access).then(|| DecisionId::from_bytes([0; 16])))
}

/// The wrapped key of a sealed record and what it is wrapped under.
///
/// # Errors
/// [`OpenError::Malformed`] if the bytes are no sealed record.
pub fn kept(sealed: &[u8]) -> Result<KeptKey, OpenError> {
    read(sealed).map(|(_, kept, _)| kept)
}

/// The parts of a sealed record, in the one spelling that it has.
fn read(sealed: &[u8]) -> Result<(CoseEncrypt0, KeptKey, [u8; NONCE_BYTES]), OpenError> {
    let message = CoseEncrypt0::from_tagged_slice(sealed).map_err(|_| OpenError::Malformed)?;
    let again = message.clone().to_tagged_vec().map_err(|_| OpenError::Malformed)?;
    if again != sealed {
        return Err(OpenError::Malformed);
    }
    let (kept, nonce) = parts(&message.unprotected)?;
    let expected = HeaderBuilder::new().algorithm(iana::Algorithm::A256GCM).build();
    // The library reads the header by itself, for those who have no keys: the two must agree.
    let agree = match (&kept.under, SealedUnder::read(sealed)) {
        (Under::Provider(_), Ok(SealedUnder::Provider)) => true,
        (Under::Subjects(ours), Ok(SealedUnder::Subjects(theirs))) => *ours == theirs,
        _ => false,
    };
    if agree && message.protected.header == expected {
        Ok((message, kept, nonce))
    } else {
        Err(OpenError::Malformed)
    }
}

/// Fresh random bytes, wiped when dropped.
///
/// # Errors
/// [`SealError::NoRandomness`] if the operating system gives none.
pub fn random<const N: usize>() -> Result<Zeroizing<[u8; N]>, SealError> {
    let mut bytes = Zeroizing::new([0; N]);
    getrandom::fill(bytes.as_mut_slice()).map_err(|_| SealError::NoRandomness)?;
    Ok(bytes)
}

fn cipher(key: &RecordKey) -> Aes256Gcm {
    Aes256Gcm::new(&(*key.expose()).into())
}

/// What the encryption binds beside the plaintext. A decision's own record is bound to its id; what was added to it is bound to
/// its kind too, so that a notice does not open as the decision.
fn external(decision: &DecisionId, kind: Kind) -> Vec<u8> {
    let mut writer = Writer::new();
    let own = kind == Kind::Decision;
    writer.array(if own { 2 } else { 3 }).text(DOMAIN).bytes(decision.as_bytes());
    if !own {
        writer.uint(kind.number());
    }
    writer.into_bytes()
}

fn unprotected(kept: &KeptKey, nonce: &[u8; NONCE_BYTES]) -> Header {
    let mut header = HeaderBuilder::new().iv(nonce.to_vec());
    if let Under::Provider(id) = &kept.under {
        header = header.key_id(id.as_str().as_bytes().to_vec());
    }
    header = header.value(LABEL_WRAPPED_KEY, CborValue::Bytes(kept.wrapped.as_bytes().to_vec()));
    if let Under::Subjects(keys) = &kept.under {
        header = header.value(LABEL_SUBJECT_KEYS, CborValue::Bytes(SubjectKeyId::join(keys)));
    }
    header.build()
}

/// The parts of the unprotected header; anything else in it is refused, because nothing protects it.
fn parts(header: &Header) -> Result<(KeptKey, [u8; NONCE_BYTES]), OpenError> {
    let (wrapped, under) = match header.rest.as_slice() {
        [(Label::Int(LABEL_WRAPPED_KEY), CborValue::Bytes(wrapped))] => {
            let id = str::from_utf8(&header.key_id).ok().and_then(|id| KeyId::new(id).ok());
            (wrapped, Under::Provider(id.ok_or(OpenError::Malformed)?))
        }
        [
            (Label::Int(LABEL_WRAPPED_KEY), CborValue::Bytes(wrapped)),
            (Label::Int(LABEL_SUBJECT_KEYS), CborValue::Bytes(keys)),
        ] => (wrapped, Under::Subjects(SubjectKeyId::list(keys).ok_or(OpenError::Malformed)?)),
        _ => return Err(OpenError::Malformed),
    };
    let nonce = header.iv.as_slice().try_into().map_err(|_| OpenError::Malformed)?;
    let kept =
        KeptKey { under, wrapped: WrappedKey::new(wrapped.clone()).map_err(|_| OpenError::Malformed)? };
    if *header == unprotected(&kept, &nonce) { Ok((kept, nonce)) } else { Err(OpenError::Malformed) }
}

fn plaintext(content: &SealedContent) -> Zeroizing<Vec<u8>> {
    let [request, response] = [&content.request, &content.response].map(Option::as_deref);
    encode_contents(&content.secret, &content.record, request, response)
}

fn content(plaintext: &[u8]) -> Result<SealedContent, OpenError> {
    let contents = Contents::decode(plaintext).map_err(|_| OpenError::Content)?;
    let [request, response] =
        [contents.request, contents.response].map(|bytes| bytes.map(Bytes::copy_from_slice));
    Ok(SealedContent { secret: contents.secret, record: contents.record, request, response })
}

/// Why a record could not be sealed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// The operating system gave no random bytes.
    #[error("the operating system gives no random bytes; nothing can be sealed until it does")]
    NoRandomness,
    /// The key provider failed.
    #[error("the record key cannot be wrapped: {0}")]
    Keys(#[source] KeyringError),
    /// The sealed record would be larger than the limit.
    #[error(
        "the sealed record would be larger than {SEALED_BYTES_MAX} bytes; lower limits.message_bytes_max"
    )]
    TooLarge,
}

impl SealError {
    /// What the reader must do about it.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::NoRandomness => Code::Unavailable,
            Self::Keys(error) => error.code(),
            Self::TooLarge => Code::Limit,
        }
    }
}

/// Why a sealed record did not open.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The bytes are not a sealed record.
    #[error("these bytes are not a sealed record; fetch them again")]
    Malformed,
    /// The key is not to be had, or the wrapped key was changed.
    #[error("the sealed record cannot be opened: {0}")]
    Keys(#[source] KeyringError),
    /// The ciphertext was changed, or belongs to another decision.
    #[error("the sealed record was changed, or it belongs to another decision")]
    Changed,
    /// What came out is not a record, although the key fits.
    #[error("the sealed record opened, but holds no record; it was sealed by something else")]
    Content,
}

impl OpenError {
    /// What the reader must do about it.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Malformed | Self::Content => Code::Malformed,
            Self::Keys(error) => error.code(),
            Self::Changed => Code::Inconsistent,
        }
    }
}

#[cfg(test)]
mod tests;
