//! `ledgerstone audit register`: says in a sidecar's log which plan an audit follows.
//!
//! Guarantees: what is registered is the digest of the plan's bytes, or the one given. Does not do: reading the plan.

use bytes::Bytes;
use ledgerstone::encoding::hex_decode;
use ledgerstone::entry::{Entry, KindDetails, PolicyDetails, RegisteredName};
use ledgerstone::hash::Hash;
use ledgerstone::proto::ledgerstone_v1::RegisterPolicyRequest;

use super::registry::{self, Registered};
use crate::cli::AuditRegisterArguments;
use crate::exit::{Exit, Refusal};
use crate::output::Output;
use crate::source::read_input;

/// Bytes of a plan.
const PLAN_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Registers the plan.
///
/// # Errors
/// It cannot be read, its kind is no name, or the sidecar does not register it.
pub(super) fn run(arguments: &AuditRegisterArguments, output: &mut Output) -> Result<Exit, Refusal> {
    let kind = RegisteredName::parse(&arguments.kind)
        .map_err(|error| Refusal::usage(error, "Choose another --kind; nothing was registered."))?;
    let digest = digest(arguments)?;
    let request =
        RegisterPolicyRequest { kind: kind.to_string(), digest: Bytes::copy_from_slice(digest.as_bytes()) };
    let details = KindDetails::Policy(PolicyDetails { kind });
    let is_it = |entry: &Entry| entry.policy == Some(digest) && entry.kind_details().as_ref() == Ok(&details);
    registry::run(&arguments.registry, Registered::Policy(request), digest, is_it, output)
}

fn digest(arguments: &AuditRegisterArguments) -> Result<Hash, Refusal> {
    if let Some(plan) = &arguments.plan {
        return Ok(Hash::of(&read_input(plan, PLAN_BYTES_MAX)?));
    }
    let text = arguments.digest.as_deref().unwrap_or_default();
    let bytes = hex_decode(text.strip_prefix("sha256:").unwrap_or(text)).ok();
    bytes.and_then(|bytes| Hash::try_from(bytes.as_slice()).ok()).ok_or_else(|| {
        Refusal::usage(
            format_args!("`{text}` is not a SHA-256"),
            "Write 64 lowercase hexadecimal digits, as `sha256sum` prints them.",
        )
    })
}
