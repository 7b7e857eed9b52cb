//! A chain in a build without the feature `ethereum`: types without a value, so that nobody has to ask whether there is one.

use std::str::FromStr;

use anyhow::{Error, Result, bail};

use crate::folder::RunFolder;

/// The program of a chain node; this build takes none.
#[derive(Clone, Debug)]
pub enum Program {}

impl FromStr for Program {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let own = std::env::current_exe().ok().and_then(|path| path.file_stem().map(ToOwned::to_owned));
        let own = own.unwrap_or_default();
        bail!(
            "this build knows no chain; run it with the feature: cargo run --release -p {} --features ethereum -- --anvil \
             {text:?}",
            own.display()
        )
    }
}

/// A chain; this build has none.
#[derive(Debug)]
pub enum LocalChain {}

impl LocalChain {
    /// Starts none.
    ///
    /// # Errors
    /// Never, because there is no program to start.
    pub async fn start(program: &Program, _: &RunFolder, _: &str) -> Result<Self> {
        match *program {}
    }

    /// What another build says here: the sidecar's configuration of the lane.
    #[must_use]
    pub fn lane(&self) -> String {
        match *self {}
    }

    /// What another build says here: what the chain is.
    #[must_use]
    pub fn rows(&self) -> [(&'static str, String); 2] {
        match *self {}
    }

    /// What another build says here: whether the node is there.
    ///
    /// # Errors
    /// Never, because there is none.
    pub fn stands(&mut self) -> Result<()> {
        match *self {}
    }

    /// What another build says here: a reader's trust.
    ///
    /// # Errors
    /// Never, because there is none.
    pub async fn trust(&mut self, _: &RunFolder) -> Result<String> {
        match *self {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_how_to_build_what_is_missing() {
        let error = "/usr/bin/anvil".parse::<Program>().unwrap_err().to_string();
        assert!(error.contains("--features ethereum -- --anvil \"/usr/bin/anvil\""), "{error}");
    }
}
