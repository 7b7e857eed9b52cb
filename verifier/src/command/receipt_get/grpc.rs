//! `ledgerstone.v1.Receipts/GetReceipt` over gRPC.
//!
//! Guarantees: connecting and the call are bounded in time, the answer in bytes. Does not do: looking at the answer.

use ledgerstone::code::Code;
use ledgerstone::limits::RECEIPT_BYTES_MAX;
use ledgerstone::proto::ledgerstone_v1::GetReceiptRequest;
use ledgerstone::proto::ledgerstone_v1::receipts_client::ReceiptsClient;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint};
use tonic::{Code as GrpcCode, Status};

use crate::exit::Refusal;
use crate::source::{CA_BYTES_MAX, CONNECT_TIMEOUT, REQUEST_TIMEOUT, WebOptions, read_input};

/// What a message needs beyond the receipt inside it.
const MESSAGE_OVERHEAD_BYTES: usize = 1024;

/// The receipt file of a decision, from the gRPC server at `address` (host and port).
///
/// # Errors
/// The server cannot be reached or refuses.
pub(super) fn fetch(
    address: &str,
    tls: bool,
    decision_id: &str,
    web: &WebOptions,
) -> Result<Vec<u8>, Refusal> {
    let endpoint = endpoint(address, tls, web)?;
    let unreachable = |error: &dyn std::error::Error| unreachable(address, tls, error);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| unreachable(&error))?;
    runtime.block_on(async {
        let channel = endpoint.connect().await.map_err(|error| unreachable(&error))?;
        let mut client = ReceiptsClient::new(channel)
            .max_decoding_message_size(RECEIPT_BYTES_MAX + MESSAGE_OVERHEAD_BYTES);
        let request = GetReceiptRequest { decision_id: decision_id.to_owned(), fields: Vec::new() };
        let answer = client.get_receipt(request).await;
        // A status that comes from an error of the connection was never the server's word.
        let failed = |status: Status| match std::error::Error::source(&status) {
            Some(error) => unreachable(error),
            None => refused(address, &status),
        };
        answer.map(|answer| answer.into_inner().receipt.to_vec()).map_err(failed)
    })
}

/// The server's address with timeouts and trust.
fn endpoint(address: &str, tls: bool, web: &WebOptions) -> Result<Endpoint, Refusal> {
    let scheme = if tls { "https" } else { "http" };
    let not_an_address = |error: &dyn std::fmt::Display| {
        Refusal::usage(
            format_args!("`{address}` is not a server address: {error}"),
            "Write grpc://HOST:PORT or grpcs://HOST:PORT.",
        )
    };
    let endpoint = Endpoint::from_shared(format!("{scheme}://{address}"))
        .map_err(|error| not_an_address(&error))?
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(REQUEST_TIMEOUT);
    if !tls {
        return Ok(endpoint);
    }
    let mut trust = ClientTlsConfig::new();
    trust = match &web.ca {
        Some(path) => trust.ca_certificate(Certificate::from_pem(read_input(path, CA_BYTES_MAX)?)),
        None => trust.with_webpki_roots(),
    };
    endpoint.tls_config(trust).map_err(|error| not_an_address(&error))
}

fn unreachable(address: &str, tls: bool, error: &dyn std::error::Error) -> Refusal {
    let cause = error.source().map_or_else(String::new, |source| format!(": {source}"));
    let next = if tls {
        "Check the address, that the sidecar runs and speaks TLS, and that --ca names the authority that signed its \
         certificate for this host name; then run the command again."
    } else {
        "Check the address and that the sidecar runs; if it speaks TLS, write grpcs://. Then run the command again."
    };
    Refusal::unavailable(format_args!("{address} cannot be reached: {error}{cause}"), next)
}

/// What the server said, with what to do about it.
fn refused(address: &str, status: &Status) -> Refusal {
    let message = format!("{address} refused: {}", status.message());
    match status.code() {
        GrpcCode::NotFound => Refusal::unavailable(
            message,
            "Check the decision id, and that this sidecar's log is the one that recorded it.",
        ),
        GrpcCode::InvalidArgument => Refusal::usage(message, "Correct the decision id."),
        GrpcCode::OutOfRange | GrpcCode::ResourceExhausted => Refusal::new(
            Code::Limit,
            message,
            "Ask the operator; the receipt is larger than any that verifies.",
        ),
        _ => Refusal::unavailable(message, "Run the command again in a few seconds."),
    }
}
