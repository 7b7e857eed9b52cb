//! The results as a file: parts put back into their order, checked for completeness, and written.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::Receiver;

use ledgerstone::hash::Hash;

use super::{Done, RunError, Stop, resume};
use crate::audit::results::{Head, Line, Tail};
use crate::bundle::Order;
use crate::progress::Progress;

/// Parts after which the file says how far it is.
const THROUGH_EVERY: u64 = 64;

/// The results that are being written.
pub(super) struct Writer<'a> {
    output: PathBuf,
    head: Head,
    order: Order,
    finished: Receiver<Done>,
    progress: &'a mut (dyn Progress + Send),
    file: BufWriter<File>,
    done: u64,
    tail: Tail,
}

impl<'a> Writer<'a> {
    /// Starts a file, or goes on with what an interrupted run left.
    pub(super) fn open(
        output: &Path,
        head: Head,
        order: Order,
        finished: Receiver<Done>,
        progress: &'a mut (dyn Progress + Send),
    ) -> Result<Self, RunError> {
        if output.exists() {
            return Err(RunError::Exists { path: output.to_owned() });
        }
        let resumed = resume::open(&partial(output), &head)?;
        let mut writer = Self {
            output: output.to_owned(),
            head,
            order,
            finished,
            progress,
            file: BufWriter::new(resumed.file),
            done: resumed.parts,
            tail: resumed.tail,
        };
        if resumed.is_fresh {
            writer.line(&Line::Head(Box::new(writer.head.clone())))?;
        }
        Ok(writer)
    }

    /// Parts that need not be done again.
    pub(super) const fn done(&self) -> u64 {
        self.done
    }

    /// Writes every part, in order; on an error tells the others to stop.
    pub(super) fn write_all(mut self, stop: &Stop<'_>) -> Result<Self, RunError> {
        let mut early: BTreeMap<u64, Done> = BTreeMap::new();
        let mut next = 0;
        while let Ok(done) = self.finished.recv() {
            early.insert(done.number, done);
            while let Some(done) = early.remove(&next) {
                next += 1;
                if let Err(error) = self.part(next, done) {
                    stop.failed();
                    return Err(error);
                }
            }
        }
        Ok(self)
    }

    /// Ends the file and gives it its name.
    pub(super) fn finish(mut self, bundle: Hash) -> Result<(Head, Tail), RunError> {
        self.order.finish()?;
        self.tail.entries = self.order.entries();
        self.tail.bundle_sha256 = bundle.to_string();
        self.line(&Line::Tail(Box::new(self.tail.clone())))?;
        let partial = partial(&self.output);
        let io = |source| RunError::Io { path: partial.clone(), source };
        let file = self.file.into_inner().map_err(|error| io(error.into_error()))?;
        file.sync_all().map_err(io)?;
        std::fs::rename(&partial, &self.output).map_err(io)?;
        Ok((self.head, self.tail))
    }

    fn part(&mut self, next: u64, done: Done) -> Result<(), RunError> {
        let judged = done.part?;
        self.order.take(judged.first, judged.entries)?;
        let all = self.order.entries();
        self.progress.advance("entries", self.order.taken(), all);
        if next <= self.done {
            return Ok(());
        }
        for decision in judged.decisions {
            self.tail.count(&decision);
            self.line(&Line::Decision(Box::new(decision)))?;
        }
        self.progress.counted(&self.tail);
        if next.is_multiple_of(THROUGH_EVERY) {
            self.line(&Line::Through(next))?;
            self.file.flush().map_err(|source| self.io(source))?;
        }
        Ok(())
    }

    fn line(&mut self, line: &Line) -> Result<(), RunError> {
        let written = serde_json::to_writer(&mut self.file, line).map_err(std::io::Error::from);
        written.and_then(|()| self.file.write_all(b"\n")).map_err(|source| self.io(source))
    }

    fn io(&self, source: std::io::Error) -> RunError {
        RunError::Io { path: partial(&self.output), source }
    }
}

fn partial(output: &Path) -> PathBuf {
    let mut name = output.as_os_str().to_owned();
    name.push(".partial");
    PathBuf::from(name)
}
