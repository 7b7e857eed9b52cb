//! Where anchors lie: a folder, or a server's `/anchors/`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use ledgerstone::limits::ANCHOR_LANES_MAX;

use super::{PROOFS, seq_of};
use crate::exit::Refusal;
use crate::source::{ReadError, Source, read_regular};

/// Bytes of a server's list of lanes: names of at most 32 letters, one a line.
const LANES_BYTES_MAX: usize = ANCHOR_LANES_MAX * 33;

/// Names that a folder of anchors has beside its lanes.
const BESIDE_LANES: [&str; 3] = ["journal", "lanes", "checkpoint"];

/// Where anchors lie.
#[derive(Clone, Copy)]
pub enum Shelf<'a> {
    /// The folder `anchors` of a store, or a copy of it.
    Folder(&'a Path),
    /// A server that serves a log's files.
    Server(&'a dyn Source),
}

/// What a folder says of a lane.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// The highest number of a statement; 0 where there is none.
    pub(super) last: u64,
    /// Names that belong to no lane.
    pub(super) strangers: Vec<String>,
}

/// What a path below a folder of anchors is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A folder of a lane or of a statement.
    Folder,
    /// A file of one of them.
    File,
    /// The operator's own, no part of the evidence.
    Private,
    /// No part of a lane.
    Nowhere,
}

/// What `path`, relative to the folder of anchors, is by its name.
#[must_use]
pub fn place(path: &str) -> Place {
    let parts: Vec<&str> = path.split('/').collect();
    match parts.as_slice() {
        ["journal", ..] => Place::Private,
        ["lanes"] => Place::File,
        [lane] if is_lane(lane) => Place::Folder,
        [lane, "lane"] if is_lane(lane) => Place::File,
        [lane, statement] if is_lane(lane) && seq_of(statement).is_some() => Place::Folder,
        [lane, statement, file] if is_lane(lane) && seq_of(statement).is_some() && is_file(file) => {
            Place::File
        }
        _ => Place::Nowhere,
    }
}

/// Whether a file of a statement has that name.
fn is_file(name: &str) -> bool {
    ["statement", "checkpoint", "consistency", "headers"].contains(&name) || PROOFS.contains(&name)
}

/// Whether a lane may have that name.
fn is_lane(name: &str) -> bool {
    ledgerstone::anchor::statement::LaneName::parse(name).is_ok() && !BESIDE_LANES.contains(&name)
}

impl Shelf<'_> {
    /// The place, for messages.
    #[must_use]
    pub fn label(&self) -> String {
        match self {
            Self::Folder(root) => root.display().to_string(),
            Self::Server(source) => format!("{}/anchors", source.label()),
        }
    }

    /// The names of the lanes, sorted.
    ///
    /// # Errors
    /// The folder cannot be listed, or the server does not say.
    pub fn lanes(&self) -> Result<Vec<String>, Refusal> {
        match self {
            Self::Folder(root) => {
                let mut lanes: Vec<_> = names(root)?.into_iter().filter(|name| is_lane(name)).collect();
                lanes.retain(|lane| root.join(lane).symlink_metadata().is_ok_and(|about| about.is_dir()));
                Ok(lanes)
            }
            Self::Server(source) => {
                let text = source
                    .read("anchors/lanes", LANES_BYTES_MAX)
                    .map_err(|error| no_lanes(source.label(), &error))?;
                let text = String::from_utf8_lossy(&text);
                text.lines()
                    .map(
                        |line| {
                            if is_lane(line) { Ok(line.to_owned()) } else { Err(not_lanes(source.label())) }
                        },
                    )
                    .collect()
            }
        }
    }

    /// What a folder says of a lane; nothing where it is a server, which cannot be listed.
    pub(super) fn statements(&self, lane: &str) -> Result<Option<Known>, ReadError> {
        let Self::Folder(root) = self else {
            return Ok(None);
        };
        let mut known = Known::default();
        for name in names(&root.join(lane))? {
            match seq_of(&name) {
                Some(seq) => {
                    // A folder that was begun and got no statement means nothing; one with a proof has lost it.
                    let inside = names(&root.join(lane).join(&name)).unwrap_or_default();
                    if inside.iter().any(|file| file == "statement" || PROOFS.contains(&file.as_str())) {
                        known.last = known.last.max(seq);
                    }
                    let strangers = inside.iter().filter(|file| !is_file(file));
                    known.strangers.extend(strangers.map(|file| format!("{lane}/{name}/{file}")));
                }
                None if name == "lane" => {}
                None => known.strangers.push(format!("{lane}/{name}")),
            }
        }
        Ok(Some(known))
    }

    /// The bytes of the file at `path`, relative to the folder of anchors.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn read(&self, path: &str, bytes_max: usize) -> Result<Vec<u8>, ReadError> {
        match self {
            Self::Folder(root) => read_regular(root, path, bytes_max),
            Self::Server(source) => source.read(&format!("anchors/{path}"), bytes_max),
        }
    }
}

/// The names in a folder, sorted.
fn names(folder: &Path) -> Result<Vec<String>, ReadError> {
    let failed = |source: io::Error| ReadError::Io { place: folder.display().to_string(), source };
    let mut names = fs::read_dir(folder)
        .map_err(failed)?
        .map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()))
        .collect::<io::Result<Vec<_>>>()
        .map_err(failed)?;
    names.sort();
    Ok(names)
}

/// The folder of anchors that the directory `root` holds or is, if any.
#[must_use]
pub fn folder_in(root: &Path) -> Option<PathBuf> {
    let is_folder = |path: &Path| path.symlink_metadata().is_ok_and(|about| about.is_dir());
    let inside = root.join("anchors");
    if is_folder(&inside) {
        return Some(inside);
    }
    let lanes = names(root).ok()?;
    let is_shelf = lanes.iter().any(|lane| {
        is_lane(lane)
            && (is_folder(&root.join(lane).join("00000001")) || root.join(lane).join("lane").is_file())
    });
    is_shelf.then(|| root.to_owned())
}

fn no_lanes(label: &str, error: &ReadError) -> Refusal {
    if !error.is_missing() {
        return Refusal::new(error.code(), error, error.next());
    }
    Refusal::malformed(
        format_args!("{label} does not say which anchors it has: there is no anchors/lanes"),
        "Ask the operator whether this log is anchored, or give a copy of its `anchors` folder.",
    )
}

fn not_lanes(label: &str) -> Refusal {
    Refusal::malformed(
        format_args!("{label}/anchors/lanes is not a list of lanes"),
        "Check the address; the file holds one name a line.",
    )
}
