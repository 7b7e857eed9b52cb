//! Who may approve what: as the configuration has it, with names, and as the log has it, without.
//!
//! Guarantees: the public form depends on keys, persons and rules alone, not on names or the order of lines, so that renaming
//! somebody is no change; it has one encoding, and its digest names it.

use std::collections::{BTreeMap, BTreeSet};

use super::change::ChangeKind;
use super::error::{ApprovalError, RosterError};
use super::recorded::{Recorded, RecordedSignature};
use super::rule::{Rule, is_name};
use super::statement::Approvals;
use crate::encoding::cbor::{CborError, Reader, Writer};
use crate::hash::Hash;
use crate::limits::{APPROVAL_SIGNATURES_MAX, APPROVERS_BYTES_MAX, APPROVERS_MAX, ROSTER_BYTES_MAX};
use crate::note::{KeyName, SignatureType, VerifierKey};

/// The first item of the public form.
const DOMAIN: &str = "ledgerstone/roster/v1";

/// Bytes of an Ed25519 public key.
const KEY_BYTES: usize = 32;

/// A key of somebody who may approve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approver {
    /// The person's name in the configuration; several keys of one person have the same.
    pub name: String,
    /// The key: Ed25519 over the text of notes (type 0x01).
    pub key: VerifierKey,
}

/// Approvers and rules as the configuration has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roster {
    /// By rising public key.
    approvers: Vec<Approver>,
    public: PublicRoster,
}

impl Roster {
    /// Puts approvers and rules together. `file` has one `approver NAME VKEY` a line, empty lines and comments behind `#`.
    ///
    /// # Errors
    /// [`RosterError`] says which line or rule is wrong.
    pub fn new(file: &[u8], rules: &BTreeMap<ChangeKind, Rule>) -> Result<Self, RosterError> {
        let mut approvers = approvers(file)?;
        approvers.sort_by(|one, other| one.key.public_key().cmp(other.key.public_key()));
        let mut persons: Vec<&str> = Vec::new();
        let mut keys = Vec::with_capacity(approvers.len());
        for approver in &approvers {
            let person = persons.iter().position(|name| *name == approver.name).unwrap_or_else(|| {
                persons.push(&approver.name);
                persons.len() - 1
            });
            let key =
                <[u8; KEY_BYTES]>::try_from(approver.key.public_key()).map_err(|_| RosterError::KeyRole)?;
            keys.push((person, key));
        }
        let mut public = BTreeMap::new();
        for (kind, rule) in rules {
            let known = |name: &String| persons.iter().position(|person| person == name);
            let unknown = |name: &String| RosterError::Unknown { kind: *kind, name: name.clone() };
            let of: Result<BTreeSet<usize>, _> =
                rule.names().iter().map(|name| known(name).ok_or_else(|| unknown(name))).collect();
            public.insert(*kind, PublicRule { threshold: rule.threshold(), persons: of? });
        }
        if !public.contains_key(&ChangeKind::Roster) {
            return Err(RosterError::NoRosterRule);
        }
        Ok(Self { approvers, public: PublicRoster { keys, rules: public } })
    }

    /// The same without names.
    #[must_use]
    pub const fn public(&self) -> &PublicRoster {
        &self.public
    }

    /// Whether enough have signed what `approvals` approve; whether it can still be used is not asked.
    ///
    /// # Errors
    /// [`ApprovalError`] says what lacks.
    pub fn accepts(&self, approvals: &Approvals) -> Result<(), ApprovalError> {
        self.public.accept(approvals, &BTreeSet::new(), Some(self)).map(drop)
    }

    /// Every key with the name of whose it is.
    #[must_use]
    pub fn approvers(&self) -> &[Approver] {
        &self.approvers
    }
}

fn approvers(file: &[u8]) -> Result<Vec<Approver>, RosterError> {
    if file.len() > APPROVERS_BYTES_MAX {
        return Err(RosterError::TooLong { bytes: file.len() });
    }
    let text = core::str::from_utf8(file).map_err(|_| RosterError::NotUtf8)?;
    let mut approvers: Vec<Approver> = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let wrong = |fault| RosterError::Line { number: at + 1, fault: Box::new(fault) };
        let (name, key) = match words.as_slice() {
            [] => continue,
            [first, ..] if first.starts_with('#') => continue,
            ["approver", name, key] => (*name, *key),
            _ => return Err(wrong(RosterError::Words)),
        };
        if !is_name(name) {
            return Err(wrong(RosterError::Name));
        }
        let key: VerifierKey = key.parse().map_err(|error| wrong(RosterError::Key(error)))?;
        if key.signature_type() != SignatureType::Ed25519 {
            return Err(wrong(RosterError::KeyRole));
        }
        if approvers.iter().any(|known| known.key.public_key() == key.public_key()) {
            return Err(wrong(RosterError::DuplicateKey));
        }
        if approvers.len() == APPROVERS_MAX {
            return Err(wrong(RosterError::TooMany));
        }
        approvers.push(Approver { name: name.to_owned(), key });
    }
    Ok(approvers)
}

/// Who may approve what, as the log has it: public keys, which of them are one person's, and rules over persons.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PublicRoster {
    /// Person and key, by rising key; persons are numbered as they come.
    keys: Vec<(usize, [u8; KEY_BYTES])>,
    rules: BTreeMap<ChangeKind, PublicRule>,
}

/// So many of these persons.
#[derive(Clone, Debug, PartialEq, Eq)]
struct PublicRule {
    threshold: usize,
    persons: BTreeSet<usize>,
}

impl PublicRoster {
    /// The roster of a log that asks for no approval: no keys, no rules.
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }

    /// Whether it asks for no approval of anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// How many must approve a change of `kind`, and out of how many; none if nobody has to.
    #[must_use]
    pub fn rule(&self, kind: ChangeKind) -> Option<(usize, usize)> {
        self.rules.get(&kind).map(|rule| (rule.threshold, rule.persons.len()))
    }

    /// How many keys there are.
    #[must_use]
    pub fn keys(&self) -> usize {
        self.keys.len()
    }

    pub(super) fn public_keys(&self) -> impl Iterator<Item = [u8; KEY_BYTES]> {
        self.keys.iter().map(|(_, key)| *key)
    }

    /// What names it: SHA-256 of its bytes.
    #[must_use]
    pub fn digest(&self) -> Hash {
        Hash::of(&self.to_bytes())
    }

    /// Deterministic CBOR: `["ledgerstone/roster/v1", [[person, key], ...], {kind: [threshold, [person, ...]]}]`.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut writer = Writer::with_capacity(256);
        writer.array(3).text(DOMAIN).array(self.keys.len());
        for (person, key) in &self.keys {
            writer.array(2).uint(*person as u64).bytes(key);
        }
        writer.map(self.rules.len());
        for (kind, rule) in &self.rules {
            writer.uint(kind.number()).array(2).uint(rule.threshold as u64).array(rule.persons.len());
            for person in &rule.persons {
                writer.uint(*person as u64);
            }
        }
        writer.into_bytes()
    }

    /// Reads a roster from its exact bytes.
    ///
    /// # Errors
    /// [`RosterError`] for anything else than what [`PublicRoster::to_bytes`] gives for a roster that makes sense.
    pub fn parse(bytes: &[u8]) -> Result<Self, RosterError> {
        if bytes.len() > ROSTER_BYTES_MAX {
            return Err(RosterError::TooLong { bytes: bytes.len() });
        }
        let roster = Self::read(bytes)?;
        let rises = roster.keys.is_sorted_by(|(_, one), (_, other)| one < other);
        let mut persons = 0;
        for (person, _) in &roster.keys {
            match person.cmp(&persons) {
                core::cmp::Ordering::Less => {}
                core::cmp::Ordering::Equal => persons += 1,
                core::cmp::Ordering::Greater => return Err(RosterError::Public),
            }
        }
        let holds = |rule: &PublicRule| {
            (1..=rule.persons.len()).contains(&rule.threshold)
                && rule.threshold <= APPROVAL_SIGNATURES_MAX
                && rule.persons.iter().all(|person| *person < persons)
        };
        let is_whole = roster.rules.contains_key(&ChangeKind::Roster) || roster == Self::empty();
        let is_one = rises && roster.rules.values().all(holds) && is_whole && roster.to_bytes() == bytes;
        if is_one { Ok(roster) } else { Err(RosterError::Public) }
    }

    fn read(bytes: &[u8]) -> Result<Self, RosterError> {
        let mut reader = Reader::new(bytes);
        reader.array_of(3)?;
        if reader.text()? != DOMAIN {
            return Err(RosterError::Public);
        }
        let count = bounded(reader.array()?)?;
        let mut keys = Vec::with_capacity(count);
        for _ in 0..count {
            reader.array_of(2)?;
            keys.push((small(&mut reader)?, reader.byte_array()?));
        }
        let (mut map, mut rules) = (reader.map()?, BTreeMap::new());
        while let Some(kind) = map.next_key(&mut reader, Reader::uint)? {
            let kind = ChangeKind::from_number(kind).ok_or(RosterError::Public)?;
            reader.array_of(2)?;
            let threshold = small(&mut reader)?;
            let mut persons = BTreeSet::new();
            for _ in 0..bounded(reader.array()?)? {
                persons.insert(small(&mut reader)?);
            }
            rules.insert(kind, PublicRule { threshold, persons });
        }
        reader.finish()?;
        Ok(Self { keys, rules })
    }

    /// Whether the signatures, each over `statement`, are of enough persons for a change of `kind`.
    ///
    /// # Errors
    /// [`ApprovalError`] says what lacks.
    pub(super) fn judge(&self, kind: ChangeKind, recorded: &Recorded) -> Result<(), ApprovalError> {
        let rule = self.rules.get(&kind).ok_or(ApprovalError::NotAsked { kind })?;
        let (mut persons, mut again, mut beside) = (BTreeSet::new(), false, false);
        for RecordedSignature { key, bytes } in &recorded.signatures {
            let (person, public) = self.keys.get(usize::from(*key)).ok_or(ApprovalError::NoSuchKey)?;
            if !verifies(public, recorded.statement.as_bytes(), bytes) {
                return Err(ApprovalError::Signature);
            }
            if rule.persons.contains(person) {
                again |= !persons.insert(*person);
            } else {
                beside = true;
            }
        }
        let (have, need) = (persons.len(), rule.threshold);
        match (have >= need, again, beside) {
            (true, ..) => Ok(()),
            (false, true, _) => Err(ApprovalError::SamePerson { have, need }),
            (false, false, true) => Err(ApprovalError::NotOfRule { kind, have, need }),
            (false, false, false) => Err(ApprovalError::TooFew { have, need }),
        }
    }
}

impl PublicRoster {
    /// The signatures of `approvals` that are of keys in this roster, as they are recorded, if they are enough for the change.
    /// `former` are keys of earlier rosters; `named` says whose a signature claims to be.
    ///
    /// # Errors
    /// [`ApprovalError`] says what lacks.
    pub(super) fn accept(
        &self,
        approvals: &Approvals,
        former: &BTreeSet<[u8; KEY_BYTES]>,
        named: Option<&Roster>,
    ) -> Result<Recorded, ApprovalError> {
        let (note, kind) = (approvals.note(), approvals.statement().change.kind());
        let text = note.text().as_bytes();
        let mut signatures: Vec<RecordedSignature> = Vec::new();
        let (mut unknown, mut removed, mut repeated) = (None, None, false);
        for signature in note.signatures() {
            let Some(place) = self.keys.iter().position(|(_, key)| verifies(key, text, signature.bytes()))
            else {
                let claimed = |approver: &Approver| {
                    approver.key.name() == signature.name() && approver.key.id() == signature.id()
                };
                if named.is_some_and(|named| named.approvers.iter().any(claimed)) {
                    return Err(ApprovalError::Signature);
                }
                let is_former = former.iter().any(|key| verifies(key, text, signature.bytes()));
                let slot = if is_former { &mut removed } else { &mut unknown };
                slot.get_or_insert_with(|| signature.name().clone());
                continue;
            };
            let key = u8::try_from(place).map_err(|_| ApprovalError::NoSuchKey)?;
            let bytes = <[u8; 64]>::try_from(signature.bytes()).map_err(|_| ApprovalError::Signature)?;
            if signatures.iter().any(|known| known.key == key) {
                repeated = true;
            } else if self.is_wanted(kind, place, &signatures) {
                signatures.push(RecordedSignature { key, bytes });
            }
        }
        let recorded = Recorded { statement: note.text().to_owned(), signatures };
        match self.judge(kind, &recorded) {
            Ok(()) => Ok(recorded),
            Err(error @ (ApprovalError::TooFew { .. } | ApprovalError::NotOfRule { .. })) => {
                Err(explained(error, removed, unknown, repeated))
            }
            Err(error) => Err(error),
        }
    }

    /// Whether a signature of the key at `place` is one to record: of whoever counts and did not sign with another key, while
    /// there is room; of others, while there is room beside those that are needed.
    fn is_wanted(&self, kind: ChangeKind, place: usize, recorded: &[RecordedSignature]) -> bool {
        let Some(rule) = self.rules.get(&kind) else { return false };
        let person = |place: usize| self.keys.get(place).map(|(person, _)| *person);
        let counted = |place: usize| person(place).filter(|person| rule.persons.contains(person));
        let persons: BTreeSet<usize> =
            recorded.iter().filter_map(|known| counted(usize::from(known.key))).collect();
        let room = APPROVAL_SIGNATURES_MAX.saturating_sub(recorded.len());
        let needed = rule.threshold.saturating_sub(persons.len());
        room > needed || (room > 0 && counted(place).is_some_and(|person| !persons.contains(&person)))
    }
}

/// Why too few signatures count, where there are others beside them.
fn explained(
    error: ApprovalError,
    removed: Option<KeyName>,
    unknown: Option<KeyName>,
    repeated: bool,
) -> ApprovalError {
    match (removed, unknown, error) {
        (Some(key), ..) => ApprovalError::Removed { key },
        (None, Some(key), _) => ApprovalError::Unknown { key },
        (None, None, ApprovalError::TooFew { have, need }) if repeated => {
            ApprovalError::SamePerson { have, need }
        }
        (None, None, error) => error,
    }
}

/// Whether an Ed25519 signature over exactly `message` is of `key`. The name of a key is in no signature.
fn verifies(key: &[u8; KEY_BYTES], message: &[u8], signature: &[u8]) -> bool {
    let named = KeyName::new("approver").ok();
    let key = named.and_then(|name| VerifierKey::new(name, SignatureType::Ed25519, key).ok());
    key.is_some_and(|key| key.verify_message(message, signature).is_ok())
}

fn bounded(count: usize) -> Result<usize, RosterError> {
    if count <= APPROVERS_MAX { Ok(count) } else { Err(RosterError::TooMany) }
}

fn small(reader: &mut Reader<'_>) -> Result<usize, CborError> {
    let at = reader.offset();
    let number = reader.uint()?;
    usize::try_from(number).ok().filter(|number| *number <= APPROVERS_MAX).ok_or(CborError::OutOfRange { at })
}
