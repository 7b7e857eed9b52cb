//! `ledgerstone approval propose`: the statement of a change, for the approvers to sign.
//!
//! Guarantees: the digests are of the folder or file as it lies here; the nonce is fresh. Does not do: asking a log. The changes
//! that a sidecar's configuration makes are proposed by `ledgerstone-sidecar approvals propose`, which knows what is in force.

use std::time::SystemTime;

use ledgerstone::approval::{Change, Nonce, Statement};
use ledgerstone::entry::{RegisteredName, RegisteredVersion};
use ledgerstone::hash::Hash;
use ledgerstone::manifest::LEFT_OUT;
use ledgerstone::note::KeyName;
use ledgerstone::time::UnixMillis;

use super::approval_show::describe;
use super::audit_register;
use super::key_generate::{Secrecy, write_new};
use crate::cli::{
    ApprovalModelArguments, ApprovalPolicyArguments, ApprovalProposeArguments, ApprovalProposeCommand,
};
use crate::exit::{Exit, Refusal};
use crate::folder;
use crate::oms::BUNDLE_BYTES_MAX;
use crate::output::Output;
use crate::source::read_input;

/// Milliseconds of a day.
const DAY_MILLIS: u64 = 86_400_000;

const NEXT: &str = "Correct it; nothing was written.";

/// Writes the statement and shows it.
///
/// # Errors
/// What is to be proposed makes no sense or cannot be read, or the file exists already.
pub(super) fn run(command: &ApprovalProposeCommand, output: &mut Output) -> Result<Exit, Refusal> {
    let (change, arguments) = match command {
        ApprovalProposeCommand::Model(arguments) => (model(arguments)?, &arguments.propose),
        ApprovalProposeCommand::Policy(arguments) => (policy(arguments)?, &arguments.propose),
    };
    let statement = statement(change, arguments)?;
    write_new(&arguments.output, statement.to_text().as_bytes(), Secrecy::Public)?;
    describe(&statement, &[], output)?;
    output.remark(&format!(
        "Written to {}. Nobody has signed it: the approvers do with `ledgerstone approval sign`.",
        arguments.output.display()
    ));
    Ok(Exit::Verified)
}

fn model(arguments: &ApprovalModelArguments) -> Result<Change, Refusal> {
    let digest = match &arguments.folder {
        Some(folder) => folder::read(folder, &LEFT_OUT)?.root(),
        None => audit_register::sha256(arguments.digest.as_deref().unwrap_or_default())?,
    };
    let signature = match &arguments.signature {
        None => None,
        Some(path) => Some(Hash::of(&read_input(path, BUNDLE_BYTES_MAX)?)),
    };
    Ok(Change::Model {
        name: RegisteredName::parse(&arguments.name).map_err(|error| Refusal::usage(error, NEXT))?,
        version: RegisteredVersion::parse(&arguments.version).map_err(|error| Refusal::usage(error, NEXT))?,
        digest,
        signature,
    })
}

fn policy(arguments: &ApprovalPolicyArguments) -> Result<Change, Refusal> {
    let kind = RegisteredName::parse(&arguments.kind).map_err(|error| Refusal::usage(error, NEXT))?;
    let digest =
        audit_register::digest(&arguments.kind, arguments.file.as_deref(), arguments.digest.as_deref())?;
    Ok(Change::Policy { kind, digest })
}

fn statement(change: Change, arguments: &ApprovalProposeArguments) -> Result<Statement, Refusal> {
    let log = KeyName::new(&arguments.log).map_err(|error| {
        Refusal::usage(format_args!("`{}` is no log's origin: {error}", arguments.log), NEXT)
    })?;
    let mut nonce = [0; 16];
    getrandom::fill(&mut nonce).map_err(|error| {
        Refusal::unavailable(
            format_args!("the system gives no randomness: {error}"),
            "Run the command again.",
        )
    })?;
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let created = UnixMillis::new(u64::try_from(since.as_millis()).unwrap_or(u64::MAX));
    let expires = created.plus_millis(u64::from(arguments.days) * DAY_MILLIS);
    Ok(Statement { log, change, created, expires, nonce: Nonce::new(nonce) })
}
