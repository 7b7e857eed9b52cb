//! Blocks as an endpoint describes them, checked to be what their hash says.
//!
//! Guarantees: a [`Block`] that exists hashes to its block hash: its header is the raw RLP whose Keccak-256 hash was
//! computed here, so state root, receipts root, number and time are those of that hash and of nothing else.
//! Does not do: saying that the block is part of the chain; that is what [`super::view`] asks several endpoints for.
//! Implements: Ethereum yellow paper, section 4.4 (block header); EIP-1898 (blocks named by hash).

use alloy_consensus::Header;
use alloy_primitives::{B256, Bytes, keccak256};
use alloy_rlp::Decodable as _;
use ledgerstone::anchor::evm::rlp::{self, Item};
use ledgerstone::limits::EVM_HEADER_ITEMS_MAX;
use serde::Deserialize;
use serde_json::{Value, json};

use super::rpc::{ANSWER_BYTES_MAX, Endpoint, RpcError, RpcFault};

/// Bytes of one header's RLP. Today's have under 700; extra data of a consortium's chain carries its validators.
pub const HEADER_BYTES_MAX: usize = 16 * 1024;

/// Blocks of a chain on which none may be final yet: 32 epochs of 32 slots, where Ethereum needs three epochs.
pub const YOUNG_BLOCKS: u64 = 32 * 32;

/// What a node says for a tag that no block has yet: the code of the execution API's specification, or geth's words.
const UNKNOWN_BLOCK: i64 = -39_001;
const UNMARKED: [&str; 2] = ["safe block not found", "finalized block not found"];

/// Fields of a header since EIP-1559 gave it a base fee.
const FIELDS_WITH_BASE_FEE: usize = 16;

/// A block whose header was checked against its hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// Keccak-256 of the header's RLP.
    pub hash: B256,
    /// The header's RLP as it is hashed.
    pub raw: Bytes,
    /// The header's fields.
    pub header: Header,
}

impl Block {
    /// Its height.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.header.number
    }
}

/// Which block is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// The newest.
    Latest,
    /// The newest that a reorganisation is not expected to touch.
    Safe,
    /// The newest that no reorganisation touches unless a third of the stake is lost.
    Finalized,
    /// The block of this height in the endpoint's chain.
    Number(u64),
}

impl Wanted {
    fn param(self) -> Value {
        match self {
            Self::Latest => json!("latest"),
            Self::Safe => json!("safe"),
            Self::Finalized => json!("finalized"),
            Self::Number(number) => json!(format!("{number:#x}")),
        }
    }

    /// The word for messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Latest => "latest",
            Self::Safe => "safe",
            Self::Finalized => "finalized",
            Self::Number(_) => "numbered",
        }
    }
}

/// A block by its hash, as a parameter of a call (EIP-1898). The endpoint refuses it once it left the chain.
#[must_use]
pub fn at(hash: &B256) -> Value {
    json!({ "blockHash": hash, "requireCanonical": true })
}

/// The answer to `eth_getBlockByNumber`; other fields are ignored, because the hash decides.
#[derive(Deserialize)]
struct Described {
    hash: B256,
    #[serde(flatten)]
    header: Header,
}

/// Asks `endpoint` for a block. `None` if it has none there.
///
/// # Errors
/// [`BlockError`] if it does not answer, or what it answers is not the header that it says it is.
pub async fn fetch(endpoint: &Endpoint, wanted: Wanted) -> Result<Option<Block>, BlockError> {
    let params = json!([wanted.param(), false]);
    let answer: Option<Value> = endpoint.call("eth_getBlockByNumber", params, ANSWER_BYTES_MAX).await?;
    let Some(answer) = answer.filter(|answer| !answer.is_null()) else { return Ok(None) };
    let odd = || BlockError::Odd { endpoint: endpoint.name().to_owned() };
    let block = match described(&answer) {
        Some(block) => block,
        None => raw(endpoint, &answer).await?.ok_or_else(odd)?,
    };
    if matches!(wanted, Wanted::Number(number) if number != block.number()) {
        return Err(odd());
    }
    Ok(Some(block))
}

/// As [`fetch`]; where no block of a chain is safe or final yet, because it is young, its first block, which no
/// reorganisation touches.
///
/// # Errors
/// As [`fetch`].
pub async fn marked(endpoint: &Endpoint, wanted: Wanted) -> Result<Option<Block>, BlockError> {
    let found = fetch(endpoint, wanted).await;
    let is_unmarked = match &found {
        Ok(None) => true,
        Err(BlockError::Rpc(error)) => is_unmarked(&error.fault),
        _ => false,
    };
    if !is_unmarked || !matches!(wanted, Wanted::Safe | Wanted::Finalized) {
        return found;
    }
    match fetch(endpoint, Wanted::Latest).await? {
        Some(latest) if latest.number() < YOUNG_BLOCKS => fetch(endpoint, Wanted::Number(0)).await,
        _ => found,
    }
}

/// Whether the node says that no block has the tag.
fn is_unmarked(fault: &RpcFault) -> bool {
    match fault {
        RpcFault::Refused { code, message } => *code == UNKNOWN_BLOCK || UNMARKED.contains(&message.as_str()),
        _ => false,
    }
}

/// The block that an answer to `eth_getBlockByNumber` describes, if its fields hash to its hash.
#[must_use]
pub fn described(answer: &Value) -> Option<Block> {
    serde_json::from_value::<Described>(answer.clone()).ok().and_then(rebuild)
}

/// The header's RLP from its fields, if it hashes to what the endpoint says.
fn rebuild(described: Described) -> Option<Block> {
    let raw: Bytes = alloy_rlp::encode(&described.header).into();
    (keccak256(&raw) == described.hash).then_some(Block {
        hash: described.hash,
        raw,
        header: described.header,
    })
}

/// The header's RLP from the endpoint, for chains whose headers have fields that nobody here knows.
async fn raw(endpoint: &Endpoint, described: &Value) -> Result<Option<Block>, BlockError> {
    let Some(hash) = described.get("hash").and_then(Value::as_str).and_then(|hash| hash.parse::<B256>().ok())
    else {
        return Ok(None);
    };
    let params = json!([described.get("number")]);
    let raw: Bytes = match endpoint.call("debug_getRawHeader", params, 4 * HEADER_BYTES_MAX).await {
        Ok(raw) => raw,
        Err(_) => return Ok(None),
    };
    Ok(parse(raw).filter(|block| block.hash == hash))
}

/// Reads a header's RLP. Fields that a chain appends behind the known ones stay in the bytes that are hashed.
#[must_use]
pub fn parse(raw: Bytes) -> Option<Block> {
    if raw.len() > HEADER_BYTES_MAX {
        return None;
    }
    let header = Header::decode(&mut raw.as_ref()).ok().or_else(|| first_fields(&raw))?;
    Some(Block { hash: keccak256(&raw), raw, header })
}

/// The fields up to the base fee, or those of before it, of a header that goes on in a way of its own.
fn first_fields(raw: &[u8]) -> Option<Header> {
    let items = Item::decode(raw).ok()?.list().ok()?.items(EVM_HEADER_ITEMS_MAX).ok()?;
    [FIELDS_WITH_BASE_FEE, FIELDS_WITH_BASE_FEE - 1].into_iter().find_map(|count| {
        let mut fields = Vec::new();
        for item in items.get(..count)? {
            rlp::write_bytes(&mut fields, item.bytes().ok()?);
        }
        let mut list = Vec::with_capacity(raw.len());
        rlp::write_list(&mut list, &fields);
        Header::decode(&mut list.as_slice()).ok()
    })
}

/// Why a block cannot be had from an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BlockError {
    /// The endpoint did not answer.
    #[error(transparent)]
    Rpc(#[from] RpcError),
    /// The header does not hash to the block's hash.
    #[error(
        "{endpoint}: the block's header does not hash to the block's hash: the endpoint lies, or the chain's headers have \
         fields that only debug_getRawHeader gives and the endpoint does not offer it"
    )]
    Odd {
        /// Host and port.
        endpoint: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Header {
        Header {
            number: 7,
            timestamp: 1_700_000_000,
            base_fee_per_gas: Some(1_000_000_000),
            withdrawals_root: Some(B256::repeat_byte(1)),
            ..Header::default()
        }
    }

    #[test]
    fn a_header_is_rebuilt_from_its_fields_or_not_at_all() {
        let mut json = serde_json::to_value(header()).unwrap();
        json["hash"] = json!(header().hash_slow());
        json["size"] = json!("0x200");
        let block = rebuild(serde_json::from_value(json.clone()).unwrap()).unwrap();
        assert_eq!((block.number(), block.hash), (7, header().hash_slow()));
        assert_eq!(parse(block.raw.clone()), Some(block));
        for (field, lie) in [
            ("stateRoot", json!(B256::repeat_byte(9))),
            ("number", json!("0x8")),
            ("timestamp", json!("0x1")),
            ("hash", json!(B256::repeat_byte(9))),
            ("withdrawalsRoot", Value::Null),
        ] {
            let mut json = json.clone();
            json[field] = lie;
            assert_eq!(serde_json::from_value(json).ok().and_then(rebuild), None, "{field}");
        }
    }

    #[test]
    fn fields_behind_the_known_ones_stay_in_what_is_hashed() {
        let known = Header { withdrawals_root: None, ..header() };
        let with = |more: &[&[u8]]| {
            let encoded = alloy_rlp::encode(&known);
            let items = Item::decode(&encoded).unwrap().list().unwrap().items(16).unwrap();
            let mut fields = Vec::new();
            items.iter().for_each(|item| rlp::write_bytes(&mut fields, item.bytes().unwrap()));
            more.iter().for_each(|field| rlp::write_bytes(&mut fields, field));
            let mut raw = Vec::new();
            rlp::write_list(&mut raw, &fields);
            raw
        };
        assert_eq!(with(&[]), alloy_rlp::encode(&known));
        for more in
            [&[&b"another chain's"[..]] as &[&[u8]], &[&[1; 32], b"\x05", b"\x06", b"more"], &[&b""[..]; 30]]
        {
            let raw = with(more);
            let block = parse(raw.clone().into()).unwrap();
            assert_eq!((block.hash, block.header), (keccak256(&raw), known.clone()), "{more:?}");
        }
        assert_eq!(parse(with(&[&b""[..]; 100]).into()), None, "too many fields");
        // A chain whose sixteenth field is another one has no base fee that is known.
        let mut fields = Vec::new();
        let encoded = alloy_rlp::encode(&known);
        let items = Item::decode(&encoded).unwrap().list().unwrap().items(16).unwrap();
        items.iter().take(15).for_each(|item| rlp::write_bytes(&mut fields, item.bytes().unwrap()));
        rlp::write_bytes(&mut fields, &[9; 32]);
        let mut raw = Vec::new();
        rlp::write_list(&mut raw, &fields);
        assert_eq!(parse(raw.into()).unwrap().header, Header { base_fee_per_gas: None, ..known });
    }

    #[test]
    fn malformed_raw_headers_are_refused() {
        let raw = alloy_rlp::encode(header());
        for end in 0..raw.len() {
            assert_eq!(parse(raw[..end].to_vec().into()), None, "{end}");
        }
        assert_eq!(parse(vec![0xc0; 1].into()), None);
        assert_eq!(parse(vec![0xff; HEADER_BYTES_MAX + 1].into()), None);
    }
}
