//! `ledgerstone.v1.Registry`: registers something in a sidecar's log and checks what it answers.
//!
//! Guarantees: success is reported only if the entry says what was asked and the proof leads from it to the root of the
//! checkpoint; under a policy, also that the log's keys signed it. Does not do: retrying. Repeating a registration without an
//! approval makes a second entry; with the same approval it finds the first.

use bytes::Bytes;
use ledgerstone::approval::Approvals;
use ledgerstone::checkpoint::SignedCheckpoint;
use ledgerstone::code::Code;
use ledgerstone::entry::Entry;
use ledgerstone::hash::{Hash, leaf_hash};
use ledgerstone::limits::NOTE_BYTES_MAX;
use ledgerstone::merkle::{LeafIndex, TreeSize, inclusion};
use ledgerstone::proto::ledgerstone_v1::registry_client::RegistryClient;
use ledgerstone::proto::ledgerstone_v1::{RegisterModelRequest, RegisterPolicyRequest, RegisterResponse};
use serde::Serialize;
use tonic::{Code as GrpcCode, Status};

use super::grpc::{call, unreachable, who};
use super::trust;
use crate::cli::RegistryArguments;
use crate::exit::{Exit, Refusal};
use crate::output::{Output, plural};
use crate::source::read_input;

/// The format of the commands' JSON.
const FORMAT: &str = "ledgerstone-registration/v1";

/// A registration as JSON.
#[derive(Serialize)]
struct RegistrationJson<'a> {
    format: &'static str,
    kind: &'static str,
    digest: String,
    origin: String,
    leaf_index: u64,
    tree_size: u64,
    recorded_at: String,
    /// Whether the checkpoint's signatures were checked under a policy.
    signatures_checked: bool,
    checkpoint: &'a str,
}

/// What is to be registered.
pub(super) enum Registered {
    /// A model.
    Model(RegisterModelRequest),
    /// A policy.
    Policy(RegisterPolicyRequest),
}

/// Registers, checks the answer and prints where the entry stands. `is_it` says whether an entry says what was asked.
///
/// # Errors
/// The sidecar cannot be reached, refuses, or answers what does not prove it.
pub(super) fn run(
    arguments: &RegistryArguments,
    request: Registered,
    digest: Hash,
    is_it: impl Fn(&Entry) -> bool,
    output: &mut Output,
) -> Result<Exit, Refusal> {
    let policy = trust::policy(&arguments.trust)?;
    let response = ask(arguments, request)?;
    let entry = Entry::decode(&response.entry).map_err(|error| unproved(&error, Code::Malformed))?;
    if !is_it(&entry) {
        return Err(unproved(&"the entry says something else than was asked", Code::Inconsistent));
    }
    let note = String::from_utf8_lossy(&response.checkpoint);
    let signed = SignedCheckpoint::parse(&response.checkpoint)
        .map_err(|error| unproved(&format_args!("its checkpoint: {error}"), error.code()))?;
    let checkpoint = signed.checkpoint();
    let proof: Option<Vec<Hash>> =
        response.proof.iter().map(|hash| Hash::try_from(hash.as_ref()).ok()).collect();
    let proof = proof.ok_or_else(|| unproved(&"a hash of the proof has not 32 bytes", Code::Malformed))?;
    let (index, size) = (LeafIndex::new(response.leaf_index), TreeSize::new(response.tree_size));
    if size != checkpoint.size {
        return Err(unproved(&"the proof is for another tree than the checkpoint", Code::Inconsistent));
    }
    inclusion::verify(&leaf_hash(&response.entry), index, size, &proof, &checkpoint.root)
        .map_err(|error| unproved(&error, error.code()))?;
    if let Some(policy) = &policy {
        policy.check_log(&signed).map_err(|error| unproved(&error, error.code()))?;
    }
    if output.is_json() {
        output.json(&RegistrationJson {
            format: FORMAT,
            kind: entry.kind.as_str(),
            digest: digest.to_string(),
            origin: checkpoint.origin.to_string(),
            leaf_index: index.get(),
            tree_size: size.get(),
            recorded_at: entry.recorded_at.to_string(),
            signatures_checked: policy.is_some(),
            checkpoint: &note,
        })?;
        return Ok(Exit::Verified);
    }
    output.print(&format!(
        "Registered  {digest}\nLog         {}\nLeaf index  {index}, under a checkpoint of {}\nTime        {}\n",
        checkpoint.origin,
        plural(size.get(), "entry", "entries"),
        entry.recorded_at,
    ))?;
    if policy.is_none() {
        output.remark(
            "Proved against the checkpoint that the sidecar sent; --policy checks who signed it, too.",
        );
    }
    Ok(Exit::Verified)
}

/// The approval that the command line names, as it was signed; empty without one.
///
/// # Errors
/// It cannot be read, or is none.
pub(super) fn approval(arguments: &RegistryArguments) -> Result<Bytes, Refusal> {
    let Some(path) = &arguments.approval else { return Ok(Bytes::new()) };
    let bytes = read_input(path, NOTE_BYTES_MAX)?;
    Approvals::parse(&bytes).map_err(|error| {
        Refusal::malformed(
            format_args!("{} is no signed approval: {error}", path.display()),
            "Give the file that `ledgerstone approval sign` wrote; nothing was registered.",
        )
    })?;
    Ok(bytes.into())
}

fn ask(arguments: &RegistryArguments, request: Registered) -> Result<RegisterResponse, Refusal> {
    let web = arguments.network.options();
    let (address, tls) = match arguments.sidecar.split_once("://") {
        Some(("grpc", address)) => (address, false),
        Some(("grpcs", address)) => (address, true),
        _ => {
            return Err(Refusal::usage(
                format_args!("`{}` is not the address of a registry", arguments.sidecar),
                "Write grpc:// or grpcs:// and the host and port that the sidecar has as `registry.listen`.",
            ));
        }
    };
    let address = address.trim_end_matches('/');
    call(address, tls, &web, async |channel| {
        let mut client = RegistryClient::new(channel);
        let answer = match request {
            Registered::Model(request) => client.register_model(request).await,
            Registered::Policy(request) => client.register_policy(request).await,
        };
        answer.map(tonic::Response::into_inner).map_err(|status| match std::error::Error::source(&status) {
            Some(error) => unreachable(address, tls, error),
            None => refused(address, &status),
        })
    })
}

/// What the sidecar said, with what to do about it.
fn refused(address: &str, status: &Status) -> Refusal {
    let message = format!("{address} refused: {}", status.message());
    match status.code() {
        GrpcCode::PermissionDenied => Refusal::new(
            Code::Untrusted,
            message,
            "Have the change approved as the message says and give the signed file with --approval, or ask as somebody who may register (--cert-file, --token-file); nothing was registered.",
        ),
        GrpcCode::AlreadyExists => {
            Refusal::usage(message, "Propose the change again; nothing was registered.")
        }
        code @ GrpcCode::Unauthenticated => Refusal::unavailable(message, who(code)),
        GrpcCode::InvalidArgument => Refusal::usage(message, "Correct what is to be registered."),
        GrpcCode::Unimplemented => Refusal::usage(
            message,
            "This port has no registry: give the address that the sidecar has as `registry.listen`.",
        ),
        _ => Refusal::unavailable(
            message,
            "It may be in the log all the same: look with `ledgerstone log models` before you register again.",
        ),
    }
}

fn unproved(why: &dyn std::fmt::Display, code: Code) -> Refusal {
    Refusal::new(
        code,
        format_args!("the sidecar's answer does not prove the registration: {why}"),
        "Keep what the sidecar wrote and run `ledgerstone verify log` on its log.",
    )
}
