//! What an audit within a tolerance finds of a text model that computes with other weights than the registered ones: a table in Markdown.
//!
//! ```text
//! scripts/tamper-table [DECISIONS]
//! ```
//! Every decision goes through the real sidecar to disk, is exported, and recomputed by `audit run` within a profile that was measured before on other
//! texts. *Found* is what is an exception, so the honest rows count false alarms.

#![allow(
    clippy::print_stdout,
    clippy::disallowed_macros,
    clippy::cast_precision_loss,
    clippy::disallowed_methods,
    reason = "a measuring program prints what it measured"
)]

use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use example_desk::commands::{say, started_as_ledgerstone};
use example_desk::desk::Desk;
use example_desk::folder::RunFolder;
use example_desk::served::{Metadata, ModelServer, Served};
use example_desk::tensors::Output;
use example_desk::tolerance::Tolerance;
use example_desk::{audit, client, tell};
use hiring::minilm::{self, MiniLm};
use hiring::model;
use hiring::resumes::{self, Resume};
use hiring::screen::{self, answer, metadata, text};
use ledgerstone::proto::inference::ModelInferRequest;
use ledgerstone_verifier::audit::results::{self, Tail};
use ledgerstone_verifier::audit::verdict::Verdict;
use ledgerstone_verifier::exit::Exit;
use ledgerstone_verifier::recompute::neural::TextModel;
use ledgerstone_verifier::recompute::neural::tamper::{ONE_WEIGHTS, Tamper};
use tonic::Status;

/// Requests at one time.
const IN_FLIGHT: usize = 2;

/// Texts that the tolerance is measured with; they are none of those that are decided on.
const TEXTS: usize = 24;

/// Tokens that an honest server fills every text up to.
const FILLED_UP: usize = 128;

/// One row of the table.
struct Case {
    what: String,
    /// What was done to the weights; the decisions are shared out among these.
    weights: Vec<Option<Tamper>>,
    filled_up: Option<usize>,
}

/// A model server that computes with weights of its own.
struct Swapped {
    model: TextModel,
    filled_up: Option<usize>,
}

impl Served for Swapped {
    fn name(&self) -> &str {
        model::NAME
    }

    fn version(&self) -> &str {
        model::VERSION
    }

    fn metadata(&self) -> Metadata {
        metadata(&self.model)
    }

    fn infer(&self, request: &ModelInferRequest) -> Result<Vec<Output>, Status> {
        let text = text(request)?;
        let score = self.model.score_batch(&[&text], self.filled_up);
        let score = score.map_err(|error| Status::invalid_argument(error.to_string()))?.pop();
        score.map(answer).ok_or_else(|| Status::internal("no score"))
    }
}

fn main() -> Result<ExitCode> {
    if let Some(exit) = started_as_ledgerstone() {
        return Ok(exit);
    }
    let decisions = std::env::args().nth(1).map_or(Ok(600), |count| count.parse())?;
    let root = tempfile::tempdir()?;
    let minilm = MiniLm::read(&minilm::fetch()?)?;
    let served = model::metrics()?.served;
    let (mut sent, others): (Vec<_>, Vec<_>) =
        resumes::load()?.into_iter().partition(|resume| served.contains(&resume.number));
    sent.truncate(decisions);
    let mut folder = RunFolder::create(&root.path().join("laboratory"), "hiring")?;
    let registered = folder.add_model("model", &model::folder(&minilm))?;
    let step = (others.len() / TEXTS).max(1);
    let texts: Vec<_> = others.iter().step_by(step).take(TEXTS).map(|other| other.text.as_str()).collect();
    let tolerance = Tolerance::calibrate(&folder, &registered, &texts)?;
    println!(
        "| data | the server computes with | decisions | equal bits | within {} | found | share | recorded outcome does not follow |",
        tolerance.tau()
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- |");
    let files = model::files(&minilm)?;
    for case in cases() {
        let mut sum = Tail::default();
        let each = sent.len().div_ceil(case.weights.len());
        for (tamper, sent) in case.weights.into_iter().zip(sent.chunks(each)) {
            let model = match tamper {
                None => TextModel::load(&files)?,
                Some(tamper) => TextModel::load(&tamper.apply(&files)?)?,
            };
            let run = root.path().join("run");
            let tail =
                audited(&run, &minilm, Swapped { model, filled_up: case.filled_up }, sent, &tolerance)?;
            ensure!(tail.decisions == sent.len() as u64, "{} decisions of {}", tail.decisions, sent.len());
            sum.decisions += tail.decisions;
            sum.exceptions += tail.exceptions;
            for (verdict, count) in tail.verdicts {
                *sum.verdicts.entry(verdict).or_default() += count;
            }
        }
        println!("{}", line(&case.what, &sum));
    }
    Ok(ExitCode::SUCCESS)
}

fn line(what: &str, sum: &Tail) -> String {
    let of = |verdict| sum.verdicts.get(&verdict).copied().unwrap_or(0);
    format!(
        "| hiring | {what} | {} | {} | {} | {} | {:.4} | {} |",
        sum.decisions,
        of(Verdict::Exact),
        of(Verdict::WithinTolerance) + of(Verdict::MarginAmbiguous),
        sum.exceptions,
        sum.exceptions as f64 / sum.decisions as f64,
        of(Verdict::OutcomeFlips)
    )
}

/// The honest cases and those of [`Tamper`].
fn cases() -> Vec<Case> {
    let case = |what: &str, weights| Case { what: what.to_owned(), weights, filled_up: None };
    let honest = case("the registered weights (false alarms)", vec![None]);
    let filled_up = Case {
        filled_up: Some(FILLED_UP),
        ..case("the same, texts filled up to 128 tokens (false alarms)", vec![None])
    };
    let places = (0..ONE_WEIGHTS).map(|place| Some(Tamper::OneWeight(place))).collect();
    let one = case(&format!("{}, {ONE_WEIGHTS} places in turn", Tamper::OneWeight(0).name()), places);
    let whole = Tamper::WHOLE.map(|tamper| case(tamper.name(), vec![Some(tamper)]));
    [honest, filled_up, one].into_iter().chain(whole).collect()
}

/// Has `server` decide on these résumés while the model is registered, and audits every decision.
fn audited(
    run: &Path,
    minilm: &MiniLm,
    server: Swapped,
    sent: &[Resume],
    tolerance: &Tolerance,
) -> Result<Tail> {
    let mut folder = RunFolder::create(run, "hiring")?;
    folder.add_model("model", &model::folder(minilm))?;
    let configuration = screen::configuration(model::metrics()?.threshold);
    tokio::runtime::Runtime::new()?.block_on(async {
        let server = ModelServer::new("tampered", vec![Arc::new(server)]);
        let desk = Desk::open(&folder, server, &configuration).await?;
        let bar = tell::progress(sent.len(), "résumés");
        let requests = sent.iter().map(screen::request).collect::<Result<Vec<_>>>()?;
        client::send_all(desk.sidecar, requests, IN_FLIGHT, &bar).await?;
        bar.finish_and_clear();
        desk.close().await
    })?;
    audit::export(&folder)?;
    let mut files = vec![("", folder.bundle()), ("--policy", folder.policy()), ("-o", folder.results())];
    let words = Tolerance::given(Some(tolerance), "audit run", &mut files);
    let exit = say(&words, &files)?.exit;
    ensure!(matches!(exit, Exit::Verified | Exit::Failed), "the bundle was not recomputed: {exit:?}");
    let results = File::open(folder.results()).context("there are no results")?;
    Ok(results::read(BufReader::new(results), |_| {})?.1)
}
