//! The plan and the draw that a report rests on, from the files that the user named.
//!
//! Guarantees: the draw was made again and is the same. Does not do: ask for a signature; it says whether there is the auditor's.

use std::path::Path;

use ledgerstone::note::VerifierKey;

use super::audit_plan::strata_file;
use crate::audit::{DRAND_BYTES_MAX, DRAW_BYTES_MAX, DrandChain, PlanFile};
use crate::cli::AuditBasisArguments;
use crate::exit::Refusal;
use crate::report::{Basis, BasisError, Sources};
use crate::source::read_input;

/// What can be said of the files.
pub(super) enum Stated {
    /// There are none.
    Nothing,
    /// They are plan and draw of one audit.
    Basis(Box<Basis>),
    /// The draw is not the plan's.
    Apart(BasisError),
}

/// Reads plan and draw, and draws again.
///
/// # Errors
/// A file cannot be read, or is not what it should be.
pub(super) fn read(arguments: &AuditBasisArguments, auditor: &VerifierKey) -> Result<Stated, Refusal> {
    let (Some(plan), Some(draw)) = (&arguments.plan, &arguments.draw) else {
        return Ok(Stated::Nothing);
    };
    let file = PlanFile::parse(&read_input(plan, PlanFile::BYTES_MAX)?).map_err(|error| {
        Refusal::new(
            error.code(),
            format_args!("{} cannot be used as a plan: {error}", plan.display()),
            "Name the file that `ledgerstone audit plan` wrote, byte for byte.",
        )
    })?;
    let chain = arguments.drand_chain.as_deref().map(chain).transpose()?;
    let strata = arguments.strata.as_deref().map(strata_file).transpose()?;
    let is_signed = file.verify(auditor).is_ok();
    let bytes = read_input(draw, DRAW_BYTES_MAX)?;
    let sources = Sources { chain: chain.as_ref(), strata: strata.as_ref() };
    match Basis::new(file, is_signed, &bytes, sources) {
        Ok(basis) => Ok(Stated::Basis(Box::new(basis))),
        Err(BasisError::Transcript(error)) => Err(Refusal::new(
            error.code(),
            format_args!("{} is no draw: {error}", draw.display()),
            "Name the file that `ledgerstone audit draw` wrote, byte for byte.",
        )),
        Err(error) => Ok(Stated::Apart(error)),
    }
}

fn chain(path: &Path) -> Result<DrandChain, Refusal> {
    DrandChain::parse(&read_input(path, DRAND_BYTES_MAX)?).map_err(|error| {
        Refusal::malformed(
            format_args!("{}: {error}", path.display()),
            "Save what a drand server answers at /CHAIN_HASH/info.",
        )
    })
}
