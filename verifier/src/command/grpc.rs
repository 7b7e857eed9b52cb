//! One call to a sidecar's gRPC port.
//!
//! Guarantees: connecting and the call are bounded in time; a token goes to the server over TLS, or to this machine itself.
//! Does not do: looking at the answer.

use ledgerstone::grpc::{Screened, screened};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};
use tonic::{Code as GrpcCode, Request, Status};
use zeroize::Zeroizing;

use crate::exit::Refusal;
use crate::source::{CA_BYTES_MAX, CONNECT_TIMEOUT, REQUEST_TIMEOUT, WebOptions, read_input};

/// A connection that shows who calls.
pub(super) type Connection = InterceptedService<Screened, Bearer>;

/// Puts the token, if there is one, into each call.
#[derive(Clone)]
pub(super) struct Bearer(Option<MetadataValue<Ascii>>);

impl Bearer {
    /// The token of `web` for the server at `address`.
    ///
    /// # Errors
    /// The file cannot be read, or the token would go out in the clear.
    pub(super) fn of(web: &WebOptions, address: &str, tls: bool) -> Result<Self, Refusal> {
        let header = web.authorization(address, tls)?;
        let value = header.as_ref().and_then(|header| header.parse::<MetadataValue<Ascii>>().ok());
        Ok(Self(value.map(|mut value| {
            value.set_sensitive(true);
            value
        })))
    }
}

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(value) = &self.0 {
            request.metadata_mut().insert("authorization", value.clone());
        }
        Ok(request)
    }
}

/// Connects to the server at `address` (host and port) and makes a call.
///
/// # Errors
/// The server cannot be reached, or whatever the call says.
pub(super) fn call<T>(
    address: &str,
    tls: bool,
    web: &WebOptions,
    make: impl AsyncFnOnce(Connection) -> Result<T, Refusal>,
) -> Result<T, Refusal> {
    let endpoint = endpoint(address, tls, web)?.timeout(REQUEST_TIMEOUT);
    let bearer = Bearer::of(web, address, tls)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| unreachable(address, tls, &error))?;
    runtime.block_on(async {
        let channel = endpoint.connect().await.map_err(|error| unreachable(address, tls, &error))?;
        make(InterceptedService::new(screened(channel), bearer)).await
    })
}

/// The server's address with trust, and what this side shows of itself. Connecting is bounded in time, calls are not yet.
pub(super) fn endpoint(address: &str, tls: bool, web: &WebOptions) -> Result<Endpoint, Refusal> {
    let scheme = if tls { "https" } else { "http" };
    let not_an_address = |error: &dyn std::fmt::Display| {
        Refusal::usage(
            format_args!("`{address}` is not a server address: {error}"),
            "Write grpc://HOST:PORT or grpcs://HOST:PORT.",
        )
    };
    if address.contains('@') {
        return Err(Refusal::usage(
            "a server address names a user or a password",
            "Leave them out, and give a token with --token-file.",
        ));
    }
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
    if let Some((certificate, key)) = &web.identity {
        let certificate = read_input(certificate, CA_BYTES_MAX)?;
        let key = Zeroizing::new(read_input(key, CA_BYTES_MAX)?);
        trust = trust.identity(Identity::from_pem(certificate, &key));
    }
    endpoint.tls_config(trust).map_err(|error| not_an_address(&error))
}

/// A server that does not answer, with what to do about it.
pub(super) fn unreachable(address: &str, tls: bool, error: &dyn std::error::Error) -> Refusal {
    let cause = error.source().map_or_else(String::new, |source| format!(": {source}"));
    let next = if tls {
        "Check the address, that the sidecar runs and speaks TLS, that --ca-file names the authority that signed its \
         certificate for this host name, and --cert-file a certificate that it takes; then run the command again."
    } else {
        "Check the address and that the sidecar runs; if it speaks TLS, write grpcs://. Then run the command again."
    };
    Refusal::unavailable(format_args!("{address} cannot be reached: {error}{cause}"), next)
}

/// What to do about a server that wants to know who calls, or does not let this one.
pub(super) const fn who(code: GrpcCode) -> &'static str {
    match code {
        GrpcCode::Unauthenticated => "Show who you are: --cert-file and --key-file, or --token-file.",
        _ => "Ask the operator for the role that may do this.",
    }
}
