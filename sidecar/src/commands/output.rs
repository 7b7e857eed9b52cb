//! Where a command prints.
//!
//! Guarantees: a reader that closes the pipe early (`record open ID | head`) is no error and stops no work; every other
//! failure to print is one. Does not do: buffering.

use std::io::{self, Write};

/// Standard output, or whatever stands in its place.
#[derive(Debug)]
pub struct Output<W> {
    out: W,
    /// The reader has had enough: what is printed from now on goes nowhere.
    closed: bool,
}

impl<W: Write> Output<W> {
    /// Prints to `out`.
    pub const fn new(out: W) -> Self {
        Self { out, closed: false }
    }

    /// Takes a closed pipe for what it is.
    fn note<T>(&mut self, result: io::Result<T>, at_the_end: T) -> io::Result<T> {
        match result {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.closed = true;
                Ok(at_the_end)
            }
            other => other,
        }
    }
}

impl<W: Write> Write for Output<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.closed {
            return Ok(bytes.len());
        }
        let written = self.out.write(bytes);
        self.note(written, bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.closed {
            return Ok(());
        }
        let flushed = self.out.flush();
        self.note(flushed, ())
    }
}
