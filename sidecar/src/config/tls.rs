//! What `[server.tls]` says: the certificate of every port, whom clients have theirs from.

use std::path::Path;

use super::error::ConfigError;
use super::half;
use super::layers::Layers;
use crate::tls::{Files, Versions, socket};

const WORKLOAD_API: &str = "server.tls.workload_api";
const SOCKET: &str = "unix:/PATH, the socket of the agent";
const VERSIONS: &str = "\"1.3\", or \"1.2, 1.3\" for clients that have no better";

/// TLS of the ports.
#[derive(Clone, Debug)]
pub struct TlsConfig {
    /// Where certificate, key and the authorities of clients come from.
    pub source: CertificateSource,
    /// The versions that are spoken.
    pub versions: Versions,
}

/// Where certificate, key and the authorities of clients come from.
#[derive(Clone, Debug)]
pub enum CertificateSource {
    /// Files.
    Files(Files),
    /// The SPIFFE Workload API at this address, `unix:/PATH`.
    WorkloadApi(String),
}

impl TlsConfig {
    pub(super) fn from_layers(layers: &Layers) -> Result<Option<Self>, ConfigError> {
        let versions = layers.parse("server.tls.versions", VERSIONS, Versions::parse)?;
        let client_ca = layers.path("server.tls.client_ca_file")?;
        let crl = layers.path("server.tls.crl_file")?;
        if crl.is_some() && client_ca.is_none() {
            return Err(half("server.tls.crl_file", "server.tls.client_ca_file"));
        }
        if layers.get(WORKLOAD_API).is_some() {
            let source = CertificateSource::WorkloadApi(layers.parse(WORKLOAD_API, SOCKET, socket)?);
            let files =
                ["server.tls.cert", "server.tls.key", "server.tls.client_ca_file", "server.tls.crl_file"];
            return match files.into_iter().find(|key| layers.get(key).is_some()) {
                Some(other) => Err(ConfigError::Both { one: WORKLOAD_API, other }),
                None => Ok(Some(Self { source, versions })),
            };
        }
        let Some((cert, key)) = layers.path_pair("server.tls.cert", "server.tls.key")? else {
            return match client_ca {
                Some(_) => Err(half("server.tls.client_ca_file", "server.tls.cert")),
                None => Ok(None),
            };
        };
        Ok(Some(Self { source: CertificateSource::Files(Files { cert, key, client_ca, crl }), versions }))
    }

    /// The file that checks this sidecar's own ports, and what to show them where they ask for a certificate. Nothing where the
    /// Workload API gives them: an SVID is checked by its SPIFFE id, not by a file.
    #[must_use]
    pub fn own_ports(&self) -> Option<(&Path, Option<(&Path, &Path)>)> {
        let CertificateSource::Files(Files { cert, key, client_ca, .. }) = &self.source else { return None };
        Some((cert, client_ca.as_ref().map(|_| (cert.as_path(), key.as_path()))))
    }
}
