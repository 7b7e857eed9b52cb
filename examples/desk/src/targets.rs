//! What fixes an example's log outside: a timestamp authority in this process and, where the user has the program, a chain.
//!
//! *Guarantees*: sidecar and auditor get what they would get of targets that others run, tables of a configuration and a
//! trust file; a target that is gone is an error and not a wait.
//!
//! *Does not do*: prove anything to a stranger. Nobody but the run keeps these targets, and they end with it.

use std::fs;

use anyhow::Result;
use ledgerstone_verifier::anchors::TRUST_FORMAT;

use crate::authority::LocalAuthority;
use crate::chain::{LocalChain, Program};
use crate::desk;
use crate::folder::RunFolder;

/// What the anchors of a run without a chain rest on.
const BY_AUTHORITY: &str = "Here by a timestamp authority in the example's own process, so that nothing needs a network: it \
     shows the way, and proves nothing to a stranger. A real one is named in the sidecar's configuration, as are Bitcoin and EVM \
     chains.";

/// What the anchors of a run with a chain rest on.
const BY_AUTHORITY_AND_CHAIN: &str = "Here by a timestamp authority in the example's own process, and by a contract on a \
     development chain of one node, which the example started, asked for the hashes of its blocks, and has ended. Nobody else \
     keeps that chain: both show the way, and prove nothing to a stranger. On a real chain the auditor gets the hashes from a \
     node or an explorer that the operator does not run.";

/// The targets, running until they are dropped.
#[derive(Debug)]
pub struct Targets {
    authority: LocalAuthority,
    chain: Option<LocalChain>,
}

impl Targets {
    /// Starts the authority and, if there is a program for it, the chain.
    ///
    /// # Errors
    /// If a port or a file cannot be had, or the program is not what it should be.
    pub async fn start(folder: &RunFolder, example: &str, program: Option<&Program>) -> Result<Self> {
        let authority = LocalAuthority::start(folder).await?;
        let chain = match program {
            Some(program) => Some(LocalChain::start(program, folder, &desk::origin(example)).await?),
            None => None,
        };
        Ok(Self { authority, chain })
    }

    /// The sidecar's configuration of them.
    ///
    /// # Errors
    /// If the run's folder has no name.
    pub fn configuration(&self) -> Result<String> {
        let (authority, chain) =
            (self.authority.lane()?, self.chain.as_ref().map(LocalChain::lane).unwrap_or_default());
        Ok(format!(
            r#"
# Where the log's head is fixed outside.
[anchors]
quorum = "{}"
{authority}{chain}"#,
            self.quorum()
        ))
    }

    /// Every kind that there is must hold.
    fn quorum(&self) -> &'static str {
        if self.chain.is_some() { "2 of ethereum, rfc3161" } else { "1 of rfc3161" }
    }

    /// What to say of the chain, in rows; none without one.
    #[must_use]
    pub fn rows(&self) -> Vec<(&'static str, String)> {
        self.chain.iter().flat_map(LocalChain::rows).collect()
    }

    /// Whether the targets are still there.
    ///
    /// # Errors
    /// If the chain's node ended.
    pub fn stand(&mut self) -> Result<()> {
        self.chain.as_mut().map_or(Ok(()), LocalChain::stands)
    }

    /// Writes the trust file of a reader who believes these targets, ends them, and gives in words what the anchors rest on.
    ///
    /// # Errors
    /// If the chain does not say what its blocks are, or the file cannot be written.
    pub async fn close(mut self, folder: &RunFolder) -> Result<&'static str> {
        let chain = match &mut self.chain {
            Some(chain) => chain.trust(folder).await?,
            None => String::new(),
        };
        let trust = format!(
            r#"# Whom a reader of this log's anchors trusts. It comes from the reader, never from the log.
format = "{TRUST_FORMAT}"
quorum = "{}"

{chain}{}"#,
            self.quorum(),
            self.authority.trust()
        );
        fs::write(folder.anchor_trust(), trust)?;
        Ok(if self.chain.is_some() { BY_AUTHORITY_AND_CHAIN } else { BY_AUTHORITY })
    }
}
