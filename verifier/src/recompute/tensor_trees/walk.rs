//! Trees with two children a split, walked level by level for many rows and trees at once.
//!
//! *Guarantees*: the only operations are lookups, comparisons, choices and, for each output, one addition a tree in the trees' order, each in an
//! operation of its own, so that no processor can join two into one with other bits. A row's bits depend neither on the rows beside
//! it nor on how many trees are walked together.
//!
//! *Does not do*: multiply.

use candle_core::{DType, Device, Result, Tensor, WithDType};

use super::Batch;
use super::table::{BelowZero, Comparison, Root, Table};

/// A forest on a device.
pub(super) struct Walk<T> {
    comparison: Comparison,
    below_zero: BelowZero,
    columns: Tensor,
    thresholds: Tensor,
    seconds: Tensor,
    missing_first: Tensor,
    /// Only where zero goes another way than its comparison says.
    zero_first: Option<Tensor>,
    values: Tensor,
    lists: Option<Lists>,
    roots: Vec<Root>,
    starts: Vec<T>,
    row_columns: usize,
    device: Device,
}

/// Splits on categories.
struct Lists {
    by_category: Tensor,
    begins: Tensor,
    lengths: Tensor,
    categories: Tensor,
}

impl<T: WithDType> Walk<T> {
    pub(super) fn new(table: Table<T>, device: &Device) -> Result<Self> {
        let (has_categories, nodes) = (table.has_categories(), table.nodes);
        let lists = match has_categories {
            true => Some(Lists {
                by_category: on(nodes.by_category, device)?,
                begins: on(nodes.lists, device)?,
                lengths: on(nodes.list_lengths, device)?,
                categories: on(nodes.categories, device)?,
            }),
            false => None,
        };
        let zero_first = match table.has_zero_rule {
            true => Some(on(nodes.zero_first, device)?),
            false => None,
        };
        Ok(Self {
            comparison: table.comparison,
            below_zero: table.below_zero,
            columns: on(nodes.columns, device)?,
            thresholds: on(nodes.thresholds, device)?,
            seconds: on(nodes.seconds, device)?,
            missing_first: on(nodes.missing_first, device)?,
            zero_first,
            values: on(nodes.values, device)?,
            lists,
            roots: table.roots,
            starts: table.starts,
            row_columns: table.columns,
            device: device.clone(),
        })
    }

    /// The margins of `count` rows, one list an output.
    pub(super) fn margins(&self, rows: &[T], count: usize, batch: Batch) -> Result<Vec<Vec<T>>> {
        // A model without columns has leaves only, and they read column 0.
        let values = match self.row_columns {
            0 => Tensor::zeros((1, count), T::DTYPE, &self.device)?,
            columns => Tensor::from_slice(rows, (count, columns), &self.device)?.t()?.contiguous()?,
        };
        let has_missing = rows.iter().any(|value| value.to_f64().is_nan());
        let mut sums = Vec::with_capacity(self.starts.len());
        for start in &self.starts {
            sums.push(Tensor::from_vec(vec![*start; count], count, &self.device)?);
        }
        for tile in self.roots.chunks(batch.trees(count)) {
            let leaves = self.leaves(tile, &values, count, has_missing)?;
            for (place, root) in tile.iter().enumerate() {
                if let Some(sum) = sums.get_mut(root.output) {
                    *sum = (&*sum + leaves.get(place)?)?;
                }
            }
        }
        sums.iter().map(Tensor::to_vec1).collect()
    }

    /// What each tree gives each row: trees down, rows across.
    fn leaves(&self, tile: &[Root], values: &Tensor, count: usize, has_missing: bool) -> Result<Tensor> {
        let roots: Vec<u32> = tile.iter().map(|root| root.node).collect();
        let steps = tile.iter().map(|root| root.depth).max().unwrap_or(0);
        let roots = Tensor::from_vec(roots, (tile.len(), 1), &self.device)?;
        let mut places = roots.broadcast_as((tile.len(), count))?.contiguous()?;
        for _ in 0..steps {
            places = self.step(&places, values, has_missing)?;
        }
        look(&self.values, &places)
    }

    /// Each row's next node in each tree.
    fn step(&self, places: &Tensor, values: &Tensor, has_missing: bool) -> Result<Tensor> {
        let value = values.gather(&look(&self.columns, places)?, 0)?;
        let threshold = look(&self.thresholds, places)?;
        let mut first = match self.comparison {
            Comparison::Below => value.lt(&threshold)?,
            Comparison::AtMost => value.le(&threshold)?,
        };
        drop(threshold);
        if let Some(lists) = &self.lists {
            let by_category = look(&lists.by_category, places)?;
            first = by_category.where_cond(&self.listed(lists, places, &value)?, &first)?;
        }
        if let Some(zero_first) = &self.zero_first {
            first = value.eq(T::zero())?.where_cond(&look(zero_first, places)?, &first)?;
        }
        if has_missing {
            first = value.ne(&value)?.where_cond(&look(&self.missing_first, places)?, &first)?;
        }
        look(&self.seconds, places)? - first.to_dtype(DType::U32)?
    }

    /// Whether each value's category goes the first way.
    fn listed(&self, lists: &Lists, places: &Tensor, value: &Tensor) -> Result<Tensor> {
        let length = look(&lists.lengths, places)?;
        let is_category = match self.below_zero {
            BelowZero::NoCategory => value.ge(T::zero())?,
            BelowZero::FractionDropped => value.gt(T::from_f64(-1.0))?,
        };
        // What is no category, or none that is listed, is looked up behind the list.
        let category = value.maximum(&value.zeros_like()?)?.minimum(&length)?;
        let category = is_category.where_cond(&category, &length)?;
        look(&lists.categories, &(category.to_dtype(DType::U32)? + look(&lists.begins, places)?)?)
    }
}

pub(super) fn on<T: WithDType>(items: Vec<T>, device: &Device) -> Result<Tensor> {
    let length = items.len();
    Tensor::from_vec(items, length, device)
}

/// The item of a list at each place.
pub(super) fn look(list: &Tensor, places: &Tensor) -> Result<Tensor> {
    list.index_select(&places.flatten_all()?, 0)?.reshape(places.shape())
}
