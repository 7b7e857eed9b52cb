//! Signatures of model folders as OpenSSF model signing (OMS) writes them: a Sigstore bundle around a DSSE envelope around
//! an in-toto statement that lists every file.
//!
//! Guarantees: nothing of the statement is believed before the signature over it verified under the user's own key; the
//! digest that the statement gives as its subject must be that of the files it lists; a statement that lists a file twice,
//! or leaves out more than names inside the folder, is refused.
//! Does not do: certificates, keyless signatures and transparency logs (they are refused as not checked), signatures of
//! `model-signing` before 1.0, serialization by shards.
//! Specification: `docs/spec/model-manifest.md`.

mod key;

use ledgerstone::code::Code;
use ledgerstone::encoding::{base64_decode, hex_decode};
use ledgerstone::hash::Hash;
use ledgerstone::manifest::{Manifest, ManifestError, check_name};
use serde::Deserialize;
use serde::de::IgnoredAny;

pub use key::{Curve, KeyError, PUBLIC_KEY_BYTES_MAX, PublicKey};

/// Bytes of a bundle: 16,384 files of 150 bytes each beside names of 200 make 8 MiB as base64.
pub const BUNDLE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Paths that a signature may leave out.
const LEFT_OUT_MAX: usize = 1024;

const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";
const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";
const PREDICATE_TYPE: &str = "https://model_signing/signature/v1.0";

/// A signature file, taken apart and not believed yet.
#[derive(Clone, Debug)]
pub struct Bundle {
    payload: Vec<u8>,
    signature: Vec<u8>,
    hint: Option<String>,
}

impl Bundle {
    /// Takes the bytes of a signature file apart.
    ///
    /// # Errors
    /// [`OmsError`] if it is no bundle, or one that needs more than a public key.
    pub fn parse(bytes: &[u8]) -> Result<Self, OmsError> {
        if bytes.len() > BUNDLE_BYTES_MAX {
            return Err(OmsError::TooLarge);
        }
        let bundle: BundleJson = serde_json::from_slice(bytes).map_err(OmsError::Json)?;
        let material = bundle.verification_material;
        if material.certificate.is_some() || material.x509_certificate_chain.is_some() {
            return Err(OmsError::Certificate);
        }
        let key = material.public_key.ok_or(OmsError::Form("it names no public key"))?;
        let envelope = bundle.dsse_envelope.ok_or(OmsError::Form("it has no DSSE envelope"))?;
        if envelope.payload_type != PAYLOAD_TYPE {
            return Err(OmsError::Form("its payload is not an in-toto statement"));
        }
        let [signature] = envelope.signatures.as_slice() else {
            return Err(OmsError::Form("it has not exactly one signature"));
        };
        let base64 = |text: &str| base64_decode(text).map_err(|_| OmsError::Form("its base64 is broken"));
        Ok(Self {
            payload: base64(&envelope.payload)?,
            signature: base64(&signature.sig)?,
            hint: key.hint.filter(|hint| !hint.is_empty()),
        })
    }

    /// What was signed, if it was signed with the private key of `key`.
    ///
    /// # Errors
    /// [`OmsError`] if it was not, or what was signed is no list of files.
    pub fn verify(&self, key: &PublicKey) -> Result<Statement, OmsError> {
        if self.hint.as_ref().is_some_and(|hint| *hint != key.hint()) {
            return Err(OmsError::OtherKey);
        }
        key.verify(&pae(&self.payload), &self.signature).map_err(|_| OmsError::Signature)?;
        Statement::parse(&self.payload)
    }

    /// The bytes that the signature is over. They prove nothing by themselves.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }
}

/// What DSSE signs in place of a payload: its type and lengths are bound too.
fn pae(payload: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 {} {PAYLOAD_TYPE} {} ", PAYLOAD_TYPE.len(), payload.len());
    [head.as_bytes(), payload].concat()
}

/// A signed list of files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// What the signer called the folder; it says nothing about the files.
    pub name: String,
    /// The files.
    pub manifest: Manifest,
    /// The paths inside the folder that the signature leaves out.
    pub left_out: Vec<String>,
}

impl Statement {
    /// Reads an in-toto statement. Whoever signed it is another question.
    ///
    /// # Errors
    /// [`OmsError`] if it is not a list of files that gives its own subject digest.
    pub fn parse(bytes: &[u8]) -> Result<Self, OmsError> {
        let statement: StatementJson = serde_json::from_slice(bytes).map_err(OmsError::Json)?;
        if statement.kind != STATEMENT_TYPE {
            return Err(OmsError::Form("its payload is not an in-toto statement of version 1"));
        }
        if statement.predicate_type != PREDICATE_TYPE {
            return Err(OmsError::Predicate);
        }
        let [subject] = statement.subject.as_slice() else {
            return Err(OmsError::Form("it is not about exactly one model"));
        };
        let Serialization { method, hash_type, ignore_paths } = statement.predicate.serialization;
        if method != "files" || hash_type != "sha256" {
            return Err(OmsError::Serialization { method, hash_type });
        }
        if ignore_paths.len() > LEFT_OUT_MAX {
            return Err(OmsError::Form("it leaves out more than 1024 paths"));
        }
        for path in &ignore_paths {
            check_name(path)?;
        }
        let mut files = Vec::new();
        for Resource { name, algorithm, digest } in statement.predicate.resources {
            if algorithm != "sha256" {
                return Err(OmsError::Serialization { method, hash_type: algorithm });
            }
            files.push((name, sha256(&digest)?));
        }
        let manifest = Manifest::new(files)?;
        if sha256(&subject.digest.sha256)? != manifest.root() {
            return Err(OmsError::Subject);
        }
        Ok(Self { name: subject.name.clone(), manifest, left_out: ignore_paths })
    }
}

fn sha256(hex: &str) -> Result<Hash, OmsError> {
    let bytes = hex_decode(hex).ok();
    let hash = bytes.and_then(|bytes| Hash::try_from(bytes.as_slice()).ok());
    hash.ok_or(OmsError::Form("a digest is not 64 lowercase hexadecimal digits"))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BundleJson {
    verification_material: Material,
    dsse_envelope: Option<Envelope>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Material {
    public_key: Option<KeyHint>,
    certificate: Option<IgnoredAny>,
    x509_certificate_chain: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct KeyHint {
    hint: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    payload: String,
    payload_type: String,
    signatures: Vec<SignatureJson>,
}

#[derive(Deserialize)]
struct SignatureJson {
    sig: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StatementJson {
    #[serde(rename = "_type")]
    kind: String,
    subject: Vec<Subject>,
    predicate_type: String,
    predicate: Predicate,
}

#[derive(Deserialize)]
struct Subject {
    name: String,
    digest: SubjectDigest,
}

#[derive(Deserialize)]
struct SubjectDigest {
    sha256: String,
}

#[derive(Deserialize)]
struct Predicate {
    serialization: Serialization,
    resources: Vec<Resource>,
}

#[derive(Deserialize)]
struct Serialization {
    method: String,
    hash_type: String,
    #[serde(default)]
    ignore_paths: Vec<String>,
}

#[derive(Deserialize)]
struct Resource {
    name: String,
    algorithm: String,
    digest: String,
}

/// Why a signature file says nothing about a folder.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OmsError {
    /// More than [`BUNDLE_BYTES_MAX`] bytes.
    #[error("it has more than {BUNDLE_BYTES_MAX} bytes")]
    TooLarge,
    /// Not the JSON of a bundle or a statement.
    #[error("it is not the JSON of a model signature: {0}")]
    Json(#[source] serde_json::Error),
    /// JSON of another form.
    #[error("it is no signature of a model: {0}")]
    Form(&'static str),
    /// A signature that a certificate stands behind.
    #[error("it was made with a certificate or keyless, which is not checked here")]
    Certificate,
    /// A statement of another kind, such as those before version 1.0.
    #[error("its statement is not of the type {PREDICATE_TYPE}: sign again with model-signing 1.0 or later")]
    Predicate,
    /// Digests of shards, or of another hash function.
    #[error("it lists {method} by {hash_type}, and only files by sha256 are checked: sign again that way")]
    Serialization {
        /// How the folder was taken apart.
        method: String,
        /// What was hashed with.
        hash_type: String,
    },
    /// A list of files that is none.
    #[error("its list of files cannot be used: {0}")]
    Manifest(#[from] ManifestError),
    /// The digest in the subject is not that of the list.
    #[error("its subject's digest is not that of the files it lists")]
    Subject,
    /// The signature names another key.
    #[error("it names another key than this one")]
    OtherKey,
    /// The signature does not verify.
    #[error("it was not made with this key, or was changed since")]
    Signature,
}

impl OmsError {
    /// What the reader must do about it.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::TooLarge => Code::Limit,
            Self::Certificate => Code::Unavailable,
            Self::OtherKey | Self::Signature => Code::Untrusted,
            Self::Subject => Code::Inconsistent,
            Self::Manifest(error) => error.code(),
            Self::Json(_) | Self::Form(_) | Self::Predicate | Self::Serialization { .. } => Code::Malformed,
        }
    }
}
