//! One command: biopsies go through a LightGBM model and triage notes through a language model, both behind one sidecar;
//! then the records are audited, and a model server that cheats is found out.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use example_desk::client::Answer;
use example_desk::desk::Desk;
use example_desk::folder::RunFolder;
use example_desk::sample::{Audited, Question};
use example_desk::served::{ModelServer, Served};
use example_desk::tell::{self, count, rate, say, seconds, step, table};
use example_desk::{audit, client, evidence, range, sample, steps};
use healthcare::biopsies::{self, Biopsy};
use healthcare::notes::{NOTES, Note};
use healthcare::triage::{self, Triage};
use healthcare::tumour::{self, Tumour};
use healthcare::ward::{self, Scored};
use ledgerstone::policy::Policy;
use ledgerstone::record::{Value, schema};
use ledgerstone::verify::Verdict;
use ledgerstone_verifier::audit::results::Line;
use ledgerstone_verifier::progress::Silent;
use ledgerstone_verifier::recompute::description;

/// Requests that the client has under way at one time.
const IN_FLIGHT: usize = 32;

/// The model server that cheats answers every case whose number this divides with another model.
const CHEATS_EVERY: u32 = 20;

/// What gave a rewritten record away that is shown; a change of one input changes many reasons.
const CAUGHT_SHOWN: usize = 5;

/// The input that somebody rewrites in a record.
const REWRITTEN: &str = "worst_area";

/// Sends 569 biopsies and a few triage notes through recorded models, then audits the records.
#[derive(Debug, Parser)]
#[command(name = "healthcare")]
struct Arguments {
    /// The folder that the run leaves behind; one of an earlier run is replaced
    #[arg(long, value_name = "DIR", default_value = "healthcare-run")]
    store: PathBuf,
    /// Send the first N biopsies only
    #[arg(long, value_name = "N")]
    first: Option<usize>,
    /// Send the first N triage notes only; 0 leaves the language model out, which is fetched otherwise (100 MB, once)
    #[arg(long, value_name = "N", default_value_t = NOTES.len())]
    notes: usize,
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let mut biopsies = biopsies::load(tumour::load()?.feature_names())?;
    biopsies.truncate(arguments.first.unwrap_or(biopsies.len()));
    let notes = NOTES.get(..arguments.notes.min(NOTES.len())).unwrap_or_default();
    println!("{}", tell::bold("Ledgerstone: two models in a hospital, and every decision becomes evidence"));

    let mut folder = RunFolder::create(&arguments.store, "healthcare")?;
    let triage = language_model(&mut folder, notes)?;
    let notes = if triage.is_some() { notes } else { &[] };
    let desk = open(&mut folder, Tumour::honest(tumour::load()?), triage).await?;
    told_who_is_there(&desk, &folder)?;
    let scored = score(&desk, &biopsies).await?;
    let answers = read_notes(&desk, notes).await?;
    let missed = missed(&scored)?;
    let receipt = desk.receipt(missed.answer.decision).await?;
    desk.close().await?;

    let policy = evidence::policy(&folder)?;
    told_the_patient(&folder, missed, &receipt, &policy)?;
    steps::log(5, &folder, &policy)?;
    let biopsies_only = folder.with_model(ward::TUMOUR_MODEL);
    let question = Question { tolerable: "1%", range: range_of(scored.iter().map(|one| &one.answer)) };
    let audited = steps::sampled_audit(6, &biopsies_only, &question)?;
    ensure!(audited.exceptions == 0, "honest decisions were called exceptions");
    rewrite_a_record(&biopsies_only, missed)?;
    answer_the_notes_again(&folder, &answers)?;
    let cheated = cheat(folder.root(), &biopsies).await?;
    told_what_is_left(&folder, missed, &audited, &cheated);
    Ok(())
}

/// The language model, in the run's folder and loaded; none if there are no notes for it, or it cannot be had.
fn language_model(folder: &mut RunFolder, notes: &[Note]) -> Result<Option<Triage>> {
    if notes.is_empty() {
        return Ok(None);
    }
    match triage::fetch() {
        Ok(weights) => {
            let model = folder.add_model(ward::TRIAGE_MODEL, &[(description::FILE, triage::DESCRIPTION)])?;
            let here = model.join(triage::FILE);
            std::fs::copy(&weights, &here).with_context(|| format!("cannot write {}", here.display()))?;
            Ok(Some(Triage::load(&here)?))
        }
        Err(error) => {
            say(&format!("The triage notes are skipped: the language model cannot be had ({error:#})."));
            Ok(None)
        }
    }
}

/// Starts the model server and the sidecar.
async fn open(folder: &mut RunFolder, tumour: Tumour, triage: Option<Triage>) -> Result<Desk> {
    let files = [("tumour.txt", tumour::FILE.as_bytes()), (description::FILE, tumour::DESCRIPTION)];
    folder.add_model(ward::TUMOUR_MODEL, &files)?;
    let configuration = ward::configuration(tumour::load()?.feature_names(), triage.is_some())?;
    let mut models: Vec<Arc<dyn Served>> = vec![Arc::new(tumour)];
    models.extend(triage.map(|triage| Arc::new(triage) as Arc<dyn Served>));
    Desk::open(folder, ModelServer::new("ward-model-server", models), &configuration).await
}

fn told_who_is_there(desk: &Desk, folder: &RunFolder) -> Result<()> {
    step(1, "Two servers start");
    let model = tumour::load()?;
    let trees = format!("{} LightGBM trees over {} inputs", model.tree_count(), model.feature_count());
    let also = if folder.models().len() > 1 { ", and SmolLM2-135M for notes" } else { "" };
    table(&[
        ("model server", format!("{} speaks the Open Inference Protocol; {trees}{also}", desk.model_server)),
        ("sidecar", format!("{} speaks for it, and keeps a log", desk.sidecar)),
        ("log", folder.store().display().to_string()),
    ]);
    Ok(())
}

/// Sends every biopsy, and says what came of it.
async fn score(desk: &Desk, biopsies: &[Biopsy]) -> Result<Vec<Scored>> {
    step(2, "The laboratory sends every biopsy to the sidecar as if it were the model server");
    let (scored, took) = send(desk, biopsies).await?;
    let of = |suspicious: bool, malignant: bool| {
        count(scored.iter().filter(|one| (one.suspicious, one.malignant) == (suspicious, malignant)).count())
    };
    say(&format!(
        "{} biopsies: {} malignant ones are called suspicious and {} benign; {} benign ones are called suspicious and {} benign \
         (most of them the model was trained on; MODEL.md has what it is worth).",
        count(scored.len()),
        of(true, true),
        of(false, true),
        of(true, false),
        of(false, false)
    ));
    say(&format!(
        "{} decisions a second ({}), each with what every input added to its score.",
        rate(scored.len(), took),
        seconds(took)
    ));
    Ok(scored)
}

async fn send(desk: &Desk, biopsies: &[Biopsy]) -> Result<(Vec<Scored>, std::time::Duration)> {
    let bar = tell::progress(biopsies.len(), "biopsies");
    let requests = biopsies.iter().map(ward::biopsy_request).collect::<Result<Vec<_>>>()?;
    let (answers, took) = client::send_all(desk.sidecar, requests, IN_FLIGHT, &bar).await?;
    bar.finish_and_clear();
    let threshold = tumour::threshold()?;
    let scored = biopsies.iter().zip(answers).map(|(biopsy, answer)| ward::scored(biopsy, answer, threshold));
    Ok((scored.collect::<Result<_>>()?, took))
}

/// Sends the notes one after the other, and says what the language model made of each.
async fn read_notes(desk: &Desk, notes: &[Note]) -> Result<Vec<Answer>> {
    step(3, "A language model reads triage notes, token by token");
    if notes.is_empty() {
        say("There is none in this run.");
        return Ok(Vec::new());
    }
    let bar = tell::progress(notes.len(), "notes");
    let requests = notes.iter().map(ward::note_request).collect::<Result<Vec<_>>>()?;
    let (answers, took) = client::send_all(desk.sidecar, requests, 1, &bar).await?;
    bar.finish_and_clear();
    let mut as_meant = 0;
    for (note, answer) in notes.iter().zip(&answers) {
        let label = answer.value::<String>(triage::LABEL)?;
        as_meant += usize::from(label == if note.is_meant_urgent { "urgent" } else { "routine" });
        let text = answer.value::<String>(triage::TEXT)?;
        say(&format!("{label:8} {} ... {:?}", note.text, text.trim()));
    }
    say(&format!(
        "{as_meant} of {} as their author meant them, in {}: a model of this size is no triage. What it said is on record all the \
         same, with every token.",
        count(notes.len()),
        seconds(took)
    ));
    Ok(answers)
}

/// The patient to whom it matters most: a malignant tumour that the model called benign, or else any that it called so.
fn missed(scored: &[Scored]) -> Result<&Scored> {
    let benign = || scored.iter().filter(|one| !one.suspicious);
    let found = benign().find(|one| one.malignant).or_else(|| benign().next());
    found.context("every biopsy was called suspicious")
}

fn receipt_of(folder: &RunFolder, scored: &Scored) -> PathBuf {
    folder.receipt(&format!("case-{}", scored.case))
}

fn told_the_patient(folder: &RunFolder, missed: &Scored, receipt: &[u8], policy: &Policy) -> Result<()> {
    let was = if missed.malignant { "malignant" } else { "benign" };
    step(
        4,
        &format!(
            "Case {} was {was}, and the model called it benign. This is the patient's receipt",
            missed.case
        ),
    );
    steps::receipt(&receipt_of(folder, missed), receipt, Some(tumour::PROBABILITY), policy)
}

/// The leaf indices from the first to the last of these answers.
fn range_of<'a>(answers: impl Iterator<Item = &'a Answer>) -> Option<(u64, u64)> {
    let indices: Vec<u64> = answers.map(|answer| answer.index.get()).collect();
    Some((*indices.iter().min()?, *indices.iter().max()?))
}

/// Changes one input of one record, as somebody who wants a missed tumour to look excusable, and shows that it comes out.
fn rewrite_a_record(folder: &RunFolder, missed: &Scored) -> Result<()> {
    step(7, "Somebody with the keys rewrites a record");
    audit::export_one(folder, missed.answer.index)?;
    let found = audit::evidence(folder, missed.answer.index)?
        .rewritten(&schema::feature(REWRITTEN)?, Value::Float(450.0))?;
    say(&format!(
        "The record of case {}: {REWRITTEN} becomes 450, a small tumour, so that nobody is to blame.",
        missed.case
    ));
    ensure!(found.len() > 1, "the doctored record was not noticed");
    for difference in found.iter().take(CAUGHT_SHOWN) {
        tell::caught(difference);
    }
    let others = found.len().saturating_sub(CAUGHT_SHOWN);
    if others > 0 {
        say(&format!(
            "... and {} other recorded numbers that do not follow any more, reasons among them.",
            count(others)
        ));
    }
    Ok(())
}

/// Has every note answered again from its record.
fn answer_the_notes_again(folder: &RunFolder, answers: &[Answer]) -> Result<()> {
    step(8, "The auditor has every note answered again, token by token");
    let Some(range) = range_of(answers.iter()) else {
        say("There is none in this run.");
        return Ok(());
    };
    let again = range::audit(&folder.with_model(ward::TRIAGE_MODEL), range, "notes")?;
    say(&format!("Report: {}", again.headline));
    say(&format!(
        "{} of {} answers are EXACT: the same tokens, logits and label.",
        again.exact, again.decisions
    ));
    say(&format!("The report, for a browser: {}", tell::bold(&again.page.display().to_string())));
    ensure!(again.exceptions == 0, "honest answers were called exceptions");
    Ok(())
}

/// The same biopsies on a day on which the model server cheats, and what an audit says of that day.
async fn cheat(root: &Path, biopsies: &[Biopsy]) -> Result<Audited> {
    step(9, "Another day: the model server answers some patients with another model, and tells nobody");
    let mut folder = RunFolder::create(&root.join("another-day"), "healthcare")?;
    let server = Tumour::tampered(tumour::load()?, tumour::one_tree_less()?, CHEATS_EVERY);
    let desk = open(&mut folder, server, None).await?;
    let (scored, _) = send(&desk, biopsies).await?;
    desk.close().await?;
    let report = evidence::check_log(&folder.store(), &evidence::policy(&folder)?, &mut Silent)?;
    ensure!(report.verdict() == Verdict::Verified, "the log of the other day does not verify");
    say(&format!(
        "Every {CHEATS_EVERY}th case is answered by the same model with one tree less. The files that the sidecar watches are \
         untouched, and the log verifies: every check of it passes."
    ));
    let question = Question { tolerable: "1%", range: range_of(scored.iter().map(|one| &one.answer)) };
    let audited = sample::audit(&folder, &question, None)?;
    say(&format!(
        "A sample of {} decisions is drawn and recomputed as before.",
        count(usize::try_from(audited.drawn)?)
    ));
    say(&format!("Report: {}", audited.headline));
    let cases = exceptions(&audited, &scored)?;
    ensure!(!cases.is_empty(), "the other model was not found");
    ensure!(cases.iter().all(|case| case.is_multiple_of(CHEATS_EVERY)), "an honest answer was accused");
    let all = scored.iter().filter(|one| one.case.is_multiple_of(CHEATS_EVERY)).count();
    let named: Vec<String> = cases.iter().map(ToString::to_string).collect();
    tell::caught(&format!(
        "{} of the {all} cheated cases were drawn, each is an exception, and no other case is: {}.",
        cases.len(),
        named.join(", ")
    ));
    say(&format!("The report, for a browser: {}", tell::bold(&audited.page.display().to_string())));
    Ok(audited)
}

/// The cases that the results name as exceptions.
fn exceptions(audited: &Audited, scored: &[Scored]) -> Result<Vec<u32>> {
    let text = std::fs::read_to_string(&audited.results)?;
    let mut cases = Vec::new();
    for line in text.lines() {
        if let Line::Decision(decision) = serde_json::from_str(line)?
            && decision.is_exception()
        {
            let found = scored.iter().find(|one| one.answer.index.get() == decision.leaf_index);
            cases.push(found.context("an exception is no case")?.case);
        }
    }
    cases.sort_unstable();
    Ok(cases)
}

fn told_what_is_left(folder: &RunFolder, missed: &Scored, audited: &Audited, cheated: &Audited) {
    step(10, "What is left, and what to try next");
    let policy = folder.policy().display().to_string();
    let receipt = receipt_of(folder, missed).display().to_string();
    table(&[
        ("the log, public", folder.log().display().to_string()),
        ("the log's public keys", policy.clone()),
        ("the receipt", receipt.clone()),
        ("the audit", folder.audit("").display().to_string()),
        ("its report", audited.page.display().to_string()),
        ("the other day's report", cheated.page.display().to_string()),
    ]);
    steps::try_next(&[
        ("ledgerstone", format!("verify log {} --policy {policy}", folder.store().display())),
        ("ledgerstone", format!("verify receipt {receipt} --policy {policy}")),
        ("ledgerstone", audited.verify_again.clone()),
        ("ledgerstone", cheated.verify_again.clone()),
        (
            "ledgerstone-sidecar",
            format!("record open {} --config {}", missed.answer.decision, folder.configuration().display()),
        ),
    ]);
}
