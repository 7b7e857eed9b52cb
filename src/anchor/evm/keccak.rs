//! Keccak-256 as Ethereum uses it: the padding of the competition, not that of FIPS 202.
//!
//! Guarantees: nothing beyond the hash. This is the only file that names its crate.

use sha3::{Digest, Keccak256};

/// 32 bytes: a Keccak digest, a storage slot, a storage value.
pub type Word = [u8; 32];

/// Keccak-256 of `data`.
#[must_use]
pub fn keccak256(data: &[u8]) -> Word {
    Keccak256::digest(data).into()
}

/// Keccak-256 of two pieces, one after the other.
#[must_use]
pub(super) fn keccak256_of(first: &[u8], second: &[u8]) -> Word {
    let mut hasher = Keccak256::new();
    hasher.update(first);
    hasher.update(second);
    hasher.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoding::hex_encode;

    #[test]
    fn hashes_nothing_and_the_empty_list_as_ethereum_does() {
        assert_eq!(
            hex_encode(&keccak256(b"")),
            "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"
        );
        assert_eq!(
            hex_encode(&keccak256(&[0xc0])),
            "1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347"
        );
        assert_eq!(keccak256_of(b"ab", b"c"), keccak256(b"abc"));
    }
}
