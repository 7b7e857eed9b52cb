//! Reading the configuration.
//!
//! Scenario: a person edits the file, sets a variable or a flag, and gets one thing wrong. Danger: the sidecar starts
//! with something else than what was meant, or says no without saying what to change. End state: it does not start,
//! and the message names the place and the change.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test"
)]

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use ledgerstone_sidecar::config::{Config, Inputs, Source};

const GOOD: &str = r#"
[log]
origin = "log.example.com/decisions"
store = "store"
key_file = "/etc/ledgerstone/log.key"

[upstream]
address = "http://127.0.0.1:8001"

[keys]
file = "records.key"
"#;

const DURATION: &str = r#"write a duration with its unit, for example "250ms", "2s" or "5m""#;
const SIZE: &str = r#"write a size with its unit, for example "64KiB" or "16MiB""#;

struct Written {
    dir: tempfile::TempDir,
    inputs: Inputs,
}

impl Written {
    fn new(text: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sidecar.toml");
        fs::write(&path, text).unwrap();
        Self { inputs: Inputs { file: Some(path), ..Inputs::default() }, dir }
    }

    fn with(mut self, environment: &[(&str, &str)], flags: &[&str]) -> Self {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        self.inputs.environment = environment.iter().map(owned).collect();
        self.inputs.flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
        self
    }

    fn load(&self) -> Config {
        Config::load(&self.inputs).unwrap()
    }

    /// The message, with the temporary directory as `DIR`.
    fn refusal(&self) -> String {
        let error = Config::load(&self.inputs).expect_err("this configuration is wrong");
        error.to_string().replace(self.dir.path().to_str().unwrap(), "DIR")
    }
}

/// `GOOD` with a line of it replaced.
fn good_with(old: &str, new: &str) -> Written {
    assert!(GOOD.contains(old), "{old}");
    Written::new(&GOOD.replace(old, new))
}

#[test]
fn takes_defaults_for_all_that_is_not_required() {
    let written = Written::new(GOOD);
    let config = written.load();
    assert_eq!(config.log.origin.as_str(), "log.example.com/decisions");
    assert_eq!(config.log.store, written.dir.path().join("store"), "relative to the file");
    assert_eq!(config.log.key_file, PathBuf::from("/etc/ledgerstone/log.key"));
    assert_eq!(config.log.publish_interval, Duration::from_millis(250));
    assert_eq!(config.log.segment_bytes, 64 << 20);
    assert_eq!(config.server.listen.to_string(), "127.0.0.1:7450");
    assert_eq!(config.limits.message_bytes_max, 16 << 20);
    assert_eq!(config.limits.in_flight_max, 1024);
    assert!(config.server.tls.is_none());
    assert!(config.routes.is_empty());
}

#[test]
fn the_environment_wins_over_the_file_and_a_flag_over_both() {
    let written = good_with("[keys]", "[limits]\nin_flight_max = 10\nmessage_bytes_max = \"1MiB\"\n[keys]");
    let written = written.with(
        &[("LEDGERSTONE_LIMITS_IN_FLIGHT_MAX", "20"), ("LEDGERSTONE_LIMITS_MESSAGE_BYTES_MAX", "2MiB")],
        &["limits.in_flight_max=30"],
    );
    let config = written.load();
    assert_eq!(config.limits.in_flight_max, 30);
    assert_eq!(config.limits.message_bytes_max, 2 << 20);
}

#[test]
fn a_path_outside_the_file_starts_from_the_working_directory() {
    let written = Written::new(GOOD).with(&[("LEDGERSTONE_LOG_STORE", "here")], &[]);
    assert_eq!(written.load().log.store, PathBuf::from("here"));
}

#[test]
fn the_digest_changes_with_a_value_and_not_with_its_source() {
    let written = Written::new(GOOD);
    let unchanged = written.load().digest;
    let written = written.with(&[], &["writer.name=sidecar"]);
    assert_eq!(unchanged, written.load().digest);
    let written = written.with(&[], &["writer.name=other"]);
    assert_ne!(unchanged, written.load().digest);
}

#[test]
fn refuses_an_unknown_key_and_names_the_nearest() {
    let cases = [
        (
            good_with("origin", "orign"),
            r#"DIR/sidecar.toml line 3: unknown key "log.orign"; did you mean "log.origin"?"#,
        ),
        (
            good_with("[upstream]", "[upstraem]"),
            r#"DIR/sidecar.toml line 8: unknown key "upstraem.address"; did you mean "upstream.address"?"#,
        ),
        (
            good_with("[keys]", "background_colour = \"blue\"\n[keys]"),
            r#"DIR/sidecar.toml line 10: unknown key "upstream.background_colour"; `config explain` lists the keys"#,
        ),
        (
            good_with("[keys]", "[nothing]\n[keys]"),
            r#"DIR/sidecar.toml line 10: unknown key "nothing"; `config explain` lists the keys"#,
        ),
        (
            Written::new(GOOD).with(&[], &["log.sotre=/x"]),
            r#"--set: unknown key "log.sotre"; did you mean "log.store"?"#,
        ),
        (
            Written::new(&format!("{GOOD}\n[[route]]\nname = \"a\"\nmask = []\ntreshold = 1\n")),
            r#"configuration file DIR/sidecar.toml line 16: unknown key "treshold" in a [[route]]; did you mean "threshold"?"#,
        ),
    ];
    for (written, expected) in cases {
        assert_eq!(written.refusal(), expected);
    }
}

#[test]
fn names_every_missing_key() {
    let written = Written::new("[log]\norigin = \"o.example/log\"\n");
    assert_eq!(
        written.refusal(),
        "missing log.store (the directory of the log), \
         log.key_file (the file with the keys that sign the log), \
         upstream.address (the model server, for example http://127.0.0.1:8001), \
         keys.file (the file with the key that wraps record keys): \
         set in the file, by environment or with --set log.store=VALUE"
    );
}

#[test]
fn refuses_a_quantity_without_its_unit_or_out_of_range() {
    for (flag, expected) in [
        ("log.publish_interval=250", format!(r#"--set: log.publish_interval = "250": {DURATION}"#)),
        ("heartbeat.interval=0s", format!(r#"--set: heartbeat.interval = "0s": {DURATION}"#)),
        ("limits.message_bytes_max=1MB", format!(r#"--set: limits.message_bytes_max = "1MB": {SIZE}"#)),
        (
            "limits.message_bytes_max=17MiB",
            r#"--set: limits.message_bytes_max = "17MiB": write a size from 1 to 16777216 bytes"#.to_owned(),
        ),
        (
            "log.segment_bytes=1KiB",
            r#"--set: log.segment_bytes = "1KiB": write a size from 65536 to 1073741824 bytes"#.to_owned(),
        ),
        (
            "limits.in_flight_max=many",
            r#"--set: limits.in_flight_max = "many": write a whole number, for example 1024"#.to_owned(),
        ),
        (
            "limits.in_flight_max=8193",
            r#"--set: limits.in_flight_max = "8193": write at most 8192, the number of entries that may wait for the log"#
                .to_owned(),
        ),
    ] {
        assert_eq!(Written::new(GOOD).with(&[], &[flag]).refusal(), expected);
    }
}

#[test]
fn refuses_a_value_that_its_key_cannot_take() {
    for (flag, expected) in [
        (
            "server.listen=localhost",
            r#"--set: server.listen = "localhost": write an address and a port, for example 127.0.0.1:7450 (port 0 takes a free one)"#,
        ),
        (
            "log.origin=two words",
            r#"--set: log.origin = "two words": write a name without spaces and '+', of printable ASCII, for example log.example.com/decisions"#,
        ),
        (
            "writer.name=Upper",
            r#"--set: writer.name = "Upper": write 1 to 64 characters of a-z, 0-9, '.', '_' and '-'"#,
        ),
        (
            "upstream.address=127.0.0.1:8001",
            r#"--set: upstream.address = "127.0.0.1:8001": write http://HOST:PORT, https://HOST:PORT or unix:/PATH, and nothing else: no user, no path, no link-local or metadata address"#,
        ),
        (
            "keys.provider=hsm",
            r#"--set: keys.provider = "hsm": write "file", "pkcs11", "vault" or "aws-kms""#,
        ),
        ("log.store=", r#"--set: log.store = "": write a path"#),
        (
            "log.store",
            r#"--set "log.store": write --set KEY=VALUE, for example --set log.store=/var/lib/ledgerstone"#,
        ),
        ("server.tls.cert=a.pem", "server.tls.cert is set and server.tls.key is not: set both or neither"),
        ("server.tls.key=a.pem", "server.tls.key is set and server.tls.cert is not: set both or neither"),
        (
            "server.tls.client_ca_file=a.pem",
            "server.tls.client_ca_file is set and server.tls.cert is not: set both or neither",
        ),
        (
            "server.tls.crl_file=a.crl",
            "server.tls.crl_file is set and server.tls.client_ca_file is not: set both or neither",
        ),
        ("upstream.cert=a.pem", "upstream.cert is set and upstream.key is not: set both or neither"),
        (
            "server.tls.workload_api=http://agent",
            r#"--set: server.tls.workload_api = "http://agent": write unix:/PATH, the socket of the agent"#,
        ),
        (
            "server.tls.versions=1.1, 1.2",
            r#"--set: server.tls.versions = "1.1, 1.2": write "1.3", or "1.2, 1.3" for clients that have no better"#,
        ),
    ] {
        assert_eq!(Written::new(GOOD).with(&[], &[flag]).refusal(), expected);
    }
    let both = ["server.tls.workload_api=unix:///run/agent.sock", "server.tls.cert=a.pem"];
    let both = Written::new(GOOD).with(&[], &both).refusal();
    assert_eq!(both, "server.tls.workload_api and server.tls.cert are both set: set one of them");
}

#[test]
fn a_refusal_names_the_line_or_the_variable() {
    let from_file = good_with("[keys]", "request_timeout = 30\n[keys]");
    let expected = format!(r#"DIR/sidecar.toml line 10: upstream.request_timeout = "30": {DURATION}"#);
    assert_eq!(from_file.refusal(), expected);
    let wrong_type = good_with("[keys]", "request_timeout = true\n[keys]");
    let expected =
        r#"DIR/sidecar.toml line 10: upstream.request_timeout = "boolean": write a text in quotes"#;
    assert_eq!(wrong_type.refusal(), expected);
    let variable = Written::new(GOOD).with(&[("LEDGERSTONE_RECEIPT_WAIT", "soon")], &[]);
    let expected = format!(r#"environment LEDGERSTONE_RECEIPT_WAIT: receipt.wait = "soon": {DURATION}"#);
    assert_eq!(variable.refusal(), expected);
}

#[test]
fn refuses_a_file_that_is_not_there_or_not_toml() {
    let inputs = Inputs { file: Some("/nowhere/sidecar.toml".into()), ..Inputs::default() };
    assert_eq!(
        Config::load(&inputs).unwrap_err().to_string(),
        "configuration file /nowhere/sidecar.toml cannot be read (No such file or directory (os error 2)): \
         name it with --config or LEDGERSTONE_CONFIG"
    );
    let refusal = Written::new("[log\n").refusal();
    assert!(refusal.starts_with("configuration file DIR/sidecar.toml line 1: "), "{refusal}");
    let twice = good_with("store = \"store\"", "store = \"a\"\nstore = \"b\"").refusal();
    assert_eq!(twice, "configuration file DIR/sidecar.toml line 5: duplicate key");
}

#[test]
fn explains_each_value_with_its_source() {
    let written = Written::new(&format!("{GOOD}\n[[route]]\nname = \"loans\"\n")).with(
        &[("LEDGERSTONE_WRITER_NAME", "pod-7"), ("LEDGERSTONE_WRITER_NAEM", "x"), ("OTHER", "x")],
        &["receipt.wait=5s"],
    );
    let explained = Config::explain(&written.inputs).unwrap();
    let row = |key: &str| {
        let found = explained.rows.iter().find(|row| row.key == key);
        let row = found.unwrap_or_else(|| panic!("no row {key}")).clone();
        (row.value.unwrap_or_default(), row.source)
    };
    let line = |line| Source::File { path: written.inputs.file.clone().unwrap(), line };
    assert_eq!(row("log.origin"), ("log.example.com/decisions".to_owned(), line(3)));
    assert_eq!(
        row("writer.name"),
        ("pod-7".to_owned(), Source::Environment("LEDGERSTONE_WRITER_NAME".into()))
    );
    assert_eq!(row("receipt.wait"), ("5s".to_owned(), Source::Flag));
    assert_eq!(row("server.tls.cert"), (String::new(), Source::Default));
    assert_eq!(row("route \"loans\"").1, line(13));
    let text = explained.to_string();
    let wait = text.lines().find(|line| line.starts_with("receipt.wait ")).unwrap();
    assert_eq!(wait.split_whitespace().take(2).collect::<Vec<_>>(), ["receipt.wait", "\"5s\""], "{text}");
    assert!(
        text.ends_with("ignored: the environment variable LEDGERSTONE_WRITER_NAEM fits no key\n"),
        "{text}"
    );
}

/// What the routes of `GOOD` with this one say to it.
fn route_refusal(route: &str) -> String {
    let written = Written::new(&format!("{GOOD}\n[[route]]\nname = \"loans\"\n{route}\n"));
    let explained = Config::explain(&written.inputs).unwrap();
    assert!(explained.rows.iter().any(|row| row.key == "route \"loans\""), "explain shows it all the same");
    let config = written.load();
    ledgerstone_sidecar::intercept::Routes::build(&config.routes, &config.base).unwrap_err().to_string()
}

#[test]
fn refuses_a_path_that_no_record_has_and_names_the_nearest() {
    const FEATURES: &str = r#"features = [{ tensor = "x", names = ["income", "loan amount"] }]"#;
    for (path, nearest) in [
        ("inptu/feature/income", "input/feature/income"),
        ("input/features/income", "input/feature/income"),
        ("input/feature/incme", "input/feature/income"),
        ("input/feature/loan%20amonut", "input/feature/loan%20amount"),
        ("input/feature/incme/*", "input/feature/income/*"),
        ("caller/adress", "caller/address"),
        ("callers/*", "caller/*"),
        ("*/adress", "*/address"),
        ("explanation/reason/[0]/txt", "explanation/reason/[0]/text"),
        ("explanation/reasons/*/text", "explanation/reason/*/text"),
    ] {
        let expected = |key| {
            format!(
                "route \"loans\": `{key}` has \"{path}\", which is no field that a record of this route can have; \
                 did you mean \"{nearest}\"?"
            )
        };
        let mask = format!("{FEATURES}\nmask = [{{ path = \"{path}\", reason = \"r\" }}]");
        assert_eq!(route_refusal(&mask), expected("mask.path"));
        let disclose = format!("{FEATURES}\nreceipt = {{ disclose = [\"decision/*\", \"{path}\"] }}");
        assert_eq!(route_refusal(&disclose), expected("receipt.disclose"));
        let right = mask.replace(path, nearest);
        let written = Written::new(&format!("{GOOD}\n[[route]]\nname = \"loans\"\n{right}\n"));
        let config = written.load();
        ledgerstone_sidecar::intercept::Routes::build(&config.routes, &config.base).unwrap();
    }
}

#[test]
fn refuses_a_path_that_is_near_nothing_and_says_how_paths_begin() {
    for path in ["zebra/crossing/stripes", "input/feature/income", "output/score/predict"] {
        let refusal = route_refusal(&format!("mask = [{{ path = \"{path}\", reason = \"r\" }}]"));
        assert!(refusal.contains(&format!("`mask.path` has \"{path}\", which is no field")), "{refusal}");
        assert!(refusal.contains("A path begins with one of decision, time, caller, model,"), "{refusal}");
        assert!(refusal.contains("have the names that the route gives them"), "{refusal}");
    }
}

/// The annotated sample, with every key behind a comment mark brought out.
fn sample(all: bool) -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/sidecar.example.toml");
    let text = fs::read_to_string(path).unwrap();
    let is_setting = |line: &str| {
        let key: String =
            line.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_' || *c == '[').collect();
        !key.is_empty()
            && (line[key.len()..].starts_with(" = ")
                || line == "[server.tls]"
                || line.starts_with("[keys.")
                || line.starts_with("[access")
                || line.starts_with("[[siem"))
    };
    let uncomment = |line: &str| match line.strip_prefix("# ").filter(|rest| all && is_setting(rest)) {
        Some(setting) => setting.to_owned(),
        None => line.to_owned(),
    };
    text.lines().map(uncomment).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_sample_configuration_loads_and_its_route_is_valid() {
    let written = Written::new(&sample(false));
    let config = written.load();
    ledgerstone_sidecar::intercept::Routes::build(&config.routes, &config.base).unwrap();
    assert_eq!(config.routes.len(), 1);
}

#[test]
fn the_sample_configuration_shows_every_key_with_its_default() {
    let bare = Written::new(&sample(false));
    // Stands in the place of the files beside it.
    let instead = "workload_api = \"unix:/run/spire/sockets/agent.sock\"";
    let full = sample(true);
    assert!(full.contains(instead) && !sample(false).contains(&format!("\n{instead}")));
    let full = Written::new(&full.replace(instead, ""));
    let defaults = Config::explain(&bare.inputs).unwrap();
    let shown = Config::explain(&full.inputs).unwrap();
    let rows = defaults.rows.iter().zip(&shown.rows);
    for (default, shown) in rows.filter(|(row, _)| row.key != "server.tls.workload_api") {
        assert!(matches!(shown.source, Source::File { .. }), "{} is not in the sample", shown.key);
        if default.value.is_some() {
            assert_eq!(shown.value, default.value, "{}", shown.key);
        }
    }
}

const VAULT: &str = r#"
provider = "vault"
id = "loans-2026"
vault = { address = "https://vault.example.com:8200", key = "loans", token_file = "token" }
"#;

const TOKEN: &str = r#"
provider = "pkcs11"
id = "loans-2026"
pkcs11 = { module = "m.so", token = "t", key = "k", pin_variable = "PIN" }
"#;

const KMS: &str = r#"
provider = "aws-kms"
id = "loans-2026"
aws_kms = { key = "alias/loans", region = "eu-central-1" }
"#;

/// `GOOD` with `keys` in the place of its key file.
fn with_keys(keys: &str) -> Written {
    Written::new(&GOOD.replace("file = \"records.key\"", keys))
}

#[test]
fn takes_each_key_provider_with_its_defaults() {
    use ledgerstone_sidecar::config::keys::ProviderConfig;
    use ledgerstone_sidecar::keyring::SecretSource;

    let written = with_keys(VAULT);
    let ProviderConfig::Vault(vault) = written.load().keys.current else { panic!("it is a Vault") };
    assert_eq!((vault.mount.as_str(), vault.timeout), ("transit", Duration::from_secs(5)));
    assert_eq!(vault.token, SecretSource::File(written.dir.path().join("token")), "relative to the file");
    let ProviderConfig::Pkcs11(token) = with_keys(TOKEN).load().keys.current else { panic!("it is a token") };
    assert_eq!((token.sessions, token.pin), (4, SecretSource::Variable("PIN".into())));
    let ProviderConfig::AwsKms(kms) = with_keys(KMS).load().keys.current else { panic!("it is AWS KMS") };
    assert_eq!(kms.endpoint.to_string(), "https://kms.eu-central-1.amazonaws.com/");
    let ProviderConfig::AwsKms(kms) =
        with_keys(&KMS.replace("eu-central-1", "cn-north-1")).load().keys.current
    else {
        panic!("it is AWS KMS")
    };
    assert_eq!(kms.sts_endpoint.to_string(), "https://sts.cn-north-1.amazonaws.com.cn/");
}

#[test]
fn refuses_key_providers_that_make_no_sense() {
    for (keys, from, to, expected) in [
        (VAULT, "id = \"loans-2026\"\n", "", "missing keys.id (the name of the key in sealed records"),
        (
            VAULT,
            "key = \"loans\", ",
            "",
            "missing keys.vault.key (the name of the key in the transit engine)",
        ),
        (VAULT, "https://vault", "http://vault", "keys and tokens would go in the clear"),
        (VAULT, "\"loans\"", "\"../sys/seal\"", "write letters, digits, '.', '_' and '-'"),
        (VAULT, "\"loans\"", "\"loans/x\"", "write letters, digits, '.', '_' and '-'"),
        (VAULT, "\"loans\"", "\"loans\", mount = \"../sys\"", "write a path of letters"),
        (VAULT, "\"loans\"", "\"loans\", mount = \"\"", "write a path of letters"),
        (VAULT, "\"loans\"", "\"loans\", namespace = \"a b\"", "write a path of letters"),
        (
            VAULT,
            ", token_file = \"token\"",
            "",
            "neither keys.vault.token_file nor keys.vault.token_variable is set",
        ),
        (VAULT, "token_file", "token_variable = \"T\", token_file", "are both set: set one of them"),
        (VAULT, "token_file", "token", "unknown key \"keys.vault.token\""),
        (VAULT, "loans-2026", "Loans 2026", "keys.id = \"Loans 2026\": write 1 to 64 characters"),
        (VAULT, "provider", "timeout = \"0s\"\nprovider", "keys.timeout = \"0s\": write a duration"),
        (TOKEN, "\"k\"", "\"k\", sessions = 65", "write a number from 1 to 64"),
        (TOKEN, "\"k\"", "\"\"", "write a label of 1 to 32 bytes"),
        (KMS, "alias/loans", "alias/\\\"", "write an ARN, a key id or an alias"),
        (KMS, "eu-central-1", "eu.example.com/", "write a region such as eu-central-1"),
        (KMS, "\"alias/loans\"", "\"alias/loans\", endpoint = \"http://10.0.0.1/\"", "in the clear"),
    ] {
        assert!(keys.contains(from), "{from}");
        let refusal = with_keys(&keys.replacen(from, to, 1)).refusal();
        assert!(refusal.contains(expected), "{to}: {refusal}");
    }
}

#[test]
fn earlier_keys_take_what_the_key_in_force_takes() {
    let earlier =
        |keys: &str| format!("file = \"records.key\"\n[[keys.previous]]\n{keys}[[keys.previous]]{TOKEN}");
    let written = with_keys(&earlier(VAULT));
    let config = written.load();
    let kinds: Vec<_> = config.keys.previous.iter().map(|provider| provider.kind()).collect();
    assert_eq!((config.keys.current.kind(), kinds), ("file", vec!["vault", "pkcs11"]));
    assert_ne!(config.digest, Written::new(GOOD).load().digest);
    let explained = Config::explain(&written.inputs).unwrap().to_string();
    assert!(
        explained.contains("keys.previous \"2\"") && explained.contains("\"keys.pkcs11.token\":\"t\""),
        "{explained}"
    );
    let refusal = with_keys(&earlier(&VAULT.replace("address", "adress"))).refusal();
    assert!(
        refusal.contains("line 16: unknown key \"keys.vault.adress\"; did you mean \"keys.vault.address\"?"),
        "{refusal}"
    );
    let refusal = with_keys(&earlier(&VAULT.replace("id = \"loans-2026\"", ""))).refusal();
    assert!(refusal.starts_with("missing keys.id"), "{refusal}");
    let refusal = with_keys("file = \"records.key\"\nprevious = [\"old.key\"]").refusal();
    assert!(refusal.contains("unknown key \"keys.previous\""), "{refusal}");
}
