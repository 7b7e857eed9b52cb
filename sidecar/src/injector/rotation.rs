//! Keeps the injector's own authority and certificate: in the Secret, in the webhook's configuration, and in what is served.
//!
//! Guarantees: several injectors agree, because each writes only what it made of what is there; the API server is told of an authority
//! before anything of it is served. What fails is tried again at the next look, and what is served goes on until then.
//! Does not do: electing a leader.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ledgerstone::code::Code;
use rustls::pki_types::UnixTime;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use super::authority::{AuthorityError, Material, Pair, Step, Terms};
use super::kubernetes::{Cluster, ClusterError};
use crate::tls::{Files, Reloading, TlsError, Versions};

/// Steps of one look: an authority, a certificate, and what another injector does at the same time.
const STEPS_MAX: usize = 6;

/// Keeps the certificates of one cluster.
pub struct Keeper<C> {
    cluster: C,
    terms: Terms,
    folder: PathBuf,
    served: watch::Sender<Option<Reloading>>,
}

impl<C: Cluster + Sync> Keeper<C> {
    /// A keeper that puts what is served into `folder`, and whom it tells of the first.
    #[must_use]
    pub fn new(cluster: C, terms: Terms, folder: PathBuf) -> (Self, watch::Receiver<Option<Reloading>>) {
        let (served, first) = watch::channel(None);
        (Self { cluster, terms, folder, served }, first)
    }

    /// Looks at each `period` for as long as it is driven.
    pub async fn keep(self, period: Duration) {
        let mut ticks = tokio::time::interval(period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if let Err(error) = self.look().await {
                tracing::warn!(%error, code = %error.code(), "the certificates cannot be looked after; it is tried again");
            }
        }
    }

    async fn look(&self) -> Result<(), RotationError> {
        match look(&self.cluster, &self.terms, UnixTime::now()).await? {
            Some(pair) => self.serve(&pair),
            None => Ok(()),
        }
    }

    /// Serves with `pair` from the next connection on.
    fn serve(&self, pair: &Pair) -> Result<(), RotationError> {
        let files = Files::of(&self.folder.join("tls.crt"), &self.folder.join("tls.key"));
        write(&files.cert, pair.certificate.as_bytes())?;
        write(&files.key, pair.key.as_bytes())?;
        let served = self.served.borrow().clone();
        match served {
            Some(served) => {
                if served.reload()? {
                    tracing::info!("another certificate is served");
                }
            }
            None => _ = self.served.send_replace(Some(Reloading::load(files, Versions::default())?)),
        }
        Ok(())
    }
}

/// Exchanges a file for one that only this user reads.
fn write(path: &Path, bytes: &[u8]) -> Result<(), RotationError> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let unwritable = |source| RotationError::Folder { path: path.to_owned(), source };
    let part = path.with_extension("part");
    let mut options = std::fs::OpenOptions::new();
    let mut file =
        options.write(true).create(true).truncate(true).mode(0o600).open(&part).map_err(unwritable)?;
    file.write_all(bytes).map_err(unwritable)?;
    std::fs::rename(&part, path).map_err(unwritable)
}

/// Looks once, and does what is due; what to serve with, if there is anything that verifies.
///
/// # Errors
/// [`RotationError`] says what failed; what was served is served on.
pub async fn look(
    cluster: &impl Cluster,
    terms: &Terms,
    now: UnixTime,
) -> Result<Option<Pair>, RotationError> {
    for _ in 0..STEPS_MAX {
        let mut secret = cluster.secret().await?;
        let files = std::mem::take(&mut secret.files);
        let is_empty = files.state.is_empty();
        let made = match Material::read(files, terms) {
            None => {
                if !is_empty {
                    tracing::warn!("what the Secret has cannot be used; an authority is drawn");
                }
                Material::draw(now, terms)?
            }
            Some(held) => {
                let is_told = cluster.tell(&held.bundle()).await?;
                match held.step(now, terms, is_told) {
                    Step::Keep => return Ok(held.pair(now, terms)),
                    Step::Authority => held.with_authority(now, terms)?,
                    Step::Serving => match held.with_serving(now, terms) {
                        Err(AuthorityError::Unfit) => Material::draw(now, terms)?,
                        made => made?,
                    },
                }
            }
        };
        match cluster.put_secret(secret, made.files()?).await {
            Ok(()) => tracing::info!(expires = made.expires(), "certificates were drawn"),
            // What the other wrote is as good.
            Err(ClusterError::Conflict) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(RotationError::Restless)
}

/// Why the certificates cannot be looked after.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RotationError {
    /// The API server.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// Drawing.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// What is to be served cannot be put where it is served from.
    #[error("{path} cannot be written: {source}; mount an emptyDir in memory there, or change --folder")]
    Folder {
        /// Which file.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// What was drawn cannot be served.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// They change at every look.
    #[error("the Secret changes each time it is read; check that one release of the chart uses it")]
    Restless,
}

impl RotationError {
    /// What the operator must do about it.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Cluster(error) => error.code(),
            Self::Authority(error) => error.code(),
            Self::Folder { .. } => Code::Misuse,
            Self::Tls(error) => error.code(),
            Self::Restless => Code::Unavailable,
        }
    }
}

#[cfg(test)]
mod tests;
