//! Lines of exports: plain or compressed, ended by line feeds or counted in octets (RFC 6587, section 3.4.1; RFC 5425, section 4.3).
//!
//! Guarantees: at most one line and one piece of the file are in memory; a line that is too long is passed over and told.

use std::fs::File;
use std::io::{self, Cursor, Read};
use std::path::Path;

use ledgerstone::limits::SIEM_LINE_BYTES_MAX;

use crate::exit::Refusal;
use crate::source::ReadError;

/// How much is read at once.
const PIECE_BYTES: usize = 256 * 1024;

/// Digits of an octet count: a frame of eight has a hundred megabytes.
const COUNT_DIGITS_MAX: usize = 8;

/// One line.
pub(super) enum Line<'a> {
    /// It is text.
    Text(&'a str),
    /// Why it is none.
    Unreadable(&'static str),
}

/// The lines of one export.
pub(super) struct Lines {
    reader: Box<dyn Read>,
    bytes: Vec<u8>,
    /// Where the next line starts in `bytes`.
    start: usize,
    is_at_end: bool,
    /// How many lines came before.
    lines: u64,
}

impl Lines {
    /// Opens `path`; `-` is standard input. What it begins with tells whether it is compressed.
    ///
    /// # Errors
    /// It cannot be opened or read.
    pub(super) fn open(path: &Path) -> Result<Self, Refusal> {
        let mut reader: Box<dyn Read> = match path.as_os_str() == "-" {
            true => Box::new(io::stdin()),
            false => {
                Box::new(File::open(path).map_err(|error| unreadable(&path.display().to_string(), error))?)
            }
        };
        let mut magic = Vec::new();
        let place = path.display().to_string();
        reader.by_ref().take(4).read_to_end(&mut magic).map_err(|error| unreadable(&place, error))?;
        let is_gzip = magic.starts_with(b"\x1f\x8b");
        let is_zstd = magic == b"\x28\xb5\x2f\xfd";
        let whole = Cursor::new(magic).chain(reader);
        let reader: Box<dyn Read> = if is_gzip {
            Box::new(flate2::read::MultiGzDecoder::new(whole))
        } else if is_zstd {
            Box::new(zstd::stream::read::Decoder::new(whole).map_err(|error| unreadable(&place, error))?)
        } else {
            Box::new(whole)
        };
        Ok(Self { reader, bytes: Vec::new(), start: 0, is_at_end: false, lines: 0 })
    }

    /// The next line that is not empty, without its end, and its number from 1; none after the last one.
    ///
    /// # Errors
    /// The file, which is called `place`, cannot be read on.
    pub(super) fn next(&mut self, place: &str) -> Result<Option<(u64, Line<'_>)>, Refusal> {
        let (from, to) = loop {
            self.lines += 1;
            match self.cut().map_err(|error| unreadable(place, error))? {
                Cut::Line(from, to) if from == to => {}
                Cut::Line(from, to) => break (from, to),
                Cut::TooLong => return Ok(Some((self.lines, Line::Unreadable("it is longer than 8 MiB")))),
                Cut::End => return Ok(None),
            }
        };
        let line = self.bytes.get(from..to).unwrap_or_default();
        let line = std::str::from_utf8(line).map_or(Line::Unreadable("it is not UTF-8"), Line::Text);
        Ok(Some((self.lines, line)))
    }

    /// Finds where the next line lies in `bytes`.
    fn cut(&mut self) -> io::Result<Cut> {
        while self.rest().len() <= COUNT_DIGITS_MAX + 1 && self.read_on()? {}
        if let Some((digits, length)) = counted(self.rest()) {
            while self.rest().len() < digits + length && self.read_on()? {}
            let from = self.start + digits;
            let to = (from + length).min(self.bytes.len());
            self.start = to;
            return Ok(Cut::Line(from, to));
        }
        let mut searched = 0;
        loop {
            let end = self.rest().iter().skip(searched).position(|byte| *byte == b'\n');
            if let Some(end) = end.map(|end| end + searched) {
                let from = self.start;
                self.start += end + 1;
                return Ok(if end > SIEM_LINE_BYTES_MAX {
                    Cut::TooLong
                } else {
                    Cut::Line(from, from + end)
                });
            }
            searched = self.rest().len();
            if searched > SIEM_LINE_BYTES_MAX {
                return self.pass_over();
            }
            if !self.read_on()? {
                let from = self.start;
                self.start = self.bytes.len();
                return Ok(if from == self.start { Cut::End } else { Cut::Line(from, self.start) });
            }
        }
    }

    /// Drops everything up to the next line feed.
    fn pass_over(&mut self) -> io::Result<Cut> {
        loop {
            if let Some(end) = self.rest().iter().position(|byte| *byte == b'\n') {
                self.start += end + 1;
                return Ok(Cut::TooLong);
            }
            self.start = self.bytes.len();
            if !self.read_on()? {
                return Ok(Cut::TooLong);
            }
        }
    }

    fn rest(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }

    /// Reads another piece behind what is there; false at the end.
    fn read_on(&mut self) -> io::Result<bool> {
        if self.is_at_end {
            return Ok(false);
        }
        self.bytes.drain(..self.start);
        self.start = 0;
        let read = self.reader.by_ref().take(PIECE_BYTES as u64).read_to_end(&mut self.bytes)?;
        self.is_at_end = read < PIECE_BYTES;
        Ok(read > 0)
    }
}

enum Cut {
    Line(usize, usize),
    TooLong,
    End,
}

/// Bytes of the count and its blank, and of the message after it, where `bytes` begin as a counted frame with a message of RFC 5424.
fn counted(bytes: &[u8]) -> Option<(usize, usize)> {
    let digits = bytes.iter().take(COUNT_DIGITS_MAX).take_while(|byte| byte.is_ascii_digit()).count();
    let (count, rest) = bytes.split_at_checked(digits)?;
    let length: usize = std::str::from_utf8(count).ok()?.parse().ok()?;
    (rest.starts_with(b" <") && (1..=SIEM_LINE_BYTES_MAX).contains(&length)).then_some((digits + 1, length))
}

fn unreadable(place: &str, error: io::Error) -> Refusal {
    let place = if place == "-" { "standard input".to_owned() } else { place.to_owned() };
    match error.kind() {
        io::ErrorKind::NotFound => ReadError::Missing { place }.into(),
        _ => ReadError::Io { place, source: error }.into(),
    }
}
