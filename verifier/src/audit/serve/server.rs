//! The port: TLS, the service, health and reflection.
//!
//! *Guarantees*: nothing is served without TLS on an address that others reach.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use ledgerstone::code::Code;
use ledgerstone::proto::FILE_DESCRIPTOR_SET;
use ledgerstone::proto::ledgerstone_v1::audit_server::AuditServer;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tonic::server::NamedService;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Certificate, Identity, ServerTlsConfig};
use tonic_health::ServingStatus;
use tonic_reflection::server::Builder as Reflection;

use super::Service;
use super::api::AuditApi;
use super::upload::CHUNK_BYTES_MAX;

/// What a message needs beyond the chunk inside it.
const MESSAGE_OVERHEAD_BYTES: usize = 64 * 1024;

/// Calls at once on one connection.
const STREAMS_MAX: u32 = 64;

/// Flow-control windows, so that an upload over a long way is not slowed down by its answers.
const STREAM_WINDOW_BYTES: u32 = 4 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 4 * STREAM_WINDOW_BYTES;

/// Silence after which a caller is asked whether it is still there, and how long it may take to say so.
const KEEPALIVE: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(20));

/// How long the handshake of TLS may take.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// How long streams may take to end once the service has.
const CLOSE: Duration = Duration::from_secs(2);

/// The certificate of the port, as PEM.
pub struct Tls {
    /// The certificate, with what leads to its authority.
    pub certificate: Vec<u8>,
    /// Its key.
    pub key: Vec<u8>,
    /// Only callers with a certificate of this authority are served.
    pub client_ca: Option<Vec<u8>>,
}

/// A port that is served.
pub struct Server {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Server {
    /// Binds the port and serves until the service ends.
    ///
    /// # Errors
    /// [`ServerError`] says what is wrong with the address or the certificate.
    pub async fn start(service: &Service, listen: SocketAddr, tls: Option<Tls>) -> Result<Self, ServerError> {
        if tls.is_none() && !listen.ip().is_loopback() {
            return Err(ServerError::Open { listen });
        }
        let mut server = tonic::transport::Server::builder()
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .max_concurrent_streams(STREAMS_MAX)
            .http2_keepalive_interval(Some(KEEPALIVE.0))
            .http2_keepalive_timeout(Some(KEEPALIVE.1));
        if let Some(tls) = tls {
            let mut config = ServerTlsConfig::new()
                .identity(Identity::from_pem(tls.certificate, tls.key))
                .timeout(HANDSHAKE);
            if let Some(ca) = tls.client_ca {
                config = config.client_ca_root(Certificate::from_pem(ca));
            }
            server = server.tls_config(config).map_err(ServerError::Tls)?;
        }
        let bind = |source| ServerError::Bind { listen, source };
        let listener = TcpListener::bind(listen).await.map_err(bind)?;
        let address = listener.local_addr().map_err(bind)?;
        let name = <AuditServer<AuditApi> as NamedService>::NAME;
        let reflection = || {
            Reflection::configure()
                .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
                .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
                .with_service_name(name)
                .with_service_name("grpc.health.v1.Health")
        };
        let (v1, v1alpha) = (reflection().build_v1(), reflection().build_v1alpha());
        let (reporter, health) = tonic_health::server::health_reporter();
        for name in ["", name] {
            reporter.set_service_status(name, ServingStatus::Serving).await;
        }
        let audit = AuditServer::new(AuditApi::new(service.clone()))
            .max_decoding_message_size(CHUNK_BYTES_MAX + MESSAGE_OVERHEAD_BYTES);
        let router = server
            .add_service(audit)
            .add_service(health)
            .add_service(v1.map_err(|_| ServerError::Defect)?)
            .add_service(v1alpha.map_err(|_| ServerError::Defect)?);
        let mut ending = service.ending();
        let ended = async move {
            // An error says that the service is gone, which ends it too.
            _ = ending.wait_for(|ended| *ended).await;
            for name in ["", name] {
                reporter.set_service_status(name, ServingStatus::NotServing).await;
            }
        };
        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
        let serve = router.serve_with_incoming_shutdown(incoming, ended);
        let task = tokio::spawn(async move {
            if let Err(error) = serve.await {
                tracing::error!(%error, "the port is not served any more");
            }
        });
        Ok(Self { address, task })
    }

    /// Where it is.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits for the streams to end after the service has, for a moment.
    pub async fn close(mut self) {
        if tokio::time::timeout(CLOSE, &mut self.task).await.is_err() {
            self.task.abort();
        }
    }
}

/// Why the port is not served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// Others would reach it, and nothing would be encrypted.
    #[error(
        "{listen} can be reached from outside: give --tls-cert and --tls-key, or listen on a loopback address"
    )]
    Open {
        /// The address.
        listen: SocketAddr,
    },
    /// The address cannot be had.
    #[error("{listen} cannot be listened on: {source}")]
    Bind {
        /// The address.
        listen: SocketAddr,
        /// What the operating system says.
        source: io::Error,
    },
    /// The certificate or its key is none, or they do not fit.
    #[error("the certificate cannot be used: {}", causes(.0))]
    Tls(#[source] tonic::transport::Error),
    /// The descriptors in this program do not read.
    #[error("a defect in the program: report it")]
    Defect,
}

impl ServerError {
    /// What the reader must do about it.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Open { .. } => Code::Misuse,
            Self::Bind { .. } => Code::Unavailable,
            Self::Tls(_) => Code::Malformed,
            Self::Defect => Code::Internal,
        }
    }
}

fn causes(error: &dyn std::error::Error) -> String {
    let cause = error.source().map_or_else(String::new, |source| format!(": {source}"));
    format!("{error}{cause}")
}
