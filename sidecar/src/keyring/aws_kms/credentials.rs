//! AWS credentials: from the environment, for a web identity token, from the container's or the machine's role.
//!
//! Guarantees: the first source that the environment names is the one that is asked, in the order of AWS's own programs;
//! credentials that end are fetched again five minutes before, and what is left of them serves as long as a source fails;
//! secrets are wiped when dropped; a role's credentials come over `https`, or in the clear from this machine and the
//! link-local addresses that containers and machines have for it.
//! Specification: AWS SDKs and Tools Reference Guide, standardized credential providers; STS AssumeRoleWithWebIdentity;
//! instance metadata service version 2.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method};
use serde::Deserialize;
use zeroize::Zeroizing;

pub use aws_credential_types::Credentials;

use super::super::remote::{ANSWER_BYTES_MAX, wiped_body};
use super::super::{Fault, SecretSource};
use crate::outbound::http::{Address, Answer, Client, Question, shown};

/// Looks a variable of the environment up.
pub type Environment = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// Credentials are fetched again this long before they end.
const EARLY: Duration = Duration::from_secs(300);

/// The longest time that credentials are taken to last when they do not say: roles have at least 15 minutes.
const LASTS: Duration = Duration::from_secs(900);

/// Where a container asks for its role when only a path is given.
const CONTAINER: &str = "http://169.254.170.2";

/// The link-local addresses that containers are given for their role.
const CONTAINER_HOSTS: [&str; 3] = ["169.254.170.2", "169.254.170.23", "fd00:ec2::23"];

/// Where a machine asks for its role.
const MACHINE: &str = "http://169.254.169.254";

const TOKEN: HeaderName = HeaderName::from_static("x-aws-ec2-metadata-token");
const TOKEN_TTL: HeaderName = HeaderName::from_static("x-aws-ec2-metadata-token-ttl-seconds");

/// Fetches credentials, and keeps those that it has.
pub struct Chain {
    environment: Environment,
    client: Client,
    sts: Address,
    kept: Mutex<Option<Credentials>>,
}

impl Chain {
    /// Asks with `client`, and the service at `sts` for what a web identity token stands for.
    #[must_use]
    pub fn new(environment: Environment, client: Client, sts: Address) -> Self {
        Self { environment, client, sts, kept: Mutex::default() }
    }

    /// Credentials that are valid now.
    ///
    /// # Errors
    /// [`Fault::NoCredentials`] if no source has any, [`Fault::Credentials`] if one fails.
    pub async fn credentials(&self) -> Result<Credentials, Fault> {
        let now = SystemTime::now();
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let lasts = |credentials: &Credentials, early: Duration| {
            credentials.expiry().is_some_and(|expiry| now + early < expiry)
        };
        if let Some(kept) = kept.as_ref().filter(|kept| lasts(kept, EARLY)) {
            return Ok(kept.clone());
        }
        match self.fetch().await {
            Ok(fresh) => {
                *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(fresh.clone());
                Ok(fresh)
            }
            Err(fault) => kept.filter(|kept| lasts(kept, Duration::ZERO)).ok_or(fault),
        }
    }

    /// Fetches others the next time.
    pub fn forget(&self) {
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    async fn fetch(&self) -> Result<Credentials, Fault> {
        let variable = |name: &str| (self.environment)(name).filter(|value| !value.is_empty());
        if let (Some(id), Some(secret)) = (variable("AWS_ACCESS_KEY_ID"), variable("AWS_SECRET_ACCESS_KEY")) {
            return Ok(Credentials::new(id, secret, variable("AWS_SESSION_TOKEN"), None, "environment"));
        }
        if let (Some(file), Some(role)) = (variable("AWS_WEB_IDENTITY_TOKEN_FILE"), variable("AWS_ROLE_ARN"))
        {
            let session = variable("AWS_ROLE_SESSION_NAME").unwrap_or_else(|| "ledgerstone".to_owned());
            return from("AWS STS", self.web_identity(file.into(), &role, &session).await);
        }
        let path =
            variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI").map(|path| format!("{CONTAINER}{path}"));
        if let Some(uri) = path.or_else(|| variable("AWS_CONTAINER_CREDENTIALS_FULL_URI")) {
            let token = variable("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
            return from("the container's role", self.container(&uri, token).await);
        }
        if variable("AWS_EC2_METADATA_DISABLED").is_some_and(|value| value == "true") {
            return Err(Fault::NoCredentials);
        }
        let machine = variable("AWS_EC2_METADATA_SERVICE_ENDPOINT").unwrap_or_else(|| MACHINE.to_owned());
        from("the machine's role", self.machine(&machine).await)
    }

    /// STS AssumeRoleWithWebIdentity, the one call of AWS that is not signed.
    async fn web_identity(&self, file: PathBuf, role: &str, session: &str) -> Result<Credentials, Fault> {
        let token = read_token(file)?;
        let body = [
            "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=",
            &encoded(role),
            "&RoleSessionName=",
            &encoded(session),
            "&WebIdentityToken=",
            &encoded(&token),
        ];
        let question = Question {
            content_type: Some("application/x-www-form-urlencoded"),
            accept: "application/xml",
            body: wiped_body(body.concat()),
            ..question(Method::POST, self.sts.clone(), Vec::new())
        };
        assumed(&self.answer(question).await?)
    }

    async fn container(&self, uri: &str, token_file: Option<String>) -> Result<Credentials, Fault> {
        let address = Address::of_role(uri).filter(|address| {
            address.is_tls() || address.is_this_machine() || CONTAINER_HOSTS.contains(&address.host())
        });
        let address = address.ok_or(Fault::NoCredentials)?;
        let mut headers = Vec::new();
        if let Some(file) = token_file {
            headers.push((http::header::AUTHORIZATION, secret(&read_token(file.into())?)?));
        }
        given(&self.answer(question(Method::GET, address, headers)).await?)
    }

    async fn machine(&self, endpoint: &str) -> Result<Credentials, Fault> {
        let at = |path: &str| {
            Address::of_role(endpoint).and_then(|address| address.join(path)).ok_or(Fault::NoCredentials)
        };
        let ttl = vec![(TOKEN_TTL, HeaderValue::from_static("60"))];
        let token = self.answer(question(Method::PUT, at("latest/api/token")?, ttl)).await?;
        let token = secret(&text(&token)?)?;
        let ask =
            |path: String| Ok::<_, Fault>(question(Method::GET, at(&path)?, vec![(TOKEN, token.clone())]));
        let roles = "latest/meta-data/iam/security-credentials";
        let role = text(&self.answer(ask(format!("{roles}/"))?).await?)?;
        let is_name = |c: u8| c.is_ascii_alphanumeric() || b"+=,.@_-".contains(&c);
        if role.is_empty() || !role.bytes().all(is_name) {
            return Err(Fault::Malformed { what: "the name of the machine's role is none" });
        }
        given(&self.answer(ask(format!("{roles}/{}", role.as_str()))?).await?)
    }

    async fn answer(&self, question: Question) -> Result<Answer, Fault> {
        let answer = self.client.answer(question).await.map_err(Fault::Http)?;
        let (status, said) = (answer.status.as_u16(), || shown(&answer.body));
        match status {
            200 => Ok(answer),
            500.. => Err(Fault::Failed { status, said: said() }),
            429 => Err(Fault::Throttled { said: said() }),
            _ => Err(Fault::Denied { said: said() }),
        }
    }
}

impl std::fmt::Debug for Chain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Chain({})", self.sts)
    }
}

fn from(from: &'static str, ended: Result<Credentials, Fault>) -> Result<Credentials, Fault> {
    ended.map_err(|fault| match fault {
        Fault::NoCredentials => Fault::NoCredentials,
        fault => Fault::Credentials { from, fault: Box::new(fault) },
    })
}

fn question(method: Method, address: Address, headers: Vec<(HeaderName, HeaderValue)>) -> Question {
    Question {
        method,
        address,
        content_type: None,
        accept: "*/*",
        headers,
        body: Bytes::new(),
        answer_bytes_max: ANSWER_BYTES_MAX,
    }
}

/// A token that the platform keeps fresh in a file. Platforms mount it readable for all users of the container.
fn read_token(path: PathBuf) -> Result<Zeroizing<String>, Fault> {
    Ok(SecretSource::Platform(path).read()?)
}

fn secret(text: &str) -> Result<HeaderValue, Fault> {
    let mut value = HeaderValue::from_str(text).map_err(|_| Fault::NoCredentials)?;
    value.set_sensitive(true);
    Ok(value)
}

fn text(answer: &Answer) -> Result<Zeroizing<String>, Fault> {
    let text = str::from_utf8(&answer.body).map_err(|_| Fault::Malformed { what: "it is not text" })?;
    Ok(Zeroizing::new(text.trim().to_owned()))
}

/// A text in a form: everything but letters, digits and `-._~` as `%XX`.
fn encoded(text: &str) -> Zeroizing<String> {
    let mut encoded = Zeroizing::new(String::with_capacity(text.len() * 3));
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let digit =
                |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0').to_ascii_uppercase();
            encoded.extend(['%', digit(byte >> 4), digit(byte & 0x0f)]);
        }
    }
    encoded
}

/// The credentials that a container or a machine is given.
///
/// # Errors
/// [`Fault::Malformed`] if the answer is not what the interface describes.
pub fn given(answer: &Answer) -> Result<Credentials, Fault> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Given {
        access_key_id: String,
        secret_access_key: String,
        #[serde(default)]
        token: Option<String>,
        #[serde(default)]
        expiration: Option<String>,
    }
    let given: Result<Given, _> = serde_json::from_slice(&answer.body);
    let given = given.map_err(|_| Fault::Malformed { what: "it has no credentials" })?;
    let ends = ends(given.expiration.as_deref())?;
    Ok(Credentials::new(given.access_key_id, given.secret_access_key, given.token, ends, "role"))
}

/// The credentials that AWS STS gives for a web identity token.
///
/// # Errors
/// [`Fault::Malformed`] if the answer is not what the interface describes.
pub fn assumed(answer: &Answer) -> Result<Credentials, Fault> {
    let malformed = Fault::Malformed { what: "it has no credentials" };
    let text = str::from_utf8(&answer.body).map_err(|_| malformed.clone())?;
    let (_, credentials) = text.split_once("<Credentials>").ok_or_else(|| malformed.clone())?;
    let (credentials, _) = credentials.split_once("</Credentials>").ok_or_else(|| malformed.clone())?;
    // Keys and tokens are base64 and a few marks: nothing that XML would escape.
    let part = |name: &str| {
        let (_, rest) = credentials.split_once(&format!("<{name}>"))?;
        let (value, _) = rest.split_once(&format!("</{name}>"))?;
        let is_plain = |c: u8| c.is_ascii_alphanumeric() || b"+/=:._-".contains(&c);
        (!value.is_empty() && value.bytes().all(is_plain)).then(|| value.to_owned())
    };
    let (id, secret) = (part("AccessKeyId"), part("SecretAccessKey"));
    let (token, expiration) = (part("SessionToken"), part("Expiration"));
    let (Some(id), Some(secret), Some(token), Some(expiration)) = (id, secret, token, expiration) else {
        return Err(malformed);
    };
    Ok(Credentials::new(id, secret, Some(token), ends(Some(&expiration))?, "web identity"))
}

/// When credentials end.
fn ends(text: Option<&str>) -> Result<Option<SystemTime>, Fault> {
    let Some(text) = text else { return Ok(Some(SystemTime::now() + LASTS)) };
    let time =
        DateTime::from_str(text, Format::DateTime).ok().and_then(|time| SystemTime::try_from(time).ok());
    time.map(Some).ok_or(Fault::Malformed { what: "the expiration is no time of RFC 3339" })
}

#[cfg(test)]
mod tests;
