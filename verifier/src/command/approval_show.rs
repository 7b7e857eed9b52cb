//! `ledgerstone approval show` and `approval roster`: what a statement says and who has signed it; what a roster is named by.
//!
//! Guarantees: what is shown is the very text that is signed. Without approvers no signature is called good.

use std::collections::BTreeMap;
use std::path::Path;

use ledgerstone::approval::{Approvals, ChangeKind, Roster, Rule, Statement};
use ledgerstone::code::Code;
use ledgerstone::limits::{APPROVERS_BYTES_MAX, NOTE_BYTES_MAX};
use ledgerstone::note::Signature;
use serde::Serialize;

use crate::cli::{ApprovalRosterArguments, ApprovalShowArguments};
use crate::exit::{Exit, Refusal};
use crate::output::{Output, plural};
use crate::source::read_input;

/// The format of these commands' JSON.
const FORMAT: &str = "ledgerstone-approval/v1";

/// A statement as JSON.
#[derive(Serialize)]
struct StatementJson {
    format: &'static str,
    log: String,
    change: &'static str,
    statement: String,
    digest: String,
    created: String,
    expires: String,
    /// Names in signature lines: who claims to have signed.
    signatures: Vec<String>,
}

/// A roster as JSON.
#[derive(Serialize)]
struct RosterJson {
    format: &'static str,
    digest: String,
}

/// Shows the statement, and with approvers whether enough have signed.
///
/// # Errors
/// The file is no statement, or the approvers or the rule make no sense.
pub(super) fn run(arguments: &ApprovalShowArguments, output: &mut Output) -> Result<Exit, Refusal> {
    let (statement, signatures) = read(&arguments.statement)?;
    describe(&statement, &signatures, output)?;
    let (Some(approvers), Some(rule)) = (&arguments.approvers, &arguments.rule) else {
        if !output.is_json() && !signatures.is_empty() {
            output.remark("Not checked: whether these signatures are good, and whose they are. Give --approvers and --rule.");
        }
        return Ok(Exit::Verified);
    };
    let kind = statement.change.kind();
    // The roster rule is no part of the question; whoever counts here may stand for it.
    let rules = [(kind, rule.as_str()), (ChangeKind::Roster, rule.as_str())];
    let roster = self::roster_of(approvers, &rules)?;
    let note = read_input(&arguments.statement, NOTE_BYTES_MAX)?;
    let enough = Approvals::parse(&note)
        .and_then(|approvals| roster.accepts(&approvals))
        .map_err(|error| Refusal::new(Code::Untrusted, error, "It is not approved yet."));
    enough?;
    output.remark(
        "Enough approvers have signed it. Whether it was used already, or expired, the sidecar finds.",
    );
    Ok(Exit::Verified)
}

/// Prints the digest of a roster.
///
/// # Errors
/// The approvers or the rules make no sense.
pub(super) fn roster(arguments: &ApprovalRosterArguments, output: &mut Output) -> Result<Exit, Refusal> {
    let rules: Option<Vec<(ChangeKind, &str)>> = arguments
        .rules
        .iter()
        .map(|rule| {
            rule.split_once('=')
                .and_then(|(kind, rule)| Some((ChangeKind::from_word(kind.trim())?, rule.trim())))
        })
        .collect();
    let rules = rules.ok_or_else(|| {
        Refusal::usage(
            "a --rule is not KIND=RULE",
            "Write for example --rule \"model=2 of alice, bob\"; kinds are model, policy, key, retention and roster.",
        )
    })?;
    let digest = roster_of(&arguments.approvers, &rules)?.public().digest().to_string();
    if output.is_json() {
        output.json(&RosterJson { format: FORMAT, digest })?;
    } else {
        output.print(&format!("sha256:{digest}\n"))?;
    }
    Ok(Exit::Verified)
}

fn roster_of(path: &Path, rules: &[(ChangeKind, &str)]) -> Result<Roster, Refusal> {
    let file = read_input(path, APPROVERS_BYTES_MAX)?;
    let mut parsed = BTreeMap::new();
    for (kind, rule) in rules {
        let rule: Rule = rule.parse().map_err(|error| Refusal::usage(error, "Correct the rule."))?;
        parsed.insert(*kind, rule);
    }
    Roster::new(&file, &parsed).map_err(|error| {
        Refusal::malformed(
            format_args!("{} and the rules make no roster: {error}", path.display()),
            "Correct the file or the rules.",
        )
    })
}

/// A statement with the signatures that stand under it, if there are any.
///
/// # Errors
/// The file is neither a statement nor a signed one.
pub(super) fn read(path: &Path) -> Result<(Statement, Vec<Signature>), Refusal> {
    let bytes = read_input(path, NOTE_BYTES_MAX)?;
    let refused = |error: &dyn std::fmt::Display| {
        Refusal::malformed(
            format_args!("{} is no statement of a change: {error}", path.display()),
            "Give the file that `approval propose` or `approval sign` wrote, as it was written.",
        )
    };
    let text = core::str::from_utf8(&bytes).map_err(|error| refused(&error))?;
    if !text.contains("\n\n") {
        return Ok((Statement::parse(text).map_err(|error| refused(&error))?, Vec::new()));
    }
    let approvals = Approvals::parse(&bytes).map_err(|error| refused(&error))?;
    Ok((approvals.statement().clone(), approvals.note().signatures().to_vec()))
}

/// Prints what a statement says, line by line as it is signed, and who claims to have signed it.
pub(super) fn describe(
    statement: &Statement,
    signatures: &[Signature],
    output: &mut Output,
) -> Result<(), Refusal> {
    let names = || signatures.iter().map(|signature| signature.name().to_string());
    if output.is_json() {
        return output.json(&StatementJson {
            format: FORMAT,
            log: statement.log.to_string(),
            change: statement.change.kind().as_str(),
            statement: statement.to_text(),
            digest: statement.digest().to_string(),
            created: statement.created.to_string(),
            expires: statement.expires.to_string(),
            signatures: names().collect(),
        });
    }
    output.print(&format!("This is what is signed:\n\n{}\n", indented(&statement.to_text())))?;
    output.print(&format!("Statement  sha256:{}\n", statement.digest()))?;
    match signatures {
        [] => output.print("Signed     by nobody\n"),
        signatures => {
            let count = plural(signatures.len() as u64, "signature", "signatures");
            output.print(&format!("Signed     {count}: {}\n", names().collect::<Vec<_>>().join(", ")))
        }
    }
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}
