//! A matrix in panels, as a processor's registers multiply it.
//!
//! *Guarantees*: every number of a product is the sum of its products from the first to the last, each added with one rounding.
//!
//! *Does not do*: share the work out.

use pulp::{Arch, Simd, WithSimd, bytemuck};

/// Columns of a panel.
pub(super) const PANEL: usize = 64;
/// Rows that are multiplied side by side.
const ROWS: usize = 6;

/// A matrix by panels: of each, row by row, its columns; the last one is filled up with 0.
pub(super) struct Panels {
    numbers: Vec<f32>,
    /// Rows.
    pub(super) from: usize,
    /// Columns.
    pub(super) to: usize,
}

impl Panels {
    /// Of columns, each of `from` numbers.
    pub(super) fn of_columns<'a>(columns: impl ExactSizeIterator<Item = &'a [f32]>, from: usize) -> Self {
        let mut panels = Self::empty(from, columns.len());
        for (column, given) in columns.enumerate() {
            let panel = panels.panel_mut(column / PANEL);
            let places = panel.iter_mut().skip(column % PANEL).step_by(PANEL);
            places.zip(given).for_each(|(place, number)| *place = *number);
        }
        panels
    }

    /// Of rows, each of `to` numbers.
    pub(super) fn of_rows<'a>(rows: impl ExactSizeIterator<Item = &'a [f32]>, to: usize) -> Self {
        let mut panels = Self::empty(rows.len(), to);
        for (row, given) in rows.enumerate() {
            for (place, given) in given.chunks(PANEL).enumerate() {
                let kept = panels.panel_mut(place).chunks_exact_mut(PANEL).nth(row);
                kept.into_iter().flatten().zip(given).for_each(|(kept, given)| *kept = *given);
            }
        }
        panels
    }

    fn empty(from: usize, to: usize) -> Self {
        Self { numbers: vec![0.0; to.div_ceil(PANEL) * from * PANEL], from, to }
    }

    fn panel_mut(&mut self, place: usize) -> &mut [f32] {
        let size = self.from * PANEL;
        self.numbers.get_mut(place * size..(place + 1) * size).unwrap_or_default()
    }

    fn panel(&self, place: usize) -> &[f32] {
        let size = self.from * PANEL;
        self.numbers.get(place * size..(place + 1) * size).unwrap_or_default()
    }

    /// All numbers, column by column.
    pub(super) fn columns(&self) -> Vec<f32> {
        let column =
            |column: usize| self.panel(column / PANEL).iter().copied().skip(column % PANEL).step_by(PANEL);
        (0..self.to).flat_map(column).collect()
    }

    /// Rows times a panel: writes the product of each row, its part of a bias added, to the row's part of the product.
    pub(super) fn multiply(&self, arch: Arch, place: usize, x: &[f32], bias: &[f32], y: &mut [&mut [f32]]) {
        arch.dispatch(Product { x, panel: self.panel(place), bias, y });
    }
}

struct Product<'a, 'b> {
    x: &'a [f32],
    panel: &'a [f32],
    bias: &'a [f32],
    y: &'a mut [&'b mut [f32]],
}

impl WithSimd for Product<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        // As many sums side by side as there are registers for.
        match S::F32_LANES {
            16 => self.by_columns::<S, 4>(simd),
            _ => self.by_columns::<S, 2>(simd),
        }
    }
}

impl Product<'_, '_> {
    #[inline(always)]
    fn by_columns<S: Simd, const COLUMNS: usize>(self, simd: S) {
        let Self { x, panel, bias, y } = self;
        let from = (panel.len() / PANEL).max(1);
        let panel = S::as_simd_f32s(panel).0;
        let across = PANEL / S::F32_LANES;
        for (x, y) in x.chunks(ROWS * from).zip(y.chunks_mut(ROWS)) {
            let last = x.len() / from - 1;
            let row = |row: usize| x.get(row * from..(row + 1) * from).unwrap_or_default();
            let x: [&[f32]; ROWS] = std::array::from_fn(|place| row(place.min(last)));
            for first in (0..across).step_by(COLUMNS) {
                let sums = sums::<S, COLUMNS>(simd, x, panel, across, first);
                let bias = bias.get(first * S::F32_LANES..).unwrap_or_default();
                for (y, sums) in y.iter_mut().zip(&sums) {
                    let y = y.get_mut(first * S::F32_LANES..).unwrap_or_default();
                    let sums: &[f32] = bytemuck::cast_slice(sums);
                    y.iter_mut().zip(sums).zip(bias).for_each(|((y, sum), bias)| *y = sum + bias);
                }
            }
        }
    }
}

/// The sums of [`ROWS`] rows with some of a panel's columns.
#[inline(always)]
fn sums<S: Simd, const COLUMNS: usize>(
    simd: S,
    [a, b, c, d, e, f]: [&[f32]; ROWS],
    panel: &[S::f32s],
    across: usize,
    first: usize,
) -> [[S::f32s; COLUMNS]; ROWS] {
    let mut sums = [[simd.splat_f32s(0.0); COLUMNS]; ROWS];
    let rows = a.iter().zip(b).zip(c).zip(d).zip(e).zip(f);
    for ((((((a, b), c), d), e), f), weights) in rows.zip(panel.chunks_exact(across)) {
        let Some(weights) = weights.get(first..).and_then(|weights| weights.first_chunk::<COLUMNS>()) else {
            continue;
        };
        for (sums, x) in sums.iter_mut().zip([a, b, c, d, e, f]) {
            let x = simd.splat_f32s(*x);
            for (sum, weight) in sums.iter_mut().zip(weights) {
                *sum = simd.mul_add_f32s(x, *weight, *sum);
            }
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::super::pieces;
    use super::super::tests::made;
    use super::*;

    #[test]
    fn adds_up_in_order_whatever_the_processor_can_do() {
        for (rows, from, to) in [(1, 1, 1), (5, 32, 20), (6, 64, 64), (7, 33, 65), (40, 384, 130)] {
            let (x, weights) = (made(rows * from, 3), made(to * from, 1));
            let sum = |x: &[f32], weights: &[f32]| {
                x.iter().zip(weights).fold(0.0_f32, |sum, (x, weight)| x.mul_add(*weight, sum))
            };
            let row = |x| weights.chunks(from).map(move |weights| sum(x, weights) + 0.5);
            let expected: Vec<f32> = x.chunks(from).flat_map(row).collect();
            let by_row: Vec<f32> =
                (0..from).flat_map(|row| weights.iter().copied().skip(row).step_by(from)).collect();
            for panels in
                [Panels::of_columns(weights.chunks(from), from), Panels::of_rows(by_row.chunks(to), to)]
            {
                for arch in [Arch::new(), Arch::Scalar] {
                    let mut y = vec![f32::NAN; rows * to];
                    for (place, mut part) in pieces(&mut y, to, PANEL).into_iter().enumerate() {
                        panels.multiply(arch, place, &x, &[0.5; PANEL], &mut part);
                    }
                    assert_eq!(y, expected, "{rows} rows from {from} to {to}");
                }
                assert_eq!(panels.columns(), weights);
            }
        }
    }
}
