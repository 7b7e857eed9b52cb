//! The application's doors: the guard of every port, where roles are configured.

use std::sync::Arc;

use tokio::task::JoinHandle;

use super::BuildError;
use crate::access::{AccessLayer, Guard, Port};
use crate::config::Config;
use crate::metrics::Metrics;
use crate::tls::Ask;

/// The guard of every port; without `[access]` there is none.
#[derive(Clone)]
pub(super) struct Doors {
    guard: Option<Arc<Guard>>,
    /// Whether those without a certificate may have a reason to come.
    is_open: bool,
}

impl Doors {
    /// The guard that `config` asks for.
    pub(super) fn new(config: &Config) -> Result<Self, BuildError> {
        let Some(access) = &config.access else { return Ok(Self { guard: None, is_open: false }) };
        let guard = Arc::new(Guard::new(access).map_err(BuildError::Issuer)?);
        let server = &config.server;
        let mut ports = [server.listen, server.http_listen, server.admin_listen].into_iter();
        let mut ports = ports.by_ref().chain(config.recorder_listen).chain(config.registry_listen);
        let is_reachable = ports.any(|port| !port.ip().is_loopback());
        if server.tls.is_none() && access.oidc.is_some() && is_reachable {
            tracing::warn!(
                "access.oidc is set and server.tls is not: tokens come in the clear, for anybody to use who sees them"
            );
        }
        Ok(Self { guard: Some(guard), is_open: access.oidc.is_some() || access.is_log_public })
    }

    /// What the ports ask for: people come with a token, and readers of a public log with nothing; the guard tells them from
    /// workloads.
    pub(super) const fn certificate(&self) -> Ask {
        if self.is_open { Ask::Certificate } else { Ask::CertificateAlways }
    }

    /// What stands in front of the services of `port`.
    pub(super) fn of(&self, port: Port) -> AccessLayer {
        AccessLayer::new(self.guard.clone(), port)
    }

    /// Adds what was refused to `metrics`.
    pub(super) fn measure(&self, metrics: &Metrics) {
        if let Some(guard) = &self.guard {
            guard.measure(metrics);
        }
    }

    /// What goes on beside serving: the issuer's keys are fetched.
    pub(super) fn follow(&self) -> Option<JoinHandle<()>> {
        let oidc = self.guard.as_ref()?.oidc()?;
        Some(tokio::spawn(Arc::clone(oidc).follow()))
    }
}
