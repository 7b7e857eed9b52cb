//! What the results hold, counted in one pass.
//!
//! *Guarantees*: memory is bounded, whatever the results hold; the results' own counts were compared with their lines, and the file was hashed
//! as it was read. *Does not do*: say what the counts mean.

use std::io::{self, BufReader, Read};

use ledgerstone::hash::{Hash, StreamHasher};

use super::sample::Sample;
use super::{Bin, Exception, Point, ReportError, Scores, Share, Strata};
use crate::audit::EXCEPTIONS_MAX;
use crate::audit::results::{self, Decision, Head, Tail};
use crate::audit::verdict::{Difference, Verdict};
use crate::output::printable;

/// Exceptions that are listed.
const LISTED_MAX: usize = 10_000;

/// Bytes of listed exceptions, as compact JSON; indented they may be twice as many.
const LISTED_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Rows of one exception whose scores are listed.
const ROWS_MAX: usize = 4;

/// Differences of one exception that are listed.
const DIFFERENCES_MAX: usize = 8;

/// Characters of a text that are listed.
const TEXT_MAX: usize = 300;

/// Points of rows that differ, and as many again of those that do not.
const POINTS_MAX: usize = 500;

/// The ends of the bins; one of all that is larger follows.
const ENDS: [(f64, &str); 17] = [
    (1e-16, "1e-16"),
    (1e-15, "1e-15"),
    (1e-14, "1e-14"),
    (1e-13, "1e-13"),
    (1e-12, "1e-12"),
    (1e-11, "1e-11"),
    (1e-10, "1e-10"),
    (1e-9, "1e-9"),
    (1e-8, "1e-8"),
    (1e-7, "1e-7"),
    (1e-6, "1e-6"),
    (1e-5, "1e-5"),
    (1e-4, "1e-4"),
    (1e-3, "1e-3"),
    (1e-2, "1e-2"),
    (1e-1, "1e-1"),
    (1e0, "1"),
];

/// What the results hold.
#[derive(Debug)]
pub struct Gathered {
    /// What was run on what.
    pub head: Head,
    /// The run's own counts.
    pub tail: Tail,
    /// SHA-256 of the file.
    pub sha256: Hash,
    /// The verdicts that are no exceptions.
    pub passes: Vec<Verdict>,
    /// Exceptions by that rule.
    pub exceptions: u64,
    /// Of which decisions, counted from 1, the first ones are.
    pub(super) ordinals: Vec<u64>,
    /// By whether they were against the person.
    pub strata: Strata,
    /// The scores.
    pub scores: Scores,
    /// The exceptions that are listed.
    pub listed: Vec<Exception>,
}

/// Reads whole results. An exception is every decision whose verdict is none of `passes`, or whose reasons do not follow. `place` sees the
/// leaf index of each decision in turn, and whether it is an exception.
///
/// # Errors
/// The results are not whole, or their counts are not those of their lines.
pub fn gather(
    file: impl Read,
    passes: &[Verdict],
    place: impl FnMut(u64, bool),
) -> Result<Gathered, ReportError> {
    let mut place = place;
    let mut hashing = BufReader::with_capacity(1 << 16, Hashing { file, hasher: StreamHasher::new() });
    let mut tally = Tally::new(passes);
    let (head, tail) = results::read(&mut hashing, |decision| {
        place(decision.leaf_index, tally.take(&decision));
    })?;
    let sha256 = hashing.into_inner().hasher.finish();
    let mut points = [tally.unequal_points.points(), tally.equal_points.points()].concat();
    points.sort_by_key(|point| (point.leaf_index, point.recorded.to_bits(), point.recomputed.to_bits()));
    let ends = ENDS.iter().map(|(_, end)| Some((*end).to_owned())).chain([None]);
    let differences = ends.zip(tally.bins).map(|(below, rows)| Bin { below, rows }).collect();
    Ok(Gathered {
        head,
        tail,
        sha256,
        passes: passes.to_vec(),
        exceptions: tally.exceptions,
        ordinals: tally.ordinals,
        strata: tally.strata,
        scores: Scores {
            rows: tally.rows,
            no_numbers: tally.no_numbers,
            equal: tally.equal,
            differences,
            points,
        },
        listed: tally.listed,
    })
}

/// Hashes what is read.
struct Hashing<R> {
    file: R,
    hasher: StreamHasher,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.hasher.update(buffer.get(..read).unwrap_or_default());
        Ok(read)
    }
}

/// The counts so far.
struct Tally<'a> {
    passes: &'a [Verdict],
    decisions: u64,
    exceptions: u64,
    ordinals: Vec<u64>,
    strata: Strata,
    rows: u64,
    no_numbers: u64,
    equal: u64,
    bins: [u64; ENDS.len() + 1],
    equal_points: Sample,
    unequal_points: Sample,
    listed: Vec<Exception>,
    listed_bytes: usize,
}

impl<'a> Tally<'a> {
    fn new(passes: &'a [Verdict]) -> Self {
        Self {
            passes,
            decisions: 0,
            exceptions: 0,
            ordinals: Vec::new(),
            strata: Strata::default(),
            rows: 0,
            no_numbers: 0,
            equal: 0,
            bins: [0; ENDS.len() + 1],
            equal_points: Sample::new(POINTS_MAX),
            unequal_points: Sample::new(POINTS_MAX),
            listed: Vec::new(),
            listed_bytes: 0,
        }
    }

    /// Counts a decision, and says whether it is an exception.
    fn take(&mut self, decision: &Decision) -> bool {
        self.decisions += 1;
        let is_exception = decision.reasons_differ || !self.passes.contains(&decision.verdict);
        let Strata { adverse, not_adverse, not_recorded } = &mut self.strata;
        let share: &mut Share = match decision.adverse {
            Some(true) => adverse,
            Some(false) => not_adverse,
            None => not_recorded,
        };
        share.decisions += 1;
        share.exceptions += u64::from(is_exception);
        for (row, scores) in (0..).zip(&decision.scores) {
            self.take_scores(decision.leaf_index, row, *scores);
        }
        if is_exception {
            self.exceptions += 1;
            if self.exceptions <= EXCEPTIONS_MAX {
                self.ordinals.push(self.decisions);
            }
            self.list(decision);
        }
        is_exception
    }

    fn take_scores(&mut self, leaf_index: u64, row: u64, scores: (Option<f64>, Option<f64>)) {
        self.rows += 1;
        let (Some(recorded), Some(recomputed)) = scores else {
            self.no_numbers += 1;
            return;
        };
        let point = Point { leaf_index, recorded, recomputed };
        if recorded.to_bits() == recomputed.to_bits() {
            self.equal += 1;
            self.equal_points.take(&point, row);
            return;
        }
        let apart = (recorded - recomputed).abs();
        let bin = ENDS.iter().position(|(end, _)| apart < *end).unwrap_or(ENDS.len());
        if let Some(rows) = self.bins.get_mut(bin) {
            *rows += 1;
        }
        self.unequal_points.take(&point, row);
    }

    /// Lists an exception while there is room; after one that did not fit there is none, so that the list has no holes.
    fn list(&mut self, decision: &Decision) {
        if self.listed.len() >= LISTED_MAX || self.listed_bytes >= LISTED_BYTES_MAX {
            return;
        }
        let exception = exception(decision);
        let bytes = serde_json::to_string(&exception).map_or(LISTED_BYTES_MAX, |text| text.len());
        self.listed_bytes += bytes;
        if self.listed_bytes <= LISTED_BYTES_MAX {
            self.listed.push(exception);
        }
    }
}

fn exception(decision: &Decision) -> Exception {
    let listed = decision.differences.iter().take(DIFFERENCES_MAX);
    let differences = listed.map(|difference| Difference {
        what: cut(&difference.what),
        recorded: difference.recorded.as_deref().map(cut),
        recomputed: difference.recomputed.as_deref().map(cut),
    });
    let left_out = decision.differences.len().saturating_sub(DIFFERENCES_MAX);
    Exception {
        leaf_index: decision.leaf_index,
        verdict: decision.verdict,
        reasons_differ: decision.reasons_differ,
        adverse: decision.adverse,
        scores: decision.scores.iter().take(ROWS_MAX).copied().collect(),
        differences: differences.collect(),
        differences_left_out: u64::try_from(left_out).unwrap_or(u64::MAX),
    }
}

/// A text without what could steer a terminal or turn the direction of writing, and not longer than the bound.
fn cut(text: &str) -> String {
    let mut cut: String = text.chars().take(TEXT_MAX).collect();
    if cut.len() < text.len() {
        cut.push('\u{2026}');
    }
    printable(&cut).replace('\n', "\\n")
}
