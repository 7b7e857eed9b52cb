//! `ledgerstone model digest`: the digest that names a model folder.
//!
//! Guarantees: it is the root of the folder's OMS manifest, the same that a sidecar records. Does not do: checking who made
//! the folder; that is `model verify`.

use ledgerstone::manifest::{LEFT_OUT, Manifest};
use serde::Serialize;

use crate::cli::ModelDigestArguments;
use crate::exit::{Exit, Refusal};
use crate::folder;
use crate::output::{Output, plural, printable};

/// The format of this command's JSON.
const FORMAT: &str = "ledgerstone-model-digest/v1";

/// A manifest as JSON.
#[derive(Serialize)]
struct DigestJson<'a> {
    format: &'static str,
    digest: String,
    files: Vec<FileJson<'a>>,
}

/// One file of it.
#[derive(Serialize)]
struct FileJson<'a> {
    name: &'a str,
    sha256: String,
}

/// Prints the digest.
///
/// # Errors
/// The folder cannot be read, or holds what no model folder does.
pub(super) fn run(arguments: &ModelDigestArguments, output: &mut Output) -> Result<Exit, Refusal> {
    let manifest = folder::read(&arguments.folder, &LEFT_OUT)?;
    if output.is_json() {
        let files = manifest.files().iter();
        let files = files.map(|file| FileJson { name: file.name(), sha256: file.digest().to_string() });
        let digest = manifest.root().to_string();
        output.json(&DigestJson { format: FORMAT, digest, files: files.collect() })?;
    } else {
        output.print(&text(&manifest))?;
    }
    Ok(Exit::Verified)
}

fn text(manifest: &Manifest) -> String {
    let files = manifest.files();
    let mut text =
        format!("Digest  {}\nFiles   {}\n\n", manifest.root(), plural(files.len() as u64, "file", "files"));
    for file in files {
        text += &format!("  {}  {}\n", file.digest(), shown(file.name()));
    }
    text
}

/// A file's name on one line, whatever is in it.
pub(super) fn shown(name: &str) -> String {
    printable(name).replace('\n', "\\n")
}
