//! seccomp: the system calls that a sidecar makes.
//!
//! Guarantees: what only somebody else's code in this process would ask for (starting a program, tracing, mounting, loading
//! code into the kernel, changing who it is) ends the process at once (`SECCOMP_RET_KILL_PROCESS`); every other call that is
//! not on the list is answered as if the kernel did not have it (`ENOSYS`), which is what a C library that tries newer calls
//! expects. Memory is never both made and executed. On every thread, for good.
//! Where a PKCS#11 module is loaded the list of allowed calls is left out, because nobody can know what the module needs: what
//! ends the process still does.

use std::collections::BTreeMap;
use std::fmt;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch, apply_filter_all_threads,
};

use super::Part;
use super::syscalls::{ALLOWED, ANSWERED, Argument, FORBIDDEN};

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// Restricts every thread; `is_strict`: to the calls of the list.
pub(super) fn filter(is_strict: bool) -> Part {
    let install = || -> Result<(), Box<dyn std::error::Error>> {
        apply_filter_all_threads(&forbidden()?)?;
        if is_strict {
            apply_filter_all_threads(&allowed()?)?;
        }
        Ok(())
    };
    let ends = FORBIDDEN.len();
    match install() {
        Ok(()) if is_strict => {
            let calls = ALLOWED.len() + ANSWERED.len();
            Part::Active(format!("{calls} calls are allowed, {ends} end the process"))
        }
        Ok(()) => {
            Part::Active(format!("{ends} calls end the process; the others are left to the PKCS#11 module"))
        }
        Err(error) => Part::Missing(format!("the kernel refused it: {}", Causes(error.as_ref()))),
    }
}

/// An error with its causes.
struct Causes<'a>(&'a dyn std::error::Error);

impl fmt::Display for Causes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&crate::telemetry::with_causes(self.0))
    }
}

fn forbidden() -> Result<BpfProgram, seccompiler::BackendError> {
    let rules: Rules = FORBIDDEN.iter().map(|call| (*call, Vec::new())).collect();
    program(rules, SeccompAction::Allow, SeccompAction::KillProcess)
}

fn allowed() -> Result<BpfProgram, seccompiler::BackendError> {
    let mut rules: Rules = ALLOWED.iter().map(|call| (*call, Vec::new())).collect();
    for Argument { call, index, mask, values } in ANSWERED {
        for value in *values {
            let operator = mask.map_or(SeccompCmpOp::Eq, SeccompCmpOp::MaskedEq);
            let condition = SeccompCondition::new(*index, SeccompCmpArgLen::Dword, operator, *value)?;
            rules.entry(*call).or_default().push(SeccompRule::new(vec![condition])?);
        }
    }
    program(rules, SeccompAction::Errno(libc::ENOSYS.unsigned_abs()), SeccompAction::Allow)
}

fn program(
    rules: Rules,
    others: SeccompAction,
    these: SeccompAction,
) -> Result<BpfProgram, seccompiler::BackendError> {
    SeccompFilter::new(rules, others, these, TargetArch::try_from(std::env::consts::ARCH)?)?.try_into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_programs_fit_the_kernel() {
        for program in [forbidden().unwrap(), allowed().unwrap()] {
            assert!((FORBIDDEN.len()..4096).contains(&program.len()), "{}", program.len());
        }
    }

    #[test]
    fn no_call_is_both_allowed_and_forbidden() {
        let answered = ANSWERED.iter().map(|argument| argument.call);
        let mut calls: Vec<_> = ALLOWED.iter().chain(FORBIDDEN).copied().chain(answered).collect();
        let count = calls.len();
        calls.sort_unstable();
        calls.dedup();
        assert_eq!(calls.len(), count);
    }
}
