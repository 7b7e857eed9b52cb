//! Proofs in Merkle-Patricia tries: a key's value, or that it has none (Yellow Paper, appendix D).
//!
//! Guarantees: the value that is handed back is the only one that the root allows for the key. Every node of the proof is
//! needed and stands at its place; a node too many is refused, and so is a node that belongs inside its parent. Does not
//! do: build tries.

use super::keccak::{Word, keccak256};
use super::rlp::{Item, List, RlpError};
use crate::code::Code;

/// Root of a trie without keys: `keccak256(rlp(""))`.
pub const EMPTY_ROOT: Word = [
    0x56, 0xe8, 0x1f, 0x17, 0x1b, 0xcc, 0x55, 0xa6, 0xff, 0x83, 0x45, 0xe6, 0x92, 0xc0, 0xf8, 0x6e, 0x5b,
    0x48, 0xe0, 0x1b, 0x99, 0x6c, 0xad, 0xc0, 0x01, 0x62, 0x2f, 0xb5, 0xe3, 0x63, 0xb4, 0x21,
];

/// Nodes shorter than a digest stand in their parent instead of their digest.
const EMBEDDED_BYTES_MAX: usize = 31;

/// Why nodes prove nothing about a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TrieError {
    /// A node is not what the root, or the node above it, says.
    #[error("node {at} of the proof has another hash than the one above it states: fetch the proof again")]
    Hash {
        /// The node's place in the proof.
        at: usize,
    },
    /// The proof ends before the key does.
    #[error("the proof ends after {at} nodes, before the key does: fetch it again, whole")]
    Truncated {
        /// Nodes read.
        at: usize,
    },
    /// Nodes follow the one that decides.
    #[error("nodes follow node {at}, which decides: pass only the nodes on the key's path")]
    Surplus {
        /// Nodes read.
        at: usize,
    },
    /// A node that belongs inside its parent, because it is shorter than its hash.
    #[error("node {at} is shorter than its hash and belongs inside its parent")]
    NotEmbedded {
        /// The node's place in the proof.
        at: usize,
    },
    /// A node that is neither branch, extension nor leaf.
    #[error("node {at} is no node of a trie: {error}")]
    Node {
        /// The node's place in the proof.
        at: usize,
        /// What is wrong with its encoding.
        error: RlpError,
    },
}

impl TrieError {
    /// What the reader must do next.
    #[must_use]
    pub const fn code(self) -> Code {
        match self {
            Self::Hash { .. } => Code::Inconsistent,
            _ => Code::Malformed,
        }
    }
}

/// What a node says about the rest of a key.
enum Step<'a> {
    /// It ends here: with this value, or with none.
    End(Option<&'a [u8]>),
    /// It goes on under the node with this digest, so many nibbles further.
    Digest(Word, usize),
    /// It goes on in this node within the node, so many nibbles further.
    Embedded(List<'a>, usize),
}

/// The value of `key` in the trie with this root, or `None` where the proof shows that it has none.
///
/// In state and storage tries the key is the Keccak digest of the address or slot.
///
/// # Errors
/// [`TrieError`] if the nodes prove neither.
pub fn lookup<'a>(root: &Word, key: &[u8], proof: &'a [Vec<u8>]) -> Result<Option<&'a [u8]>, TrieError> {
    let nibbles: Vec<u8> = key.iter().flat_map(|byte| [byte >> 4, byte & 0x0f]).collect();
    let mut path = nibbles.as_slice();
    if proof.is_empty() && *root == EMPTY_ROOT {
        return Ok(None);
    }
    let mut expected = *root;
    for (at, node) in proof.iter().enumerate() {
        if keccak256(node) != expected {
            return Err(TrieError::Hash { at });
        }
        if at > 0 && node.len() <= EMBEDDED_BYTES_MAX {
            return Err(TrieError::NotEmbedded { at });
        }
        match descend(node, &mut path).map_err(|error| TrieError::Node { at, error })? {
            Step::Digest(digest, _) => expected = digest,
            Step::End(_) | Step::Embedded(..) if at + 1 < proof.len() => {
                return Err(TrieError::Surplus { at });
            }
            Step::End(value) => return Ok(value),
            Step::Embedded(..) => break,
        }
    }
    Err(TrieError::Truncated { at: proof.len() })
}

/// Goes down through a node and those within it.
fn descend<'a>(node: &'a [u8], path: &mut &[u8]) -> Result<Step<'a>, RlpError> {
    let mut list = Item::decode(node)?.list()?;
    loop {
        let step = step(list, path)?;
        match step {
            Step::Digest(_, nibbles) => {
                *path = path.get(nibbles..).unwrap_or_default();
                return Ok(step);
            }
            Step::Embedded(inner, nibbles) => {
                *path = path.get(nibbles..).unwrap_or_default();
                list = inner;
            }
            Step::End(_) => return Ok(step),
        }
    }
}

fn step<'a>(list: List<'a>, path: &[u8]) -> Result<Step<'a>, RlpError> {
    let items = list.items(17)?;
    match items.as_slice() {
        [first, second] => short_node(first.bytes()?, *second, path),
        branch if branch.len() == 17 => {
            let Some(nibble) = path.first() else {
                let value = branch.last().copied().ok_or(RlpError::Count(0))?.bytes()?;
                return Ok(Step::End((!value.is_empty()).then_some(value)));
            };
            let child = branch.get(usize::from(*nibble)).copied().ok_or(RlpError::Length)?;
            match child {
                Item::Bytes([]) => Ok(Step::End(None)),
                other => child_of(other, 1),
            }
        }
        other => Err(RlpError::Count(other.len())),
    }
}

/// A leaf or an extension: its part of the path in hex-prefix encoding, then a value or a child.
fn short_node<'a>(prefix: &[u8], second: Item<'a>, path: &[u8]) -> Result<Step<'a>, RlpError> {
    let (&head, tail) = prefix.split_first().ok_or(RlpError::Length)?;
    let (is_leaf, is_odd) = (head & 0x20 != 0, head & 0x10 != 0);
    if head & 0xc0 != 0 || (!is_odd && head & 0x0f != 0) {
        return Err(RlpError::NotShortest);
    }
    let mut part: Vec<u8> = Vec::with_capacity(1 + 2 * tail.len());
    if is_odd {
        part.push(head & 0x0f);
    }
    part.extend(tail.iter().flat_map(|byte| [byte >> 4, byte & 0x0f]));
    if is_leaf {
        let value = second.bytes()?;
        if value.is_empty() {
            return Err(RlpError::Length);
        }
        return Ok(Step::End((part == path).then_some(value)));
    }
    if part.is_empty() {
        return Err(RlpError::Length);
    }
    if path.starts_with(&part) { child_of(second, part.len()) } else { Ok(Step::End(None)) }
}

fn child_of(child: Item<'_>, nibbles: usize) -> Result<Step<'_>, RlpError> {
    match child {
        Item::Bytes(_) => Ok(Step::Digest(child.array()?, nibbles)),
        Item::List(list) if list.encoded().len() <= EMBEDDED_BYTES_MAX => Ok(Step::Embedded(list, nibbles)),
        Item::List(_) => Err(RlpError::Length),
    }
}
