//! `ledgerstone audit calibrate`: measures what a tolerance can tell apart on this machine, and signs what was found.
//!
//! Guarantees: every count in the profile was measured in this run; a tolerance below an honest distance is refused. Does not do: measure other
//! machines; their numbers come in with `--recorded`.

#[cfg(feature = "neural")]
mod elsewhere;
mod graph;
#[cfg(feature = "neural")]
mod language;
mod rows;
#[cfg(feature = "neural")]
mod text;
mod trees;

use std::path::Path;

use ledgerstone::hash::Hash;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::key_generate::{Secrecy, exists, write_new};
use super::key_show;
#[cfg(feature = "neural")]
use super::model_folder;
use crate::audit::profile::{
    self, AttributionTolerance, BEYOND, Detection, FORMAT, Honest, Machine, Profile,
};
use crate::cli::AuditCalibrateArguments;
use crate::exit::{Exit, Refusal};
use crate::output::{Output, printable, scientific, thousands, wrapped};
use crate::progress::{Progress as _, Shown};
use crate::recompute::Precision;
#[cfg(feature = "neural")]
use crate::recompute::description::Input;
use crate::recompute::neural::Processor;
use crate::source::read_input;

/// Bytes of a file of inputs, or of what was recorded of them.
const INPUT_BYTES_MAX: usize = 1 << 30;

/// Distances of one kind of change.
struct Tampered {
    name: &'static str,
    distances: Vec<f64>,
}

/// What was measured of a model.
struct Measured {
    model: Hash,
    inputs: Hash,
    quantity: &'static str,
    engine: String,
    dtype: &'static str,
    device: Processor,
    /// Sizes of batches.
    batches: Vec<u16>,
    honest: Vec<f64>,
    tampers: Vec<Tampered>,
    /// Distances of attributions, where reasons come from them.
    attributions: Option<AttributionTolerance>,
    /// Whether `audit run` judges such a model's numbers by a tolerance.
    is_near: bool,
}

impl Measured {
    /// Adds the distances of a change to those of its kind.
    fn tampered(&mut self, name: &'static str, distances: Vec<f64>) {
        match self.tampers.iter_mut().find(|known| known.name == name) {
            Some(known) => known.distances.extend(distances),
            None => self.tampers.push(Tampered { name, distances }),
        }
    }
}

/// How far the measuring has come, in inputs times how often each is computed.
struct Pace {
    shown: Shown,
    things: &'static str,
    done: u64,
    total: u64,
}

impl Pace {
    fn new(output: &Output, things: &'static str) -> Self {
        Self { shown: output.progress().of("measured"), things, done: 0, total: 0 }
    }

    /// As many inputs are to be computed as often.
    const fn expect(&mut self, inputs: usize, times: usize) {
        self.total = self.total.saturating_add(inputs.saturating_mul(times) as u64);
    }

    fn step(&mut self, inputs: usize) {
        self.done = self.done.saturating_add(inputs as u64);
        self.shown.advance(self.things, self.done, self.total);
    }
}

#[derive(Serialize)]
struct CalibratedJson<'a> {
    signed_by: String,
    #[serde(flatten)]
    profile: &'a Profile,
}

/// Measures, signs and writes the profile.
///
/// # Errors
/// The model, the inputs or the keys cannot be read, the tolerance is below an honest distance, or the file exists.
pub(super) fn run(arguments: &AuditCalibrateArguments, output: &mut Output) -> Result<Exit, Refusal> {
    if arguments.output.symlink_metadata().is_ok() {
        return Err(exists(&arguments.output));
    }
    let keys = key_show::read(&arguments.key)?;
    let measured = match (&arguments.text, &arguments.rows) {
        (None, Some(rows)) => rows::measure(arguments, rows, output)?,
        (Some(texts), _) => measure_text(arguments, texts, output)?,
        (None, None) => {
            return Err(Refusal::usage("there is nothing to measure with", "Give --text or --rows."));
        }
    };
    let is_near = measured.is_near;
    let profile = profile_of(measured, arguments)?;
    let signed = profile.sign(&keys).map_err(|error| {
        Refusal::new(error.code(), format_args!("the profile cannot be signed: {error}"), "Report this.")
    })?;
    write_new(&arguments.output, signed.as_bytes(), Secrecy::Public)?;
    let [key, _] = keys.vkeys();
    if output.is_json() {
        output.json(&CalibratedJson { signed_by: key.to_string(), profile: &profile })?;
    } else {
        output.print(&text(&profile))?;
        if let Some(remark) = remark(&profile, is_near) {
            output.remark(remark);
        }
        output.remark(&format!("Profile written to {}, signed by {key}.", arguments.output.display()));
    }
    Ok(Exit::Verified)
}

/// What the reader of a profile should know of it before relying on it.
fn remark(profile: &Profile, is_near: bool) -> Option<&'static str> {
    if !is_near {
        Some("Every number of this model is recomputed bit for bit: `audit run` takes no tolerance for it.")
    } else if profile.tau == 0.0 {
        Some(
            "Every honest distance is 0, so only equal bits pass. Give --recorded what another machine or engine said; for an ONNX graph, --engine-library.",
        )
    } else {
        None
    }
}

/// Where the texts go: to a language model, or to a text encoder.
#[cfg(feature = "neural")]
fn measure_text(
    arguments: &AuditCalibrateArguments,
    texts: &Path,
    output: &Output,
) -> Result<Measured, Refusal> {
    let model = &arguments.model;
    if texts.as_os_str() == "-" {
        return Err(Refusal::usage(
            "the texts are read more than once, and standard input only once",
            "Write them to a file.",
        ));
    }
    if !model.is_dir() {
        return language::measure(arguments, texts, None, output);
    }
    match model_folder::description(model)?.map(|description| description.input) {
        Some(Input::Row { .. }) => Err(Refusal::usage(
            format_args!("the model of {} takes rows", model.display()),
            "Give --rows CSV instead of --text.",
        )),
        Some(Input::Prompt { model, prompt }) => {
            language::measure(arguments, texts, Some((model, prompt)), output)
        }
        None if language::is_folder(model)? => language::measure(arguments, texts, None, output),
        Some(Input::Text { .. }) | None => text::measure(arguments, texts, output),
    }
}

#[cfg(not(feature = "neural"))]
fn measure_text(_: &AuditCalibrateArguments, _: &Path, _: &Output) -> Result<Measured, Refusal> {
    Err(Refusal::usage(
        "this program was built without the feature `neural`",
        "Use a `ledgerstone` that was built with it.",
    ))
}

/// That a model which only the main processor computes is not asked for elsewhere.
fn only_cpu(arguments: &AuditCalibrateArguments, what: &str) -> Result<(), Refusal> {
    if arguments.device == Processor::Cpu {
        return Ok(());
    }
    Err(Refusal::usage(format_args!("{what} are computed on the main processor only"), "Leave --device out."))
}

fn profile_of(measured: Measured, arguments: &AuditCalibrateArguments) -> Result<Profile, Refusal> {
    let Measured {
        model,
        inputs,
        quantity,
        engine,
        dtype,
        device,
        batches,
        honest,
        tampers,
        attributions,
        is_near: _,
    } = measured;
    if honest.is_empty() {
        return Err(Refusal::malformed("there is nothing to measure with", "Give at least one text or row."));
    }
    let honest = Honest::of(honest);
    let tau = arguments.tau.unwrap_or_else(|| profile::default_tau(honest.max));
    if !(honest.max..BEYOND).contains(&tau) {
        return Err(Refusal::usage(
            format_args!(
                "a tolerance of {} would call honest records altered: they lie {} apart",
                scientific(tau),
                scientific(honest.max)
            ),
            "Leave --tau out, or give a greater one.",
        ));
    }
    let tampers = tampers
        .into_iter()
        .map(|Tampered { name, distances }| Detection::of(name.to_owned(), &distances, tau));
    Ok(Profile {
        format: FORMAT.to_owned(),
        model: model.to_string(),
        quantity: quantity.to_owned(),
        engine,
        dtype: dtype.to_owned(),
        machine: Machine::here(device),
        threads: arguments.threads.clone(),
        batches,
        inputs: inputs.to_string(),
        honest,
        tau,
        tampers: tampers.collect(),
        attributions,
    })
}

/// How far each input's numbers lie from the canonical ones, of what is honest.
fn honest(canonical: &[Vec<f64>], other: &[Vec<f64>], who: &str) -> Result<Vec<f64>, Refusal> {
    if canonical.len() != other.len() {
        return Err(other_count(canonical.len(), other.len(), who));
    }
    let pairs = canonical.iter().zip(other).enumerate();
    pairs.map(|(place, (one, other))| bounded(profile::distance(one, other), place, who)).collect()
}

fn other_count(inputs: usize, found: usize, who: &str) -> Refusal {
    Refusal::malformed(
        format_args!("there are {inputs} inputs, and {found} in what {who} said"),
        "Record the same inputs in the same order.",
    )
}

/// A distance that a tolerance can be measured by.
fn bounded(distance: f64, place: usize, who: &str) -> Result<f64, Refusal> {
    if distance < BEYOND {
        return Ok(distance);
    }
    Err(Refusal::malformed(
        format_args!("input {}: no tolerance passes the numbers of {who}, so they are not honest", place + 1),
        "Check that they are of the same model, inputs and settings; leave the input out where a number of it is none.",
    ))
}

/// Hands over what was recorded on other machines, each with its name.
fn hear_files(
    arguments: &AuditCalibrateArguments,
    mut hear: impl FnMut(&[u8], &str) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    for file in &arguments.recorded {
        hear(&read_input(file, INPUT_BYTES_MAX)?, &file.display().to_string())?;
    }
    Ok(())
}

/// The lines of `model predict --json`.
fn predicted<T: DeserializeOwned>(bytes: &[u8], name: &str) -> impl Iterator<Item = Result<T, Refusal>> {
    let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).enumerate();
    lines.map(move |(place, line)| {
        serde_json::from_slice(line).map_err(|error| {
            Refusal::malformed(
                format_args!("{name}, line {}: {error}", place + 1),
                "Give what `ledgerstone model predict --json` printed.",
            )
        })
    })
}

/// A number whose text was printed in its own type: that of an `f32`, read as `f64`, is another number.
#[expect(clippy::cast_possible_truncation, reason = "the text of an f32")]
fn read_back(number: f64, precision: Precision) -> f64 {
    match precision {
        Precision::F32 => f64::from(number as f32),
        Precision::F64 => number,
    }
}

/// The same of a change; what no tolerance passes is found whatever it is.
fn tampered(canonical: &[Vec<f64>], other: &[Vec<f64>]) -> Vec<f64> {
    canonical.iter().zip(other).map(|(one, other)| found(profile::distance(one, other))).collect()
}

const fn found(distance: f64) -> f64 {
    if distance < BEYOND { distance } else { BEYOND }
}

fn text(profile: &Profile) -> String {
    let line = |name: &str, value: &str| wrapped(&printable(value), &format!("{name:<17}"), 17);
    let list = |numbers: &[u16]| numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let Profile { machine, honest, .. } = profile;
    let mut text = [
        line("Model", &profile.model),
        line("Engine", &format!("{}, {}", profile.engine, profile.dtype)),
        line(
            "Machine",
            &format!(
                "{}, {}, {}, {}",
                machine.target,
                machine.libm,
                machine.device,
                machine.instructions.join(" ")
            ),
        ),
        line("Threads", &list(&profile.threads)),
        line("Batches", &list(&profile.batches)),
        line(
            "Honest",
            &format!(
                "{} distances of the {}: {:.2e} at most, {:.2e} for 99.9 %",
                thousands(honest.count as u64),
                profile.quantity,
                honest.max,
                honest.p999
            ),
        ),
        line("Tolerance", &scientific(profile.tau)),
        profile.attributions.as_ref().map_or(
            String::new(),
            |AttributionTolerance { honest, tau, .. }| {
                let said = format!(
                    "{} distances of the attributions: {:.2e} at most, {:.2e} for 99.9 %; tolerance {}",
                    thousands(honest.count as u64),
                    honest.max,
                    honest.p999,
                    scientific(*tau)
                );
                line("Reasons", &said)
            },
        ),
        "\nChanges that the tolerance shows\n".to_owned(),
    ]
    .concat();
    for Detection { name, count, detected, min } in &profile.tampers {
        let least =
            if *min < BEYOND { format!("the least {min:.2e}") } else { "whatever the tolerance".into() };
        let shown = format!("{} of {}, {least}", thousands(*detected as u64), thousands(*count as u64));
        text += &wrapped(&shown, &format!("  {:<19}", printable(name)), 21);
    }
    text
}
