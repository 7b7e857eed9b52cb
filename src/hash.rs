//! SHA-256 as RFC 6962 uses it: one hash for leaves, another for nodes.
//!
//! Guarantees: a leaf hash can never be taken for a node hash, because each is computed under its own prefix byte
//! (RFC 6962, section 2.1). Does not do: anything with a key other than the one HMAC the field salts need.
//! This is the only file that names the digest crate.

use core::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

/// Prefix of a leaf's preimage (RFC 6962, section 2.1).
const LEAF_PREFIX: u8 = 0x00;
/// Prefix of an inner node's preimage (RFC 6962, section 2.1).
const NODE_PREFIX: u8 = 0x01;

/// A SHA-256 digest, 32 bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash([u8; Hash::LEN]);

impl Hash {
    /// Length of a digest in bytes.
    pub const LEN: usize = 32;

    /// Takes a digest that was computed elsewhere.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    /// Plain SHA-256 of `data`, without any prefix.
    #[must_use]
    pub fn of(data: &[u8]) -> Self {
        Self(Sha256::digest(data).into())
    }

    /// The digest's bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }
}

impl TryFrom<&[u8]> for Hash {
    type Error = core::array::TryFromSliceError;

    fn try_from(bytes: &[u8]) -> Result<Self, Self::Error> {
        <[u8; Self::LEN]>::try_from(bytes).map(Self)
    }
}

impl AsRef<[u8]> for Hash {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hash({self})")
    }
}

/// SHA-256 over bytes that arrive in pieces.
#[derive(Clone, Default)]
pub struct StreamHasher(Sha256);

impl StreamHasher {
    /// Starts with no bytes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends `data` to the preimage.
    pub fn update(&mut self, data: &[u8]) {
        self.0.update(data);
    }

    /// The digest of everything appended.
    #[must_use]
    pub fn finish(self) -> Hash {
        Hash(self.0.finalize().into())
    }
}

impl fmt::Debug for StreamHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StreamHasher(..)")
    }
}

/// The leaf hash of an entry's exact bytes: `SHA-256(0x00 || entry)`.
#[must_use]
pub fn leaf_hash(entry: &[u8]) -> Hash {
    let mut hasher = StreamHasher::new();
    hasher.update(&[LEAF_PREFIX]);
    hasher.update(entry);
    hasher.finish()
}

/// The hash of an inner node: `SHA-256(0x01 || left || right)`.
#[must_use]
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut hasher = StreamHasher::new();
    hasher.update(&[NODE_PREFIX]);
    hasher.update(&left.0);
    hasher.update(&right.0);
    hasher.finish()
}

/// The root hash of a tree without leaves: SHA-256 of nothing.
#[must_use]
pub fn empty_root() -> Hash {
    Hash::of(&[])
}

/// An HMAC-SHA-256 key (RFC 2104), prepared once for many messages.
#[derive(Clone)]
pub struct HmacKey(Hmac<Sha256>);

impl HmacKey {
    /// Prepares `key`.
    #[must_use]
    pub fn new(key: &[u8; 32]) -> Self {
        Self::padded(key)
    }

    /// Prepares a key of another length, at most the block of SHA-256, 64 bytes: RFC 2104 has a longer one hashed first.
    #[must_use]
    pub fn from_slice(key: &[u8]) -> Option<Self> {
        (key.len() <= 64).then(|| Self::padded(key))
    }

    fn padded(key: &[u8]) -> Self {
        // RFC 2104 pads a key that is shorter than the block (64 bytes) with zeros.
        let mut block = [0_u8; 64];
        block.iter_mut().zip(key).for_each(|(to, from)| *to = *from);
        Self(Hmac::new(&block.into()))
    }

    /// The tag of `data`, 32 bytes.
    #[must_use]
    pub fn tag(&self, data: &[u8]) -> [u8; 32] {
        let mut mac = self.0.clone();
        mac.update(data);
        mac.finalize().into_bytes().into()
    }
}

impl fmt::Debug for HmacKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HmacKey(..)")
    }
}

/// HMAC-SHA-256 (RFC 2104) of one message under a 32-byte key.
#[must_use]
pub fn hmac_sha256(key: &[u8; 32], data: &[u8]) -> [u8; 32] {
    HmacKey::new(key).tag(data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_the_empty_tree_as_rfc_6962_says() {
        assert_eq!(
            empty_root().to_string(),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
    }

    #[test]
    fn hashes_an_empty_leaf_as_rfc_6962_says() {
        assert_eq!(
            leaf_hash(&[]).to_string(),
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
        );
    }

    #[test]
    fn never_hashes_a_leaf_as_the_node_of_the_same_bytes() {
        let left = Hash::of(b"left");
        let right = Hash::of(b"right");
        let joined = [left.0, right.0].concat();
        assert_ne!(leaf_hash(&joined), node_hash(&left, &right));
    }

    #[test]
    fn keeps_the_hmac_of_rfc_4231_test_case_2_after_padding_the_key() {
        // RFC 4231, section 4.3; a key shorter than the block is padded with zeros, so padding it here changes nothing.
        let mut key = [0_u8; 32];
        key[..4].copy_from_slice(b"Jefe");
        let tag = hmac_sha256(&key, b"what do ya want for nothing?");
        assert_eq!(
            Hash::from_bytes(tag).to_string(),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }
}
