//! What is put into pods: the sidecar's containers and volumes as the chart renders them, with marks for what a pod's annotations say.
//!
//! Guarantees: a template that exists can be injected: it has the sidecar, as a native one, and every container and volume has a
//! name. Marks are replaced in strings alone, by values that were checked to be names and numbers.
//! Does not do: deciding which pods get it.

use std::fmt;

use ledgerstone::code::Code;
use ledgerstone::limits::{INJECTED_PARTS_MAX, INJECTOR_TEMPLATE_BYTES_MAX};
use serde::Deserialize;
use serde_json::{Map, Value};

/// Stands for the namespace of the pod.
const NAMESPACE: &str = "${ledgerstone.io/namespace}";
/// Stands for the claim of the log.
const CLAIM: &str = "${ledgerstone.io/store-claim}";
/// Stands for the profile, whose ConfigMap has the configuration.
const PROFILE: &str = "${ledgerstone.io/profile}";
/// Stands for the port of the model server.
const PORT: &str = "${ledgerstone.io/upstream-port}";

/// What is put into pods.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Template {
    /// The name of the sidecar's container; a pod that has it is left alone.
    pub(super) sidecar: String,
    /// Where the model server listens if the pod does not say.
    pub(super) upstream_port: u16,
    /// The value of the annotation `status`: the version and the image, with its digest where the chart has one.
    pub(super) status: String,
    /// Labels that the pod gets.
    pub(super) labels: Map<String, Value>,
    /// What a pod without a group for its volumes gets in its security context.
    pub(super) security_context: Map<String, Value>,
    /// Init containers, in order.
    pub(super) containers: Vec<Value>,
    pub(super) volumes: Vec<Value>,
}

/// What a pod's annotations say, each checked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Said<'a> {
    pub(super) namespace: &'a str,
    pub(super) claim: &'a str,
    pub(super) profile: &'a str,
    pub(super) port: u16,
}

impl Template {
    /// Reads the JSON that the chart renders.
    ///
    /// # Errors
    /// [`TemplateError`] says what is wrong with it.
    pub fn parse(json: &[u8]) -> Result<Self, TemplateError> {
        if json.len() > INJECTOR_TEMPLATE_BYTES_MAX {
            return Err(TemplateError::TooLarge);
        }
        let template: Self = serde_json::from_slice(json)
            .map_err(|error| TemplateError::Malformed { line: error.line(), column: error.column() })?;
        let parts = template.containers.len().saturating_add(template.volumes.len());
        if parts > INJECTED_PARTS_MAX {
            return Err(TemplateError::TooManyParts);
        }
        let named = template.containers.iter().chain(&template.volumes).all(|part| name(part).is_some());
        if !named {
            return Err(TemplateError::Nameless);
        }
        let native = |container: &&Value| {
            name(container) == Some(&template.sidecar)
                && container.get("restartPolicy").and_then(Value::as_str) == Some("Always")
        };
        if template.containers.iter().filter(native).count() != 1 {
            return Err(TemplateError::NoSidecar);
        }
        Ok(template)
    }

    /// The ports of the pod that the sidecar takes.
    pub(super) fn ports(&self) -> impl Iterator<Item = u16> {
        let ports = self.containers.iter().filter_map(|container| container.get("ports")?.as_array());
        ports.flatten().filter_map(|port| u16::try_from(port.get("containerPort")?.as_u64()?).ok())
    }

    /// The containers for one pod.
    pub(super) fn containers(&self, said: Said<'_>) -> Vec<Value> {
        self.containers.iter().map(|container| filled(container, said)).collect()
    }

    /// The volumes for one pod.
    pub(super) fn volumes(&self, said: Said<'_>) -> Vec<Value> {
        self.volumes.iter().map(|volume| filled(volume, said)).collect()
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Its environment may have values that are nobody's business.
        f.debug_struct("Template").field("status", &self.status).finish_non_exhaustive()
    }
}

/// The name of a container or a volume.
pub(super) fn name(part: &Value) -> Option<&str> {
    part.get("name")?.as_str().filter(|name| !name.is_empty())
}

/// `value` with its marks replaced. As deep as the parser lets JSON be.
fn filled(value: &Value, said: Said<'_>) -> Value {
    match value {
        Value::String(text) if text.contains("${ledgerstone.io/") => {
            let text = text.replace(NAMESPACE, said.namespace).replace(CLAIM, said.claim);
            Value::String(text.replace(PROFILE, said.profile).replace(PORT, &said.port.to_string()))
        }
        Value::Array(items) => Value::Array(items.iter().map(|item| filled(item, said)).collect()),
        Value::Object(map) => {
            Value::Object(map.iter().map(|(key, value)| (key.clone(), filled(value, said))).collect())
        }
        other => other.clone(),
    }
}

/// Why a template cannot be injected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TemplateError {
    /// More than a ConfigMap holds.
    #[error(
        "the template has more than {INJECTOR_TEMPLATE_BYTES_MAX} bytes; take the one that the chart renders"
    )]
    TooLarge,
    /// Not the JSON that the chart renders.
    #[error(
        "the template is not what this version's chart renders (line {line}, column {column}); install chart and injector of one version"
    )]
    Malformed {
        /// From 1.
        line: usize,
        /// From 1; 0 at the end of a line before.
        column: usize,
    },
    /// More than anybody needs.
    #[error(
        "the template has more than {INJECTED_PARTS_MAX} containers and volumes; remove some of the chart's extraVolumes"
    )]
    TooManyParts,
    /// A container or a volume without a name.
    #[error("a container or a volume of the template has no name; take the one that the chart renders")]
    Nameless,
    /// The sidecar is not there, not a native one, or there twice.
    #[error(
        "the template must have its sidecar once, with restartPolicy Always; take the one that the chart renders"
    )]
    NoSidecar,
}

impl TemplateError {
    /// What the reader must do about it.
    #[must_use]
    pub const fn code(self) -> Code {
        match self {
            Self::TooLarge | Self::TooManyParts => Code::Limit,
            _ => Code::Misuse,
        }
    }
}
