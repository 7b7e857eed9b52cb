//! AWS KMS as moto implements it: each request's signature is computed again by botocore.

use std::path::Path;
use std::sync::Arc;

use ledgerstone::encoding::base64_encode;
use ledgerstone_sidecar::config::keys::ProviderConfig;
use ledgerstone_sidecar::keyring::aws_kms::AwsKmsProvider;
use ledgerstone_sidecar::keyring::{
    Created, Fault, KeyProvider as _, KeyringError, Provider as _, WrappedKey,
};
use serde_json::json;

use crate::fake::{Fake, Reply};
use crate::tools::{Kms, config, id, key, secret};

/// The provider of `keys` in an environment of its own.
pub(crate) fn provider(keys: &str, environment: Vec<(&'static str, String)>) -> AwsKmsProvider {
    let ProviderConfig::AwsKms(config) = config(keys).current else { panic!("it is AWS KMS") };
    let lookup = move |name: &str| {
        let found = environment.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| value.clone())
    };
    AwsKmsProvider::with_environment(&config, Arc::new(|_| 0), Arc::new(lookup)).unwrap()
}

fn user(kms: &Kms) -> Vec<(&'static str, String)> {
    vec![
        ("AWS_ACCESS_KEY_ID", kms.text("access_key_id")),
        ("AWS_SECRET_ACCESS_KEY", kms.text("secret_access_key")),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn boto3_decrypts_what_was_wrapped_and_only_with_its_context() {
    let Some(mut kms) = Kms::start("AWS KMS") else { return };
    let keys = provider(&kms.keys("kms-1", &kms.text("key")), user(&kms));
    let wrapped = keys.wrap(&key(5)).unwrap();
    assert_eq!(keys.unwrap(&id("kms-1"), &wrapped).unwrap().expose(), key(5).expose());
    let blob = base64_encode(wrapped.as_bytes());
    let context = json!({"ledgerstone": "record-key/v1", "ledgerstone-key-id": "kms-1"});
    let answer = kms.ask(&json!({"do": "decrypt", "blob": blob, "context": context}));
    assert_eq!(answer["plaintext"], base64_encode(key(5).expose()), "{answer}");
    let answer = kms.ask(&json!({"do": "decrypt", "blob": blob, "context": {}}));
    assert!(answer["error"].as_str().is_some(), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrapped_key_unwraps_only_unchanged_and_under_its_name() {
    let Some(kms) = Kms::start("AWS KMS") else { return };
    let keys = provider(&kms.keys("kms-1", &kms.text("key_id")), user(&kms));
    let wrapped = keys.wrap(&key(5)).unwrap();
    let last = wrapped.as_bytes().len() - 1;
    for at in [0, last / 2, last] {
        let mut bytes = wrapped.as_bytes().to_vec();
        bytes[at] ^= 1;
        assert!(keys.unwrap(&id("kms-1"), &WrappedKey::new(bytes).unwrap()).is_err(), "byte {at}");
    }
    let renamed = provider(&kms.keys("kms-2", &kms.text("key_id")), user(&kms));
    assert_eq!(renamed.unwrap(&id("kms-2"), &wrapped).unwrap_err(), KeyringError::BadWrappedKey);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_signature_is_denied_and_no_message_shows_a_secret() {
    let Some(kms) = Kms::start("AWS KMS") else { return };
    let mut wrong = user(&kms);
    wrong[1].1 = "q".repeat(40);
    let error = provider(&kms.keys("kms-1", &kms.text("key")), wrong).wrap(&key(5)).unwrap_err();
    assert!(matches!(error, KeyringError::Refused { fault: Fault::Denied { .. }, .. }), "{error}");
    assert!(!error.to_string().contains("qqqq"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_is_assumed_with_the_token_of_the_workload() {
    let Some(mut kms) = Kms::start("AWS STS") else { return };
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    // A pod's token is mounted readable for all of its container.
    std::fs::write(&token, "eyJhbGciOiJub25lIn0.eyJzdWIiOiJzaWRlY2FyIn0.").unwrap();
    let environment = vec![
        ("AWS_WEB_IDENTITY_TOKEN_FILE", token.display().to_string()),
        ("AWS_ROLE_ARN", kms.text("role")),
    ];
    let keys = provider(&kms.keys("kms-1", &kms.text("key")), environment);
    kms.ask(&json!({"do": "unsigned"}));
    let wrapped = keys.wrap(&key(5)).unwrap();
    assert_eq!(keys.unwrap(&id("kms-1"), &wrapped).unwrap().expose(), key(5).expose());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_made_once_and_with_its_alias() {
    let Some(kms) = Kms::start("AWS KMS") else { return };
    let keys = provider(&kms.keys("kms-1", "alias/loans"), user(&kms));
    let error = keys.wrap(&key(1)).unwrap_err();
    assert!(matches!(error, KeyringError::Refused { fault: Fault::NoKey { .. }, .. }), "{error}");
    assert_eq!(keys.create(), Ok(Created::Made));
    assert_eq!(keys.create(), Ok(Created::Found));
    let wrapped = keys.wrap(&key(1)).unwrap();
    assert!(keys.unwrap(&id("kms-1"), &wrapped).is_ok());
    let absent = provider(&kms.keys("kms-1", "0f8f4d3a-768f-4fba-afd4-b30939b86be2"), user(&kms));
    assert!(absent.create().unwrap_err().to_string().contains("AWS chooses ids"));
}

/// What a machine's metadata service says, as its documentation shows it, with the keys of `kms`.
fn role(kms: &Kms, ends: &str) -> String {
    json!({
        "Code": "Success",
        "Type": "AWS-HMAC",
        "AccessKeyId": kms.text("access_key_id"),
        "SecretAccessKey": kms.text("secret_access_key"),
        "Expiration": ends,
    })
    .to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_roles_of_machine_and_container_are_asked_for_and_kept_until_they_end() {
    let Some(kms) = Kms::start("AWS KMS") else { return };
    let keep = role(&kms, "2099-01-01T00:00:00Z");
    let machine = Fake::serve(move |_, request| {
        let first = request.lines().next().unwrap_or_default().to_owned();
        let has_token = request.to_ascii_lowercase().contains("x-aws-ec2-metadata-token: t0ken");
        match first.as_str() {
            "PUT /latest/api/token HTTP/1.1" => Reply::ok("t0ken"),
            "GET /latest/meta-data/iam/security-credentials/ HTTP/1.1" if has_token => Reply::ok("sidecar\n"),
            "GET /latest/meta-data/iam/security-credentials/sidecar HTTP/1.1" if has_token => {
                Reply::ok(&keep)
            }
            _ => Reply::status(401, ""),
        }
    })
    .await;
    let environment = vec![("AWS_EC2_METADATA_SERVICE_ENDPOINT", machine.url())];
    let keys = provider(&kms.keys("kms-1", &kms.text("key")), environment);
    for _ in 0..3 {
        keys.wrap(&key(1)).unwrap();
    }
    assert_eq!(machine.count(), 3, "token, name of the role, credentials; then they are kept");

    let (short, folder) = (role(&kms, "2020-01-01T00:00:00Z"), tempfile::tempdir().unwrap());
    let token = folder.path().join("token");
    secret(&token, "container-token");
    let container = Fake::serve(move |_, request| {
        let authorized = request.to_ascii_lowercase().contains("authorization: container-token");
        if authorized { Reply::ok(&short) } else { Reply::status(401, "") }
    })
    .await;
    let environment = |token: &Path| {
        vec![
            ("AWS_CONTAINER_CREDENTIALS_FULL_URI", format!("{}/role", container.url())),
            ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", token.display().to_string()),
        ]
    };
    let keys = provider(&kms.keys("kms-1", &kms.text("key")), environment(&token));
    for _ in 0..3 {
        keys.wrap(&key(1)).unwrap();
    }
    assert_eq!(container.count(), 3, "credentials that ended are fetched each time");
    let error =
        provider(&kms.keys("kms-1", &kms.text("key")), environment(Path::new("/no/such"))).wrap(&key(1));
    let error = error.unwrap_err().to_string();
    assert!(
        error.contains("AWS credentials cannot be had from the container's role: cannot read /no/such"),
        "{error}"
    );
}
