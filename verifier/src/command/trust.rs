//! Whom the user trusts: a policy file, or keys on the command line.
//!
//! Guarantees: nothing is trusted that the user did not name. Does not do: finding keys in what is being checked.

use ledgerstone::code::Code;
use ledgerstone::limits::POLICY_BYTES_MAX;
use ledgerstone::note::VerifierKey;
use ledgerstone::policy::Policy;
use ledgerstone::verify::anchors::AnchorTrust;

use crate::anchors;
use crate::cli::{AnchorTrustArguments, TrustArguments};
use crate::exit::Refusal;
use crate::source::read_input;

/// The policy in the file that the user named, if any.
///
/// # Errors
/// The file cannot be read or is no policy.
pub(super) fn policy(arguments: &TrustArguments) -> Result<Option<Policy>, Refusal> {
    let Some(path) = &arguments.policy else {
        return Ok(None);
    };
    let bytes = read_input(path, POLICY_BYTES_MAX)?;
    let policy = Policy::parse(&bytes).map_err(|error| {
        Refusal::malformed(
            format_args!("{} is not a trust policy: {error}", path.display()),
            "Get the policy file again from the log's operator.",
        )
    })?;
    Ok(Some(policy))
}

/// Checks that a bundle's checkpoint is signed as `policy` asks, if there is one.
///
/// # Errors
/// It is not.
pub(super) fn check(policy: Option<&Policy>, checkpoint: &[u8]) -> Result<(), Refusal> {
    let Some(policy) = policy else { return Ok(()) };
    policy.check(checkpoint).map(drop).map_err(|error| {
        Refusal::new(
            Code::Untrusted,
            format_args!("the bundle's checkpoint is not signed as your policy asks: {error}"),
            "Check that the policy is this log's; keep the bundle as evidence.",
        )
    })
}

/// The trust file for anchors that the user named, if any.
///
/// # Errors
/// The file, or one that it names, cannot be read or is malformed.
pub(super) fn anchors(arguments: &AnchorTrustArguments) -> Result<Option<AnchorTrust>, Refusal> {
    arguments.anchor_trust.as_deref().map(anchors::read_trust).transpose()
}

/// The policy that trusts exactly the keys on the command line, if there are any.
///
/// # Errors
/// One of them is no key, or they do not make a policy.
pub(super) fn from_vkeys(vkeys: &[String]) -> Result<Option<Policy>, Refusal> {
    if vkeys.is_empty() {
        return Ok(None);
    }
    let next =
        "Copy each key as `ledgerstone key show` or the operator's policy file has it, one --vkey each.";
    let keys = vkeys
        .iter()
        .map(|vkey| {
            vkey.parse::<VerifierKey>()
                .map_err(|error| Refusal::usage(format_args!("`{vkey}` is not a public key: {error}"), next))
        })
        .collect::<Result<Vec<_>, _>>()?;
    let policy = Policy::for_log(&keys)
        .map_err(|error| Refusal::usage(format_args!("these keys make no policy: {error}"), next))?;
    Ok(Some(policy))
}
