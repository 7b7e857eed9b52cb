//! A timestamp authority of the example's own, for a run without a network.
//!
//! *Guarantees*: it answers as any RFC 3161 authority does over HTTP (RFC 3161, section 3.4), so the sidecar and the verifier
//! treat it as any other.
//!
//! *Does not do*: prove anything to a stranger. Whoever runs the log runs it too; a real one is run by somebody else.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::post;
use ledgerstone::anchor::rfc3161::REPLY_CONTENT_TYPE;
use ledgerstone::anchor::rfc3161::authority::Authority;
use ledgerstone::time::UnixMillis;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::folder::RunFolder;

/// The lane's name, which is that of its folder below `anchors/`.
const LANE: &str = "example-authority";

/// How long its certificates hold.
const VALID: Duration = Duration::from_secs(24 * 60 * 60);

/// The authority, answering on a port of this machine until it is dropped.
#[derive(Debug)]
pub struct LocalAuthority {
    url: String,
    roots: PathBuf,
    task: JoinHandle<()>,
}

struct Desk {
    authority: Authority,
    issued: AtomicU64,
}

impl LocalAuthority {
    /// Makes new keys and certificates, writes the root certificate into the run's folder, and answers.
    ///
    /// # Errors
    /// If a port or a file cannot be had.
    pub async fn start(folder: &RunFolder) -> Result<Self> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed)?;
        let from = now()?;
        let until = from.plus_millis(u64::try_from(VALID.as_millis())?);
        let authority = Authority::create(&seed, "The example's own timestamp authority", from, until)?;
        let roots = folder.authority_roots();
        fs::write(&roots, authority.root_pem())?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}/", listener.local_addr()?);
        let desk = Arc::new(Desk { authority, issued: AtomicU64::new(0) });
        let router = Router::new().route("/", post(answer)).with_state(desk);
        let task = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                eprintln!("the example's timestamp authority ended: {error}");
            }
        });
        Ok(Self { url, roots, task })
    }

    /// Where it answers.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What a reader who believes this authority writes into a trust file.
    #[must_use]
    pub fn trust(&self) -> &'static str {
        r#"[rfc3161]
roots = ["keys/authority.pem"]
"#
    }

    /// The sidecar's configuration of a lane to it.
    ///
    /// # Errors
    /// If the run's folder has no name.
    pub fn lane(&self) -> Result<String> {
        let roots =
            self.roots.file_name().and_then(|name| name.to_str()).context("the roots have no name")?;
        Ok(format!(
            r#"
[[anchors.rfc3161]]
name = "{LANE}"
url = "{}"
interval = "1s"
roots_file = "keys/{roots}"
"#,
            self.url
        ))
    }
}

impl Drop for LocalAuthority {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(State(desk): State<Arc<Desk>>, request: Bytes) -> impl IntoResponse {
    let serial = desk.issued.fetch_add(1, Ordering::Relaxed) + 1;
    // A clock before 1970 is outside of the certificates' validity, and the authority says so.
    let at = now().unwrap_or_default();
    ([(CONTENT_TYPE, REPLY_CONTENT_TYPE)], desk.authority.answer(&request, at, serial))
}

fn now() -> Result<UnixMillis> {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    Ok(UnixMillis::new(u64::try_from(since.as_millis())?))
}
