//! Secrets are planted, and then searched for in everything that the sidecar says.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use ledgerstone::encoding::{base64_decode, base64_encode, hex_encode};

use crate::fake::{Fake, Reply};
use crate::support::{Sidecar, http_get, request, serve_doubler};

const TOKEN: &str = "hvs.planted-token-of-a-vault-4711";
const PIN: &str = "planted-pin-8150";
const AWS: &str = "planted-aws-secret-access-key-0815";

/// A secret as it may be printed.
fn spellings(secret: &[u8]) -> Vec<String> {
    let debug = format!("{secret:?}");
    let mut all = vec![hex_encode(secret), base64_encode(secret), debug.trim_matches(['[', ']']).to_owned()];
    all.extend(String::from_utf8(secret.to_vec()));
    all
}

/// The secret bytes of the files that `init` drew.
fn drawn(sidecar: &Sidecar) -> Vec<Vec<u8>> {
    let mut secrets = Vec::new();
    for name in ["log.key", "kek.key"] {
        for line in fs::read_to_string(sidecar.folder.join(name)).unwrap().lines() {
            // The log's keys: PRIVATE+KEY+name+id+base64, whose base64 may have a '+' in it.
            let of_log = line.strip_prefix("PRIVATE+KEY+").map(|rest| rest.splitn(3, '+').nth(2).unwrap());
            let encoded = of_log.unwrap_or_else(|| line.rsplit(' ').next().unwrap());
            let bytes = base64_decode(encoded).unwrap();
            secrets.push(bytes[bytes.len() - 32..].to_vec());
        }
    }
    secrets
}

#[tokio::test(flavor = "multi_thread")]
async fn no_planted_secret_stands_in_a_log_line_a_metric_a_message_or_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let sidecar = Sidecar::init(folder.path(), serve_doubler().await);
    let token = folder.path().join("token");
    fs::write(&token, TOKEN).unwrap();
    fs::set_permissions(&token, fs::Permissions::from_mode(0o600)).unwrap();
    // Each fails in a way of its own, and each failure is told.
    let vault = Fake::serve(|n, _| match n % 3 {
        0 => Reply::status(403, r#"{"errors":["permission denied"]}"#),
        1 => Reply::Close,
        _ => Reply::ok("{}"),
    })
    .await;
    let earlier = format!(
        "[[keys.previous]]\nprovider = \"vault\"\nid = \"v\"\ntimeout = \"2s\"\nvault = {{ address = \"{}\", key = \"k\", token_file = \"token\" }}\n\
         [[keys.previous]]\nprovider = \"pkcs11\"\nid = \"h\"\npkcs11 = {{ module = \"/nonexistent/module.so\", token = \"t\", key = \"k\", pin_variable = \"PLANTED_PIN\" }}\n\
         [[keys.previous]]\nprovider = \"aws-kms\"\nid = \"a\"\ntimeout = \"2s\"\naws_kms = {{ key = \"alias/k\", region = \"eu-central-1\", endpoint = \"{}\", ca_file = \"{}\" }}\n",
        vault.url(),
        vault.url(),
        concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/golden/authority-root.pem")
    );
    let text = fs::read_to_string(sidecar.config()).unwrap();
    fs::write(sidecar.config(), format!("{text}\n{earlier}")).unwrap();
    let planted = |mut command: Command| {
        command.args(["--log-filter", "trace"]);
        command
            .env("PLANTED_PIN", PIN)
            .env("AWS_ACCESS_KEY_ID", "AKIAPLANTED")
            .env("AWS_SECRET_ACCESS_KEY", AWS);
        command
    };
    let mut secrets: Vec<String> =
        [TOKEN, PIN, AWS].iter().flat_map(|secret| spellings(secret.as_bytes())).collect();
    secrets.extend(drawn(&sidecar).iter().flat_map(|secret| spellings(secret)));
    assert_eq!(drawn(&sidecar).len(), 3, "two keys of the log and one that wraps");
    let search = |what: &str, said: &[u8]| {
        let said = String::from_utf8_lossy(said);
        for secret in &secrets {
            assert!(!said.contains(secret.as_str()), "a secret stands in {what}");
        }
    };

    let mut running = sidecar.start_as(planted(sidecar.command("run")));
    let mut client = sidecar.client().await;
    for _ in 0..5 {
        client.model_infer(request("r", 2.0)).await.unwrap();
    }
    for path in ["/metrics", "/hardening", "/models", "/anchors", "/ready", "/live"] {
        search(path, &http_get(sidecar.admin, path).await.unwrap().1);
    }
    search("its arguments", &fs::read(format!("/proc/{}/cmdline", running.id())).unwrap());
    assert!(running.stop().success());
    let lines = sidecar.log_lines();
    assert!(lines.len() > 1000, "the filter lets everything through");
    search("the log lines", lines.as_bytes());

    for arguments in [
        vec!["keys", "check"],
        vec!["config", "explain"],
        vec!["keyring", "status"],
        vec!["hardening"],
        vec!["keys", "create"],
    ] {
        let mut command = planted(sidecar.command(arguments[0]));
        command.args(&arguments[1..]);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let said = [output.stdout, output.stderr].concat();
        assert!(!said.is_empty(), "{arguments:?}");
        search(&format!("{arguments:?}"), &said);
    }
    assert!(vault.requests().iter().any(|asked| asked.contains(TOKEN)), "the token was used");

    // A secret where a path or an address belongs is not repeated either.
    for flag in
        [format!("upstream.address=https://u:{PIN}@h"), format!("keys.vault.address=https://{TOKEN}@h")]
    {
        let mut command = sidecar.command("config");
        let output = command.args(["explain", "--set", &flag]).output().unwrap();
        search(&flag[..16], &[output.stdout, output.stderr].concat());
    }
}

#[test]
fn a_secret_is_no_argument() {
    let folder = tempfile::tempdir().unwrap();
    let sidecar = Sidecar::init(folder.path(), ([127, 0, 0, 1], 9).into());
    // There is no key that takes one: what holds a secret is named, by its file or its variable.
    for flag in
        ["keys.vault.token=x", "keys.pkcs11.pin=x", "keys.key=x", "log.key=x", "keys.aws_kms.secret=x"]
    {
        let output = sidecar.command("config").args(["explain", "--set", flag]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(64), "{said}");
        assert!(said.contains("unknown key"), "{said}");
    }
}
