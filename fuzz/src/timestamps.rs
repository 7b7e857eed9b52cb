//! Targets of RFC 3161: replies, requests, and the certificates and lists that an auditor trusts.

use std::sync::LazyLock;

use ledgerstone::anchor::rfc3161::authority::Authority;
use ledgerstone::anchor::rfc3161::{Imprint, Request, StampError, Trust, checks, examine, verify};
use ledgerstone::check::Status;
use ledgerstone::time::UnixMillis;

/// What the corpus' reply is of.
pub const STATEMENT: &[u8] = b"a statement";

/// When it was made, and its number.
pub const TIME: UnixMillis = UnixMillis::new(1_795_000_000_500);
/// The token's number.
pub const SERIAL: u64 = 0x2a;

/// The authority that made it; none if its seed gave no key.
#[must_use]
pub fn authority() -> Option<Authority> {
    let from = UnixMillis::new(1_790_000_000_000);
    Authority::create(&[5; 32], "fuzz", from, from.plus_millis(10_000_000_000)).ok()
}

static TRUST: LazyLock<Trust> = LazyLock::new(|| {
    let mut trust = Trust::default();
    let added = authority().map(|authority| trust.add_roots(authority.root_pem().as_bytes()));
    assert_eq!(added, Some(Ok(())), "the authority's root can be trusted");
    trust
});

/// A reply: nobody but the authority can make one that verifies.
pub(crate) fn reply(bytes: &[u8]) -> bool {
    let imprint = Imprint::of(STATEMENT);
    let examined = examine(bytes, &imprint, None, &Trust::default());
    let verified = verify(bytes, &imprint, None, &TRUST);
    let passed = checks(STATEMENT, bytes, Some(&TRUST)).iter().all(|check| check.status == Status::Passed);
    assert_eq!(passed, verified.is_ok(), "a report says what the check says");
    if let Ok(verified) = &verified {
        assert_eq!(verified.stamp.time, TIME, "the time is the one that was signed");
        assert_eq!(verified.stamp.serial, "2a", "the number is the one that was signed");
        assert_eq!(examined.as_ref(), Ok(&verified.stamp), "what verifies can be examined");
    }
    verified.is_ok() || matches!(examined, Err(StampError::Rejected { .. }))
}

/// A request, which reads back from what it writes.
pub(crate) fn request(bytes: &[u8]) -> bool {
    let Ok(request) = Request::parse(bytes) else { return false };
    assert_eq!(Request::parse(&request.encode()), Ok(request), "a request reads back as itself");
    true
}

/// Certificates, or else revocation lists.
pub(crate) fn trust(bytes: &[u8]) -> bool {
    let mut trust = Trust::default();
    if trust.add_roots(bytes).is_ok() {
        assert!(trust.has_roots(), "what was added is there");
        return true;
    }
    trust.add_revocation_lists(bytes).is_ok()
}
