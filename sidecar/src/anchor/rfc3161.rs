//! A lane of a timestamp authority (RFC 3161) over HTTP or HTTPS.
//!
//! Guarantees: a reply is kept only if it carries the nonce of its request, stamps the statement's hash under the configured
//! policy, and its certificate was made for timestamps, was valid at that time and leads to a configured root; a reply
//! that a crash left in the store is checked again instead of asking twice. Does not do: trusting the authority's clock
//! beyond what the token says.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::Method;
use ledgerstone::anchor::rfc3161::{
    Imprint, PolicyId, REPLY_CONTENT_TYPE, REQUEST_CONTENT_TYPE, Request, StampError, Trust, verify,
};
use ledgerstone::anchor::statement::{AnchorKind, LaneName};
use ledgerstone::anchor::submission::Config;
use ledgerstone::hash::Hash;
use ledgerstone::limits::TIMESTAMP_REPLY_BYTES_MAX;
use serde_json::json;
use tokio::task::spawn_blocking;

use super::DeskError;
use super::folder::Proof;
use super::lane::{Desk, Lane, LaneRun};
use super::setup::{self, SetupError};
use super::submission::{Target, TargetFault, Work, described, random, run, settings};
use crate::config::anchors::Rfc3161Config;
use crate::outbound::http::{Address, Client, Question};

/// A timestamp authority that is asked.
#[derive(Debug)]
struct Authority {
    url: Address,
    client: Client,
    policy: Option<PolicyId>,
    trust: Trust,
    /// Revocation lists that the operator keeps up to date.
    crl_file: Option<PathBuf>,
}

/// The lane of one authority.
#[derive(Debug)]
pub(super) struct Rfc3161Lane {
    settings: Config,
    authority: Arc<Authority>,
}

impl Rfc3161Lane {
    /// Reads the roots and the certificates that `config` names.
    pub(super) fn new(config: &Rfc3161Config) -> Result<Self, SetupError> {
        let name = &config.lane.name;
        let client = Client::new(config.lane.timeout, config.lane.ca_file.as_deref());
        let client = client.map_err(|source| SetupError::Ca { lane: name.clone(), source })?;
        let mut trust = Trust::default();
        let roots = setup::read(name, &config.roots_file)?;
        trust.add_roots(&roots).map_err(|source| SetupError::roots(name, &config.roots_file, &source))?;
        let policy = match &config.policy {
            None => None,
            Some(text) => {
                let unknown = || SetupError::Policy { lane: name.clone(), policy: text.clone() };
                Some(text.parse::<PolicyId>().map_err(|_| unknown())?)
            }
        };
        if let Some(policy) = policy {
            trust.add_policy(policy);
        }
        let crl_file = config.crl_file.clone();
        let authority = Authority { url: config.url.clone(), client, policy, trust, crl_file };
        authority.trust_now().map_err(|fault| SetupError::file(name, &fault))?;
        // An authority's proof is whole at once: there is nothing to upgrade.
        let settings = settings(&config.lane, AnchorKind::Rfc3161, Duration::from_secs(3600));
        Ok(Self { settings, authority: Arc::new(authority) })
    }
}

impl Lane for Rfc3161Lane {
    fn name(&self) -> &LaneName {
        &self.settings.lane
    }

    fn kind(&self) -> AnchorKind {
        AnchorKind::Rfc3161
    }

    fn parameters(&self) -> serde_json::Map<String, serde_json::Value> {
        let policy = self.authority.policy.map(|policy| policy.to_string());
        described(&[("url", json!(self.authority.url.to_string())), ("policy", json!(policy))])
    }

    fn run(self: Box<Self>, desk: Desk, records: Vec<Vec<u8>>) -> LaneRun {
        run(self.settings, self.authority, desk, records)
    }
}

impl Authority {
    /// What is trusted, with the revocation lists as they are now.
    fn trust_now(&self) -> Result<Trust, TargetFault> {
        let mut trust = self.trust.clone();
        if let Some(path) = &self.crl_file {
            let shown = path.display();
            let file =
                setup::read_file(path).map_err(|error| TargetFault::File(format!("{shown}: {error}")))?;
            let added = trust.add_revocation_lists(&file);
            added.map_err(|error| TargetFault::File(format!("{shown}: {error}")))?;
        }
        Ok(trust)
    }

    async fn stamp(&self, desk: &Desk, seq: u64, statement: Hash) -> Result<(), TargetFault> {
        let imprint = Imprint::from(statement);
        let trust = self.trust_now()?;
        if let Some(kept) = desk.proof(seq, Proof::Tsr).await?
            && check(kept, imprint.clone(), None, trust.clone()).await?.is_ok()
        {
            return Ok(());
        }
        let nonce = u64::from_be_bytes(random()?);
        let mut request = Request::new(imprint.clone(), nonce);
        request.policy = self.policy;
        let question = Question {
            method: Method::POST,
            address: self.url.clone(),
            content_type: Some(REQUEST_CONTENT_TYPE),
            accept: REPLY_CONTENT_TYPE,
            headers: Vec::new(),
            body: request.encode().into(),
            answer_bytes_max: TIMESTAMP_REPLY_BYTES_MAX,
        };
        let target = || self.url.to_string();
        let reply = self.client.ask(question).await;
        let reply = reply.map_err(|fault| TargetFault::Http { target: target(), fault })?.to_vec();
        match check(reply.clone(), imprint, Some(nonce), trust).await? {
            Ok(()) => Ok(desk.prove(seq, Proof::Tsr, reply).await?),
            Err(error) => {
                Err(TargetFault::Refused { target: target(), reason: error.to_string(), code: error.code() })
            }
        }
    }
}

/// Checks a reply where its signatures hold up nobody.
async fn check(
    reply: Vec<u8>,
    imprint: Imprint,
    nonce: Option<u64>,
    trust: Trust,
) -> Result<Result<(), StampError>, DeskError> {
    let checked = spawn_blocking(move || verify(&reply, &imprint, nonce, &trust).map(drop)).await;
    checked.map_err(|_| DeskError::Defect)
}

impl Target for Authority {
    fn submit<'a>(&'a self, desk: &'a Desk, seq: u64, statement: Hash) -> Work<'a> {
        Box::pin(self.stamp(desk, seq, statement))
    }

    fn upgrade<'a>(&'a self, _: &'a Desk, _: u64, _: Hash) -> Work<'a> {
        Box::pin(async { Ok(()) })
    }

    fn capture<'a>(&'a self, _: &'a Desk, _: u64, _: Hash) -> Work<'a> {
        Box::pin(async { Ok(()) })
    }
}
