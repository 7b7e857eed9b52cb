//! Which keys the log says were destroyed, and whether a record is under one of them.
//!
//! Guarantees: a record counts as lawfully erased only if an erasure entry names a key in its header, or the key that one was
//! replaced by. Memory is bounded (INV-7): past [`KEYS_MAX`] keys further ones are not known, and their records not counted.

use std::collections::{HashMap, HashSet};

use ledgerstone::entry::{Entry, ErasureDetails, ErasureOutcome, ErasureScope, Kind, KindDetails};
use ledgerstone::merkle::LeafIndex;
use ledgerstone::record::SubjectKeyId;

/// Keys that are remembered: 16 bytes each and as much again for the table make 128 MiB.
const KEYS_MAX: usize = 4 << 20;

/// Keys after each other that records were moved between; more than that is a circle.
const MOVES_MAX: usize = 4096;

/// The first bytes of an erasure entry after its head: version 1, kind 30.
const ERASURE: [u8; 5] = [1, 1, 2, 0x18, 30];

/// Keys that erasure entries name.
#[derive(Debug, Default)]
pub(super) struct Erasures {
    /// Destroyed with every record under them.
    whole: HashSet<SubjectKeyId>,
    /// Destroyed for the sake of one decision; the other records moved to the second key.
    one: HashMap<SubjectKeyId, (LeafIndex, Option<SubjectKeyId>)>,
}

impl Erasures {
    /// Takes note of the erasure entries among these.
    pub(super) fn note(&mut self, entries: &[&[u8]]) {
        for bytes in entries.iter().filter(|bytes| bytes.get(1..6) == Some(&ERASURE)) {
            let Ok(entry) = Entry::decode(bytes) else { continue };
            if entry.kind != Kind::Erasure {
                continue;
            }
            if let Ok(KindDetails::Erasure(details)) = entry.kind_details() {
                self.add(&details, entry.links.first().copied());
            }
        }
    }

    fn add(&mut self, details: &ErasureDetails, of: Option<LeafIndex>) {
        if details.outcome != ErasureOutcome::Erased || self.whole.len() + self.one.len() >= KEYS_MAX {
            return;
        }
        match (details.scope, of) {
            (ErasureScope::Record, Some(of)) => {
                self.one.extend(details.keys.iter().map(|key| (*key, (of, details.successor))));
            }
            _ => self.whole.extend(&details.keys),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.whole.is_empty() && self.one.is_empty()
    }

    /// Whether a record of the decision at `of` that was sealed under `keys` is closed.
    pub(super) fn closed(&self, of: LeafIndex, keys: &[SubjectKeyId]) -> bool {
        keys.iter().any(|key| {
            let mut key = *key;
            for _ in 0..MOVES_MAX {
                match self.one.get(&key) {
                    _ if self.whole.contains(&key) => return true,
                    Some((decision, _)) if *decision == of => return true,
                    Some((_, Some(successor))) => key = *successor,
                    Some((_, None)) | None => return false,
                }
            }
            false
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ledgerstone::entry::{ErasureId, Ground, RegisteredName};

    fn key(n: u8) -> SubjectKeyId {
        SubjectKeyId::from_bytes([n; 16])
    }

    fn erased(scope: ErasureScope, keys: &[u8], successor: Option<u8>) -> ErasureDetails {
        ErasureDetails {
            id: ErasureId::from_bytes([1; 16]),
            scope,
            ground: Ground::SubjectRequest,
            operator: RegisteredName::parse("dpo").unwrap(),
            outcome: ErasureOutcome::Erased,
            records: 1,
            part: 0,
            parts: 1,
            keys: keys.iter().map(|n| key(*n)).collect(),
            successor: successor.map(key),
        }
    }

    #[test]
    fn a_record_is_closed_by_its_own_key_and_by_those_that_came_after_it() {
        let (own, other) = (LeafIndex::new(5), LeafIndex::new(6));
        let mut erasures = Erasures::default();
        erasures.add(&erased(ErasureScope::Record, &[1], Some(2)), Some(own));
        assert!(erasures.closed(own, &[key(1)]));
        assert!(!erasures.closed(other, &[key(1)]), "the record beside it moved");
        erasures.add(&erased(ErasureScope::Subject, &[2, 9], None), None);
        assert!(erasures.closed(other, &[key(1)]), "and closed with the key it moved to");
        assert!(erasures.closed(other, &[key(7), key(9)]), "one of several keys is enough");
        assert!(!erasures.closed(other, &[key(7)]));
    }

    #[test]
    fn a_refusal_closes_nothing_and_a_circle_ends() {
        let mut erasures = Erasures::default();
        let refused =
            ErasureDetails { outcome: ErasureOutcome::Held, ..erased(ErasureScope::Subject, &[1], None) };
        erasures.add(&refused, None);
        assert!(erasures.is_empty());
        let leaf = LeafIndex::new(0);
        erasures.add(&erased(ErasureScope::Record, &[1], Some(2)), Some(leaf));
        erasures.add(&erased(ErasureScope::Record, &[2], Some(1)), Some(leaf));
        assert!(!erasures.closed(LeafIndex::new(3), &[key(1)]));
    }
}
