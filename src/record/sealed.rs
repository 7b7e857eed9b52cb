//! Which keys a sealed record is under, read from its header by somebody who has none of them.
//!
//! Guarantees: reads only what `docs/spec/sealed-record.md` admits. Does not do: opening anything.

use core::fmt;

use crate::code::Code;
use crate::encoding::cbor::{CborError, Reader};
use crate::limits::{SEALED_BYTES_MAX, SUBJECT_KEYS_MAX};

/// First byte: CBOR tag 16, `COSE_Encrypt0` (RFC 9052, section 2).
const TAG: u8 = 0xd0;

/// The protected header `{1 (alg): 3 (A256GCM)}`, encoded.
const PROTECTED: [u8; 3] = [0xa1, 0x01, 0x03];

/// Header label of the wrapped record key.
pub const LABEL_WRAPPED_KEY: i64 = -70_001;

/// Header label of the subject keys that the record key is wrapped under.
pub const LABEL_SUBJECT_KEYS: i64 = -70_002;

/// The name of a subject key: 16 random bytes, which say nothing about whose key it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubjectKeyId([u8; Self::LEN]);

impl SubjectKeyId {
    /// Bytes of a name.
    pub const LEN: usize = 16;

    /// Takes the bytes of a name.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }

    /// Reads names that stand behind each other; nothing if the last one is cut short.
    #[must_use]
    pub fn list(bytes: &[u8]) -> Option<Vec<Self>> {
        let (names, rest) = bytes.as_chunks::<{ Self::LEN }>();
        rest.is_empty().then(|| names.iter().copied().map(Self).collect())
    }

    /// Names behind each other.
    #[must_use]
    pub fn join(names: &[Self]) -> Vec<u8> {
        names.iter().flat_map(|name| name.0).collect()
    }
}

impl fmt::Display for SubjectKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// What the record key of a sealed record is wrapped under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SealedUnder {
    /// A key-encryption key itself.
    Provider,
    /// These subject keys together, each once: without any one of them the record does not open.
    Subjects(Vec<SubjectKeyId>),
}

impl SealedUnder {
    /// Bytes of a header: names of keys, and less than 2 KiB beside them.
    pub const HEADER_BYTES_MAX: usize = SUBJECT_KEYS_MAX * SubjectKeyId::LEN + 2048;

    /// Reads the header of a sealed record.
    ///
    /// # Errors
    /// [`SealedError`] if the bytes are no sealed record.
    pub fn read(sealed: &[u8]) -> Result<Self, SealedError> {
        if sealed.len() > SEALED_BYTES_MAX {
            return Err(SealedError::Form);
        }
        let (under, mut reader) = Self::header(sealed)?;
        reader.bytes()?;
        reader.finish()?;
        Ok(under)
    }

    /// Reads the header from the first bytes of a sealed record, at least [`SealedUnder::HEADER_BYTES_MAX`] of them where it has
    /// as many.
    ///
    /// # Errors
    /// [`SealedError`] if no sealed record begins like that.
    pub fn of_beginning(bytes: &[u8]) -> Result<Self, SealedError> {
        Self::header(bytes).map(|(under, _)| under)
    }

    fn header(sealed: &[u8]) -> Result<(Self, Reader<'_>), SealedError> {
        let rest = sealed.strip_prefix(&[TAG]).ok_or(SealedError::Form)?;
        let mut reader = Reader::new(rest);
        reader.array_of(3)?;
        if reader.bytes()? != PROTECTED {
            return Err(SealedError::Form);
        }
        let (mut kid, mut iv, mut wrapped, mut keys) = (false, false, false, None);
        let mut map = reader.map()?;
        while let Some(label) = map.next_key(&mut reader, Reader::int)? {
            let value = reader.bytes()?;
            match i64::try_from(label) {
                Ok(4) => kid = true,
                Ok(5) => iv = value.len() == 12,
                Ok(LABEL_WRAPPED_KEY) => wrapped = true,
                Ok(LABEL_SUBJECT_KEYS) => keys = Some(names(value)?),
                _ => return Err(SealedError::Form),
            }
        }
        match (keys, kid, iv && wrapped) {
            (None, true, true) => Ok((Self::Provider, reader)),
            (Some(keys), false, true) => Ok((Self::Subjects(keys), reader)),
            _ => Err(SealedError::Form),
        }
    }

    /// The subject keys, if it is under any.
    #[must_use]
    pub fn keys(&self) -> &[SubjectKeyId] {
        match self {
            Self::Provider => &[],
            Self::Subjects(keys) => keys,
        }
    }
}

fn names(bytes: &[u8]) -> Result<Vec<SubjectKeyId>, SealedError> {
    let names = SubjectKeyId::list(bytes).ok_or(SealedError::Form)?;
    let mut sorted = names.clone();
    sorted.sort_unstable();
    sorted.dedup();
    let fits = (1..=SUBJECT_KEYS_MAX).contains(&names.len()) && sorted.len() == names.len();
    if fits { Ok(names) } else { Err(SealedError::Form) }
}

/// Why bytes are no sealed record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealedError {
    /// Not deterministic CBOR.
    #[error("these bytes are not a sealed record: {0}")]
    Cbor(#[from] CborError),
    /// CBOR of another form.
    #[error("these bytes are not a sealed record; fetch them again")]
    Form,
}

impl SealedError {
    /// What the reader must do next.
    #[must_use]
    pub const fn code(self) -> Code {
        Code::Malformed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A sealed record with an empty ciphertext, its unprotected header made of `parts` (label and value, encoded).
    fn sealed(parts: &[&[u8]]) -> Vec<u8> {
        let count = u8::try_from(parts.len()).unwrap();
        [&[0xd0, 0x83, 0x43, 0xa1, 1, 3, 0xa0 + count][..], &parts.concat(), &[0x40]].concat()
    }

    const KID: &[u8] = &[4, 0x41, b'k'];
    const IV: &[u8] = &[5, 0x4c, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    const WRAPPED: &[u8] = &[0x3a, 0, 1, 0x11, 0x70, 0x41, 9];

    fn keys(count: u8) -> Vec<u8> {
        let bytes: Vec<u8> = (0..count).flat_map(|n| [n; 16]).collect();
        let mut head = vec![0x3a, 0, 1, 0x11, 0x71, 0x58, u8::try_from(bytes.len()).unwrap()];
        if bytes.len() < 24 {
            head.truncate(5);
            head.push(0x40 + u8::try_from(bytes.len()).unwrap());
        }
        [head, bytes].concat()
    }

    #[test]
    fn reads_which_keys_a_record_is_under() {
        assert_eq!(SealedUnder::read(&sealed(&[KID, IV, WRAPPED])), Ok(SealedUnder::Provider));
        for count in [1, 2, 15] {
            let under = SealedUnder::read(&sealed(&[IV, WRAPPED, &keys(count)])).unwrap();
            let names: Vec<_> = (0..count).map(|n| SubjectKeyId::from_bytes([n; 16])).collect();
            assert_eq!(under, SealedUnder::Subjects(names));
        }
    }

    #[test]
    fn refuses_headers_that_are_neither_form() {
        let twice = [&keys(1)[..5], &[0x58, 32], &[7; 32]].concat();
        let cut = [&keys(1)[..5], &[0x4f], &[7; 15]].concat();
        let cases: [&[&[u8]]; 9] = [
            &[],
            &[IV, WRAPPED],
            &[KID, WRAPPED],
            &[KID, IV],
            &[KID, IV, WRAPPED, &keys(1)],
            &[IV, WRAPPED, &keys(0)],
            &[IV, WRAPPED, &twice],
            &[IV, WRAPPED, &cut],
            &[WRAPPED, IV, &keys(1)],
        ];
        for parts in cases {
            assert!(SealedUnder::read(&sealed(parts)).is_err(), "{parts:?}");
        }
        let good = sealed(&[IV, WRAPPED, &keys(2)]);
        for length in 0..good.len() {
            assert!(SealedUnder::read(&good[..length]).is_err(), "{length} bytes");
        }
        assert!(SealedUnder::read(&[&good[..], &[0]].concat()).is_err());
    }
}
