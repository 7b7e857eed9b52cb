//! OpenTimestamps proofs down to a Bitcoin block.

use super::{Found, Proof, Standing};
use crate::anchor::bitcoin::BitcoinTrust;
use crate::anchor::opentimestamps::{DetachedTimestamp, Examination, examine};
use crate::check::Status;
use crate::hash::Hash;
use crate::verify::anchors::AnchorTrust;

pub(super) fn check(proof: &Proof<'_>, trust: Option<&AnchorTrust>) -> Found {
    let statement = Hash::of(proof.statement_bytes);
    let found = match trust.and_then(|trust| trust.bitcoin.as_ref()) {
        Some(trust) => examine(&statement, proof.bytes, proof.headers, trust),
        None => untrusted(examine(&statement, proof.bytes, None, &BitcoinTrust::default())),
    };
    let failed = found.checks.iter().any(|check| check.status == Status::Failed);
    let standing = match found.proved {
        Some(block) if !failed => Standing::Holds { at: Some(block.time) },
        None if !failed && is_a_promise(proof.bytes) => Standing::Waits,
        _ => Standing::Open,
    };
    Found { checks: found.checks, standing }
}

/// What is found without a trust file: whose rules the headers follow is not known then, so they are not looked at.
fn untrusted(mut found: Examination) -> Examination {
    for check in found.checks.iter_mut().filter(|check| check.status == Status::NotChecked) {
        check.detail = "needs a trust file that pins a Bitcoin block".to_owned();
    }
    found
}

/// Whether the proof names no block yet.
fn is_a_promise(bytes: &[u8]) -> bool {
    DetachedTimestamp::parse(bytes).is_ok_and(|timestamp| !timestamp.is_complete())
}
