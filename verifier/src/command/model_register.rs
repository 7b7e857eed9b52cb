//! `ledgerstone model register`: says in a sidecar's log that a model folder comes into use.
//!
//! Guarantees: what is registered is the digest of the folder as it lies here. Does not do: checking the signature it names.

use bytes::Bytes;
use ledgerstone::entry::{Entry, KindDetails, ModelDetails, RegisteredName, RegisteredVersion};
use ledgerstone::hash::Hash;
use ledgerstone::manifest::LEFT_OUT;
use ledgerstone::proto::ledgerstone_v1::RegisterModelRequest;

use super::registry::{self, Registered};
use crate::cli::ModelRegisterArguments;
use crate::exit::{Exit, Refusal};
use crate::folder;
use crate::oms::BUNDLE_BYTES_MAX;
use crate::output::Output;
use crate::source::read_input;

/// Registers the folder.
///
/// # Errors
/// It cannot be read, its name is none, or the sidecar does not register it.
pub(super) fn run(arguments: &ModelRegisterArguments, output: &mut Output) -> Result<Exit, Refusal> {
    let next = "Choose another name or version; nothing was registered.";
    let name = RegisteredName::parse(&arguments.name).map_err(|error| Refusal::usage(error, next))?;
    let version =
        RegisteredVersion::parse(&arguments.version).map_err(|error| Refusal::usage(error, next))?;
    let signature = match &arguments.signature {
        None => None,
        Some(path) => Some(Hash::of(&read_input(path, BUNDLE_BYTES_MAX)?)),
    };
    let digest = folder::read(&arguments.folder, &LEFT_OUT)?.root();
    let bytes = |hash: &Hash| Bytes::copy_from_slice(hash.as_bytes());
    let request = RegisterModelRequest {
        name: name.to_string(),
        version: version.to_string(),
        digest: bytes(&digest),
        signature_digest: signature.as_ref().map(bytes).unwrap_or_default(),
        approval: registry::approval(&arguments.registry)?,
    };
    let details = KindDetails::Model(ModelDetails { name, version, signature });
    let is_it = |entry: &Entry| entry.model == Some(digest) && entry.kind_details().as_ref() == Ok(&details);
    registry::run(&arguments.registry, Registered::Model(request), digest, is_it, output)
}
