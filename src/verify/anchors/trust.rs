//! Whom a reader of anchors trusts.

use super::AnchorQuorum;
#[cfg(feature = "opentimestamps")]
use crate::anchor::bitcoin::BitcoinTrust;
#[cfg(feature = "evm")]
use crate::anchor::evm;
#[cfg(feature = "rfc3161")]
use crate::anchor::rfc3161;

/// Roots of trust for anchors, which come from elsewhere than what is checked. The empty one trusts nobody.
#[derive(Clone, Debug, Default)]
pub struct AnchorTrust {
    /// How many independent kinds must hold, if the reader asks for any.
    pub quorum: Option<AnchorQuorum>,
    /// Bitcoin blocks that the reader relies on.
    #[cfg(feature = "opentimestamps")]
    pub bitcoin: Option<BitcoinTrust>,
    /// EVM chains, each with its contract and what makes a block of it one of the chain.
    #[cfg(feature = "evm")]
    pub ethereum: Vec<evm::Trust>,
    /// Roots of timestamp authorities.
    #[cfg(feature = "rfc3161")]
    pub rfc3161: Option<rfc3161::Trust>,
}

impl AnchorTrust {
    /// How many independent kinds must hold, if the reader asks for any.
    #[must_use]
    pub const fn quorum(&self) -> Option<&AnchorQuorum> {
        self.quorum.as_ref()
    }
}
