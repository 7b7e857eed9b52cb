//! Figures about many decisions: how they came out, over time and by group, from an evidence bundle alone.
//!
//! *Guarantees*: every entry that is counted was proved to stand in the bundle's tree, and every record is the one that its entry
//! commits to; what could not be read is counted and said; rates are quotients of whole numbers, rounded once; each figure can be
//! traced to the leaf indices of the decisions behind it; the same inputs give the same bytes. *Does not do*: say what is fair or
//! lawful. Specification: `docs/statistics.md`.

mod csv;
mod decided;
mod fairness;
mod groups;
mod median;
mod summary;
#[cfg(test)]
mod tests;

pub use decided::TooMany;
pub use decided::{Decided, Decision, Person, Reader};
pub use fairness::{Fairness, FairnessError, Of, Options, fairness};
pub use groups::{Dimension, Group};
pub use summary::{Summary, summary};

use serde::Serialize;

use crate::output::thousands;
use crate::report::document::Block;

/// Where figures come from.
#[derive(Clone, Debug, Serialize)]
pub struct Source {
    /// The log.
    pub origin: String,
    /// Its size.
    pub tree_size: u64,
    /// Its root hash.
    pub root: String,
    /// Whether the checkpoint was signed as a policy asks.
    pub checkpoint_verified: bool,
    /// The first leaf index of the bundle, and the last.
    pub entries: (u64, u64),
}

impl Source {
    /// The same for a page, with what else the figures come from.
    fn block<const N: usize>(&self, more: [(&str, String); N]) -> Block {
        let verified = match self.checkpoint_verified {
            true => "signed as the policy asks",
            false => "not verified: no policy was given",
        };
        let rows = [
            ("Log", self.origin.clone()),
            ("Tree", format!("{} entries, root {}", thousands(self.tree_size), self.root)),
            ("Checkpoint", verified.to_owned()),
            ("Entries", format!("{} to {}", self.entries.0, self.entries.1)),
        ];
        let rows = rows.into_iter().chain(more).map(|(name, value)| (name.to_owned(), value));
        Block::Facts { caption: "Sources", rows: rows.collect() }
    }
}

/// A quotient of two counts to four digits, rounded half up; nothing if the divisor is zero.
#[must_use]
pub fn quotient(dividend: u64, divisor: u64) -> Option<String> {
    let ten_thousandths =
        (u128::from(dividend) * 20_000 + u128::from(divisor)).checked_div(2 * u128::from(divisor))?;
    Some(format!("{}.{:04}", ten_thousandths / 10_000, ten_thousandths % 10_000))
}

/// The same as a percentage with one digit, for people.
fn percent(dividend: u64, divisor: u64) -> String {
    let thousandths =
        (u128::from(dividend) * 2_000 + u128::from(divisor)).checked_div(2 * u128::from(divisor));
    thousandths.map_or_else(|| "none".to_owned(), |share| format!("{}.{}%", share / 10, share % 10))
}

/// A report's files.
#[derive(Clone, Debug)]
pub struct Files {
    /// The figures, key by key.
    pub json: String,
    /// The figures as a table.
    pub csv: String,
    /// The decisions behind each figure, for those who may see them.
    pub trace: String,
    /// The page.
    pub page: crate::report::Document,
}

fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{} {}", thousands(count), if count == 1 { one } else { many })
}
