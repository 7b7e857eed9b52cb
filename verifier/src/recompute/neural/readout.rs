//! From the vectors of the tokens to one vector, logits and probabilities.
//!
//! *Guarantees*: sums run in `f64` in a fixed order and are rounded to `f32` once, so that nothing behind the encoder adds an error of its own. The
//! vector is what the last linear layer sees, or the text's embedding where there is no classifier.
//!
//! *Does not do*: run the encoder.

mod gradient;

use candle_core::cpu::erf::erf_f64;

use super::config::{Activation, Classifier, Config, Family, Problem};
use super::head::{Head, Link};
use super::pooling::{Pooling, Sentence};
use super::weights::{Weights, network};
use super::{float, narrow};
use crate::recompute::error::ModelError;

/// The least length that a vector is divided by, as in `torch.nn.functional.normalize`.
const LENGTH_MIN: f64 = 1e-12;

/// What a network says of a text.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Read {
    pub(super) vector: Vec<f32>,
    pub(super) logits: Vec<f32>,
    pub(super) probabilities: Vec<f32>,
}

/// What stands behind the encoder.
pub(super) struct Readout {
    pooling: Pooling,
    normalize: bool,
    dense: Option<(Dense, Activation)>,
    /// Weights and epsilon of a normalization without biases.
    norm: Option<(Vec<f32>, f64)>,
    output: Option<(Dense, Link)>,
    labels: Vec<String>,
}

/// A linear layer.
struct Dense {
    weights: Vec<f32>,
    biases: Vec<f32>,
    from: usize,
}

impl Readout {
    /// A sentence's embedding, with Ledgerstone's own classifier on it or none.
    pub(super) fn of_sentence(sentence: &Sentence, head: Option<Head>, width: usize) -> Self {
        let Sentence { pooling, normalize, .. } = *sentence;
        let (output, labels) = match head {
            Some(Head { labels, link, weights, biases }) => {
                (Some((Dense { weights, biases, from: width }, link)), labels)
            }
            None => (None, Vec::new()),
        };
        Self { pooling, normalize, dense: None, norm: None, output, labels }
    }

    /// The classifier of the family's own.
    pub(super) fn of_classifier(
        classifier: &Classifier,
        config: &Config,
        weights: &Weights,
    ) -> Result<Self, ModelError> {
        let (width, labels) = (config.hidden, classifier.labels.len());
        let text = |key: &str| config.object.get(key).and_then(serde_json::Value::as_str);
        let pooling = match text("classifier_pooling") {
            Some("mean") if config.family == Family::ModernBert => Pooling::Mean,
            _ => Pooling::Cls,
        };
        let dense = |name: &str| Dense::new(weights, name, width, width, config.family != Family::ModernBert);
        let dense = match config.family {
            Family::Bert => match weights.has("bert.pooler.dense.weight") {
                true => (dense("bert.pooler.dense")?, Activation::Tanh),
                false => (dense("pooler.dense")?, Activation::Tanh),
            },
            Family::DistilBert => (dense("pre_classifier")?, Activation::Relu),
            Family::Roberta => (dense("classifier.dense")?, Activation::Tanh),
            Family::DebertaV2 => {
                let activation = match text("pooler_hidden_act") {
                    None | Some("gelu") => Activation::Gelu,
                    Some("tanh") => Activation::Tanh,
                    Some("relu") => Activation::Relu,
                    Some(other) => {
                        return Err(crate::recompute::error::unsupported(
                            format!("the activation {}", crate::recompute::error::shown(other)),
                            "config.json pooler_hidden_act",
                        ));
                    }
                };
                (dense("pooler.dense")?, activation)
            }
            Family::ModernBert => (dense("head.dense")?, Activation::Gelu),
        };
        let norm = match config.family {
            Family::ModernBert => Some((numbers(weights, "head.norm.weight", &[width])?, config.epsilon)),
            _ => None,
        };
        let output = if config.family == Family::Roberta { "classifier.out_proj" } else { "classifier" };
        let link = match classifier.problem {
            Problem::Single => Link::Softmax,
            Problem::Several => Link::Logistic,
            Problem::Regression => Link::Identity,
        };
        let output = Some((Dense::new(weights, output, width, labels, true)?, link));
        Ok(Self {
            pooling,
            normalize: false,
            dense: Some(dense),
            norm,
            output,
            labels: classifier.labels.clone(),
        })
    }

    pub(super) fn labels(&self) -> &[String] {
        &self.labels
    }

    /// What probabilities are of logits; none without a classifier.
    pub(super) fn link(&self) -> Option<Link> {
        self.output.as_ref().map(|(_, link)| *link)
    }

    pub(super) const fn pooling(&self) -> Pooling {
        self.pooling
    }

    pub(super) const fn normalize(&self) -> bool {
        self.normalize
    }

    /// Reads a text off the vectors of its tokens, those that fill up left out.
    pub(super) fn read(&self, tokens: &[f32], width: usize) -> Read {
        let mut vector: Vec<f32> = pool(self.pooling, tokens, width).into_iter().map(narrow).collect();
        if self.normalize {
            let length = vector.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt().max(LENGTH_MIN);
            vector.iter_mut().for_each(|x| *x = narrow(f64::from(*x) / length));
        }
        if let Some((dense, activation)) = &self.dense {
            vector = dense.forward(&vector);
            vector.iter_mut().for_each(|x| *x = narrow(activate(*activation, f64::from(*x))));
        }
        if let Some((weights, epsilon)) = &self.norm {
            vector = normalized(&vector, weights, *epsilon);
        }
        let (logits, probabilities) = self.read_vector(&vector);
        Read { vector, logits, probabilities }
    }

    /// Logits and probabilities of a vector.
    pub(super) fn read_vector(&self, vector: &[f32]) -> (Vec<f32>, Vec<f32>) {
        let Some((output, link)) = &self.output else {
            return (Vec::new(), Vec::new());
        };
        let logits = output.forward(vector);
        let probabilities = probabilities(&logits, *link);
        (logits, probabilities)
    }
}

impl Dense {
    fn new(weights: &Weights, name: &str, from: usize, to: usize, biased: bool) -> Result<Self, ModelError> {
        let biases = match biased {
            true => numbers(weights, &format!("{name}.bias"), &[to])?,
            false => vec![0.0; to],
        };
        Ok(Self { weights: numbers(weights, &format!("{name}.weight"), &[to, from])?, biases, from })
    }

    fn forward(&self, vector: &[f32]) -> Vec<f32> {
        self.wide(vector).into_iter().map(narrow).collect()
    }

    /// Products in `f64`, where those of two `f32` are exact, added up in order, the bias last.
    fn wide<T: Copy + Into<f64>>(&self, vector: &[T]) -> Vec<f64> {
        let rows = self.weights.chunks_exact(self.from.max(1)).zip(&self.biases);
        rows.map(|(row, bias)| {
            let sum: f64 = row.iter().zip(vector).map(|(w, x)| f64::from(*w) * (*x).into()).sum();
            sum + f64::from(*bias)
        })
        .collect()
    }
}

fn numbers(weights: &Weights, name: &str, shape: &[usize]) -> Result<Vec<f32>, ModelError> {
    let tensor = weights.tensor(name, shape)?;
    tensor.flatten_all().and_then(|flat| flat.to_vec1()).map_err(|error| network(&error))
}

/// One vector of those of the tokens.
fn pool<T: Copy + Into<f64>>(pooling: Pooling, tokens: &[T], width: usize) -> Vec<f64> {
    let mut rows = tokens.chunks_exact(width.max(1));
    let count = float(rows.len().max(1));
    let column = |place: usize| tokens.iter().skip(place).step_by(width.max(1)).map(|x| (*x).into());
    match pooling {
        Pooling::Cls => rows.next().unwrap_or_default().iter().map(|x| (*x).into()).collect(),
        Pooling::Mean => (0..width).map(|place| column(place).sum::<f64>() / count).collect(),
        Pooling::Max => (0..width).map(|place| column(place).fold(f64::NEG_INFINITY, f64::max)).collect(),
    }
}

#[expect(clippy::cast_precision_loss, reason = "at most 8192 numbers")]
fn normalized(vector: &[f32], weights: &[f32], epsilon: f64) -> Vec<f32> {
    let count = vector.len().max(1) as f64;
    let mean = vector.iter().copied().map(f64::from).sum::<f64>() / count;
    let variance = vector.iter().map(|x| (f64::from(*x) - mean).powi(2)).sum::<f64>() / count;
    let scale = 1.0 / (variance + epsilon).sqrt();
    vector
        .iter()
        .zip(weights)
        .map(|(x, weight)| narrow((f64::from(*x) - mean) * scale * f64::from(*weight)))
        .collect()
}

fn activate(activation: Activation, x: f64) -> f64 {
    match activation {
        Activation::Gelu => 0.5 * x * (1.0 + erf_f64(x / std::f64::consts::SQRT_2)),
        Activation::GeluTanh => {
            let inner = (2.0 / std::f64::consts::PI).sqrt() * (0.044_715 * x.powi(3) + x);
            0.5 * x * (1.0 + inner.tanh())
        }
        Activation::Relu => x.max(0.0),
        Activation::Tanh => x.tanh(),
    }
}

/// The link's probabilities, computed in `f64` and rounded once.
fn probabilities(logits: &[f32], link: Link) -> Vec<f32> {
    shares(logits, link).into_iter().map(narrow).collect()
}

/// The link's probabilities before they are rounded; none where the logits are the answer.
fn shares<T: Copy + Into<f64>>(logits: &[T], link: Link) -> Vec<f64> {
    let logits = logits.iter().map(|logit| (*logit).into());
    match link {
        Link::Identity => Vec::new(),
        Link::Logistic => logits.map(|logit| 1.0 / (1.0 + (-logit).exp())).collect(),
        Link::Softmax => {
            let greatest = logits.clone().fold(f64::NEG_INFINITY, f64::max);
            let shares: Vec<f64> = logits.map(|logit| (logit - greatest).exp()).collect();
            let sum: f64 = shares.iter().sum();
            shares.into_iter().map(|share| share / sum).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pools_columns_and_leaves_no_token_out() {
        let tokens = [1.0, -4.0, 2.0, 6.0, 6.0, -5.0];
        assert_eq!(pool(Pooling::Cls, &tokens, 2), [1.0, -4.0]);
        assert_eq!(pool(Pooling::Mean, &tokens, 2), [3.0, -1.0]);
        assert_eq!(pool(Pooling::Max, &tokens, 2), [6.0, 6.0]);
    }

    #[test]
    fn probabilities_are_those_of_the_link() {
        assert_eq!(probabilities(&[0.0, 0.0], Link::Softmax), [0.5, 0.5]);
        assert_eq!(probabilities(&[1000.0, -1000.0], Link::Softmax), [1.0, 0.0]);
        assert_eq!(probabilities(&[0.0], Link::Logistic), [0.5]);
        assert!(probabilities(&[3.0], Link::Identity).is_empty());
    }

    #[test]
    fn activations_have_their_values() {
        // From Python: 0.5 * 1.3 * (1 + math.erf(1.3 / math.sqrt(2))) and math.tanh(1.3).
        assert!((activate(Activation::Gelu, 1.3) - 1.174_159_370_038_706_7).abs() < 1e-15);
        assert!((activate(Activation::Tanh, 1.3) - 0.861_723_159_313_306_3).abs() < 1e-15);
        assert!((activate(Activation::GeluTanh, 1.3) - activate(Activation::Gelu, 1.3)).abs() > 1e-6);
        assert_eq!(activate(Activation::Relu, -1.0), 0.0);
    }
}
