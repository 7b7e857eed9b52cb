//! How many independent kinds of anchors count as anchored: `2 of ethereum, bitcoin, rfc3161, witnesses`.
//!
//! Guarantees: a kind counts once, however many lanes it has, because their failures go together. Does not do: judging a
//! proof.

use std::collections::BTreeSet;
use std::fmt;

use ledgerstone::anchor::statement::AnchorKind;
use ledgerstone::merkle::TreeSize;

/// A number of kinds out of some.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quorum {
    needed: usize,
    kinds: BTreeSet<AnchorKind>,
}

impl Quorum {
    /// What a quorum must look like.
    pub const EXPECTED: &str = "a number and kinds, for example \"2 of ethereum, bitcoin, rfc3161, witnesses\", the number no larger than there are kinds";

    /// Reads one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (needed, list) = text.split_once(" of ")?;
        let is_number = !needed.is_empty() && needed.bytes().all(|c| c.is_ascii_digit());
        let needed: usize = needed.parse().ok().filter(|_| is_number)?;
        let mut kinds = BTreeSet::new();
        for word in list.split(',') {
            if !kinds.insert(AnchorKind::from_word(word.trim())?) {
                return None;
            }
        }
        (1..=kinds.len()).contains(&needed).then_some(Self { needed, kinds })
    }

    /// The kinds it counts.
    pub fn kinds(&self) -> impl Iterator<Item = AnchorKind> {
        self.kinds.iter().copied()
    }

    /// How many of them are needed.
    #[must_use]
    pub const fn needed(&self) -> usize {
        self.needed
    }

    /// The largest size that enough kinds have fixed, where `sizes` says what each lane has.
    #[must_use]
    pub fn size(&self, sizes: impl IntoIterator<Item = (AnchorKind, TreeSize)>) -> TreeSize {
        let mut best: Vec<(AnchorKind, TreeSize)> = Vec::new();
        for (kind, size) in sizes.into_iter().filter(|(kind, _)| self.kinds.contains(kind)) {
            match best.iter_mut().find(|(known, _)| *known == kind) {
                Some((_, known)) => *known = size.max(*known),
                None => best.push((kind, size)),
            }
        }
        let mut sizes: Vec<TreeSize> = best.into_iter().map(|(_, size)| size).collect();
        sizes.sort_unstable_by(|a, b| b.cmp(a));
        sizes.get(self.needed - 1).copied().unwrap_or(TreeSize::EMPTY)
    }
}

impl fmt::Display for Quorum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds: Vec<&str> = self.kinds.iter().map(|kind| kind.as_str()).collect();
        write!(f, "{} of {}", self.needed, kinds.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quorum(text: &str) -> Quorum {
        Quorum::parse(text).unwrap()
    }

    #[test]
    fn reads_what_it_prints_and_nothing_else() {
        let text = "2 of ethereum, bitcoin, rfc3161, witnesses";
        assert_eq!(quorum(text).to_string(), text);
        assert_eq!(quorum("1 of rfc3161").needed(), 1);
        for text in [
            "",
            "2",
            "of rfc3161",
            "0 of rfc3161",
            "2 of rfc3161",
            "+1 of rfc3161",
            "1 of",
            "1 of ",
            "1 of rfc3161,",
            "1 of rfc3161, rfc3161",
            "1 of notary",
            "1 of Ethereum",
            "-1 of rfc3161",
            "18446744073709551616 of rfc3161",
        ] {
            assert_eq!(Quorum::parse(text), None, "{text}");
        }
    }

    #[test]
    fn counts_kinds_and_not_lanes() {
        use AnchorKind::{Bitcoin, Ethereum, Rfc3161, Witnesses};
        let two = quorum("2 of ethereum, bitcoin, rfc3161");
        let size = |lanes: &[(AnchorKind, u64)]| {
            two.size(lanes.iter().map(|(kind, size)| (*kind, TreeSize::new(*size)))).get()
        };
        assert_eq!(size(&[]), 0);
        assert_eq!(size(&[(Rfc3161, 9), (Rfc3161, 8)]), 0, "two authorities are one kind");
        assert_eq!(size(&[(Rfc3161, 9), (Bitcoin, 4), (Rfc3161, 8)]), 4);
        assert_eq!(size(&[(Rfc3161, 3), (Bitcoin, 4), (Ethereum, 7)]), 4);
        assert_eq!(size(&[(Rfc3161, 3), (Witnesses, 4)]), 0, "a kind that it does not name does not count");
    }
}
