//! What `audit run` and `audit verify` are told of how models are recomputed.
//!
//! Guarantees: a profile counts only with the signature of the key that the user named. Does not do: matching profiles with models.

use ledgerstone::hash::Hash;
use ledgerstone::note::VerifierKey;

use crate::audit::profile::{PROFILE_BYTES_MAX, Profile};
use crate::audit::run::{GivenProfile, Options};
use crate::cli::RecomputeArguments;
use crate::exit::Refusal;
use crate::recompute::description::DESCRIPTION_BYTES_MAX;
use crate::recompute::neural::Processor;
use crate::source::read_input;

/// The options that the arguments name; the others are left as they are by default.
///
/// # Errors
/// A file cannot be read, a profile is not signed by the key, or the program was not built for the device.
pub(super) fn read(arguments: &RecomputeArguments) -> Result<Options, Refusal> {
    let description = arguments.description.as_ref().map(|path| read_input(path, DESCRIPTION_BYTES_MAX));
    let mut options = Options {
        description: description.transpose()?,
        processor: usable(arguments.device)?,
        ..Options::default()
    };
    let Some(text) = &arguments.profile_key else { return Ok(options) };
    let key = text.parse::<VerifierKey>().map_err(|error| {
        Refusal::usage(
            format_args!("`{text}` is not a public key: {error}"),
            "Copy the key of whoever calibrated as `ledgerstone key show` prints it.",
        )
    })?;
    for path in &arguments.profiles {
        let bytes = read_input(path, PROFILE_BYTES_MAX)?;
        let profile = Profile::open(&bytes, &key).map_err(|error| {
            Refusal::new(
                error.code(),
                format_args!("{} is not a profile to rely on: {error}", path.display()),
                "Give the file that `ledgerstone audit calibrate` wrote, and the key that signed it.",
            )
        })?;
        options.profiles.push(GivenProfile { sha256: Hash::of(&bytes), profile });
    }
    Ok(options)
}

/// A device that this program can compute on.
///
/// # Errors
/// It was not built for it.
pub(super) fn usable(device: Processor) -> Result<Processor, Refusal> {
    if device == Processor::Cuda && !cfg!(ledgerstone_cuda) {
        return Err(Refusal::usage(
            "this program was not built for graphics processors",
            "Build it with RUSTFLAGS=\"--cfg ledgerstone_cuda\", or leave --device out.",
        ));
    }
    Ok(device)
}
