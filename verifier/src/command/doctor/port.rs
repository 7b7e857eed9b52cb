//! The gRPC port: whether it serves the log, and whether the model server behind it answers.

use ledgerstone::checkpoint::SignedCheckpoint;
use ledgerstone::limits::NOTE_BYTES_MAX;
use ledgerstone::proto::inference::ServerReadyRequest;
use ledgerstone::proto::inference::grpc_inference_service_client::GrpcInferenceServiceClient;
use ledgerstone::proto::ledgerstone_v1::GetCheckpointRequest;
use ledgerstone::proto::ledgerstone_v1::log_client::LogClient;
use tonic::{Code as GrpcCode, Status};

use super::Places;
use super::finding::Findings;
use crate::command::grpc;

/// Asks the gRPC port for the log's head, and the model server behind it whether it is ready.
pub(super) fn ask(findings: &mut Findings, url: &str, places: &Places<'_>) {
    let name = "grpc.reached";
    let (address, tls) = match url.split_once("://") {
        Some(("grpc", address)) => (address, false),
        Some(("grpcs", address)) => (address, true),
        _ => {
            return findings.open(
                name,
                format!("`{url}` is no address of a gRPC port."),
                "Write grpc://HOST:PORT or grpcs://HOST:PORT.",
            );
        }
    };
    let address = address.trim_end_matches('/');
    let asked = grpc::call(address, tls, places.web, async |channel| {
        let mut client = LogClient::new(channel.clone()).max_decoding_message_size(2 * NOTE_BYTES_MAX);
        let answer = client.get_checkpoint(GetCheckpointRequest {}).await;
        let ready = GrpcInferenceServiceClient::new(channel).server_ready(ServerReadyRequest {}).await;
        Ok((answer.map(|answer| answer.into_inner().note), ready.map(|ready| ready.into_inner().ready)))
    });
    let asked = asked.map(|(note, ready)| {
        upstream(findings, ready);
        note
    });
    match asked {
        Ok(Ok(note)) => match SignedCheckpoint::parse(&note) {
            Ok(signed) => {
                findings.ok(name, format!("The gRPC port at {address} serves {}.", signed.checkpoint().origin));
                findings.origins.push(("the gRPC port", signed.checkpoint().origin.to_string()));
            }
            Err(error) => findings.fail(
                name,
                format!("{address} answers with something that is no checkpoint: {error}."),
                "Name the address of server.listen.",
            ),
        },
        Ok(Err(status)) if matches!(status.code(), GrpcCode::Unauthenticated | GrpcCode::PermissionDenied) => findings.fail(
            "access.grpc",
            format!("{address} refuses to show its log: {}.", status.message()),
            "Show who you are with --cert-file and --key-file or --token-file, and give that certificate or claim the role operator, \
             compliance or auditor (docs/access.md).",
        ),
        Ok(Err(status)) => findings.fail(
            name,
            format!("{address} does not answer as a sidecar does: {}.", status.message()),
            "Start the sidecar, and check that server.listen is this address and that grpc:// or grpcs:// is what it speaks.",
        ),
        Err(refusal) => findings.fail(name, format!("{}.", refusal.message), refusal.next),
    }
}

/// Says whether the model server answers through the sidecar.
fn upstream(findings: &mut Findings, ready: Result<bool, Status>) {
    const FIX: &str = "Start the model server, and check upstream.address, upstream.ca_file and what is between; every decision is \
                       recorded as one without an answer until then.";
    let name = "upstream.reached";
    match ready {
        Ok(true) => findings.ok(name, "The model server answers through the sidecar and is ready."),
        Ok(false) => findings.warn(name, "The model server says that it is not ready.", FIX),
        Err(status) => match status.code() {
            // It is the model server that has no such method.
            GrpcCode::Unimplemented => findings.ok(name, "The model server answers through the sidecar."),
            GrpcCode::Unauthenticated | GrpcCode::PermissionDenied => findings.open(
                name,
                format!("The model server was not asked: {}.", status.message()),
                "Ask with a certificate or token that has the role operator or application, too.",
            ),
            _ => findings.fail(
                name,
                format!("The model server does not answer through the sidecar: {}.", status.message()),
                FIX,
            ),
        },
    }
}
