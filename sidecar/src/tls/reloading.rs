//! What a port serves TLS with, replaced while connections go on.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ledgerstone::hash::Hash;
use ledgerstone::time::UnixMillis;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use rustls::server::ServerSessionMemoryCache;
use rustls::server::danger::ClientCertVerifier;
use rustls::{InconsistentKeys, RootCertStore, ServerConfig, SupportedProtocolVersion, version};
use tokio::sync::watch;
use tokio::task::spawn_blocking;

use super::error::TlsError;
use super::files::Files;
use super::verifier::Verifier;
use super::workload::WorkloadApi;
use super::{certificate, provider};
use crate::driver::system_clock;
use crate::metrics::Metrics;

/// Sessions that one port keeps so that clients come back without a full handshake: 1,024 of about 4 KiB with the chain of their
/// client are 4 MiB.
const SESSIONS: usize = 1024;

/// When files that could not be used are looked at again: whoever was writing them has finished by then.
const SOON: Duration = Duration::from_secs(2);

/// The versions of TLS that are spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Versions {
    /// 1.3 only.
    #[default]
    Tls13,
    /// 1.3, and 1.2 with clients that have no better.
    Tls12And13,
}

impl Versions {
    /// Reads `1.3` or `1.2, 1.3`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut versions: Vec<&str> = text.split(',').map(str::trim).collect();
        versions.sort_unstable();
        match versions.as_slice() {
            ["1.3"] => Some(Self::Tls13),
            ["1.2", "1.3"] => Some(Self::Tls12And13),
            _ => None,
        }
    }

    const fn supported(self) -> &'static [&'static SupportedProtocolVersion] {
        match self {
            Self::Tls13 => &TLS13,
            Self::Tls12And13 => &TLS12_AND_13,
        }
    }
}

static TLS13: [&SupportedProtocolVersion; 1] = [&version::TLS13];
static TLS12_AND_13: [&SupportedProtocolVersion; 2] = [&version::TLS13, &version::TLS12];

/// What a port asks of its clients, where clients are asked at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// Nothing: whoever comes is served.
    Nothing,
    /// A certificate from whoever has one; one that does not hold is refused.
    Certificate,
    /// A certificate from everybody.
    CertificateAlways,
}

/// What is spoken inside TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocols {
    /// HTTP/2.
    Http2,
    /// HTTP/2 and HTTP/1.1.
    Http,
}

impl Protocols {
    fn names(self) -> Vec<Vec<u8>> {
        let names: &[&[u8]] = match self {
            Self::Http2 => &[b"h2"],
            Self::Http => &[b"h2", b"http/1.1"],
        };
        names.iter().map(|name| name.to_vec()).collect()
    }
}

/// Everything that TLS is set up from.
pub(super) struct Material {
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) key: PrivateKeyDer<'static>,
    pub(super) clients: Clients,
    /// Where certificate and key come from, for messages.
    pub(super) cert_from: String,
    pub(super) key_from: String,
}

/// Whom clients have their certificates from.
pub(super) enum Clients {
    /// They need none.
    NotAsked,
    /// From these authorities. Where there are revocation lists, each authority needs one that is not out of date.
    Of { roots: RootCertStore, crls: Vec<CertificateRevocationListDer<'static>>, from: String },
    /// Each from the authorities of the trust domain that its SPIFFE id names.
    OfDomains {
        domains: BTreeMap<String, RootCertStore>,
        crls: Vec<CertificateRevocationListDer<'static>>,
        from: String,
    },
}

/// A certificate and what clients are checked against; a clone is the same one.
///
/// What it was given stands until it is given something better: a reload that fails changes nothing.
#[derive(Clone)]
pub struct Reloading(Arc<Shared>);

struct Shared {
    source: Source,
    versions: Versions,
    current: watch::Sender<Arc<Loaded>>,
    /// Digest of the files when they were last taken or refused.
    seen: Mutex<Hash>,
    taken: AtomicU64,
    refused: AtomicU64,
}

/// Where new certificates come from.
enum Source {
    /// These files, when their contents change.
    Files(Files),
    /// An agent, when it says so.
    WorkloadApi(WorkloadApi),
}

/// What ports serve with until the next reload.
#[derive(Clone)]
pub(crate) struct Loaded {
    nothing: ServerConfig,
    /// For [`Ask::Certificate`] and [`Ask::CertificateAlways`].
    clients: Option<[ServerConfig; 2]>,
    not_after: UnixMillis,
    /// Whether whoever gave the certificate has taken it back.
    is_withdrawn: bool,
}

impl Reloading {
    /// Reads `files`.
    ///
    /// # Errors
    /// [`TlsError`] names the file that cannot be used.
    pub fn load(files: Files, versions: Versions) -> Result<Self, TlsError> {
        let contents = files.contents()?;
        let loaded = Loaded::build(&files.material(&contents)?, versions)?;
        Ok(Self::new(Source::Files(files), versions, loaded, contents.digest()))
    }

    /// Begins with what an agent gave.
    pub(super) fn from_material(
        api: WorkloadApi,
        material: &Material,
        versions: Versions,
    ) -> Result<Self, TlsError> {
        let loaded = Loaded::build(material, versions)?;
        Ok(Self::new(Source::WorkloadApi(api), versions, loaded, Hash::of(&[])))
    }

    fn new(source: Source, versions: Versions, loaded: Loaded, seen: Hash) -> Self {
        Self(Arc::new(Shared {
            source,
            versions,
            current: watch::Sender::new(Arc::new(loaded)),
            seen: Mutex::new(seen),
            taken: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        }))
    }

    /// Takes what the files hold now, if that is something new. Says whether it was. Of the Workload API there is nothing to ask: it
    /// says itself when there is something new, to [`Reloading::watch`].
    ///
    /// # Errors
    /// [`TlsError`] if they cannot be used; what was served before is served on. The same contents are refused once.
    pub fn reload(&self) -> Result<bool, TlsError> {
        let Source::Files(files) = &self.0.source else { return Ok(false) };
        let reloaded = self.try_reload(files);
        match &reloaded {
            Ok(true) => _ = self.0.taken.fetch_add(1, Ordering::Relaxed),
            Ok(false) => {}
            Err(_) => _ = self.0.refused.fetch_add(1, Ordering::Relaxed),
        }
        reloaded
    }

    fn try_reload(&self, files: &Files) -> Result<bool, TlsError> {
        let contents = files.contents()?;
        let digest = contents.digest();
        let mut seen = self.0.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if *seen == digest {
            return Ok(false);
        }
        *seen = digest;
        let loaded = Loaded::build(&files.material(&contents)?, self.0.versions)?;
        self.0.current.send_replace(Arc::new(loaded));
        Ok(true)
    }

    /// Takes what an agent gave.
    pub(super) fn replace(&self, material: &Material) -> Result<(), TlsError> {
        match Loaded::build(material, self.0.versions) {
            Ok(loaded) => {
                self.0.current.send_replace(Arc::new(loaded));
                self.0.taken.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
            Err(error) => {
                self.0.refused.fetch_add(1, Ordering::Relaxed);
                Err(error)
            }
        }
    }

    /// Takes no connection any more, until there is a certificate again.
    pub(super) fn withdraw(&self) {
        self.0.current.send_modify(|loaded| Arc::make_mut(loaded).is_withdrawn = true);
    }

    /// Keeps up with what changes: looks `every` so often whether files have, or follows the Workload API.
    pub async fn watch(self, every: Duration) {
        let files = match &self.0.source {
            Source::Files(files) => files.cert.display().to_string(),
            Source::WorkloadApi(api) => {
                let api = api.clone();
                return self.follow_workload_api(api).await;
            }
        };
        let mut pause = every;
        loop {
            tokio::time::sleep(pause).await;
            let again = self.clone();
            let Ok(reloaded) = spawn_blocking(move || again.reload()).await else { continue };
            pause = if reloaded.is_err() { every.min(SOON) } else { every };
            match reloaded {
                Ok(true) => tracing::info!(cert = files, "TLS goes on with new files"),
                Ok(false) => {}
                Err(error) => {
                    tracing::error!(%error, "TLS goes on with the old files: the new ones cannot be used")
                }
            }
        }
    }

    /// Whether clients have authorities that they are checked against.
    #[must_use]
    pub fn asks_clients(&self) -> bool {
        self.0.current.borrow().clients.is_some()
    }

    /// When the certificate ends.
    #[must_use]
    pub fn not_after(&self) -> UnixMillis {
        self.0.current.borrow().not_after
    }

    /// Puts the certificate's end and the reloads into the metrics.
    pub fn measure(&self, metrics: &Metrics) {
        let (end, reloads) = (self.clone(), self.clone());
        metrics.gauge(
            "ledgerstone_tls_certificate_expiration_timestamp_seconds",
            "When the certificate that is served ends, in seconds since 1970",
            move || end.not_after().get() / 1000,
        );
        metrics.counted_series(
            "ledgerstone_tls_reloads",
            "Times that new certificates, keys, authorities or revocation lists were taken, or refused and the old ones kept",
            move || {
                let shared = &reloads.0;
                let counts = [("taken", &shared.taken), ("refused", &shared.refused)];
                let label = |result| vec![opentelemetry::KeyValue::new("result", result)];
                counts.map(|(result, count)| (label(result), count.load(Ordering::Relaxed))).into()
            },
        );
    }

    /// What to serve with, now and after each reload.
    pub(crate) fn follow(&self) -> watch::Receiver<Arc<Loaded>> {
        self.0.current.subscribe()
    }
}

impl std::fmt::Debug for Reloading {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reloading").field("not_after", &self.not_after()).finish_non_exhaustive()
    }
}

impl Loaded {
    fn build(material: &Material, versions: Versions) -> Result<Self, TlsError> {
        let Material { chain, clients, cert_from: from, .. } = material;
        let end = chain.first().and_then(|leaf| certificate::not_after(leaf).ok());
        let not_after =
            end.ok_or_else(|| TlsError::Unusable { from: from.clone(), expected: "X.509 certificates" })?;
        if not_after <= system_clock() {
            return Err(TlsError::Expired { from: from.clone() });
        }
        let clients = match Verifier::pair(clients)? {
            None => None,
            Some([asked, needed]) => {
                Some([server(material, versions, Some(asked))?, server(material, versions, Some(needed))?])
            }
        };
        Ok(Self { nothing: server(material, versions, None)?, clients, not_after, is_withdrawn: false })
    }

    /// What a port serves with. Each call makes sessions of its own: one that was begun on another port, or before a reload, where
    /// a client was asked less or checked against other lists, cannot be resumed here.
    pub(crate) fn server(&self, ask: Ask, protocols: Protocols) -> Arc<ServerConfig> {
        let config = match (&self.clients, ask) {
            (None, _) | (_, Ask::Nothing) => &self.nothing,
            (Some([asked, _]), Ask::Certificate) => asked,
            (Some([_, needed]), Ask::CertificateAlways) => needed,
        };
        let mut config = config.clone();
        config.alpn_protocols = protocols.names();
        config.session_storage = ServerSessionMemoryCache::new(SESSIONS);
        Arc::new(config)
    }

    /// Whether connections are taken at all.
    pub(crate) const fn is_withdrawn(&self) -> bool {
        self.is_withdrawn
    }

    /// Whether a client must have shown a certificate.
    pub(crate) const fn needs_certificate(&self, ask: Ask) -> bool {
        self.clients.is_some() && matches!(ask, Ask::CertificateAlways)
    }
}

impl Drop for Material {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.key);
    }
}

fn server(
    material: &Material,
    versions: Versions,
    clients: Option<Arc<dyn ClientCertVerifier>>,
) -> Result<ServerConfig, TlsError> {
    let Material { chain, key, cert_from, key_from, .. } = material;
    let refused = |reason| match reason {
        rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
            TlsError::Pair { cert: cert_from.clone(), key: key_from.clone() }
        }
        reason => TlsError::Refused { from: cert_from.clone(), reason },
    };
    let builder = ServerConfig::builder_with_provider(provider());
    let builder = builder.with_protocol_versions(versions.supported()).map_err(refused)?;
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(verifier) => builder.with_client_cert_verifier(verifier),
    };
    builder.with_single_cert(chain.clone(), key.clone_key()).map_err(refused)
}
