//! The file `proof.evm`: everything that shows a log's head in a contract's storage, captured once.
//!
//! Guarantees: one encoding per bundle (deterministic CBOR, specified in `docs/anchoring.md`), every list bounded. Does
//! not do: check anything that the bundle says; [`super::verify`] does.

use super::contract::Address;
use crate::code::Code;
use crate::encoding::cbor::{CborError, Map, Reader, Writer};
use crate::limits::{
    EVM_BEACON_UPDATES_MAX, EVM_BUNDLE_BYTES_MAX, EVM_NODE_BYTES_MAX, EVM_PROOF_NODES_MAX,
    EVM_SEGMENT_HEADERS_MAX,
};

/// Version of the format; another one is refused, so that a chain with another state tree can have its own.
const VERSION: u64 = 1;

/// Proof that a contract's storage named a statement as a log's latest, in one block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundle {
    /// The chain's id (EIP-155).
    pub chain_id: u64,
    /// The anchor contract's address.
    pub contract: Address,
    /// The log's first anchor key; with the origin it gives the log id.
    pub first_key: Address,
    /// RLP of block headers, each the parent of the next. The first is the block whose state is shown; the others, where
    /// there are any, lead to a block that somebody vouches for.
    pub headers: Vec<Vec<u8>>,
    /// RLP of the trie nodes from the state root to the contract's account, as `eth_getProof` gives them.
    pub account_proof: Vec<Vec<u8>>,
    /// RLP of the trie nodes from the account's storage root to the head's packed word, [`super::LogId::slots`] 0.
    pub packed_proof: Vec<Vec<u8>>,
    /// The same to the statement's hash, slot 1.
    pub statement_proof: Vec<Vec<u8>>,
    /// The receipt of the transaction that made the anchor, where it was captured.
    pub receipt: Option<ReceiptProof>,
    /// The light client's part, on a chain with a beacon chain.
    pub beacon: Option<BeaconPart>,
}

/// Proof that a transaction's receipt, with the contract's event in it, stands in a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiptProof {
    /// RLP of block headers from the receipt's block to the parent of the bundle's first block, each the parent of the
    /// next. Empty where the receipt stands in the bundle's first block.
    pub headers: Vec<Vec<u8>>,
    /// The transaction's index in its block.
    pub index: u64,
    /// RLP of the trie nodes from the receipts root to the receipt.
    pub proof: Vec<Vec<u8>>,
}

/// What a light client of the beacon chain needs to see that the last of [`Bundle::headers`] is final.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BeaconPart {
    /// SSZ of the `SyncCommittee` that signed the first update, or the finality update where there are none.
    pub committee: Vec<u8>,
    /// `LightClientUpdate`s that lead from that committee's period to that of the finality update, one a period.
    pub updates: Vec<ForkBytes>,
    /// The `LightClientFinalityUpdate` whose finalized header holds the last of [`Bundle::headers`].
    pub finality: ForkBytes,
}

/// SSZ bytes and the fork whose types they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForkBytes {
    /// The fork at the attested header's slot.
    pub fork: BeaconFork,
    /// The bytes.
    pub ssz: Vec<u8>,
}

/// Forks of the beacon chain whose light client data can be read, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum BeaconFork {
    /// Headers carry an execution payload header from here on.
    Capella,
    /// The payload header has the two fields of blob gas.
    Deneb,
    /// The state has more fields, so branches are one longer.
    Electra,
    /// As Electra.
    Fulu,
}

impl BeaconFork {
    /// Every fork that can be read.
    pub const ALL: [Self; 4] = [Self::Capella, Self::Deneb, Self::Electra, Self::Fulu];

    /// The fork's name as the beacon API writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Capella => "capella",
            Self::Deneb => "deneb",
            Self::Electra => "electra",
            Self::Fulu => "fulu",
        }
    }

    /// The fork with this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|fork| fork.as_str() == name)
    }

    /// The fork's number: how many forks after genesis it is, the first byte of its version on most networks.
    const fn number(self) -> u64 {
        match self {
            Self::Capella => 3,
            Self::Deneb => 4,
            Self::Electra => 5,
            Self::Fulu => 6,
        }
    }
}

/// Why bytes are no bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BundleError {
    /// More bytes than any bundle has.
    #[error("more than {EVM_BUNDLE_BYTES_MAX} bytes: this is no bundle, fetch it again")]
    TooLong,
    /// Not the CBOR of a bundle.
    #[error("not a bundle: {0}")]
    Cbor(#[from] CborError),
    /// A version of the format that is not known here.
    #[error("version {0} of the bundle's format is not known: use a newer release")]
    Version(u64),
    /// A map key that the format does not have, or one that is missing before it.
    #[error("the bundle has key {0} where the format has another: fetch it again")]
    Key(u64),
    /// A list with no item where one is needed, or with more than the limit.
    #[error("the list under key {key} has {count} items: the format allows {min} to {max}")]
    Count {
        /// The map key.
        key: u64,
        /// Items found.
        count: usize,
        /// Fewest allowed.
        min: usize,
        /// Most allowed.
        max: usize,
    },
    /// An item longer than anything that may stand there.
    #[error("an item under key {key} has {bytes} bytes: the format allows {EVM_NODE_BYTES_MAX}")]
    ItemBytes {
        /// The map key.
        key: u64,
        /// The item's length.
        bytes: usize,
    },
    /// A fork that is not known here.
    #[error("fork {0} of the beacon chain is not known: use a newer release")]
    Fork(u64),
}

impl BundleError {
    /// What the reader must do next.
    #[must_use]
    pub const fn code(self) -> Code {
        match self {
            Self::TooLong | Self::Count { .. } | Self::ItemBytes { .. } => Code::Limit,
            Self::Cbor(error) => error.code(),
            Self::Version(_) | Self::Key(_) | Self::Fork(_) => Code::Malformed,
        }
    }
}

impl Bundle {
    /// Writes the bundle.
    ///
    /// # Errors
    /// When a list or an item is past its limit, so that nothing is written that could not be read.
    pub fn encode(&self) -> Result<Vec<u8>, BundleError> {
        let mut writer = Writer::new();
        let optional = usize::from(self.receipt.is_some()) + usize::from(self.beacon.is_some());
        writer.map(8 + optional);
        writer.uint(1).uint(VERSION);
        writer.uint(2).uint(self.chain_id);
        writer.uint(3).bytes(&self.contract);
        writer.uint(4).bytes(&self.first_key);
        for (key, list) in [
            (5, &self.headers),
            (6, &self.account_proof),
            (7, &self.packed_proof),
            (8, &self.statement_proof),
        ] {
            write_list(writer.uint(key), list);
        }
        if let Some(receipt) = &self.receipt {
            writer.uint(9).map(3);
            write_list(writer.uint(1), &receipt.headers);
            writer.uint(2).uint(receipt.index);
            write_list(writer.uint(3), &receipt.proof);
        }
        if let Some(beacon) = &self.beacon {
            writer.uint(10).map(3);
            writer.uint(1).bytes(&beacon.committee);
            writer.uint(2).array(beacon.updates.len());
            beacon.updates.iter().for_each(|update| write_fork(&mut writer, update));
            writer.uint(3);
            write_fork(&mut writer, &beacon.finality);
        }
        let bytes = writer.into_bytes();
        Self::decode(&bytes)?;
        Ok(bytes)
    }

    /// Reads a bundle.
    ///
    /// # Errors
    /// [`BundleError`] for anything that [`Bundle::encode`] does not write.
    pub fn decode(bytes: &[u8]) -> Result<Self, BundleError> {
        if bytes.len() > EVM_BUNDLE_BYTES_MAX {
            return Err(BundleError::TooLong);
        }
        let mut reader = Reader::new(bytes);
        let mut map = reader.map()?;
        expect_key(&mut map, &mut reader, 1)?;
        match reader.uint()? {
            VERSION => {}
            other => return Err(BundleError::Version(other)),
        }
        expect_key(&mut map, &mut reader, 2)?;
        let chain_id = reader.uint()?;
        expect_key(&mut map, &mut reader, 3)?;
        let contract = reader.byte_array()?;
        expect_key(&mut map, &mut reader, 4)?;
        let first_key = reader.byte_array()?;
        expect_key(&mut map, &mut reader, 5)?;
        let headers = read_list(&mut reader, 5, 1, EVM_SEGMENT_HEADERS_MAX)?;
        expect_key(&mut map, &mut reader, 6)?;
        let account_proof = read_list(&mut reader, 6, 1, EVM_PROOF_NODES_MAX)?;
        expect_key(&mut map, &mut reader, 7)?;
        let packed_proof = read_list(&mut reader, 7, 1, EVM_PROOF_NODES_MAX)?;
        expect_key(&mut map, &mut reader, 8)?;
        let statement_proof = read_list(&mut reader, 8, 1, EVM_PROOF_NODES_MAX)?;
        let (mut receipt, mut beacon) = (None, None);
        while let Some(key) = map.next_key(&mut reader, Reader::uint)? {
            match key {
                9 => receipt = Some(read_receipt(&mut reader)?),
                10 => beacon = Some(read_beacon(&mut reader)?),
                other => return Err(BundleError::Key(other)),
            }
        }
        reader.finish()?;
        Ok(Self {
            chain_id,
            contract,
            first_key,
            headers,
            account_proof,
            packed_proof,
            statement_proof,
            receipt,
            beacon,
        })
    }
}

fn write_list(writer: &mut Writer, list: &[Vec<u8>]) {
    writer.array(list.len());
    list.iter().for_each(|item| _ = writer.bytes(item));
}

fn write_fork(writer: &mut Writer, item: &ForkBytes) {
    writer.array(2).uint(item.fork.number()).bytes(&item.ssz);
}

fn read_list(reader: &mut Reader<'_>, key: u64, min: usize, max: usize) -> Result<Vec<Vec<u8>>, BundleError> {
    let count = reader.array()?;
    if count < min || count > max {
        return Err(BundleError::Count { key, count, min, max });
    }
    (0..count).map(|_| read_item(reader, key)).collect()
}

/// A map within the bundle with the keys 1, 2 and 3, each read by its own function.
fn read_three<'a, A, B, C>(
    reader: &mut Reader<'a>,
    first: impl FnOnce(&mut Reader<'a>) -> Result<A, BundleError>,
    second: impl FnOnce(&mut Reader<'a>) -> Result<B, BundleError>,
    third: impl FnOnce(&mut Reader<'a>) -> Result<C, BundleError>,
) -> Result<(A, B, C), BundleError> {
    let mut map = reader.map()?;
    expect_key(&mut map, reader, 1)?;
    let a = first(reader)?;
    expect_key(&mut map, reader, 2)?;
    let b = second(reader)?;
    expect_key(&mut map, reader, 3)?;
    let c = third(reader)?;
    match map.next_key(reader, Reader::uint)? {
        None => Ok((a, b, c)),
        Some(key) => Err(BundleError::Key(key)),
    }
}

fn expect_key<'a>(map: &mut Map<'a>, reader: &mut Reader<'a>, expected: u64) -> Result<(), BundleError> {
    match map.next_key(reader, Reader::uint)? {
        Some(key) if key == expected => Ok(()),
        key => Err(BundleError::Key(key.unwrap_or(0))),
    }
}

fn read_receipt(reader: &mut Reader<'_>) -> Result<ReceiptProof, BundleError> {
    let (headers, index, proof) = read_three(
        reader,
        |reader| read_list(reader, 9, 0, EVM_SEGMENT_HEADERS_MAX),
        |reader| Ok(reader.uint()?),
        |reader| read_list(reader, 9, 1, EVM_PROOF_NODES_MAX),
    )?;
    Ok(ReceiptProof { headers, index, proof })
}

fn read_beacon(reader: &mut Reader<'_>) -> Result<BeaconPart, BundleError> {
    let (committee, updates, finality) = read_three(
        reader,
        |reader| read_item(reader, 10),
        |reader| {
            let count = reader.array()?;
            if count > EVM_BEACON_UPDATES_MAX {
                return Err(BundleError::Count { key: 10, count, min: 0, max: EVM_BEACON_UPDATES_MAX });
            }
            (0..count).map(|_| read_fork(reader)).collect::<Result<_, _>>()
        },
        read_fork,
    )?;
    Ok(BeaconPart { committee, updates, finality })
}

fn read_fork(reader: &mut Reader<'_>) -> Result<ForkBytes, BundleError> {
    reader.array_of(2)?;
    let number = reader.uint()?;
    let fork =
        BeaconFork::ALL.into_iter().find(|fork| fork.number() == number).ok_or(BundleError::Fork(number))?;
    Ok(ForkBytes { fork, ssz: read_item(reader, 10)? })
}

fn read_item(reader: &mut Reader<'_>, key: u64) -> Result<Vec<u8>, BundleError> {
    match reader.bytes()? {
        item if item.len() > EVM_NODE_BYTES_MAX => Err(BundleError::ItemBytes { key, bytes: item.len() }),
        item => Ok(item.to_vec()),
    }
}
