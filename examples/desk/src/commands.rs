//! `ledgerstone`'s commands, run within this program: what an example does is what its reader can type.
//!
//! *Guarantees*: a command is parsed and run as the program would, and a refusal is an error that says what to do.
//!
//! *Does not do*: judge an exit status; [`ask`] does where one was expected.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, bail};
use clap::Parser as _;
use ledgerstone_verifier::cli::Arguments;
use ledgerstone_verifier::command;
use ledgerstone_verifier::exit::Exit;
use ledgerstone_verifier::output::Output;
use serde_json::Value;

/// What a command said.
#[derive(Clone, Debug)]
pub struct Said {
    /// How it ended.
    pub exit: Exit,
    /// Its standard output.
    pub text: String,
}

/// Runs `ledgerstone` with these arguments.
///
/// # Errors
/// The command line makes no sense, or the command has no answer.
pub fn ledgerstone<I>(arguments: I) -> Result<Said>
where
    I: IntoIterator<Item: Into<OsString> + Clone>,
{
    let words = arguments.into_iter().map(Into::into);
    let arguments = Arguments::try_parse_from([OsString::from("ledgerstone")].into_iter().chain(words))?;
    let said = Kept::default();
    let mut output = Output::into(arguments.output, Box::new(said.clone()), Box::new(io::sink()));
    match command::run(&arguments.command, &mut output) {
        Ok(exit) => Ok(Said { exit, text: said.text() }),
        Err(refusal) => bail!("{}\n  {}", refusal.message, refusal.next),
    }
}

/// Runs a command of `words`, with files behind their flags, and gives what it said as JSON.
///
/// # Errors
/// As [`ledgerstone()`].
pub fn say(words: &str, files: &[(&str, PathBuf)]) -> Result<Said> {
    let flags = files.iter().flat_map(|(flag, file)| {
        let flag = (!flag.is_empty()).then_some(OsStr::new(*flag));
        flag.into_iter().chain([file.as_os_str()])
    });
    ledgerstone(words.split(' ').map(OsStr::new).chain(flags).chain([OsStr::new("--json")]))
}

/// Runs a command that must end in `expected`, and gives its JSON.
///
/// # Errors
/// As [`ledgerstone()`], or it ends otherwise.
pub fn ask(words: &str, files: &[(&str, PathBuf)], expected: Exit) -> Result<Value> {
    let said = say(words, files)?;
    if said.exit != expected {
        bail!("ledgerstone {words} ended with exit status {}:\n{}", said.exit.status(), said.text);
    }
    said.json()
}

/// The text of a key in an answer.
///
/// # Errors
/// If there is none.
pub fn text(json: &Value, key: &str) -> Result<String> {
    let value = json.get(key).and_then(Value::as_str);
    value.map(ToOwned::to_owned).with_context(|| format!("an answer has no {key}"))
}

/// Answers as `ledgerstone` where this program was started as it. `audit calibrate` does so: another number of threads
/// needs another process, and it starts the program that it runs in.
#[must_use]
pub fn started_as_ledgerstone() -> Option<ExitCode> {
    env::args_os().nth(1).filter(|word| word == "model")?;
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => error.exit(),
    };
    let mut output = Output::standard(arguments.output);
    let exit = command::run(&arguments.command, &mut output)
        .and_then(|exit| output.flush().map(|()| exit))
        .unwrap_or_else(|refusal| output.refuse(&refusal));
    Some(exit.into())
}

impl Said {
    /// The answer as JSON, where `--json` asked for it.
    ///
    /// # Errors
    /// If it is none.
    pub fn json(&self) -> Result<serde_json::Value> {
        Ok(serde_json::from_str(&self.text)?)
    }
}

/// Bytes that were written, kept.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Kept {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_says_what_the_program_would_print() {
        let said = ledgerstone(["audit", "size", "--tolerable", "1%", "--json"]).unwrap();
        assert_eq!(said.exit, Exit::Verified);
        assert!(said.json().unwrap().is_object(), "{}", said.text);
    }

    #[test]
    fn a_refusal_says_what_to_do() {
        let error = ledgerstone(["key", "show", "/nowhere/at/all"]).unwrap_err().to_string();
        assert!(error.contains("/nowhere/at/all") && error.contains('\n'), "{error}");
        assert!(ledgerstone(["audit", "guess"]).is_err());
    }
}
