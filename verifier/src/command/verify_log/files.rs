//! The files around the tree: partial files of earlier sizes, files ahead of the checkpoint, and files of unknown use.
//!
//! Guarantees: every file of the directory is either compared, or known to be derived, or named. Does not do: following
//! symbolic links out of the directory; they are named as unknown.

use std::fs;
use std::path::Path;

use ledgerstone::code::{CheckName, Code};
use ledgerstone::merkle::TreeSize;
use ledgerstone::tile::{TileKind, TilePath};
use ledgerstone::verify::{Check, PLACES_MAX, Place};

use crate::anchors;
use crate::output::plural;
use crate::source::{Directory, ReadError};

/// Levels of folders that a store has at most: `log/tile/entries/` and seven elements of three digits.
const DEPTH_MAX: usize = 12;

/// How a file compares with what the entries give.
pub(super) enum Finding {
    /// Byte for byte.
    Fits,
    /// It differs from the byte at this offset on.
    Differs(u64),
    /// There is nothing to compare it with, because what it is part of is damaged.
    Incomparable,
    /// It cannot be read.
    Unreadable(String),
}

impl Finding {
    /// Where `stored` first differs from `expected`.
    pub(super) fn differs(stored: &[u8], expected: &[u8]) -> Self {
        let same = stored.iter().zip(expected).take_while(|(ours, theirs)| ours == theirs).count();
        Self::Differs(same as u64)
    }
}

/// Names of files: the first few, and how many there are.
#[derive(Default)]
struct Names {
    count: u64,
    first: Vec<String>,
}

impl Names {
    fn add(&mut self, name: &str) {
        self.count += 1;
        if self.first.len() < PLACES_MAX {
            self.first.push(name.to_owned());
        }
    }

    fn list(&self) -> String {
        let more = if self.count > self.first.len() as u64 { ", ..." } else { "" };
        self.first.join(", ") + more
    }
}

/// What was found about the files that the checkpoint's tree does not need.
#[derive(Default)]
pub(super) struct Findings {
    compared: u64,
    wrong: Names,
    places: Vec<Place>,
    unreadable: Names,
    ahead: Names,
    unknown: Names,
}

impl Findings {
    /// Takes what came of comparing one file.
    pub(super) fn add(&mut self, path: &str, finding: Finding) {
        match finding {
            Finding::Fits => self.compared += 1,
            Finding::Incomparable => self.unreadable.add(&format!("{path} (nothing to compare it with)")),
            Finding::Unreadable(why) => self.unreadable.add(&why),
            Finding::Differs(at) => {
                self.wrong.add(path);
                if self.places.len() < PLACES_MAX {
                    self.places.push(Place {
                        path: Some(path.to_owned()),
                        bytes: Some((at, at + 1)),
                        what: "From here on it is not the beginning of what the entries give.".to_owned(),
                        ..Place::default()
                    });
                }
            }
        }
    }

    /// Takes a file that could not be read, although it may well be there.
    pub(super) fn unreadable(&mut self, error: &ReadError) {
        self.unreadable.add(&error.to_string());
    }

    /// Whether nothing was found.
    pub(super) fn is_empty(&self) -> bool {
        self.compared == 0 && self.wrong.count == 0 && self.unreadable.count == 0
    }

    /// Names what lies in the directory and belongs to no tree of `size` leaves.
    pub(super) fn take_inventory(&mut self, directory: &Directory, size: TreeSize) {
        match directory.store() {
            Some(store) => self.folder(store, "", &|path| place_in_store(path, size)),
            None => self.folder(directory.log(), "", &|path| place_in_log(path, size)),
        }
    }

    /// The sum.
    pub(super) fn into_check(self) -> Check {
        let name = CheckName::LogFiles;
        if self.wrong.count > 0 {
            let detail = format!(
                "{} of earlier sizes {} not fit: {}.",
                plural(self.wrong.count, "partial file", "partial files"),
                if self.wrong.count == 1 { "does" } else { "do" },
                self.wrong.list()
            );
            return Check::failed(name, Code::Inconsistent, detail).at(self.places);
        }
        if self.unreadable.count > 0 {
            let files = plural(self.unreadable.count, "file", "files");
            return Check::not_checked(
                name,
                format!("{files} could not be compared: {}.", self.unreadable.list()),
            );
        }
        Check::passed(name, self.passed_detail())
    }

    fn passed_detail(&self) -> String {
        let mut detail = match self.compared {
            0 => "There is no partial file of an earlier size.".to_owned(),
            compared => {
                format!("{} of earlier sizes fit.", plural(compared, "partial file", "partial files"))
            }
        };
        if self.ahead.count > 0 {
            detail.push_str(&format!(
                " Of entries after this checkpoint, and so not looked at: {}.",
                self.ahead.list()
            ));
        }
        if self.unknown.count > 0 {
            detail.push_str(&format!(
                "\n{} to the log and were not looked at: {}.",
                if self.unknown.count == 1 { "1 file does not belong" } else { "Some files do not belong" },
                self.unknown.list()
            ));
        }
        detail
    }

    /// Names what belongs nowhere below one folder, in the order of the names.
    fn folder(&mut self, root: &Path, prefix: &str, place: &dyn Fn(&str) -> Belongs) {
        let entries = match fs::read_dir(root) {
            Ok(entries) => entries,
            Err(error) => {
                return self.unreadable.add(&format!("{}: {error}", root.display()));
            }
        };
        let mut children: Vec<_> = entries.filter_map(Result::ok).collect();
        children.sort_by_key(fs::DirEntry::file_name);
        for child in children {
            let path = format!("{prefix}{}", child.file_name().to_string_lossy());
            let is_folder = child.file_type().is_ok_and(|kind| kind.is_dir());
            let is_file = child.file_type().is_ok_and(|kind| kind.is_file());
            match place(&path) {
                Belongs::Derived => {}
                Belongs::Folder if is_folder && prefix.matches('/').count() < DEPTH_MAX => {
                    self.folder(&child.path(), &format!("{path}/"), place);
                }
                Belongs::Here if is_file => {}
                Belongs::Ahead if is_file => self.ahead.add(&path),
                _ => self.unknown.add(&path),
            }
        }
    }
}

/// What a path in a store or log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Belongs {
    /// A file that is checked elsewhere in this command.
    Here,
    /// A file of entries after the checkpoint.
    Ahead,
    /// A folder whose files are looked at one by one.
    Folder,
    /// Derived from the log and rebuilt from it: not looked at, whatever it holds.
    Derived,
    /// Not part of a log.
    Nowhere,
}

/// What a path relative to a store directory is.
fn place_in_store(path: &str, size: TreeSize) -> Belongs {
    match path.split_once('/') {
        None => match path {
            "log.policy" => Belongs::Here,
            "lock" | "index" | "keyring" => Belongs::Derived,
            "log" | "sealed" | "journal" | "anchors" => Belongs::Folder,
            _ => Belongs::Nowhere,
        },
        Some(("log", rest)) => place_in_log(rest, size),
        Some(("anchors", rest)) => place_in_anchors(rest),
        Some(("sealed", rest)) => place_of_tile(&format!("tile/entries/{rest}"), size),
        Some(("journal", rest)) if super::journal::segment_number(rest).is_some() => Belongs::Here,
        Some(_) => Belongs::Nowhere,
    }
}

/// What a path relative to the folder of anchors is.
fn place_in_anchors(path: &str) -> Belongs {
    match anchors::place(path) {
        anchors::Place::Folder => Belongs::Folder,
        anchors::Place::File => Belongs::Here,
        anchors::Place::Private => Belongs::Derived,
        anchors::Place::Nowhere => Belongs::Nowhere,
    }
}

/// What a path relative to the log's root is.
fn place_in_log(path: &str, size: TreeSize) -> Belongs {
    if let Some(rest) = path.strip_prefix("anchors/") {
        return place_in_anchors(rest);
    }
    match path {
        "checkpoint" => Belongs::Here,
        "tile" | "anchors" => Belongs::Folder,
        _ => place_of_tile(path, size),
    }
}

/// What a path below `tile/` is.
fn place_of_tile(path: &str, size: TreeSize) -> Belongs {
    if let Ok(tile) = path.parse::<TilePath>() {
        return if tile.end() <= size || is_partly_in(tile, size) { Belongs::Here } else { Belongs::Ahead };
    }
    let folder = |name: &str| {
        let digits = name.strip_prefix('x').or_else(|| name.strip_suffix(".p")).unwrap_or(name);
        name == "entries" || (!digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
    };
    match path.strip_prefix("tile/").map(|rest| rest.split('/').all(folder)) {
        Some(true) => Belongs::Folder,
        _ => Belongs::Nowhere,
    }
}

/// Whether a full bundle reaches past the tree but begins in it: then its beginning was read in place of a partial one.
fn is_partly_in(tile: TilePath, size: TreeSize) -> bool {
    tile.is_full() && tile.kind() == TileKind::Entries && tile.start().get() < size.get()
}
