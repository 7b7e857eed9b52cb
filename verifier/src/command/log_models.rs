//! `ledgerstone log models`: the models that a log registers, and the decisions that name them.
//!
//! Guarantees: a decision counts as registered only if the registration stands before it. Does not do: verifying; it says
//! so. Memory is bounded by `limits::REGISTRATIONS_MAX` and `limits::WALK_MODELS_MAX`.

use ledgerstone::entry::Entry;
use ledgerstone::hash::Hash;
use ledgerstone::merkle::LeafIndex;
use ledgerstone::registry::{Decided, Registration, Registrations};
use ledgerstone::tile::TILE_WIDTH;
use serde::Serialize;

use super::log_checkpoint;
use super::log_entries::{decode, read_bundle};
use crate::cli::LogModelsArguments;
use crate::exit::{Exit, Refusal};
use crate::output::{Output, plural, thousands};
use crate::source::{self, Source};

/// The format of this command's JSON.
const FORMAT: &str = "ledgerstone-models/v1";

/// The registrations and decisions of a log as JSON.
#[derive(Serialize)]
struct ModelsJson {
    format: &'static str,
    tree_size: u64,
    registrations: Vec<RegistrationJson>,
    digests: Vec<DigestJson>,
    /// Decisions that name no digest.
    without_digest: u64,
}

/// One registration.
#[derive(Serialize)]
struct RegistrationJson {
    leaf_index: u64,
    recorded_at: String,
    name: String,
    version: String,
    digest: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    signature: Option<String>,
}

/// The decisions that name one digest.
#[derive(Serialize)]
struct DigestJson {
    digest: String,
    decisions: u64,
    /// How many of them stand before any registration of the digest.
    unregistered: u64,
}

/// Lists what the log registers.
///
/// # Errors
/// The log cannot be read, or is malformed.
pub(super) fn run(arguments: &LogModelsArguments, output: &mut Output) -> Result<Exit, Refusal> {
    let web = arguments.network.options();
    let source = source::open(&arguments.source, &web)?;
    let (size, registrations) = walk(source.as_ref())?;
    if output.is_json() {
        output.json(&json(size, &registrations))?;
    } else {
        output.print(&text(&registrations))?;
    }
    output.remark(
        "Listed, not verified: `ledgerstone verify log` checks that these are the entries that were signed.",
    );
    Ok(Exit::Verified)
}

/// What the log at `source` registers, and its size.
fn walk(source: &dyn Source) -> Result<(u64, Registrations), Refusal> {
    let size = log_checkpoint::parse(source, &source.checkpoint()?)?.checkpoint().size;
    let mut registrations = Registrations::new();
    let width = u64::from(TILE_WIDTH);
    for bundle in 0..size.get().div_ceil(width) {
        let bytes = read_bundle(source, bundle, size)?;
        for (index, bytes) in (bundle * width..size.get()).zip(decode(source, bundle, &bytes)?) {
            let damaged = |code, error: &dyn std::fmt::Display| {
                Refusal::new(
                    code,
                    format_args!("entry {index} of {} cannot be used: {error}", source.label()),
                    "Run `ledgerstone verify log` on it to see what else is wrong.",
                )
            };
            let entry = Entry::decode(bytes).map_err(|error| damaged(error.code(), &error))?;
            let taken = registrations.take(LeafIndex::new(index), &entry);
            taken.map_err(|error| damaged(error.code(), &error))?;
        }
    }
    Ok((size.get(), registrations))
}

fn json(tree_size: u64, found: &Registrations) -> ModelsJson {
    let registration = |one: &Registration| RegistrationJson {
        leaf_index: one.index.get(),
        recorded_at: one.recorded_at.to_string(),
        name: one.name.to_string(),
        version: one.version.to_string(),
        digest: one.digest.to_string(),
        signature: one.signature.map(|signature| signature.to_string()),
    };
    let digest = |(digest, decided): (&Hash, Decided)| DigestJson {
        digest: digest.to_string(),
        decisions: decided.decisions,
        unregistered: decided.unregistered,
    };
    ModelsJson {
        format: FORMAT,
        tree_size,
        registrations: found.all().iter().map(registration).collect(),
        digests: found.decided().map(digest).collect(),
        without_digest: found.without_model(),
    }
}

fn text(found: &Registrations) -> String {
    let mut text = plural(found.all().len() as u64, "registration", "registrations") + "\n";
    for one in found.all() {
        let signed = if one.signature.is_some() { "signature named" } else { "no signature named" };
        text += &format!(
            "{:>8}  {}  {} {}, {signed}\n          {}\n",
            one.index.get(),
            one.recorded_at,
            one.name,
            one.version,
            one.digest
        );
    }
    text += &format!("\n{} named by decisions\n", plural(found.decided().len() as u64, "digest", "digests"));
    for (digest, decided) in found.decided() {
        let registered = match decided {
            Decided { unregistered: 0, .. } => "all after its registration".to_owned(),
            Decided { decisions, unregistered } if decisions == unregistered => {
                "none of them after a registration".to_owned()
            }
            Decided { unregistered, .. } => format!("{} before its registration", thousands(unregistered)),
        };
        let decisions = plural(decided.decisions, "decision", "decisions");
        text += &format!("          {digest}\n          {decisions}, {registered}\n");
    }
    if found.without_model() > 0 {
        text += &format!("\n{} without a digest\n", plural(found.without_model(), "decision", "decisions"));
    }
    text
}
