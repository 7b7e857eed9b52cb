//! What an admin port says to whoever looks after a sidecar.

use ledgerstone_verifier::admin::exposition::Exposition;
use ledgerstone_verifier::admin::{sinks, status};

/// A scrape that is read has no sample without a name.
pub(crate) fn exposition(bytes: &[u8]) -> bool {
    let Ok(read) = Exposition::parse(bytes) else { return false };
    assert!(read.all("").next().is_none());
    true
}

/// `/status`, or `/siem`.
pub(crate) fn sidecar_status(bytes: &[u8]) -> bool {
    status(bytes).is_ok() || sinks(bytes).is_ok()
}
