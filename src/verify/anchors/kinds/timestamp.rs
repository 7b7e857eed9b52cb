//! Timestamps of RFC 3161 authorities.

use super::{Found, Proof, standing};
use crate::anchor::rfc3161::{self, Imprint};
use crate::code::CheckName;
use crate::verify::anchors::AnchorTrust;

/// Both must hold: what the authority signed, and that it is one whom the reader trusts.
const NEEDED: [&[CheckName]; 2] =
    [&[CheckName::AnchorTimestampToken], &[CheckName::AnchorTimestampCertificate]];

pub(super) fn check(proof: &Proof<'_>, trust: Option<&AnchorTrust>) -> Found {
    let nobody = rfc3161::Trust::default();
    let trust = trust.and_then(|trust| trust.rfc3161.as_ref());
    let checks = rfc3161::checks(proof.statement_bytes, proof.bytes, trust);
    let imprint = Imprint::of(proof.statement_bytes);
    let stamp = rfc3161::examine(proof.bytes, &imprint, None, trust.unwrap_or(&nobody)).ok();
    let standing = standing(&checks, &NEEDED, stamp.map(|stamp| stamp.time));
    Found { checks, standing }
}
