//! Who called, as records say it.

use std::net::IpAddr;
use std::sync::Arc;

use http::Extensions;
use ledgerstone::record::FieldPath;
use ledgerstone::record::schema::{CALLER_ADDRESS, CALLER_PRINCIPAL, CALLER_WORKLOAD};

use super::role::{Role, Roles};
use crate::peer::Peer;

/// A caller whose call stands in the table. The layer puts it into the extensions of the request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Caller {
    /// What the caller's certificate calls the workload: its SPIFFE id, its first DNS name, or its fingerprint.
    pub workload: Option<Arc<str>>,
    /// The person whose token came along: `SUBJECT@ISSUER`.
    pub principal: Option<Arc<str>>,
    /// Everything that the caller is.
    pub roles: Roles,
    /// The role that the call was allowed by; none for what is open to everybody.
    pub by: Option<Role>,
}

/// What records say of a caller.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// From where.
    pub address: Option<IpAddr>,
    /// Which workload, by its certificate.
    pub workload: Option<Arc<str>>,
    /// Who, by a token.
    pub principal: Option<Arc<str>>,
}

impl Origin {
    /// Nothing is known.
    #[cfg(test)]
    pub(crate) const NOBODY: Self = Self { address: None, workload: None, principal: None };

    /// What the extensions of a request say, whether or not roles are asked for.
    #[must_use]
    pub fn of(extensions: &Extensions) -> Self {
        let peer = extensions.get::<Peer>();
        let caller = extensions.get::<Caller>();
        let workload = caller.and_then(|caller| caller.workload.clone());
        Self {
            address: peer.and_then(Peer::ip),
            workload: workload.or_else(|| peer.and_then(workload_of)),
            principal: caller.and_then(|caller| caller.principal.clone()),
        }
    }

    /// The same as fields of a record.
    pub(crate) fn fields(&self) -> impl Iterator<Item = (FieldPath, String)> {
        let address = self.address.map(|address| (CALLER_ADDRESS, address.to_string()));
        let workload = self.workload.as_ref().map(|workload| (CALLER_WORKLOAD, workload.to_string()));
        let principal = self.principal.as_ref().map(|who| (CALLER_PRINCIPAL, who.to_string()));
        [workload, principal, address].into_iter().flatten()
    }
}

/// What a peer's certificate calls it.
pub(super) fn workload_of(peer: &Peer) -> Option<Arc<str>> {
    let certificate = peer.certificate.as_ref()?;
    if let Some(id) = &certificate.spiffe_id {
        return Some(id.as_str().into());
    }
    match certificate.dns_names.first() {
        Some(name) => Some(format!("dns:{name}").into()),
        None => Some(format!("sha256:{}", certificate.fingerprint).into()),
    }
}
