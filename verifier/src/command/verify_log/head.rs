//! The log's signed statements: its own checkpoint, its identity, and the checkpoints given from elsewhere.
//!
//! Guarantees: a statement counts as signed only under keys from outside the directory; one that covers more than the
//! directory holds is a failure, not something to skip. Does not do: recomputing roots; that is the walk.

use ledgerstone::checkpoint::{Checkpoint, SignedCheckpoint};
use ledgerstone::code::{CheckName, Code};
use ledgerstone::limits::POLICY_BYTES_MAX;
use ledgerstone::policy::Policy;
use ledgerstone::verify::{self, Check, Place, Status};

use super::{GivenCheckpoint, Options};
use crate::exit::Refusal;
use crate::output::plural;
use crate::source::{Directory, ReadError, Source, read_input};

/// What the log's owner signed about it.
pub(super) struct Head {
    /// The log's own checkpoint, where it can be read; believe it only as far as `checks` say.
    pub(super) checkpoint: Option<Checkpoint>,
    /// Checkpoints from elsewhere that this log must contain.
    given: Vec<Checkpoint>,
    /// The note that `checkpoint` came in.
    pub(super) note: Option<Vec<u8>>,
    /// What was found so far.
    pub(super) checks: Vec<Check>,
}

impl Head {
    /// Reads and checks the signed statements.
    ///
    /// # Errors
    /// The log's checkpoint is not there or cannot be read.
    pub(super) fn read(source: &dyn Source, options: &Options) -> Result<Self, Refusal> {
        let note = source.checkpoint().map_err(|error| no_checkpoint(source, &error))?;
        let own = own_policy(source);
        let (report, checkpoint) = verify::checkpoint(&note, options.policy.as_ref());
        let mut checks = report.checks().to_vec();
        if options.policy.is_none() {
            replace_signatures(&mut checks, &note, &own);
        }
        if let (Some(checkpoint), Some(_)) = (&checkpoint, source.directory().and_then(Directory::store)) {
            checks.push(identity(&own, &note, checkpoint, options.policy.as_ref()));
        }
        let mut head = Self { checkpoint, given: Vec::new(), note: Some(note), checks };
        for given in &options.checkpoints {
            head.take_given(given, options.policy.as_ref());
        }
        Ok(head)
    }

    /// Every checkpoint whose root the entries must give.
    pub(super) fn to_walk(&self) -> Vec<Checkpoint> {
        self.checkpoint.iter().chain(&self.given).cloned().collect()
    }

    /// Whether all the signed statements tell one history, where there is more than one; `checks` are those of the walk.
    pub(super) fn consistency(&self, checks: &[Check]) -> Option<Check> {
        let own = self.checkpoint.as_ref().filter(|_| !self.given.is_empty())?;
        let all: Vec<_> = self.given.iter().chain([own]).collect();
        let fork = all.iter().enumerate().find_map(|(at, one)| {
            let other =
                all.iter().skip(at + 1).find(|other| other.size == one.size && other.root != one.root)?;
            Some((one, other))
        });
        if let Some((one, other)) = fork {
            let detail = format!(
                "Two statements about the same {} contradict each other: one names root {}, the other {}. A log that \
                 signed both has shown two histories. Keep both files: together they are the proof.",
                plural(one.size.get(), "entry", "entries"),
                one.root,
                other.root
            );
            return Some(Check::failed(CheckName::CheckpointConsistency, Code::Inconsistent, detail));
        }
        let root = checks.iter().find(|check| check.name == CheckName::LogRoot)?;
        Some(match root.status {
            Status::Passed => Check::passed(
                CheckName::CheckpointConsistency,
                format!(
                    "{} from elsewhere fit this log.",
                    plural(self.given.len() as u64, "statement", "statements")
                ),
            ),
            Status::Failed => Check::failed(
                CheckName::CheckpointConsistency,
                Code::Inconsistent,
                "The entries of this log do not give what every signed statement says.",
            ),
            Status::NotChecked => Check::not_checked(
                CheckName::CheckpointConsistency,
                "Not all entries could be read, so the signed statements could not be compared through them.",
            ),
        })
    }

    /// Checks one checkpoint from elsewhere, and has its root recomputed if the log reaches that far.
    fn take_given(&mut self, given: &GivenCheckpoint, policy: Option<&Policy>) {
        let (report, checkpoint) = verify::checkpoint(&given.note, policy);
        let named =
            |check: &Check| Check { detail: format!("{}: {}", given.name, check.detail), ..check.clone() };
        self.checks.extend(report.checks().iter().map(named));
        let (Some(own), Some(checkpoint)) = (&self.checkpoint, checkpoint) else {
            return;
        };
        if checkpoint.origin != own.origin {
            let detail = format!(
                "{}: this is a statement of the log {}, but the log checked here is {}.",
                given.name, checkpoint.origin, own.origin
            );
            self.checks.push(Check::failed(CheckName::CheckpointConsistency, Code::Misuse, detail));
        } else if checkpoint.size > own.size {
            let detail = format!(
                "{}: the log signed {}, but this copy holds only {}. Either the end was cut off, or the copy is older \
                 than that statement.",
                given.name,
                plural(checkpoint.size.get(), "entry", "entries"),
                plural(own.size.get(), "entry", "entries"),
            );
            self.checks.push(Check::failed(CheckName::CheckpointConsistency, Code::Inconsistent, detail));
        } else {
            self.given.push(checkpoint);
        }
    }
}

/// A log without a checkpoint has nothing that could be verified.
fn no_checkpoint(source: &dyn Source, error: &ReadError) -> Refusal {
    if !error.is_missing() {
        return Refusal::new(error.code(), error, error.next());
    }
    Refusal::malformed(
        format_args!("{} holds no checkpoint, so nothing says what the log should be", source.label()),
        "Name the sidecar's store directory or the address of its read side, or restore the file `checkpoint`.",
    )
}

/// The policy that the log itself carries, if it does.
enum OwnPolicy {
    None,
    Unreadable(String),
    Found(Vec<u8>),
}

fn own_policy(source: &dyn Source) -> OwnPolicy {
    let read = match source.directory() {
        None => source.read("log.policy", POLICY_BYTES_MAX),
        Some(directory) => match directory.store() {
            Some(store) => read_input(&store.join("log.policy"), POLICY_BYTES_MAX),
            None => return OwnPolicy::None,
        },
    };
    match read {
        Ok(bytes) => OwnPolicy::Found(bytes),
        Err(error) if error.is_missing() => OwnPolicy::None,
        Err(error) => OwnPolicy::Unreadable(error.to_string()),
    }
}

/// Puts what the log's own keys say in place of the check that needed a policy.
fn replace_signatures(checks: &mut [Check], note: &[u8], own: &OwnPolicy) {
    let Some(check) = checks.iter_mut().find(|check| check.name == CheckName::CheckpointSignatures) else {
        return;
    };
    let OwnPolicy::Found(bytes) = own else {
        return;
    };
    let (Ok(policy), Ok(signed)) = (Policy::parse(bytes), SignedCheckpoint::parse(note)) else {
        return;
    };
    *check = match policy.check_log(&signed) {
        Ok(_) => Check::not_checked(
            CheckName::CheckpointSignatures,
            "The signatures fit the keys in the log.policy that comes with this log. But whoever could change the log \
             could have put keys of their own there, so this shows only that the log agrees with itself.",
        ),
        Err(violation) => Check::failed(
            CheckName::CheckpointSignatures,
            violation.code(),
            format!(
                "The signatures do not even fit the keys in the log.policy that comes with this log: {violation}."
            ),
        ),
    };
}

/// Whether the store says that it is the log which its checkpoint says it is.
fn identity(own: &OwnPolicy, note: &[u8], checkpoint: &Checkpoint, trusted: Option<&Policy>) -> Check {
    let name = CheckName::LogIdentity;
    let at = Place { path: Some("log.policy".to_owned()), ..Place::default() };
    let failed = |detail: String| Check::failed(name, Code::Inconsistent, detail).at([at.clone()]);
    let bytes = match own {
        OwnPolicy::Found(bytes) => bytes,
        OwnPolicy::None => return failed("The store has no log.policy.".to_owned()),
        OwnPolicy::Unreadable(why) => {
            return failed(format!("The store's log.policy cannot be read: {why}."));
        }
    };
    let policy = match Policy::parse(bytes) {
        Ok(policy) => policy,
        Err(error) => return failed(format!("The store's log.policy is no policy: {error}.")),
    };
    let keys: Vec<_> = policy.logs().iter().map(|log| log.key().clone()).collect();
    let plain = Policy::for_log(&keys).and_then(|plain| plain.with_receipt_keys(policy.receipt_keys()));
    if plain.is_ok_and(|plain| plain.to_bytes() != *bytes) {
        return failed("The store's log.policy is not as Ledgerstone wrote it.".to_owned());
    }
    if let Err(violation) = policy.check(note) {
        return failed(format!("The checkpoint does not fit the store's own log.policy: {violation}."));
    }
    let foreign = trusted
        .into_iter()
        .flat_map(Policy::logs)
        .map(ledgerstone::policy::Log::key)
        .find(|key| *key.name() == checkpoint.origin && !keys.contains(key));
    match foreign {
        Some(key) => failed(format!("The store's log.policy lacks key {} that your policy names.", key.id())),
        None => {
            Check::passed(name, format!("The store names itself {} and holds its keys.", checkpoint.origin))
        }
    }
}
