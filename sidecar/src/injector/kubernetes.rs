//! The two objects of the Kubernetes API that the injector keeps: the Secret with its certificates, and its MutatingWebhookConfiguration.
//!
//! Guarantees: every exchange is bounded in time and bytes and goes to the API server alone, checked against the cluster's authority; the
//! token and the authority are read from their files each time, as kubelets exchange them; a write names the version that was read, so of
//! two injectors that change the same object one is told so. Does not do: making or deleting objects, which takes more rights.

use std::fmt;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderValue, Method, StatusCode};
use ledgerstone::code::Code;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::authority::Files;
use crate::outbound::http::{Address, CaError, Client, HttpFault, Question, shown};

/// How long one exchange with the API server may take.
const EXCHANGE: Duration = Duration::from_secs(10);

/// Bytes of an object: a Secret holds 1 MiB, in base64 and with its metadata less than 2.
const OBJECT_BYTES_MAX: usize = 2 * 1024 * 1024;

/// Bytes of a token: those of service accounts have about 1 kB.
const TOKEN_BYTES_MAX: u64 = 16 * 1024;

// The names of the Secret's files, as others call them who keep certificates in Secrets.
const CA_CERT: &str = "ca.crt";
const CA_KEY: &str = "ca.key";
const CERT: &str = "tls.crt";
const KEY: &str = "tls.key";
const STATE: &str = "state.json";

/// Where the objects are, and who asks for them.
#[derive(Clone, Debug)]
pub struct Access {
    /// The API server.
    pub server: Address,
    /// The token of the service account.
    pub token_file: PathBuf,
    /// The authority that the API server is checked against.
    pub ca_file: PathBuf,
    /// Where the Secret is.
    pub namespace: String,
    /// Its name.
    pub secret: String,
    /// The name of the MutatingWebhookConfiguration.
    pub webhook: String,
}

/// What the injector asks of a cluster.
pub trait Cluster {
    /// The Secret's files, as they are now.
    ///
    /// # Errors
    /// [`ClusterError`] if it cannot be read.
    fn secret(&self) -> impl Future<Output = Result<Secret, ClusterError>> + Send;

    /// Writes the Secret's files; `read` is what they were made from.
    ///
    /// # Errors
    /// [`ClusterError::Conflict`] if another did so first.
    fn put_secret(&self, read: Secret, files: Files)
    -> impl Future<Output = Result<(), ClusterError>> + Send;

    /// Tells the API server whose certificates to trust; true if it knew.
    ///
    /// # Errors
    /// [`ClusterError`] if it cannot be told.
    fn tell(&self, bundle: &str) -> impl Future<Output = Result<bool, ClusterError>> + Send;
}

/// The Secret as it was read.
pub struct Secret {
    object: Value,
    /// Its files; empty ones where there are none.
    pub files: Files,
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl Secret {
    /// Reads the object.
    ///
    /// # Errors
    /// [`ClusterError::Answer`] if it is none.
    pub fn read(mut object: Value) -> Result<Self, ClusterError> {
        let data = object.as_object_mut().ok_or(ClusterError::Answer)?.remove("data").unwrap_or_default();
        let file = |name: &str| {
            let text = data.get(name).and_then(Value::as_str)?;
            String::from_utf8(STANDARD.decode(text).ok()?).ok()
        };
        let text = |name| file(name).unwrap_or_default();
        let files = Files {
            authorities: text(CA_CERT),
            authority_key: text(CA_KEY).into(),
            certificate: text(CERT),
            key: text(KEY).into(),
            state: text(STATE),
        };
        Ok(Self { object, files })
    }

    /// The version that it was read at.
    #[cfg(test)]
    #[must_use]
    pub fn version(&self) -> Option<String> {
        self.object.get("metadata")?.get("resourceVersion")?.as_str().map(str::to_owned)
    }

    /// The object with other files, and the version of this one.
    fn with(mut self, files: &Files) -> Value {
        let pairs = [
            (CA_CERT, &files.authorities),
            (CA_KEY, &*files.authority_key),
            (CERT, &files.certificate),
            (KEY, &*files.key),
            (STATE, &files.state),
        ];
        let data = pairs.into_iter().map(|(name, text)| (name.to_owned(), STANDARD.encode(text).into()));
        if let Some(object) = self.object.as_object_mut() {
            object.insert("data".to_owned(), Value::Object(data.collect()));
        }
        self.object
    }
}

impl Access {
    fn secret_path(&self) -> String {
        format!("api/v1/namespaces/{}/secrets/{}", self.namespace, self.secret)
    }

    fn webhook_path(&self) -> String {
        let group = "apis/admissionregistration.k8s.io/v1";
        format!("{group}/mutatingwebhookconfigurations/{}", self.webhook)
    }

    async fn get(&self, path: &str) -> Result<Value, ClusterError> {
        self.ask(Method::GET, path, Bytes::new()).await
    }

    async fn put(&self, path: &str, object: &Value) -> Result<Value, ClusterError> {
        let body = serde_json::to_vec(object).map_err(|_| ClusterError::Answer)?;
        self.ask(Method::PUT, path, Bytes::from_owner(Zeroizing::new(body))).await
    }

    async fn ask(&self, method: Method, path: &str, body: Bytes) -> Result<Value, ClusterError> {
        let token = token(&self.token_file)?;
        let client = Client::new(EXCHANGE, Some(&self.ca_file))?;
        let question = Question {
            method,
            address: self.server.join(path).ok_or(ClusterError::Answer)?,
            content_type: (!body.is_empty()).then_some("application/json"),
            accept: "application/json",
            headers: vec![(AUTHORIZATION, token)],
            body,
            answer_bytes_max: OBJECT_BYTES_MAX,
        };
        let answer = client.answer(question).await?;
        match answer.status {
            StatusCode::OK => serde_json::from_slice(&answer.body).map_err(|_| ClusterError::Answer),
            StatusCode::CONFLICT => Err(ClusterError::Conflict),
            status => {
                let said = serde_json::from_slice::<Value>(&answer.body).ok();
                let message =
                    said.as_ref().and_then(|said| said.get("message")?.as_str()).unwrap_or_default();
                Err(ClusterError::Refused { status: status.as_u16(), text: shown(message.as_bytes()) })
            }
        }
    }
}

impl Cluster for Access {
    async fn secret(&self) -> Result<Secret, ClusterError> {
        Secret::read(self.get(&self.secret_path()).await?)
    }

    async fn put_secret(&self, read: Secret, files: Files) -> Result<(), ClusterError> {
        self.put(&self.secret_path(), &read.with(&files)).await.map(|_| ())
    }

    async fn tell(&self, bundle: &str) -> Result<bool, ClusterError> {
        let mut object = self.get(&self.webhook_path()).await?;
        if !trust(&mut object, bundle)? {
            return Ok(true);
        }
        self.put(&self.webhook_path(), &object).await.map(|_| false)
    }
}

/// Puts the bundle into every webhook of a configuration; false if it is there already.
fn trust(configuration: &mut Value, bundle: &str) -> Result<bool, ClusterError> {
    let wanted = json!(STANDARD.encode(bundle));
    let webhooks =
        configuration.get_mut("webhooks").and_then(Value::as_array_mut).ok_or(ClusterError::Answer)?;
    let mut is_changed = false;
    for webhook in webhooks {
        let client = webhook.get_mut("clientConfig").and_then(Value::as_object_mut);
        let client = client.ok_or(ClusterError::Answer)?;
        is_changed |= client.get("caBundle") != Some(&wanted);
        client.insert("caBundle".to_owned(), wanted.clone());
    }
    Ok(is_changed)
}

/// The header with the token that the file has now.
fn token(path: &Path) -> Result<HeaderValue, ClusterError> {
    let unreadable = |source| ClusterError::Token { path: path.display().to_string(), source };
    let mut text = Zeroizing::new(String::new());
    let file = std::fs::File::open(path).map_err(unreadable)?;
    file.take(TOKEN_BYTES_MAX).read_to_string(&mut text).map_err(unreadable)?;
    let line = Zeroizing::new(format!("Bearer {}", text.trim()));
    let mut value =
        HeaderValue::from_str(&line).map_err(|_| unreadable(std::io::ErrorKind::InvalidData.into()))?;
    value.set_sensitive(true);
    Ok(value)
}

/// Why an object cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClusterError {
    /// The service account's token cannot be read.
    #[error("the token {path} cannot be read: {source}; mount a projected service account token there")]
    Token {
        /// The file.
        path: String,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// The cluster's authority cannot be read.
    #[error(transparent)]
    Authority(#[from] CaError),
    /// No complete answer.
    #[error("the API server: {0}")]
    Fault(#[from] HttpFault),
    /// It says no.
    #[error(
        "the API server answered HTTP {status}: {text}; check the injector's Role, ClusterRole and the objects that they name"
    )]
    Refused {
        /// The status.
        status: u16,
        /// The beginning of its message.
        text: String,
    },
    /// Somebody else changed the object since it was read.
    #[error("another injector changed the object at the same time; it is read again")]
    Conflict,
    /// Not the object that was asked for.
    #[error("the API server's answer is not the object that was asked for; check --api-server")]
    Answer,
}

impl ClusterError {
    /// What the operator must do about it.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Token { .. } | Self::Authority(_) | Self::Answer => Code::Misuse,
            Self::Fault(fault) => fault.code(),
            Self::Refused { .. } | Self::Conflict => Code::Unavailable,
        }
    }
}

#[cfg(test)]
mod tests;
