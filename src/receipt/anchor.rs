//! What a receipt carries of one anchor: the statement that was fixed outside, the way from the entry to it, and its proof.
//!
//! Guarantees: the parts are bounded and have their forms; the statement decodes. Does not do: holding the parts against
//! each other or against anybody's keys; that is `verify::receipt`.

use crate::anchor::statement::{AnchorKind, LaneName, Statement};
use crate::checkpoint::SignedCheckpoint;
use crate::encoding::{base64_decode, base64_encode};
use crate::limits::{ANCHOR_HEADERS_BYTES_MAX, ANCHOR_PROOF_BYTES_MAX};

use super::json;
use super::{ReceiptError, TlogProof};

/// One anchor of a receipt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiptAnchor {
    kind: String,
    statement_bytes: Vec<u8>,
    statement: Statement,
    inclusion: TlogProof,
    checkpoint: SignedCheckpoint,
    proof: Vec<u8>,
    headers: Option<Vec<u8>>,
}

impl ReceiptAnchor {
    /// Puts an anchor together: the word of its kind, the statement's exact bytes, the proof that the tree which it fixes
    /// has the receipt's entry, the kind's own proof, and block headers where that needs them.
    ///
    /// # Errors
    /// Says which part is malformed.
    pub fn new(
        kind: &str,
        statement: Vec<u8>,
        inclusion: TlogProof,
        proof: Vec<u8>,
        headers: Option<Vec<u8>>,
    ) -> Result<Self, AnchorPartError> {
        // Kinds that this build does not know may come later, in words of the same letters.
        LaneName::parse(kind).map_err(|_| AnchorPartError::Kind)?;
        let decoded = Statement::decode(&statement).map_err(AnchorPartError::Statement)?;
        if inclusion.extra.is_some() {
            return Err(AnchorPartError::Extra);
        }
        let checkpoint =
            SignedCheckpoint::parse(inclusion.checkpoint.as_bytes()).map_err(AnchorPartError::Checkpoint)?;
        let headers_len = headers.as_ref().map_or(0, Vec::len);
        if proof.is_empty() || proof.len() > ANCHOR_PROOF_BYTES_MAX || headers_len > ANCHOR_HEADERS_BYTES_MAX
        {
            return Err(AnchorPartError::Proof);
        }
        Ok(Self {
            kind: kind.to_owned(),
            statement_bytes: statement,
            statement: decoded,
            inclusion,
            checkpoint,
            proof,
            headers,
        })
    }

    /// The kind's word, known to this build or not.
    #[must_use]
    pub fn kind_word(&self) -> &str {
        &self.kind
    }

    /// The kind, if this build knows it.
    #[must_use]
    pub fn kind(&self) -> Option<AnchorKind> {
        AnchorKind::from_word(&self.kind)
    }

    /// The statement's exact bytes; their hash is what was fixed.
    #[must_use]
    pub fn statement_bytes(&self) -> &[u8] {
        &self.statement_bytes
    }

    /// The statement.
    #[must_use]
    pub const fn statement(&self) -> &Statement {
        &self.statement
    }

    /// The inclusion proof of the receipt's entry in the tree that the statement fixes, with that tree's checkpoint.
    #[must_use]
    pub const fn inclusion(&self) -> &TlogProof {
        &self.inclusion
    }

    /// The signed checkpoint of that tree.
    #[must_use]
    pub const fn checkpoint(&self) -> &SignedCheckpoint {
        &self.checkpoint
    }

    /// The kind's own proof: a timestamp reply, an OpenTimestamps file, an EVM bundle.
    #[must_use]
    pub fn proof(&self) -> &[u8] {
        &self.proof
    }

    /// The block headers, where the proof needs them.
    #[must_use]
    pub fn headers(&self) -> Option<&[u8]> {
        self.headers.as_deref()
    }

    /// As it stands in the file.
    pub(super) fn to_json(&self) -> json::Anchor {
        json::Anchor {
            kind: self.kind.clone(),
            statement: base64_encode(&self.statement_bytes),
            tlog_proof: self.inclusion.to_string(),
            proof: base64_encode(&self.proof),
            headers: self.headers.as_deref().map(base64_encode),
        }
    }

    /// The `number`th anchor of a file, counted from 1.
    pub(super) fn read(anchor: &json::Anchor, number: usize) -> Result<Self, ReceiptError> {
        let wrong = |fault| ReceiptError::Anchor { number, fault };
        let bytes = |text: &str| base64_decode(text).map_err(|_| wrong(AnchorPartError::Base64));
        let inclusion =
            anchor.tlog_proof.parse().map_err(|error| wrong(AnchorPartError::TlogProof(error)))?;
        let headers = anchor.headers.as_deref().map(bytes).transpose()?;
        Self::new(&anchor.kind, bytes(&anchor.statement)?, inclusion, bytes(&anchor.proof)?, headers)
            .map_err(wrong)
    }
}

/// What is wrong with the form of an anchor in a receipt.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AnchorPartError {
    /// The kind is no word.
    #[error("its kind is not a word of a-z 0-9 -")]
    Kind,
    /// A part is not canonical base64.
    #[error("a part of it is not canonical base64")]
    Base64,
    /// The statement does not decode.
    #[error("its statement: {0}")]
    Statement(crate::anchor::statement::StatementError),
    /// The inclusion proof is malformed.
    #[error("{0}")]
    TlogProof(super::TlogProofError),
    /// The inclusion proof carries an `extra` line, which nothing authenticates.
    #[error("its inclusion proof carries an extra line, which receipts do not have")]
    Extra,
    /// The checkpoint is malformed.
    #[error("its checkpoint: {0}")]
    Checkpoint(crate::checkpoint::CheckpointError),
    /// The proof is empty, or it or its headers are larger than any can be.
    #[error("its proof is empty, or larger than any can be")]
    Proof,
}

impl AnchorPartError {
    /// What the reader must do about it.
    #[must_use]
    pub const fn code(&self) -> crate::code::Code {
        match self {
            Self::Statement(source) => source.code(),
            Self::TlogProof(source) => source.code(),
            Self::Checkpoint(source) => source.code(),
            Self::Proof => crate::code::Code::Limit,
            _ => crate::code::Code::Malformed,
        }
    }
}
