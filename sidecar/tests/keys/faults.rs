//! Services that lie, stall, flood and go away.

use std::time::{Duration, Instant};

use ledgerstone::code::Code;
use ledgerstone::encoding::base64_encode;
use ledgerstone_sidecar::keyring::remote::ATTEMPTS_MAX;
use ledgerstone_sidecar::keyring::{Configured, Fault, KeyProvider, KeyringError, WrappedKey, open};

use crate::aws_kms::provider;
use crate::fake::{Fake, Reply};
use crate::tools::{config, id, key, secret};

const KMS_KEY: &str = "arn:aws:kms:eu-central-1:123456789012:key/e2d8fe1e-768f-4fba-afd4-b30939b86be2";

/// A Vault provider that asks `fake`.
fn vault(fake: &Fake, folder: &std::path::Path, more: &str) -> std::sync::Arc<Configured> {
    let token = folder.join("token");
    secret(&token, "hvs.secret-token");
    let (address, timeout) = (fake.url(), "\"700ms\"");
    let keys = format!(
        "provider = \"vault\"\nid = \"vault-1\"\ntimeout = {timeout}\nvault = {{ address = {address:?}, key = \"records\", token_file = {token:?}{more} }}\n"
    );
    open(&config(&keys)).unwrap()
}

/// An AWS KMS provider that asks `fake`.
fn kms(fake: &Fake) -> impl KeyProvider {
    let endpoint = fake.url();
    let keys = format!(
        "provider = \"aws-kms\"\nid = \"kms-1\"\ntimeout = \"700ms\"\naws_kms = {{ key = \"{KMS_KEY}\", region = \"eu-central-1\", endpoint = {endpoint:?} }}\n"
    );
    let environment =
        vec![("AWS_ACCESS_KEY_ID", "AKID".to_owned()), ("AWS_SECRET_ACCESS_KEY", "s".to_owned())];
    provider(&keys, environment)
}

fn ciphertext() -> String {
    format!(r#"{{"data":{{"ciphertext":"vault:v1:{}"}}}}"#, base64_encode(&[7; 60]))
}

fn blob(key: &str) -> String {
    format!(r#"{{"CiphertextBlob":"{}","KeyId":"{key}"}}"#, base64_encode(&[7; 100]))
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_of_any_kind_is_refused_in_time() {
    let folder = tempfile::tempdir().unwrap();
    type Answer = fn() -> Reply;
    let garbage: [(&str, Answer, Code); 8] = [
        ("no HTTP", || Reply::Bytes(vec![0xff; 300]), Code::Unavailable),
        ("closed", || Reply::Close, Code::Unavailable),
        ("silent", || Reply::Nothing, Code::Unavailable),
        ("half", || Reply::Half, Code::Unavailable),
        ("100 MB", || Reply::Flood(100 << 20), Code::Limit),
        ("no JSON", || Reply::ok("<html>hello</html>"), Code::Malformed),
        ("other JSON", || Reply::ok(r#"{"data":{"keys":[1,2,3]}}"#), Code::Malformed),
        (
            "elsewhere",
            || {
                Reply::Bytes(
                    b"HTTP/1.1 307 X\r\nLocation: http://10.0.0.1/\r\nContent-Length: 0\r\n\r\n".to_vec(),
                )
            },
            Code::Misuse,
        ),
    ];
    for (what, answer, code) in garbage {
        let fake = Fake::serve(move |_, _| answer()).await;
        let providers: [&dyn KeyProvider; 2] = [&*vault(&fake, folder.path(), ""), &kms(&fake)];
        for provider in providers {
            let started = Instant::now();
            let error = provider.wrap(&key(1)).unwrap_err();
            assert!(started.elapsed() < Duration::from_secs(2), "{what}: {:?}", started.elapsed());
            let is_redirect_of_kms = what == "elsewhere" && provider.key_id() == &id("kms-1");
            assert!(error.code() == code || is_redirect_of_kms, "{what}: {error}");
            assert!(error.is_of_provider() && !error.to_string().contains("secret-token"), "{what}: {error}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_throttled_call_is_made_again_a_bounded_number_of_times() {
    let folder = tempfile::tempdir().unwrap();
    let twice = Fake::serve(|n, _| match n {
        0 | 1 => Reply::status(429, r#"{"errors":["quota"]}"#),
        _ => Reply::ok(&ciphertext()),
    })
    .await;
    assert!(vault(&twice, folder.path(), "").wrap(&key(1)).is_ok());
    assert_eq!(twice.count(), 3);
    let twice = Fake::serve(|n, _| match n {
        0 | 1 => Reply::status(400, r#"{"__type":"ThrottlingException","message":"Rate exceeded"}"#),
        _ => Reply::ok(&blob(KMS_KEY)),
    })
    .await;
    assert!(kms(&twice).wrap(&key(1)).is_ok());
    assert_eq!(twice.count(), 3);
    let always = Fake::serve(|_, _| {
        Reply::status(400, r#"{"__type":"ThrottlingException","message":"Rate exceeded"}"#)
    })
    .await;
    let error = kms(&always).wrap(&key(1)).unwrap_err();
    assert!(matches!(&error, KeyringError::Unavailable { fault: Fault::Throttled { .. }, .. }), "{error}");
    assert_eq!(always.count(), ATTEMPTS_MAX as usize);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_asks_for_a_person_is_not_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    for (status, errors) in
        [(403, "permission denied"), (404, "no handler"), (503, "Vault is sealed"), (400, "x")]
    {
        let fake =
            Fake::serve(move |_, _| Reply::status(status, &format!(r#"{{"errors":["{errors}"]}}"#))).await;
        assert!(vault(&fake, folder.path(), "").wrap(&key(1)).is_err());
        assert_eq!(fake.count(), 1, "{status}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_about_another_key_is_refused() {
    let other = KMS_KEY.replace("e2d8", "e2d9");
    let fake = Fake::serve(move |_, _| Reply::ok(&blob(&other))).await;
    let error = kms(&fake).wrap(&key(1)).unwrap_err();
    assert!(error.to_string().contains("another key than the one that was named"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_names_namespace_key_and_binding_and_its_token_alone() {
    let folder = tempfile::tempdir().unwrap();
    let fake = Fake::serve(|_, _| Reply::ok(&ciphertext())).await;
    let keys = vault(&fake, folder.path(), ", namespace = \"bank/loans\", mount = \"keys/transit\"");
    keys.wrap(&key(1)).unwrap();
    let request = fake.requests().remove(0);
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("POST /v1/keys/transit/encrypt/records HTTP/1.1\r\n"), "{head}");
    let head = head.to_ascii_lowercase();
    assert!(
        head.contains("x-vault-namespace: bank/loans") && head.contains("x-vault-token: hvs.secret-token")
    );
    let bound = base64_encode(b"ledgerstone/record-key/v1\nvault-1");
    assert!(body.contains(&bound) && body.contains(&base64_encode(key(1).expose())), "{body}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_request_names_its_region_service_and_action() {
    let fake = Fake::serve(|_, _| Reply::ok(&blob(KMS_KEY))).await;
    kms(&fake).wrap(&key(1)).unwrap();
    let head = fake.requests().remove(0).to_ascii_lowercase();
    assert!(head.contains("x-amz-target: trentservice.encrypt"), "{head}");
    assert!(head.contains("/eu-central-1/kms/aws4_request"), "{head}");
    assert!(head.contains("signedheaders=content-type;host;x-amz-date;x-amz-target"), "{head}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_asked_about_what_was_never_wrapped_here() {
    let folder = tempfile::tempdir().unwrap();
    let fake = Fake::serve(|_, _| Reply::Close).await;
    let keys = vault(&fake, folder.path(), "");
    for bytes in [b"vault:v1:".to_vec(), vec![0xff; 60], b"vault:v1:QUFB\",\"context\":\"".to_vec()] {
        let error = keys.unwrap(&id("vault-1"), &WrappedKey::new(bytes).unwrap()).unwrap_err();
        assert_eq!(error, KeyringError::BadWrappedKey);
    }
    assert!(keys.unwrap(&id("other"), &WrappedKey::new(vec![1; 60]).unwrap()).is_err());
    assert_eq!(fake.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_service_holds_up_no_other_work() {
    let folder = tempfile::tempdir().unwrap();
    let fake = Fake::serve(|_, _| Reply::Nothing).await;
    let keys = vault(&fake, folder.path(), "");
    // As many calls as there are threads, from tasks that serve.
    let calls: Vec<_> = (0..8)
        .map(|_| {
            let keys = keys.clone();
            tokio::spawn(async move { keys.wrap(&key(1)).unwrap_err().code() })
        })
        .collect();
    let started = Instant::now();
    tokio::spawn(async {}).await.unwrap();
    assert!(started.elapsed() < Duration::from_millis(400), "{:?}", started.elapsed());
    for call in calls {
        assert_eq!(call.await.unwrap(), Code::Unavailable);
    }
}
