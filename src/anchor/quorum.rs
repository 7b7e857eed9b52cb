//! How many independent kinds of anchors count as anchored: `2 of ethereum, bitcoin, rfc3161, witnesses`.
//!
//! Guarantees: a kind counts once, however many lanes it has, because their failures come together. Does not do: judging a
//! proof.

use core::fmt;
use core::str::FromStr;

use super::statement::AnchorKind;
use crate::code::Code;
use crate::merkle::TreeSize;

/// So many kinds of these must hold: `2 of ethereum, bitcoin, rfc3161, witnesses`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnchorQuorum {
    threshold: usize,
    kinds: Vec<AnchorKind>,
}

impl AnchorQuorum {
    /// How many kinds must hold.
    #[must_use]
    pub const fn threshold(&self) -> usize {
        self.threshold
    }

    /// The kinds that count.
    #[must_use]
    pub fn kinds(&self) -> &[AnchorKind] {
        &self.kinds
    }

    /// The kinds that fixed something, each with the largest size that one of its lanes fixed, the largest first; `sizes` says what
    /// each lane has.
    #[must_use]
    pub fn fixed(
        &self,
        sizes: impl IntoIterator<Item = (AnchorKind, TreeSize)>,
    ) -> Vec<(TreeSize, AnchorKind)> {
        let mut best: Vec<(TreeSize, AnchorKind)> = Vec::with_capacity(self.kinds.len());
        let counted = sizes.into_iter().filter(|(kind, size)| !size.is_empty() && self.kinds.contains(kind));
        for (kind, size) in counted {
            match best.iter_mut().find(|(_, known)| *known == kind) {
                Some((known, _)) => *known = size.max(*known),
                None => best.push((size, kind)),
            }
        }
        best.sort_unstable_by(|one, other| other.cmp(one));
        best
    }

    /// The largest size that enough kinds fixed, where `sizes` says what each lane has; none if too few fixed anything.
    #[must_use]
    pub fn size(&self, sizes: impl IntoIterator<Item = (AnchorKind, TreeSize)>) -> Option<TreeSize> {
        self.fixed(sizes).get(self.threshold - 1).map(|(size, _)| *size)
    }
}

impl FromStr for AnchorQuorum {
    type Err = QuorumError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (threshold, kinds) = text.split_once(" of ").ok_or(QuorumError::Form)?;
        let threshold = usize::try_from(crate::checkpoint::decimal(threshold).ok_or(QuorumError::Form)?)
            .map_err(|_| QuorumError::Threshold)?;
        let mut found = Vec::with_capacity(AnchorKind::ALL.len());
        for word in kinds.split(',').map(str::trim) {
            let kind = AnchorKind::from_word(word).ok_or(QuorumError::Kind)?;
            if found.contains(&kind) {
                return Err(QuorumError::Twice { kind });
            }
            found.push(kind);
        }
        if !(1..=found.len()).contains(&threshold) {
            return Err(QuorumError::Threshold);
        }
        Ok(Self { threshold, kinds: found })
    }
}

impl fmt::Display for AnchorQuorum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds: Vec<_> = self.kinds.iter().map(|kind| kind.as_str()).collect();
        write!(f, "{} of {}", self.threshold, kinds.join(", "))
    }
}

/// Why a text is not a quorum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QuorumError {
    /// Not `N of KIND, ...`.
    #[error("write a quorum as `2 of ethereum, bitcoin, rfc3161, witnesses`")]
    Form,
    /// A word that names no kind.
    #[error("a quorum counts the kinds ethereum, bitcoin, rfc3161 and witnesses, and no others")]
    Kind,
    /// A kind stands twice.
    #[error("the quorum names {kind} twice: each kind counts once, because its failures come together")]
    Twice {
        /// The kind.
        kind: AnchorKind,
    },
    /// No number from 1 to the number of kinds.
    #[error("the quorum asks for none, or for more kinds than it names")]
    Threshold,
}

impl QuorumError {
    /// What the reader must do about it.
    #[must_use]
    pub const fn code(self) -> Code {
        Code::Malformed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quorum(text: &str) -> AnchorQuorum {
        text.parse().unwrap()
    }

    #[test]
    fn reads_what_it_prints_and_nothing_else() {
        let text = "2 of ethereum, bitcoin, rfc3161, witnesses";
        assert_eq!(quorum(text).to_string(), text);
        assert_eq!(quorum("1 of rfc3161").threshold(), 1);
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
            assert!(text.parse::<AnchorQuorum>().is_err(), "{text}");
        }
    }

    #[test]
    fn counts_kinds_and_not_lanes() {
        use AnchorKind::{Bitcoin, Ethereum, Rfc3161, Witnesses};
        let two = quorum("2 of ethereum, bitcoin, rfc3161");
        let size = |lanes: &[(AnchorKind, u64)]| {
            two.size(lanes.iter().map(|(kind, size)| (*kind, TreeSize::new(*size)))).map(TreeSize::get)
        };
        assert_eq!(size(&[]), None);
        assert_eq!(size(&[(Rfc3161, 9), (Rfc3161, 8)]), None, "two authorities are one kind");
        assert_eq!(size(&[(Rfc3161, 9), (Bitcoin, 4), (Rfc3161, 8)]), Some(4));
        assert_eq!(size(&[(Rfc3161, 3), (Bitcoin, 4), (Ethereum, 7)]), Some(4));
        assert_eq!(size(&[(Rfc3161, 3), (Bitcoin, 0)]), None, "nothing is fixed yet");
        assert_eq!(
            size(&[(Rfc3161, 3), (Witnesses, 4)]),
            None,
            "a kind that it does not name does not count"
        );
    }
}
