//! One call to a sidecar's gRPC port.
//!
//! Guarantees: connecting and the call are bounded in time. Does not do: looking at the answer.

use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

use crate::exit::Refusal;
use crate::source::{CA_BYTES_MAX, CONNECT_TIMEOUT, REQUEST_TIMEOUT, WebOptions, read_input};

/// Connects to the server at `address` (host and port) and makes a call.
///
/// # Errors
/// The server cannot be reached, or whatever the call says.
pub(super) fn call<T>(
    address: &str,
    tls: bool,
    web: &WebOptions,
    make: impl AsyncFnOnce(Channel) -> Result<T, Refusal>,
) -> Result<T, Refusal> {
    let endpoint = endpoint(address, tls, web, None)?.timeout(REQUEST_TIMEOUT);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| unreachable(address, tls, &error))?;
    runtime.block_on(async {
        let channel = endpoint.connect().await.map_err(|error| unreachable(address, tls, &error))?;
        make(channel).await
    })
}

/// The server's address with trust, and what this side shows of itself. Connecting is bounded in time, calls are not yet.
pub(super) fn endpoint(
    address: &str,
    tls: bool,
    web: &WebOptions,
    identity: Option<Identity>,
) -> Result<Endpoint, Refusal> {
    let scheme = if tls { "https" } else { "http" };
    let not_an_address = |error: &dyn std::fmt::Display| {
        Refusal::usage(
            format_args!("`{address}` is not a server address: {error}"),
            "Write grpc://HOST:PORT or grpcs://HOST:PORT.",
        )
    };
    let endpoint = Endpoint::from_shared(format!("{scheme}://{address}"))
        .map_err(|error| not_an_address(&error))?
        .connect_timeout(CONNECT_TIMEOUT);
    if !tls {
        return Ok(endpoint);
    }
    let mut trust = ClientTlsConfig::new();
    trust = match &web.ca {
        Some(path) => trust.ca_certificate(Certificate::from_pem(read_input(path, CA_BYTES_MAX)?)),
        None => trust.with_webpki_roots(),
    };
    if let Some(identity) = identity {
        trust = trust.identity(identity);
    }
    endpoint.tls_config(trust).map_err(|error| not_an_address(&error))
}

/// A server that does not answer, with what to do about it.
pub(super) fn unreachable(address: &str, tls: bool, error: &dyn std::error::Error) -> Refusal {
    let cause = error.source().map_or_else(String::new, |source| format!(": {source}"));
    let next = if tls {
        "Check the address, that the sidecar runs and speaks TLS, and that --ca names the authority that signed its \
         certificate for this host name; then run the command again."
    } else {
        "Check the address and that the sidecar runs; if it speaks TLS, write grpcs://. Then run the command again."
    };
    Refusal::unavailable(format_args!("{address} cannot be reached: {error}{cause}"), next)
}
