//! Who is at the other end of a connection.
//!
//! Every port puts a [`Peer`] into the extensions of every request, gRPC and HTTP alike.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use ledgerstone::hash::Hash;

/// The other end of a connection.
#[derive(Clone, Debug, Default)]
pub struct Peer {
    /// Its address; none where the system does not say.
    pub address: Option<SocketAddr>,
    /// The certificate that it showed and that was verified; none on a port without TLS or where none was asked for.
    pub certificate: Option<Arc<PeerCertificate>>,
}

impl Peer {
    /// Who sent the request that has these extensions; nothing is known where it came over no port.
    #[must_use]
    pub fn of(extensions: &http::Extensions) -> Self {
        extensions.get::<Self>().cloned().unwrap_or_default()
    }

    /// Its IP address, if that is known.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        self.address.map(|address| address.ip())
    }
}

/// What a verified client certificate says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerCertificate {
    /// SHA-256 of its DER encoding.
    pub fingerprint: Hash,
    /// Its SPIFFE id, if it is an X.509-SVID: exactly one URI name (SPIFFE X.509-SVID, section 2).
    pub spiffe_id: Option<String>,
    /// Its DNS names.
    pub dns_names: Vec<String>,
}
