//! A key-encryption key in the transit engine of HashiCorp Vault or OpenBao.
//!
//! Guarantees: the key never leaves the server; the token is read anew for each call and stands in no message; a wrapped
//! key is bound to the name of its key in the configuration; an answer is bounded and every part of it is checked.
//! Does not do: logging in. The token comes from an agent, or from whoever renews it, in a file.
//! Specification: Vault HTTP API, transit secrets engine: `encrypt`, `decrypt`, `keys`; OpenBao kept it unchanged.

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Method, StatusCode};
use ledgerstone::encoding::{base64_decode, base64_encode};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::remote::{ANSWER_BYTES_MAX, Call, Jitter, Remote, wiped_body};
use super::{
    Created, Fault, KEY_BYTES, KeyId, KeyProvider, KeyringError, KeysError, Provider, RecordKey,
    SecretSource, WrappedKey, bound,
};
use crate::outbound::http::{Address, Answer, Client, Question, shown};

/// What a wrapped key starts with.
const PREFIX: &str = "vault:v";

/// Bytes that every cipher of the engine adds at least: a tag of 16.
const OVERHEAD_BYTES_MIN: usize = 16;

const TOKEN: HeaderName = HeaderName::from_static("x-vault-token");
const NAMESPACE: HeaderName = HeaderName::from_static("x-vault-namespace");
/// Vault answers only requests with it where its agent asks for it.
const REQUEST: HeaderName = HeaderName::from_static("x-vault-request");

/// Where the key is, and how it is reached.
#[derive(Clone, Debug)]
pub struct VaultConfig {
    /// Its name in sealed records.
    pub id: KeyId,
    /// The server.
    pub address: Address,
    /// Where the transit engine is mounted.
    pub mount: String,
    /// The key's name in the engine.
    pub key: String,
    /// The namespace, where there are any.
    pub namespace: Option<HeaderValue>,
    /// Where the token is.
    pub token: SecretSource,
    /// The certificates that `https` is checked against, as PEM.
    pub ca_file: Option<PathBuf>,
    /// How long one call may take, its tries included.
    pub timeout: Duration,
}

/// A key of a transit engine.
pub struct VaultProvider {
    id: KeyId,
    remote: Remote,
    access: Arc<Access>,
}

/// Where to ask, and as whom.
struct Access {
    address: Address,
    mount: String,
    key: String,
    namespace: Option<HeaderValue>,
    token: SecretSource,
    /// What wrapped keys are bound to, as base64.
    bound: String,
}

impl VaultProvider {
    /// The provider of `config`. Asks nothing yet.
    ///
    /// # Errors
    /// [`KeysError`] if the certificates cannot be read or there is no thread.
    pub fn new(config: &VaultConfig, jitter: Jitter) -> Result<Self, KeysError> {
        let client = Client::new(config.timeout, config.ca_file.as_deref())?;
        let remote = Remote::new(client, config.timeout, jitter).map_err(KeysError::thread)?;
        let access = Access {
            address: config.address.clone(),
            mount: config.mount.clone(),
            key: config.key.clone(),
            namespace: config.namespace.clone(),
            token: config.token.clone(),
            bound: base64_encode(&bound(&config.id)),
        };
        Ok(Self { id: config.id.clone(), remote, access: Arc::new(access) })
    }

    /// Has the engine do `what`, and reads its answer.
    fn call<T: Send + 'static>(
        &self,
        method: Method,
        what: &'static str,
        body: Zeroizing<String>,
        read: fn(&Answer) -> Result<T, Fault>,
    ) -> Result<T, KeyringError> {
        let (asking, access) = (self.remote.asking(), Arc::clone(&self.access));
        let ended = self.remote.run(async move {
            let call = Asked { access, method, what, body };
            let token = call.access.token.read()?;
            let ended = asking.ask(&call, read).await;
            // The token may have been renewed between reading and asking.
            match &ended {
                Err(Fault::Denied { .. })
                    if call.access.token.read().is_ok_and(|renewed| renewed != token) =>
                {
                    asking.ask(&call, read).await
                }
                _ => ended,
            }
        });
        ended.map_err(|fault| KeyringError::of(&self.id, fault))
    }
}

/// A call of the engine.
struct Asked {
    access: Arc<Access>,
    method: Method,
    what: &'static str,
    body: Zeroizing<String>,
}

impl Call for Asked {
    async fn question(&self) -> Result<Question, Fault> {
        self.access.question(&self.method, self.what, &self.body)
    }
}

impl Access {
    fn question(&self, method: &Method, what: &str, body: &str) -> Result<Question, Fault> {
        let path = format!("v1/{}/{what}/{}", self.mount, self.key);
        let address = self.address.join(&path).ok_or(Fault::Defect)?;
        let mut token = HeaderValue::from_str(&self.token.read()?)
            .map_err(|_| Fault::Denied { said: "the token is not printable ASCII".to_owned() })?;
        token.set_sensitive(true);
        let mut headers = vec![(TOKEN, token), (REQUEST, HeaderValue::from_static("true"))];
        headers.extend(self.namespace.clone().map(|namespace| (NAMESPACE, namespace)));
        Ok(Question {
            method: method.clone(),
            address,
            content_type: (*method == Method::POST).then_some("application/json"),
            accept: "application/json",
            headers,
            body: wiped_body(body.to_owned()),
            answer_bytes_max: ANSWER_BYTES_MAX,
        })
    }
}

impl KeyProvider for VaultProvider {
    fn key_id(&self) -> &KeyId {
        &self.id
    }

    fn wrap(&self, key: &RecordKey) -> Result<WrappedKey, KeyringError> {
        let plaintext = Zeroizing::new(base64_encode(key.expose()));
        let body = self.access.body("plaintext", &plaintext);
        let ciphertext = self.call(Method::POST, "encrypt", body, encrypted)?;
        WrappedKey::new(ciphertext.into_bytes())
    }

    fn unwrap(&self, id: &KeyId, wrapped: &WrappedKey) -> Result<RecordKey, KeyringError> {
        if *id != self.id {
            return Err(KeyringError::UnknownKey { wanted: id.clone(), held: self.id.clone() });
        }
        let ciphertext = str::from_utf8(wrapped.as_bytes()).ok().filter(|text| is_ciphertext(text));
        let ciphertext = ciphertext.ok_or(KeyringError::BadWrappedKey)?;
        self.call(Method::POST, "decrypt", self.access.body("ciphertext", ciphertext), decrypted)
    }

    fn may_block(&self) -> bool {
        true
    }
}

impl Provider for VaultProvider {
    fn kind(&self) -> &'static str {
        "vault"
    }

    fn create(&self) -> Result<Created, KeyringError> {
        let nothing = || Zeroizing::new(String::new());
        match self.call(Method::GET, "keys", nothing(), described) {
            Ok(()) => return Ok(Created::Found),
            Err(KeyringError::Refused { fault: Fault::NoKey { .. }, .. }) => {}
            Err(error) => return Err(error),
        }
        let wanted = r#"{"type":"aes256-gcm96","exportable":false,"allow_plaintext_backup":false}"#;
        self.call(Method::POST, "keys", Zeroizing::new(wanted.to_owned()), done)?;
        Ok(Created::Made)
    }
}

impl Access {
    /// `{"NAME": "TEXT", "associated_data": ...}`; neither has a character that JSON would escape.
    fn body(&self, name: &str, text: &str) -> Zeroizing<String> {
        let parts = ["{\"", name, "\":\"", text, "\",\"associated_data\":\"", &self.bound, "\"}"];
        Zeroizing::new(parts.concat())
    }
}

impl std::fmt::Debug for VaultProvider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "VaultProvider({}, {})", self.id, self.access.address)
    }
}

/// `vault:vN:BASE64`, with room for a key and a tag.
fn is_ciphertext(text: &str) -> bool {
    let Some((version, encoded)) = text.strip_prefix(PREFIX).and_then(|rest| rest.split_once(':')) else {
        return false;
    };
    let is_version =
        version.bytes().all(|c| c.is_ascii_digit()) && version.parse::<u32>().is_ok_and(|n| n > 0);
    let length = base64_decode(encoded).map_or(0, |bytes| bytes.len());
    is_version && length >= KEY_BYTES + OVERHEAD_BYTES_MIN
}

/// What `encrypt` answers: the ciphertext.
///
/// # Errors
/// [`Fault`] for a refusal, or an answer that is not one of this call.
pub fn encrypted(answer: &Answer) -> Result<String, Fault> {
    #[derive(Deserialize)]
    struct Encrypted {
        ciphertext: String,
    }
    let text = data::<Encrypted>(answer)?.ciphertext;
    if !is_ciphertext(&text) {
        return Err(Fault::Malformed { what: "data.ciphertext is no ciphertext of the transit engine" });
    }
    if text.len() > super::WRAPPED_KEY_BYTES_MAX {
        return Err(Fault::Malformed { what: "data.ciphertext is longer than 1024 bytes" });
    }
    Ok(text)
}

/// What `decrypt` answers: the key.
///
/// # Errors
/// [`Fault`] for a refusal, or an answer that is not one of this call.
pub fn decrypted(answer: &Answer) -> Result<RecordKey, Fault> {
    #[derive(Deserialize)]
    struct Decrypted<'a> {
        #[serde(borrow)]
        plaintext: Cow<'a, str>,
    }
    if answer.status == StatusCode::BAD_REQUEST {
        return Err(not_decrypted(answer));
    }
    let data = data::<Decrypted<'_>>(answer)?;
    key(data.plaintext).ok_or(Fault::Malformed { what: "data.plaintext is not 32 bytes as base64" })
}

/// The 32 bytes of a key as base64. What had to be copied is wiped.
pub(super) fn key(text: Cow<'_, str>) -> Option<RecordKey> {
    let bytes = base64_decode(&text).map(Zeroizing::new);
    if let Cow::Owned(text) = text {
        drop(Zeroizing::new(text));
    }
    let bytes: Zeroizing<[u8; KEY_BYTES]> = Zeroizing::new(bytes.ok()?.as_slice().try_into().ok()?);
    Some(RecordKey::new(bytes))
}

fn described(answer: &Answer) -> Result<(), Fault> {
    // The engine says 404 and nothing else where the mount is there and the key is not.
    #[derive(Deserialize)]
    struct Described {
        supports_encryption: bool,
    }
    match data::<Described>(answer)?.supports_encryption {
        true => Ok(()),
        false => Err(Fault::NoKey { said: "a key of this name is there, and cannot encrypt".to_owned() }),
    }
}

fn done(answer: &Answer) -> Result<(), Fault> {
    if answer.status.is_success() { Ok(()) } else { Err(refusal(answer)) }
}

/// The `data` of an answer.
fn data<'a, T: Deserialize<'a>>(answer: &'a Answer) -> Result<T, Fault> {
    #[derive(Deserialize)]
    struct Envelope<T> {
        data: T,
    }
    if answer.status != StatusCode::OK {
        return Err(refusal(answer));
    }
    let envelope: Result<Envelope<T>, _> = serde_json::from_slice(&answer.body);
    Ok(envelope.map_err(|_| Fault::Malformed { what: "it has no data of this call" })?.data)
}

/// What the server said, on one line: the texts of `errors`, or else the beginning of the body.
fn said(answer: &Answer) -> String {
    #[derive(Deserialize)]
    struct Errors {
        errors: Vec<String>,
    }
    match serde_json::from_slice::<Errors>(&answer.body) {
        Ok(Errors { errors }) if !errors.is_empty() => shown(errors.join("; ").as_bytes()),
        Ok(_) => "no reason given".to_owned(),
        Err(_) => shown(&answer.body),
    }
}

/// What an answer that is not 200 means.
fn refusal(answer: &Answer) -> Fault {
    let (status, said) = (answer.status.as_u16(), said(answer));
    match status {
        300..=399 => Fault::Http(crate::outbound::http::HttpFault::Redirect { status }),
        400 if said.contains("key not found") => Fault::NoKey { said },
        401 | 403 => Fault::Denied { said },
        404 => Fault::NoKey { said },
        429 => Fault::Throttled { said },
        503 if said.contains("sealed") => Fault::Sealed,
        // 412: this server has not heard yet of what another one of its cluster did.
        412 | 500..=599 => Fault::Failed { status, said },
        _ => Fault::Rejected { status, said },
    }
}

/// What the engine means by a refusal to decrypt: whether it says something of the wrapped key.
fn not_decrypted(answer: &Answer) -> Fault {
    match refusal(answer) {
        Fault::Rejected { said, .. }
            if said.contains("message authentication failed")
                || said.contains("invalid ciphertext: could not decode")
                || said.contains("invalid ciphertext: no prefix") =>
        {
            Fault::NotWrapped
        }
        fault => fault,
    }
}

#[cfg(test)]
mod tests;
