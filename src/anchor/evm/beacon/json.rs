//! Light client data as a beacon API serves it: JSON, each item `{"version": fork, "data": …}`.
//!
//! Guarantees: every field that the type has is there and of its length. Does not do: refuse further fields, of which
//! servers send some; what is read here is checked or written anew as SSZ.

use serde_json::Value;

use super::super::bundle::BeaconFork;
use super::super::keccak::Word;
use super::spec::Preset;
use super::types::{
    BeaconHeader, Bootstrap, EXECUTION_DEPTH, ExecutionHeader, Header, KEY_BYTES, SyncAggregate,
    SyncCommittee, Text, Update, committee_depth, execution_fields, finality_depth,
};
use crate::code::Code;
use crate::encoding::hex_decode;
use crate::limits::{BEACON_JSON_BYTES_MAX, EVM_BEACON_UPDATES_MAX};

/// Why JSON is not light client data.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JsonError {
    /// More bytes than any answer has.
    #[error("more than {BEACON_JSON_BYTES_MAX} bytes: ask for fewer updates at once")]
    TooLong,
    /// Not JSON.
    #[error("not JSON: fetch it again")]
    Syntax,
    /// A field that is missing or not of its form.
    #[error("the field {0} is missing or not of its form")]
    Field(&'static str),
    /// A list of another length than its type has.
    #[error("the list {field} has {found} items where there must be {expected}")]
    Count {
        /// The field.
        field: &'static str,
        /// Items found.
        found: usize,
        /// Items that the type has.
        expected: usize,
    },
    /// A fork whose types cannot be read here.
    #[error("the types of fork {0} are not known: use a newer release")]
    Fork(String),
}

impl JsonError {
    /// What the reader must do next.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::TooLong => Code::Limit,
            Self::Fork(_) => Code::Unavailable,
            _ => Code::Malformed,
        }
    }
}

/// Reads the answer of `/eth/v1/beacon/light_client/finality_update`, or one item of `/…/updates`: with a next committee
/// where the JSON has one.
///
/// # Errors
/// [`JsonError`] for anything else.
pub fn update_from_json(text: &[u8], preset: &Preset) -> Result<Update, JsonError> {
    update(&parse(text)?, preset)
}

/// Reads the answer of `/eth/v1/beacon/light_client/updates`.
///
/// # Errors
/// [`JsonError`] for anything else, or more updates than a bundle may have.
pub fn updates_from_json(text: &[u8], preset: &Preset) -> Result<Vec<Update>, JsonError> {
    let value = parse(text)?;
    let items = value.as_array().ok_or(JsonError::Field("updates"))?;
    if items.len() > EVM_BEACON_UPDATES_MAX {
        return Err(JsonError::Count {
            field: "updates",
            found: items.len(),
            expected: EVM_BEACON_UPDATES_MAX,
        });
    }
    items.iter().map(|item| update(item, preset)).collect()
}

/// Reads the answer of `/eth/v1/beacon/light_client/bootstrap/{block_root}`.
///
/// # Errors
/// [`JsonError`] for anything else.
pub fn bootstrap_from_json(text: &[u8], preset: &Preset) -> Result<Bootstrap, JsonError> {
    let value = parse(text)?;
    let (fork, data) = versioned(&value)?;
    Ok(Bootstrap {
        fork,
        header: header(data, "header", fork)?,
        current_sync_committee: committee(field(data, "current_sync_committee")?, preset)?,
        branch: branch(data, "current_sync_committee_branch", committee_depth(fork))?,
    })
}

fn parse(text: &[u8]) -> Result<Value, JsonError> {
    if text.len() > BEACON_JSON_BYTES_MAX {
        return Err(JsonError::TooLong);
    }
    serde_json::from_slice(text).map_err(|_| JsonError::Syntax)
}

fn versioned(value: &Value) -> Result<(BeaconFork, &Value), JsonError> {
    let name = text(value, "version")?;
    let fork = BeaconFork::parse(name).ok_or_else(|| JsonError::Fork(name.chars().take(32).collect()))?;
    Ok((fork, field(value, "data")?))
}

fn update(value: &Value, preset: &Preset) -> Result<Update, JsonError> {
    let (fork, data) = versioned(value)?;
    let next = match data.get("next_sync_committee") {
        None => None,
        Some(next) => {
            let branch = branch(data, "next_sync_committee_branch", committee_depth(fork))?;
            Some((committee(next, preset)?, branch))
        }
    };
    let aggregate = field(data, "sync_aggregate")?;
    let bits = hex(aggregate, "sync_committee_bits")?;
    if bits.len() * 8 != preset.committee_size {
        return Err(JsonError::Field("sync_committee_bits"));
    }
    Ok(Update {
        fork,
        attested: header(data, "attested_header", fork)?,
        next,
        finalized: header(data, "finalized_header", fork)?,
        finality_branch: branch(data, "finality_branch", finality_depth(fork))?,
        aggregate: SyncAggregate { bits, signature: array(aggregate, "sync_committee_signature")? },
        signature_slot: uint(data, "signature_slot")?,
    })
}

fn header(data: &Value, name: &'static str, fork: BeaconFork) -> Result<Header, JsonError> {
    let value = field(data, name)?;
    let beacon = field(value, "beacon")?;
    Ok(Header {
        beacon: BeaconHeader {
            slot: uint(beacon, "slot")?,
            proposer_index: uint(beacon, "proposer_index")?,
            parent_root: array(beacon, "parent_root")?,
            state_root: array(beacon, "state_root")?,
            body_root: array(beacon, "body_root")?,
        },
        execution: execution(field(value, "execution")?, fork)?,
        execution_branch: branch(value, "execution_branch", EXECUTION_DEPTH)?,
    })
}

fn execution(value: &Value, fork: BeaconFork) -> Result<ExecutionHeader, JsonError> {
    let fields = execution_fields(fork).iter().map(|(name, length, form)| {
        let bytes = match form {
            Text::Hex => hex(value, name)?,
            Text::Decimal => decimal(text(value, name)?, *length).ok_or(JsonError::Field(name))?,
        };
        Ok(bytes)
    });
    let fields = fields.collect::<Result<_, JsonError>>()?;
    ExecutionHeader::from_fields(fork, fields).map_err(|_| JsonError::Field("execution"))
}

fn committee(value: &Value, preset: &Preset) -> Result<SyncCommittee, JsonError> {
    let keys = field(value, "pubkeys")?.as_array().ok_or(JsonError::Field("pubkeys"))?;
    if keys.len() != preset.committee_size {
        return Err(JsonError::Count {
            field: "pubkeys",
            found: keys.len(),
            expected: preset.committee_size,
        });
    }
    let pubkeys = keys
        .iter()
        .map(|key| bytes_of::<KEY_BYTES>(key.as_str()).ok_or(JsonError::Field("pubkeys")))
        .collect::<Result<_, _>>()?;
    Ok(SyncCommittee { pubkeys, aggregate_pubkey: array(value, "aggregate_pubkey")? })
}

fn branch(data: &Value, name: &'static str, depth: usize) -> Result<Vec<Word>, JsonError> {
    let items = field(data, name)?.as_array().ok_or(JsonError::Field(name))?;
    if items.len() != depth {
        return Err(JsonError::Count { field: name, found: items.len(), expected: depth });
    }
    items.iter().map(|item| bytes_of(item.as_str()).ok_or(JsonError::Field(name))).collect()
}

fn field<'a>(value: &'a Value, name: &'static str) -> Result<&'a Value, JsonError> {
    value.get(name).ok_or(JsonError::Field(name))
}

fn text<'a>(value: &'a Value, name: &'static str) -> Result<&'a str, JsonError> {
    field(value, name)?.as_str().ok_or(JsonError::Field(name))
}

fn uint(value: &Value, name: &'static str) -> Result<u64, JsonError> {
    text(value, name)?.parse().map_err(|_| JsonError::Field(name))
}

fn hex(value: &Value, name: &'static str) -> Result<Vec<u8>, JsonError> {
    let digits = text(value, name)?.strip_prefix("0x").ok_or(JsonError::Field(name))?;
    hex_decode(digits).map_err(|_| JsonError::Field(name))
}

fn array<const N: usize>(value: &Value, name: &'static str) -> Result<[u8; N], JsonError> {
    bytes_of(value.get(name).and_then(Value::as_str)).ok_or(JsonError::Field(name))
}

fn bytes_of<const N: usize>(text: Option<&str>) -> Option<[u8; N]> {
    hex_decode(text?.strip_prefix("0x")?).ok()?.try_into().ok()
}

/// A decimal number as `length` bytes, little-endian; `None` where it does not fit or is none.
fn decimal(text: &str, length: usize) -> Option<Vec<u8>> {
    if text.is_empty() || text.len() > 78 {
        return None;
    }
    let mut bytes = vec![0_u8; length];
    for digit in text.chars() {
        let mut carry = digit.to_digit(10)?;
        for byte in &mut bytes {
            let sum = u32::from(*byte) * 10 + carry;
            *byte = u8::try_from(sum & 0xff).ok()?;
            carry = sum >> 8;
        }
        if carry != 0 {
            return None;
        }
    }
    Some(bytes)
}
