//! One lane: its statements from the first to the last, and the proof of each.

use super::kinds::{self, Standing};
use super::tally::Tally;
use super::{Context, LaneReport, Proved};
use crate::anchor::chain::ChainVerifier;
use crate::anchor::statement::{AnchorKind, Head, LaneName, Link, Statement};
use crate::check::{Check, Place};
use crate::checkpoint::SignedCheckpoint;
use crate::code::{CheckName, Code};
use crate::encoding::base64_decode;
use crate::hash::Hash;
use crate::limits::PROOF_HASHES_MAX;
use crate::note::KeyName;
use crate::verify::{plural, sentence};

/// Names of files that belong to no statement, of one lane; further ones are not kept.
const STRANGERS_MAX: usize = 256;

/// The files of one statement.
#[derive(Clone, Debug, Default)]
pub struct LaneFiles {
    /// `statement`.
    pub statement: Vec<u8>,
    /// `checkpoint`, a signed note.
    pub checkpoint: Option<Vec<u8>>,
    /// `consistency`, one base64 hash a line.
    pub consistency: Option<Vec<u8>>,
    /// The proofs by their file's name.
    pub proofs: Vec<(String, Vec<u8>)>,
    /// `headers`, Bitcoin's.
    pub headers: Option<Vec<u8>>,
}

/// A walk over the statements of one lane, from the first to the last.
#[derive(Debug)]
pub struct LaneWalk<'a> {
    folder: String,
    context: Context<'a>,
    kind: Result<AnchorKind, String>,
    chain: Option<ChainVerifier<'a>>,
    /// What ended the chain; nothing after it counts.
    broken: Option<Check>,
    origin: Option<KeyName>,
    statements: u64,
    head: Option<Head>,
    last: Option<Hash>,
    tallies: Vec<Tally>,
    learned: kinds::Learned,
    /// Statements without a complete proof of their own.
    waiting: u64,
    proved: Option<Proved>,
    unreadable: Option<String>,
    strangers: Vec<String>,
}

impl<'a> LaneWalk<'a> {
    /// Starts at the lane in `folder` whose file `lane` holds `about`.
    #[must_use]
    pub fn new(folder: &str, about: &[u8], context: Context<'a>) -> Self {
        Self::start(folder, kinds::lane_kind(about), context)
    }

    /// Starts at a lane whose file `lane` could not be had.
    #[must_use]
    pub fn without_description(folder: &str, why: &str, context: Context<'a>) -> Self {
        let mut walk = Self::start(folder, Err(String::new()), context);
        walk.fail(
            "lane",
            Code::Malformed,
            &format!("The file that says what the lane is cannot be used: {why}."),
        );
        walk
    }

    fn start(folder: &str, kind: Result<AnchorKind, String>, context: Context<'a>) -> Self {
        Self {
            folder: folder.to_owned(),
            context,
            kind,
            chain: None,
            broken: None,
            origin: None,
            statements: 0,
            head: None,
            last: None,
            tallies: Vec::new(),
            learned: kinds::Learned::default(),
            waiting: 0,
            proved: None,
            unreadable: None,
            strangers: Vec::new(),
        }
    }

    /// Takes the statement numbered `seq`; they come in order.
    pub fn statement(&mut self, seq: u64, files: &LaneFiles) {
        self.statements += 1;
        if self.is_beyond_hope() {
            return;
        }
        let Some(statement) = self.link(seq, files) else {
            return;
        };
        self.prove(seq, &statement, files);
    }

    /// Says that there is no statement numbered `seq` although there are later ones.
    pub fn missing(&mut self, seq: u64) {
        let what = format!("Statement {seq} is missing although there are later ones: it was left out.");
        self.fail(&format!("{seq:08}/statement"), Code::Inconsistent, &what);
    }

    /// Says that a file of the statement numbered `seq` is nothing that can be one.
    pub fn wrong(&mut self, seq: u64, why: &str) {
        self.fail(&format!("{seq:08}"), Code::Malformed, &format!("{why}."));
    }

    /// Says that something could not be read, although it may be there.
    pub fn unreadable(&mut self, why: &str) {
        self.unreadable.get_or_insert(why.to_owned());
    }

    /// Names files that belong to no statement.
    pub fn strangers(&mut self, paths: impl IntoIterator<Item = String>) {
        self.strangers.extend(paths);
        self.strangers.truncate(STRANGERS_MAX);
    }

    /// Whether the chain is broken, so that nothing that follows counts.
    #[must_use]
    pub const fn is_beyond_hope(&self) -> bool {
        self.broken.is_some()
    }

    /// The sum.
    #[must_use]
    pub fn finish(mut self) -> LaneReport {
        // Without the log's keys nobody says that the statements are the log's.
        self.proved = self.proved.filter(|_| self.chain.is_some());
        let holding = self.proved.map_or(0, |proved| proved.seq);
        let mut checks = vec![self.statements_check()];
        for name in self.kind.as_ref().map_or(&[][..], |kind| kinds::checks_of(*kind)) {
            if !self.tallies.iter().any(|tally| tally.name() == *name) {
                self.tallies.push(Tally::new(*name));
            }
        }
        for tally in core::mem::take(&mut self.tallies) {
            checks.extend(self.proof_check(tally, holding));
        }
        LaneReport {
            name: self.folder,
            kind: self.kind.ok(),
            origin: self.origin,
            statements: self.statements,
            head: self.head,
            last: self.last,
            proved: self.proved,
            checks,
            strangers: self.strangers,
        }
    }

    /// The statement if it continues the chain.
    fn link(&mut self, seq: u64, files: &LaneFiles) -> Option<Statement> {
        let at = |file: &str| format!("{seq:08}/{file}");
        let statement = match Statement::decode(&files.statement) {
            Ok(statement) => statement,
            Err(error) => return self.fail(&at("statement"), error.code(), &sentence(&error)),
        };
        let Some(checkpoint) = files.checkpoint.clone() else {
            return self.fail(&at("checkpoint"), Code::Malformed, "It is missing.");
        };
        let Some(consistency) = files.consistency.as_deref().and_then(consistency) else {
            let what = "It is missing, or not one base64 hash a line.";
            return self.fail(&at("consistency"), Code::Malformed, what);
        };
        if let Err(error) = SignedCheckpoint::parse(&checkpoint) {
            return self.fail(&at("checkpoint"), error.code(), &sentence(&error));
        }
        if self.folder != statement.lane.as_str() {
            let what = format!("It is a statement of the lane {}, not of this one.", statement.lane);
            return self.fail(&at("statement"), Code::Inconsistent, &what);
        }
        if self.origin.is_none() && !self.begin(&statement) {
            return None;
        }
        let link = Link { statement: files.statement.clone(), checkpoint, consistency };
        if let Some(chain) = &mut self.chain {
            if let Err(error) = chain.push(&link) {
                let check = error.check();
                return self.fail(&at("statement"), error.code(), &check.detail);
            }
        } else if statement.seq != seq {
            let what = format!("It is statement {}, not {seq}.", statement.seq);
            return self.fail(&at("statement"), Code::Inconsistent, &what);
        }
        self.head = Some(statement.to);
        self.last = Some(Hash::of(&files.statement));
        Some(statement)
    }

    /// Chooses the keys by the first statement's log; false if the reader believes none of that name.
    fn begin(&mut self, statement: &Statement) -> bool {
        self.origin = Some(statement.origin.clone());
        let Some(logs) = self.context.logs else {
            return true;
        };
        let Some(log) = logs.named(&statement.origin) else {
            let what = format!(
                "It is about the log {}, of which the policy lists no key: get that log's policy from a source you trust.",
                statement.origin
            );
            self.fail("00000001/statement", Code::Untrusted, &what);
            return false;
        };
        self.chain = Some(ChainVerifier::new(log, LaneName::parse(&self.folder).ok()));
        true
    }

    /// Checks the proof of a statement that continues the chain.
    fn prove(&mut self, seq: u64, statement: &Statement, files: &LaneFiles) {
        let Ok(kind) = self.kind.clone() else {
            return;
        };
        let wanted = kinds::proof_file(kind);
        for (name, _) in files.proofs.iter().filter(|(name, _)| name != wanted) {
            if self.strangers.len() < STRANGERS_MAX {
                self.strangers.push(format!("{}/{seq:08}/{name}", self.folder));
            }
        }
        let Some((_, proof)) = files.proofs.iter().find(|(name, _)| name == wanted) else {
            self.waiting += 1;
            return;
        };
        let path = format!("anchors/{}/{seq:08}/{wanted}", self.folder);
        let proof = kinds::Proof {
            kind,
            bytes: proof,
            headers: files.headers.as_deref(),
            statement,
            statement_bytes: &files.statement,
        };
        let found = kinds::proof(&proof, self.context.trust, &mut self.learned);
        match found.standing {
            Standing::Holds { at } => self.proved = Some(Proved { seq, size: statement.to.size, at }),
            Standing::Waits => {
                self.waiting += 1;
                return;
            }
            Standing::Open => {}
        }
        for check in found.checks {
            let place =
                self.tallies.iter().position(|tally| tally.name() == check.name).unwrap_or_else(|| {
                    self.tallies.push(Tally::new(check.name));
                    self.tallies.len() - 1
                });
            if let Some(tally) = self.tallies.get_mut(place) {
                tally.add(seq, &path, check);
            }
        }
    }

    /// Notes what ended the chain. Always nothing, so that callers can leave with it.
    fn fail(&mut self, file: &str, code: Code, what: &str) -> Option<Statement> {
        let path = Some(format!("anchors/{}/{file}", self.folder));
        let place = Place { path, what: what.to_owned(), ..Place::default() };
        let check = Check::failed(CheckName::AnchorStatements, code, place.to_string()).at([place]);
        self.broken.get_or_insert(check);
        None
    }

    fn statements_check(&mut self) -> Check {
        let name = CheckName::AnchorStatements;
        if let Some(failed) = self.broken.take() {
            return failed;
        }
        // A file that could not be had at all has failed above.
        let unknown = self.kind.as_ref().err().cloned();
        if let Some(why) = self.unreadable.take().or(unknown) {
            return Check::not_checked(name, format!("{}: {why}.", self.folder));
        }
        let Some(head) = &self.head else {
            return Check::not_checked(name, format!("{}: there is no statement yet.", self.folder));
        };
        let counted = format!(
            "{}: {} from the first entry on, the last at {}",
            self.folder,
            plural(self.statements, "statement", "statements"),
            plural(head.size.get(), "entry", "entries")
        );
        if self.chain.is_none() {
            let detail = format!(
                "{counted}. No trust policy was given, so nobody's signature can be relied on. Get the log's policy file \
                 from a source you trust and check again with it."
            );
            return Check::not_checked(name, detail);
        }
        let proved = self.proved.map_or_else(String::new, |proved| {
            let at = proved.at.map_or_else(String::new, |at| format!(" at {at}"));
            format!(" Proved up to {}{at}.", plural(proved.size.get(), "entry", "entries"))
        });
        let waiting = match self.waiting {
            0 => String::new(),
            more => format!(
                " {} not have a proof of {} own yet.",
                does(more),
                if more == 1 { "its" } else { "their" }
            ),
        };
        Check::passed(name, format!("{counted}; each continues the one before it.{proved}{waiting}"))
    }

    /// The sum of one kind of check over the lane.
    fn proof_check(&self, tally: Tally, holding: u64) -> Option<Check> {
        if tally.is_empty() {
            let why = if self.statements == 0 || self.broken.is_some() {
                "there is no statement to check"
            } else {
                "no statement has its proof yet"
            };
            return Some(Check::not_checked(tally.name(), format!("{}: {why}.", self.folder)));
        }
        tally.check(&self.folder, holding)
    }
}

/// The hashes of a consistency proof's text, one base64 line each.
fn consistency(text: &[u8]) -> Option<Vec<Hash>> {
    let text = core::str::from_utf8(text).ok()?;
    if text.is_empty() {
        return Some(Vec::new());
    }
    let lines: Vec<&str> = text.strip_suffix('\n')?.split('\n').collect();
    if lines.len() > PROOF_HASHES_MAX {
        return None;
    }
    lines.into_iter().map(|line| Hash::try_from(base64_decode(line).ok()?.as_slice()).ok()).collect()
}

/// `1 statement does`, `2 statements do`.
fn does(count: u64) -> String {
    format!("{} {}", plural(count, "statement", "statements"), if count == 1 { "does" } else { "do" })
}
