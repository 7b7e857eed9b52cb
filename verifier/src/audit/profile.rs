//! Tolerance profiles: how far honest recomputations of one model lie apart, and which changes of it show (`docs/spec/tolerance-profile.md`).
//!
//! *Guarantees*: a profile that parses is in its canonical form, its numbers are finite and fit each other, and its signature verifies under the key that
//! the caller trusts. Detection is counted, never estimated.
//!
//! *Does not do*: measure (`ledgerstone audit calibrate` does); say that another machine is honest within the same tolerance.

use ledgerstone::checkpoint::{LogKeys, SignTextError};
use ledgerstone::code::Code;
use ledgerstone::note::{NoteError, SignatureError, SignedNote, VerifierKey};
use serde::{Deserialize, Serialize};

use crate::recompute::description::{Numbers, WordReasons};
use crate::recompute::neural::Processor;
use crate::recompute::neural::integrated::{Baseline, Rule};

/// The format's name and version.
pub const FORMAT: &str = "ledgerstone-tolerance-profile/v1";

/// Bytes of a profile with its signature.
pub const PROFILE_BYTES_MAX: usize = 1 << 16;

/// The distance of a change that no tolerance would pass, such as a number that is none, as a profile writes it.
pub const BEYOND: f64 = f64::MAX;

/// What was measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// [`FORMAT`].
    pub format: String,
    /// The model's digest, in hex.
    pub model: String,
    /// What is compared: `vector`, `margins` or `logits`; the distance is the greatest of its numbers'.
    pub quantity: String,
    /// The engine and its version.
    pub engine: String,
    /// The type of the computation: `f32` or `f64`.
    pub dtype: String,
    /// Where it was measured.
    pub machine: Machine,
    /// Numbers of threads that were tried.
    pub threads: Vec<u16>,
    /// Sizes of batches that were tried; the first is the canonical one.
    pub batches: Vec<u16>,
    /// SHA-256 of the file of texts or rows, in hex.
    pub inputs: String,
    /// Honest recomputations against the canonical one.
    pub honest: Honest,
    /// The tolerance: a distance above it is a mismatch.
    pub tau: f64,
    /// Changes of the model, and what the tolerance shows of them.
    pub tampers: Vec<Detection>,
    /// The same of the attributions that reasons come from, where the model's description has such reasons.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attributions: Option<AttributionTolerance>,
}

/// How far honest attributions of words lie apart. No change of the model is looked for in them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttributionTolerance {
    /// Which numbers the one that is explained is of.
    pub of: Numbers,
    /// Its place among them.
    pub index: usize,
    /// Points of the quadrature.
    pub steps: u16,
    /// Which points.
    pub rule: Rule,
    /// What the text is compared with.
    pub baseline: Baseline,
    /// Honest recomputations against the canonical one, text by text: the greatest distance of a word's attribution.
    pub honest: Honest,
    /// The tolerance: an attribution that lies farther off does not follow.
    pub tau: f64,
}

impl AttributionTolerance {
    /// Whether it was measured of these reasons.
    #[must_use]
    pub fn fits(&self, words: &WordReasons) -> bool {
        let WordReasons { of, index, push: _, steps, rule, baseline } = words;
        (self.of, self.index, self.steps, self.rule, self.baseline) == (*of, *index, *steps, *rule, *baseline)
    }
}

/// The cell in which a measurement holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Machine {
    /// Processor and system, as `x86_64-linux`.
    pub target: String,
    /// The mathematics library, as `gnu` or `musl`.
    pub libm: String,
    /// Where networks are computed.
    pub device: String,
    /// Instructions by which the engine chooses its way to compute.
    pub instructions: Vec<String>,
}

/// Distances of honest recomputations.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Honest {
    /// How many distances.
    pub count: usize,
    /// The greatest.
    pub max: f64,
    /// The least that is not below 99.9 % of them.
    pub p999: f64,
}

/// What the tolerance shows of a change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Detection {
    /// The change.
    pub name: String,
    /// Inputs times changes of this kind.
    pub count: usize,
    /// How many of them lie above the tolerance.
    pub detected: usize,
    /// The least distance.
    pub min: f64,
}

impl Machine {
    /// The machine that this program runs on.
    #[must_use]
    pub fn here(processor: Processor) -> Self {
        let libm = if cfg!(target_env = "musl") {
            "musl"
        } else if cfg!(target_env = "gnu") {
            "gnu"
        } else {
            std::env::consts::OS
        };
        Self {
            target: format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS),
            libm: libm.to_owned(),
            device: processor.as_str().to_owned(),
            instructions: instructions().into_iter().map(str::to_owned).collect(),
        }
    }
}

/// Sets of instructions by which the engine chooses how to multiply matrices.
#[cfg(target_arch = "x86_64")]
fn instructions() -> Vec<&'static str> {
    let all = [
        ("avx", std::is_x86_feature_detected!("avx")),
        ("avx2", std::is_x86_feature_detected!("avx2")),
        ("fma", std::is_x86_feature_detected!("fma")),
        ("avx512f", std::is_x86_feature_detected!("avx512f")),
    ];
    all.into_iter().filter(|(_, found)| *found).map(|(name, _)| name).collect()
}

#[cfg(not(target_arch = "x86_64"))]
fn instructions() -> Vec<&'static str> {
    Vec::new()
}

impl Honest {
    /// Counts distances.
    #[must_use]
    pub fn of(mut distances: Vec<f64>) -> Self {
        distances.sort_by(f64::total_cmp);
        // The nearest rank: of 1000 distances the 999th.
        let rank = (distances.len() * 999).div_ceil(1000).saturating_sub(1);
        let at = |place: usize| distances.get(place).copied().unwrap_or(0.0);
        Self { count: distances.len(), max: at(distances.len().saturating_sub(1)), p999: at(rank) }
    }

    /// Whether these are distances, and the tolerance calls none of them altered.
    fn is_sound(&self, tau: f64) -> bool {
        let Self { count, max, p999 } = *self;
        [max, p999, tau].into_iter().all(|number| number.is_finite() && number >= 0.0)
            && count > 0
            && p999 <= max
            && max <= tau
    }
}

impl Detection {
    /// Counts how many of the distances lie above `tau`.
    #[must_use]
    pub fn of(name: String, distances: &[f64], tau: f64) -> Self {
        Self {
            name,
            count: distances.len(),
            detected: distances.iter().filter(|distance| **distance > tau).count(),
            min: distances.iter().copied().reduce(f64::min).unwrap_or(0.0),
        }
    }
}

/// The greatest distance of two rows of numbers; infinite where there are not as many, NaN where one is no number.
#[must_use]
pub fn distance(one: &[f64], other: &[f64]) -> f64 {
    if one.len() != other.len() {
        return f64::INFINITY;
    }
    let distances = one.iter().zip(other).map(|(one, other)| {
        // Two infinities of one sign are no distance apart, and their difference is NaN.
        if one.to_bits() == other.to_bits() { 0.0 } else { (one - other).abs() }
    });
    distances.fold(0.0, farther)
}

/// The greater of two distances; one that is no number is the greatest.
#[must_use]
pub fn farther(one: f64, other: f64) -> f64 {
    if other.is_nan() || other > one { other } else { one }
}

/// The tolerance for a greatest honest distance: 20 times it, rounded up to two digits, so that another honest machine has room; none where
/// every honest recomputation is equal.
#[must_use]
pub fn default_tau(max: f64) -> f64 {
    if max <= 0.0 {
        return 0.0;
    }
    // The text of a number in this form has exactly two digits; where it was rounded down, the next one is taken.
    let wanted = 20.0 * max;
    let rounded = |digits: u32, exponent: i32| format!("{digits}e{exponent}").parse().unwrap_or(wanted);
    let text = format!("{wanted:.1e}");
    let Some((digits, exponent)) = text.split_once('e') else { return wanted };
    let (Ok(digits), Ok(exponent)) = (digits.replace('.', "").parse::<u32>(), exponent.parse::<i32>()) else {
        return wanted;
    };
    let nearest: f64 = rounded(digits, exponent - 1);
    // 20 times 2.5e-7 is a little above 5e-6 in binary.
    if nearest * (1.0 + 1e-12) >= wanted { nearest } else { rounded(digits + 1, exponent - 1) }
}

impl Profile {
    /// The text that is signed: one line of JSON.
    #[must_use]
    pub fn to_text(&self) -> String {
        // A struct of texts and finite numbers always turns into JSON.
        serde_json::to_string(self).map(|json| json + "\n").unwrap_or_default()
    }

    /// Signs the profile.
    ///
    /// # Errors
    /// The text cannot be signed.
    pub fn sign(&self, keys: &LogKeys) -> Result<String, SignTextError> {
        keys.sign_text(self.to_text()).map(|note| note.to_string())
    }

    /// Reads a signed profile and checks its signature.
    ///
    /// # Errors
    /// [`ProfileError`] says what is wrong.
    pub fn open(bytes: &[u8], key: &VerifierKey) -> Result<Self, ProfileError> {
        let (profile, note) = Self::parse(bytes)?;
        note.verify(key).map_err(ProfileError::Signature)?;
        Ok(profile)
    }

    /// Reads a signed profile, without checking who signed it.
    ///
    /// # Errors
    /// [`ProfileError`] says what is wrong.
    pub fn parse(bytes: &[u8]) -> Result<(Self, SignedNote), ProfileError> {
        if bytes.len() > PROFILE_BYTES_MAX {
            return Err(ProfileError::TooLarge);
        }
        let note = SignedNote::parse(bytes).map_err(ProfileError::Note)?;
        let profile: Self = serde_json::from_str(note.text())
            .map_err(|error| ProfileError::Json { column: error.column(), problem: error.to_string() })?;
        if profile.format != FORMAT || profile.to_text() != note.text() {
            return Err(ProfileError::NotCanonical);
        }
        profile.check()?;
        Ok((profile, note))
    }

    fn check(&self) -> Result<(), ProfileError> {
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        let hex = [&self.model, &self.inputs]
            .into_iter()
            .all(|text| text.len() == 64 && text.bytes().all(is_digit));
        let sound = hex
            && self.honest.is_sound(self.tau)
            && self.tampers.iter().all(|tamper| tamper.min.is_finite() && tamper.min >= 0.0)
            && self.tampers.iter().all(|tamper| tamper.detected <= tamper.count && tamper.count > 0)
            && self.attributions.as_ref().is_none_or(|measured| measured.honest.is_sound(measured.tau))
            && self.tampers.iter().all(|tamper| (tamper.min > self.tau) == (tamper.detected == tamper.count));
        if sound { Ok(()) } else { Err(ProfileError::Contradicts) }
    }
}

/// Why a file is no profile to rely on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProfileError {
    /// It has more than [`PROFILE_BYTES_MAX`] bytes.
    #[error("the profile has more than 65,536 bytes; give the file that `ledgerstone audit calibrate` wrote")]
    TooLarge,
    /// It is no signed note.
    #[error("the profile is no signed note: {0}")]
    Note(NoteError),
    /// Its text is not the JSON of a profile.
    #[error("the profile's text is wrong at column {column}: {problem}")]
    Json {
        /// Where.
        column: usize,
        /// What the reader says.
        problem: String,
    },
    /// Its text is another version's, or not in the form that is signed.
    #[error(
        "the profile's text is not in canonical form; give the file that `ledgerstone audit calibrate` wrote, unchanged"
    )]
    NotCanonical,
    /// Its numbers cannot all be true.
    #[error(
        "the profile contradicts itself: honest distances above its tolerance, or counts that do not fit"
    )]
    Contradicts,
    /// The key that the caller trusts did not sign it.
    #[error("the profile is not signed by the key that is trusted: {0}")]
    Signature(SignatureError),
}

impl ProfileError {
    /// What the reader must do about it.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::TooLarge => Code::Limit,
            Self::Note(_) | Self::Json { .. } | Self::NotCanonical | Self::Contradicts => Code::Malformed,
            Self::Signature(_) => Code::Untrusted,
        }
    }
}

#[cfg(test)]
mod tests;
