//! A key-encryption key in AWS KMS.
//!
//! Guarantees: the key never leaves the service; a wrapped key is bound to the name of its key in the configuration by the
//! encryption context, which CloudTrail shows; every request is signed (SigV4) for one region and service; answers are
//! bounded, and one that names another key is refused; throttling is met with pauses.
//! Does not do: profiles and files of the AWS command line. Credentials come from the environment, a web identity token,
//! the container's or the machine's role.
//! Specification: AWS KMS API (JSON 1.1): Encrypt, Decrypt, CreateKey, CreateAlias; Signature Version 4.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::SystemTime;

use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use http::{HeaderName, HeaderValue, Method};
use ledgerstone::encoding::{base64_decode, base64_encode};
use serde::Deserialize;
use zeroize::Zeroizing;

use self::credentials::{Chain, Credentials};
use super::remote::{ANSWER_BYTES_MAX, Call, Jitter, Remote, wiped_body};
use super::vault::key;
use super::{
    Created, Fault, KEY_BYTES, KeyId, KeyProvider, KeyringError, KeysError, Provider, RecordKey,
    WRAPPED_KEY_BYTES_MAX, WrappedKey,
};
use crate::config::keys::AwsKmsConfig;
use crate::outbound::http::{Address, Answer, Client, Question, shown};

pub mod credentials;

const TARGET: HeaderName = HeaderName::from_static("x-amz-target");

/// The media type of the protocol; it is signed.
const CONTENT_TYPE: &str = "application/x-amz-json-1.1";

/// What an alias starts with.
const ALIAS: &str = "alias/";

/// A key of AWS KMS.
pub struct AwsKmsProvider {
    id: KeyId,
    key: String,
    /// `{"...": "...", ...}`: what wrapped keys are bound to.
    context: String,
    remote: Remote,
    access: Arc<Access>,
}

/// Where to ask, and as whom.
struct Access {
    endpoint: Address,
    region: String,
    chain: Chain,
}

impl AwsKmsProvider {
    /// The provider of `config`, with credentials as this process's environment says. Asks nothing yet.
    ///
    /// # Errors
    /// [`KeysError`] if the certificates cannot be read or there is no thread.
    pub fn new(config: &AwsKmsConfig, jitter: Jitter) -> Result<Self, KeysError> {
        Self::with_environment(config, jitter, Arc::new(|name| std::env::var(name).ok()))
    }

    /// The same with another environment.
    ///
    /// # Errors
    /// As [`AwsKmsProvider::new`].
    pub fn with_environment(
        config: &AwsKmsConfig,
        jitter: Jitter,
        environment: credentials::Environment,
    ) -> Result<Self, KeysError> {
        let ca_file = config.endpoint.is_tls().then_some(config.ca_file.as_path());
        let client = Client::new(config.timeout, ca_file)?;
        let remote = Remote::new(client.clone(), config.timeout, jitter).map_err(KeysError::thread)?;
        let access = Access {
            endpoint: config.endpoint.clone(),
            region: config.region.clone(),
            chain: Chain::new(environment, client, config.sts_endpoint.clone()),
        };
        let context = format!(r#"{{"ledgerstone":"record-key/v1","ledgerstone-key-id":"{}"}}"#, config.id);
        Ok(Self { id: config.id.clone(), key: config.key.clone(), context, remote, access: Arc::new(access) })
    }

    /// Has the service do `action`, and reads its answer.
    fn call<T: Send + 'static>(
        &self,
        action: &'static str,
        body: Zeroizing<String>,
        read: impl Fn(&Answer) -> Result<T, Fault> + Send + Sync + 'static,
    ) -> Result<T, KeyringError> {
        let (asking, access) = (self.remote.asking(), Arc::clone(&self.access));
        let ended = self.remote.run(async move {
            let call = Asked { access, action, body };
            let ended = asking.ask(&call, &read).await;
            if matches!(ended, Err(Fault::Denied { .. })) {
                // They may have been withdrawn: the next call fetches others.
                call.access.chain.forget();
            }
            ended
        });
        ended.map_err(|fault| KeyringError::of(&self.id, fault))
    }
}

/// A call of the service.
struct Asked {
    access: Arc<Access>,
    action: &'static str,
    body: Zeroizing<String>,
}

impl Call for Asked {
    async fn question(&self) -> Result<Question, Fault> {
        let credentials = self.access.chain.credentials().await?;
        self.access.question(self.action, &self.body, credentials, SystemTime::now())
    }
}

impl Access {
    fn question(
        &self,
        action: &str,
        body: &str,
        credentials: Credentials,
        now: SystemTime,
    ) -> Result<Question, Fault> {
        let target = format!("TrentService.{action}");
        let identity = credentials.into();
        let params = SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name("kms")
            .time(now)
            .settings(SigningSettings::default())
            .build();
        let params = params.map_err(|_| Fault::Defect)?.into();
        let (url, signed) = (self.endpoint.to_string(), SignableBody::Bytes(body.as_bytes()));
        let headers = [("content-type", CONTENT_TYPE), ("x-amz-target", target.as_str())];
        let request = SignableRequest::new("POST", &url, headers.into_iter(), signed);
        let signature = request.and_then(|request| sign(request, &params)).map_err(|_| Fault::Defect)?;
        let mut headers = vec![(TARGET, HeaderValue::from_str(&target).map_err(|_| Fault::Defect)?)];
        for (name, value) in signature.output().headers() {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| Fault::Defect)?;
            let mut value = HeaderValue::from_str(value).map_err(|_| Fault::NoCredentials)?;
            value.set_sensitive(true);
            headers.push((name, value));
        }
        Ok(Question {
            method: Method::POST,
            address: self.endpoint.clone(),
            content_type: Some(CONTENT_TYPE),
            accept: "application/json",
            headers,
            body: wiped_body(body.to_owned()),
            answer_bytes_max: ANSWER_BYTES_MAX,
        })
    }
}

impl KeyProvider for AwsKmsProvider {
    fn key_id(&self) -> &KeyId {
        &self.id
    }

    fn wrap(&self, key: &RecordKey) -> Result<WrappedKey, KeyringError> {
        let plaintext = Zeroizing::new(base64_encode(key.expose()));
        let body = self.body("Plaintext", &plaintext);
        let wanted = self.key.clone();
        WrappedKey::new(self.call("Encrypt", body, move |answer| encrypted(answer, &wanted))?)
    }

    fn unwrap(&self, id: &KeyId, wrapped: &WrappedKey) -> Result<RecordKey, KeyringError> {
        if *id != self.id {
            return Err(KeyringError::UnknownKey { wanted: id.clone(), held: self.id.clone() });
        }
        let body = self.body("CiphertextBlob", &base64_encode(wrapped.as_bytes()));
        let wanted = self.key.clone();
        self.call("Decrypt", body, move |answer| decrypted(answer, &wanted))
    }

    fn may_block(&self) -> bool {
        true
    }
}

impl Provider for AwsKmsProvider {
    fn kind(&self) -> &'static str {
        "aws-kms"
    }

    /// Makes a key and gives it the alias of the configuration.
    fn create(&self) -> Result<Created, KeyringError> {
        let key = |name: &str| Zeroizing::new(format!(r#"{{"KeyId":"{name}"}}"#));
        match self.call("DescribeKey", key(&self.key), described) {
            Ok(_) => return Ok(Created::Found),
            Err(KeyringError::Refused { fault: Fault::NoKey { .. }, .. }) => {}
            Err(error) => return Err(error),
        }
        if !self.key.starts_with(ALIAS) {
            let said = "only a key with an alias (alias/NAME) can be made: AWS chooses ids".to_owned();
            return Err(KeyringError::of(&self.id, Fault::NoKey { said }));
        }
        let wanted = format!(
            r#"{{"KeyUsage":"ENCRYPT_DECRYPT","KeySpec":"SYMMETRIC_DEFAULT","Description":"Ledgerstone {}"}}"#,
            self.id
        );
        let made = self.call("CreateKey", Zeroizing::new(wanted), described)?;
        let alias = format!(r#"{{"AliasName":"{}","TargetKeyId":"{made}"}}"#, self.key);
        self.call("CreateAlias", Zeroizing::new(alias), |answer| match answer.status.is_success() {
            true => Ok(()),
            false => Err(refusal(answer)),
        })?;
        Ok(Created::Made)
    }
}

impl AwsKmsProvider {
    /// `{"KeyId": ..., "NAME": "TEXT", "EncryptionContext": ...}`; no part has a character that JSON would escape.
    fn body(&self, name: &str, text: &str) -> Zeroizing<String> {
        let parts = [
            "{\"KeyId\":\"",
            &self.key,
            "\",\"",
            name,
            "\":\"",
            text,
            "\",\"EncryptionContext\":",
            &self.context,
            "}",
        ];
        Zeroizing::new(parts.concat())
    }
}

impl std::fmt::Debug for AwsKmsProvider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AwsKmsProvider({}, {})", self.id, self.access.endpoint)
    }
}

/// What `Encrypt` answers: the ciphertext.
///
/// # Errors
/// [`Fault`] for a refusal, or an answer that is not one of this call about the key `wanted`.
pub fn encrypted(answer: &Answer, wanted: &str) -> Result<Vec<u8>, Fault> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Encrypted {
        ciphertext_blob: String,
        key_id: String,
    }
    let Encrypted { ciphertext_blob, key_id } = taken(answer)?;
    same_key(&key_id, wanted)?;
    let malformed = Fault::Malformed { what: "CiphertextBlob is not 33 to 1024 bytes as base64" };
    let bytes = base64_decode(&ciphertext_blob).map_err(|_| malformed.clone())?;
    if (KEY_BYTES + 1..=WRAPPED_KEY_BYTES_MAX).contains(&bytes.len()) { Ok(bytes) } else { Err(malformed) }
}

/// What `Decrypt` answers: the key.
///
/// # Errors
/// [`Fault`] for a refusal, or an answer that is not one of this call about the key `wanted`.
pub fn decrypted(answer: &Answer, wanted: &str) -> Result<RecordKey, Fault> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Decrypted<'a> {
        #[serde(borrow)]
        plaintext: Cow<'a, str>,
        key_id: String,
    }
    let Decrypted { plaintext, key_id } = taken(answer)?;
    let plaintext = key(plaintext);
    same_key(&key_id, wanted)?;
    plaintext.ok_or(Fault::Malformed { what: "Plaintext is not 32 bytes as base64" })
}

/// The ARN of the key that an answer describes.
fn described(answer: &Answer) -> Result<String, Fault> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Described {
        key_metadata: Metadata,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Metadata {
        arn: String,
        #[serde(default)]
        enabled: bool,
    }
    let Metadata { arn, enabled } = taken::<Described>(answer)?.key_metadata;
    let fits = |c: u8| c.is_ascii_alphanumeric() || b":/_-".contains(&c);
    match (enabled, arn.bytes().all(fits)) {
        (true, true) => Ok(arn),
        (false, _) => Err(Fault::Denied { said: "the key is there and disabled".to_owned() }),
        (_, false) => Err(Fault::Malformed { what: "KeyMetadata.Arn is no ARN" }),
    }
}

/// The answer is about the key that was named, as far as the name says which that is: an alias may lead to any.
fn same_key(arn: &str, wanted: &str) -> Result<(), Fault> {
    let is_alias = wanted.starts_with(ALIAS) || wanted.contains(":alias/");
    if is_alias || arn == wanted || arn.rsplit('/').next() == Some(wanted) {
        return Ok(());
    }
    Err(Fault::Malformed { what: "it is about another key than the one that was named" })
}

fn taken<'a, T: Deserialize<'a>>(answer: &'a Answer) -> Result<T, Fault> {
    if answer.status.as_u16() != 200 {
        return Err(refusal(answer));
    }
    serde_json::from_slice(&answer.body).map_err(|_| Fault::Malformed { what: "it has no data of this call" })
}

/// What an answer that is not 200 means.
fn refusal(answer: &Answer) -> Fault {
    #[derive(Deserialize)]
    struct Refusal {
        #[serde(rename = "__type", default)]
        kind: String,
        #[serde(alias = "Message", default)]
        message: String,
    }
    let status = answer.status.as_u16();
    let Ok(Refusal { kind, message }) = serde_json::from_slice::<Refusal>(&answer.body) else {
        let said = shown(&answer.body);
        return match status {
            401 | 403 => Fault::Denied { said },
            429 => Fault::Throttled { said },
            500.. => Fault::Failed { status, said },
            _ => Fault::Rejected { status, said },
        };
    };
    // Some answers have a namespace before the name: `com.amazonaws.kms#NotFoundException`.
    let kind = kind.rsplit('#').next().unwrap_or_default();
    let said = shown(format!("{kind}: {message}").as_bytes());
    match kind {
        "ThrottlingException" | "Throttling" | "RequestLimitExceeded" | "LimitExceededException" => {
            Fault::Throttled { said }
        }
        "NotFoundException" | "DisabledException" | "KMSInvalidStateException" => Fault::NoKey { said },
        "InvalidCiphertextException" | "IncorrectKeyException" => Fault::NotWrapped,
        "AccessDeniedException"
        | "UnrecognizedClientException"
        | "InvalidSignatureException"
        | "InvalidClientTokenId"
        | "IncompleteSignatureException"
        | "ExpiredTokenException"
        | "MissingAuthenticationTokenException"
        | "SignatureDoesNotMatch"
        | "OptInRequired" => Fault::Denied { said },
        "KMSInternalException"
        | "DependencyTimeoutException"
        | "KeyUnavailableException"
        | "InternalFailure"
        | "ServiceUnavailable" => Fault::Failed { status, said },
        _ if status >= 500 => Fault::Failed { status, said },
        _ => Fault::Rejected { status, said },
    }
}

#[cfg(test)]
mod tests;
