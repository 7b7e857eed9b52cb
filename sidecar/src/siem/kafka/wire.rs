//! Kafka's wire protocol as far as a producer needs it: five requests, each at one version that every broker since 2.1 takes.
//!
//! Guarantees: a size or a count that a broker names is held against the bytes that are there before anything is reserved for it;
//! left-over bytes are refused. Implements kafka.apache.org/protocol ("Protocol Primitive Types", the non-flexible versions) and
//! the record batch, magic 2 ("Message Format"). Does not do: I/O.

/// Bytes of one answer. Metadata of one topic with 1,000 partitions on 9 replicas each have 100 KiB.
pub const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// A request: its number, and the version spoken here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Api {
    /// `api_key`.
    pub key: i16,
    /// `api_version`.
    pub version: i16,
}

pub(super) const PRODUCE: Api = Api { key: 0, version: 7 };
pub(super) const METADATA: Api = Api { key: 3, version: 4 };
pub(super) const SASL_HANDSHAKE: Api = Api { key: 17, version: 1 };
pub(super) const API_VERSIONS: Api = Api { key: 18, version: 0 };
pub(super) const SASL_AUTHENTICATE: Api = Api { key: 36, version: 0 };

/// What is no answer to the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an answer that is not Kafka's")]
pub struct NotKafka;

/// Bytes of a request.
#[derive(Debug, Default)]
pub(super) struct Writer(pub(super) Vec<u8>);

impl Writer {
    pub(super) fn i16(&mut self, value: i16) -> &mut Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    pub(super) fn i32(&mut self, value: i32) -> &mut Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    pub(super) fn i64(&mut self, value: i64) -> &mut Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    /// A text of at most 32,767 bytes; all that are written come from the configuration, which bounds them.
    pub(super) fn string(&mut self, text: &str) -> &mut Self {
        self.i16(i16::try_from(text.len()).unwrap_or(i16::MAX));
        self.0.extend_from_slice(text.as_bytes());
        self
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.i32(i32::try_from(bytes.len()).unwrap_or(i32::MAX));
        self.0.extend_from_slice(bytes);
        self
    }

    /// A signed integer as a record has it: ZigZag, seven bits a byte, the lowest first.
    fn varint(&mut self, value: i64) -> &mut Self {
        let mut left = (value << 1 ^ value >> 63).cast_unsigned();
        loop {
            let [low, ..] = left.to_le_bytes();
            left >>= 7;
            if left == 0 {
                self.0.push(low);
                return self;
            }
            self.0.push(low | 0x80);
        }
    }

    fn varbytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.varint(bytes.len() as i64);
        self.0.extend_from_slice(bytes);
        self
    }
}

/// What is left of an answer.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], NotKafka> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(NotKafka)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], NotKafka> {
        self.take(N)?.try_into().map_err(|_| NotKafka)
    }

    fn i8(&mut self) -> Result<i8, NotKafka> {
        self.array().map(i8::from_be_bytes)
    }

    fn i16(&mut self) -> Result<i16, NotKafka> {
        self.array().map(i16::from_be_bytes)
    }

    fn i32(&mut self) -> Result<i32, NotKafka> {
        self.array().map(i32::from_be_bytes)
    }

    fn i64(&mut self) -> Result<i64, NotKafka> {
        self.array().map(i64::from_be_bytes)
    }

    /// A text; none where its length is -1.
    fn string(&mut self) -> Result<Option<&'a str>, NotKafka> {
        match self.i16()? {
            -1 => Ok(None),
            length => {
                let bytes = self.take(usize::try_from(length).map_err(|_| NotKafka)?)?;
                str::from_utf8(bytes).map(Some).map_err(|_| NotKafka)
            }
        }
    }

    fn bytes(&mut self) -> Result<&'a [u8], NotKafka> {
        let length = self.i32()?;
        self.take(usize::try_from(length).map_err(|_| NotKafka)?)
    }

    /// Each element of an array in turn. Every element takes bytes, so a wrong count ends where the answer does.
    fn each(&mut self, mut read: impl FnMut(&mut Self) -> Result<(), NotKafka>) -> Result<(), NotKafka> {
        for _ in 0..self.i32()? {
            read(self)?;
        }
        Ok(())
    }

    fn end(self) -> Result<(), NotKafka> {
        if self.0.is_empty() { Ok(()) } else { Err(NotKafka) }
    }
}

/// Reads the answer about versions: its error, and of each request the least version and the greatest.
///
/// # Errors
/// [`NotKafka`].
pub fn versions(answer: &[u8]) -> Result<(i16, Vec<(Api, i16)>), NotKafka> {
    let mut reader = Reader(answer);
    let error = reader.i16()?;
    let mut ranges = Vec::new();
    reader.each(|reader| {
        ranges.push((Api { key: reader.i16()?, version: reader.i16()? }, reader.i16()?));
        Ok(())
    })?;
    reader.end()?;
    Ok((error, ranges))
}

/// Where the partitions of a topic are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// Each broker's number, host and port, as it advertises itself.
    pub brokers: Vec<(i32, String, i32)>,
    /// The error of the topic.
    pub error: i16,
    /// The error, the number and the leader of each partition of it.
    pub partitions: Vec<(i16, i32, i32)>,
}

/// Reads the answer about one topic.
///
/// # Errors
/// [`NotKafka`].
pub fn metadata(answer: &[u8], topic: &str) -> Result<Metadata, NotKafka> {
    let mut reader = Reader(answer);
    let mut metadata = Metadata::default();
    let mut topics = 0;
    reader.i32()?;
    reader.each(|reader| {
        let (node, host, port) = (reader.i32()?, reader.string()?.ok_or(NotKafka)?.to_owned(), reader.i32()?);
        reader.string()?;
        metadata.brokers.push((node, host, port));
        Ok(())
    })?;
    reader.string()?;
    reader.i32()?;
    reader.each(|reader| {
        topics += 1;
        metadata.error = reader.i16()?;
        if reader.string()? != Some(topic) {
            return Err(NotKafka);
        }
        reader.i8()?;
        reader.each(|reader| {
            metadata.partitions.push((reader.i16()?, reader.i32()?, reader.i32()?));
            reader.each(|replicas| replicas.i32().map(drop))?;
            reader.each(|in_sync| in_sync.i32().map(drop))
        })
    })?;
    reader.end()?;
    if topics == 1 { Ok(metadata) } else { Err(NotKafka) }
}

/// Reads the answer to one batch for one partition: its error, and the offset of its first record.
///
/// # Errors
/// [`NotKafka`].
pub fn produced(answer: &[u8], topic: &str, partition: i32) -> Result<(i16, i64), NotKafka> {
    let mut reader = Reader(answer);
    let mut found = Vec::new();
    reader.each(|reader| {
        if reader.string()? != Some(topic) {
            return Err(NotKafka);
        }
        reader.each(|reader| {
            let (of, error, offset) = (reader.i32()?, reader.i16()?, reader.i64()?);
            reader.i64()?;
            reader.i64()?;
            found.push((of, error, offset));
            Ok(())
        })
    })?;
    reader.i32()?;
    reader.end()?;
    match found.as_slice() {
        [(of, error, offset)] if *of == partition => Ok((*error, *offset)),
        _ => Err(NotKafka),
    }
}

/// Reads the answer to the choice of a mechanism: its error, and the mechanisms that the broker has.
///
/// # Errors
/// [`NotKafka`].
pub fn mechanisms(answer: &[u8]) -> Result<(i16, Vec<String>), NotKafka> {
    let mut reader = Reader(answer);
    let error = reader.i16()?;
    let mut names = Vec::new();
    reader.each(|reader| {
        names.push(reader.string()?.ok_or(NotKafka)?.to_owned());
        Ok(())
    })?;
    reader.end()?;
    Ok((error, names))
}

/// Reads one answer of SASL: its error, the broker's words, and what the mechanism says.
///
/// # Errors
/// [`NotKafka`].
pub fn authenticated(answer: &[u8]) -> Result<(i16, Option<String>, Vec<u8>), NotKafka> {
    let mut reader = Reader(answer);
    let said = (reader.i16()?, reader.string()?.map(str::to_owned), reader.bytes()?.to_owned());
    reader.end()?;
    Ok(said)
}

/// One record.
#[derive(Clone, Debug)]
pub(super) struct Record<'a> {
    pub(super) key: String,
    pub(super) value: &'a [u8],
    /// When it happened, in milliseconds.
    pub(super) time: i64,
    pub(super) headers: Vec<(&'static str, String)>,
}

/// Records as one batch, magic 2, uncompressed, of a producer without a number.
pub(super) fn batch(records: &[Record<'_>]) -> Vec<u8> {
    let base = records.first().map_or(0, |record| record.time);
    let count = i32::try_from(records.len()).unwrap_or(i32::MAX);
    let mut summed = Writer::default();
    summed
        .i16(0)
        .i32(count - 1)
        .i64(base)
        .i64(records.iter().map(|record| record.time).max().unwrap_or(base));
    summed.i64(-1).i16(-1).i32(-1).i32(count);
    for (at, record) in records.iter().enumerate() {
        let mut body = Writer(vec![0]);
        body.varint(record.time - base)
            .varint(at as i64)
            .varbytes(record.key.as_bytes())
            .varbytes(record.value);
        body.varint(record.headers.len() as i64);
        for (name, value) in &record.headers {
            body.varbytes(name.as_bytes()).varbytes(value.as_bytes());
        }
        summed.varbytes(&body.0);
    }
    let mut batch = Writer::default();
    // After the length come the epoch of the leader, which is not known here, the magic and the checksum.
    batch.i64(0).i32(i32::try_from(summed.0.len() + 9).unwrap_or(i32::MAX)).i32(-1);
    batch.0.push(2);
    batch.0.extend(crc32c(&summed.0).to_be_bytes());
    batch.0.append(&mut summed.0);
    batch.0
}

/// CRC-32C (RFC 3720, appendix B.4), which a batch has over everything behind it.
fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |sum, byte| {
        let at = (sum ^ u32::from(*byte)) & 0xff;
        sum >> 8 ^ TABLE.get(at as usize).copied().unwrap_or_default()
    })
}

const TABLE: [u32; 256] = table();

#[expect(clippy::indexing_slicing, reason = "the index ends below 256, and the compiler evaluates it")]
const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut at = 0_u32;
    while at < 256 {
        let (mut sum, mut bit) = (at, 0);
        while bit < 8 {
            sum = if sum & 1 == 1 { sum >> 1 ^ 0x82f6_3b78 } else { sum >> 1 };
            bit += 1;
        }
        table[at as usize] = sum;
        at += 1;
    }
    table
}

#[cfg(test)]
mod tests;
