//! What `[server.tls]` says: the certificate of every port, whom clients have theirs from.

use std::path::Path;

use super::error::ConfigError;
use super::half;
use super::layers::Layers;
use crate::tls::{Files, Versions};

const VERSIONS: &str = "\"1.3\", or \"1.2, 1.3\" for clients that have no better";

/// TLS of the ports.
#[derive(Clone, Debug)]
pub struct TlsConfig {
    /// Certificate, key, authorities of clients.
    pub files: Files,
    /// The versions that are spoken.
    pub versions: Versions,
}

impl TlsConfig {
    pub(super) fn from_layers(layers: &Layers) -> Result<Option<Self>, ConfigError> {
        let client_ca = layers.path("server.tls.client_ca_file")?;
        let crl = layers.path("server.tls.crl_file")?;
        if crl.is_some() && client_ca.is_none() {
            return Err(half("server.tls.crl_file", "server.tls.client_ca_file"));
        }
        let Some((cert, key)) = layers.path_pair("server.tls.cert", "server.tls.key")? else {
            return match client_ca {
                Some(_) => Err(half("server.tls.client_ca_file", "server.tls.cert")),
                None => Ok(None),
            };
        };
        Ok(Some(Self {
            files: Files { cert, key, client_ca, crl },
            versions: layers.parse("server.tls.versions", VERSIONS, Versions::parse)?,
        }))
    }

    /// The file that checks this sidecar's own ports, and what to show them where they ask for a certificate.
    #[must_use]
    pub fn own_ports(&self) -> (&Path, Option<(&Path, &Path)>) {
        let Files { cert, key, client_ca, .. } = &self.files;
        (cert, client_ca.as_ref().map(|_| (cert.as_path(), key.as_path())))
    }
}
