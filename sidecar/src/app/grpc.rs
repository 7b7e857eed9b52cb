//! The gRPC port: the model server's service, the log, the receipts, health and reflection.

use std::future::pending;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use ledgerstone::proto::FILE_DESCRIPTOR_SET;
use ledgerstone::proto::ledgerstone_v1::keyring_server::KeyringServer;
use ledgerstone::proto::ledgerstone_v1::log_server::LogServer;
use ledgerstone::proto::ledgerstone_v1::receipts_server::ReceiptsServer;
use ledgerstone::proto::ledgerstone_v1::recorder_server::RecorderServer;
use ledgerstone::proto::ledgerstone_v1::registry_server::RegistryServer;
use tokio::task::JoinHandle;
use tonic::server::NamedService;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;
use tonic_reflection::server::Builder as Reflection;

use super::RecoverError;
use super::ports::Opened;
use crate::api::keyring_http;
use crate::api::recorder_http::{self, ADDITION_BYTES_MAX};
use crate::api::{Ending, KeyringApi, LogApi, ReceiptsApi, RecorderApi, RegistryApi, ended};
use crate::config::LimitsConfig;
use crate::intercept::Intercept;
use crate::links::{self, LinkMaker};
use crate::status::Status;

/// Flow-control window of one call: a request of this size needs no round trip to grow it.
const STREAM_WINDOW_BYTES: u32 = 1 << 20;

/// Flow-control window of a connection, so that large calls on it do not wait for each other.
const CONNECTION_WINDOW_BYTES: u32 = 16 * STREAM_WINDOW_BYTES;

/// Silence after which a caller is asked whether it is still there, and how long it may take to say so.
const KEEPALIVE: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(20));

/// Bytes of one registration: two names, two digests, and an approval with 32 signature lines of 380 bytes.
const REGISTRATION_BYTES_MAX: usize = 16 * 1024;

/// How long the health service lets changes gather before it looks at the state of the sidecar.
const HEALTH_PERIOD: Duration = Duration::from_millis(250);

/// The services by name, but health and reflection.
const SERVICES: [&str; 3] = [
    <Intercept as NamedService>::NAME,
    <LogServer<LogApi> as NamedService>::NAME,
    <ReceiptsServer<ReceiptsApi> as NamedService>::NAME,
];

/// The service that says whether they serve.
const HEALTH: &str = "grpc.health.v1.Health";

/// What is served beside health and reflection.
pub(super) struct Services {
    pub(super) intercept: Intercept,
    pub(super) log: LogApi,
    pub(super) receipts: ReceiptsApi,
}

/// Serves until nobody comes any more; returns the server and what keeps its health service up to date until `ending`.
pub(super) fn serve(
    Opened { incoming, access }: Opened,
    services: Services,
    limits: &LimitsConfig,
    status: &Arc<Status>,
    ending: Ending,
) -> Result<(JoinHandle<()>, JoinHandle<()>), RecoverError> {
    // The descriptors are of every service there is; this port names those that it serves.
    let reflection = || {
        let sets = [FILE_DESCRIPTOR_SET, tonic_health::pb::FILE_DESCRIPTOR_SET];
        let reflection =
            sets.into_iter().fold(Reflection::configure(), Reflection::register_encoded_file_descriptor_set);
        SERVICES.into_iter().chain([HEALTH]).fold(reflection, Reflection::with_service_name)
    };
    let (v1, v1alpha) = (reflection().build_v1(), reflection().build_v1alpha());
    let (reporter, health) = tonic_health::server::health_reporter();
    // Decisions, and as many other calls, may be in flight on one connection; the service itself refuses more.
    let streams = u32::try_from(limits.in_flight_max.saturating_mul(2)).unwrap_or(u32::MAX);
    let mut server = Server::builder()
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_concurrent_streams(streams)
        .http2_keepalive_interval(Some(KEEPALIVE.0))
        .http2_keepalive_timeout(Some(KEEPALIVE.1));
    let routes = Routes::new(services.intercept)
        .add_service(LogServer::new(services.log))
        .add_service(ReceiptsServer::new(services.receipts))
        .add_service(health)
        .add_service(v1.map_err(|_| RecoverError::Defect)?)
        .add_service(v1alpha.map_err(|_| RecoverError::Defect)?);
    let router = server.add_routes(access.grpc(routes));
    let serve = router.serve_with_incoming_shutdown(incoming, pending());
    let server = tokio::spawn(async move {
        if let Err(error) = serve.await {
            tracing::error!(%error, "the gRPC server ended");
        }
    });
    Ok((server, tokio::spawn(report(Arc::clone(status), reporter, ending))))
}

/// What is served about records beside recording them.
pub(super) struct Records {
    pub(super) recorder: RecorderApi,
    pub(super) keyring: KeyringApi,
    pub(super) links: Option<LinkMaker>,
}

/// Serves what adds to decisions, erases them and links to them, over gRPC and as JSON, on an address of its own.
pub(super) fn serve_recorder(opened: Opened, served: Records) -> JoinHandle<()> {
    let Opened { incoming, access } = opened;
    let mut server = Server::builder().accept_http1(true).http2_keepalive_interval(Some(KEEPALIVE.0));
    let Records { recorder, keyring, links } = served;
    let json = recorder_http::router(recorder.histories().clone())
        .merge(keyring_http::router(keyring.clone()))
        .merge(links::api::router(links));
    let service = RecorderServer::new(recorder).max_decoding_message_size(ADDITION_BYTES_MAX);
    let routes = Routes::from(json).add_service(service).add_service(KeyringServer::new(keyring));
    let serve = server.add_routes(access.grpc(routes)).serve_with_incoming_shutdown(incoming, pending());
    tokio::spawn(async move {
        if let Err(error) = serve.await {
            tracing::error!(%error, "the recorder's server ended");
        }
    })
}

/// Serves the registry on its own address.
pub(super) fn serve_registry(opened: Opened, registry: RegistryApi) -> JoinHandle<()> {
    let Opened { incoming, access } = opened;
    let mut server = Server::builder().http2_keepalive_interval(Some(KEEPALIVE.0));
    let service = RegistryServer::new(registry).max_decoding_message_size(REGISTRATION_BYTES_MAX);
    let serve = server
        .add_routes(access.grpc(Routes::new(service)))
        .serve_with_incoming_shutdown(incoming, pending());
    tokio::spawn(async move {
        if let Err(error) = serve.await {
            tracing::error!(%error, "the registry's server ended");
        }
    })
}

/// Keeps the health service at what the sidecar's state is. In the end it is told, and whoever watches is let go: a connection with a
/// stream that never ends would hold up those who wait for the next sidecar.
async fn report(status: Arc<Status>, mut reporter: HealthReporter, ending: Ending) {
    let mut ends = pin!(ended(ending));
    tokio::select! {
        () = &mut ends => {}
        () = keep_told(&status, &reporter) => {}
    }
    for name in [""].into_iter().chain(SERVICES) {
        if status.ready().is_err() {
            reporter.set_service_status(name, ServingStatus::NotServing).await;
        }
        reporter.clear_service_status(name).await;
    }
}

async fn keep_told(status: &Status, reporter: &HealthReporter) {
    let mut reported = None;
    loop {
        let change = status.change();
        let ready = status.ready();
        if reported.as_ref() == Some(&ready) {
            change.await;
            tokio::time::sleep(HEALTH_PERIOD).await;
            continue;
        }
        let serving = if ready.is_ok() { ServingStatus::Serving } else { ServingStatus::NotServing };
        for name in [""].into_iter().chain(SERVICES) {
            reporter.set_service_status(name, serving).await;
        }
        match &ready {
            Ok(()) => tracing::info!("ready"),
            Err(reason) => tracing::warn!(%reason, "not ready"),
        }
        reported = Some(ready);
    }
}
