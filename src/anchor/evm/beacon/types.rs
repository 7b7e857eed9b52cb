//! What light clients are handed: headers, committees, updates; their SSZ and their roots.

use super::super::bundle::BeaconFork;
use super::super::keccak::Word;
use super::spec::Preset;
use super::ssz::{Cursor, SszError, bytes_root, chunk, merkleize, pair, uint_chunk};

/// Bytes of a compressed BLS public key.
pub(super) const KEY_BYTES: usize = 48;

/// Bytes of `extra_data` of an execution payload.
const EXTRA_BYTES_MAX: usize = 32;

/// Hashes from an execution payload header up to a block body's root.
pub(super) const EXECUTION_DEPTH: usize = 4;

/// Fixed-size bytes of a light client header: the beacon block header, an offset, a branch.
const HEADER_FIXED: usize = 112 + 4 + EXECUTION_DEPTH * 32;

/// `BeaconBlockHeader`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BeaconHeader {
    /// The block's slot.
    pub slot: u64,
    /// Who proposed it.
    pub proposer_index: u64,
    /// Root of the block before.
    pub parent_root: Word,
    /// Root of the beacon state after it.
    pub state_root: Word,
    /// Root of the block's body.
    pub body_root: Word,
}

impl BeaconHeader {
    /// The block's root.
    #[must_use]
    pub fn root(&self) -> Word {
        merkleize(vec![
            uint_chunk(self.slot),
            uint_chunk(self.proposer_index),
            self.parent_root,
            self.state_root,
            self.body_root,
        ])
    }

    fn decode(cursor: &mut Cursor<'_>) -> Result<Self, SszError> {
        Ok(Self {
            slot: cursor.uint()?,
            proposer_index: cursor.uint()?,
            parent_root: cursor.array()?,
            state_root: cursor.array()?,
            body_root: cursor.array()?,
        })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend(self.slot.to_le_bytes());
        out.extend(self.proposer_index.to_le_bytes());
        for word in [&self.parent_root, &self.state_root, &self.body_root] {
            out.extend(word);
        }
    }
}

/// How a field of an execution payload header is written in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Text {
    Hex,
    Decimal,
}

/// A field: its name in JSON, its length (0: the list of bytes), how JSON writes it.
pub(super) type Field = (&'static str, usize, Text);

/// The fields of `ExecutionPayloadHeader`, in their order; the last two since Deneb.
pub(super) const EXECUTION_FIELDS: [Field; 17] = [
    ("parent_hash", 32, Text::Hex),
    ("fee_recipient", 20, Text::Hex),
    ("state_root", 32, Text::Hex),
    ("receipts_root", 32, Text::Hex),
    ("logs_bloom", 256, Text::Hex),
    ("prev_randao", 32, Text::Hex),
    ("block_number", 8, Text::Decimal),
    ("gas_limit", 8, Text::Decimal),
    ("gas_used", 8, Text::Decimal),
    ("timestamp", 8, Text::Decimal),
    ("extra_data", 0, Text::Hex),
    ("base_fee_per_gas", 32, Text::Decimal),
    ("block_hash", 32, Text::Hex),
    ("transactions_root", 32, Text::Hex),
    ("withdrawals_root", 32, Text::Hex),
    ("blob_gas_used", 8, Text::Decimal),
    ("excess_blob_gas", 8, Text::Decimal),
];

/// Fields of Capella's.
const CAPELLA_FIELDS: usize = 15;

/// Where the block's hash and number stand among the fields.
const BLOCK_NUMBER: usize = 6;
const BLOCK_HASH: usize = 12;

/// The fields that `fork` has.
pub(super) fn execution_fields(fork: BeaconFork) -> &'static [Field] {
    let count = if fork == BeaconFork::Capella { CAPELLA_FIELDS } else { EXECUTION_FIELDS.len() };
    EXECUTION_FIELDS.get(..count).unwrap_or(&EXECUTION_FIELDS)
}

/// `ExecutionPayloadHeader`: the execution block's fields, each as its SSZ bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecutionHeader {
    pub(super) fields: Vec<Vec<u8>>,
}

impl ExecutionHeader {
    /// Takes a header's fields in their order, each as its SSZ bytes.
    ///
    /// # Errors
    /// [`SszError`] where `fork` has other fields or one has another length.
    pub fn from_fields(fork: BeaconFork, fields: Vec<Vec<u8>>) -> Result<Self, SszError> {
        let types = execution_fields(fork);
        let fits = |(field, (_, length, _)): (&Vec<u8>, &Field)| match length {
            0 => field.len() <= EXTRA_BYTES_MAX,
            _ => field.len() == *length,
        };
        if fields.len() == types.len() && fields.iter().zip(types).all(fits) {
            Ok(Self { fields })
        } else {
            Err(SszError::Length)
        }
    }

    /// Whether every byte is zero, as in an update that shows no header.
    pub(super) fn is_zero(&self) -> bool {
        self.fields.iter().flatten().all(|byte| *byte == 0)
    }

    /// The execution block's hash: Keccak-256 of its RLP header.
    #[must_use]
    pub fn block_hash(&self) -> Word {
        self.fields.get(BLOCK_HASH).map_or([0; 32], |field| chunk(field))
    }

    /// The execution block's number.
    #[must_use]
    pub fn block_number(&self) -> u64 {
        let field = self.fields.get(BLOCK_NUMBER).and_then(|field| field.first_chunk::<8>());
        field.map_or(0, |bytes| u64::from_le_bytes(*bytes))
    }

    /// The root of the header as `fork` has it; `None` where it has fields that the fork lacks and that are not zero.
    #[must_use]
    pub fn root(&self, fork: BeaconFork) -> Option<Word> {
        let count = execution_fields(fork).len();
        if self.fields.iter().skip(count).flatten().any(|byte| *byte != 0) {
            return None;
        }
        let roots = self.fields.iter().take(count).zip(EXECUTION_FIELDS);
        Some(merkleize(
            roots
                .map(|(field, (_, length, _))| match length {
                    0 => pair(&chunk(field), &uint_chunk(field.len() as u64)),
                    _ => bytes_root(field),
                })
                .collect(),
        ))
    }

    fn decode(bytes: &[u8], fork: BeaconFork) -> Result<Self, SszError> {
        let mut cursor = Cursor::new(bytes);
        let mut fields = Vec::new();
        let mut list = None;
        for (_, length, _) in execution_fields(fork) {
            if *length == 0 {
                list = Some((fields.len(), cursor.offset()?));
                fields.push(Vec::new());
            } else {
                fields.push(cursor.take(*length)?.to_vec());
            }
        }
        if let Some((at, offset)) = list {
            let extra = cursor.variable(offset)?;
            if extra.len() > EXTRA_BYTES_MAX {
                return Err(SszError::ListLength);
            }
            fields.get_mut(at).into_iter().for_each(|field| field.extend(extra));
        }
        Ok(Self { fields })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        // The list of bytes takes an offset of four bytes among the fixed-size fields.
        let fixed: usize =
            EXECUTION_FIELDS.iter().take(self.fields.len()).map(|(_, length, _)| (*length).max(4)).sum();
        let mut tail: &[u8] = &[];
        for (field, (_, length, _)) in self.fields.iter().zip(EXECUTION_FIELDS) {
            if length == 0 {
                out.extend(offset(fixed));
                tail = field;
            } else {
                out.extend(field);
            }
        }
        out.extend(tail);
    }
}

/// `LightClientHeader`: a beacon block header, the execution payload header of its body, and the branch between them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The beacon block header.
    pub beacon: BeaconHeader,
    /// The execution payload header.
    pub execution: ExecutionHeader,
    /// From the payload header up to the body's root.
    pub execution_branch: Vec<Word>,
}

impl Header {
    pub(super) fn decode(bytes: &[u8], fork: BeaconFork) -> Result<Self, SszError> {
        let mut cursor = Cursor::new(bytes);
        let beacon = BeaconHeader::decode(&mut cursor)?;
        let offset = cursor.offset()?;
        let execution_branch = cursor.words(EXECUTION_DEPTH)?;
        let execution = ExecutionHeader::decode(cursor.variable(offset)?, fork)?;
        Ok(Self { beacon, execution, execution_branch })
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.beacon.encode(&mut out);
        out.extend(offset(HEADER_FIXED));
        self.execution_branch.iter().for_each(|word| out.extend(word));
        self.execution.encode(&mut out);
        out
    }
}

/// `SyncCommittee`: the validators that sign for light clients during one period.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncCommittee {
    /// Their public keys, compressed.
    pub pubkeys: Vec<[u8; KEY_BYTES]>,
    /// The sum of all of them.
    pub aggregate_pubkey: [u8; KEY_BYTES],
}

impl SyncCommittee {
    /// Reads a committee of the preset's size.
    ///
    /// # Errors
    /// [`SszError::Length`] for any other number of bytes.
    pub fn decode(bytes: &[u8], preset: &Preset) -> Result<Self, SszError> {
        let mut cursor = Cursor::new(bytes);
        let committee = Self::take(&mut cursor, preset)?;
        cursor.finish()?;
        Ok(committee)
    }

    /// The committee's SSZ.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = self.pubkeys.as_flattened().to_vec();
        out.extend(self.aggregate_pubkey);
        out
    }

    /// The committee's hash tree root: what an auditor pins.
    #[must_use]
    pub fn root(&self) -> Word {
        let keys = merkleize(self.pubkeys.iter().map(|key| bytes_root(key)).collect());
        pair(&keys, &bytes_root(&self.aggregate_pubkey))
    }

    fn take(cursor: &mut Cursor<'_>, preset: &Preset) -> Result<Self, SszError> {
        let pubkeys = (0..preset.committee_size).map(|_| cursor.array()).collect::<Result<_, _>>()?;
        Ok(Self { pubkeys, aggregate_pubkey: cursor.array()? })
    }
}

/// `SyncAggregate`: who of a committee signed, and the sum of their signatures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncAggregate {
    /// One bit a member, the first in the lowest bit of the first byte.
    pub bits: Vec<u8>,
    /// The signature, compressed.
    pub signature: [u8; 96],
}

impl SyncAggregate {
    /// How many members signed.
    #[must_use]
    pub fn participants(&self) -> usize {
        self.bits.iter().map(|byte| byte.count_ones() as usize).sum()
    }

    /// Whether the member with this number signed.
    #[must_use]
    pub fn has_signed(&self, member: usize) -> bool {
        self.bits.get(member / 8).is_some_and(|byte| byte >> (member % 8) & 1 == 1)
    }
}

/// `LightClientUpdate` or `LightClientFinalityUpdate`; the latter has no next committee.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update {
    /// The fork whose types it has: that of the attested header.
    pub fork: BeaconFork,
    /// The header that was signed.
    pub attested: Header,
    /// The committee of the period after, and its branch to the attested state.
    pub next: Option<(SyncCommittee, Vec<Word>)>,
    /// The header that is final in the attested state; empty where there is none.
    pub finalized: Header,
    /// Its root's branch to the attested state.
    pub finality_branch: Vec<Word>,
    /// Who signed.
    pub aggregate: SyncAggregate,
    /// The slot of the block that holds the signature.
    pub signature_slot: u64,
}

impl Update {
    /// Reads a `LightClientUpdate`.
    ///
    /// # Errors
    /// [`SszError`] if the bytes are not one of `fork`.
    pub fn decode(bytes: &[u8], fork: BeaconFork, preset: &Preset) -> Result<Self, SszError> {
        Self::read(bytes, fork, preset, true)
    }

    /// Reads a `LightClientFinalityUpdate`.
    ///
    /// # Errors
    /// [`SszError`] if the bytes are not one of `fork`.
    pub fn decode_finality(bytes: &[u8], fork: BeaconFork, preset: &Preset) -> Result<Self, SszError> {
        Self::read(bytes, fork, preset, false)
    }

    fn read(bytes: &[u8], fork: BeaconFork, preset: &Preset, has_next: bool) -> Result<Self, SszError> {
        let mut cursor = Cursor::new(bytes);
        let attested_at = cursor.offset()?;
        let next = if has_next {
            let committee = SyncCommittee::take(&mut cursor, preset)?;
            Some((committee, cursor.words(committee_depth(fork))?))
        } else {
            None
        };
        let finalized_at = cursor.offset()?;
        let finality_branch = cursor.words(finality_depth(fork))?;
        let bits = cursor.take(preset.committee_size / 8)?.to_vec();
        let aggregate = SyncAggregate { bits, signature: cursor.array()? };
        let signature_slot = cursor.uint()?;
        let headers = cursor.variable(attested_at)?;
        let length = finalized_at.checked_sub(attested_at).ok_or(SszError::Offset)?;
        let (attested, finalized) = headers.split_at_checked(length).ok_or(SszError::Offset)?;
        Ok(Self {
            fork,
            attested: Header::decode(attested, fork)?,
            next,
            finalized: Header::decode(finalized, fork)?,
            finality_branch,
            aggregate,
            signature_slot,
        })
    }

    /// The update's SSZ: of a `LightClientUpdate` where it has a next committee, else of a `LightClientFinalityUpdate`.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut middle = Vec::new();
        if let Some((committee, branch)) = &self.next {
            middle.extend(committee.encode());
            branch.iter().for_each(|word| middle.extend(word));
        }
        let mut end = Vec::new();
        self.finality_branch.iter().for_each(|word| end.extend(word));
        end.extend(&self.aggregate.bits);
        end.extend(self.aggregate.signature);
        end.extend(self.signature_slot.to_le_bytes());
        let attested = self.attested.encode();
        let fixed = 4 + middle.len() + 4 + end.len();
        let mut out = offset(fixed).to_vec();
        out.extend(middle);
        out.extend(offset(fixed + attested.len()));
        out.extend(end);
        out.extend(attested);
        out.extend(self.finalized.encode());
        out
    }
}

/// `LightClientBootstrap`: a header and the committee that serves at its slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bootstrap {
    /// The fork whose types it has: that of the header.
    pub fork: BeaconFork,
    /// The header.
    pub header: Header,
    /// The committee that serves at the header's slot.
    pub current_sync_committee: SyncCommittee,
    /// Its branch to the header's state.
    pub branch: Vec<Word>,
}

impl Bootstrap {
    /// Reads a `LightClientBootstrap`.
    ///
    /// # Errors
    /// [`SszError`] if the bytes are not one of `fork`.
    pub fn decode(bytes: &[u8], fork: BeaconFork, preset: &Preset) -> Result<Self, SszError> {
        let mut cursor = Cursor::new(bytes);
        let at = cursor.offset()?;
        let current_sync_committee = SyncCommittee::take(&mut cursor, preset)?;
        let branch = cursor.words(committee_depth(fork))?;
        let header = Header::decode(cursor.variable(at)?, fork)?;
        Ok(Self { fork, header, current_sync_committee, branch })
    }
}

/// Hashes from a sync committee up to the state's root: `floorlog2` of its generalized index, 54 or 55, 86 or 87.
pub(super) const fn committee_depth(fork: BeaconFork) -> usize {
    if is_since_electra(fork) { 6 } else { 5 }
}

/// Hashes from the finalized root up to the state's root: of 105, or of 169.
pub(super) const fn finality_depth(fork: BeaconFork) -> usize {
    if is_since_electra(fork) { 7 } else { 6 }
}

/// Whether the state has the fields of Electra, which made its tree one level deeper.
pub(super) const fn is_since_electra(fork: BeaconFork) -> bool {
    matches!(fork, BeaconFork::Electra | BeaconFork::Fulu)
}

/// An offset. Nothing here comes near 4 GiB.
fn offset(at: usize) -> [u8; 4] {
    u32::try_from(at).unwrap_or(u32::MAX).to_le_bytes()
}
