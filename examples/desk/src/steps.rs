//! The steps that every example's story has, told in the same words.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use ledgerstone::code::CheckName;
use ledgerstone::merkle::LeafIndex;
use ledgerstone::policy::Policy;
use ledgerstone::verify::Verdict;
use ledgerstone_verifier::progress::Shown;

use crate::evidence;
use crate::folder::RunFolder;
use crate::sample::{self, Audited, Question};
use crate::tell::{self, bold, count, say, step};
use crate::tolerance::Tolerance;

/// Writes a receipt, says what it shows, and checks it offline. `score` is the output tensor of the score.
///
/// # Errors
/// If the receipt does not verify.
pub fn receipt(path: &Path, receipt: &[u8], score: Option<&'static str>, policy: &Policy) -> Result<()> {
    std::fs::write(path, receipt)?;
    tell::table(&evidence::shown_by(receipt, score)?);
    say("Both servers have stopped. The receipt is checked offline, with nothing but the log's public keys:");
    let report = evidence::check_receipt(receipt, policy);
    let shown = [
        CheckName::ReceiptEntry,
        CheckName::ReceiptFields,
        CheckName::ReceiptInclusion,
        CheckName::CheckpointSignatures,
    ];
    tell::report(&report, &shown);
    ensure!(report.verdict() == Verdict::Verified, "the receipt does not verify");
    Ok(())
}

/// Checks the whole log.
///
/// # Errors
/// If it does not verify.
pub fn log(number: u32, folder: &RunFolder, policy: &Policy) -> Result<()> {
    step(number, "An auditor checks the whole log: every entry, every signature, nothing missing");
    let report = evidence::check_log(&folder.store(), policy, &mut Shown::new(true, false))?;
    let shown = [
        CheckName::CheckpointSignatures,
        CheckName::LogRoot,
        CheckName::LogDecisions,
        CheckName::LogSessions,
        CheckName::LogSealed,
    ];
    tell::report(&report, &shown);
    ensure!(report.verdict() == Verdict::Verified, "the log does not verify");
    Ok(())
}

/// Checks what fixed the log outside, and shows that a log without its last entries is not the one that was fixed. `basis`
/// says in words what that rests on.
///
/// # Errors
/// If it does not verify.
pub fn anchors(number: u32, folder: &RunFolder, policy: &Policy, basis: &str) -> Result<()> {
    step(number, "The log's head was fixed outside, while the decisions were made");
    say(basis);
    let report = evidence::check_anchors(folder, policy, &mut Shown::new(true, false))?;
    let shown = [
        CheckName::AnchorStatements,
        CheckName::AnchorLog,
        CheckName::AnchorTimestampToken,
        CheckName::AnchorTimestampCertificate,
        CheckName::AnchorEvmStorage,
        CheckName::AnchorEvmHeader,
        CheckName::AnchorQuorum,
    ];
    tell::report(&report, &shown);
    ensure!(report.verdict() == Verdict::Verified, "the anchors do not verify");
    Ok(())
}

/// Changes one byte of an entry in a copy of the log, and shows that the check finds it.
///
/// # Errors
/// If it does not.
pub fn one_byte(number: u32, folder: &RunFolder, index: LeafIndex, policy: &Policy) -> Result<()> {
    step(number, "Somebody changes one byte of one entry, in a copy of the log");
    let flipped = evidence::flip_one_byte(folder, index)?;
    say(&format!(
        "entry {index}, {}, byte {}: 0x{:02x} became 0x{:02x}",
        flipped.file.display(),
        flipped.offset,
        flipped.from,
        flipped.to
    ));
    let report = evidence::check_log(&folder.tampered(), policy, &mut Shown::new(true, false))?;
    tell::report(&report, &[]);
    ensure!(report.verdict() == Verdict::Failed, "the changed byte was not noticed");
    Ok(())
}

/// Draws a sample, recomputes it, writes the report and checks it.
///
/// # Errors
/// If a step is refused, or the report does not verify.
pub fn sampled_audit(number: u32, folder: &RunFolder, question: &Question) -> Result<Audited> {
    sampled_audit_within(number, folder, question, None)
}

/// The same of a model that is not reproduced bit for bit, within a tolerance.
///
/// # Errors
/// As [`sampled_audit`].
pub fn sampled_audit_within(
    number: u32,
    folder: &RunFolder,
    question: &Question,
    tolerance: Option<&Tolerance>,
) -> Result<Audited> {
    step(
        number,
        "A regulator draws a sample by public randomness, reruns it, and writes a report anyone can redo",
    );
    let audited = sample::audit(folder, question, tolerance)?;
    say(&format!(
        "Plan: are fewer than {} of the decisions exceptions? Signed before the draw, SHA-256 {}.",
        question.tolerable, audited.plan
    ));
    say(&format!(
        "Draw: {} decisions, by {} and a secret that the plan commits to. This is a rehearsal without a network: the round \
         came on {}, and a real plan names one still to come.",
        count(usize::try_from(audited.drawn)?),
        sample::round(),
        audited.round_due.split('T').next().unwrap_or_default()
    ));
    say(&format!(
        "Evidence: {} bytes with the drawn records alone, each proved to stand in the log.",
        count(usize::try_from(audited.bundle_bytes)?)
    ));
    say(&format!("Report: {}", audited.headline));
    say("Anybody who gets the files checks the report, down to recomputing every decision again:");
    for (status, detail) in &audited.checks {
        tell::check(status, detail);
    }
    say(&format!("The report, for a browser: {}", bold(&audited.page.display().to_string())));
    Ok(audited)
}

/// Says which commands to try next: program and arguments.
pub fn try_next(commands: &[(&str, String)]) {
    let programs = programs();
    println!();
    say("cargo build --release  builds the two programs. Then:");
    for (program, arguments) in commands {
        println!("   {} {arguments}", programs.join(program).display());
    }
}

/// Where cargo puts the workspace's programs: beside this one, as seen from here.
fn programs() -> PathBuf {
    let beside = std::env::current_exe().ok().and_then(|path| path.parent().map(Path::to_owned));
    let beside = beside.unwrap_or_default();
    let here =
        std::env::current_dir().ok().and_then(|here| beside.strip_prefix(here).ok().map(Path::to_owned));
    here.unwrap_or(beside)
}
