//! Reads the lines of a policy file (tlog-policy, Policy file syntax and structure).

use std::collections::{BTreeMap, BTreeSet};

use super::{Group, LineFault, Log, Member, Opaque, Policy, PolicyError, Quorum, Witness};
use crate::cose::ReceiptKey;
use crate::encoding::base64_decode;
use crate::limits::{POLICY_BYTES_MAX, POLICY_ITEMS_MAX};
use crate::note::{KeyName, SignatureType, VerifierKey, VerifierKeyError};

/// The name that stands for "no cosignature is asked for".
pub(super) const NONE: &[u8] = b"none";

/// The first word of a line that names a receipt key. Readers that know tlog-policy alone take the line for a comment.
pub(super) const RECEIPT_KEY: &[u8] = b"#receipt-key";

pub(super) fn policy(bytes: &[u8]) -> Result<Policy, PolicyError> {
    if bytes.len() > POLICY_BYTES_MAX {
        return Err(PolicyError::TooLong { bytes: bytes.len() });
    }
    let control = |&byte: &u8| (byte < 0x20 && byte != b'\t' && byte != b'\n') || byte == 0x7f;
    if let Some(at) = bytes.iter().position(control) {
        return Err(PolicyError::ControlCharacter { at });
    }
    let lines = match bytes.strip_suffix(b"\n") {
        Some(lines) => lines,
        None if bytes.is_empty() => return Err(PolicyError::NoQuorum),
        None => return Err(PolicyError::NoFinalNewline),
    };
    let mut draft = Draft::default();
    for (at, line) in lines.split(|&byte| byte == b'\n').enumerate() {
        draft.line(line).map_err(|fault| PolicyError::Line { number: at + 1, fault })?;
    }
    Ok(Policy {
        logs: draft.logs,
        receipt_keys: draft.receipt_keys,
        witnesses: draft.witnesses,
        groups: draft.groups,
        quorum: draft.quorum.ok_or(PolicyError::NoQuorum)?,
    })
}

/// What the lines so far have defined.
#[derive(Default)]
struct Draft {
    logs: Vec<Log>,
    receipt_keys: Vec<ReceiptKey>,
    witnesses: Vec<Witness>,
    groups: Vec<Group>,
    quorum: Option<Quorum>,
    names: BTreeMap<Opaque, Member>,
    grouped: BTreeSet<Opaque>,
}

impl Draft {
    fn line(&mut self, line: &[u8]) -> Result<(), LineFault> {
        let words: Vec<&[u8]> =
            line.split(|&byte| byte == b' ' || byte == b'\t').filter(|word| !word.is_empty()).collect();
        match words.as_slice() {
            [] => Ok(()),
            [first, words @ ..] if *first == RECEIPT_KEY => self.receipt_key(words),
            [first, ..] if first.starts_with(b"#") => Ok(()),
            [b"log", key, url @ ..] => self.log(key, url),
            [b"witness", name, key, url @ ..] => self.witness(name, key, url),
            [b"group", name, threshold, members @ ..] => self.group(name, threshold, members),
            [b"quorum", name] => self.quorum(name),
            [b"log" | b"witness" | b"group" | b"quorum", ..] => Err(LineFault::Words),
            _ => Err(LineFault::Keyword),
        }
    }

    fn log(&mut self, key: &[u8], url: &[&[u8]]) -> Result<(), LineFault> {
        let key = vkey(key)?;
        if key.signature_type() == SignatureType::Ed25519Cosignature {
            return Err(LineFault::KeyRole);
        }
        self.fresh(key.public_key())?;
        room(self.logs.len())?;
        self.logs.push(Log { key, url: optional(url)? });
        Ok(())
    }

    fn receipt_key(&mut self, words: &[&[u8]]) -> Result<(), LineFault> {
        let [origin, cose_key] = words else { return Err(LineFault::ReceiptKey) };
        let text = |word| core::str::from_utf8(word).map_err(|_| LineFault::ReceiptKey);
        let origin = KeyName::new(text(origin)?).map_err(|_| LineFault::ReceiptKey)?;
        let cose_key = base64_decode(text(cose_key)?).map_err(|_| LineFault::ReceiptKey)?;
        let key = ReceiptKey::from_cose(origin, &cose_key).map_err(|_| LineFault::ReceiptKey)?;
        self.fresh(key.verifier_key().public_key())?;
        room(self.receipt_keys.len())?;
        self.receipt_keys.push(key);
        Ok(())
    }

    /// A key has one purpose: none is listed for a log twice, for receipts twice, or for both.
    fn fresh(&self, public: &[u8]) -> Result<(), LineFault> {
        let logs = self.logs.iter().map(|log| log.key.public_key());
        let mut known = logs.chain(self.receipt_keys.iter().map(|key| key.verifier_key().public_key()));
        if known.any(|known| known == public) { Err(LineFault::DuplicateKey) } else { Ok(()) }
    }

    fn witness(&mut self, name: &[u8], key: &[u8], url: &[&[u8]]) -> Result<(), LineFault> {
        let key = vkey(key)?;
        if key.signature_type() == SignatureType::Ed25519 {
            return Err(LineFault::KeyRole);
        }
        if self.witnesses.iter().any(|witness| witness.key.public_key() == key.public_key()) {
            return Err(LineFault::DuplicateKey);
        }
        room(self.witnesses.len())?;
        let url = optional(url)?;
        let name = self.define(name, Member::Witness(self.witnesses.len()))?;
        self.witnesses.push(Witness { name, key, url });
        Ok(())
    }

    fn group(&mut self, name: &[u8], threshold: &[u8], names: &[&[u8]]) -> Result<(), LineFault> {
        room(self.groups.len())?;
        if names.is_empty() {
            return Err(LineFault::Words);
        }
        let mut members = Vec::new();
        for name in names {
            members.push(self.defined(name)?);
            if !self.grouped.insert(Opaque(name.to_vec())) {
                return Err(LineFault::MemberTwice);
            }
        }
        let threshold = match threshold {
            b"all" => members.len(),
            b"any" => 1,
            number => threshold_number(number, members.len())?,
        };
        let name = self.define(name, Member::Group(self.groups.len()))?;
        self.groups.push(Group { name, threshold, members });
        Ok(())
    }

    fn quorum(&mut self, name: &[u8]) -> Result<(), LineFault> {
        if self.quorum.is_some() {
            return Err(LineFault::SecondQuorum);
        }
        self.quorum = Some(if name == NONE { Quorum::None } else { Quorum::Of(self.defined(name)?) });
        Ok(())
    }

    fn define(&mut self, name: &[u8], member: Member) -> Result<Opaque, LineFault> {
        if name == NONE {
            return Err(LineFault::ReservedName);
        }
        let name = Opaque(name.to_vec());
        match self.names.insert(name.clone(), member) {
            None => Ok(name),
            Some(_) => Err(LineFault::DuplicateName),
        }
    }

    fn defined(&self, name: &[u8]) -> Result<Member, LineFault> {
        if name == NONE {
            return Err(LineFault::ReservedName);
        }
        self.names.get(&Opaque(name.to_vec())).copied().ok_or(LineFault::UnknownName)
    }
}

fn vkey(word: &[u8]) -> Result<VerifierKey, LineFault> {
    let text = core::str::from_utf8(word).map_err(|_| LineFault::Key(VerifierKeyError::Parts))?;
    text.parse().map_err(LineFault::Key)
}

fn optional(words: &[&[u8]]) -> Result<Option<Opaque>, LineFault> {
    match words {
        [] => Ok(None),
        [word] => Ok(Some(Opaque(word.to_vec()))),
        _ => Err(LineFault::Words),
    }
}

fn room(taken: usize) -> Result<(), LineFault> {
    if taken < POLICY_ITEMS_MAX { Ok(()) } else { Err(LineFault::TooMany) }
}

/// A threshold in decimal without leading zeros, from 1 to `members`.
fn threshold_number(word: &[u8], members: usize) -> Result<usize, LineFault> {
    let text = core::str::from_utf8(word).map_err(|_| LineFault::Threshold)?;
    let number = crate::checkpoint::decimal(text).ok_or(LineFault::Threshold)?;
    let number = usize::try_from(number).map_err(|_| LineFault::Threshold)?;
    if (1..=members).contains(&number) { Ok(number) } else { Err(LineFault::Threshold) }
}
