//! `ledgerstone audit register`: says in a sidecar's log which plan an audit follows.
//!
//! Guarantees: what is registered is the digest that `audit plan` printed, of a policy of another kind that of the file's bytes, or
//! the one given. Does not do: checking the plan's signature.

use std::path::Path;

use bytes::Bytes;
use ledgerstone::encoding::hex_decode;
use ledgerstone::entry::{Entry, KindDetails, PolicyDetails, RegisteredName};
use ledgerstone::hash::Hash;
use ledgerstone::proto::ledgerstone_v1::RegisterPolicyRequest;

use super::registry::{self, Registered};
use crate::audit::PlanFile;
use crate::cli::AuditRegisterArguments;
use crate::exit::{Exit, Refusal};
use crate::output::Output;
use crate::source::read_input;

/// Bytes of a policy's file.
const FILE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The kind of an audit's plan, whose digest is that of its text without the signature.
const AUDIT_PLAN: &str = "audit-plan";

/// Registers the plan.
///
/// # Errors
/// It cannot be read, its kind is no name, or the sidecar does not register it.
pub(super) fn run(arguments: &AuditRegisterArguments, output: &mut Output) -> Result<Exit, Refusal> {
    let kind = RegisteredName::parse(&arguments.kind)
        .map_err(|error| Refusal::usage(error, "Choose another --kind; nothing was registered."))?;
    let digest = digest(&arguments.kind, arguments.plan.as_deref(), arguments.digest.as_deref())?;
    let request = RegisterPolicyRequest {
        kind: kind.to_string(),
        digest: Bytes::copy_from_slice(digest.as_bytes()),
        approval: registry::approval(&arguments.registry)?,
    };
    let details = KindDetails::Policy(PolicyDetails { kind });
    let is_it = |entry: &Entry| entry.policy == Some(digest) && entry.kind_details().as_ref() == Ok(&details);
    registry::run(&arguments.registry, Registered::Policy(request), digest, is_it, output)
}

/// The digest of a policy of this kind: of its file, or given.
pub(super) fn digest(kind: &str, file: Option<&Path>, digest: Option<&str>) -> Result<Hash, Refusal> {
    let Some(path) = file else { return sha256(digest.unwrap_or_default()) };
    let bytes = read_input(path, FILE_BYTES_MAX)?;
    if kind != AUDIT_PLAN {
        return Ok(Hash::of(&bytes));
    }
    let plan = PlanFile::parse(&bytes).map_err(|error| {
        Refusal::malformed(
            format_args!("{} is no plan: {error}", path.display()),
            "Give the file that `ledgerstone audit plan` wrote, or another --kind.",
        )
    })?;
    Ok(plan.digest())
}

/// Reads 64 hexadecimal digits.
pub(super) fn sha256(text: &str) -> Result<Hash, Refusal> {
    let bytes = hex_decode(text.strip_prefix("sha256:").unwrap_or(text)).ok();
    bytes.and_then(|bytes| Hash::try_from(bytes.as_slice()).ok()).ok_or_else(|| {
        Refusal::usage(
            format_args!("`{text}` is not a SHA-256"),
            "Write 64 lowercase hexadecimal digits, as `sha256sum` prints them.",
        )
    })
}
