//! Receipts: one file that proves, offline, what was recorded about one decision.
//!
//! Guarantees: a file parses only if writing its facts again gives the same bytes, so no byte of a receipt can be changed
//! without its being refused or another fact being stated; the facts repeated for readers (origin, decision id) equal
//! those in the signed parts. Does not do: believe anything; that is `verify::receipt`.
//! Specification: `docs/spec/receipt.md`.

mod anchor;
mod json;
mod later;
mod proof;

use crate::anchor::statement::AnchorKind;
use crate::checkpoint::{CheckpointError, SignedCheckpoint};
use crate::code::Code;
use crate::cose::{CoseReceipt, CoseReceiptError};
use crate::disclosure::{self, Disclosure, DisclosureError};
use crate::encoding::{base64_decode, base64_encode};
use crate::entry::{DecisionId, Entry, EntryError, Kind};
use crate::hash::Hash;
use crate::limits::{RECEIPT_ANCHORS_MAX, RECEIPT_BYTES_MAX, RECEIPT_LATER_MAX};
use crate::merkle::LeafIndex;
use crate::note::KeyName;
use crate::record::FieldPath;

pub use anchor::{AnchorPartError, ReceiptAnchor};
pub use later::{LaterEntry, LaterPartError};
pub use proof::{TlogProof, TlogProofError};

/// What the first key of a receipt says.
pub const RECEIPT_FORMAT: &str = "ledgerstone-receipt/v1";

/// A receipt: a decision's entry, the fields it discloses, and the proof that the log holds it.
///
/// Its parts fit each other's form; whether they are true is for `verify::receipt` to find out.
#[derive(Clone, Debug, PartialEq)]
pub struct Receipt {
    entry_bytes: Vec<u8>,
    entry: Entry,
    decision: DecisionId,
    disclosure: Disclosure,
    index: LeafIndex,
    proof: Vec<Hash>,
    checkpoint_note: String,
    checkpoint: SignedCheckpoint,
    cose: Option<CoseReceipt>,
    later: Vec<LaterEntry>,
    anchors: Vec<ReceiptAnchor>,
}

impl Receipt {
    /// Puts a receipt together: the entry's exact bytes, the fields to show, the entry's place and proof, and the signed
    /// checkpoint note that the proof leads to.
    ///
    /// # Errors
    /// When the entry is not a decision's or the note is not a checkpoint.
    pub fn new(
        entry_bytes: Vec<u8>,
        disclosure: Disclosure,
        index: LeafIndex,
        proof: Vec<Hash>,
        checkpoint_note: String,
    ) -> Result<Self, ReceiptError> {
        let entry = Entry::decode(&entry_bytes).map_err(ReceiptError::Entry)?;
        let decision = match entry {
            Entry { kind: Kind::Decision, decision: Some(decision), .. } => decision,
            _ => return Err(ReceiptError::NotADecision),
        };
        let checkpoint =
            SignedCheckpoint::parse(checkpoint_note.as_bytes()).map_err(ReceiptError::Checkpoint)?;
        let (later, anchors) = (Vec::new(), Vec::new());
        Ok(Self {
            entry_bytes,
            entry,
            decision,
            disclosure,
            index,
            proof,
            checkpoint_note,
            checkpoint,
            cose: None,
            later,
            anchors,
        })
    }

    /// The same receipt with this COSE receipt in place of its own.
    #[must_use]
    pub fn with_cose(mut self, cose: CoseReceipt) -> Self {
        self.cose = Some(cose);
        self
    }

    /// The same receipt with these anchors in place of its own; they are put in the order of their lanes.
    ///
    /// # Errors
    /// There are more than [`RECEIPT_ANCHORS_MAX`], or two of one lane.
    pub fn with_anchors(mut self, mut anchors: Vec<ReceiptAnchor>) -> Result<Self, ReceiptError> {
        anchors.sort_by(|one, other| one.statement().lane.cmp(&other.statement().lane));
        let twice = anchors
            .windows(2)
            .any(|pair| matches!(pair, [one, other] if one.statement().lane == other.statement().lane));
        if twice || anchors.len() > RECEIPT_ANCHORS_MAX {
            return Err(ReceiptError::Anchors);
        }
        self.anchors = anchors;
        Ok(self)
    }

    /// The same receipt with these entries, which were added to its decision, in place of its own; they are put in the order
    /// of the log.
    ///
    /// # Errors
    /// There are more than [`RECEIPT_LATER_MAX`], one twice, or one is about another decision.
    pub fn with_later(mut self, mut later: Vec<LaterEntry>) -> Result<Self, ReceiptError> {
        later.sort_by_key(LaterEntry::index);
        let twice = later.windows(2).any(|pair| matches!(pair, [one, other] if one.index() == other.index()));
        if twice || later.len() > RECEIPT_LATER_MAX {
            return Err(ReceiptError::TooMuchLater);
        }
        if let Some(at) = later.iter().position(|later| later.entry().decision != Some(self.decision)) {
            return Err(ReceiptError::Later { number: at + 1, fault: LaterPartError::NotOfDecision });
        }
        self.later = later;
        Ok(self)
    }

    /// The same receipt showing only the fields that `keep` selects, of those that it shows; an entry that was added and of
    /// which nothing is kept is left out. Its anchors stay.
    ///
    /// # Errors
    /// [`DisclosureError`] if its fields are not those of the entries' records, or nothing at all is kept.
    pub fn narrowed(mut self, keep: impl Fn(&FieldPath) -> bool) -> Result<Self, DisclosureError> {
        let mut later = Vec::with_capacity(self.later.len());
        for added in self.later {
            let Some(commitment) = added.entry().commitment else { continue };
            match disclosure::narrow(added.disclosure(), &commitment, &keep) {
                Ok(disclosure) => later.push(added.with(disclosure)),
                Err(DisclosureError::Nothing) => {}
                Err(error) => return Err(error),
            }
        }
        self.later = later;
        let commitment = self.entry.commitment.ok_or(DisclosureError::Nothing)?;
        self.disclosure = match disclosure::narrow(&self.disclosure, &commitment, &keep) {
            // A fact of what came later alone: of the decision's own record nothing is shown then.
            Err(DisclosureError::Nothing) if !self.later.is_empty() => Disclosure::default(),
            narrowed => narrowed?,
        };
        Ok(self)
    }

    /// Reads a receipt file.
    ///
    /// # Errors
    /// Says what of it is wrong; a file that is not in canonical form is refused too.
    pub fn parse(bytes: &[u8]) -> Result<Self, ReceiptError> {
        if bytes.len() > RECEIPT_BYTES_MAX {
            return Err(ReceiptError::TooLong { bytes: bytes.len() });
        }
        let file: json::File = serde_json::from_slice(bytes)
            .map_err(|error| ReceiptError::Json { line: error.line(), column: error.column() })?;
        if file.format != RECEIPT_FORMAT {
            return Err(ReceiptError::Format);
        }
        let entry = base64_decode(&file.entry).map_err(|_| ReceiptError::EntryBase64)?;
        let proof: TlogProof = file.tlog_proof.parse().map_err(ReceiptError::Proof)?;
        if proof.extra.is_some() {
            return Err(ReceiptError::Extra);
        }
        let receipt = Self::new(entry, file.disclosure()?, proof.index, proof.hashes, proof.checkpoint)?;
        let receipt = match file.cose()? {
            Some(cose) => receipt.with_cose(cose),
            None => receipt,
        };
        let receipt = receipt.with_later(file.later()?)?.with_anchors(file.anchors()?)?;
        if file.origin != receipt.origin().as_str() {
            return Err(ReceiptError::OtherOrigin);
        }
        if file.decision_id != receipt.decision.to_string() {
            return Err(ReceiptError::OtherDecision);
        }
        if receipt.to_json().as_bytes() != bytes {
            return Err(ReceiptError::NotCanonical);
        }
        Ok(receipt)
    }

    /// The receipt file's text.
    #[must_use]
    pub fn to_json(&self) -> String {
        let names = (self.origin().to_string(), self.decision.to_string());
        let proof = self.tlog_proof().to_string();
        let mut file = json::File::new(RECEIPT_FORMAT, names, &self.entry_bytes, &self.disclosure, proof);
        file.cose_receipt = self.cose.as_ref().map(|cose| base64_encode(&cose.encode()));
        file.later = self.later.iter().map(json::Later::new).collect();
        file.anchors = self.anchors.iter().map(ReceiptAnchor::to_json).collect();
        file.to_text()
    }

    /// The proof and the checkpoint as `c2sp.org/tlog-proof@v1`.
    #[must_use]
    pub fn tlog_proof(&self) -> TlogProof {
        TlogProof {
            extra: None,
            index: self.index,
            hashes: self.proof.clone(),
            checkpoint: self.checkpoint_note.clone(),
        }
    }

    /// The log whose receipt it is.
    #[must_use]
    pub const fn origin(&self) -> &KeyName {
        &self.checkpoint.checkpoint().origin
    }

    /// The decision it is about.
    #[must_use]
    pub const fn decision(&self) -> DecisionId {
        self.decision
    }

    /// The entry's exact bytes; their hash is the leaf.
    #[must_use]
    pub fn entry_bytes(&self) -> &[u8] {
        &self.entry_bytes
    }

    /// The entry.
    #[must_use]
    pub const fn entry(&self) -> &Entry {
        &self.entry
    }

    /// The fields shown, and their proof.
    #[must_use]
    pub const fn disclosure(&self) -> &Disclosure {
        &self.disclosure
    }

    /// The entry's place in the log.
    #[must_use]
    pub const fn index(&self) -> LeafIndex {
        self.index
    }

    /// The inclusion proof.
    #[must_use]
    pub fn proof(&self) -> &[Hash] {
        &self.proof
    }

    /// The checkpoint that the proof leads to, with its signatures.
    #[must_use]
    pub const fn checkpoint(&self) -> &SignedCheckpoint {
        &self.checkpoint
    }

    /// The same proof in the form of RFC 9942, where the log has a key for it.
    #[must_use]
    pub const fn cose(&self) -> Option<&CoseReceipt> {
        self.cose.as_ref()
    }

    /// What was added to the decision, in the order of the log.
    #[must_use]
    pub fn later(&self) -> &[LaterEntry] {
        &self.later
    }

    /// Where trees that have the entry were fixed outside, by lane; empty where it is not yet anchored.
    #[must_use]
    pub fn anchors(&self) -> &[ReceiptAnchor] {
        &self.anchors
    }

    /// The highest rung that the file claims. What holds of it is for `verify::receipt_with_anchors` to find out; whether
    /// witnesses saw the log too, only a policy can tell.
    #[must_use]
    pub fn rung(&self) -> Rung {
        let claimed = self.anchors.iter().map(|anchor| match anchor.kind() {
            Some(AnchorKind::Ethereum | AnchorKind::Bitcoin) => Rung::Anchored,
            Some(AnchorKind::Rfc3161) => Rung::Timestamped,
            _ => Rung::Included,
        });
        claimed.max().unwrap_or(Rung::Included)
    }
}

/// How far the log's head that covers a receipt's entry was fixed outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Rung {
    /// The file states a place in the log. Nobody whom the reader believes vouches for it.
    Sequenced,
    /// The entry stands in a tree that the log signed.
    Included,
    /// Enough witnesses saw that tree.
    Witnessed,
    /// A timestamp authority was shown a head that covers it.
    Timestamped,
    /// A public chain has one.
    Anchored,
}

impl Rung {
    /// The rung as a word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sequenced => "sequenced",
            Self::Included => "included",
            Self::Witnessed => "witnessed",
            Self::Timestamped => "timestamped",
            Self::Anchored => "anchored",
        }
    }

    /// What a receipt on this rung leaves open that a higher one would not.
    #[must_use]
    pub const fn does_not_prove(self) -> &'static str {
        match self {
            Self::Sequenced => {
                "that the entry is in the log: no signature was checked against a key that you trust"
            }
            Self::Included => "that the log shows everybody the same history, or when the entry was made",
            Self::Witnessed => "when the entry was made, beyond the word of the log and its witnesses",
            Self::Timestamped => {
                "more than one authority's word for the time; no public chain holds the log's head yet"
            }
            Self::Anchored => "when the entry was made more closely than by the block that came after it",
        }
    }
}

/// Why bytes are not a receipt.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiptError {
    /// More bytes than [`RECEIPT_BYTES_MAX`].
    #[error(
        "the file has {bytes} bytes, a receipt has at most {RECEIPT_BYTES_MAX}: check that this is a receipt"
    )]
    TooLong {
        /// How many bytes there were.
        bytes: usize,
    },
    /// Not JSON with a receipt's keys.
    #[error(
        "line {line}, column {column}: not a receipt's JSON; the file was changed or cut off, fetch it again"
    )]
    Json {
        /// The line, counted from 1.
        line: usize,
        /// The column, counted from 1.
        column: usize,
    },
    /// Another format or version.
    #[error("the format is not {RECEIPT_FORMAT}: use a verifier that knows this format")]
    Format,
    /// The entry is not canonical base64.
    #[error("the entry is not canonical base64: the file was changed, fetch it again")]
    EntryBase64,
    /// The entry does not decode.
    #[error("the entry: {0}")]
    Entry(EntryError),
    /// The entry is of another kind.
    #[error("the entry does not record a decision: receipts are given for decisions")]
    NotADecision,
    /// A field is malformed.
    #[error("field {number} is malformed: the file was changed, fetch it again")]
    Field {
        /// Which one, counted from 1.
        number: usize,
    },
    /// A hash of the field proof is malformed.
    #[error(
        "hash {number} of the field proof is not the base64 of 32 bytes: the file was changed, fetch it again"
    )]
    FieldProof {
        /// Which one, counted from 1.
        number: usize,
    },
    /// The tlog-proof is malformed.
    #[error("{0}")]
    Proof(TlogProofError),
    /// The tlog-proof carries an `extra` line, which nothing authenticates.
    #[error(
        "the proof carries an extra line, which receipts do not have: the file was changed, fetch it again"
    )]
    Extra,
    /// The COSE receipt is malformed.
    #[error("the COSE receipt: {0}; the file was changed, fetch it again")]
    Cose(CoseReceiptError),
    /// The COSE receipt is not canonical base64.
    #[error("the COSE receipt is not canonical base64: the file was changed, fetch it again")]
    CoseBase64,
    /// An anchor is malformed.
    #[error("anchor {number}: {fault}; the file was changed, fetch it again")]
    Anchor {
        /// Which one, counted from 1.
        number: usize,
        /// What of it is wrong.
        fault: AnchorPartError,
    },
    /// An entry that was added to the decision is malformed.
    #[error("later entry {number}: {fault}; the file was changed, fetch it again")]
    Later {
        /// Which one, counted from 1.
        number: usize,
        /// What of it is wrong.
        fault: LaterPartError,
    },
    /// Too many later entries, or one twice.
    #[error("a receipt has at most {RECEIPT_LATER_MAX} later entries, each once: fetch it again")]
    TooMuchLater,
    /// Too many anchors, or two of one lane.
    #[error("a receipt has at most {RECEIPT_ANCHORS_MAX} anchors, each of another lane: fetch it again")]
    Anchors,
    /// The checkpoint is malformed.
    #[error("the checkpoint: {0}")]
    Checkpoint(CheckpointError),
    /// The origin at the top is not the checkpoint's.
    #[error("the origin at the top is not that of the checkpoint: the file was changed, fetch it again")]
    OtherOrigin,
    /// The decision id at the top is not the entry's.
    #[error("the decision id at the top is not that of the entry: the file was changed, fetch it again")]
    OtherDecision,
    /// The facts are well formed but the file is not how Ledgerstone writes them.
    #[error("the file is not in canonical form: it was edited or reformatted, fetch it again")]
    NotCanonical,
}

impl ReceiptError {
    /// What the reader must do about it.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::TooLong { .. } => Code::Limit,
            Self::Entry(source) => source.code(),
            Self::Proof(source) => source.code(),
            Self::Checkpoint(source) => source.code(),
            Self::Cose(source) => source.code(),
            Self::Anchor { fault, .. } => fault.code(),
            Self::Later { fault, .. } => fault.code(),
            Self::OtherOrigin | Self::OtherDecision => Code::Inconsistent,
            _ => Code::Malformed,
        }
    }
}
