//! Reads deterministic CBOR out of a slice, without copying.

use super::{
    ARRAY, BYTES, CANONICAL_NAN, CborError, FALSE, FLOAT64, MAP, NINT, NULL, SIMPLE, TAG, TEXT, TRUE, Type,
    UINT,
};
use crate::limits::CBOR_DEPTH_MAX;

/// Reads items one after the other. A type that is not the one asked for is an error; nothing is converted.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Items still to come in each open array and map, outermost first. Only the first `depth` count.
    open: [u64; CBOR_DEPTH_MAX],
    depth: usize,
}

/// A map being read: hands out its keys and checks that they rise.
#[derive(Debug)]
pub struct Map<'a> {
    left: u64,
    last_key: &'a [u8],
}

/// A head: where it starts, its major type and its argument.
#[derive(Clone, Copy)]
struct Head {
    at: usize,
    major: u8,
    argument: u64,
}

impl<'a> Reader<'a> {
    /// Reads from the start of `bytes`.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, open: [0; CBOR_DEPTH_MAX], depth: 0 }
    }

    /// What stands next.
    ///
    /// # Errors
    /// Any [`CborError`] that the head itself gives reason for.
    pub fn peek(&self) -> Result<Type, CborError> {
        let head = self.clone().head()?;
        Ok(match head.major {
            UINT | NINT => Type::Int,
            BYTES => Type::Bytes,
            TEXT => Type::Text,
            ARRAY => Type::Array,
            MAP => Type::Map,
            _ => match self.bytes.get(head.at) {
                Some(&NULL) => Type::Null,
                Some(&FLOAT64) => Type::Float,
                _ => Type::Bool,
            },
        })
    }

    /// Reads an unsigned integer.
    ///
    /// # Errors
    /// [`CborError`] if anything else stands next.
    pub fn uint(&mut self) -> Result<u64, CborError> {
        self.expect(UINT).map(|head| head.argument)
    }

    /// Reads an integer of either sign.
    ///
    /// # Errors
    /// [`CborError`] if anything else stands next.
    pub fn int(&mut self) -> Result<i128, CborError> {
        let head = self.head()?;
        match head.major {
            UINT => Ok(i128::from(head.argument)),
            NINT => Ok(!i128::from(head.argument)),
            _ => Err(CborError::WrongType { at: head.at }),
        }
    }

    /// Reads a byte string.
    ///
    /// # Errors
    /// [`CborError`] if anything else stands next.
    pub fn bytes(&mut self) -> Result<&'a [u8], CborError> {
        let head = self.expect(BYTES)?;
        self.take(head)
    }

    /// Reads a byte string of exactly `N` bytes.
    ///
    /// # Errors
    /// [`CborError`] if anything else stands next.
    pub fn byte_array<const N: usize>(&mut self) -> Result<[u8; N], CborError> {
        let at = self.at;
        <[u8; N]>::try_from(self.bytes()?).map_err(|_| CborError::OutOfRange { at })
    }

    /// Reads a text string.
    ///
    /// # Errors
    /// [`CborError`] if anything else stands next, or the text is not UTF-8.
    pub fn text(&mut self) -> Result<&'a str, CborError> {
        let head = self.expect(TEXT)?;
        core::str::from_utf8(self.take(head)?).map_err(|_| CborError::Utf8 { at: head.at })
    }

    /// Reads the head of an array and says how many items follow.
    ///
    /// # Errors
    /// [`CborError`] if anything else stands next, or the bytes left cannot hold that many.
    pub fn array(&mut self) -> Result<usize, CborError> {
        let head = self.expect(ARRAY)?;
        self.enter(head, head.argument)?;
        usize::try_from(head.argument).map_err(|_| CborError::Truncated { at: head.at })
    }

    /// Reads the head of an array of exactly `len` items.
    ///
    /// # Errors
    /// [`CborError`] if anything else stands next.
    pub fn array_of(&mut self, len: usize) -> Result<(), CborError> {
        let at = self.at;
        if self.array()? == len { Ok(()) } else { Err(CborError::OutOfRange { at }) }
    }

    /// Reads the head of a map; its keys come from [`Map::next_key`].
    ///
    /// # Errors
    /// [`CborError`] if anything else stands next, or the bytes left cannot hold that many pairs.
    pub fn map(&mut self) -> Result<Map<'a>, CborError> {
        let head = self.expect(MAP)?;
        let items = head.argument.checked_mul(2).ok_or(CborError::Truncated { at: head.at })?;
        self.enter(head, items)?;
        Ok(Map { left: head.argument, last_key: &[] })
    }

    /// Reads `true` or `false`.
    ///
    /// # Errors
    /// [`CborError`] if anything else stands next.
    pub fn bool(&mut self) -> Result<bool, CborError> {
        let head = self.expect(SIMPLE)?;
        match self.bytes.get(head.at) {
            Some(&TRUE) => Ok(true),
            Some(&FALSE) => Ok(false),
            _ => Err(CborError::WrongType { at: head.at }),
        }
    }

    /// Reads `null`.
    ///
    /// # Errors
    /// [`CborError`] if anything else stands next.
    pub fn null(&mut self) -> Result<(), CborError> {
        let head = self.expect(SIMPLE)?;
        match self.bytes.get(head.at) {
            Some(&NULL) => Ok(()),
            _ => Err(CborError::WrongType { at: head.at }),
        }
    }

    /// Reads a binary64 float.
    ///
    /// # Errors
    /// [`CborError`] if anything else stands next.
    pub fn float(&mut self) -> Result<f64, CborError> {
        let head = self.expect(SIMPLE)?;
        match self.bytes.get(head.at) {
            Some(&FLOAT64) => Ok(f64::from_bits(head.argument)),
            _ => Err(CborError::WrongType { at: head.at }),
        }
    }

    /// Reads past one item of any type, checking all of it.
    ///
    /// # Errors
    /// [`CborError`] if the item is not deterministic CBOR.
    pub fn skip(&mut self) -> Result<(), CborError> {
        match self.peek()? {
            Type::Int => self.int().map(drop),
            Type::Bytes => self.bytes().map(drop),
            Type::Text => self.text().map(drop),
            Type::Bool => self.bool().map(drop),
            Type::Null => self.null(),
            Type::Float => self.float().map(drop),
            Type::Array => (0..self.array()?).try_for_each(|_| self.skip()),
            Type::Map => {
                let mut map = self.map()?;
                while map.next_key(self, Self::skip)?.is_some() {
                    self.skip()?;
                }
                Ok(())
            }
        }
    }

    /// Offset of the next item; for messages about it.
    #[must_use]
    pub const fn offset(&self) -> usize {
        self.at
    }

    /// Says that nothing more is wanted.
    ///
    /// # Errors
    /// [`CborError::TrailingBytes`] if bytes are left, [`CborError::Truncated`] if an array or map is not at its end.
    pub fn finish(mut self) -> Result<(), CborError> {
        self.close_full();
        if self.depth > 0 {
            Err(CborError::Truncated { at: self.at })
        } else if self.at < self.bytes.len() {
            Err(CborError::TrailingBytes { at: self.at })
        } else {
            Ok(())
        }
    }

    /// Leaves the arrays and maps whose last item has been read.
    fn close_full(&mut self) {
        while self.innermost().is_some_and(|left| *left == 0) {
            self.depth -= 1;
        }
    }

    /// Items still to come in the innermost open array or map.
    fn innermost(&mut self) -> Option<&mut u64> {
        self.open.get_mut(..self.depth)?.last_mut()
    }

    /// Opens an array or map whose head was just read.
    fn enter(&mut self, head: Head, items: u64) -> Result<(), CborError> {
        // Every item takes a byte or more, so a larger count could only be a lie.
        if items > (self.bytes.len() - self.at) as u64 {
            return Err(CborError::Truncated { at: head.at });
        }
        let slot = self.open.get_mut(self.depth).ok_or(CborError::TooDeep { at: head.at })?;
        *slot = items;
        self.depth += 1;
        Ok(())
    }

    /// Takes the content of a string whose head was just read.
    fn take(&mut self, head: Head) -> Result<&'a [u8], CborError> {
        let truncated = CborError::Truncated { at: head.at };
        let len = usize::try_from(head.argument).map_err(|_| truncated)?;
        let end = self.at.checked_add(len).ok_or(truncated)?;
        let content = self.bytes.get(self.at..end).ok_or(truncated)?;
        self.at = end;
        Ok(content)
    }

    /// Reads a head of one major type.
    fn expect(&mut self, major: u8) -> Result<Head, CborError> {
        let head = self.head()?;
        if head.major == major { Ok(head) } else { Err(CborError::WrongType { at: head.at }) }
    }

    /// Reads a head and refuses every one that the writer does not write.
    fn head(&mut self) -> Result<Head, CborError> {
        self.close_full();
        if let Some(left) = self.innermost() {
            *left -= 1;
        }
        let at = self.at;
        let (&initial, rest) =
            self.bytes.get(at..).and_then(<[u8]>::split_first).ok_or(CborError::Truncated { at })?;
        let (major, info) = (initial >> 5, initial & 0x1f);
        match (major, info) {
            (TAG, _) => return Err(CborError::Tag { at }),
            (BYTES..=MAP | SIMPLE, 31) => return Err(CborError::Indefinite { at }),
            (SIMPLE, 25 | 26) => return Err(CborError::FloatWidth { at }),
            (SIMPLE, 20..=22 | 27) | (UINT..=MAP, 0..=27) => {}
            _ => return Err(CborError::UnknownHead { at }),
        }
        let width = match info {
            0..=23 => 0,
            _ => 1 << (info - 24),
        };
        let be = rest.get(..width).ok_or(CborError::Truncated { at })?;
        let argument = if width == 0 {
            u64::from(info)
        } else {
            be.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte))
        };
        check_argument(at, major, width, argument)?;
        self.at = at + 1 + width;
        Ok(Head { at, major, argument })
    }
}

/// Refuses an argument that has a shorter form, and every NaN but one.
fn check_argument(at: usize, major: u8, width: usize, argument: u64) -> Result<(), CborError> {
    if major == SIMPLE {
        return if f64::from_bits(argument).is_nan() && width == 8 && argument != CANONICAL_NAN {
            Err(CborError::NanPayload { at })
        } else {
            Ok(())
        };
    }
    let shortest = match width {
        0 => true,
        1 => argument > 23,
        2 => argument > 0xff,
        4 => argument > 0xffff,
        _ => argument > 0xffff_ffff,
    };
    if shortest { Ok(()) } else { Err(CborError::NotShortest { at }) }
}

impl<'a> Map<'a> {
    /// Reads the next key with `key`; `None` after the last pair. The value is the caller's to read.
    ///
    /// # Errors
    /// What `key` gives, or [`CborError::KeyOrder`] or [`CborError::DuplicateKey`] if the key does not rise.
    pub fn next_key<T>(
        &mut self,
        reader: &mut Reader<'a>,
        key: impl FnOnce(&mut Reader<'a>) -> Result<T, CborError>,
    ) -> Result<Option<T>, CborError> {
        let Some(left) = self.left.checked_sub(1) else {
            return Ok(None);
        };
        let at = reader.at;
        let parsed = key(reader)?;
        let encoded = reader.bytes.get(at..reader.at).unwrap_or_default();
        match encoded.cmp(self.last_key) {
            core::cmp::Ordering::Greater => {}
            core::cmp::Ordering::Equal => return Err(CborError::DuplicateKey { at }),
            core::cmp::Ordering::Less => return Err(CborError::KeyOrder { at }),
        }
        self.left = left;
        self.last_key = encoded;
        Ok(Some(parsed))
    }
}
