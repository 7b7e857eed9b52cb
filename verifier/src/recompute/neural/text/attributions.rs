//! What each token and word of a text did to a number: integrated gradients over the word embeddings, as captum's `LayerIntegratedGradients` takes them.
//!
//! *Guarantees*: computed in `f64` on the main processor, text by text, so that what is left of rounding lies far below any recorder's own. How far the
//! attributions fall short of the difference that they explain is part of the answer. Another family than those of `encoder` is refused by name.
//!
//! *Does not do*: choose the target; say what a word means.

use candle_core::{DType, Device, Tensor};
use serde::Serialize;

use super::{Network, TextModel, computing, contained};
use crate::recompute::error::{ModelError, RowError, unsupported};
use crate::recompute::neural::encoder::{Differentiable, Tape};
use crate::recompute::neural::integrated::{Baseline, Integrated, Point, Target};
use crate::recompute::neural::weights::network;

/// Numbers that are kept on the way back. 2^30 of 8 bytes have 8 GiB.
const KEPT_MAX: usize = 1 << 30;

/// Numbers that are kept of points computed side by side: 512 MiB.
const KEPT_TOGETHER: usize = 1 << 26;

/// The type that gradients are computed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GradientType {
    /// The one that attributions are given in.
    F64,
    /// What recorders usually compute in: its distance from the other is what an honest recorder's rounding does.
    F32,
}

/// A text model's encoder with a way back.
pub struct Gradients {
    encoder: Differentiable,
    dtype: DType,
}

impl std::fmt::Debug for Gradients {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Gradients").field("dtype", &self.dtype).finish_non_exhaustive()
    }
}

/// What the tokens and words of a text did to a number.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Attributions {
    /// The number that is explained.
    pub value: f64,
    /// The same number of the baseline.
    pub baseline: f64,
    /// The sum of the attributions less `value` - `baseline`: what the quadrature left.
    pub residual: f64,
    /// Every token, the special ones included.
    pub tokens: Vec<TokenShare>,
    /// Every word: the tokens that the tokenizer made of one piece of the text, added up.
    pub words: Vec<WordShare>,
}

/// A token's part.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TokenShare {
    /// As the vocabulary has it.
    pub token: String,
    /// Its first character in the text, from 0; characters are Unicode's.
    pub start: usize,
    /// The character behind its last.
    pub end: usize,
    /// The sum over the dimensions of its embedding.
    pub attribution: f64,
}

/// A word's part.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WordShare {
    /// Its first character in the text, from 0; characters are Unicode's.
    pub start: usize,
    /// The character behind its last.
    pub end: usize,
    /// The sum over its tokens, in their order.
    pub attribution: f64,
}

/// A text as tokens, each with where it comes from.
struct Cut {
    ids: Vec<u32>,
    /// The baseline's tokens.
    blank: Vec<u32>,
    tokens: Vec<String>,
    places: Vec<(usize, usize)>,
    words: Vec<Option<u32>>,
}

impl TextModel {
    /// The encoder with a way back.
    ///
    /// # Errors
    /// The family has none here, or there is no classifier whose numbers could be explained.
    pub fn gradients(&self, of: GradientType) -> Result<Gradients, ModelError> {
        let Network::Plain(encoder) = &self.network else {
            let what = format!("integrated gradients of {}", self.config.family.name());
            return Err(unsupported(what, "config.json model_type"));
        };
        if self.readout.link().is_none() {
            return Err(unsupported("integrated gradients of a model without a classifier", "config.json"));
        }
        let dtype = match of {
            GradientType::F64 => DType::F64,
            GradientType::F32 => DType::F32,
        };
        let encoder = Differentiable::new(encoder, dtype).map_err(|error| network(&error))?;
        Ok(Gradients { encoder, dtype })
    }

    /// What the tokens and words of a text did to a number of the model; `together` points at most are computed side by side.
    ///
    /// # Errors
    /// [`RowError`] if the text is too long, or the model has no such number.
    pub fn attributions(
        &self,
        gradients: &Gradients,
        text: &str,
        how: &Integrated,
        together: Option<usize>,
    ) -> Result<Attributions, RowError> {
        contained(|| self.attributed(gradients, text, how, together))
            .unwrap_or_else(|problem| Err(RowError::Network { problem }))
    }

    fn attributed(
        &self,
        gradients: &Gradients,
        text: &str,
        how: &Integrated,
        together: Option<usize>,
    ) -> Result<Attributions, RowError> {
        let cut = self.cut(text, how.baseline)?;
        let limit = |what, found, max| {
            if found > max { Err(RowError::TextLength { what, found, max }) } else { Ok(()) }
        };
        limit("tokens", cut.ids.len(), self.tokens_max)?;
        let kept = gradients.encoder.kept(cut.ids.len());
        limit("numbers to keep for its gradient", kept, KEPT_MAX)?;
        let together = together.unwrap_or(KEPT_TOGETHER / kept.max(1)).max(1);
        let ends = [Point { at: 0.0, weight: 0.0 }, Point { at: 1.0, weight: 0.0 }];
        let line = Line::new(self, gradients, &cut, how.target).map_err(|error| computing(&error))?;
        let (values, _) = line.run(&ends)?;
        let &[baseline, value] = values.as_slice() else { return Err(no_target()) };
        let mut sums = vec![0.0; cut.ids.len()];
        for points in how.rule.points(how.steps).chunks(together) {
            let (_, parts) = line.run(points)?;
            sums.iter_mut().zip(parts).for_each(|(sum, part)| *sum += part);
        }
        let residual = sums.iter().sum::<f64>() - (value - baseline);
        let words = words(&cut, &sums);
        let tokens = cut.tokens.into_iter().zip(cut.places).zip(sums);
        let tokens =
            tokens.map(|((token, (start, end)), attribution)| TokenShare { token, start, end, attribution });
        Ok(Attributions { value, baseline, residual, tokens: tokens.collect(), words })
    }

    fn cut(&self, text: &str, baseline: Baseline) -> Result<Cut, RowError> {
        // The same tokens as the canonical way makes, and its refusals.
        let ids = self.tokens(text)?;
        let problem = |problem: String| RowError::Network { problem };
        let encoding = self.tokenizer.encode_char_offsets(text, true).map_err(|e| problem(e.to_string()))?;
        if encoding.get_ids() != ids {
            return Err(problem("the tokenizer cuts it another way when it is asked for places".to_owned()));
        }
        let Baseline::Pad = baseline;
        let added = encoding.get_special_tokens_mask().iter();
        let blank = ids.iter().zip(added).map(|(id, added)| if *added == 1 { *id } else { self.config.pad });
        Ok(Cut {
            blank: blank.collect(),
            ids,
            tokens: encoding.get_tokens().to_vec(),
            places: encoding.get_offsets().to_vec(),
            words: encoding.get_word_ids().to_vec(),
        })
    }
}

/// The straight line from the baseline's word embeddings to the text's.
struct Line<'a> {
    model: &'a TextModel,
    encoder: &'a Differentiable,
    target: Target,
    from: Tensor,
    way: Tensor,
    /// The way's numbers, token by token.
    steps: Vec<f64>,
}

impl<'a> Line<'a> {
    fn new(
        model: &'a TextModel,
        gradients: &'a Gradients,
        cut: &Cut,
        target: Target,
    ) -> candle_core::Result<Self> {
        let encoder = &gradients.encoder;
        let from = encoder.words(&cut.blank)?.unsqueeze(0)?;
        let way = (encoder.words(&cut.ids)?.unsqueeze(0)? - &from)?;
        let steps = numbers(&way)?;
        Ok(Self { model, encoder, target, from, way, steps })
    }

    /// The number at each point, and the tokens' parts of the integral that the points' weights give.
    fn run(&self, points: &[Point]) -> Result<(Vec<f64>, Vec<f64>), RowError> {
        let at: Vec<f64> = points.iter().map(|point| point.at).collect();
        let failed = |error: candle_core::Error| computing(&error);
        let (hidden, tape, shape) = self.forward(&at).map_err(failed)?;
        let width = self.model.config.hidden;
        let one = hidden.len() / points.len().max(1);
        let (mut values, mut slopes) = (Vec::new(), Vec::with_capacity(hidden.len()));
        for tokens in hidden.chunks_exact(one.max(1)) {
            let (value, slope) =
                self.model.readout.slope(tokens, width, self.target).ok_or_else(no_target)?;
            values.push(value);
            slopes.extend(slope);
        }
        if points.iter().all(|point| point.weight == 0.0) {
            return Ok((values, Vec::new()));
        }
        let back = |slopes| -> candle_core::Result<Vec<f64>> {
            let slope = Tensor::from_vec(slopes, shape, &Device::Cpu)?.to_dtype(self.way.dtype())?;
            numbers(&self.encoder.backward(&tape, slope)?)
        };
        let gradient = back(slopes).map_err(failed)?;
        let mut parts = vec![0.0; one / width.max(1)];
        for (point, gradient) in points.iter().zip(gradient.chunks_exact(one.max(1))) {
            let tokens = gradient.chunks_exact(width.max(1)).zip(self.steps.chunks_exact(width.max(1)));
            for (part, (gradient, way)) in parts.iter_mut().zip(tokens) {
                let product: f64 = gradient.iter().zip(way).map(|(slope, step)| slope * step).sum();
                *part += point.weight * product;
            }
        }
        Ok((values, parts))
    }

    fn forward(&self, at: &[f64]) -> candle_core::Result<(Vec<f64>, Tape, Vec<usize>)> {
        let at = Tensor::new(at, &Device::Cpu)?.to_dtype(self.way.dtype())?.reshape((at.len(), 1, 1))?;
        let words = self.from.broadcast_add(&self.way.broadcast_mul(&at)?)?;
        let (hidden, tape) = self.encoder.forward(&words)?;
        Ok((numbers(&hidden)?, tape, hidden.dims().to_vec()))
    }
}

fn no_target() -> RowError {
    RowError::Contributions { problem: "the model has no such logit or probability" }
}

fn numbers(tensor: &Tensor) -> candle_core::Result<Vec<f64>> {
    tensor.to_dtype(DType::F64)?.flatten_all()?.to_vec1()
}

/// Tokens of one word, added up; words in the order in which the text has them. Pieces in the same place are one word, since a place is its name.
fn words(cut: &Cut, sums: &[f64]) -> Vec<WordShare> {
    let mut words: Vec<(u32, WordShare)> = Vec::new();
    for ((number, (start, end)), attribution) in cut.words.iter().zip(&cut.places).zip(sums) {
        let Some(number) = *number else { continue };
        match words.last_mut() {
            Some((last, word)) if *last == number || (word.start, word.end) == (*start, *end) => {
                word.start = word.start.min(*start);
                word.end = word.end.max(*end);
                word.attribution += attribution;
            }
            _ => words.push((number, WordShare { start: *start, end: *end, attribution: *attribution })),
        }
    }
    words.into_iter().map(|(_, word)| word).collect()
}
