//! One command that shows what Ledgerstone does: 1,989 mortgage applications go through a model, every decision is
//! recorded before its answer leaves, and then the records are put to the test.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use ledgerstone::code::CheckName;
use ledgerstone::policy::Policy;
use ledgerstone::record::{Value, schema};
use ledgerstone::verify::Verdict;
use ledgerstone_verifier::audit::verdict::Verdict as Recomputed;
use ledgerstone_verifier::progress::Shown;
use ledgerstone_verifier::recompute::xgboost::Model;
use lending::applications::{self, Application};
use lending::client::{self, Answer};
use lending::desk::Desk;
use lending::folder::RunFolder;
use lending::tell::{count, rate, say, seconds, step, table};
use lending::{audit, evidence, model, tell};

/// Sends 1,989 real mortgage applications through a recorded model, then puts the records to the test.
#[derive(Debug, Parser)]
#[command(name = "lending")]
struct Arguments {
    /// The folder that the run leaves behind; one of an earlier run is replaced
    #[arg(long, value_name = "DIR", default_value = "lending-run")]
    store: PathBuf,
}

#[tokio::main]
async fn main() -> Result<()> {
    let folder = RunFolder::create(&Arguments::parse().store)?;
    let model = Arc::new(model::load()?);
    let applications = Arc::new(applications::load(model.feature_names())?);
    println!(
        "{}",
        tell::bold("Ledgerstone: a model decides on mortgages, and every decision becomes evidence")
    );

    let desk = Desk::open(&folder, Arc::clone(&model)).await?;
    told_who_is_there(&desk, &folder, &model);
    let answers = decide(&desk, &applications).await?;
    let refused = refused_with_good_credit_history(&model, &applications, &answers)?;
    let receipt = desk.receipt(refused.decision).await?;
    desk.close().await?;

    let policy = evidence::policy(&folder)?;
    check_receipt(&folder, refused, &receipt, &policy)?;
    check_log(&folder, &policy)?;
    change_one_byte(&folder, refused, &policy)?;
    recompute(&folder, &answers, refused, &policy)?;
    told_what_is_left(&folder, refused);
    Ok(())
}

fn told_who_is_there(desk: &Desk, folder: &RunFolder, model: &Model) {
    step(1, "Two servers start");
    let trees = format!("{} XGBoost trees, {} inputs", model.tree_count(), model.feature_count());
    table(&[
        ("model server", format!("{} speaks the Open Inference Protocol; {trees}", desk.model_server)),
        ("sidecar", format!("{} speaks for it, and keeps a log", desk.sidecar)),
        ("log", folder.store().display().to_string()),
    ]);
}

/// Sends every application, and says what came of it.
async fn decide(desk: &Desk, applications: &Arc<Vec<Application>>) -> Result<Vec<Answer>> {
    step(2, "A client sends every application to the sidecar as if it were the model server");
    let bar = tell::progress(applications.len());
    let (answers, took) = client::send_all(desk.sidecar, Arc::clone(applications), &bar).await?;
    bar.finish_and_clear();
    let threshold = model::threshold()?;
    let approved = answers.iter().filter(|answer| f64::from(answer.probability) >= threshold).count();
    let by_lender = applications.iter().filter(|one| one.approved_by_lender).count();
    say(&format!(
        "{} applications of 1990: {} approved, {} refused (probability under {threshold}). The lender approved {}.",
        count(answers.len()),
        count(approved),
        count(answers.len() - approved),
        count(by_lender)
    ));
    say(&format!(
        "{} decisions a second ({}), each on disk before its answer left the sidecar.",
        rate(answers.len(), took),
        seconds(took)
    ));
    Ok(answers)
}

/// The first applicant who was refused although no trouble with credit is on file.
fn refused_with_good_credit_history<'a>(
    model: &Model,
    applications: &[Application],
    answers: &'a [Answer],
) -> Result<&'a Answer> {
    let history = model.feature_names().iter().position(|name| name == CREDIT_HISTORY);
    let history = history.context("the model does not look at the credit history")?;
    let threshold = model::threshold()?;
    let mut pairs = applications.iter().zip(answers);
    let found = pairs.find(|(application, answer)| {
        f64::from(answer.probability) < threshold && application.features.get(history) == Some(&1.0)
    });
    Ok(found.context("nobody with a good credit history was refused")?.1)
}

/// The column with the history of consumer credit: 1 without any trouble, 6 with the worst.
const CREDIT_HISTORY: &str = "cons";

fn check_receipt(folder: &RunFolder, refused: &Answer, receipt: &[u8], policy: &Policy) -> Result<()> {
    step(3, &format!("Application {} was refused. This is the applicant's receipt", refused.application));
    let path = folder.receipt(refused.application);
    std::fs::write(&path, receipt)?;
    table(&evidence::shown_by(receipt)?);
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

fn check_log(folder: &RunFolder, policy: &Policy) -> Result<()> {
    step(4, "An auditor checks the whole log: every entry, every signature, nothing missing");
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

fn change_one_byte(folder: &RunFolder, refused: &Answer, policy: &Policy) -> Result<()> {
    step(5, "Somebody changes one byte of one entry, in a copy of the log");
    let flipped = evidence::flip_one_byte(folder, refused.index)?;
    say(&format!(
        "entry {}, {}, byte {}: 0x{:02x} became 0x{:02x}",
        refused.index,
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

fn recompute(folder: &RunFolder, answers: &[Answer], refused: &Answer, policy: &Policy) -> Result<()> {
    step(6, "A regulator gets the evidence in one file, and runs every decision again");
    let exported = audit::export(folder)?;
    say(&format!(
        "{} bytes: every entry with its proof, every record opened, the model. No log, key or network is needed.",
        count(usize::try_from(exported.bytes)?)
    ));
    let (head, tail) = audit::recompute(folder, policy, &mut Shown::new(true, false))?;
    let exact = tail.verdicts.get(&Recomputed::Exact).copied().unwrap_or(0);
    let model = head.models.first().context("the model did not come along")?;
    say(&format!(
        "{} of {} decisions are EXACT: margin, probability and outcome follow from the recorded inputs, bit for bit, \
         under the model {}.",
        count(usize::try_from(exact)?),
        count(usize::try_from(tail.decisions)?),
        model.digest
    ));
    ensure!(
        exact == answers.len() as u64 && tail.decisions == exact && tail.exceptions == 0,
        "not every decision was recomputed"
    );
    doctor(folder, refused)
}

/// Changes one input of one record, as somebody who wants a refusal to look right, and shows that it comes out.
fn doctor(folder: &RunFolder, refused: &Answer) -> Result<()> {
    let found = audit::evidence(folder, refused.index)?
        .rewritten(&schema::feature(CREDIT_HISTORY)?, Value::Float(6.0))?;
    say(&format!(
        "Now somebody with the keys rewrites the record of application {}: credit history from 1 (no trouble) to 6 \
         (the worst), so that the refusal looks right.",
        refused.application
    ));
    ensure!(found.len() > 1, "the doctored record was not noticed");
    for difference in found {
        tell::caught(&difference);
    }
    Ok(())
}

fn told_what_is_left(folder: &RunFolder, refused: &Answer) {
    step(7, "What is left, and what to try next");
    let (policy, programs) = (folder.policy().display().to_string(), programs());
    table(&[
        ("the log, public", folder.log().display().to_string()),
        ("the sealed records", folder.store().join("sealed").display().to_string()),
        ("the log's public keys", policy.clone()),
        ("the receipt", folder.receipt(refused.application).display().to_string()),
        ("the changed copy", folder.tampered().display().to_string()),
        ("the evidence", folder.bundle().display().to_string()),
        ("what it gave", folder.results().display().to_string()),
    ]);
    let (log, store) = (folder.log(), folder.store());
    let receipt = folder.receipt(refused.application);
    println!();
    say("cargo build --release  builds the two programs. Then:");
    for (program, arguments) in [
        ("ledgerstone", format!("verify log {} --policy {policy}", store.display())),
        ("ledgerstone", format!("verify log {} --policy {policy}", folder.tampered().display())),
        ("ledgerstone", format!("verify receipt {} --policy {policy}", receipt.display())),
        ("ledgerstone", format!("receipt show {}", receipt.display())),
        ("ledgerstone", format!("log entries {}", log.display())),
        ("ledgerstone", format!("bundle inspect {} --policy {policy}", folder.bundle().display())),
        ("ledgerstone", format!("audit run {} --policy {policy} -o again.jsonl", folder.bundle().display())),
        (
            "ledgerstone-sidecar",
            format!("record open {} --config {}", refused.decision, folder.configuration().display()),
        ),
    ] {
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
