//! The one message inside the body of a unary gRPC call.
//!
//! Guarantees: never reads past the body, never decompresses more than the limit. Does not do: changing a byte; what is
//! parsed here is for the record only, the body itself goes on as it came.
//! Specification: gRPC over HTTP/2, "Length-Prefixed-Message" and "Message-Encoding".

use std::io::Read as _;

use bytes::Bytes;
use flate2::bufread::{GzDecoder, ZlibDecoder};
use ledgerstone::hash::Hash;

/// Bytes before each message: one flag, four of length.
pub(crate) const PREFIX_BYTES: usize = 5;

/// The message of a unary call, as the protobuf decoder needs it.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    /// The protobuf bytes, decompressed.
    pub(crate) bytes: Bytes,
    /// How the wire carried them, if compressed.
    pub(crate) compressed: Option<Compressed>,
}

/// A compressed message, as the wire carried it.
#[derive(Clone, Debug)]
pub(crate) struct Compressed {
    /// Value of `grpc-encoding`.
    pub(crate) encoding: &'static str,
    /// SHA-256 of the compressed bytes.
    pub(crate) digest: Hash,
}

/// Why a body could not be read as one message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FrameError {
    /// No message, a part of one, or more than one.
    #[error("the body is not exactly one gRPC message")]
    Framing,
    /// A compression that cannot be undone here.
    #[error("the message is compressed as {0:?}, which cannot be read for the record")]
    UnknownCompression(String),
    /// The compressed bytes are damaged.
    #[error("the compressed message is damaged")]
    Damaged,
    /// The message is larger than the limit once decompressed.
    #[error("the message is larger than {max} bytes once decompressed")]
    TooLarge {
        /// The limit.
        max: usize,
    },
}

/// Reads the single message of `body`; `encoding` is the call's `grpc-encoding`.
pub(crate) fn unary(body: &Bytes, encoding: Option<&str>, bytes_max: usize) -> Result<Message, FrameError> {
    let Some((&[flag, a, b, c, d], message)) = body.split_first_chunk::<PREFIX_BYTES>() else {
        return Err(FrameError::Framing);
    };
    let length = usize::try_from(u32::from_be_bytes([a, b, c, d]));
    if length != Ok(message.len()) {
        return Err(FrameError::Framing);
    }
    let carried = body.slice(PREFIX_BYTES..);
    match (flag, encoding) {
        (0, _) => Ok(Message { bytes: carried, compressed: None }),
        (1, Some("identity") | None) => Err(FrameError::Framing),
        (1, Some("gzip")) => {
            let mut decoder = GzDecoder::new(message);
            let bytes = bounded(&mut decoder, bytes_max)?;
            ends(decoder.into_inner())?;
            Ok(Message::decompressed(bytes, "gzip", &carried))
        }
        (1, Some("deflate")) => {
            let mut decoder = ZlibDecoder::new(message);
            let bytes = bounded(&mut decoder, bytes_max)?;
            ends(decoder.into_inner())?;
            Ok(Message::decompressed(bytes, "deflate", &carried))
        }
        (1, Some(other)) => Err(FrameError::UnknownCompression(other.to_owned())),
        _ => Err(FrameError::Framing),
    }
}

impl Message {
    fn decompressed(bytes: Bytes, encoding: &'static str, carried: &[u8]) -> Self {
        Self { bytes, compressed: Some(Compressed { encoding, digest: Hash::of(carried) }) }
    }
}

/// Refuses a second stream behind the first: some peers read it too, and would see another message than the record.
fn ends(rest: &[u8]) -> Result<(), FrameError> {
    if rest.is_empty() { Ok(()) } else { Err(FrameError::Damaged) }
}

fn bounded(reader: impl std::io::Read, bytes_max: usize) -> Result<Bytes, FrameError> {
    let mut bytes = Vec::new();
    let probe = u64::try_from(bytes_max).unwrap_or(u64::MAX).saturating_add(1);
    reader.take(probe).read_to_end(&mut bytes).map_err(|_| FrameError::Damaged)?;
    if bytes.len() > bytes_max {
        return Err(FrameError::TooLarge { max: bytes_max });
    }
    Ok(bytes.into())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::{GzEncoder, ZlibEncoder};

    use super::*;

    const MAX: usize = 1 << 20;

    fn framed(flag: u8, message: &[u8]) -> Bytes {
        let mut body = vec![flag];
        body.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
        body.extend(message);
        body.into()
    }

    fn gzip(message: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(message).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn reads_one_message_without_copying_it() {
        let body = framed(0, b"abc");
        let message = unary(&body, Some("gzip"), MAX).unwrap();
        assert_eq!(message.bytes, "abc");
        assert_eq!(message.bytes.as_ptr(), body[PREFIX_BYTES..].as_ptr());
        assert!(message.compressed.is_none());
    }

    #[test]
    fn decompresses_gzip_and_deflate_and_keeps_the_digest_of_what_was_carried() {
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
        zlib.write_all(b"abc").unwrap();
        for (encoding, carried) in [("gzip", gzip(b"abc")), ("deflate", zlib.finish().unwrap())] {
            let message = unary(&framed(1, &carried), Some(encoding), MAX).unwrap();
            let compressed = message.compressed.unwrap();
            assert_eq!(message.bytes, "abc");
            assert_eq!(compressed.encoding, encoding);
            assert_eq!(compressed.digest, Hash::of(&carried));
        }
    }

    #[test]
    fn refuses_what_follows_a_compressed_stream_because_some_peers_read_it_too() {
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
        zlib.write_all(b"abc").unwrap();
        for (encoding, carried) in [("gzip", gzip(b"abc")), ("deflate", zlib.finish().unwrap())] {
            for more in [&carried[..], b"\0"] {
                let body = framed(1, &[&carried, more].concat());
                assert_eq!(unary(&body, Some(encoding), MAX).unwrap_err(), FrameError::Damaged, "{encoding}");
            }
        }
    }

    #[test]
    fn refuses_bodies_that_are_not_one_message() {
        let two = [framed(0, b"a"), framed(0, b"b")].concat();
        let cut = framed(0, b"abc").slice(..7);
        for body in [
            Bytes::new(),
            Bytes::from_static(&[0, 0, 0, 0]),
            two.into(),
            cut,
            framed(2, b"a"),
            framed(1, b"a"),
        ] {
            let error = unary(&body, None, MAX).unwrap_err();
            assert_eq!(error, FrameError::Framing, "{body:?}");
        }
    }

    #[test]
    fn names_the_compression_it_does_not_know() {
        let error = unary(&framed(1, b"a"), Some("zstd"), MAX).unwrap_err();
        assert_eq!(error, FrameError::UnknownCompression("zstd".to_owned()));
    }

    #[test]
    fn refuses_damaged_compression() {
        let mut carried = gzip(b"abcabcabc");
        carried.truncate(12);
        let error = unary(&framed(1, &carried), Some("gzip"), MAX).unwrap_err();
        assert_eq!(error, FrameError::Damaged);
    }

    #[test]
    fn stops_a_decompression_bomb_at_the_limit() {
        let carried = gzip(&vec![0; 1 << 16]);
        assert!(carried.len() < 200);
        let body = framed(1, &carried);
        assert!(unary(&body, Some("gzip"), 1 << 16).is_ok());
        let error = unary(&body, Some("gzip"), (1 << 16) - 1).unwrap_err();
        assert_eq!(error, FrameError::TooLarge { max: (1 << 16) - 1 });
    }
}
