//! `ledgerstone approval sign`: shows a statement and signs it with an approver's key.
//!
//! Guarantees: the text is shown before it is signed, and signed only after a yes; an existing file is left alone; a key signs a
//! statement once. Does not do: saying whether the change is wise, or who else must sign.

use std::io::{self, BufRead as _};

use ledgerstone::approval::Approvals;

use super::approval_show::{describe, read};
use super::key_generate::{Secrecy, exists, write_new};
use super::key_show;
use crate::cli::ApprovalSignArguments;
use crate::exit::{Exit, Refusal};
use crate::output::Output;

/// Shows, asks and signs.
///
/// # Errors
/// The file is no statement, the key cannot be read or has signed already, or nobody said yes.
pub(super) fn run(arguments: &ApprovalSignArguments, output: &mut Output) -> Result<Exit, Refusal> {
    if arguments.output.symlink_metadata().is_ok() {
        return Err(exists(&arguments.output));
    }
    let (statement, signatures) = read(&arguments.statement)?;
    let keys = key_show::read(&arguments.key)?;
    describe(&statement, &signatures, output)?;
    if !arguments.yes {
        output.remark("Type yes to sign it with this key:");
        let mut answer = String::new();
        let read = io::stdin().lock().read_line(&mut answer);
        if read.is_err() || answer.trim() != "yes" {
            return Err(Refusal::usage("nobody said yes", "Nothing was signed; type yes, or give --yes."));
        }
    }
    let signed = Approvals::sign(statement, &signatures, |text| keys.sign_text(text))
        .map_err(|error| Refusal::new(error.code(), error, "Nothing was written."))?;
    write_new(&arguments.output, signed.to_string().as_bytes(), Secrecy::Public)?;
    output.remark(&format!("Signed as {}; written to {}.", keys.origin(), arguments.output.display()));
    Ok(Exit::Verified)
}
