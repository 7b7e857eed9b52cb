//! Limits and flags of the process: no core dumps, not dumpable, no new privileges.
//!
//! Guarantees: without `dumpable`, others of the same user can neither attach to this process nor read its memory and its
//! environment (`/proc/PID/mem`, `/proc/PID/environ`), and a crash writes no memory to a disk (prctl(2), core(5)).

use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit};
use rustix::thread::set_no_new_privs;

use super::Part;

pub(super) fn give_up() -> Part {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    let steps = [
        ("core dumps", setrlimit(Resource::Core, none).or_else(already_none)),
        ("dumpable", set_dumpable_behavior(DumpableBehavior::NotDumpable)),
        ("no new privileges", set_no_new_privs(true)),
    ];
    let failed: Vec<_> =
        steps.iter().filter_map(|(step, done)| Some(format!("{step}: {}", done.err()?))).collect();
    match failed.is_empty() {
        true => Part::Active("no core dumps, not readable by others, no new privileges".to_owned()),
        false => Part::Missing(failed.join(", ")),
    }
}

/// Whoever started this process may have set the limit, and let nobody change any.
fn already_none(error: rustix::io::Errno) -> rustix::io::Result<()> {
    if getrlimit(Resource::Core).current == Some(0) { Ok(()) } else { Err(error) }
}

/// Raises the limit on locked memory as far as it goes.
pub(super) fn raise_lock_limit() {
    let limit = getrlimit(Resource::Memlock);
    if limit.current != limit.maximum {
        // What cannot be locked is counted and told where it happens.
        _ = setrlimit(Resource::Memlock, Rlimit { current: limit.maximum, maximum: limit.maximum });
    }
}
