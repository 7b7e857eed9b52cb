//! A strict reader and a small writer of DER (ITU-T X.690, sections 8 to 11).
//!
//! Guarantees: lengths and tags have one spelling, integers and object identifiers too, and [`Fields::end`] refuses what
//! is left over. Does not do: BER, which some authorities once wrote; the order within a SET OF, which is signed where
//! it matters.

use der::asn1::{AnyRef, ObjectIdentifier};
use der::{Reader as _, SliceReader, Tag, TagNumber, Tagged as _};

/// A part that is not in the form its specification gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed(pub(super) &'static str);

/// The fields of one constructed value, read from the first to the last.
pub(super) struct Fields<'a> {
    reader: SliceReader<'a>,
    part: &'static str,
}

/// The tag `[number]` around a constructed value.
pub(super) const fn constructed(number: u32) -> Tag {
    Tag::ContextSpecific { constructed: true, number: TagNumber(number) }
}

/// The tag `[number]` of a primitive value.
pub(super) const fn primitive(number: u32) -> Tag {
    Tag::ContextSpecific { constructed: false, number: TagNumber(number) }
}

impl<'a> Fields<'a> {
    /// Reads what a constructed value holds; `part` names it in errors.
    pub(super) fn of(contents: &'a [u8], part: &'static str) -> Result<Self, Malformed> {
        Ok(Self { reader: SliceReader::new(contents).map_err(|_| Malformed(part))?, part })
    }

    /// Reads the fields of the SEQUENCE that `bytes` are, to their end.
    pub(super) fn sequence_of(bytes: &'a [u8], part: &'static str) -> Result<Self, Malformed> {
        let mut outer = Self::of(bytes, part)?;
        let fields = outer.sequence(part)?;
        outer.end()?;
        Ok(fields)
    }

    /// The next value's tag and contents.
    pub(super) fn any(&mut self) -> Result<(Tag, &'a [u8]), Malformed> {
        let any: AnyRef<'a> = self.reader.decode().map_err(|_| Malformed(self.part))?;
        Ok((any.tag(), any.value()))
    }

    /// The next value with its tag and length.
    pub(super) fn whole(&mut self) -> Result<&'a [u8], Malformed> {
        self.reader.tlv_bytes().map_err(|_| Malformed(self.part))
    }

    /// The contents of the next value, which must have `tag`.
    pub(super) fn value(&mut self, tag: Tag) -> Result<&'a [u8], Malformed> {
        match self.any()? {
            (found, value) if found == tag => Ok(value),
            _ => Err(Malformed(self.part)),
        }
    }

    /// The contents of the next value if it has `tag`.
    pub(super) fn optional(&mut self, tag: Tag) -> Result<Option<&'a [u8]>, Malformed> {
        if self.is_next(tag) { self.value(tag).map(Some) } else { Ok(None) }
    }

    /// Whether a value with `tag` comes next.
    pub(super) fn is_next(&self, tag: Tag) -> bool {
        !self.is_finished() && Tag::peek(&self.reader).is_ok_and(|next| next == tag)
    }

    pub(super) fn is_finished(&self) -> bool {
        self.reader.is_finished()
    }

    /// The fields of the next value, a SEQUENCE.
    pub(super) fn sequence(&mut self, part: &'static str) -> Result<Fields<'a>, Malformed> {
        Fields::of(self.value(Tag::Sequence)?, part)
    }

    /// An INTEGER's contents, in as few bytes as its value needs.
    pub(super) fn integer(&mut self) -> Result<&'a [u8], Malformed> {
        let value = self.value(Tag::Integer)?;
        canonical_integer(value).ok_or(Malformed(self.part))
    }

    /// An INTEGER from 0 to 2^64 - 1.
    pub(super) fn unsigned(&mut self) -> Result<u64, Malformed> {
        let value = self.integer()?;
        unsigned(value).ok_or(Malformed(self.part))
    }

    pub(super) fn oid(&mut self) -> Result<ObjectIdentifier, Malformed> {
        let value = self.value(Tag::ObjectIdentifier)?;
        oid(value).ok_or(Malformed(self.part))
    }

    /// A BIT STRING of whole bytes.
    pub(super) fn bits(&mut self) -> Result<&'a [u8], Malformed> {
        match self.value(Tag::BitString)?.split_first() {
            Some((0, bits)) => Ok(bits),
            _ => Err(Malformed(self.part)),
        }
    }

    /// A BOOLEAN whose DEFAULT is FALSE. A FALSE that is written out is taken too: signed structures carry it.
    pub(super) fn default_false(&mut self) -> Result<bool, Malformed> {
        match self.optional(Tag::Boolean)? {
            None | Some([0]) => Ok(false),
            Some([0xff]) => Ok(true),
            Some(_) => Err(Malformed(self.part)),
        }
    }

    /// Refuses what is left over.
    pub(super) fn end(self) -> Result<(), Malformed> {
        if self.is_finished() { Ok(()) } else { Err(Malformed(self.part)) }
    }
}

/// An INTEGER's contents, unless they are empty or longer than the value needs.
pub(super) fn canonical_integer(value: &[u8]) -> Option<&[u8]> {
    match value {
        [] => None,
        [0, second, ..] if second & 0x80 == 0 => None,
        [0xff, second, ..] if second & 0x80 != 0 => None,
        _ => Some(value),
    }
}

/// The value of an INTEGER's contents from 0 to 2^64 - 1.
pub(super) fn unsigned(value: &[u8]) -> Option<u64> {
    let digits = match value {
        [0, rest @ ..] => rest,
        [first, ..] if first & 0x80 == 0 => value,
        _ => return None,
    };
    (digits.len() <= 8).then(|| digits.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
}

/// The object identifier of these contents, if they spell it as DER does.
pub(super) fn oid(value: &[u8]) -> Option<ObjectIdentifier> {
    ObjectIdentifier::from_bytes(value).ok().filter(|oid| oid.as_bytes() == value)
}

/// Tags as the writer takes them.
pub(super) mod tag {
    pub(in super::super) const BOOLEAN: u8 = 0x01;
    pub(in super::super) const INTEGER: u8 = 0x02;
    #[cfg(feature = "rfc3161-authority")]
    pub(in super::super) const BIT_STRING: u8 = 0x03;
    pub(in super::super) const OCTET_STRING: u8 = 0x04;
    pub(in super::super) const NULL: u8 = 0x05;
    pub(in super::super) const OID: u8 = 0x06;
    #[cfg(feature = "rfc3161-authority")]
    pub(in super::super) const UTF8_STRING: u8 = 0x0c;
    #[cfg(feature = "rfc3161-authority")]
    pub(in super::super) const UTC_TIME: u8 = 0x17;
    #[cfg(feature = "rfc3161-authority")]
    pub(in super::super) const GENERALIZED_TIME: u8 = 0x18;
    pub(in super::super) const SEQUENCE: u8 = 0x30;
    pub(in super::super) const SET: u8 = 0x31;
}

/// One value: its tag, the length of `parts` together, and they.
pub(super) fn write(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let mut bytes = vec![tag];
    match u8::try_from(length) {
        Ok(short) if short < 0x80 => bytes.push(short),
        _ => {
            let digits: Vec<u8> = length.to_be_bytes().into_iter().skip_while(|digit| *digit == 0).collect();
            bytes.push(0x80 | u8::try_from(digits.len()).unwrap_or(0));
            bytes.extend(digits);
        }
    }
    for part in parts {
        bytes.extend_from_slice(part);
    }
    bytes
}

/// An INTEGER from unsigned big-endian bytes.
pub(super) fn write_unsigned(bytes: &[u8]) -> Vec<u8> {
    let digits: Vec<u8> = bytes.iter().copied().skip_while(|byte| *byte == 0).collect();
    match digits.first() {
        Some(first) if first & 0x80 == 0 => write(tag::INTEGER, &[&digits]),
        _ => write(tag::INTEGER, &[&[0], &digits]),
    }
}

pub(super) fn write_oid(oid: &ObjectIdentifier) -> Vec<u8> {
    write(tag::OID, &[oid.as_bytes()])
}

/// The tag `[number]` around a constructed value, for [`write`]; below 31.
pub(super) const fn constructed_tag(number: u8) -> u8 {
    0xa0 | number
}
