//! What clients and the Workload API say about themselves.

use ledgerstone_sidecar::peer::PeerCertificate;
use ledgerstone_sidecar::tls::check_message;
use ledgerstone_sidecar::tls::spiffe::SpiffeId;

/// An id has one spelling, and its parts are all of it.
pub(crate) fn spiffe_id(bytes: &[u8]) -> bool {
    let Ok(text) = core::str::from_utf8(bytes) else { return false };
    let Ok(id) = SpiffeId::parse(text) else { return false };
    assert_eq!(format!("spiffe://{}{}", id.trust_domain(), id.path()), text);
    assert!(id.path().split('/').skip(1).all(|segment| !matches!(segment, "" | "." | "..")));
    true
}

/// What is read out of a client's certificate is an id or none.
pub(crate) fn client_certificate(bytes: &[u8]) -> bool {
    let Ok(peer) = PeerCertificate::read(bytes) else { return false };
    if let Some(id) = &peer.spiffe_id {
        let has_path = SpiffeId::parse(id).is_ok_and(|id| !id.path().is_empty());
        assert!(has_path, "{id} names no workload");
    }
    true
}

/// A message of the Workload API.
pub(crate) fn workload_message(bytes: &[u8]) -> bool {
    check_message(bytes).is_ok()
}
