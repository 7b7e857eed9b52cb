//! One AdmissionReview in, one out (`admission.k8s.io/v1`, and `v1beta1`, which API servers still send where a webhook asks for it).
//!
//! Guarantees: an answer has the version and the uid of its question; it takes time and memory linear in the question, which is bounded.
//! Does not do: HTTP.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ledgerstone::code::Code;
use ledgerstone::limits::{ADMISSION_REVIEW_BYTES_MAX, ADMISSION_UID_BYTES_MAX};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::pod::{Addition, Pod, Refusal, Verdict};
use super::template::Template;

/// The versions that are answered, each with its own.
const VERSIONS: [&str; 2] = ["admission.k8s.io/v1", "admission.k8s.io/v1beta1"];

/// What was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The pod gets the sidecar.
    Injected,
    /// It stays as it is.
    Unchanged,
    /// It is refused.
    Refused,
}

impl Outcome {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Injected, Self::Unchanged, Self::Refused];

    /// As metrics say it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Injected => "injected",
            Self::Unchanged => "unchanged",
            Self::Refused => "refused",
        }
    }
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// What was decided.
    pub outcome: Outcome,
    /// The AdmissionReview as JSON.
    pub json: Vec<u8>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Question<Object> {
    api_version: String,
    kind: String,
    request: Option<Request<Object>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "Object: Deserialize<'de>"))]
struct Request<Object> {
    #[serde(default)]
    uid: String,
    #[serde(default)]
    kind: Kind,
    sub_resource: Option<String>,
    namespace: Option<String>,
    #[serde(default)]
    operation: String,
    object: Option<Object>,
}

#[derive(Default, Deserialize)]
struct Kind {
    #[serde(default)]
    group: String,
    #[serde(default)]
    version: String,
    #[serde(default)]
    kind: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Review {
    api_version: String,
    kind: &'static str,
    response: Response,
}

#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Response {
    uid: String,
    allowed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status>,
    #[serde(skip_serializing_if = "Option::is_none")]
    patch_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    patch: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
}

/// `meta/v1.Status`
#[derive(Serialize)]
struct Status {
    status: &'static str,
    reason: &'static str,
    code: u16,
    message: String,
}

/// RFC 6902, section 4.1.
#[derive(Serialize)]
struct Operation<'a> {
    op: &'static str,
    path: &'a str,
    value: &'a Value,
}

/// Answers a question.
///
/// # Errors
/// [`ReviewError`] where it is none that can be answered.
pub fn answer(question: &[u8], template: &Template) -> Result<Answer, ReviewError> {
    if question.len() > ADMISSION_REVIEW_BYTES_MAX {
        return Err(ReviewError::TooLarge);
    }
    match serde_json::from_slice::<Question<Pod>>(question) {
        Ok(asked) => {
            let (version, request) = request(asked)?;
            let verdict = decide(&request, template);
            respond(version, request.uid, verdict)
        }
        // The rest of it may still say whom to answer.
        Err(error) => {
            let malformed = |_| ReviewError::Malformed { line: error.line(), column: error.column() };
            let asked = serde_json::from_slice::<Question<IgnoredAny>>(question).map_err(malformed)?;
            let (version, request) = request(asked)?;
            let verdict =
                if is_created_pod(&request) { Err(Refusal::Unreadable) } else { Ok(Verdict::Unchanged) };
            respond(version, request.uid, verdict)
        }
    }
}

/// The version of the question, and what is asked.
fn request<Object>(asked: Question<Object>) -> Result<(String, Request<Object>), ReviewError> {
    if asked.kind != "AdmissionReview" || !VERSIONS.contains(&asked.api_version.as_str()) {
        return Err(ReviewError::Version);
    }
    let request = asked.request.ok_or(ReviewError::NoRequest)?;
    if request.uid.is_empty() || request.uid.len() > ADMISSION_UID_BYTES_MAX {
        return Err(ReviewError::Uid);
    }
    Ok((asked.api_version, request))
}

/// Whether it is about a pod that begins; nothing is added to others, which the API server would refuse.
fn is_created_pod<Object>(request: &Request<Object>) -> bool {
    let Kind { group, version, kind } = &request.kind;
    let is_pod = group.is_empty() && version == "v1" && kind == "Pod";
    let whole = request.sub_resource.as_deref().is_none_or(str::is_empty);
    is_pod && whole && request.operation == "CREATE"
}

fn decide(request: &Request<Pod>, template: &Template) -> Result<Verdict, Refusal> {
    if !is_created_pod(request) {
        return Ok(Verdict::Unchanged);
    }
    let pod = request.object.as_ref().ok_or(Refusal::Unreadable)?;
    pod.judge(request.namespace.as_deref().unwrap_or_default(), template)
}

fn respond(version: String, uid: String, verdict: Result<Verdict, Refusal>) -> Result<Answer, ReviewError> {
    let (outcome, response) = match verdict {
        Ok(Verdict::Unchanged) => {
            (Outcome::Unchanged, Response { uid, allowed: true, ..Response::default() })
        }
        Ok(Verdict::Injected { additions, warnings }) => {
            let patch = Some(patch(&additions)?);
            let patch_type = Some("JSONPatch");
            let response = Response { uid, allowed: true, patch_type, patch, warnings, status: None };
            (Outcome::Injected, response)
        }
        Err(refusal) => {
            let message = format!("{refusal} (docs/kubernetes.md)");
            let status = Some(Status { status: "Failure", reason: "Forbidden", code: 403, message });
            (Outcome::Refused, Response { uid, allowed: false, status, ..Response::default() })
        }
    };
    let review = Review { api_version: version, kind: "AdmissionReview", response };
    let json = serde_json::to_vec(&review).map_err(|_| ReviewError::Defect)?;
    Ok(Answer { outcome, json })
}

fn patch(additions: &[Addition]) -> Result<String, ReviewError> {
    let operations: Vec<_> =
        additions.iter().map(|Addition { path, value }| Operation { op: "add", path, value }).collect();
    serde_json::to_vec(&operations).map(|json| STANDARD.encode(json)).map_err(|_| ReviewError::Defect)
}

/// Why there is no answer. The API server then does what the webhook's failure policy says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReviewError {
    /// More than an API server sends.
    #[error("an AdmissionReview has at most {ADMISSION_REVIEW_BYTES_MAX} bytes")]
    TooLarge,
    /// Not JSON, or wrong types outside the object.
    #[error("this is no AdmissionReview (line {line}, column {column}): POST one as JSON")]
    Malformed {
        /// From 1.
        line: usize,
        /// From 1; 0 at the end of a line before.
        column: usize,
    },
    /// Another kind, or a version that is not known.
    #[error(
        "only AdmissionReviews of admission.k8s.io/v1 and v1beta1 are answered: set admissionReviewVersions to [v1]"
    )]
    Version,
    /// A response, or nothing.
    #[error("the AdmissionReview asks nothing: its request is missing")]
    NoRequest,
    /// Nobody could match an answer to it.
    #[error("the AdmissionReview's request has no uid of 1 to {ADMISSION_UID_BYTES_MAX} bytes")]
    Uid,
    /// The answer cannot be written.
    #[error("the answer cannot be written as JSON; report this")]
    Defect,
}

impl ReviewError {
    /// What the reader must do about it.
    #[must_use]
    pub const fn code(self) -> Code {
        match self {
            Self::TooLarge => Code::Limit,
            Self::Defect => Code::Internal,
            _ => Code::Malformed,
        }
    }
}

#[cfg(test)]
mod tests;
