//! The field tree: salted hashes of a record's fields, a Merkle tree over them, and multiproofs that open some.
//!
//! Guarantees: a leaf binds its own place, the number of fields, its path, its salt and its value, so an opening can
//! neither move, nor be taken for another record's, nor be guessed without the salt. The tree is RFC 6962's with
//! SHA-256. Does not do: checking; `rs_merkle` builds trees and proofs here and never decides, the checker is
//! [`crate::disclosure`]. Specification: `docs/spec/field-tree.md`. Carries INV-8.

use rs_merkle::{Hasher, MerkleTree};

use super::{Field, FieldPath, Record, RecordSecret, Value};
use crate::code::Code;
use crate::encoding::cbor::Writer;
use crate::hash::{Hash, HmacKey, leaf_hash, node_hash};

/// First item of every leaf preimage: what is hashed, and by which version of the rules.
const DOMAIN: &str = "ledgerstone/field/v1";

/// What the log's entry says about a record's fields: enough to check an opening, nothing about the content but how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Commitment {
    /// Root hash of the field tree.
    pub root: Hash,
    /// Number of fields.
    pub count: u32,
}

/// One field made public: everything that its leaf hash is computed from, but the number of fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opening {
    /// The field's place in the record, the first being 0.
    pub index: u32,
    /// The field's path.
    pub path: FieldPath,
    /// The field's salt; it says nothing about another field's.
    pub salt: [u8; 32],
    /// The field's value.
    pub value: Value,
}

/// Some fields made public, and the hashes that stand for all others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Disclosure {
    /// The fields, by rising index.
    pub openings: Vec<Opening>,
    /// Hashes of the nodes that cannot be computed from the openings: lowest level first, each level from left to right.
    pub proof: Vec<Hash>,
}

/// Why fields cannot be disclosed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DiscloseError {
    /// No index was given.
    #[error("no field chosen: a disclosure opens at least one")]
    Nothing,
    /// The indices do not rise strictly.
    #[error("the field indices must rise, each one once")]
    NotRising,
    /// An index that the record does not have.
    #[error("the record has {count} fields and none at index {index}")]
    OutOfRange {
        /// The index.
        index: usize,
        /// How many fields there are.
        count: u32,
    },
}

impl DiscloseError {
    /// What the reader must do next.
    #[must_use]
    pub const fn code(self) -> Code {
        Code::Misuse
    }
}

/// The committed form of a record: its tree and the salts.
pub struct FieldTree<'a> {
    fields: &'a [Field],
    salts: Vec<[u8; 32]>,
    tree: MerkleTree<Rfc6962>,
    commitment: Commitment,
}

impl<'a> FieldTree<'a> {
    /// Salts and hashes every field of `record`.
    #[expect(
        clippy::expect_used,
        reason = "a Record has 1 to FIELDS_MAX fields, so the count fits and the tree has a root"
    )]
    pub(super) fn build(record: &'a Record, secret: &RecordSecret) -> Self {
        let fields = record.fields();
        let count = u32::try_from(fields.len()).expect("a record has at most FIELDS_MAX fields");
        let key = HmacKey::new(secret.as_bytes());
        let mut salts = Vec::with_capacity(fields.len());
        let mut leaves = Vec::with_capacity(fields.len());
        let mut writer = Writer::with_capacity(256);
        for (index, field) in (0..count).zip(fields) {
            let salt = key.tag(field.path.as_str().as_bytes());
            writer.clear();
            write_preimage(&mut writer, index, count, &field.path, &salt, &field.value);
            leaves.push(*leaf_hash(writer.as_bytes()).as_bytes());
            salts.push(salt);
        }
        assert_eq!(
            salts.len(),
            fields.len(),
            "INV-8: no field is hashed into a public root without its salt"
        );
        let tree = MerkleTree::from_leaves(&leaves);
        let root = Hash::from_bytes(tree.root().expect("a record has a field"));
        Self { fields, salts, tree, commitment: Commitment { root, count } }
    }

    /// What goes into the log's entry.
    #[must_use]
    pub const fn commitment(&self) -> Commitment {
        self.commitment
    }

    /// Opens the fields at `indices`, which rise.
    ///
    /// # Errors
    /// [`DiscloseError`] if there are none, they do not rise strictly, or one is not there.
    pub fn disclose(&self, indices: &[usize]) -> Result<Disclosure, DiscloseError> {
        if indices.is_empty() {
            return Err(DiscloseError::Nothing);
        }
        if !indices.is_sorted_by(|a, b| a < b) {
            return Err(DiscloseError::NotRising);
        }
        let openings: Result<_, _> = indices.iter().map(|index| self.open(*index)).collect();
        let proof = self.tree.proof(indices);
        Ok(Disclosure {
            openings: openings?,
            proof: proof.proof_hashes().iter().copied().map(Hash::from_bytes).collect(),
        })
    }

    fn open(&self, index: usize) -> Result<Opening, DiscloseError> {
        let count = self.commitment.count;
        let out_of_range = DiscloseError::OutOfRange { index, count };
        let field = self.fields.get(index).ok_or(out_of_range)?;
        let salt = self.salts.get(index).ok_or(out_of_range)?;
        Ok(Opening {
            index: u32::try_from(index).map_err(|_| out_of_range)?,
            path: field.path.clone(),
            salt: *salt,
            value: field.value.clone(),
        })
    }
}

impl Opening {
    /// The leaf hash of this field in a record of `count` fields.
    #[must_use]
    pub fn leaf_hash(&self, count: u32) -> Hash {
        leaf_hash(&leaf_preimage(self, count))
    }
}

/// The exact bytes that are hashed, after the leaf prefix, for a field of a record of `count` fields.
#[must_use]
pub fn leaf_preimage(opening: &Opening, count: u32) -> Vec<u8> {
    let mut writer = Writer::with_capacity(128);
    write_preimage(&mut writer, opening.index, count, &opening.path, &opening.salt, &opening.value);
    writer.into_bytes()
}

fn write_preimage(
    writer: &mut Writer,
    index: u32,
    count: u32,
    path: &FieldPath,
    salt: &[u8; 32],
    value: &Value,
) {
    writer.array(6).text(DOMAIN).uint(index.into()).uint(count.into()).text(path.as_str()).bytes(salt);
    value.encode(writer);
}

/// Makes `rs_merkle` build RFC 6962 trees: leaves come hashed, nodes get the node prefix, a lone node moves up as it is.
#[derive(Clone)]
struct Rfc6962;

impl Hasher for Rfc6962 {
    type Hash = [u8; 32];

    /// `rs_merkle` calls this for leaves in constructors that are not used here.
    fn hash(data: &[u8]) -> Self::Hash {
        *leaf_hash(data).as_bytes()
    }

    fn concat_and_hash(left: &Self::Hash, right: Option<&Self::Hash>) -> Self::Hash {
        right
            .map_or(*left, |right| *node_hash(&Hash::from_bytes(*left), &Hash::from_bytes(*right)).as_bytes())
    }
}
