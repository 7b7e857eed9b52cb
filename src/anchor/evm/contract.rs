//! The anchor contract `contracts/AnchorHead.sol`: its bytes, its storage slots, its calls and its event.
//!
//! Guarantees: what is read from storage words is one head and nothing else; calls are encoded by hand after the
//! Contract ABI Specification, section "Formal Specification of the Encoding", and a test holds them to the compiler's
//! ABI. Does not do: sign or send transactions.

use super::keccak::{Word, keccak256, keccak256_of};
use crate::hash::Hash;

/// Twenty bytes: an account or a contract.
pub type Address = [u8; 20];

/// The bytes that deploy the contract, as lowercase hex; it takes no arguments.
pub const INIT_CODE_HEX: &str = include_str!("../../../contracts/AnchorHead.bytecode.hex");

/// The contract's ABI as the compiler wrote it, JSON.
pub const ABI_JSON: &str = include_str!("../../../contracts/AnchorHead.abi.json");

/// Keccak-256 of the deployed code, as lowercase hex: what an account proof of the contract shows.
pub const CODE_HASH_HEX: &str = include_str!("../../../contracts/AnchorHead.code-hash.txt");

/// How long a proposed key waits, in seconds (`KEY_DELAY`).
pub const KEY_DELAY_SECONDS: u64 = 7 * 24 * 60 * 60;

/// Slot of the mapping `heads`.
const HEADS_SLOT: Word = [0; 32];

/// First four bytes of the Keccak digest of each signature.
const ADVANCE: &str = "advance(bytes32,uint32,bytes32,uint64,bytes32,bytes32)";
const REGISTER: &str = "register(address,bytes32)";
const PROPOSE_KEY: &str = "proposeKey(bytes32,address)";
const ACCEPT_KEY: &str = "acceptKey(bytes32)";
const HEADS: &str = "heads(bytes32)";

/// The event that every advance leaves.
const ADVANCED: &str = "Advanced(bytes32,uint32,uint64,bytes32,bytes32)";

/// Keccak-256 of the deployed code.
#[must_use]
pub fn code_hash() -> Word {
    word_of_hex(CODE_HASH_HEX)
}

/// The bytes that deploy the contract.
#[must_use]
pub fn init_code() -> Vec<u8> {
    crate::encoding::hex_decode(INIT_CODE_HEX.trim_end()).unwrap_or_default()
}

/// Which head of the contract is a log's: `keccak256(abi.encode(firstKey, originHash))`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogId(Word);

impl LogId {
    /// The id of the log with this origin line whose first anchor key is `first_key`.
    #[must_use]
    pub fn new(first_key: &Address, origin: &str) -> Self {
        Self(keccak256_of(&address_word(first_key), Hash::of(origin.as_bytes()).as_bytes()))
    }

    /// An id that was computed elsewhere.
    #[must_use]
    pub const fn from_bytes(bytes: Word) -> Self {
        Self(bytes)
    }

    /// The id's bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &Word {
        &self.0
    }

    /// The storage slots of the head, to be asked of `eth_getProof` in this order: the packed word, the statement's
    /// hash, the proposed key.
    #[must_use]
    pub fn slots(&self) -> [Word; 3] {
        let base = keccak256_of(&self.0, &HEADS_SLOT);
        [base, plus(base, 1), plus(base, 2)]
    }
}

/// A log's head as the contract's storage holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredHead {
    /// Number of the latest statement; 0 before the first.
    pub seq: u32,
    /// Leaves of the log's tree in it.
    pub size: u64,
    /// Who may advance the head; zero where the log is not registered.
    pub key: Address,
    /// SHA-256 of the latest statement's bytes; zero before the first.
    pub statement: Word,
}

impl StoredHead {
    /// Takes the head out of the words of the first two slots.
    #[must_use]
    pub fn from_words(packed: &Word, statement: &Word) -> Self {
        let (mut key, mut size, mut seq) = ([0; 20], [0; 8], [0; 4]);
        key.copy_from_slice(packed.first_chunk::<20>().unwrap_or(&[0; 20]));
        seq.copy_from_slice(packed.last_chunk::<4>().unwrap_or(&[0; 4]));
        size.iter_mut().zip(packed.iter().skip(20)).for_each(|(to, from)| *to = *from);
        Self { seq: u32::from_be_bytes(seq), size: u64::from_be_bytes(size), key, statement: *statement }
    }

    /// Takes the head out of what a call of `heads` returns: six words of 32 bytes. `None` for any other length or a
    /// word that is too large for its type.
    #[must_use]
    pub fn from_return_data(data: &[u8]) -> Option<Self> {
        let (words, []) = data.as_chunks::<32>() else { return None };
        let [seq, size, key, statement, _, _] = words else { return None };
        Some(Self {
            seq: u32::try_from(uint_of(seq)?).ok()?,
            size: uint_of(size)?,
            key: address_of(key)?,
            statement: *statement,
        })
    }
}

/// Calldata of `register(firstKey, originHash)`.
#[must_use]
pub fn register_call(first_key: &Address, origin: &str) -> Vec<u8> {
    call(REGISTER, &[address_word(first_key), *Hash::of(origin.as_bytes()).as_bytes()])
}

/// What one `advance` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Advance {
    /// Which log's head moves.
    pub log_id: LogId,
    /// The statement's number.
    pub seq: u32,
    /// SHA-256 of the statement before it; zero for the first.
    pub previous: Hash,
    /// Leaves of the log's tree.
    pub size: u64,
    /// Root hash of the tree.
    pub root: Hash,
    /// SHA-256 of the statement's bytes.
    pub statement: Hash,
}

impl Advance {
    /// Calldata of `advance`: 196 bytes.
    #[must_use]
    pub fn call(&self) -> Vec<u8> {
        call(
            ADVANCE,
            &[
                *self.log_id.as_bytes(),
                uint_word(u64::from(self.seq)),
                *self.previous.as_bytes(),
                uint_word(self.size),
                *self.root.as_bytes(),
                *self.statement.as_bytes(),
            ],
        )
    }

    /// The data of the event that it leaves; its topics are [`advanced_topic`] and the log id.
    #[must_use]
    pub fn event_data(&self) -> Vec<u8> {
        [
            uint_word(u64::from(self.seq)),
            uint_word(self.size),
            *self.root.as_bytes(),
            *self.statement.as_bytes(),
        ]
        .concat()
    }
}

/// Calldata of `proposeKey(logId, nextKey)`; the zero address takes a proposal back.
#[must_use]
pub fn propose_key_call(log_id: &LogId, next_key: &Address) -> Vec<u8> {
    call(PROPOSE_KEY, &[*log_id.as_bytes(), address_word(next_key)])
}

/// Calldata of `acceptKey(logId)`.
#[must_use]
pub fn accept_key_call(log_id: &LogId) -> Vec<u8> {
    call(ACCEPT_KEY, &[*log_id.as_bytes()])
}

/// Calldata of the getter `heads(logId)`, for `eth_call`; [`StoredHead::from_return_data`] reads what comes back.
#[must_use]
pub fn heads_call(log_id: &LogId) -> Vec<u8> {
    call(HEADS, &[*log_id.as_bytes()])
}

/// First topic of the event `Advanced`.
#[must_use]
pub fn advanced_topic() -> Word {
    keccak256(ADVANCED.as_bytes())
}

/// Selector and arguments, all of static types.
fn call(signature: &str, arguments: &[Word]) -> Vec<u8> {
    let mut data = keccak256(signature.as_bytes()).first_chunk::<4>().map_or_else(Vec::new, |s| s.to_vec());
    data.extend(arguments.as_flattened());
    data
}

fn address_word(address: &Address) -> Word {
    let mut word = [0; 32];
    word.iter_mut().skip(12).zip(address).for_each(|(to, from)| *to = *from);
    word
}

fn uint_word(value: u64) -> Word {
    let mut word = [0; 32];
    word.iter_mut().skip(24).zip(value.to_be_bytes()).for_each(|(to, from)| *to = from);
    word
}

fn uint_of(word: &Word) -> Option<u64> {
    let (zeros, value) = word.split_last_chunk::<8>()?;
    zeros.iter().all(|byte| *byte == 0).then(|| u64::from_be_bytes(*value))
}

fn address_of(word: &Word) -> Option<Address> {
    let (zeros, address) = word.split_last_chunk::<20>()?;
    zeros.iter().all(|byte| *byte == 0).then_some(*address)
}

/// `word + small`, modulo 2^256.
fn plus(mut word: Word, small: u8) -> Word {
    let mut carry = small;
    for byte in word.iter_mut().rev() {
        let (sum, over) = byte.overflowing_add(carry);
        *byte = sum;
        carry = u8::from(over);
    }
    word
}

/// The word that a committed file holds as hex; a test holds the file to its form.
fn word_of_hex(text: &str) -> Word {
    crate::encoding::hex_decode(text.trim_end()).ok().and_then(|b| b.try_into().ok()).unwrap_or([0; 32])
}
