//! `injector`: puts the sidecar into pods that ask for it.

use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::cli::injector::{InjectorArguments, OwnArguments};
use crate::injector::authority::{LIFETIME_MAX, LIFETIME_MIN, Terms};
use crate::injector::kubernetes::Access;
use crate::injector::{Certificates, Injector, Settings};
use crate::outbound::http::Address;
use crate::stop::Stop;
use crate::tls::Files;

/// Looks until what an authority signed is served: API servers hear of it within one, other injectors within the next.
const LOOKS_TO_SETTLE: u32 = 3;

/// Serves until a signal to stop.
///
/// # Errors
/// What the injector could not do.
#[tokio::main]
pub async fn serve(arguments: InjectorArguments) -> Result<()> {
    let mut stop = Stop::new().context("signals cannot be listened for")?;
    let injector = Injector::build(settings(arguments)?).await?;
    tracing::info!(address = %injector.address()?, "ports are bound");
    injector
        .run(async move {
            let name = stop.signal().await;
            tracing::info!(signal = name, "draining");
        })
        .await?;
    tracing::info!("stopped");
    Ok(())
}

fn settings(arguments: InjectorArguments) -> Result<Settings> {
    let InjectorArguments { listen, admin_listen, template, drain_deadline, look, tls_cert, tls_key, own } =
        arguments;
    let certificates = match (tls_cert, tls_key) {
        (Some(cert), Some(key)) => Certificates::Given { files: Files::of(&cert, &key), period: look },
        _ => certificates(own, look)?,
    };
    Ok(Settings { listen, admin_listen, template, certificates, drain_deadline })
}

fn certificates(own: OwnArguments, look: Duration) -> Result<Certificates> {
    let server = api_server(&own)?;
    let missing = "--secret needs --namespace, --webhook and --server-name, or give --tls-cert and --tls-key";
    for (flag, lifetime) in [
        ("--authority-lifetime", own.authority_lifetime),
        ("--certificate-lifetime", own.certificate_lifetime),
    ] {
        ensure!(
            (LIFETIME_MIN..=LIFETIME_MAX).contains(&lifetime),
            "{flag} must be from {} seconds to ten years",
            LIFETIME_MIN.as_secs()
        );
        ensure!(
            look * 10 <= lifetime,
            "{flag} must be ten times --look or more, so that what is due is seen in time"
        );
    }
    Ok(Certificates::Own {
        access: Access {
            server,
            token_file: own.token_file,
            ca_file: own.ca_file,
            namespace: own.namespace.context(missing)?,
            secret: own.secret.context(missing)?,
            webhook: own.webhook.context(missing)?,
        },
        terms: Terms {
            authority: own.authority_lifetime,
            serving: own.certificate_lifetime,
            settle: look * LOOKS_TO_SETTLE,
            names: own.server_name,
        },
        period: look,
        folder: own.folder,
    })
}

fn api_server(own: &OwnArguments) -> Result<Address> {
    let url = match (&own.api_server, &own.kubernetes_host) {
        (Some(url), _) => url.clone(),
        (None, Some(host)) => {
            let host = match host.parse() {
                Ok(IpAddr::V6(address)) => format!("[{address}]"),
                _ => host.clone(),
            };
            format!("https://{host}:{}", own.kubernetes_port.unwrap_or(443))
        }
        (None, None) => anyhow::bail!("--api-server is missing, and this is no pod of Kubernetes"),
    };
    let address = Address::parse(&url).filter(Address::is_tls);
    address.with_context(|| format!("--api-server {url}: write https://HOST:PORT"))
}
