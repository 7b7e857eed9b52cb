//! Simple Serialize and its hash tree roots, as far as light clients need them (consensus-specs, `ssz/simple-serialize.md`).

use super::super::keccak::Word;
use crate::code::Code;
use crate::hash::Hash;

/// Why bytes are not the SSZ of the type that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SszError {
    /// The bytes end inside a field, or go on after the last.
    #[error("the bytes have another length than the type: fetch them again, for the fork that they are of")]
    Length,
    /// An offset that does not point where the field must stand.
    #[error("an offset does not point at the field that follows: fetch the bytes again")]
    Offset,
    /// A list longer than its type allows.
    #[error("a list is longer than its type allows")]
    ListLength,
}

impl SszError {
    /// What the reader must do next.
    #[must_use]
    pub const fn code(self) -> Code {
        Code::Malformed
    }
}

/// Takes fixed-size fields from the front of a slice.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    taken: usize,
}

impl<'a> Cursor<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, taken: 0 }
    }

    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8], SszError> {
        let end = self.taken.checked_add(length).ok_or(SszError::Length)?;
        let field = self.bytes.get(self.taken..end).ok_or(SszError::Length)?;
        self.taken = end;
        Ok(field)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], SszError> {
        self.take(N)?.try_into().map_err(|_| SszError::Length)
    }

    pub(super) fn uint(&mut self) -> Result<u64, SszError> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    pub(super) fn words(&mut self, count: usize) -> Result<Vec<Word>, SszError> {
        (0..count).map(|_| self.array()).collect()
    }

    /// An offset: four bytes, little-endian.
    pub(super) fn offset(&mut self) -> Result<usize, SszError> {
        usize::try_from(u32::from_le_bytes(self.array()?)).map_err(|_| SszError::Offset)
    }

    /// What the fixed-size fields leave, which must start at the first offset.
    pub(super) fn variable(&self, first: usize) -> Result<&'a [u8], SszError> {
        if first != self.taken {
            return Err(SszError::Offset);
        }
        self.bytes.get(first..).ok_or(SszError::Offset)
    }

    pub(super) const fn finish(self) -> Result<(), SszError> {
        if self.taken == self.bytes.len() { Ok(()) } else { Err(SszError::Length) }
    }
}

/// SHA-256 of two nodes, one after the other.
pub(super) fn pair(left: &Word, right: &Word) -> Word {
    let mut both = [0; 64];
    both.iter_mut().zip(left.iter().chain(right)).for_each(|(to, from)| *to = *from);
    *Hash::of(&both).as_bytes()
}

/// Root of the chunks, padded with zero chunks up to the next power of two.
pub(super) fn merkleize(mut chunks: Vec<Word>) -> Word {
    chunks.resize(chunks.len().max(1).next_power_of_two(), [0; 32]);
    while chunks.len() > 1 {
        chunks = chunks.as_chunks::<2>().0.iter().map(|[left, right]| pair(left, right)).collect();
    }
    chunks.first().copied().unwrap_or([0; 32])
}

/// Root of a vector of bytes: its chunks of 32, the last padded with zeros.
pub(super) fn bytes_root(bytes: &[u8]) -> Word {
    merkleize(bytes.chunks(32).map(chunk).collect())
}

/// At most 32 bytes, padded with zeros at the end.
pub(super) fn chunk(bytes: &[u8]) -> Word {
    let mut word = [0; 32];
    word.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    word
}

/// A number as a chunk: little-endian.
pub(super) fn uint_chunk(value: u64) -> Word {
    chunk(&value.to_le_bytes())
}

/// Whether `branch` leads from `leaf`, at generalized index `gindex`, to `root` (`is_valid_merkle_branch`).
pub(super) fn is_branch(leaf: &Word, branch: &[Word], gindex: u64, root: &Word) -> bool {
    let depth = gindex.checked_ilog2().unwrap_or(0);
    if branch.len() as u64 != u64::from(depth) {
        return false;
    }
    let mut node = *leaf;
    for (height, sibling) in branch.iter().enumerate() {
        let is_right = gindex >> height & 1 == 1;
        node = if is_right { pair(sibling, &node) } else { pair(&node, sibling) };
    }
    node == *root
}
