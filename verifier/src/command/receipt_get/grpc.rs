//! `ledgerstone.v1.Receipts/GetReceipt` over gRPC.
//!
//! Guarantees: connecting and the call are bounded in time, the answer in bytes. Does not do: looking at the answer.

use ledgerstone::code::Code;
use ledgerstone::limits::RECEIPT_BYTES_MAX;
use ledgerstone::proto::ledgerstone_v1::GetReceiptRequest;
use ledgerstone::proto::ledgerstone_v1::receipts_client::ReceiptsClient;
use tonic::{Code as GrpcCode, Status};

use crate::command::grpc::{call, unreachable, who};
use crate::exit::Refusal;
use crate::source::WebOptions;

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
    call(address, tls, web, async |channel| {
        let mut client = ReceiptsClient::new(channel)
            .max_decoding_message_size(RECEIPT_BYTES_MAX + MESSAGE_OVERHEAD_BYTES);
        let request = GetReceiptRequest { decision_id: decision_id.to_owned(), fields: Vec::new() };
        let answer = client.get_receipt(request).await;
        // A status that comes from an error of the connection was never the server's word.
        let failed = |status: Status| match std::error::Error::source(&status) {
            Some(error) => unreachable(address, tls, error),
            None => refused(address, &status),
        };
        answer.map(|answer| answer.into_inner().receipt.to_vec()).map_err(failed)
    })
}

/// What the server said, with what to do about it.
fn refused(address: &str, status: &Status) -> Refusal {
    let message = format!("{address} refused: {}", status.message());
    match status.code() {
        code @ (GrpcCode::Unauthenticated | GrpcCode::PermissionDenied) => {
            Refusal::unavailable(message, who(code))
        }
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
