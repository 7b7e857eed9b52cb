//! The messages of `FetchX509SVID`: SPIFFE Workload API, section 5.1. Written by hand, as there are three.

use std::collections::HashMap;
use std::fmt;

/// Asks for nothing in particular.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub(super) struct X509SvidRequest {}

/// Everything that the workload has, each time anew.
#[derive(Clone, PartialEq, prost::Message)]
#[prost(skip_debug)]
pub(super) struct X509SvidResponse {
    /// Identities, the default one first.
    #[prost(message, repeated, tag = "1")]
    pub(super) svids: Vec<X509Svid>,
    /// Revocation lists as DER.
    #[prost(bytes = "vec", repeated, tag = "2")]
    pub(super) crl: Vec<Vec<u8>>,
    /// Bundles of other trust domains, certificates as DER one after the other, by the SPIFFE id of the domain.
    #[prost(map = "string, bytes", tag = "3")]
    pub(super) federated_bundles: HashMap<String, Vec<u8>>,
}

/// One identity.
#[derive(Clone, PartialEq, Eq, prost::Message)]
#[prost(skip_debug)]
pub(super) struct X509Svid {
    /// Its SPIFFE id.
    #[prost(string, tag = "1")]
    pub(super) spiffe_id: String,
    /// The certificate and those that lead to an authority, as DER one after the other.
    #[prost(bytes = "vec", tag = "2")]
    pub(super) x509_svid: Vec<u8>,
    /// The private key as PKCS#8 DER.
    #[prost(bytes = "vec", tag = "3")]
    pub(super) x509_svid_key: Vec<u8>,
    /// The authorities of its trust domain, as DER one after the other.
    #[prost(bytes = "vec", tag = "4")]
    pub(super) bundle: Vec<u8>,
    /// What the operator calls it.
    #[prost(string, tag = "5")]
    pub(super) hint: String,
}

impl fmt::Debug for X509SvidResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("X509SvidResponse").field("svids", &self.svids).finish_non_exhaustive()
    }
}

impl fmt::Debug for X509Svid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // It holds a private key.
        f.debug_struct("X509Svid").field("spiffe_id", &self.spiffe_id).finish_non_exhaustive()
    }
}
