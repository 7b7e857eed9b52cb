//! One command that shows what Ledgerstone does: 1,989 mortgage applications go through a model, every decision is
//! recorded before its answer leaves, and then the records are put to the test.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use example_desk::chain::Program;
use example_desk::desk::Desk;
use example_desk::folder::RunFolder;
use example_desk::sample::{Audited, Question};
use example_desk::served::ModelServer;
use example_desk::targets::Targets;
use example_desk::tell::{count, rate, say, seconds, step, table};
use example_desk::{audit, client, evidence, steps, tell};
use ledgerstone::policy::Policy;
use ledgerstone::record::{Value, schema};
use ledgerstone_verifier::audit::verdict::Verdict as Recomputed;
use ledgerstone_verifier::progress::Shown;
use ledgerstone_verifier::recompute::description;
use ledgerstone_verifier::recompute::xgboost::Model;
use lending::applications::{self, Application};
use lending::model;
use lending::office::{self, Decided, Mortgage, PROBABILITY};

/// Requests that the client has under way at one time, as a busy loan office would.
const IN_FLIGHT: usize = 64;

/// Sends 1,989 real mortgage applications through a recorded model, then puts the records to the test.
#[derive(Debug, Parser)]
#[command(name = "lending")]
struct Arguments {
    /// The folder that the run leaves behind; one of an earlier run is replaced
    #[arg(long, value_name = "DIR", default_value = "lending-run")]
    store: PathBuf,
    /// Send the first N applications only
    #[arg(long, value_name = "N")]
    first: Option<usize>,
    /// Anchor the log to a chain too: the program anvil, which this run starts and ends (needs the feature `ethereum`)
    #[arg(long, value_name = "PROGRAM")]
    anvil: Option<Program>,
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let mut folder = RunFolder::create(&arguments.store, "lending")?;
    folder.add_model("model", &[("mortgage.json", model::FILE), (description::FILE, model::DESCRIPTION)])?;
    let model = Arc::new(model::load()?);
    let mut applications = applications::load(model.feature_names())?;
    applications.truncate(arguments.first.unwrap_or(applications.len()));
    println!(
        "{}",
        tell::bold("Ledgerstone: a model decides on mortgages, and every decision becomes evidence")
    );

    let server = ModelServer::new("lending-model-server", vec![Arc::new(Mortgage(Arc::clone(&model)))]);
    let mut targets = Targets::start(&folder, "lending", arguments.anvil.as_ref()).await?;
    let configuration = office::configuration(model.feature_names())? + &targets.configuration()?;
    let desk = Desk::open(&folder, server, &configuration).await?;
    told_who_is_there(&desk, &folder, &model, targets.rows());
    let decided = decide(&desk, &applications).await?;
    let refused = refused_with_good_credit_history(&model, &applications, &decided)?;
    let receipt = desk.receipt(refused.answer.decision).await?;
    let last = decided.iter().map(|one| one.answer.index).max().unwrap_or_default();
    desk.anchored(last, &mut targets).await?;
    desk.close().await?;
    let anchored_by = targets.close(&folder).await?;

    let policy = evidence::policy(&folder)?;
    step(3, &format!("Application {} was refused. This is the applicant's receipt", refused.application));
    steps::receipt(&receipt_of(&folder, refused), &receipt, Some(PROBABILITY), &policy)?;
    steps::log(4, &folder, &policy)?;
    steps::anchors(5, &folder, &policy, anchored_by)?;
    steps::one_byte(6, &folder, refused.answer.index, &policy)?;
    recompute(&folder, &decided, refused, &policy)?;
    let audited = steps::sampled_audit(8, &folder, &Question { tolerable: "1%", range: None })?;
    ensure!(audited.exceptions == 0, "honest decisions were called exceptions");
    told_what_is_left(&folder, refused, &audited);
    Ok(())
}

fn receipt_of(folder: &RunFolder, decided: &Decided) -> PathBuf {
    folder.receipt(&format!("application-{}", decided.application))
}

fn told_who_is_there(desk: &Desk, folder: &RunFolder, model: &Model, chain: Vec<(&'static str, String)>) {
    step(1, if chain.is_empty() { "Two servers start" } else { "Two servers and a chain start" });
    let trees = format!("{} XGBoost trees, {} inputs", model.tree_count(), model.feature_count());
    let mut rows = vec![
        ("model server", format!("{} speaks the Open Inference Protocol; {trees}", desk.model_server)),
        ("sidecar", format!("{} speaks for it, and keeps a log", desk.sidecar)),
        ("log", folder.store().display().to_string()),
    ];
    rows.extend(chain);
    table(&rows);
}

/// Sends every application, and says what came of it.
async fn decide(desk: &Desk, applications: &[Application]) -> Result<Vec<Decided>> {
    step(2, "A client sends every application to the sidecar as if it were the model server");
    let bar = tell::progress(applications.len(), "applications");
    let requests = applications.iter().map(office::request).collect::<Result<Vec<_>>>()?;
    let (answers, took) = client::send_all(desk.sidecar, requests, IN_FLIGHT, &bar).await?;
    bar.finish_and_clear();
    let decided =
        applications.iter().zip(answers).map(|(application, answer)| office::decided(application, answer));
    let decided = decided.collect::<Result<Vec<_>>>()?;
    let threshold = model::threshold()?;
    let approved = decided.iter().filter(|one| f64::from(one.probability) >= threshold).count();
    let by_lender = applications.iter().filter(|one| one.approved_by_lender).count();
    say(&format!(
        "{} applications of 1990: {} approved, {} refused (probability under {threshold}). The lender approved {}.",
        count(decided.len()),
        count(approved),
        count(decided.len() - approved),
        count(by_lender)
    ));
    say(&format!(
        "{} decisions a second ({}), each on disk before its answer left the sidecar.",
        rate(decided.len(), took),
        seconds(took)
    ));
    Ok(decided)
}

/// The first applicant who was refused although no trouble with credit is on file.
fn refused_with_good_credit_history<'a>(
    model: &Model,
    applications: &[Application],
    decided: &'a [Decided],
) -> Result<&'a Decided> {
    let history = model.feature_names().iter().position(|name| name == CREDIT_HISTORY);
    let history = history.context("the model does not look at the credit history")?;
    let threshold = model::threshold()?;
    let mut pairs = applications.iter().zip(decided);
    let found = pairs.find(|(application, decided)| {
        f64::from(decided.probability) < threshold && application.features.get(history) == Some(&1.0)
    });
    Ok(found.context("nobody with a good credit history was refused")?.1)
}

/// The column with the history of consumer credit: 1 without any trouble, 6 with the worst.
const CREDIT_HISTORY: &str = "cons";

fn recompute(folder: &RunFolder, decided: &[Decided], refused: &Decided, policy: &Policy) -> Result<()> {
    step(7, "A regulator gets the evidence in one file, and runs every decision again");
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
        exact == decided.len() as u64 && tail.decisions == exact && tail.exceptions == 0,
        "not every decision was recomputed"
    );
    doctor(folder, refused)
}

/// Changes one input of one record, as somebody who wants a refusal to look right, and shows that it comes out.
fn doctor(folder: &RunFolder, refused: &Decided) -> Result<()> {
    let found = audit::evidence(folder, refused.answer.index)?
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

fn told_what_is_left(folder: &RunFolder, refused: &Decided, audited: &Audited) {
    step(9, "What is left, and what to try next");
    let policy = folder.policy().display().to_string();
    let receipt = receipt_of(folder, refused);
    table(&[
        ("the log, public", folder.log().display().to_string()),
        ("the sealed records", folder.store().join("sealed").display().to_string()),
        ("the log's public keys", policy.clone()),
        ("the anchors", folder.store().join("anchors").display().to_string()),
        ("the receipt", receipt.display().to_string()),
        ("the changed copy", folder.tampered().display().to_string()),
        ("the evidence", folder.bundle().display().to_string()),
        ("what it gave", folder.results().display().to_string()),
        ("the audit", folder.audit("").display().to_string()),
    ]);
    let (log, store) = (folder.log(), folder.store());
    let trusted = format!("--policy {policy} --anchor-trust {}", folder.anchor_trust().display());
    steps::try_next(&[
        ("ledgerstone", format!("verify log {} --policy {policy}", store.display())),
        ("ledgerstone", format!("verify log {} --policy {policy}", folder.tampered().display())),
        ("ledgerstone", format!("verify anchors {} {trusted}", store.display())),
        (
            "ledgerstone",
            format!(
                "receipt upgrade {} --from {} {trusted} -o anchored.json",
                receipt.display(),
                store.display()
            ),
        ),
        ("ledgerstone", format!("verify receipt {} --policy {policy}", receipt.display())),
        ("ledgerstone", format!("receipt show {}", receipt.display())),
        ("ledgerstone", format!("log entries {}", log.display())),
        ("ledgerstone", format!("bundle inspect {} --policy {policy}", folder.bundle().display())),
        ("ledgerstone", format!("audit run {} --policy {policy} -o again.jsonl", folder.bundle().display())),
        ("ledgerstone", audited.verify_again.clone()),
        (
            "ledgerstone-sidecar",
            format!("record open {} --config {}", refused.answer.decision, folder.configuration().display()),
        ),
    ]);
}
