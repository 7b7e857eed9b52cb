//! How `config.json` says that places turn: in its older keys, or under `rope_parameters`.
//!
//! *Guarantees*: a way to stretch places that is not known is refused by its name.
//!
//! *Does not do*: contexts beyond the one that a stretched model was first made for, which other factors are for.

use serde_json::{Map, Value};

use crate::recompute::error::{ModelError, malformed, shown, unsupported};
use crate::recompute::neural::design::{Family, Rotary};
use crate::recompute::neural::keys::{Keys, at};
use crate::recompute::neural::{float, narrow};

/// Numbers of a head's frequencies; a plan has fewer.
const PAIRS_MAX: usize = 1024;

/// How layers turn that see every token, how those do that see a window, and for how many tokens that holds.
pub(super) fn read(
    keys: &Keys<'_>,
    family: Family,
    head: usize,
) -> Result<(Rotary, Rotary, usize), ModelError> {
    let none = Map::new();
    let object = |key: &str| keys.get(key).and_then(Value::as_object);
    let whole = object("rope_parameters").or_else(|| object("rope_scaling")).unwrap_or(&none);
    let part = |key: &str| whole.get(key).and_then(Value::as_object);
    let base = keys.number("rope_theta")?;
    if family != Family::Gemma3 {
        let (rotary, room) =
            Settings { keys, own: &Keys(whole), family, head }.rotary(base.unwrap_or(10_000.0))?;
        return Ok((rotary.clone(), rotary, room));
    }
    let (open, local) = (part("full_attention").unwrap_or(whole), part("sliding_attention").unwrap_or(&none));
    let local_base = keys.number("rope_local_base_freq")?.unwrap_or(10_000.0);
    let (open, room) =
        Settings { keys, own: &Keys(open), family, head }.rotary(base.unwrap_or(1_000_000.0))?;
    let (local, _) = Settings { keys, own: &Keys(local), family, head }.rotary(local_base)?;
    Ok((open, local, room))
}

struct Settings<'a> {
    keys: &'a Keys<'a>,
    /// Those of the turning alone.
    own: &'a Keys<'a>,
    family: Family,
    head: usize,
}

impl Settings<'_> {
    fn rotary(&self, usual: f64) -> Result<(Rotary, usize), ModelError> {
        let base = self.own.number("rope_theta")?.unwrap_or(usual);
        let share = match self.own.number("partial_rotary_factor")? {
            None => self.keys.number("partial_rotary_factor")?.unwrap_or(1.0),
            Some(share) => share,
        };
        if share != 1.0 && self.family != Family::Phi3 || !(share > 0.0 && share <= 1.0) {
            return Err(unsupported("a head that is turned in part", at("partial_rotary_factor")));
        }
        let turned = whole(float(self.head) * share);
        let mut rotary = Rotary { base: narrow(base), turned, divisors: Vec::new(), amplitude: 1.0 };
        let kind = self.own.text("rope_type").or_else(|| self.own.text("type")).unwrap_or("default");
        if turned / 2 > PAIRS_MAX {
            return Err(malformed(at("head_dim"), "is larger than is read"));
        }
        let mut room = usize::MAX;
        match kind {
            "default" => {}
            "linear" => rotary.divisors = vec![narrow(self.required("factor")?); turned / 2],
            "llama3" => rotary.divisors = self.llama(base, turned)?,
            "longrope" | "su" if self.family == Family::Phi3 => {
                let original = self.original()?;
                room = original;
                rotary.divisors = self.factors()?;
                rotary.amplitude = narrow(match self.own.number("attention_factor")? {
                    Some(amplitude) => amplitude,
                    None => stretched(self.keys.size("max_position_embeddings")?, original),
                });
            }
            kind => {
                let what = format!("rotary places scaled by the way {}", shown(kind));
                return Err(unsupported(what, at("rope_scaling")));
            }
        }
        Ok((rotary, room))
    }

    fn required(&self, key: &str) -> Result<f64, ModelError> {
        self.own.number(key)?.ok_or_else(|| malformed(at("rope_scaling"), "lacks a number of its way"))
    }

    fn original(&self) -> Result<usize, ModelError> {
        match self.own.count("original_max_position_embeddings")? {
            Some(original) => Ok(original),
            None => self.keys.size("original_max_position_embeddings"),
        }
    }

    /// Factors for contexts that are not stretched.
    fn factors(&self) -> Result<Vec<f32>, ModelError> {
        let listed = self.own.get("short_factor").and_then(Value::as_array);
        let numbers = listed.map(|values| values.iter().map(|value| value.as_f64().map(narrow)).collect());
        numbers.flatten().ok_or_else(|| malformed(at("rope_scaling.short_factor"), "is no list of numbers"))
    }

    /// Llama 3.1's way: slow turns are divided, fast ones are not, and those between them in part.
    fn llama(&self, base: f64, turned: usize) -> Result<Vec<f32>, ModelError> {
        let (factor, low, high) =
            (self.required("factor")?, self.required("low_freq_factor")?, self.required("high_freq_factor")?);
        let original = float(self.original()?);
        let divisor = |pair: usize| {
            let step = base.powf(-float(2 * pair) / float(turned));
            let turns = original * step / std::f64::consts::TAU;
            if turns < low {
                return factor;
            }
            if turns > high {
                return 1.0;
            }
            let smooth = (turns - low) / (high - low);
            1.0 / ((1.0 - smooth) / factor + smooth)
        };
        Ok((0..turned / 2).map(|pair| narrow(divisor(pair))).collect())
    }
}

/// What Phi 3 multiplies turned numbers by, for a context that was stretched.
fn stretched(context: usize, original: usize) -> f64 {
    let factor = float(context) / float(original.max(2));
    if factor <= 1.0 { 1.0 } else { (1.0 + factor.ln() / float(original.max(2)).ln()).sqrt() }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a size times a share of at most 1"
)]
const fn whole(number: f64) -> usize {
    number as usize
}
