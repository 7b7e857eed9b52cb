//! `ledgerstone audit calibrate`: measures what a tolerance can tell apart on this machine, and signs what was found.
//!
//! Guarantees: every count in the profile was measured in this run; a tolerance below an honest distance is refused. Does not do: measure other
//! machines; their numbers come in with `--recorded`.

#[cfg(feature = "neural")]
mod text;
mod trees;

use ledgerstone::hash::Hash;
use serde::Serialize;

use super::key_generate::{Secrecy, exists, write_new};
use super::key_show;
use crate::audit::profile::{self, AttributionTolerance, Detection, FORMAT, Honest, Machine, Profile};
use crate::cli::AuditCalibrateArguments;
use crate::exit::{Exit, Refusal};
use crate::output::{Output, printable, thousands, wrapped};
use crate::recompute::neural::Processor;

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
    /// Sizes of batches.
    batches: Vec<u16>,
    honest: Vec<f64>,
    tampers: Vec<Tampered>,
    /// Distances of attributions, where reasons come from them.
    attributions: Option<AttributionTolerance>,
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
    if arguments.out.symlink_metadata().is_ok() {
        return Err(exists(&arguments.out));
    }
    let keys = key_show::read(&arguments.key)?;
    let measured = match (&arguments.text, &arguments.rows) {
        (None, Some(rows)) => trees::measure(arguments, rows)?,
        (Some(texts), _) => measure_text(arguments, texts)?,
        (None, None) => {
            return Err(Refusal::usage("there is nothing to measure with", "Give --text or --rows."));
        }
    };
    let profile = profile_of(measured, arguments)?;
    let signed = profile.sign(&keys).map_err(|error| {
        Refusal::new(error.code(), format_args!("the profile cannot be signed: {error}"), "Report this.")
    })?;
    write_new(&arguments.out, signed.as_bytes(), Secrecy::Public)?;
    let [key, _] = keys.vkeys();
    if output.is_json() {
        output.json(&CalibratedJson { signed_by: key.to_string(), profile: &profile })?;
    } else {
        output.print(&text(&profile))?;
        output.remark(&format!("Profile written to {}, signed by {key}.", arguments.out.display()));
    }
    Ok(Exit::Verified)
}

#[cfg(feature = "neural")]
fn measure_text(arguments: &AuditCalibrateArguments, texts: &std::path::Path) -> Result<Measured, Refusal> {
    text::measure(arguments, texts)
}

#[cfg(not(feature = "neural"))]
fn measure_text(_: &AuditCalibrateArguments, _: &std::path::Path) -> Result<Measured, Refusal> {
    Err(Refusal::usage(
        "this program was built without the feature `neural`",
        "Use a `ledgerstone` that was built with it.",
    ))
}

fn profile_of(measured: Measured, arguments: &AuditCalibrateArguments) -> Result<Profile, Refusal> {
    let Measured { model, inputs, quantity, engine, dtype, batches, honest, tampers, attributions } =
        measured;
    if honest.is_empty() {
        return Err(Refusal::malformed("there is nothing to measure with", "Give at least one text or row."));
    }
    let honest = Honest::of(honest);
    let tau = arguments.tau.unwrap_or_else(|| profile::default_tau(honest.max));
    if !(tau.is_finite() && tau >= honest.max) {
        return Err(Refusal::usage(
            format_args!(
                "a tolerance of {tau:e} would call honest records altered: they lie {:e} apart",
                honest.max
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
        machine: Machine::here(Processor::Cpu),
        threads: arguments.threads.clone(),
        batches,
        inputs: inputs.to_string(),
        honest,
        tau,
        tampers: tampers.collect(),
        attributions,
    })
}

/// The greatest distance of two rows of numbers.
fn distance(one: &[f64], other: &[f64]) -> Result<f64, Refusal> {
    if one.len() != other.len() {
        return Err(Refusal::malformed(
            format_args!("{} numbers are compared with {}", one.len(), other.len()),
            "Check that both come from the same model.",
        ));
    }
    Ok(one.iter().zip(other).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max))
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
        line("Tolerance", &format!("{:e}", profile.tau)),
        profile.attributions.as_ref().map_or(
            String::new(),
            |AttributionTolerance { honest, tau, .. }| {
                let said = format!(
                    "{} distances of the attributions: {:.2e} at most, {:.2e} for 99.9 %; tolerance {tau:e}",
                    thousands(honest.count as u64),
                    honest.max,
                    honest.p999
                );
                line("Reasons", &said)
            },
        ),
        "\nChanges that the tolerance shows\n".to_owned(),
    ]
    .concat();
    for Detection { name, count, detected, min } in &profile.tampers {
        let shown =
            format!("{} of {}, the least {min:.2e}", thousands(*detected as u64), thousands(*count as u64));
        text += &wrapped(&shown, &format!("  {:<19}", printable(name)), 21);
    }
    text
}
