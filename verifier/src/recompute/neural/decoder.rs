//! The network of a language model, one token a step: Llama, Qwen 2 and 3, Phi 3, Gemma 2 and 3.
//!
//! *Guarantees*: a matrix is multiplied as its file stores it, by candle's quantised arithmetic or in `f32`; everything else is in `f32`. A tensor of another
//! shape than the plan says is refused before a layer is built from it.
//!
//! *Does not do*: several tokens in one pass; their last bits differ.

use candle_core::quantized::QMatMul;
use candle_core::{D, DType, Device, Result, Tensor};
use candle_nn::ops::{rms_norm, silu, softmax_last_dim};
use candle_nn::rotary_emb::{rope, rope_i};

use super::design::{Design, Family, Rotary};
use super::narrow;
use super::products::Matrix;
use super::weights::network;
use crate::recompute::error::ModelError;

/// What was loaded, or why it cannot be.
pub(super) type Loaded<T> = std::result::Result<T, ModelError>;

/// Where tensors come from. Their names are those of GGUF files.
pub(super) trait Source {
    /// A matrix of this shape.
    fn matrix(&mut self, name: &str, rows: usize, columns: usize) -> Loaded<QMatMul>;
    /// A row of numbers of this length.
    fn vector(&mut self, name: &str, length: usize) -> Loaded<Tensor>;
    /// Whether there is such a tensor.
    fn has(&self, name: &str) -> bool;
    /// Whether the rows of queries and keys stand in pairs that are turned together.
    fn is_interleaved(&self) -> bool;
    /// A matrix of this shape, to be multiplied with.
    fn factor(&mut self, name: &str, rows: usize, columns: usize) -> Loaded<Matrix> {
        Ok(Matrix::new(self.matrix(name, rows, columns)?))
    }
}

/// A network, and what it keeps of the tokens so far.
pub(super) struct Decoder {
    design: Design,
    embedding: Matrix,
    layers: Vec<Layer>,
    norm: Tensor,
    output: Matrix,
    turns: Turns,
    local: Turns,
}

struct Layer {
    before: Tensor,
    attention: Attention,
    after: Option<Tensor>,
    before_middle: Tensor,
    middle: Middle,
    after_middle: Option<Tensor>,
    is_local: bool,
}

struct Attention {
    inputs: Vec<Linear>,
    output: Linear,
    query_norm: Option<Tensor>,
    key_norm: Option<Tensor>,
    kept: Option<Kept>,
}

/// Keys and values of the tokens so far, with room for more: `(shared, room, head)`.
struct Kept {
    keys: Tensor,
    values: Tensor,
    length: usize,
}

struct Middle {
    inputs: Vec<Matrix>,
    output: Matrix,
}

struct Linear {
    weight: Matrix,
    bias: Option<Tensor>,
}

/// How much each place turns.
#[derive(Clone)]
struct Turns {
    cos: Tensor,
    sin: Tensor,
    turned: usize,
    is_interleaved: bool,
}

impl Decoder {
    /// Builds the network from its tensors.
    pub(super) fn new(design: &Design, source: &mut dyn Source) -> Loaded<Self> {
        let Design { width, vocabulary, .. } = *design;
        let embedding = source.factor("token_embd.weight", vocabulary, width)?;
        let is_own = !design.family.is_tied() && source.has("output.weight");
        let output =
            if is_own { source.factor("output.weight", vocabulary, width)? } else { embedding.clone() };
        let norm = source.vector("output_norm.weight", width)?;
        let layers = (0..design.layers)
            .map(|place| Layer::new(design, place, source))
            .collect::<std::result::Result<_, _>>()?;
        let turns = |rotary| {
            Turns::new(rotary, design.context, source.is_interleaved()).map_err(|error| network(&error))
        };
        let open = turns(&design.rotary)?;
        let local = if design.local == design.rotary { open.clone() } else { turns(&design.local)? };
        Ok(Self { design: design.clone(), embedding, layers, norm, output, turns: open, local })
    }

    /// Forgets the tokens so far.
    pub(super) fn clear(&mut self) {
        for kept in self.layers.iter_mut().filter_map(|layer| layer.attention.kept.as_mut()) {
            kept.length = 0;
        }
    }

    /// What the network makes of a token at a place; the tokens of the places before it were given before.
    pub(super) fn forward(&mut self, token: u32, place: usize) -> Result<Tensor> {
        let design = &self.design;
        let mut x = self.embedding.embedding(&Tensor::from_vec(vec![token], 1, &Device::Cpu)?)?;
        if design.family.is_gemma() {
            x = (x * f64::from(root(design.width)))?;
        }
        for layer in &mut self.layers {
            let turns = if layer.is_local { &self.local } else { &self.turns };
            x = layer.forward(&x, design, turns, place)?;
        }
        Ok(x)
    }

    /// The logits that follow from what was made of a token.
    pub(super) fn logits(&self, x: &Tensor) -> Result<Vec<f32>> {
        let x = self.output.forward(&rms_norm(x, &self.norm, narrow(self.design.epsilon))?)?;
        capped(x, self.design.output_cap)?.flatten_all()?.to_vec1()
    }
}

impl Layer {
    fn new(design: &Design, place: usize, source: &mut dyn Source) -> Loaded<Self> {
        let Design { family, width, inner, heads, shared, head, .. } = *design;
        let name = |part: &str| format!("blk.{place}.{part}");
        let norm = |part: &str, length: usize, source: &mut dyn Source| {
            source.vector(&name(&format!("{part}.weight")), length)
        };
        let linear = |part: &str, rows: usize, columns: usize, source: &mut dyn Source| {
            let weight = source.factor(&name(&format!("{part}.weight")), rows, columns)?;
            let bias = name(&format!("{part}.bias"));
            let is_biased = family == Family::Qwen2 && part != "attn_output";
            let bias = if is_biased || source.has(&bias) { Some(source.vector(&bias, rows)?) } else { None };
            Ok::<_, ModelError>(Linear { weight, bias })
        };
        let (queries, keys) = (heads * head, shared * head);
        let inputs = if family.is_joined() {
            vec![linear("attn_qkv", queries + 2 * keys, width, source)?]
        } else {
            [("attn_q", queries), ("attn_k", keys), ("attn_v", keys)]
                .into_iter()
                .map(|(part, rows)| linear(part, rows, width, source))
                .collect::<std::result::Result<_, _>>()?
        };
        let mut optional = |wanted: bool, part: &str, length: usize| {
            wanted.then(|| norm(part, length, &mut *source)).transpose()
        };
        let query_norm = optional(family.has_head_norms(), "attn_q_norm", head)?;
        let key_norm = optional(family.has_head_norms(), "attn_k_norm", head)?;
        let after = optional(family.is_gemma(), "post_attention_norm", width)?;
        let after_middle = optional(family.is_gemma(), "post_ffw_norm", width)?;
        let output = linear("attn_output", width, queries, source)?;
        let wide: &[(&str, usize)] = if family.is_joined() {
            &[("ffn_up.weight", 2)]
        } else {
            &[("ffn_gate.weight", 1), ("ffn_up.weight", 1)]
        };
        let middle = Middle {
            inputs: wide
                .iter()
                .map(|(part, times)| source.factor(&name(part), times * inner, width))
                .collect::<std::result::Result<_, _>>()?,
            output: source.factor(&name("ffn_down.weight"), width, inner)?,
        };
        Ok(Self {
            before: norm("attn_norm", width, source)?,
            attention: Attention { inputs, output, query_norm, key_norm, kept: None },
            after,
            before_middle: norm("ffn_norm", width, source)?,
            middle,
            after_middle,
            is_local: design.is_local(place),
        })
    }

    fn forward(&mut self, x: &Tensor, design: &Design, turns: &Turns, place: usize) -> Result<Tensor> {
        let epsilon = narrow(design.epsilon);
        let normed =
            |y: Tensor, norm: Option<&Tensor>| norm.map_or(Ok(y.clone()), |norm| rms_norm(&y, norm, epsilon));
        let window = if self.is_local { design.window } else { None };
        let y = self.attention.forward(&rms_norm(x, &self.before, epsilon)?, design, turns, place, window)?;
        let x = (normed(y, self.after.as_ref())? + x)?;
        let y = self.middle.forward(&rms_norm(&x, &self.before_middle, epsilon)?, design)?;
        normed(y, self.after_middle.as_ref())? + x
    }
}

impl Attention {
    fn forward(
        &mut self,
        x: &Tensor,
        design: &Design,
        turns: &Turns,
        place: usize,
        window: Option<usize>,
    ) -> Result<Tensor> {
        let Design { heads, shared, head, .. } = *design;
        let given = self.inputs.iter().map(|linear| linear.forward(x)).collect::<Result<Vec<_>>>()?;
        let parts = match given.as_slice() {
            [joined] => {
                let (queries, keys) = (heads * head, shared * head);
                let part = |start, length| joined.narrow(D::Minus1, start, length);
                vec![part(0, queries)?, part(queries, keys)?, part(queries + keys, keys)?]
            }
            _ => given,
        };
        let mut rows = parts
            .into_iter()
            .zip([heads, shared, shared])
            .map(|(part, count)| part.reshape((1, count, 1, head)));
        let mut next = || rows.next().unwrap_or_else(|| candle_core::bail!("attention has three inputs"));
        let (queries, keys, values) = (next()?, next()?, next()?);
        let normed = |x: Tensor, norm: Option<&Tensor>| {
            norm.map_or(Ok(x.clone()), |norm| rms_norm(&x.contiguous()?, norm, narrow(design.epsilon)))
        };
        let queries = turns.apply(&normed(queries, self.query_norm.as_ref())?, place)?;
        let keys = turns.apply(&normed(keys, self.key_norm.as_ref())?, place)?;
        let kept = match &mut self.kept {
            Some(kept) => kept,
            none => none.insert(Kept::new(shared, head)?),
        };
        kept.add(&keys.squeeze(0)?, &values.squeeze(0)?.contiguous()?)?;
        let (keys, values) = kept.last(window)?;
        let keys = keys.t()?;
        // Each head of a group on its own, as a row: several rows in one product would be added up in another order.
        let queries = queries.reshape((shared, heads / shared, head))?;
        let groups = |x: &Tensor, y: &Tensor| {
            let rows = (0..heads / shared).map(|one| x.narrow(1, one, 1)?.matmul(y));
            Tensor::cat(&rows.collect::<Result<Vec<_>>>()?, 1)
        };
        let products = (groups(&queries, &keys)? * design.scale)?;
        let shares = softmax_last_dim(&capped(products, design.attention_cap)?)?;
        self.output.forward(&groups(&shares, &values)?.reshape((1, heads * head))?)
    }
}

impl Kept {
    /// Room for the first tokens; it is doubled when it is full.
    const ROOM: usize = 64;

    fn new(shared: usize, head: usize) -> Result<Self> {
        let room = || Tensor::zeros((shared, Self::ROOM, head), DType::F32, &Device::Cpu);
        Ok(Self { keys: room()?, values: room()?, length: 0 })
    }

    /// Adds those of a token, `(shared, 1, head)`.
    fn add(&mut self, keys: &Tensor, values: &Tensor) -> Result<()> {
        for (all, one) in [(&mut self.keys, keys), (&mut self.values, values)] {
            let (shared, room, head) = all.dims3()?;
            if self.length == room {
                let larger = Tensor::zeros((shared, 2 * room, head), all.dtype(), all.device())?;
                larger.slice_set(all, 1, 0)?;
                *all = larger;
            }
            all.slice_set(one, 1, self.length)?;
        }
        self.length += 1;
        Ok(())
    }

    /// Those of the last tokens, within a window if there is one.
    fn last(&self, window: Option<usize>) -> Result<(Tensor, Tensor)> {
        let count = window.unwrap_or(self.length).min(self.length);
        let part = |all: &Tensor| all.narrow(1, self.length - count, count);
        Ok((part(&self.keys)?, part(&self.values)?))
    }
}

impl Middle {
    fn forward(&self, x: &Tensor, design: &Design) -> Result<Tensor> {
        let given = self.inputs.iter().map(|weight| weight.forward(x)).collect::<Result<Vec<_>>>()?;
        let (gate, up) = match given.as_slice() {
            [gate, up] => (gate.clone(), up.clone()),
            [joined] => {
                let half = |start| joined.narrow(D::Minus1, start, design.inner)?.contiguous();
                (half(0)?, half(design.inner)?)
            }
            _ => candle_core::bail!("the middle has two inputs"),
        };
        let gate = if design.family.is_gemma() { gate.gelu()? } else { silu(&gate)? };
        self.output.forward(&(gate * up)?)
    }
}

impl Linear {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let y = self.weight.forward(x)?;
        self.bias.as_ref().map_or(Ok(y.clone()), |bias| y.broadcast_add(bias))
    }
}

impl Turns {
    fn new(rotary: &Rotary, context: usize, is_interleaved: bool) -> Result<Self> {
        let Rotary { base, turned, divisors, amplitude } = rotary;
        let mut steps = Vec::with_capacity(turned / 2);
        for pair in 0..turned / 2 {
            let step = 1.0 / base.powf(single(2 * pair) / single(*turned));
            steps.push(step / divisors.get(pair).copied().unwrap_or(1.0));
        }
        let steps = Tensor::from_vec(steps, (1, turned / 2), &Device::Cpu)?;
        let places: Vec<f32> = (0..context).map(single).collect();
        let angles = Tensor::from_vec(places, (context, 1), &Device::Cpu)?.matmul(&steps)?;
        let scaled = |x: Tensor| if *amplitude == 1.0 { Ok(x) } else { x * f64::from(*amplitude) };
        Ok(Self { cos: scaled(angles.cos()?)?, sin: scaled(angles.sin()?)?, turned: *turned, is_interleaved })
    }

    fn apply(&self, x: &Tensor, place: usize) -> Result<Tensor> {
        let (cos, sin) = (self.cos.narrow(0, place, 1)?, self.sin.narrow(0, place, 1)?);
        let turn =
            |x: Tensor| if self.is_interleaved { rope_i(&x, &cos, &sin) } else { rope(&x, &cos, &sin) };
        let head = x.dim(D::Minus1)?;
        if self.turned == head {
            return turn(x.contiguous()?);
        }
        let rest = x.narrow(D::Minus1, self.turned, head - self.turned)?;
        Tensor::cat(
            &[turn(x.narrow(D::Minus1, 0, self.turned)?.contiguous()?)?, rest.contiguous()?],
            D::Minus1,
        )
    }
}

fn capped(x: Tensor, cap: Option<f64>) -> Result<Tensor> {
    match cap {
        Some(cap) => (x / cap)?.tanh()? * cap,
        None => Ok(x),
    }
}

/// The square root of a size.
fn root(size: usize) -> f32 {
    single(size).sqrt()
}

#[expect(clippy::cast_precision_loss, reason = "sizes and places below 2^24 are exact")]
const fn single(number: usize) -> f32 {
    number as f32
}
