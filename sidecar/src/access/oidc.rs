//! People, by the tokens of one issuer: its keys, fetched and kept, and tokens that were checked already.
//!
//! Guarantees: without keys no token is taken, and keys that could not be fetched again are used for a bounded time only
//! (`access.oidc.keys_kept`): what fails, fails closed. A token that was checked is remembered until it expires or the keys change, in bounded
//! memory. The issuer is asked at most once in [`ASK_PAUSE`], or in the refresh time where that is shorter, whatever tokens come; its answer is bounded in size and time, a redirect is
//! not followed, and an answer that cannot be used changes nothing.
//! Does not do: discovery. The configuration names the keys' own address, so no document of somebody else's says whom to ask.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Method;
use ledgerstone::code::Code;
use ledgerstone::hash::Hash;
use ledgerstone::time::UnixMillis;
use tokio::sync::Notify;

use super::jwks::{JWKS_BYTES_MAX, JwksError, KeySet};
use super::role::Roles;
use super::token::{self, Expected, TOKEN_BYTES_MAX, TokenError};
use crate::outbound::http::{Address, CaError, Client, HttpFault, Question};

/// The shortest time between two questions.
pub const ASK_PAUSE: Duration = Duration::from_secs(5);

/// How long to wait after a question without an answer, unless somebody needs keys.
const RETRY: Duration = Duration::from_secs(30);

/// How long one question may take.
const ASK_LIMIT: Duration = Duration::from_secs(5);

/// Tokens that are remembered, in each of the parts: 4,096 of them at about 300 bytes make 1.2 MiB.
const REMEMBERED_MAX: usize = 256;

/// Parts of what is remembered, each with a lock of its own.
const PARTS: usize = 16;

/// Where the keys are.
#[derive(Clone, Debug)]
pub enum KeySource {
    /// A file, read again as often as an address is asked.
    File(PathBuf),
    /// An address, with the certificates that `https` is checked against.
    Url {
        /// The address.
        address: Address,
        /// The certificates, as PEM.
        ca_file: PathBuf,
    },
}

/// What `[access.oidc]` says.
#[derive(Clone, Debug)]
pub struct OidcConfig {
    /// What tokens must say.
    pub expected: Expected,
    /// Where the keys are.
    pub source: KeySource,
    /// How often the keys are fetched.
    pub keys_refresh: Duration,
    /// How long keys are used that could not be fetched again.
    pub keys_kept: Duration,
}

/// A person whose token was checked.
#[derive(Clone, Debug)]
pub struct Person {
    /// `SUBJECT@ISSUER`.
    pub principal: Arc<str>,
    /// What the rules give them.
    pub roles: Roles,
}

/// Knows people by their tokens.
pub struct Oidc {
    config: OidcConfig,
    client: Client,
    /// What each word of the role claim gives.
    rules: HashMap<String, Roles>,
    keys: RwLock<Option<Fetched>>,
    remembered: [Mutex<HashMap<Hash, Remembered>>; PARTS],
    /// Somebody needs keys that are not there.
    wanted: Notify,
}

/// Keys, and when they came.
#[derive(Clone)]
struct Fetched {
    keys: Arc<KeySet>,
    at: Instant,
    /// Of what they were read: the same document leaves remembered tokens alone.
    document: Hash,
}

struct Remembered {
    person: Person,
    until: UnixMillis,
    /// The document of the keys that it was checked with.
    document: Hash,
}

impl Oidc {
    /// Knows the people of `config`, and by `rules` what their claims give. Asks nobody yet.
    ///
    /// # Errors
    /// [`CaError`] if the certificates cannot be read.
    pub fn new(config: OidcConfig, rules: HashMap<String, Roles>) -> Result<Self, CaError> {
        let ca_file = match &config.source {
            KeySource::Url { address, ca_file } if address.is_tls() => Some(ca_file.as_path()),
            _ => None,
        };
        let client = Client::new(ASK_LIMIT, ca_file)?;
        let remembered = std::array::from_fn(|_| Mutex::default());
        Ok(Self { config, client, rules, keys: RwLock::new(None), remembered, wanted: Notify::new() })
    }

    /// Whose token it is, if it is one that was checked before and still holds.
    #[must_use]
    pub fn known(&self, token: &str, now: UnixMillis) -> Option<Person> {
        if token.len() > TOKEN_BYTES_MAX {
            return None;
        }
        let document = self.usable().ok()?.document;
        let name = Hash::of(token.as_bytes());
        let part = self.part(&name).lock().unwrap_or_else(PoisonError::into_inner);
        let found = part.get(&name).filter(|found| found.document == document && now < found.until)?;
        Some(found.person.clone())
    }

    /// Whose token it is.
    ///
    /// # Errors
    /// [`Unknown`] says why it is nobody's.
    pub fn person(&self, token: &str, now: UnixMillis) -> Result<Person, Unknown> {
        let Fetched { keys, document, .. } = self.usable()?;
        let verified = match token::verify(token, &keys, &self.config.expected, now) {
            Err(TokenError::UnknownKey) => {
                self.wanted.notify_one();
                return Err(TokenError::UnknownKey.into());
            }
            verified => verified?,
        };
        let given = verified.claimed.iter().filter_map(|word| self.rules.get(word));
        let roles = given.fold(Roles::NONE, |all, roles| all.or(*roles));
        let person = Person { principal: verified.principal, roles };
        self.remember(token, &person, verified.until, document, now);
        Ok(person)
    }

    /// The keys, if they are not too old.
    fn usable(&self) -> Result<Fetched, Unknown> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner).clone();
        match keys.filter(|fetched| fetched.at.elapsed() <= self.config.keys_kept) {
            Some(fetched) => Ok(fetched),
            None => {
                self.wanted.notify_one();
                Err(Unknown::NoKeys)
            }
        }
    }

    fn remember(&self, token: &str, person: &Person, until: UnixMillis, document: Hash, now: UnixMillis) {
        let name = Hash::of(token.as_bytes());
        let mut part = self.part(&name).lock().unwrap_or_else(PoisonError::into_inner);
        if part.len() >= REMEMBERED_MAX {
            part.retain(|_, held| held.document == document && now < held.until);
        }
        if part.len() >= REMEMBERED_MAX {
            // Whoever has so many tokens may have each checked again.
            part.clear();
        }
        part.insert(name, Remembered { person: person.clone(), until, document });
    }

    fn part(&self, name: &Hash) -> &Mutex<HashMap<Hash, Remembered>> {
        let [first, ..] = name.as_bytes();
        let [one, ..] = &self.remembered;
        self.remembered.get(usize::from(*first) % PARTS).unwrap_or(one)
    }

    /// Fetches the keys now and then, sooner when somebody needs some, until the sidecar ends.
    pub async fn follow(self: Arc<Self>) {
        let pause = ASK_PAUSE.min(self.config.keys_refresh);
        let mut is_told = false;
        loop {
            let fetched = self.fetch().await;
            let is_there = fetched.is_ok();
            let wait = if is_there { self.config.keys_refresh } else { RETRY.min(self.config.keys_refresh) };
            match fetched {
                Ok(keys) if !is_told => tracing::info!(keys, "the issuer's keys are there"),
                Err(error) => {
                    tracing::warn!(%error, code = %error.code(), "the issuer's keys cannot be fetched")
                }
                Ok(_) => {}
            }
            is_told = is_there;
            tokio::time::sleep(pause).await;
            // An error says that nobody needed any.
            _ = tokio::time::timeout(wait.saturating_sub(pause), self.wanted.notified()).await;
        }
    }

    /// Fetches the keys once, and returns how many there are. What cannot be used leaves the last ones in place.
    ///
    /// # Errors
    /// [`FetchError`] says what to do.
    pub async fn fetch(&self) -> Result<usize, FetchError> {
        let document = match &self.config.source {
            KeySource::File(path) => read(path.clone()).await?,
            KeySource::Url { address, .. } => {
                let question = Question {
                    method: Method::GET,
                    address: address.clone(),
                    content_type: None,
                    accept: "application/jwk-set+json, application/json",
                    headers: Vec::new(),
                    body: Bytes::new(),
                    answer_bytes_max: JWKS_BYTES_MAX,
                };
                let asked = self.client.ask(question).await;
                asked.map_err(|source| FetchError::Http { address: address.to_string(), source })?
            }
        };
        let keys = Arc::new(KeySet::parse(&document)?);
        let count = keys.len();
        let fetched = Fetched { keys, at: Instant::now(), document: Hash::of(&document) };
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Some(fetched);
        Ok(count)
    }
}

impl std::fmt::Debug for Oidc {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Oidc").field("config", &self.config).finish_non_exhaustive()
    }
}

/// Reads a file, up to one byte past the bound.
async fn read(path: PathBuf) -> Result<Bytes, FetchError> {
    use std::io::Read as _;
    let shown = path.display().to_string();
    let read = move || {
        let mut bytes = Vec::new();
        std::fs::File::open(&path)?.take(JWKS_BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
        Ok(Bytes::from(bytes))
    };
    let read = tokio::task::spawn_blocking(read).await;
    let read: std::io::Result<Bytes> = read.map_err(|_| FetchError::Defect)?;
    read.map_err(|source| FetchError::File { path: shown, source })
}

/// Why a token is nobody's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unknown {
    /// There are no keys, or they are too old.
    #[error("the keys of the issuer are not to be had at present; try again in some seconds")]
    NoKeys,
    /// The token is not taken.
    #[error(transparent)]
    Token(#[from] TokenError),
}

/// Why there are no new keys.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// The issuer did not answer as it should.
    #[error("access.oidc.jwks {address}: {source}")]
    Http {
        /// Where.
        address: String,
        /// How it ended.
        source: HttpFault,
    },
    /// The file cannot be read.
    #[error("access.oidc.jwks {path}: {source}")]
    File {
        /// Which.
        path: String,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// What came is not a set of keys.
    #[error(transparent)]
    Keys(#[from] JwksError),
    /// A part of the sidecar panicked.
    #[error("the keys could not be read because of a defect; report it")]
    Defect,
}

impl FetchError {
    /// What the operator must do about it.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Http { source, .. } => source.code(),
            Self::File { .. } => Code::Misuse,
            Self::Keys(error) => error.code(),
            Self::Defect => Code::Internal,
        }
    }
}
