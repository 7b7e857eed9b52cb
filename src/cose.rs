//! COSE receipts: the log's inclusion proof in the form that standard tools check (RFC 9942, RFC9162_SHA256).
//!
//! Guarantees: one encoding per receipt, so bytes that decode are the very bytes that its facts encode to; the root is never
//! carried, a verifier computes it from the entry and the path before it looks at the signature; the key that signs is the
//! log's receipt key, which signs nothing else. Does not do: deciding whose keys count (`policy`), consistency proofs, trees of
//! one leaf, whose path is empty and has no form in RFC 9942.
//! Specification: `docs/spec/receipt.md`, section "The COSE receipt".

mod key;

use crate::code::Code;
use crate::encoding::cbor::{CborError, Reader, Writer};
use crate::hash::Hash;
use crate::limits::{COSE_RECEIPT_BYTES_MAX, PROOF_HASHES_MAX};
use crate::merkle::inclusion::{self, InclusionError};
use crate::merkle::{LeafIndex, TreeSize};
use crate::note::{KeyName, SignatureError};

pub use key::{ReceiptKey, ReceiptKeyError, ReceiptSigningKey, ReceiptSigningKeyError};

/// Media type of a COSE_Sign1 message (RFC 9052, section 2).
pub const COSE_TYPE: &str = "application/cose; cose-type=\"cose-sign1\"";

/// Media type of a receipt of a transparency service (RFC 9943).
pub const SCITT_RECEIPT_TYPE: &str = "application/scitt-receipt+cose";

/// The one-byte head of tag 18, COSE_Sign1 (RFC 9052, section 4.2); RFC 9942 asks for it.
const TAG_SIGN1: u8 = 0xd2;

/// Header parameters (IANA, COSE Header Parameters) and what they hold here.
const ALG: i128 = 1;
const KID: i128 = 4;
const CWT_CLAIMS: i128 = 15;
const VDS: i128 = 395;
const VDP: i128 = 396;
/// `Ed25519`, fully specified (RFC 9864).
const ALG_ED25519: i128 = -19;
/// `RFC9162_SHA256`.
const VDS_RFC9162_SHA256: i128 = 1;
/// Inclusion proofs among the proofs of that structure.
const INCLUSION: i128 = -1;
/// The claim `iss` (RFC 8392): the log's origin.
const ISS: i128 = 1;
/// A claim of ours, from the range for private use: the leaves of the tree. RFC 9942 signs the root alone, and a path to it may
/// fit trees of several sizes; with the size signed, it fits one place only.
const TREE_SIZE: i128 = -65_537;

/// Bytes of an Ed25519 signature.
const SIGNATURE_BYTES: usize = 64;

/// A signed inclusion proof. Nothing of it is believed by decoding it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoseReceipt {
    issuer: KeyName,
    kid: Hash,
    size: TreeSize,
    index: LeafIndex,
    path: Vec<Hash>,
    signature: [u8; SIGNATURE_BYTES],
}

impl CoseReceipt {
    /// Signs the root that the entry with hash `leaf` leads to from `index` by `path` in the tree of `size` leaves.
    ///
    /// # Errors
    /// The path does not fit its place, or the tree has one leaf only.
    pub fn sign(
        key: &ReceiptSigningKey,
        leaf: &Hash,
        index: LeafIndex,
        size: TreeSize,
        path: Vec<Hash>,
    ) -> Result<Self, CoseReceiptError> {
        if path.is_empty() || path.len() > PROOF_HASHES_MAX {
            return Err(CoseReceiptError::Path);
        }
        let root = inclusion::root_from_proof(leaf, index, size, &path)?;
        let (issuer, kid) = (key.receipt_key().origin().clone(), *key.receipt_key().kid());
        let signature = key.sign(&to_be_signed(&protected(&issuer, &kid, size), &root));
        Ok(Self { issuer, kid, size, index, path, signature })
    }

    /// Reads a receipt, tag and all.
    ///
    /// # Errors
    /// Says what of it has another form.
    pub fn decode(bytes: &[u8]) -> Result<Self, CoseReceiptError> {
        if bytes.len() > COSE_RECEIPT_BYTES_MAX {
            return Err(CoseReceiptError::TooLong { bytes: bytes.len() });
        }
        let message = bytes.strip_prefix(&[TAG_SIGN1]).ok_or(CoseReceiptError::Tag)?;
        let mut reader = Reader::new(message);
        reader.array_of(4)?;
        let (issuer, stated, kid) = read_protected(reader.bytes()?)?;
        let mut proofs = None;
        let mut unprotected = reader.map()?;
        while let Some(label) = unprotected.next_key(&mut reader, Reader::int)? {
            if label != VDP {
                return Err(CoseReceiptError::Header);
            }
            proofs = Some(read_proofs(&mut reader)?);
        }
        let (size, index, path) = proofs.ok_or(CoseReceiptError::Header)?;
        reader.null()?;
        let signature = reader.byte_array()?;
        reader.finish()?;
        if stated != size {
            return Err(CoseReceiptError::OtherSize { stated, proved: size });
        }
        Ok(Self { issuer, kid, size, index, path, signature })
    }

    /// The receipt's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut proof = Writer::new();
        proof.array(3).uint(self.size.get()).uint(self.index.get()).array(self.path.len());
        for hash in &self.path {
            proof.bytes(hash.as_bytes());
        }
        let mut writer = Writer::new();
        writer.array(4).bytes(&protected(&self.issuer, &self.kid, self.size));
        writer.map(1).int(VDP).map(1).int(INCLUSION).array(1).bytes(proof.as_bytes());
        writer.null().bytes(&self.signature);
        let mut bytes = vec![TAG_SIGN1];
        bytes.extend_from_slice(writer.as_bytes());
        bytes
    }

    /// Believes, if it returns, that the log of `key` had the entry with hash `leaf` in a tree that it signed.
    ///
    /// # Errors
    /// The path does not fit its place, or `key` did not sign the root that it leads to.
    pub fn verify(&self, leaf: &Hash, key: &ReceiptKey) -> Result<(), CoseReceiptError> {
        if self.kid != *key.kid() || self.issuer != *key.origin() {
            return Err(CoseReceiptError::OtherKey);
        }
        let root = inclusion::root_from_proof(leaf, self.index, self.size, &self.path)?;
        let signed = to_be_signed(&protected(&self.issuer, &self.kid, self.size), &root);
        Ok(key.verifier_key().verify_message(&signed, &self.signature)?)
    }

    /// The log that issued it, as it says.
    #[must_use]
    pub const fn issuer(&self) -> &KeyName {
        &self.issuer
    }

    /// Which of the log's receipt keys signed it, as it says: the key's thumbprint.
    #[must_use]
    pub const fn kid(&self) -> &Hash {
        &self.kid
    }

    /// Leaves in the tree that it is about.
    #[must_use]
    pub const fn size(&self) -> TreeSize {
        self.size
    }

    /// The entry's place in that tree.
    #[must_use]
    pub const fn index(&self) -> LeafIndex {
        self.index
    }

    /// The hashes from the entry's leaf to the root, lowest first.
    #[must_use]
    pub fn path(&self) -> &[Hash] {
        &self.path
    }
}

/// The protected header: algorithm, key, issuer and size, kind of tree.
fn protected(issuer: &KeyName, kid: &Hash, size: TreeSize) -> Vec<u8> {
    let mut writer = Writer::new();
    writer.map(4).int(ALG).int(ALG_ED25519).int(KID).bytes(kid.as_bytes());
    writer.int(CWT_CLAIMS).map(2).int(ISS).text(issuer.as_str()).int(TREE_SIZE).uint(size.get());
    writer.int(VDS).int(VDS_RFC9162_SHA256);
    writer.into_bytes()
}

/// `Sig_structure` (RFC 9052, section 4.4) over the detached root.
fn to_be_signed(protected: &[u8], root: &Hash) -> Vec<u8> {
    let mut writer = Writer::new();
    writer.array(4).text("Signature1").bytes(protected).bytes(&[]).bytes(root.as_bytes());
    writer.into_bytes()
}

fn read_protected(bytes: &[u8]) -> Result<(KeyName, TreeSize, Hash), CoseReceiptError> {
    let mut reader = Reader::new(bytes);
    let mut header = reader.map()?;
    let (mut alg, mut kid, mut claims, mut vds) = (None, None, None, None);
    while let Some(label) = header.next_key(&mut reader, Reader::int)? {
        match label {
            ALG => alg = Some(reader.int()?),
            KID => kid = Some(Hash::from_bytes(reader.byte_array()?)),
            CWT_CLAIMS => claims = Some(read_claims(&mut reader)?),
            VDS => vds = Some(reader.int()?),
            _ => return Err(CoseReceiptError::Header),
        }
    }
    reader.finish()?;
    if (alg, vds) != (Some(ALG_ED25519), Some(VDS_RFC9162_SHA256)) {
        return Err(CoseReceiptError::Algorithm);
    }
    let ((issuer, size), kid) = claims.zip(kid).ok_or(CoseReceiptError::Header)?;
    Ok((issuer, size, kid))
}

fn read_claims(reader: &mut Reader<'_>) -> Result<(KeyName, TreeSize), CoseReceiptError> {
    let mut claims = reader.map()?;
    let (mut issuer, mut size) = (None, None);
    while let Some(claim) = claims.next_key(reader, Reader::int)? {
        match claim {
            ISS => issuer = Some(KeyName::new(reader.text()?).map_err(|_| CoseReceiptError::Issuer)?),
            TREE_SIZE => size = Some(TreeSize::new(reader.uint()?)),
            _ => return Err(CoseReceiptError::Header),
        }
    }
    issuer.zip(size).ok_or(CoseReceiptError::Header)
}

fn read_proofs(reader: &mut Reader<'_>) -> Result<(TreeSize, LeafIndex, Vec<Hash>), CoseReceiptError> {
    let mut proofs = reader.map()?;
    let mut found = None;
    while let Some(kind) = proofs.next_key(reader, Reader::int)? {
        if kind != INCLUSION {
            return Err(CoseReceiptError::Header);
        }
        reader.array_of(1)?;
        found = Some(read_proof(reader.bytes()?)?);
    }
    found.ok_or(CoseReceiptError::Header)
}

fn read_proof(bytes: &[u8]) -> Result<(TreeSize, LeafIndex, Vec<Hash>), CoseReceiptError> {
    let mut reader = Reader::new(bytes);
    reader.array_of(3)?;
    let (size, index) = (TreeSize::new(reader.uint()?), LeafIndex::new(reader.uint()?));
    let hashes = reader.array()?;
    if hashes == 0 || hashes > PROOF_HASHES_MAX {
        return Err(CoseReceiptError::Path);
    }
    let path = (0..hashes).map(|_| reader.byte_array().map(Hash::from_bytes)).collect::<Result<_, _>>()?;
    reader.finish()?;
    Ok((size, index, path))
}

/// Why bytes are not a COSE receipt, or one is not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CoseReceiptError {
    /// More bytes than [`COSE_RECEIPT_BYTES_MAX`].
    #[error("{bytes} bytes are more than a COSE receipt can have ({COSE_RECEIPT_BYTES_MAX}): fetch it again")]
    TooLong {
        /// How many bytes there were.
        bytes: usize,
    },
    /// Not tagged as COSE_Sign1.
    #[error("it is not tagged as COSE_Sign1 (18): fetch it again")]
    Tag,
    /// Not the deterministic CBOR that a receipt is.
    #[error("{0}")]
    Cbor(#[from] CborError),
    /// A header parameter or claim that does not belong here, or one that is missing.
    #[error("it has another set of header parameters than a receipt of this log: fetch it again")]
    Header,
    /// Another algorithm or tree.
    #[error("its algorithm is not Ed25519 (-19), or its tree not RFC9162_SHA256 (1)")]
    Algorithm,
    /// The issuer cannot be an origin.
    #[error("its issuer cannot be the name of a log")]
    Issuer,
    /// The size that is signed is not the proof's.
    #[error(
        "it was signed for a tree of {stated} leaves, and its proof is for one of {proved}: fetch it again"
    )]
    OtherSize {
        /// What was signed.
        stated: TreeSize,
        /// What the proof says.
        proved: TreeSize,
    },
    /// No hash, or more than any tree needs.
    #[error(
        "its path has no hash, or more than {PROOF_HASHES_MAX}: RFC 9942 has no form for a tree of one leaf"
    )]
    Path,
    /// The path does not fit the place.
    #[error("{0}")]
    Inclusion(#[from] InclusionError),
    /// It names another key or log.
    #[error("it names another key than this one")]
    OtherKey,
    /// The signature does not hold.
    #[error("{0}")]
    Signature(#[from] SignatureError),
}

impl CoseReceiptError {
    /// What the reader must do about it.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::TooLong { .. } => Code::Limit,
            Self::Cbor(source) => source.code(),
            Self::Inclusion(source) => source.code(),
            Self::OtherKey => Code::Untrusted,
            Self::Signature(source) => source.code(),
            _ => Code::Malformed,
        }
    }
}
