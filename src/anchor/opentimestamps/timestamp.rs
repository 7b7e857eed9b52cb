//! The tree of a proof: attestations about a message, and operations that lead to further messages.

use std::collections::{BTreeMap, BTreeSet};

use super::attestation::Attestation;
use super::op::Op;
use super::read::{ReadError, Reader};
use crate::limits::OTS_DEPTH_MAX;

/// Before an attestation.
const ATTESTATION: u8 = 0x00;
/// Before everything but the last item of a message.
const FORK: u8 = 0xff;

/// What is proved of a message, which is not kept: it follows from the file's digest. Never without an attestation at every end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timestamp {
    attestations: BTreeSet<Attestation>,
    operations: BTreeMap<Op, Timestamp>,
}

impl Timestamp {
    /// One attestation about the message itself.
    #[must_use]
    pub fn attested(attestation: Attestation) -> Self {
        Self { attestations: BTreeSet::from([attestation]), operations: BTreeMap::new() }
    }

    /// One operation on the message, and what is proved of its result.
    #[must_use]
    pub fn after(operation: Op, result: Self) -> Self {
        Self { attestations: BTreeSet::new(), operations: BTreeMap::from([(operation, result)]) }
    }

    /// Adds what another timestamp proves of the same message.
    pub fn merge(&mut self, other: &Self) {
        self.attestations.extend(other.attestations.iter().cloned());
        for (operation, result) in &other.operations {
            match self.operations.get_mut(operation) {
                Some(ours) => ours.merge(result),
                None => _ = self.operations.insert(operation.clone(), result.clone()),
            }
        }
    }

    /// Whether any Bitcoin block is named.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.attestations.iter().any(|one| matches!(one, Attestation::Bitcoin { .. }))
            || self.operations.values().any(Self::is_complete)
    }

    /// The attestations about the message itself, in order.
    pub fn attestations(&self) -> impl Iterator<Item = &Attestation> {
        self.attestations.iter()
    }

    /// The operations on the message and what is proved of their results, in order.
    pub fn operations(&self) -> impl Iterator<Item = (&Op, &Self)> {
        self.operations.iter()
    }

    /// Reads what is proved of a message of that length.
    pub(super) fn read(reader: &mut Reader<'_>, message: usize) -> Result<Self, ReadError> {
        Self::read_at(reader, message, OTS_DEPTH_MAX)
    }

    fn read_at(reader: &mut Reader<'_>, message: usize, depth: usize) -> Result<Self, ReadError> {
        let Some(deeper) = depth.checked_sub(1) else { return Err(ReadError::Depth) };
        let mut node = Self { attestations: BTreeSet::new(), operations: BTreeMap::new() };
        loop {
            let mut tag = reader.byte()?;
            let last = tag != FORK;
            if !last {
                tag = reader.byte()?;
            }
            if tag == ATTESTATION {
                reader.count_attestation()?;
                node.attestations.insert(Attestation::read(reader)?);
            } else {
                reader.count_operation()?;
                let operation = Op::read(reader, tag)?;
                let result = Self::read_at(reader, operation.result_bytes(message)?, deeper)?;
                // Of an operation that stands here twice the reference keeps the last.
                node.operations.insert(operation, result);
            }
            if last {
                return Ok(node);
            }
        }
    }

    /// Whether it could be read back as proved of a message of that length.
    pub(super) fn check(&self, message: usize) -> Result<(), ReadError> {
        let mut counts = Reader::new(&[]);
        self.check_at(&mut counts, message, OTS_DEPTH_MAX)
    }

    fn check_at(&self, counts: &mut Reader<'_>, message: usize, depth: usize) -> Result<(), ReadError> {
        let Some(deeper) = depth.checked_sub(1) else { return Err(ReadError::Depth) };
        for _ in &self.attestations {
            counts.count_attestation()?;
        }
        for (operation, result) in &self.operations {
            counts.count_operation()?;
            result.check_at(counts, operation.result_bytes(message)?, deeper)?;
        }
        Ok(())
    }

    /// Writes attestations and then operations, each in their order, all but the last after a fork.
    pub(super) fn write(&self, into: &mut Vec<u8>) {
        let mut left = self.attestations.len() + self.operations.len();
        let mut fork = |into: &mut Vec<u8>| {
            left -= 1;
            if left > 0 {
                into.push(FORK);
            }
        };
        for attestation in &self.attestations {
            fork(into);
            into.push(ATTESTATION);
            attestation.write(into);
        }
        for (operation, result) in &self.operations {
            fork(into);
            operation.write(into);
            result.write(into);
        }
    }

    /// Calls `each` with every message and what is proved of it, in the order of the file.
    pub(super) fn visit(&self, message: &[u8], each: &mut impl FnMut(&[u8], &Self)) {
        each(message, self);
        for (operation, result) in &self.operations {
            result.visit(&operation.apply(message), each);
        }
    }

    /// Adds `addition` wherever the message is `commitment` and a calendar's promise stands; whether it did anywhere.
    pub(super) fn graft(&mut self, message: &[u8], commitment: &[u8], addition: &Self) -> bool {
        let mut done = false;
        for (operation, result) in &mut self.operations {
            done |= result.graft(&operation.apply(message), commitment, addition);
        }
        if message == commitment && self.attestations.iter().any(|one| matches!(one, Attestation::Pending(_)))
        {
            self.merge(addition);
            done = true;
        }
        done
    }

    /// What leads to that attestation and nothing else, if anything does.
    pub(super) fn only(&self, wanted: &Attestation) -> Option<Self> {
        let attestations: BTreeSet<_> = self.attestations.get(wanted).cloned().into_iter().collect();
        let operations: BTreeMap<_, _> = self
            .operations
            .iter()
            .filter_map(|(operation, result)| Some((operation.clone(), result.only(wanted)?)))
            .collect();
        let empty = attestations.is_empty() && operations.is_empty();
        (!empty).then_some(Self { attestations, operations })
    }
}
