//! Attention of each token to every token of its text, head by head.
//!
//! *Guarantees*: products are those of [`Panels`]; a score is divided by the root of the head's width, shares are exponentials of scores less the greatest one,
//! divided by their [`sum`]. What fills a text up has the share 0, so it changes no bit.
//!
//! *Does not do*: attention to some of the tokens only.

use candle_core::{CpuStorage, CustomOp3, D, Layout, Result, Shape, Tensor};
use candle_nn::ops;
use pulp::{Arch, NullaryFnOnce};

use super::exponential::exp;
use super::panels::{PANEL, Panels};
use super::{LANES, pieces, read, share, sum};

/// What attention makes of queries, keys and values (text, token, dimension), and a mask (text, token) that is 0 for what fills a text up.
pub(in crate::recompute::neural) fn attend(
    [query, key, value]: [&Tensor; 3],
    heads: usize,
    mask: Option<&Tensor>,
) -> Result<Tensor> {
    if !query.device().is_cpu() {
        return by_candle([query, key, value], heads, mask);
    }
    let mask = mask.map(|mask| mask.flatten_all()?.to_vec1()).transpose()?;
    query.apply_op3_no_bwd(key, value, &Attention { heads, mask })
}

fn by_candle(all: [&Tensor; 3], heads: usize, mask: Option<&Tensor>) -> Result<Tensor> {
    let [query, key, value] = all;
    let (texts, length, width) = query.dims3()?;
    let split = |x: &Tensor| x.reshape((texts, length, heads, width / heads))?.transpose(1, 2)?.contiguous();
    let (query, key, value) = (split(query)?, split(key)?, split(value)?);
    let mut scores = (query.matmul(&key.t()?)? / f64::from(root(width / heads)))?;
    if let Some(mask) = mask {
        // Far below any score, so that the share is 0.
        let mask = ((mask - 1.0)? * f64::from(f32::MAX))?.reshape((texts, 1, 1, length))?;
        scores = scores.broadcast_add(&mask)?;
    }
    let shares = ops::softmax_last_dim(&scores)?;
    shares.matmul(&value)?.transpose(1, 2)?.contiguous()?.flatten_from(D::Minus2)
}

#[expect(clippy::cast_precision_loss, reason = "at most 8192")]
fn root(side: usize) -> f32 {
    (side as f32).sqrt()
}

struct Attention {
    heads: usize,
    mask: Option<Vec<f32>>,
}

impl CustomOp3 for Attention {
    fn name(&self) -> &'static str {
        "attention"
    }

    fn cpu_fwd(
        &self,
        query: &CpuStorage,
        query_layout: &Layout,
        key: &CpuStorage,
        key_layout: &Layout,
        value: &CpuStorage,
        value_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (texts, length, width) = query_layout.shape().dims3()?;
        let side = width / self.heads;
        let [query, key, value] = [(query, query_layout), (key, key_layout), (value, value_layout)]
            .map(|(numbers, layout)| read(numbers, layout));
        let (query, key, value) = (query?, key?, value?);
        let mut y = vec![0.0; texts * length * width];
        let of_texts = y.chunks_mut((length * width).max(1)).enumerate();
        let parts = of_texts.flat_map(|(text, y)| {
            let heads = pieces(y, width, side).into_iter().enumerate();
            heads.map(move |(head, y)| (text, head, y))
        });
        let arch = Arch::new();
        share(parts, |_, (text, head, y)| {
            let rows = |numbers: &[f32]| -> Vec<f32> {
                let mut all = Vec::with_capacity(length * side);
                for row in numbers.chunks_exact(width).skip(*text * length).take(length) {
                    all.extend_from_slice(row.get(*head * side..(*head + 1) * side).unwrap_or_default());
                }
                all
            };
            let mask = self.mask.as_ref().and_then(|mask| mask.chunks_exact(length).nth(*text));
            Head { side, query: rows(query), key: rows(key), value: rows(value), mask }.write(arch, y);
        });
        Ok((CpuStorage::F32(y), Shape::from((texts, length, width))))
    }
}

/// A head of a text: token by token, the numbers of queries, keys and values.
struct Head<'a> {
    side: usize,
    query: Vec<f32>,
    key: Vec<f32>,
    value: Vec<f32>,
    mask: Option<&'a [f32]>,
}

impl Head<'_> {
    fn write(&self, arch: Arch, y: &mut [&mut [f32]]) {
        let length = y.len();
        let keys = Panels::of_columns(self.key.chunks_exact(self.side), self.side);
        let mut shares = vec![0.0; length * length];
        for (place, mut part) in pieces(&mut shares, length, PANEL).into_iter().enumerate() {
            keys.multiply(arch, place, &self.query, &[0.0; PANEL], &mut part);
        }
        arch.dispatch(Shares { scores: &mut shares, length, root: root(self.side), mask: self.mask });
        let values = Panels::of_rows(self.value.chunks_exact(self.side), self.side);
        for place in 0..self.side.div_ceil(PANEL) {
            let part = y.iter_mut().map(|y| y.chunks_mut(PANEL).nth(place).unwrap_or_default());
            values.multiply(arch, place, &shares, &[0.0; PANEL], &mut part.collect::<Vec<_>>());
        }
    }
}

/// Turns scores into shares, token by token.
struct Shares<'a> {
    scores: &'a mut [f32],
    length: usize,
    root: f32,
    mask: Option<&'a [f32]>,
}

impl NullaryFnOnce for Shares<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        for scores in self.scores.chunks_exact_mut(self.length) {
            for score in &mut *scores {
                *score /= self.root;
            }
            for (score, mask) in scores.iter_mut().zip(self.mask.unwrap_or_default()) {
                *score = if *mask == 0.0 { f32::NEG_INFINITY } else { *score };
            }
            let greatest = greatest(scores);
            for score in &mut *scores {
                *score = exp(*score - greatest);
            }
            let all = sum(scores, |share| share);
            for share in &mut *scores {
                *share /= all;
            }
        }
    }
}

#[inline(always)]
fn greatest(numbers: &[f32]) -> f32 {
    let mut greatest = [f32::NEG_INFINITY; LANES];
    for chunk in numbers.chunks(LANES) {
        for (greatest, number) in greatest.iter_mut().zip(chunk) {
            *greatest = if *number > *greatest { *number } else { *greatest };
        }
    }
    greatest.into_iter().fold(f32::NEG_INFINITY, f32::max)
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::super::tests::{farthest, made};
    use super::*;

    fn tensors(texts: usize, length: usize, width: usize) -> [Tensor; 3] {
        let tensor =
            |seed| Tensor::from_vec(made(texts * length * width, seed), (texts, length, width), &Device::Cpu);
        [1, 2, 3].map(|seed| tensor(seed).unwrap())
    }

    #[test]
    fn lies_close_to_candles_operations() {
        for (texts, length, heads, side) in [(1, 1, 1, 1), (2, 7, 2, 5), (1, 40, 3, 32), (1, 130, 1, 70)] {
            let tensors = tensors(texts, length, heads * side);
            let filled = |place: usize| if place % length > length / 2 { 0.0 } else { 1.0 };
            let mask: Vec<f32> = (0..texts * length).map(filled).collect();
            for mask in [None, Some(Tensor::from_vec(mask, (texts, length), &Device::Cpu).unwrap())] {
                let candle = by_candle(tensors.each_ref(), heads, mask.as_ref()).unwrap();
                let mask = mask.map(|mask| mask.flatten_all().unwrap().to_vec1().unwrap());
                let [query, key, value] = &tensors;
                let own = query.apply_op3_no_bwd(key, value, &Attention { heads, mask }).unwrap();
                let off = farthest(&own, &candle);
                assert!(off <= 1e-6, "{texts} texts of {length}, {heads} heads of {side}: {off:e}");
            }
        }
    }

    #[test]
    fn what_fills_up_changes_no_bit() {
        let short = tensors(1, 21, 64);
        let long = short.each_ref().map(|x| x.pad_with_zeros(1, 0, 50).unwrap());
        let mask = [vec![1.0; 21], vec![0.0; 50]].concat();
        let of = |[query, key, value]: &[Tensor; 3], mask| {
            let found = query.apply_op3_no_bwd(key, value, &Attention { heads: 2, mask }).unwrap();
            found.narrow(1, 0, 21).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap()
        };
        assert_eq!(of(&short, None), of(&long, Some(mask)));
    }
}
