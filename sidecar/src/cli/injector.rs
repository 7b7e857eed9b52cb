//! The command line of the injector, as types only.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::config::duration;

/// Arguments of `injector`.
#[derive(Debug, Args)]
pub struct InjectorArguments {
    /// Where API servers ask, over TLS: POST /inject
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:8443", env = "LEDGERSTONE_INJECTOR_LISTEN")]
    pub listen: SocketAddr,
    /// Where /live, /ready and /metrics are
    #[arg(
        long,
        value_name = "ADDRESS",
        default_value = "0.0.0.0:8444",
        env = "LEDGERSTONE_INJECTOR_ADMIN_LISTEN"
    )]
    pub admin_listen: SocketAddr,
    /// What is put into pods, as the chart renders it; it may change while this serves
    #[arg(long, value_name = "FILE", env = "LEDGERSTONE_INJECTOR_TEMPLATE")]
    pub template: PathBuf,
    /// How long requests in flight may take after a signal to stop
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = time, env = "LEDGERSTONE_INJECTOR_DRAIN_DEADLINE")]
    pub drain_deadline: Duration,
    /// How often certificates are looked at, in files or in the cluster
    #[arg(long, value_name = "TIME", default_value = "1m", value_parser = time, env = "LEDGERSTONE_INJECTOR_LOOK")]
    pub look: Duration,
    /// A certificate that somebody else exchanges, such as cert-manager: its chain as PEM
    #[arg(
        long,
        value_name = "FILE",
        requires = "tls_key",
        conflicts_with = "secret",
        required_unless_present = "secret",
        env = "LEDGERSTONE_INJECTOR_TLS_CERT"
    )]
    pub tls_cert: Option<PathBuf>,
    /// Its key as PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert", env = "LEDGERSTONE_INJECTOR_TLS_KEY")]
    pub tls_key: Option<PathBuf>,
    /// An authority of the injector's own, in the cluster.
    #[command(flatten)]
    pub own: OwnArguments,
}

/// What an authority of the injector's own needs.
#[derive(Debug, Args)]
#[command(next_help_heading = "An authority of its own, kept in the cluster")]
pub struct OwnArguments {
    /// The Secret that keeps the authority; it must exist
    #[arg(
        long,
        value_name = "NAME",
        requires_all = ["namespace", "webhook", "server_name"],
        env = "LEDGERSTONE_INJECTOR_SECRET"
    )]
    pub secret: Option<String>,
    /// The namespace of the Secret
    #[arg(long, value_name = "NAME", requires = "secret", env = "LEDGERSTONE_INJECTOR_NAMESPACE")]
    pub namespace: Option<String>,
    /// The MutatingWebhookConfiguration that is told of the authority
    #[arg(long, value_name = "NAME", requires = "secret", env = "LEDGERSTONE_INJECTOR_WEBHOOK")]
    pub webhook: Option<String>,
    /// A DNS name or an address that API servers ask; may be repeated
    #[arg(
        long,
        value_name = "NAME",
        requires = "secret",
        env = "LEDGERSTONE_INJECTOR_SERVER_NAME",
        value_delimiter = ','
    )]
    pub server_name: Vec<String>,
    /// Where the certificate in use is put; better in memory than on a disk
    #[arg(
        long,
        value_name = "FOLDER",
        default_value = "/run/ledgerstone",
        env = "LEDGERSTONE_INJECTOR_FOLDER"
    )]
    pub folder: PathBuf,
    /// How long an authority lives; the next is drawn after two thirds of it
    #[arg(long, value_name = "TIME", default_value = "730d", value_parser = time, env = "LEDGERSTONE_INJECTOR_AUTHORITY_LIFETIME")]
    pub authority_lifetime: Duration,
    /// How long a certificate lives; the next is drawn after two thirds of it
    #[arg(long, value_name = "TIME", default_value = "90d", value_parser = time, env = "LEDGERSTONE_INJECTOR_CERTIFICATE_LIFETIME")]
    pub certificate_lifetime: Duration,
    /// The API server [default: https://KUBERNETES_SERVICE_HOST:KUBERNETES_SERVICE_PORT]
    #[arg(long, value_name = "URL", env = "LEDGERSTONE_INJECTOR_API_SERVER")]
    pub api_server: Option<String>,
    /// The token of the service account
    #[arg(
        long,
        value_name = "FILE",
        default_value = "/var/run/secrets/kubernetes.io/serviceaccount/token",
        env = "LEDGERSTONE_INJECTOR_TOKEN_FILE"
    )]
    pub token_file: PathBuf,
    /// The authority that the API server is checked against
    #[arg(
        long,
        value_name = "FILE",
        default_value = "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt",
        env = "LEDGERSTONE_INJECTOR_CA_FILE"
    )]
    pub ca_file: PathBuf,
    /// The host of the API server, as kubelets say it.
    #[arg(long, hide = true, env = "KUBERNETES_SERVICE_HOST")]
    pub kubernetes_host: Option<String>,
    /// Its port.
    #[arg(long, hide = true, env = "KUBERNETES_SERVICE_PORT")]
    pub kubernetes_port: Option<u16>,
}

fn time(text: &str) -> Result<Duration, &'static str> {
    duration(text).filter(|time| !time.is_zero()).ok_or("write a number and a unit, such as 30s or 90d")
}
