//! The records of an EVM lane's journal.
//!
//! Guarantees: deterministic CBOR, one spelling per record; at most [`ANCHOR_RECORD_BYTES_MAX`] bytes. What decodes, encodes
//! to the same bytes. Does not do: checksums and lengths around a record, which are the journal's own.

use super::word::{Block, BlockHash, Fees, TransactionHash};
use crate::anchor::record::{Cursor, RecordError, Row};
use crate::anchor::schedule::Tip;
use crate::anchor::statement::Head;
use crate::hash::Hash;
use crate::limits::ANCHOR_TRANSACTION_BYTES_MAX;
use crate::time::UnixMillis;

/// One step of a lane, durable before anything follows from it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Record {
    /// The lane goes on from here; only ever the first record. What a journal that was cut short starts with.
    Resumed(Resumed),
    /// A statement is built.
    Planned {
        /// Its number, one above the last captured one.
        seq: u64,
        /// What it fixes.
        to: Head,
        /// Its hash.
        statement: Hash,
        /// When it was planned.
        at: UnixMillis,
    },
    /// A transaction for it is signed, and not sent yet.
    Signed(Attempt),
    /// An endpoint took that transaction.
    Broadcast {
        /// Which.
        transaction: TransactionHash,
    },
    /// The contract holds the statement.
    Mined(Place),
    /// A reorg took it back.
    Unmined {
        /// Where it was.
        block: Block,
    },
    /// It is in a safe block.
    Safe(Place),
    /// It is in a final block.
    Finalized(Place),
    /// Its proof bundle is durable, and every nonce signed for it is used up for good.
    Captured {
        /// Of which statement.
        seq: u64,
        /// When.
        at: UnixMillis,
    },
    /// Its entry is in the log.
    Appended {
        /// Of which statement.
        seq: u64,
    },
}

/// A transaction signed for a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// For which statement.
    pub seq: u64,
    /// The account's nonce. All transactions of one nonce are of one statement.
    pub nonce: u64,
    /// What it offers.
    pub fees: Fees,
    /// Its gas limit.
    pub gas: u64,
    /// Its hash.
    pub transaction: TransactionHash,
    /// Its bytes.
    pub raw: Vec<u8>,
    /// When it was signed.
    pub at: UnixMillis,
}

/// Where a statement was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The block of its transaction; where its receipt is not known, a block in whose state the contract holds it.
    pub block: Block,
    /// The transaction, where its receipt is known.
    pub transaction: Option<TransactionHash>,
}

/// All that a lane must know of what came before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resumed {
    /// The last captured statement.
    pub tip: Tip,
    /// When it was planned.
    pub planned_at: UnixMillis,
    /// The lowest nonce that may be signed for another statement.
    pub nonce_floor: u64,
    /// The UTC day, counted from 1970-01-01, that `gas_spent` is of.
    pub gas_day: u64,
    /// Gas signed for on that day.
    pub gas_spent: u64,
}

const RESUMED: u64 = 1;
const PLANNED: u64 = 2;
const SIGNED: u64 = 3;
const BROADCAST: u64 = 4;
const MINED: u64 = 5;
const UNMINED: u64 = 6;
const SAFE: u64 = 7;
const FINALIZED: u64 = 8;
const CAPTURED: u64 = 9;
const APPENDED: u64 = 10;

impl Record {
    /// The bytes that the journal keeps; at most [`ANCHOR_RECORD_BYTES_MAX`](crate::limits::ANCHOR_RECORD_BYTES_MAX).
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Resumed(resumed) => resumed.row().finish(),
            Self::Planned { seq, to, statement, at } => {
                Row::new(PLANNED, 5).uint(*seq).head(to).bytes(statement.as_bytes()).time(*at).finish()
            }
            Self::Signed(attempt) => attempt.row().finish(),
            Self::Broadcast { transaction } => Row::new(BROADCAST, 1).bytes(transaction.as_bytes()).finish(),
            Self::Mined(place) => place.row(MINED).finish(),
            Self::Unmined { block } => {
                Row::new(UNMINED, 2).uint(block.number).bytes(block.hash.as_bytes()).finish()
            }
            Self::Safe(place) => place.row(SAFE).finish(),
            Self::Finalized(place) => place.row(FINALIZED).finish(),
            Self::Captured { seq, at } => Row::new(CAPTURED, 2).uint(*seq).time(*at).finish(),
            Self::Appended { seq } => Row::new(APPENDED, 1).uint(*seq).finish(),
        }
    }

    /// Reads a record from its exact bytes.
    ///
    /// # Errors
    /// [`RecordError`] if the bytes are anything else than what [`Record::encode`] gives for some record.
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let (number, mut cursor) = Cursor::open(bytes)?;
        let record = match number {
            RESUMED => Self::Resumed(Resumed::read(&mut cursor)?),
            PLANNED => Self::Planned {
                seq: cursor.seq(1)?,
                to: cursor.head()?,
                statement: cursor.hash()?,
                at: cursor.time()?,
            },
            SIGNED => Self::Signed(Attempt::read(&mut cursor)?),
            BROADCAST => Self::Broadcast { transaction: TransactionHash::from_bytes(cursor.array()?) },
            MINED => Self::Mined(Place::read(&mut cursor)?),
            UNMINED => Self::Unmined { block: read_block(&mut cursor)? },
            SAFE => Self::Safe(Place::read(&mut cursor)?),
            FINALIZED => Self::Finalized(Place::read(&mut cursor)?),
            CAPTURED => Self::Captured { seq: cursor.seq(1)?, at: cursor.time()? },
            APPENDED => Self::Appended { seq: cursor.seq(1)? },
            found => return Err(RecordError::Unknown { found }),
        };
        cursor.finish()?;
        Ok(record)
    }
}

impl Attempt {
    fn row(&self) -> Row {
        Row::new(SIGNED, 8)
            .uint(self.seq)
            .uint(self.nonce)
            .wide(self.fees.max)
            .wide(self.fees.tip)
            .uint(self.gas)
            .bytes(self.transaction.as_bytes())
            .bytes(&self.raw)
            .time(self.at)
    }

    fn read(cursor: &mut Cursor<'_>) -> Result<Self, RecordError> {
        Ok(Self {
            seq: cursor.seq(1)?,
            nonce: cursor.uint()?,
            fees: Fees { max: cursor.wide()?, tip: cursor.wide()? },
            gas: cursor.uint()?,
            transaction: TransactionHash::from_bytes(cursor.array()?),
            raw: cursor.bytes(ANCHOR_TRANSACTION_BYTES_MAX)?.to_vec(),
            at: cursor.time()?,
        })
    }
}

impl Place {
    fn row(&self, number: u64) -> Row {
        let transaction = self.transaction.as_ref().map(|hash| hash.as_bytes().as_slice());
        Row::new(number, 3).uint(self.block.number).bytes(self.block.hash.as_bytes()).optional(transaction)
    }

    fn read(cursor: &mut Cursor<'_>) -> Result<Self, RecordError> {
        let block = read_block(cursor)?;
        Ok(Self { block, transaction: cursor.optional_array()?.map(TransactionHash::from_bytes) })
    }
}

impl Resumed {
    fn row(&self) -> Row {
        Row::new(RESUMED, 8)
            .tip(&self.tip)
            .time(self.planned_at)
            .uint(self.nonce_floor)
            .uint(self.gas_day)
            .uint(self.gas_spent)
    }

    fn read(cursor: &mut Cursor<'_>) -> Result<Self, RecordError> {
        Ok(Self {
            tip: cursor.tip()?,
            planned_at: cursor.time()?,
            nonce_floor: cursor.uint()?,
            gas_day: cursor.uint()?,
            gas_spent: cursor.uint()?,
        })
    }
}

fn read_block(cursor: &mut Cursor<'_>) -> Result<Block, RecordError> {
    Ok(Block { number: cursor.uint()?, hash: BlockHash::from_bytes(cursor.array()?) })
}

#[cfg(test)]
mod tests;
