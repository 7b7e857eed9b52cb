//! `ledgerstone model verify`: whether a folder is the one that was signed.
//!
//! Guarantees: verified means that the signature is the given key's and that the folder holds exactly the files that it
//! lists; what the signature leaves out is said. Does not do: fetching anything; checking certificates.

use ledgerstone::code::Code;
use ledgerstone::manifest::{Difference, LEFT_OUT};
use serde::Serialize;

use super::model_digest::shown;
use crate::cli::ModelVerifyArguments;
use crate::exit::{Exit, Refusal};
use crate::folder;
use crate::oms::{BUNDLE_BYTES_MAX, Bundle, OmsError, PUBLIC_KEY_BYTES_MAX, PublicKey, Statement};
use crate::output::{Output, plural, wrapped};
use crate::source::read_input;

/// The format of this command's JSON.
const FORMAT: &str = "ledgerstone-model-verification/v1";

/// Columns before the text of a line.
const INDENT: usize = 11;

/// What was found, as JSON.
#[derive(Serialize)]
struct VerificationJson<'a> {
    format: &'static str,
    verdict: &'static str,
    digest: Option<String>,
    key: &'static str,
    key_hint: String,
    missing: Vec<&'a str>,
    added: Vec<&'a str>,
    changed: Vec<&'a str>,
    left_out: Vec<&'a str>,
    /// Why the signature itself does not count.
    signature: Option<String>,
}

/// Checks the folder.
///
/// # Errors
/// Something cannot be read, or is no folder, signature or key.
pub(super) fn run(arguments: &ModelVerifyArguments, output: &mut Output) -> Result<Exit, Refusal> {
    let key = key(arguments)?;
    let bytes = read_input(&arguments.signature, BUNDLE_BYTES_MAX)?;
    let refused = |error: &OmsError| {
        let next = match error {
            OmsError::Certificate => {
                "Check it with `model_signing verify`, or have the folder signed with a key."
            }
            _ => "Check that this is the signature of the folder; nothing was checked.",
        };
        let path = arguments.signature.display();
        Refusal::new(error.code(), format_args!("the signature {path} cannot be used: {error}"), next)
    };
    let statement = match Bundle::parse(&bytes).map_err(|error| refused(&error))?.verify(&key) {
        Ok(statement) => statement,
        Err(error) if error.code() == Code::Untrusted => return untrusted(&key, &error, output),
        Err(error) => return Err(refused(&error)),
    };
    let found = folder::read(&arguments.folder, &statement.left_out)?;
    let differences = statement.manifest.differences(&found);
    if output.is_json() {
        output.json(&json(&key, &statement, &differences))?;
    } else {
        output.print(&text(&key, &statement, &differences))?;
    }
    Ok(if differences.is_empty() { Exit::Verified } else { Exit::Failed })
}

fn key(arguments: &ModelVerifyArguments) -> Result<PublicKey, Refusal> {
    let path = &arguments.key;
    PublicKey::from_pem(&read_input(path, PUBLIC_KEY_BYTES_MAX)?).map_err(|error| {
        Refusal::new(
            error.code(),
            format_args!("the key {} cannot be used: {error}", path.display()),
            "Get the signer's public key as a PEM file; nothing was checked.",
        )
    })
}

/// A signature that is not this key's.
fn untrusted(key: &PublicKey, error: &OmsError, output: &mut Output) -> Result<Exit, Refusal> {
    if output.is_json() {
        output.json(&VerificationJson {
            format: FORMAT,
            verdict: "failed",
            digest: None,
            key: key.curve().as_str(),
            key_hint: key.hint(),
            missing: Vec::new(),
            added: Vec::new(),
            changed: Vec::new(),
            left_out: Vec::new(),
            signature: Some(error.to_string()),
        })?;
    } else {
        let what = format!("FAILED: the signature does not count: {error}.");
        output.print(&(wrapped(&what, "", 0) + "\nThe folder was not looked at.\n"))?;
    }
    Ok(Exit::Failed)
}

fn json<'a>(
    key: &PublicKey,
    statement: &'a Statement,
    differences: &'a [Difference],
) -> VerificationJson<'a> {
    let names = |pick: fn(&Difference) -> Option<&str>| differences.iter().filter_map(pick).collect();
    VerificationJson {
        format: FORMAT,
        verdict: if differences.is_empty() { "verified" } else { "failed" },
        digest: Some(statement.manifest.root().to_string()),
        key: key.curve().as_str(),
        key_hint: key.hint(),
        missing: names(|d| if let Difference::Missing(name) = d { Some(name) } else { None }),
        added: names(|d| if let Difference::Added(name) = d { Some(name) } else { None }),
        changed: names(|d| if let Difference::Changed(name) = d { Some(name) } else { None }),
        left_out: statement.left_out.iter().map(String::as_str).collect(),
        signature: None,
    }
}

fn text(key: &PublicKey, statement: &Statement, differences: &[Difference]) -> String {
    let line = |name: &str, value: &str| wrapped(value, &format!("{name:<INDENT$}"), INDENT);
    let count = statement.manifest.files().len() as u64;
    let mut text = match differences {
        [] => "VERIFIED: the folder is the one that was signed with this key.\n\n".to_owned(),
        _ => "FAILED: the signature is this key's, but the folder is not the one that was signed.\n\n"
            .to_owned(),
    };
    for difference in differences {
        let (what, name) = match difference {
            Difference::Missing(name) => ("missing", name),
            Difference::Added(name) => ("added", name),
            Difference::Changed(name) => ("changed", name),
        };
        text += &format!("  {what:<9}{}\n", shown(name));
    }
    if !differences.is_empty() {
        text.push('\n');
    }
    text += &line("Signed as", &shown(&statement.name));
    text += &line("Digest", &statement.manifest.root().to_string());
    text += &line("Files", &plural(count, "file", "files"));
    text += &line("Key", &format!("{} {}", key.curve().as_str(), key.hint()));
    if !statement.left_out.is_empty() {
        let names: Vec<_> = statement.left_out.iter().map(|name| shown(name)).collect();
        text += &line("Left out", &names.join(", "));
    }
    if statement.left_out.iter().any(|name| !LEFT_OUT.contains(&name.as_str())) {
        let what = "The signature leaves out more than `model digest` and a sidecar do, whose digest is another one.";
        text += &line("", what);
    }
    text
}
