//! The files of the anchors, read from outside: over HTTP, and by `anchor status`.
//!
//! Guarantees: a path is taken apart into a lane, a number and the name of a known file, and put together again, so that
//! nothing else of the store can be named; the journal is not among them; what is read is bounded. Does not do: checking what
//! the files say; whoever fetches them does.

use std::fmt;
use std::io;
use std::path::Path;

use ledgerstone::anchor::statement::{LaneName, Statement};
use ledgerstone::limits::NOTE_BYTES_MAX;
use ledgerstone::merkle::TreeSize;
use ledgerstone::store::disk::Disk as _;
use ledgerstone::store::fs::StdDisk;

use super::folder::{ANCHORS, FolderError, LANE_FILE, LINK_FILES, LaneFolder, PROOF_BYTES_MAX, Proof, seq};
use super::{guard, journal};

/// A file that is public.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Served {
    lane: LaneName,
    /// The statement and the file of it; nothing for the lane's own file.
    of: Option<(u64, &'static str)>,
}

impl Served {
    /// Reads `LANE/lane` or `LANE/00000001/FILE`.
    #[must_use]
    pub fn parse(path: &str) -> Option<Self> {
        let (lane, rest) = path.split_once('/')?;
        // The folder of the journals has a name that a lane could have.
        let lane = LaneName::parse(lane).ok().filter(|lane| lane.as_str() != "journal")?;
        if rest == LANE_FILE {
            return Some(Self { lane, of: None });
        }
        let (number, file) = rest.split_once('/')?;
        let known = LINK_FILES.into_iter().chain(Proof::ALL.map(Proof::file_name));
        let file = known.into_iter().find(|known| *known == file)?;
        Some(Self { lane, of: Some((seq(number)?, file)) })
    }

    /// Whether the file never changes once it is there.
    #[must_use]
    pub fn is_final(&self) -> bool {
        self.of.is_some_and(|(_, file)| LINK_FILES.contains(&file))
    }
}

impl fmt::Display for Served {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.of {
            None => write!(f, "{ANCHORS}/{}/{LANE_FILE}", self.lane),
            Some((seq, file)) => write!(f, "{ANCHORS}/{}/{seq:08}/{file}", self.lane),
        }
    }
}

/// The public files of the anchors of one store.
#[derive(Clone, Debug)]
pub struct PublicAnchors {
    disk: StdDisk,
}

impl PublicAnchors {
    /// The files below `store`.
    #[must_use]
    pub fn new(store: &Path) -> Self {
        Self { disk: StdDisk::new(store) }
    }

    /// The bytes of a file, if it is there. A file of a statement is there once the statement is.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(&self, file: &Served) -> io::Result<Option<Vec<u8>>> {
        if let Some((seq, _)) = file.of {
            let statement = Served { lane: file.lane.clone(), of: Some((seq, "statement")) };
            if self.bytes(&statement)?.is_none() {
                return Ok(None);
            }
        }
        self.bytes(file)
    }

    /// The names of the lanes that a sidecar has run, one a line.
    ///
    /// # Errors
    /// When they cannot be listed.
    pub fn lanes(&self) -> io::Result<String> {
        let lanes = guard::lanes(&self.disk).map_err(io::Error::other)?;
        Ok(lanes.iter().map(|lane| format!("{lane}\n")).collect())
    }

    fn bytes(&self, file: &Served) -> io::Result<Option<Vec<u8>>> {
        match self.disk.read(&file.to_string(), PROOF_BYTES_MAX.max(NOTE_BYTES_MAX as u64)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// How a lane stands, as far as its files say.
#[derive(Clone, Debug)]
pub struct LaneFiles {
    /// The lane.
    pub lane: LaneName,
    /// Its kind, as its file says it.
    pub kind: Option<String>,
    /// Its newest statement.
    pub newest: Option<Statement>,
    /// Its newest statement that has a proof beside it, the number and the leaves.
    pub proved: Option<(u64, TreeSize)>,
    /// The files of proofs that the newest proved statement has.
    pub proofs: Vec<&'static str>,
    /// Records of its journal, or why it cannot be read.
    pub journal: Result<usize, String>,
}

/// Reads how every lane in `store` of the log `origin` stands, without changing anything.
///
/// # Errors
/// [`FolderError`] if the files of a lane cannot be read or a statement is missing.
pub fn survey(store: &Path, origin: &str) -> Result<Vec<LaneFiles>, FolderError> {
    let disk = StdDisk::new(store);
    let lanes = guard::lanes(&disk)?;
    lanes.into_iter().map(|lane| survey_lane(&disk, lane, origin)).collect()
}

fn survey_lane(disk: &StdDisk, lane: LaneName, origin: &str) -> Result<LaneFiles, FolderError> {
    let folder = LaneFolder::new(disk.clone(), lane.clone());
    let last = folder.last()?;
    let statement = |seq: u64| -> Result<Option<Statement>, FolderError> {
        let Some(link) = folder.link(seq)? else { return Ok(None) };
        let path = format!("{}/statement", folder.path(seq));
        Ok(Some(
            Statement::decode(&link.statement).map_err(|source| FolderError::Statement { path, source })?,
        ))
    };
    let mut found = LaneFiles {
        kind: kind(disk, &lane),
        newest: statement(last)?,
        proved: None,
        proofs: Vec::new(),
        journal: records(disk, &lane, origin),
        lane,
    };
    for seq in (1..=last).rev() {
        let proofs = proofs(&folder, seq)?;
        if !proofs.is_empty() {
            found.proved = statement(seq)?.map(|statement| (seq, statement.to.size));
            found.proofs = proofs;
            break;
        }
    }
    Ok(found)
}

fn proofs(folder: &LaneFolder, seq: u64) -> Result<Vec<&'static str>, FolderError> {
    let mut found = Vec::new();
    for proof in Proof::ALL {
        if folder.proof(seq, proof)?.is_some() {
            found.push(proof.file_name());
        }
    }
    Ok(found)
}

/// The kind that the lane's file names.
fn kind(disk: &StdDisk, lane: &LaneName) -> Option<String> {
    let bytes =
        disk.read(&format!("{ANCHORS}/{lane}/{LANE_FILE}"), super::folder::LANE_FILE_BYTES_MAX).ok()?;
    let value: serde_json::Value = serde_json::from_slice(&bytes).ok()?;
    value.get("kind")?.as_str().map(str::to_owned)
}

fn records(disk: &StdDisk, lane: &LaneName, origin: &str) -> Result<usize, String> {
    let identity = journal::identity(origin, lane.as_str());
    let read = journal::read(disk, &format!("{}/{lane}", journal::FOLDER), identity);
    read.map(|read| read.records.len()).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_files_of_statements_and_of_lanes() {
        for path in
            ["freetsa/lane", "freetsa/00000001/statement", "a-1/12345678/proof.ots", "x/00000002/headers"]
        {
            assert_eq!(Served::parse(path).unwrap().to_string(), format!("anchors/{path}"));
        }
        assert!(Served::parse("a/00000001/statement").unwrap().is_final());
        assert!(!Served::parse("a/00000001/proof.ots").unwrap().is_final());
        assert!(!Served::parse("a/lane").unwrap().is_final());
    }

    #[test]
    fn names_nothing_else() {
        for path in [
            "",
            "lane",
            "journal/lane",
            "journal/freetsa",
            "journal/00000001/statement",
            "freetsa/",
            "freetsa/00000000/statement",
            "freetsa/1/statement",
            "freetsa/000000001/statement",
            "freetsa/00000001",
            "freetsa/00000001/",
            "freetsa/00000001/statement/",
            "freetsa/00000001/statement.tmp",
            "freetsa/00000001/other",
            "freetsa/+0000001/statement",
            "../lane",
            "freetsa/../statement",
            "freetsa/../../log.policy",
            "freetsa/00000001/../lane",
            "freetsa//00000001/statement",
            "/freetsa/lane",
            "Freetsa/lane",
            "%2e%2e/lane",
            "freetsa/%30%30%30%30%30%30%30%31/statement",
        ] {
            assert_eq!(Served::parse(path), None, "{path}");
        }
    }
}
