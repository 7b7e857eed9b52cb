//! The names on a disk: those that are found now, and those that survive a power loss.

use std::collections::BTreeMap;
use std::io;

use super::Random;
use crate::store::disk::folder_of;

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Node {
    Folder,
    File(u64),
}

#[derive(Debug, Default)]
pub(super) struct Names {
    current: BTreeMap<String, Node>,
    durable: BTreeMap<String, Node>,
    /// Per folder, what changed in it since it was last synced, in order.
    pending: BTreeMap<String, Vec<Change>>,
}

#[derive(Debug)]
enum Change {
    Link(String, Node),
    Unlink(String),
    Rename(String, String, Node),
}

impl Names {
    pub(super) fn file(&self, path: &str) -> io::Result<u64> {
        match self.current.get(path) {
            Some(Node::File(file)) => Ok(*file),
            Some(Node::Folder) => Err(io::ErrorKind::IsADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    pub(super) fn files(&self) -> impl Iterator<Item = (&str, u64)> {
        self.current.iter().filter_map(|(path, node)| match node {
            Node::File(file) => Some((path.as_str(), *file)),
            Node::Folder => None,
        })
    }

    pub(super) fn is_folder(&self, folder: &str) -> bool {
        folder.is_empty() || self.current.get(folder) == Some(&Node::Folder)
    }

    pub(super) fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        if !self.is_folder(folder) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let inside = self.current.keys().filter(|path| folder_of(path).unwrap_or("") == folder);
        Ok(inside.filter_map(|path| path.rsplit('/').next().map(str::to_owned)).collect())
    }

    pub(super) fn check_folder_above(&self, path: &str) -> io::Result<()> {
        if self.is_folder(folder_of(path).unwrap_or("")) {
            Ok(())
        } else {
            Err(io::ErrorKind::NotFound.into())
        }
    }

    pub(super) fn create_folder(&mut self, folder: &str) {
        let ends = folder.match_indices('/').map(|(end, _)| end).chain([folder.len()]);
        for part in ends.filter_map(|end| folder.get(..end)) {
            if !self.is_folder(part) {
                self.insert(part, Node::Folder);
            }
        }
    }

    pub(super) fn link(&mut self, path: &str, file: u64) {
        self.insert(path, Node::File(file));
    }

    pub(super) fn rename(&mut self, from: &str, to: &str) {
        debug_assert_eq!(folder_of(from), folder_of(to), "a rename stays in its folder");
        if let Some(node) = self.current.remove(from) {
            self.current.insert(to.to_owned(), node);
            self.note(to, Change::Rename(from.to_owned(), to.to_owned(), node));
        }
    }

    pub(super) fn unlink(&mut self, path: &str) {
        self.current.remove(path);
        self.note(path, Change::Unlink(path.to_owned()));
    }

    /// Makes what changed in `folder` durable.
    pub(super) fn sync_folder(&mut self, folder: &str) {
        for change in self.pending.remove(folder).unwrap_or_default() {
            self.settle(change);
        }
    }

    /// Makes the name `path` and the folders above it durable.
    pub(super) fn sync_above(&mut self, path: &str) {
        let mut path = path;
        while let Some(folder) = folder_of(path) {
            self.sync_folder(folder);
            path = folder;
        }
        self.sync_folder("");
    }

    pub(super) fn durable_copy(&self) -> Self {
        let mut copy = Self { durable: self.durable.clone(), ..Self::default() };
        copy.drop_unreachable();
        copy
    }

    /// Of each folder's unsynced changes the first few become durable; what has no folder above it is lost.
    pub(super) fn lose_power(&mut self, random: &mut Random) {
        for changes in core::mem::take(&mut self.pending).into_values() {
            let kept = random.up_to(changes.len());
            for change in changes.into_iter().take(kept) {
                self.settle(change);
            }
        }
        self.drop_unreachable();
    }

    /// Finds what is durable and nothing else.
    fn drop_unreachable(&mut self) {
        let paths: Vec<String> = self.durable.keys().cloned().collect();
        for path in paths {
            // Keys are in order, so a lost folder is gone before what was in it is looked at.
            if folder_of(&path).is_some_and(|folder| self.durable.get(folder) != Some(&Node::Folder)) {
                self.durable.remove(&path);
            }
        }
        self.current.clone_from(&self.durable);
    }

    fn insert(&mut self, path: &str, node: Node) {
        self.current.insert(path.to_owned(), node);
        self.note(path, Change::Link(path.to_owned(), node));
    }

    fn note(&mut self, path: &str, change: Change) {
        let folder = folder_of(path).unwrap_or("").to_owned();
        self.pending.entry(folder).or_default().push(change);
    }

    fn settle(&mut self, change: Change) {
        match change {
            Change::Link(path, node) => {
                self.durable.insert(path, node);
            }
            Change::Unlink(path) => {
                self.durable.remove(&path);
            }
            Change::Rename(from, to, node) => {
                self.durable.remove(&from);
                self.durable.insert(to, node);
            }
        }
    }
}
