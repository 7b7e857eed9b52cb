//! Every method of every port, and who may call it: the one table that the code checks and `docs/access.md` prints.
//!
//! Guarantees: what stands in no row is refused (the layer asks [`row`] and has nothing else); a test compares the rows with the
//! descriptors of the gRPC services and with the routes in the source, so that a method without a row fails the build.

use std::fmt::Write as _;

use super::role::Role::{Applicant, Application, Auditor, Compliance, Operator};
use super::role::{Role, Roles};

/// A port of the sidecar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Port {
    /// `server.listen`.
    Grpc,
    /// `server.http_listen`.
    Http,
    /// `recorder.listen`.
    Recorder,
    /// `registry.listen`.
    Registry,
    /// `links.listen`.
    Links,
    /// `server.admin_listen`.
    Admin,
}

impl Port {
    /// Every port.
    pub const ALL: [Self; 6] =
        [Self::Grpc, Self::Http, Self::Recorder, Self::Registry, Self::Links, Self::Admin];

    /// The key of the configuration that says where it is.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::Grpc => "server.listen",
            Self::Http => "server.http_listen",
            Self::Recorder => "recorder.listen",
            Self::Registry => "registry.listen",
            Self::Links => "links.listen",
            Self::Admin => "server.admin_listen",
        }
    }
}

/// Who may call without any role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Open {
    /// Nobody.
    No,
    /// Everybody, where the configuration says that the log is public.
    PublicLog,
    /// Everybody: it says whether the sidecar is up, and nothing else.
    Always,
}

/// One method.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Where it is served.
    pub port: Port,
    /// `GRPC`, or the method of HTTP; `GET` stands for `HEAD` too.
    pub method: &'static str,
    /// The path; `{name}` stands for one segment, `{*name}` for one or more.
    pub path: &'static str,
    /// Who may call it.
    pub roles: Roles,
    /// Whether somebody without a role may.
    pub open: Open,
    /// Whether a call is a decision, so that one turned away for its rate is counted in a gap entry.
    pub is_decision: bool,
    /// What it does, for the docs.
    pub what: &'static str,
}

/// The method of a row about gRPC.
pub const GRPC: &str = "GRPC";

/// Those who read the log: nothing in it is personal.
const READERS: &[Role] = &[Operator, Compliance, Auditor];

/// Those who are shown receipts.
const SHOWN: &[Role] = &[Application, Compliance, Auditor];

/// Everybody whom a rule can name.
const ANYBODY: &[Role] = &[Application, Operator, Compliance, Auditor];

const fn grpc(port: Port, path: &'static str, roles: &[Role], what: &'static str) -> Row {
    http(port, GRPC, path, roles, what)
}

const fn http(
    port: Port,
    method: &'static str,
    path: &'static str,
    roles: &[Role],
    what: &'static str,
) -> Row {
    Row { port, method, path, roles: Roles::of(roles), open: Open::No, is_decision: false, what }
}

const fn decision(row: Row) -> Row {
    Row { is_decision: true, ..row }
}

const fn public_log(row: Row) -> Row {
    Row { open: Open::PublicLog, ..row }
}

const fn always(row: Row) -> Row {
    Row { open: Open::Always, ..row }
}

/// A method of the model server.
macro_rules! model {
    ($name:literal, $roles:expr, $what:literal) => {
        grpc(Port::Grpc, concat!("/inference.GRPCInferenceService/", $name), $roles, $what)
    };
}

/// A method of one of our services.
macro_rules! ours {
    ($port:ident, $name:literal, $roles:expr, $what:literal) => {
        grpc(Port::$port, concat!("/ledgerstone.v1.", $name), $roles, $what)
    };
}

/// The table.
pub const TABLE: &[Row] = &[
    decision(model!("ModelInfer", &[Application], "has a decision made, and recorded")),
    decision(model!("ModelStreamInfer", &[Application], "is refused, and the refusal recorded")),
    model!("ServerLive", &[Application, Operator], "whether the model server is up"),
    model!("ServerReady", &[Application, Operator], "whether it is ready"),
    model!("ServerMetadata", &[Application, Operator], "what it is"),
    model!("ModelReady", &[Application, Operator], "whether a model is ready"),
    model!("ModelMetadata", &[Application, Operator], "what a model takes and gives"),
    model!("ModelConfig", &[Application, Operator], "how a model is configured"),
    model!("ModelStatistics", &[Operator], "what a model did"),
    model!("RepositoryIndex", &[Operator], "which models there are"),
    model!("RepositoryModelLoad", &[Operator], "has the model server load a model"),
    model!("RepositoryModelUnload", &[Operator], "has it unload one"),
    model!("SystemSharedMemoryStatus", &[Application], "which regions of memory are shared"),
    model!("SystemSharedMemoryRegister", &[Application], "shares one"),
    model!("SystemSharedMemoryUnregister", &[Application], "no longer shares one"),
    model!("CudaSharedMemoryStatus", &[Application], "which regions of a GPU's memory are shared"),
    model!("CudaSharedMemoryRegister", &[Application], "shares one"),
    model!("CudaSharedMemoryUnregister", &[Application], "no longer shares one"),
    model!("TraceSetting", &[Operator], "what the model server traces"),
    model!("LogSettings", &[Operator], "what it logs"),
    public_log(ours!(Grpc, "Log/GetCheckpoint", READERS, "the newest checkpoint")),
    public_log(ours!(Grpc, "Log/GetEntries", READERS, "entries, without their records")),
    public_log(ours!(Grpc, "Log/GetInclusionProof", READERS, "that an entry is in the tree")),
    public_log(ours!(Grpc, "Log/GetConsistencyProof", READERS, "that one tree is the beginning of another")),
    public_log(ours!(Grpc, "Log/WatchCheckpoints", READERS, "checkpoints as they come")),
    ours!(Grpc, "Receipts/GetReceipt", SHOWN, "the receipt of a decision, with what its route discloses"),
    ours!(Grpc, "Receipts/GetDecision", SHOWN, "where the entries about a decision stand"),
    always(grpc(Port::Grpc, "/grpc.health.v1.Health/Check", &[], "whether the services serve")),
    always(grpc(Port::Grpc, "/grpc.health.v1.Health/Watch", &[], "the same, as it changes")),
    grpc(
        Port::Grpc,
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        ANYBODY,
        "which services there are",
    ),
    grpc(
        Port::Grpc,
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        ANYBODY,
        "the same, for older clients",
    ),
    public_log(http(Port::Http, "GET", "/checkpoint", READERS, "the newest checkpoint")),
    public_log(http(Port::Http, "GET", "/log.policy", READERS, "the log's keys")),
    public_log(http(Port::Http, "GET", "/tile/{*path}", READERS, "tiles and entry bundles")),
    public_log(http(Port::Http, "GET", "/anchors/{*file}", READERS, "where the log's head was fixed")),
    http(Port::Http, "GET", "/receipts/{decision_id}", SHOWN, "the receipt of a decision"),
    ours!(
        Recorder,
        "Recorder/AppendFollowUp",
        &[Application, Compliance],
        "as `POST /decisions/...`, kind by kind"
    ),
    ours!(Recorder, "Recorder/GetHistory", &[Compliance], "a decision's opened records; itself an entry"),
    ours!(Recorder, "Keyring/Erase", &[Compliance], "destroys keys"),
    ours!(Recorder, "Keyring/Hold", &[Compliance], "forbids to"),
    ours!(Recorder, "Keyring/Release", &[Compliance], "ends that"),
    ours!(Recorder, "Keyring/Sweep", &[Compliance], "erases what is over"),
    ours!(Recorder, "Keyring/GetKeyring", &[Operator, Compliance], "how the keyring stands"),
    ours!(Recorder, "Keyring/BackUp", &[Operator], "copies the keyring"),
    ours!(Recorder, "Keyring/Rotate", &[Operator], "wraps keys anew"),
    http(
        Port::Recorder,
        "GET",
        "/decisions/{decision_id}",
        &[Compliance],
        "a decision's opened records; itself an entry",
    ),
    http(
        Port::Recorder,
        "POST",
        "/decisions/{decision_id}/outcome",
        &[Application, Compliance],
        "what came of a decision",
    ),
    http(
        Port::Recorder,
        "POST",
        "/decisions/{decision_id}/explanation",
        &[Application, Compliance],
        "reasons that came later",
    ),
    http(Port::Recorder, "POST", "/decisions/{decision_id}/review", &[Compliance], "a person looked at it"),
    http(Port::Recorder, "POST", "/decisions/{decision_id}/notice", &[Compliance], "a person was told"),
    http(Port::Recorder, "POST", "/decisions/{decision_id}/contest", &[Compliance], "a person objected"),
    http(
        Port::Recorder,
        "POST",
        "/decisions/{decision_id}/correction",
        &[Compliance],
        "something was put right",
    ),
    http(Port::Recorder, "POST", "/decisions/{decision_id}/link", &[Compliance], "makes a link to a receipt"),
    http(Port::Recorder, "POST", "/erasures", &[Compliance], "destroys keys"),
    http(Port::Recorder, "POST", "/holds", &[Compliance], "forbids to"),
    http(Port::Recorder, "POST", "/releases", &[Compliance], "ends that"),
    http(Port::Recorder, "POST", "/retention", &[Compliance], "erases what is over"),
    http(Port::Recorder, "GET", "/keyring", &[Operator, Compliance], "how the keyring stands"),
    http(Port::Recorder, "POST", "/keyring/backup", &[Operator], "copies the keyring"),
    http(Port::Recorder, "POST", "/keyring/rotate", &[Operator], "wraps keys anew"),
    ours!(Registry, "Registry/RegisterModel", &[Operator], "registers a model"),
    ours!(Registry, "Registry/RegisterPolicy", &[Operator], "registers a policy"),
    http(Port::Links, "GET", "/", &[Applicant], "the page that takes a reference"),
    http(
        Port::Links,
        "POST",
        "/find",
        &[Applicant],
        "the receipt of a reference, while a link to it is open",
    ),
    http(Port::Links, "GET", "/r/{token}", &[Applicant], "the receipt behind a link"),
    always(http(Port::Admin, "GET", "/live", &[], "whether the sidecar is up")),
    always(http(Port::Admin, "GET", "/ready", &[], "whether it serves")),
    http(Port::Admin, "GET", "/metrics", &[Operator], "numbers for Prometheus"),
    http(Port::Admin, "GET", "/models", &[Operator], "which models are served"),
    http(Port::Admin, "GET", "/anchors", &[Operator], "how the anchors stand"),
    http(Port::Admin, "GET", "/hardening", &[Operator], "what the process gave up"),
    http(Port::Admin, "GET", "/siem", &[Operator], "how the sinks of the SIEM export stand"),
    always(http(Port::Admin, "GET", "/console", &[], "the console's page, which holds no data")),
    http(Port::Admin, "GET", "/console/state", READERS, "what the console shows"),
    http(
        Port::Admin,
        "GET",
        "/console/decisions/{decision_id}",
        READERS,
        "the entries about a decision, without their records, with proofs",
    ),
    http(Port::Admin, "GET", "/status", &[Operator], "numbers and settings for `ledgerstone doctor`"),
];

/// The path under which a follow-up of `kind` is added: who may add it over gRPC stands in that row too.
pub(crate) fn follow_up(kind: &str) -> Option<&'static Row> {
    TABLE.iter().find(|row| {
        row.port == Port::Recorder
            && row.method == "POST"
            && row.path.strip_prefix("/decisions/{decision_id}/").is_some_and(|rest| rest == kind)
    })
}

/// The row of a call, if it has one.
#[must_use]
pub fn row(port: Port, method: &str, path: &str) -> Option<&'static Row> {
    let method = if method == "HEAD" { "GET" } else { method };
    TABLE.iter().find(|row| row.port == port && row.method == method && matches(row.path, path))
}

/// Whether a path, as it came, is one of `pattern`. What is written with percent signs is no literal segment of ours.
fn matches(pattern: &str, path: &str) -> bool {
    if pattern.len() == path.len() && pattern == path {
        return true;
    }
    if !pattern.contains('{') {
        return false;
    }
    let mut segments = path.split('/');
    for wanted in pattern.split('/') {
        let Some(segment) = segments.next() else { return false };
        if wanted.starts_with("{*") {
            return !segment.is_empty();
        }
        let fits = if wanted.starts_with('{') { !segment.is_empty() } else { wanted == segment };
        if !fits {
            return false;
        }
    }
    segments.next().is_none()
}

/// The table as Markdown, for the docs.
#[must_use]
pub fn to_markdown() -> String {
    let mut text = String::new();
    for port in Port::ALL {
        _ = writeln!(text, "\n### `{}`\n", port.key());
        _ = writeln!(
            text,
            "| method | application | operator | compliance | auditor | applicant | without a role | |"
        );
        _ = writeln!(text, "| --- | :-: | :-: | :-: | :-: | :-: | :-: | --- |");
        for row in TABLE.iter().filter(|row| row.port == port) {
            let path = row.path.trim_start_matches(if row.method == GRPC { "/" } else { "" });
            let name = if row.method == GRPC { path.to_owned() } else { format!("{} {path}", row.method) };
            let cells: Vec<&str> =
                Role::ALL.into_iter().map(|role| if row.roles.has(role) { "yes" } else { "" }).collect();
            let open = match row.open {
                Open::No => "",
                Open::PublicLog => "if public",
                Open::Always => "yes",
            };
            _ = writeln!(text, "| `{name}` | {} | {open} | {} |", cells.join(" | "), row.what);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_has_its_row_and_what_only_looks_like_it_has_none() {
        let found = |port, method, path| row(port, method, path).map(|row| row.path);
        let (recorder, one) = (Port::Recorder, "/decisions/{decision_id}");
        assert_eq!(found(recorder, "GET", "/decisions/0193"), Some(one));
        assert_eq!(found(recorder, "HEAD", "/decisions/0193"), Some(one));
        assert_eq!(found(Port::Http, "GET", "/tile/0/x001/067"), Some("/tile/{*path}"));
        for (port, method, path) in [
            (recorder, "POST", "/decisions/0193"),
            (recorder, "GET", "/decisions/"),
            (recorder, "GET", "/decisions//"),
            (recorder, "GET", "/decisions/0193/"),
            (recorder, "GET", "//decisions/0193"),
            (recorder, "POST", "/decisions/0193/outcom%65"),
            (recorder, "POST", "/decisions/0193/erasure"),
            (recorder, "GRPC", "/decisions/0193"),
            (recorder, "GET", "/ledgerstone.v1.Recorder/GetHistory"),
            (Port::Http, "GET", "/tile/"),
            (Port::Http, "GET", "/tile"),
            (Port::Http, "GET", "/decisions/0193"),
            (Port::Http, "GET", "/receipts/a/b"),
            (Port::Grpc, "GRPC", "/inference.GRPCInferenceService/ModelInfer/"),
            (Port::Grpc, "GRPC", "/inference.GRPCInferenceService/Shutdown"),
            (Port::Grpc, "GRPC", "inference.GRPCInferenceService/ModelInfer"),
            (Port::Admin, "GET", "/"),
        ] {
            assert_eq!(found(port, method, path), None, "{method} {path}");
        }
    }

    #[test]
    fn no_method_has_two_rows_and_each_names_somebody() {
        for (n, one) in TABLE.iter().enumerate() {
            let again = TABLE
                .iter()
                .skip(n + 1)
                .find(|other| (other.port, other.method, other.path) == (one.port, one.method, one.path));
            assert!(again.is_none(), "{} stands there twice", one.path);
            assert_eq!(one.roles.is_empty(), one.open == Open::Always, "{}", one.path);
            assert_eq!(one.roles.has(Applicant), one.port == Port::Links, "{}", one.path);
        }
        assert_eq!(TABLE.iter().filter(|row| row.is_decision).count(), 2);
    }
}
