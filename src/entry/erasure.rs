//! What the entries about keys say: that some were destroyed or why not, that they may not be, that they may again.
//!
//! Guarantees: nothing in them leads back to a person (INV-8): keys have random names, and the mark of a hold is an HMAC
//! under a secret that only the keyring has. Specification: `docs/spec/entry.md`.

use super::details::Left;
use super::{Detail, Details, EntryError, ErasureId, HoldId, KindDetails, RegisteredName};
use crate::limits::ERASURE_KEYS_MAX;
use crate::record::SubjectKeyId;

/// What an erasure was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ErasureScope {
    /// Everything about one person.
    Subject = 1,
    /// One decision and what was added to it.
    Record = 2,
    /// Records whose time is over.
    Expired = 3,
}

impl ErasureScope {
    const ALL: [Self; 3] = [Self::Subject, Self::Record, Self::Expired];

    /// The scope as a word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Subject => "subject",
            Self::Record => "record",
            Self::Expired => "expired",
        }
    }
}

/// Why keys were destroyed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ground {
    /// The person concerned asked for it (GDPR, Art. 17(1)).
    SubjectRequest = 1,
    /// Their retention class says that their time is over.
    RetentionExpired = 2,
    /// A court or an authority ordered it.
    LegalOrder = 3,
}

impl Ground {
    /// Every ground.
    pub const ALL: [Self; 3] = [Self::SubjectRequest, Self::RetentionExpired, Self::LegalOrder];

    /// The ground as a word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SubjectRequest => "subject-request",
            Self::RetentionExpired => "retention-expired",
            Self::LegalOrder => "legal-order",
        }
    }

    /// The ground that this word names.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|ground| ground.as_str() == word)
    }
}

/// How an erasure ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ErasureOutcome {
    /// The keys are destroyed.
    Erased = 1,
    /// Nothing was: a legal hold stands.
    Held = 2,
    /// Nothing was: a rule asks for the records to be kept (GDPR, Art. 17(3)(b)), such as SEC 17a-4.
    MustBeKept = 3,
}

impl ErasureOutcome {
    const ALL: [Self; 3] = [Self::Erased, Self::Held, Self::MustBeKept];

    /// The outcome as words.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Erased => "erased",
            Self::Held => "refused: a legal hold stands",
            Self::MustBeKept => "refused: a rule asks for the records to be kept",
        }
    }
}

/// What an erasure entry says. One erasure may take several entries, each with some of its keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErasureDetails {
    /// Which erasure.
    pub id: ErasureId,
    /// What it was asked for.
    pub scope: ErasureScope,
    /// Why.
    pub ground: Ground,
    /// Who asked the sidecar for it, as the operator names its people.
    pub operator: RegisteredName,
    /// How it ended.
    pub outcome: ErasureOutcome,
    /// Records, of all its entries, that no key opens any more; of a refusal, those that stay. At most: a record about several
    /// persons counts under the key of each, and again if it was closed before.
    pub records: u64,
    /// Which of its entries this is, counted from 0.
    pub part: u64,
    /// How many it has.
    pub parts: u64,
    /// The keys that were destroyed: at most [`ERASURE_KEYS_MAX`], none for a refusal.
    pub keys: Vec<SubjectKeyId>,
    /// Of a single record: the key that the other records of the one key destroyed are under since.
    pub successor: Option<SubjectKeyId>,
}

/// What a hold says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HoldDetails {
    /// Which hold.
    pub id: HoldId,
    /// Who asked for it.
    pub operator: RegisteredName,
    /// For everything about one person: an HMAC by which the keyring knows again whom it is for. None for one record.
    pub mark: Option<[u8; 32]>,
}

/// What a release says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReleaseDetails {
    /// Which hold ends.
    pub id: HoldId,
    /// Who asked for it.
    pub operator: RegisteredName,
}

impl KindDetails {
    /// Whether an entry about keys is about a single record.
    pub(super) const fn is_about_one(&self) -> bool {
        match self {
            Self::Erasure(erasure) => matches!(erasure.scope, ErasureScope::Record),
            Self::Hold(hold) => hold.mark.is_none(),
            _ => false,
        }
    }
}

impl Left<'_> {
    pub(super) fn erasure(&mut self) -> Result<ErasureDetails, EntryError> {
        let id = ErasureId::from_bytes(self.byte_array(1)?);
        let scope = self.one_of(2, &ErasureScope::ALL, |scope| *scope as u64)?;
        let ground = self.one_of(3, &Ground::ALL, |ground| *ground as u64)?;
        let operator = self.operator(4)?;
        let outcome = self.one_of(5, &ErasureOutcome::ALL, |outcome| *outcome as u64)?;
        let (records, part, parts) = (self.uint(6)?, self.uint(7)?, self.uint(8)?);
        if part >= parts {
            return Err(self.wrong(7));
        }
        let keys = match self.detail(9)? {
            Detail::Bytes(bytes) => SubjectKeyId::list(bytes).ok_or(self.wrong(9))?,
            _ => return Err(self.wrong(9)),
        };
        let is_erased = outcome == ErasureOutcome::Erased;
        let may = if is_erased { 1..=ERASURE_KEYS_MAX } else { 0..=0 };
        if !may.contains(&keys.len()) || (scope == ErasureScope::Record && keys.len() > 1) {
            return Err(self.wrong(9));
        }
        let successor = match self.details.value(10) {
            None => None,
            Some(_) if scope != ErasureScope::Record || !is_erased => return Err(self.wrong(10)),
            Some(_) => Some(SubjectKeyId::from_bytes(self.byte_array(10)?)),
        };
        Ok(ErasureDetails { id, scope, ground, operator, outcome, records, part, parts, keys, successor })
    }

    pub(super) fn hold(&mut self) -> Result<HoldDetails, EntryError> {
        let (id, operator) = (HoldId::from_bytes(self.byte_array(1)?), self.operator(2)?);
        let mark = match self.details.value(3) {
            None => None,
            Some(_) => Some(self.byte_array(3)?),
        };
        Ok(HoldDetails { id, operator, mark })
    }

    pub(super) fn release(&mut self) -> Result<ReleaseDetails, EntryError> {
        Ok(ReleaseDetails { id: HoldId::from_bytes(self.byte_array(1)?), operator: self.operator(2)? })
    }

    fn operator(&mut self, key: u64) -> Result<RegisteredName, EntryError> {
        RegisteredName::parse(self.text(key)?).map_err(|_| self.wrong(key))
    }

    fn one_of<T: Copy>(&mut self, key: u64, all: &[T], number: impl Fn(&T) -> u64) -> Result<T, EntryError> {
        let found = self.uint(key)?;
        all.iter().copied().find(|one| number(one) == found).ok_or(self.wrong(key))
    }
}

impl From<ErasureDetails> for Details {
    fn from(erasure: ErasureDetails) -> Self {
        let details = Self::new()
            .with(1, Detail::Bytes(erasure.id.as_bytes().to_vec()))
            .with(2, Detail::Uint(erasure.scope as u64))
            .with(3, Detail::Uint(erasure.ground as u64))
            .with(4, Detail::Text(erasure.operator.to_string()))
            .with(5, Detail::Uint(erasure.outcome as u64))
            .with(6, Detail::Uint(erasure.records))
            .with(7, Detail::Uint(erasure.part))
            .with(8, Detail::Uint(erasure.parts))
            .with(9, Detail::Bytes(SubjectKeyId::join(&erasure.keys)));
        match erasure.successor {
            None => details,
            Some(key) => details.with(10, Detail::Bytes(key.as_bytes().to_vec())),
        }
    }
}

impl From<HoldDetails> for Details {
    fn from(hold: HoldDetails) -> Self {
        let details = Self::new()
            .with(1, Detail::Bytes(hold.id.as_bytes().to_vec()))
            .with(2, Detail::Text(hold.operator.to_string()));
        match hold.mark {
            None => details,
            Some(mark) => details.with(3, Detail::Bytes(mark.to_vec())),
        }
    }
}

impl From<ReleaseDetails> for Details {
    fn from(release: ReleaseDetails) -> Self {
        Self::new()
            .with(1, Detail::Bytes(release.id.as_bytes().to_vec()))
            .with(2, Detail::Text(release.operator.to_string()))
    }
}
