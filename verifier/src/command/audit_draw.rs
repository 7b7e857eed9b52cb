//! `ledgerstone audit draw`: draws the decisions of a plan once its randomness is known.
//!
//! Guarantees: every value was checked against the plan, and every entry looked at was proved to stand in the plan's tree; the same
//! plan, values and log give the same bytes. Does not do: recompute a decision, or look whether the plan is older than its randomness.

use std::path::Path;

use ledgerstone::checkpoint::Checkpoint;
use ledgerstone::entry::{Entry, Kind};
use ledgerstone::note::VerifierKey;
use serde::Serialize;

use super::audit_plan::strata_file;
use super::key_generate::{Secrecy, write_new};
use super::proved;
use crate::audit::{
    Beacon, BlockHeader, DRAND_BYTES_MAX, DrandChain, DrandRound, Draw, DrawError, Given,
    HEADER_FILE_BYTES_MAX, NONCE_FILE_BYTES_MAX, Plan, PlanFile, PlanFileError, Proof, Reveal, RevealError,
    Sample, StrataFile, Stratum, Values, parse_nonce, redo,
};
use crate::cli::AuditDrawArguments;
use crate::exit::{Exit, Refusal};
use crate::output::{Output, plural, thousands, wrapped};
use crate::source::{self, Source, read_input};

/// The format of this command's JSON.
const FORMAT: &str = "ledgerstone-audit-drawn/v1";

/// Columns before the text of a line.
const INDENT: usize = 12;

/// Indices that are shown; the file has all of them.
const SHOWN_MAX: usize = 10;

/// What is said of the plan's age, because nothing here can check it.
const AGE_NOT_CHECKED: &str = "That the plan was fixed before its randomness was known was not checked: compare its SHA-256 \
    with what was published or logged before.";

/// The draw that was made, as JSON.
#[derive(Serialize)]
struct DrawnJson {
    format: &'static str,
    /// SHA-256 of the plan's text.
    plan: String,
    /// The key whose signature was checked.
    signed_by: Option<String>,
    seed: String,
    decisions: usize,
    looked_at: u64,
    /// Whether these are all decisions in the plan's range.
    is_all: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    strata: Vec<StratumJson>,
    not_checked: Vec<String>,
}

/// What was drawn from a stratum.
#[derive(Serialize)]
struct StratumJson {
    name: String,
    decisions: usize,
    /// Whether these are all decisions that the strata file puts into it.
    is_all: bool,
}

/// Draws.
///
/// # Errors
/// An input cannot be read, is not what the plan says, or the log is not the plan's.
pub(super) fn run(arguments: &AuditDrawArguments, output: &mut Output) -> Result<Exit, Refusal> {
    let file = plan(arguments)?;
    let plan = file.plan();
    let values = values(arguments)?;
    let reveals = values.reveal(plan).map_err(|error| {
        let next = match error {
            RevealError::UnknownChain { .. } => {
                "Give --drand-chain FILE with what a drand server answers at /CHAIN_HASH/info."
            }
            _ => "Check which files belong to this plan; nothing was drawn.",
        };
        Refusal::new(error.code(), error, next)
    })?;
    let web = arguments.network.options();
    let source = source::open(&arguments.source, &web)?;
    let strata = arguments.strata.as_deref().map(strata_file).transpose()?;
    let given = Given { reveals: &reveals, chain: values.chain.as_ref(), strata: strata.as_ref() };
    let drawn = redo(plan, given, |indices| are_decisions(source.as_ref(), &plan.checkpoint, indices));
    let draw = drawn.map_err(|error| match error {
        DrawError::Entries(refusal) => refusal,
        DrawError::Strata => {
            Refusal::new(error.code(), &error, "Give --strata the file whose SHA-256 stands in the plan.")
        }
        other => Refusal::new(other.code(), &other, "Nothing was drawn."),
    })?;
    let mut bytes = Vec::new();
    draw.write(&mut bytes).map_err(|error| Refusal::unavailable(error, "Run the command again."))?;
    write_new(&arguments.output, &bytes, Secrecy::Public)?;
    let drawn = DrawnJson {
        format: FORMAT,
        plan: draw.plan.to_string(),
        signed_by: arguments.auditor.clone(),
        seed: draw.seed.to_string(),
        decisions: draw.sample.drawn.len(),
        looked_at: draw.samples().map(Sample::looked_at).sum(),
        is_all: draw.is_exhausted(plan),
        strata: strata_json(plan, &draw, strata.as_ref()),
        not_checked: not_checked(&reveals, arguments.unsigned),
    };
    if output.is_json() {
        output.json(&drawn)?;
    } else {
        output.print(&shown(&draw, &drawn))?;
    }
    Ok(Exit::Verified)
}

/// The plan, signed by the auditor that the user named, unless nobody's signature was asked for.
fn plan(arguments: &AuditDrawArguments) -> Result<PlanFile, Refusal> {
    let path = &arguments.plan;
    let file = PlanFile::parse(&read_input(path, PlanFile::BYTES_MAX)?).map_err(|error| {
        Refusal::new(
            error.code(),
            format_args!("{} cannot be used as a plan: {error}", path.display()),
            "Name the file that `ledgerstone audit plan` wrote, byte for byte.",
        )
    })?;
    let Some(vkey) = &arguments.auditor else {
        return Ok(file);
    };
    let auditor = vkey.parse::<VerifierKey>().map_err(|error| {
        Refusal::usage(
            format_args!("`{vkey}` is not a public key: {error}"),
            "Copy the auditor's first key as `ledgerstone key show` prints it.",
        )
    })?;
    file.verify(&auditor).map_err(|error| {
        let next = match error {
            PlanFileError::KeyType => "It is the first line that `ledgerstone key show` prints.",
            PlanFileError::Unsigned => "Ask the auditor for the signed plan, or say --unsigned.",
            _ => "Ask the auditor which key and which plan are the right ones; nothing was drawn.",
        };
        Refusal::new(error.code(), format_args!("{}: {error}", path.display()), next)
    })?;
    Ok(file)
}

/// The values in the files that the user named.
fn values(arguments: &AuditDrawArguments) -> Result<Values, Refusal> {
    let drand = arguments.drand.as_deref().map(|path| read(path, DRAND_BYTES_MAX, DrandRound::parse, ROUND));
    let chain = arguments.drand_chain.as_deref();
    let chain = chain.map(|path| read(path, DRAND_BYTES_MAX, DrandChain::parse, CHAIN));
    let block = arguments.block.as_deref();
    let block = block.map(|path| read(path, HEADER_FILE_BYTES_MAX, BlockHeader::parse, HEADER));
    let nonces = arguments.nonces.iter().map(|nonce| {
        let (name, path) = nonce.split_once('=').ok_or_else(|| {
            Refusal::usage(
                format_args!("`{nonce}` is not NAME=FILE"),
                "Give --nonce the name in the plan and a file.",
            )
        })?;
        Ok((name.to_owned(), read(Path::new(path), NONCE_FILE_BYTES_MAX, parse_nonce, NONCE)?))
    });
    Ok(Values {
        drand: drand.transpose()?,
        chain: chain.transpose()?,
        block: block.transpose()?,
        nonces: nonces.collect::<Result<_, Refusal>>()?,
    })
}

const ROUND: &str = "Save what a drand server answers at /CHAIN_HASH/public/ROUND.";
const CHAIN: &str = "Save what a drand server answers at /CHAIN_HASH/info.";
const HEADER: &str = "Save what `bitcoin-cli getblockheader HASH false` prints.";
const NONCE: &str = "Ask the auditor for the file with the secret.";

/// What `parse` makes of a file.
fn read<T, E: std::error::Error>(
    path: &Path,
    bytes_max: usize,
    parse: impl Fn(&[u8]) -> Result<T, E>,
    next: &str,
) -> Result<T, Refusal> {
    parse(&read_input(path, bytes_max)?)
        .map_err(|error| Refusal::malformed(format_args!("{}: {error}", path.display()), next))
}

/// Whether a decision stands at each of these indices of the plan's tree.
fn are_decisions(
    source: &dyn Source,
    checkpoint: &Checkpoint,
    indices: &[u64],
) -> Result<Vec<bool>, Refusal> {
    let mut kinds = vec![false; indices.len()];
    proved::entries(source, checkpoint, indices, |proved| {
        let entry = Entry::decode(proved.bytes).map_err(|error| {
            // An entry that cannot be read could be a decision, and passing it over would let one be hidden so.
            Refusal::malformed(
                format_args!("entry {} is in the log and cannot be read: {error}", proved.index),
                "Nothing was drawn; run `ledgerstone verify log`, or a newer version of this program.",
            )
        })?;
        if let Some(kind) = kinds.get_mut(proved.position) {
            *kind = entry.kind == Kind::Decision;
        }
        Ok(())
    })?;
    Ok(kinds)
}

/// What this command cannot know, one sentence each.
fn not_checked(reveals: &[Reveal], is_unsigned: bool) -> Vec<String> {
    let blocks = reveals.iter().filter_map(|reveal| match (&reveal.beacon, &reveal.proof) {
        (Beacon::Block { height }, Proof::Block(header)) => {
            let bits = header.work_bits().unwrap_or_default();
            Some(format!(
                "That block {} stands in Bitcoin's chain, and at height {height}, was not checked: look it up in a node of \
                 your own. Making such a header takes about 2^{bits} hashes.",
                reveal.value
            ))
        }
        _ => None,
    });
    let unsigned = is_unsigned.then(|| "Whose plan this is was not checked.".to_owned());
    blocks.chain(unsigned).chain([AGE_NOT_CHECKED.to_owned()]).collect()
}

fn shown(draw: &Draw, drawn: &DrawnJson) -> String {
    let Checkpoint { origin, size, .. } = &draw.checkpoint;
    let mut text = line("Log", &format!("{origin} at {}", plural(size.get(), "entry", "entries")));
    text += &line("Plan", &format!("SHA-256 {}", drawn.plan));
    text += &line("Signed by", drawn.signed_by.as_deref().unwrap_or("nobody that was asked for"));
    for reveal in &draw.reveals {
        text += &line("Randomness", &format!("{} is {}", reveal.beacon, reveal.value));
    }
    text += &line("Seed", &drawn.seed);
    let looked_at = plural(drawn.looked_at, "entry", "entries");
    let others = thousands(draw.samples().map(|sample| count(sample.skipped.len())).sum());
    let each = if drawn.strata.is_empty() { "" } else { " (counted in each sample)" };
    text += &line(
        "Looked at",
        &format!("{looked_at}{each}, each proved to stand in the tree; {others} of them are no decisions"),
    );
    let sampled = |decisions: usize, is_all: bool, of: &str| {
        let all = if is_all { format!(", all there are in {of}") } else { String::new() };
        format!("{}{all}", plural(count(decisions), "decision", "decisions"))
    };
    text += &line("Drawn", &sampled(drawn.decisions, drawn.is_all, "the plan's range"));
    text += &entries(&draw.sample);
    for (stratum, sample) in drawn.strata.iter().zip(&draw.strata) {
        let drawn = sampled(stratum.decisions, stratum.is_all, "this stratum");
        text += &line("Stratum", &format!("{}: {drawn}", stratum.name));
        text += &entries(sample);
    }
    for sentence in &drawn.not_checked {
        text += "\n";
        text += &wrapped(sentence, "", 0);
    }
    text
}

/// The first indices of a sample.
fn entries(sample: &Sample) -> String {
    if sample.drawn.is_empty() {
        return String::new();
    }
    let first: Vec<_> = sample.drawn.iter().take(SHOWN_MAX).map(|index| thousands(*index)).collect();
    let rest = sample.drawn.len() - first.len();
    let rest = if rest > 0 { format!(" and {} more", thousands(count(rest))) } else { String::new() };
    line("Entries", &format!("{}{rest}", first.join(" ")))
}

fn line(name: &str, value: &str) -> String {
    wrapped(value, &format!("{name:<INDENT$}"), INDENT)
}

fn count(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

fn strata_json(plan: &Plan, draw: &Draw, file: Option<&StrataFile>) -> Vec<StratumJson> {
    let json = |(stratum, sample): (&Stratum, &Sample)| StratumJson {
        name: stratum.name.clone(),
        decisions: sample.drawn.len(),
        is_all: file.is_some_and(|file| sample.takes_all(file.members(plan, &stratum.name))),
    };
    plan.strata().zip(&draw.strata).map(json).collect()
}
