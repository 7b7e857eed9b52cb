//! What the configuration names: files, addresses that are asked, ports that are listened on. Kept while it is read.
//!
//! Guarantees: every path, URL and port of a key of the table of settings is in it, whoever added the key, because it is noted
//! where keys are read. Does not do: the lists of tables (`[[route]]`, `[[anchors.*]]`), which have types of their own.

use std::path::{Path, PathBuf};

use super::layers::Layers;
use crate::outbound::http::Address;

/// What the configuration names.
#[derive(Clone, Debug, Default)]
pub struct Named {
    /// Each key that is a path, with it.
    pub paths: Vec<(&'static str, PathBuf)>,
    /// Each key that is a URL, with its address.
    pub addresses: Vec<(&'static str, Address)>,
    /// Ports that are listened on.
    pub ports: Vec<u16>,
}

impl Named {
    pub(super) fn take(&mut self, other: Self) {
        self.paths.extend(other.paths);
        self.addresses.extend(other.addresses);
        self.ports.extend(other.ports);
    }
}

impl Layers {
    /// What was read so far.
    pub(super) fn named(&self) -> Named {
        self.seen.borrow().clone()
    }

    /// Notes a value that may be a URL, or several.
    pub(super) fn saw(&self, key: &'static str, text: &str) {
        let addresses = text.split([',', ' ']).filter_map(|word| Some((key, Address::parse(word)?)));
        self.seen.borrow_mut().addresses.extend(addresses);
    }

    /// Notes the path of a key.
    pub(super) fn names(&self, key: &'static str, path: &Path) {
        self.seen.borrow_mut().paths.push((key, path.to_owned()));
    }

    /// Notes a port that is listened on.
    pub(super) fn listens(&self, port: u16) {
        self.seen.borrow_mut().ports.push(port);
    }
}
