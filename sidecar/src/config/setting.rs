//! Every key of the configuration in one table: what it means, and what holds when nobody sets it.
//!
//! Guarantees: the file, the environment and the flags know exactly these keys; the names of environment variables are
//! derived, never written down twice.
//! Does not do: lists: `[[route]]` tables belong to `intercept::route`, the lanes of `[anchors]` to `anchors`. A table of
//! `[[keys.previous]]` takes the keys that `[keys]` takes.

/// What holds for a key that nobody set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fallback {
    /// Nothing: the sidecar does not start without it.
    Required,
    /// The key may stay without a value.
    Unset,
    /// This value.
    Value(&'static str),
}

/// One key.
#[derive(Debug)]
pub(super) struct Setting {
    /// Its full name, `section.key`.
    pub(super) key: &'static str,
    /// What holds when nobody sets it.
    pub(super) fallback: Fallback,
    /// What it means, for a person.
    pub(super) what: &'static str,
}

impl Setting {
    /// The environment variable that sets the key: `log.key_file` is `LEDGERSTONE_LOG_KEY_FILE`.
    pub(super) fn variable(&self) -> String {
        format!("{VARIABLE_PREFIX}{}", self.key.replace('.', "_").to_uppercase())
    }
}

/// What the name of every environment variable of the sidecar starts with.
pub(super) const VARIABLE_PREFIX: &str = "LEDGERSTONE_";

const fn required(key: &'static str, what: &'static str) -> Setting {
    Setting { key, fallback: Fallback::Required, what }
}

const fn unset(key: &'static str, what: &'static str) -> Setting {
    Setting { key, fallback: Fallback::Unset, what }
}

const fn value(key: &'static str, value: &'static str, what: &'static str) -> Setting {
    Setting { key, fallback: Fallback::Value(value), what }
}

/// All keys, in the order of `config explain`.
pub(super) const SETTINGS: &[Setting] = &[
    required("log.origin", "the name of the log, for example log.example.com/decisions"),
    required("log.store", "the directory of the log"),
    required("log.key_file", "the file with the keys that sign the log"),
    value(
        "log.publish_interval",
        "250ms",
        "the longest time until a durable entry is under a published checkpoint",
    ),
    value("log.segment_bytes", "64MiB", "the size at which a journal segment ends"),
    value("writer.name", "sidecar", "the name of this sidecar in the entries it writes"),
    value("server.listen", "127.0.0.1:7450", "where callers reach the model and the log over gRPC"),
    value("server.http_listen", "127.0.0.1:7451", "where the log and receipts are read over HTTP"),
    value("server.admin_listen", "127.0.0.1:7452", "where /live, /ready and /metrics are"),
    value("server.drain_deadline", "25s", "how long requests in flight may take after a signal to stop"),
    unset("server.tls.cert", "the certificate chain of every port, as PEM"),
    unset("server.tls.key", "the private key of every port, as PEM"),
    required("upstream.address", "the model server, for example http://127.0.0.1:8001"),
    value("upstream.connect_timeout", "1s", "how long a connection to the model server may take"),
    value("upstream.request_timeout", "30s", "how long one answer of the model server may take"),
    unset("upstream.ca_file", "the certificate authority of an https model server, as PEM"),
    value(
        "upstream.local_only",
        "warn",
        "what follows where a model server on loopback listens elsewhere too: require, warn or off",
    ),
    value("upstream.local_ports", "", "further ports of it that must listen on loopback alone"),
    value("limits.message_bytes_max", "16MiB", "the largest request and the largest answer"),
    value("limits.in_flight_max", "1024", "the number of requests at one time; the next one is refused"),
    value(
        "keys.provider",
        "file",
        "what holds the key that wraps record keys: file, pkcs11, vault or aws-kms",
    ),
    unset("keys.file", "the file with the key that wraps record keys"),
    unset("keys.id", "the name of the key in sealed records; a key file names its own"),
    value("keys.timeout", "5s", "how long one call of the key provider may take"),
    unset("keys.pkcs11.module", "the PKCS#11 module, a shared library"),
    unset("keys.pkcs11.token", "the label of the token"),
    unset("keys.pkcs11.key", "the label of the AES key on the token"),
    unset("keys.pkcs11.pin_file", "the file with the user PIN of the token, mode 0600"),
    unset("keys.pkcs11.pin_variable", "the environment variable with the user PIN of the token"),
    value("keys.pkcs11.sessions", "4", "sessions with the token, and so calls at once"),
    unset("keys.vault.address", "the Vault or OpenBao server, for example https://vault.example.com:8200"),
    value("keys.vault.mount", "transit", "where the transit engine is mounted"),
    unset("keys.vault.key", "the name of the key in the transit engine"),
    unset("keys.vault.namespace", "the namespace of the engine"),
    unset("keys.vault.token_file", "the file with the token, mode 0600; it may be replaced at any time"),
    unset("keys.vault.token_variable", "the environment variable with the token"),
    unset("keys.vault.ca_file", "the certificate authorities of the server, as PEM"),
    unset("keys.aws_kms.key", "the ARN, id or alias (alias/NAME) of the key in AWS KMS"),
    unset("keys.aws_kms.region", "the region of the key"),
    unset("keys.aws_kms.endpoint", "another address of AWS KMS than the region's own"),
    unset("keys.aws_kms.sts_endpoint", "another address of AWS STS than the region's own"),
    value(
        "keys.aws_kms.ca_file",
        "/etc/ssl/certs/ca-certificates.crt",
        "the certificate authorities of AWS, as PEM",
    ),
    unset("keys.backup_interval", "how often a copy of the keyring is put beside it"),
    value("keys.pool", "4096", "subject keys that are made before anybody needs them"),
    value("heartbeat.interval", "60s", "how often a session says in the log that it is alive"),
    unset(
        "recorder.listen",
        "where outcomes, reviews, notices and the like are added to decisions; whoever reaches it may add and read",
    ),
    unset(
        "registry.listen",
        "where models and policies are registered over gRPC; whoever reaches it may register",
    ),
    unset("retention.interval", "how often records whose retention period is over are erased"),
    value("retention.operator", "retention-schedule", "who the log says erased them"),
    value(
        "retention.classes",
        "",
        "retention classes beside the known ones, for example \"house=18mo, reg-b=3y\"",
    ),
    unset("retention.default", "the class of records without one; without it they are kept"),
    value("models.watch_interval", "10s", "how often the files of models are looked at for changes"),
    unset(
        "notices.templates",
        "the folder whose templates of notices stand in the place of those that come along",
    ),
    value("receipt.wait", "2s", "how long a receipt may wait for its entry to be published"),
    unset(
        "receipt.key_file",
        "the file with the key that signs COSE receipts; without it receipts have none",
    ),
    unset(
        "links.listen",
        "where people outside open links to their receipts, over TLS where server.tls is set",
    ),
    unset(
        "links.public_url",
        "the address under which they reach it, for example https://receipts.example.com",
    ),
    unset("links.file", "the file that keeps the links, mode 0600"),
    value("links.expires", "30d", "how long a link works unless it is made for another time"),
    value("links.expires_max", "366d", "the longest time that a link may be made for"),
    unset(
        "anchors.quorum",
        "how many independent kinds count as anchored, for example \"2 of ethereum, bitcoin, rfc3161\"",
    ),
    value("anchors.lag_alarm", "24h", "how long an entry may wait for an anchor before that is an alarm"),
    value("access.log", "roles", "who may read the log: roles, or public for everybody"),
    unset(
        "access.limits.application",
        "how often each application may call, for example \"500/s, burst 1000\"",
    ),
    unset("access.limits.operator", "how often each operator may call"),
    unset("access.limits.compliance", "how often each compliance officer may call"),
    unset("access.limits.auditor", "how often each auditor may call"),
    unset("access.limits.applicant", "how often links may be opened from one address"),
    value(
        "access.limits.public",
        "100/s, burst 1000",
        "how often somebody without a role may call, and new tokens be checked, from one address",
    ),
    unset("access.oidc.issuer", "whose tokens are taken, exactly as they have it"),
    unset("access.oidc.audience", "whom tokens must be for"),
    unset(
        "access.oidc.jwks",
        "where the issuer's keys are: its jwks_uri, or a file that may be replaced at any time",
    ),
    value(
        "access.oidc.ca_file",
        "/etc/ssl/certs/ca-certificates.crt",
        "the certificate authorities of that address, as PEM",
    ),
    value("access.oidc.role_claim", "roles", "where a token's roles stand: a claim, or a JSON pointer"),
    value("access.oidc.algorithms", "RS256, PS256, ES256, EdDSA", "how tokens may be signed"),
    value("access.oidc.keys_refresh", "5m", "how often the issuer's keys are fetched"),
    value("access.oidc.keys_kept", "24h", "how long keys are used that could not be fetched again"),
    unset(
        "server.tls.client_ca_file",
        "the authorities of client certificates, as PEM; with it every port but links.listen asks for one",
    ),
    unset("server.tls.crl_file", "the revocation lists of these authorities, as PEM"),
    unset(
        "server.tls.workload_api",
        "the SPIFFE Workload API that gives certificate, key and authorities, for example unix:/run/spire/sockets/agent.sock",
    ),
    value("server.tls.versions", "1.3", "the versions of TLS: \"1.3\", or \"1.2, 1.3\""),
    value("server.tls.reload_interval", "60s", "how often the files of TLS are looked at for changes"),
    unset("upstream.cert", "the certificate chain that is shown to an https model server, as PEM"),
    unset("upstream.key", "its private key, as PEM"),
    unset("approvals.approvers", "the file with the names and keys of those who may approve changes"),
    unset("approvals.folder", "the folder with signed approvals of what this configuration changes"),
    unset(
        "approvals.model",
        "who must approve a registration of a model, for example \"2 of alice, bob, carol\"",
    ),
    unset("approvals.policy", "who must approve a policy that comes into force"),
    unset("approvals.key", "who must approve another key-encryption key"),
    unset("approvals.retention", "who must approve other retention periods"),
    unset("approvals.roster", "who must approve other approvers and rules"),
    value(
        "hardening.landlock",
        "best-effort",
        "files and ports that are not needed: required, best-effort or off",
    ),
    value(
        "hardening.seccomp",
        "best-effort",
        "system calls that are not needed: required, best-effort or off",
    ),
    value("hardening.memory", "best-effort", "keys locked in memory: required, best-effort or off"),
    unset("hardening.read", "more files and folders that may be read, with ':' between them"),
    unset("hardening.write", "more folders that may be written, with ':' between them"),
    unset("telemetry.endpoint", "the OpenTelemetry Collector, for example http://127.0.0.1:4317"),
    value("telemetry.protocol", "grpc", "how it is spoken to: grpc or http/protobuf"),
    value("telemetry.signals", "traces, metrics, logs", "what it gets"),
    value(
        "telemetry.sampler",
        "parentbased_traceidratio",
        "which decisions are traced: as their callers are, or traceidratio",
    ),
    value(
        "telemetry.sampling_ratio",
        "0.1",
        "the share of decisions that are traced where no caller says so",
    ),
    unset("telemetry.headers_file", "a file with header fields for every export, a line each"),
    unset("telemetry.ca_file", "the certificate authority of an https Collector, as PEM"),
    unset("telemetry.cert", "the certificate chain that is shown to it, as PEM"),
    unset("telemetry.key", "its private key, as PEM"),
    value("telemetry.timeout", "10s", "how long one export may take"),
    value("telemetry.metrics_interval", "60s", "how often metrics are sent"),
    unset("server.handover", "the Unix socket at which `run --take-over` takes over from this sidecar"),
];

/// The setting with that key.
pub(super) fn find(key: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.key == key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nearest::nearest;

    #[test]
    fn every_key_has_its_own_environment_variable() {
        let mut names: Vec<String> = SETTINGS.iter().map(Setting::variable).collect();
        assert!(names.contains(&"LEDGERSTONE_SERVER_TLS_CERT".to_owned()));
        names.sort();
        names.dedup();
        assert_eq!(names.len(), SETTINGS.len());
    }

    #[test]
    fn suggests_a_near_key_and_nothing_for_a_far_one() {
        let keys = || SETTINGS.iter().map(|setting| setting.key);
        assert_eq!(nearest("log.orign", keys()), Some("log.origin"));
        assert_eq!(nearest("logs.store", keys()), Some("log.store"));
        assert_eq!(nearest("weather.tomorrow", keys()), None);
    }
}
