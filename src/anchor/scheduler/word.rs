//! The fixed-size words of an EVM chain, each a type of its own so that none is taken for another.

use core::fmt;

use crate::encoding::hex_encode;

macro_rules! word {
    ($(#[$doc:meta])+ $name:ident, $len:literal) => {
        $(#[$doc])+
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $len]);

        impl $name {
            /// Length in bytes.
            pub const LEN: usize = $len;

            /// Takes the bytes.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; $len]) -> Self {
                Self(bytes)
            }

            /// The bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "0x{}", hex_encode(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{self}")
            }
        }
    };
}

word! {
    /// Keccak-256 of a signed transaction's bytes.
    TransactionHash, 32
}
word! {
    /// Keccak-256 of a block header's RLP.
    BlockHash, 32
}
word! {
    /// Keccak-256 of a contract's runtime code.
    CodeHash, 32
}
word! {
    /// An account: the last 20 bytes of its public key's Keccak-256. Shown in lower case, without a checksum.
    Address, 20
}

/// A block by its number and hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// Its height.
    pub number: u64,
    /// Its hash.
    pub hash: BlockHash,
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.number, self.hash)
    }
}

/// What a transaction offers for a unit of gas, in wei (EIP-1559).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fees {
    /// `maxFeePerGas`: base fee and tip together at most.
    pub max: u128,
    /// `maxPriorityFeePerGas`: the tip; never above `max`.
    pub tip: u128,
}
