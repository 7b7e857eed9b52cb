//! Which pods get the sidecar, and why others are refused.
//!
//! Guarantees: a pod that asks for the sidecar gets all of it or is refused with a word about what to change; nothing that it asks for
//! is passed over. A pod that has the sidecar is left as it is, so asking twice changes nothing. Time and memory are linear in the pod.
//! Does not do: judging sidecars that are there (the ValidatingAdmissionPolicy does), nor pods that do not ask.

use std::collections::BTreeMap;

use ledgerstone::code::Code;
use serde::Deserialize;
use serde_json::Value;

use super::template::{self, Said, Template};
use crate::outbound::http::shown;

/// The prefix of the annotations.
const PREFIX: &str = "ledgerstone.io/";

/// Annotations that say how; others with the prefix are misspelt. `config-digest` restarts pods of the chart's partial.
const KNOWN: [&str; 8] =
    ["inject", "mode", "upstream-port", "protocol", "profile", "store-claim", "status", "config-digest"];

/// What is read of a pod (core/v1); everything else stays as it is.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Pod {
    metadata: Metadata,
    #[serde(default)]
    spec: Option<Spec>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    namespace: Option<String>,
    annotations: Option<BTreeMap<String, String>>,
    labels: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    init_containers: Option<Vec<Container>>,
    containers: Option<Vec<Container>>,
    ephemeral_containers: Option<Vec<serde::de::IgnoredAny>>,
    volumes: Option<Vec<Named>>,
    host_network: Option<bool>,
    os: Option<Named>,
    node_selector: Option<BTreeMap<String, String>>,
    security_context: Option<SecurityContext>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Container {
    name: String,
    restart_policy: Option<String>,
    ports: Option<Vec<Port>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Port {
    container_port: Option<i64>,
    host_port: Option<i64>,
}

#[derive(Debug, Deserialize)]
struct Named {
    name: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SecurityContext {
    fs_group: Option<i64>,
}

/// A change of the pod.
#[derive(Debug)]
pub(super) struct Addition {
    /// A JSON pointer (RFC 6901).
    pub(super) path: String,
    pub(super) value: Value,
}

/// What becomes of a pod.
#[derive(Debug)]
pub(super) enum Verdict {
    /// It does not ask, or it has the sidecar.
    Unchanged,
    /// It gets the sidecar by these, in order.
    Injected {
        additions: Vec<Addition>,
        /// What its owner should look at.
        warnings: Vec<String>,
    },
}

impl Pod {
    /// Decides about the pod. `namespace` is where it is created.
    pub(super) fn judge(&self, namespace: &str, template: &Template) -> Result<Verdict, Refusal> {
        match self.annotation("inject") {
            None | Some("disabled") => return Ok(Verdict::Unchanged),
            Some("enabled") => {}
            Some(value) => return Err(Refusal::Inject { value: shown(value.as_bytes()) }),
        }
        let spec = self.spec.as_ref().ok_or(Refusal::NoContainers)?;
        if spec.has_sidecar(&template.sidecar) {
            return Ok(Verdict::Unchanged);
        }
        let said = self.said(namespace, template)?;
        spec.check(template, said.port)?;
        let mut additions = spec.additions(template, said);
        additions.extend(self.marks(template));
        Ok(Verdict::Injected { additions, warnings: spec.warnings(said.port) })
    }

    fn annotation(&self, name: &str) -> Option<&str> {
        let annotations = self.metadata.annotations.as_ref()?;
        annotations.get(&format!("{PREFIX}{name}")).map(String::as_str)
    }

    /// What the annotations say.
    fn said<'a>(&'a self, namespace: &'a str, template: &Template) -> Result<Said<'a>, Refusal> {
        let names =
            self.metadata.annotations.iter().flatten().filter_map(|(name, _)| name.strip_prefix(PREFIX));
        for name in names {
            if !KNOWN.contains(&name) {
                return Err(Refusal::Unknown { name: shown(name.as_bytes()) });
            }
        }
        let own = self.metadata.namespace.as_deref().is_none_or(|own| own.is_empty() || own == namespace);
        if !is_label(namespace) || !own {
            return Err(Refusal::Namespace);
        }
        for (name, offered) in [("mode", "strict"), ("protocol", "grpc")] {
            if let Some(value) = self.annotation(name).filter(|value| *value != offered) {
                return Err(Refusal::NotOffered { name, offered, value: shown(value.as_bytes()) });
            }
        }
        let claim = self.annotation("store-claim").ok_or(Refusal::NoClaim)?;
        let profile = self.annotation("profile").unwrap_or("default");
        for (name, value) in [("store-claim", claim), ("profile", profile)] {
            if !is_label(value) {
                return Err(Refusal::NoName { name, value: shown(value.as_bytes()) });
            }
        }
        let port = match self.annotation("upstream-port") {
            None => template.upstream_port,
            Some(value) => port(value).ok_or_else(|| Refusal::Port { value: shown(value.as_bytes()) })?,
        };
        Ok(Said { namespace, claim, profile, port })
    }

    /// The status that is written back, and the labels.
    fn marks(&self, template: &Template) -> Vec<Addition> {
        let mut additions =
            vec![add("/metadata/annotations/ledgerstone.io~1status", template.status.clone().into())];
        match &self.metadata.labels {
            None => additions.push(add("/metadata/labels", Value::Object(template.labels.clone()))),
            Some(_) => {
                additions.extend(template.labels.iter().map(|(label, value)| {
                    add(&format!("/metadata/labels/{}", escaped(label)), value.clone())
                }))
            }
        }
        additions
    }
}

impl Spec {
    fn inits(&self) -> impl Iterator<Item = &Container> {
        self.init_containers.iter().flatten()
    }

    fn all(&self) -> impl Iterator<Item = &Container> {
        self.inits().chain(self.containers.iter().flatten())
    }

    fn ports(&self) -> impl Iterator<Item = (&Container, &Port)> {
        self.all().flat_map(|container| container.ports.iter().flatten().map(move |port| (container, port)))
    }

    fn has_sidecar(&self, name: &str) -> bool {
        self.inits().any(|init| init.name == name && init.restart_policy.as_deref() == Some("Always"))
    }

    /// Refuses what the sidecar cannot stand in, or what would lead past it.
    fn check(&self, template: &Template, upstream: u16) -> Result<(), Refusal> {
        let windows = |name: &str| name.eq_ignore_ascii_case("windows");
        let selected = self.node_selector.as_ref().and_then(|selector| selector.get("kubernetes.io/os"));
        if self.os.as_ref().is_some_and(|os| windows(&os.name)) || selected.is_some_and(|os| windows(os)) {
            return Err(Refusal::Windows);
        }
        if self.host_network == Some(true) {
            return Err(Refusal::HostNetwork);
        }
        if self.ephemeral_containers.as_ref().is_some_and(|all| !all.is_empty()) {
            return Err(Refusal::Ephemeral);
        }
        if self.containers.as_ref().is_none_or(Vec::is_empty) {
            return Err(Refusal::NoContainers);
        }
        let ours: Vec<u16> = template.ports().collect();
        if ours.contains(&upstream) {
            return Err(Refusal::UpstreamIsOurs { port: upstream });
        }
        for (container, port) in self.ports() {
            let name = || shown(container.name.as_bytes());
            if port.host_port.is_some_and(|port| port != 0) {
                return Err(Refusal::HostPort { container: name() });
            }
            let clash = ours.iter().find(|ours| port.container_port == Some(i64::from(**ours)));
            if let Some(port) = clash {
                return Err(Refusal::PortTaken { container: name(), port: *port });
            }
        }
        let is_among =
            |parts: &[Value], name: &str| parts.iter().any(|part| template::name(part) == Some(name));
        if let Some(taken) = self.all().find(|container| is_among(&template.containers, &container.name)) {
            return Err(Refusal::ContainerTaken { name: shown(taken.name.as_bytes()) });
        }
        let mut volumes = self.volumes.iter().flatten();
        match volumes.find(|volume| is_among(&template.volumes, &volume.name)) {
            Some(taken) => Err(Refusal::VolumeTaken { name: shown(taken.name.as_bytes()) }),
            None => Ok(()),
        }
    }

    /// Containers, volumes, and the group that the volumes belong to.
    fn additions(&self, template: &Template, said: Said<'_>) -> Vec<Addition> {
        let mut additions = Vec::new();
        if self.init_containers.is_none() {
            additions.push(add("/spec/initContainers", Value::Array(Vec::new())));
        }
        // The first of the init containers, so that those of the pod cannot ask the model before it.
        let containers = template.containers(said).into_iter().rev();
        additions.extend(containers.map(|container| add("/spec/initContainers/0", container)));
        if self.volumes.is_none() {
            additions.push(add("/spec/volumes", Value::Array(Vec::new())));
        }
        additions.extend(template.volumes(said).into_iter().map(|volume| add("/spec/volumes/-", volume)));
        match &self.security_context {
            None => {
                additions.push(add("/spec/securityContext", Value::Object(template.security_context.clone())))
            }
            // A pod that says whose its volumes are is left to it.
            Some(SecurityContext { fs_group: Some(_) }) => {}
            Some(_) => {
                additions.extend(template.security_context.iter().map(|(key, value)| {
                    add(&format!("/spec/securityContext/{}", escaped(key)), value.clone())
                }))
            }
        }
        additions
    }

    /// What is allowed and worth a look.
    fn warnings(&self, upstream: u16) -> Vec<String> {
        let declares = |port: &Port| port.container_port == Some(i64::from(upstream));
        let mut warnings = Vec::new();
        if let Some((container, _)) = self.ports().find(|(_, port)| declares(port)) {
            let name = shown(container.name.as_bytes());
            warnings.push(format!(
                "container {name} declares port {upstream}: see that it listens on 127.0.0.1 alone"
            ));
        } else if self.ports().next().is_some() {
            warnings.push(format!(
                "no container declares port {upstream}, where the sidecar will ask the model server"
            ));
        }
        warnings
    }
}

fn add(path: &str, value: Value) -> Addition {
    Addition { path: path.to_owned(), value }
}

/// A key as a token of a JSON pointer (RFC 6901, section 3).
fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// Whether it is a label of DNS (RFC 1123), as names of namespaces and claims are.
fn is_label(text: &str) -> bool {
    let inner = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-';
    let bytes = text.as_bytes();
    (1..=63).contains(&bytes.len())
        && bytes.iter().all(inner)
        && bytes.first() != Some(&b'-')
        && bytes.last() != Some(&b'-')
}

/// A port in digits, without a sign or a zero before it.
fn port(text: &str) -> Option<u16> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    text.parse().ok().filter(|_| digits)
}

/// Why a pod that asks for the sidecar cannot have it. The text is shown to whoever creates the pod.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// `inject` is something else.
    #[error("the annotation ledgerstone.io/inject is \"{value}\": write \"enabled\" or \"disabled\"")]
    Inject {
        /// What it is.
        value: String,
    },
    /// No annotation of this name is known.
    #[error(
        "the annotation ledgerstone.io/{name} is not known: inject, store-claim, upstream-port, profile, mode and protocol are"
    )]
    Unknown {
        /// Its name, without the prefix.
        name: String,
    },
    /// Something else than what there is.
    #[error(
        "the annotation ledgerstone.io/{name} is \"{value}\", and only \"{offered}\" is offered: write that or leave it out"
    )]
    NotOffered {
        /// The annotation.
        name: &'static str,
        /// What there is.
        offered: &'static str,
        /// What it is.
        value: String,
    },
    /// No claim for the log.
    #[error(
        "the annotation ledgerstone.io/store-claim is missing: name the PersistentVolumeClaim that keeps the log, as other volumes are lost with the pod"
    )]
    NoClaim,
    /// A claim or a profile that is no name.
    #[error(
        "the annotation ledgerstone.io/{name} is \"{value}\": write a name of at most 63 small letters, digits and hyphens"
    )]
    NoName {
        /// The annotation.
        name: &'static str,
        /// What it is.
        value: String,
    },
    /// The port is none.
    #[error(
        "the annotation ledgerstone.io/upstream-port is \"{value}\": write the port where the model server listens on loopback, from 1 to 65535"
    )]
    Port {
        /// What it is.
        value: String,
    },
    /// The review and the pod differ, or the name is none.
    #[error(
        "the pod is not of the namespace that the review names: report this to whoever runs the API server"
    )]
    Namespace,
    /// Nothing is served.
    #[error("the pod has no containers, so there is no model server to record: add one")]
    NoContainers,
    /// The sidecar is a program for Linux.
    #[error(
        "the pod is for Windows, and the sidecar runs on Linux: leave out ledgerstone.io/inject, or run the model server on Linux"
    )]
    Windows,
    /// The node's loopback.
    #[error(
        "with hostNetwork the model server's loopback is the node's, and whoever runs on the node would reach it past the sidecar: remove hostNetwork"
    )]
    HostNetwork,
    /// A way past the sidecar.
    #[error(
        "container {container} has a hostPort, which would lead past the sidecar and every NetworkPolicy: remove it"
    )]
    HostPort {
        /// Whose.
        container: String,
    },
    /// They belong to running pods.
    #[error(
        "the pod has ephemeral containers, which would reach the model server past the sidecar: remove them"
    )]
    Ephemeral,
    /// A port that the sidecar listens on.
    #[error(
        "container {container} declares port {port}, which is the sidecar's: let it listen elsewhere, or change sidecar.ports of the chart"
    )]
    PortTaken {
        /// Whose.
        container: String,
        /// Which.
        port: u16,
    },
    /// The model server would be the sidecar.
    #[error(
        "the model server's port is {port}, which is the sidecar's own: let it listen elsewhere and say where in ledgerstone.io/upstream-port"
    )]
    UpstreamIsOurs {
        /// Which.
        port: u16,
    },
    /// A container is called as one of ours.
    #[error("a container of the pod is named {name}, as one that is added would be: rename it")]
    ContainerTaken {
        /// Its name.
        name: String,
    },
    /// A volume is called as one of ours.
    #[error("a volume of the pod is named {name}, as one that is added would be: rename it")]
    VolumeTaken {
        /// Its name.
        name: String,
    },
    /// What is called a pod cannot be read.
    #[error("the pod cannot be read: a name, a port, an annotation or a list in it has a wrong type")]
    Unreadable,
}

impl Refusal {
    /// What the reader must do about it.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Unreadable | Self::Namespace => Code::Malformed,
            _ => Code::Misuse,
        }
    }
}
