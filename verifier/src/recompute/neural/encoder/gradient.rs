//! The same encoder with a way back: from how a number changes with the tokens' last vectors to how it changes with the words' first ones.
//!
//! *Guarantees*: the way back is written out for each operation, so no weight's gradient is computed and nothing is approximated (candle's own gradient of GELU has
//! six digits, and its fused normalization and softmax have none). The canonical forward pass is not touched. One text a batch, nothing filled up.
//!
//! *Does not do*: the readout's part; another processor than the main one.

use candle_core::{D, DType, Device, Result, Tensor};

use super::{Encoder, Layer};
use crate::recompute::neural::config::Activation;
use crate::recompute::neural::{float, kernels};

/// An encoder in one type of numbers.
pub(in crate::recompute::neural) struct Differentiable {
    /// In the stored type: only the rows of a text are widened.
    words: Tensor,
    places: Tensor,
    /// What the first kind of sentence adds.
    kind: Option<Tensor>,
    norm: Norm,
    layers: Vec<Step>,
    first_place: u32,
    dtype: DType,
}

/// What the way back needs of the way there.
pub(in crate::recompute::neural) struct Tape {
    norm: Normed,
    layers: Vec<Kept>,
}

struct Step {
    query: Line,
    key: Line,
    value: Line,
    output: Line,
    attention_norm: Norm,
    up: Line,
    down: Line,
    norm: Norm,
    heads: usize,
    activation: Activation,
}

/// A layer's numbers: query, key and value head by head, the shares of attention, what is activated, and the two normalizations.
struct Kept {
    query: Tensor,
    key: Tensor,
    value: Tensor,
    shares: Tensor,
    middle: Tensor,
    attention_norm: Normed,
    norm: Normed,
}

struct Line {
    weight: Tensor,
    bias: Tensor,
}

struct Norm {
    weight: Tensor,
    bias: Tensor,
    epsilon: f64,
}

/// Vectors of mean 0 and length 1, and what they were multiplied by.
struct Normed {
    vectors: Tensor,
    scale: Tensor,
}

impl Differentiable {
    pub(in crate::recompute::neural) fn new(encoder: &Encoder, dtype: DType) -> Result<Self> {
        let own = |tensor: &Tensor| own(tensor, dtype);
        let kind = match &encoder.types {
            Some(types) => Some(own(&types.embeddings().narrow(0, 0, 1)?)?),
            None => None,
        };
        Ok(Self {
            words: encoder.words.embeddings().to_device(&Device::Cpu)?,
            places: own(encoder.places.embeddings())?,
            kind,
            norm: Norm::new(&encoder.norm, dtype)?,
            layers: encoder.layers.iter().map(|layer| Step::new(layer, dtype)).collect::<Result<_>>()?,
            first_place: encoder.first_place,
            dtype,
        })
    }

    /// The words' vectors: token, dimension.
    pub(in crate::recompute::neural) fn words(&self, ids: &[u32]) -> Result<Tensor> {
        self.words.index_select(&Tensor::new(ids, &Device::Cpu)?, 0)?.to_dtype(self.dtype)
    }

    /// The last vectors of the tokens: text, token, dimension; of as many texts of one length as `words` has.
    pub(in crate::recompute::neural) fn forward(&self, words: &Tensor) -> Result<(Tensor, Tape)> {
        let length = words.dim(1)?;
        let places = self.places.narrow(0, self.first_place as usize, length)?;
        let mut hidden = words.clone();
        if let Some(kind) = &self.kind {
            hidden = hidden.broadcast_add(kind)?;
        }
        let (mut hidden, norm) = self.norm.forward(&hidden.broadcast_add(&places)?)?;
        let mut layers = Vec::with_capacity(self.layers.len());
        for layer in &self.layers {
            let (next, kept) = layer.forward(&hidden)?;
            hidden = next;
            layers.push(kept);
        }
        Ok((hidden, Tape { norm, layers }))
    }

    /// How a number changes with the words' vectors, from how it changes with the last ones.
    pub(in crate::recompute::neural) fn backward(&self, tape: &Tape, slope: Tensor) -> Result<Tensor> {
        let mut slope = slope;
        for (layer, kept) in self.layers.iter().zip(&tape.layers).rev() {
            slope = layer.backward(kept, &slope)?;
        }
        self.norm.backward(&tape.norm, &slope)
    }

    /// Numbers that a [`Tape`] keeps of one text of so many tokens.
    pub(in crate::recompute::neural) fn kept(&self, length: usize) -> usize {
        let of_layer = |layer: &Step| {
            let [width, middle] = [&layer.query, &layer.up].map(|line| line.bias.elem_count());
            let attention = layer.heads.saturating_mul(length).saturating_mul(length);
            // The scores and the shares; what is activated and what it makes; some ten rows of vectors.
            attention.saturating_mul(2).saturating_add(length.saturating_mul(2 * middle + 10 * width))
        };
        self.layers.iter().map(of_layer).fold(0, usize::saturating_add)
    }
}

impl Step {
    fn new(layer: &Layer, dtype: DType) -> Result<Self> {
        Ok(Self {
            query: Line::new(&layer.query, dtype)?,
            key: Line::new(&layer.key, dtype)?,
            value: Line::new(&layer.value, dtype)?,
            output: Line::new(&layer.output, dtype)?,
            attention_norm: Norm::new(&layer.attention_norm, dtype)?,
            up: Line::new(&layer.up, dtype)?,
            down: Line::new(&layer.down, dtype)?,
            norm: Norm::new(&layer.norm, dtype)?,
            heads: layer.heads,
            activation: layer.activation,
        })
    }

    fn forward(&self, hidden: &Tensor) -> Result<(Tensor, Kept)> {
        let [query, key, value] =
            [&self.query, &self.key, &self.value].map(|line| self.split(&line.forward(hidden)?));
        let (query, key, value) = (query?, key?, value?);
        let shares = softmax(&(query.matmul(&key.t()?)? / self.divisor(&query)?)?)?;
        let attended = self.output.forward(&self.joined(&shares.matmul(&value)?)?)?;
        let (hidden, attention_norm) = self.attention_norm.forward(&(attended + hidden)?)?;
        let middle = self.up.forward(&hidden)?;
        let (hidden, norm) =
            self.norm.forward(&(self.down.forward(&activated(self.activation, &middle)?)? + hidden)?)?;
        Ok((hidden, Kept { query, key, value, shares, middle, attention_norm, norm }))
    }

    fn backward(&self, kept: &Kept, slope: &Tensor) -> Result<Tensor> {
        let slope = self.norm.backward(&kept.norm, slope)?;
        let middle = (self.down.backward(&slope)? * steepness(self.activation, &kept.middle)?)?;
        let slope = (self.up.backward(&middle)? + slope)?;
        let slope = self.attention_norm.backward(&kept.attention_norm, &slope)?;
        let attended = self.split(&self.output.backward(&slope)?)?;
        let value = kept.shares.t()?.contiguous()?.matmul(&attended)?;
        let shares = attended.matmul(&kept.value.t()?)?;
        // Of shares that add up to 1, only what exceeds their mean changes anything.
        let mean = (&shares * &kept.shares)?.sum_keepdim(D::Minus1)?;
        let scores = (shares.broadcast_sub(&mean)? * &kept.shares)?;
        let scores = (scores / self.divisor(&kept.query)?)?;
        let query = scores.matmul(&kept.key)?;
        let key = scores.t()?.contiguous()?.matmul(&kept.query)?;
        let mut slope = slope;
        for (line, part) in [(&self.query, query), (&self.key, key), (&self.value, value)] {
            slope = (slope + line.backward(&self.joined(&part)?)?)?;
        }
        Ok(slope)
    }

    /// Head by head.
    fn split(&self, vectors: &Tensor) -> Result<Tensor> {
        let (texts, length, width) = vectors.dims3()?;
        vectors.reshape((texts, length, self.heads, width / self.heads))?.transpose(1, 2)?.contiguous()
    }

    fn joined(&self, heads: &Tensor) -> Result<Tensor> {
        heads.transpose(1, 2)?.contiguous()?.flatten_from(D::Minus2)
    }

    fn divisor(&self, query: &Tensor) -> Result<f64> {
        Ok(float(query.dim(D::Minus1)?).sqrt())
    }
}

impl Line {
    fn new(layer: &kernels::Dense, dtype: DType) -> Result<Self> {
        let (weight, bias) = layer.parts()?;
        Ok(Self { weight: own(&weight, dtype)?, bias: own(&bias, dtype)? })
    }

    fn forward(&self, vectors: &Tensor) -> Result<Tensor> {
        each(vectors, &self.weight.t()?)?.broadcast_add(&self.bias)
    }

    fn backward(&self, slope: &Tensor) -> Result<Tensor> {
        each(slope, &self.weight)
    }
}

impl Norm {
    fn new(norm: &kernels::Norm, dtype: DType) -> Result<Self> {
        let norm = norm.layer();
        let weight = own(norm.weight(), dtype)?;
        let bias = match norm.bias() {
            Some(bias) => own(bias, dtype)?,
            None => weight.zeros_like()?,
        };
        Ok(Self { weight, bias, epsilon: norm.eps() })
    }

    fn forward(&self, vectors: &Tensor) -> Result<(Tensor, Normed)> {
        let centred = vectors.broadcast_sub(&vectors.mean_keepdim(D::Minus1)?)?;
        let variance = centred.sqr()?.mean_keepdim(D::Minus1)?;
        let scale = (variance + self.epsilon)?.sqrt()?.recip()?;
        let vectors = centred.broadcast_mul(&scale)?;
        let moved = vectors.broadcast_mul(&self.weight)?.broadcast_add(&self.bias)?;
        Ok((moved, Normed { vectors, scale }))
    }

    fn backward(&self, kept: &Normed, slope: &Tensor) -> Result<Tensor> {
        let slope = slope.broadcast_mul(&self.weight)?;
        let along = (&slope * &kept.vectors)?.mean_keepdim(D::Minus1)?;
        let rest = slope.broadcast_sub(&slope.mean_keepdim(D::Minus1)?)?;
        (rest - kept.vectors.broadcast_mul(&along)?)?.broadcast_mul(&kept.scale)
    }
}

/// A tensor on the main processor, in one type.
fn own(tensor: &Tensor, dtype: DType) -> Result<Tensor> {
    tensor.to_device(&Device::Cpu)?.to_dtype(dtype)
}

/// Every vector times a matrix, all texts as one matrix.
fn each(vectors: &Tensor, matrix: &Tensor) -> Result<Tensor> {
    let (texts, length, width) = vectors.dims3()?;
    vectors.reshape((texts * length, width))?.matmul(matrix)?.reshape((texts, length, matrix.dim(1)?))
}

fn softmax(scores: &Tensor) -> Result<Tensor> {
    let shares = scores.broadcast_sub(&scores.max_keepdim(D::Minus1)?)?.exp()?;
    shares.broadcast_div(&shares.sum_keepdim(D::Minus1)?)
}

const CUBE: f64 = 0.044_715;

/// The tangent in the tanh form of GELU: of c (x + 0.044715 x³), with c² = 2/π.
fn tangent(x: &Tensor) -> Result<Tensor> {
    ((x + (x.sqr()? * x)? * CUBE)? * bend())?.tanh()
}

fn bend() -> f64 {
    (2.0 / std::f64::consts::PI).sqrt()
}

fn activated(activation: Activation, x: &Tensor) -> Result<Tensor> {
    match activation {
        Activation::Gelu => x * below(x)?,
        Activation::GeluTanh => x * ((tangent(x)? + 1.0)? * 0.5)?,
        Activation::Relu => x.relu(),
        Activation::Tanh => x.tanh(),
    }
}

/// The derivative of the activation.
fn steepness(activation: Activation, x: &Tensor) -> Result<Tensor> {
    match activation {
        Activation::Gelu => {
            let density = ((x.sqr()? * -0.5)?.exp()? * (bend() / 2.0))?;
            below(x)? + (density * x)?
        }
        Activation::GeluTanh => {
            let tangent = tangent(x)?;
            let inner = ((x.sqr()? * (3.0 * CUBE))? + 1.0)?;
            let rising = (tangent.sqr()?.affine(-1.0, 1.0)? * inner)?;
            ((tangent + 1.0)? * 0.5)? + (rising * x)? * (0.5 * bend())
        }
        Activation::Relu => x.gt(0.0)?.to_dtype(x.dtype()),
        Activation::Tanh => x.tanh()?.sqr()?.affine(-1.0, 1.0),
    }
}

/// The normal distribution's function.
fn below(x: &Tensor) -> Result<Tensor> {
    ((x / std::f64::consts::SQRT_2)?.erf()? + 1.0)? * 0.5
}
