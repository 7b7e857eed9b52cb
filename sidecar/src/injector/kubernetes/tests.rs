use std::io::Write as _;

use super::*;

#[test]
fn the_secret_keeps_what_else_it_has_and_its_version() {
    let object = json!({
        "kind": "Secret", "metadata": {"name": "tls", "resourceVersion": "7", "labels": {"a": "b"}},
        "data": {"tls.crt": STANDARD.encode("old"), "state.json": "***", "other": "eA=="},
    });
    let read = Secret::read(object).unwrap();
    assert_eq!((read.files.certificate.as_str(), read.files.state.as_str()), ("old", ""));
    let files = Files { certificate: "new".into(), ..Files::default() };
    let written = read.with(&files);
    assert_eq!(written["metadata"]["resourceVersion"], "7", "two that write at the same time are told apart");
    assert_eq!(written["metadata"]["labels"]["a"], "b");
    assert_eq!(written["data"]["tls.crt"], STANDARD.encode("new"));
    for nothing in [json!(null), json!([]), json!("x")] {
        assert!(matches!(Secret::read(nothing), Err(ClusterError::Answer)));
    }
    assert!(Secret::read(json!({})).unwrap().files.state.is_empty(), "the chart's Secret has no data yet");
}

#[test]
fn every_webhook_of_the_configuration_is_told() {
    let mut object = json!({"metadata": {"resourceVersion": "7"}, "webhooks": [
        {"name": "a", "clientConfig": {"service": {"name": "x"}}},
        {"name": "b", "clientConfig": {"url": "https://x", "caBundle": "b2xk"}},
    ]});
    assert!(trust(&mut object, "PEM").unwrap());
    for webhook in object["webhooks"].as_array().unwrap() {
        assert_eq!(webhook["clientConfig"]["caBundle"], STANDARD.encode("PEM"));
    }
    assert_eq!(object["webhooks"][0]["clientConfig"]["service"]["name"], "x");
    assert!(!trust(&mut object, "PEM").unwrap(), "told once");
    for nothing in [json!({}), json!({"webhooks": 1}), json!({"webhooks": [{}]})] {
        let mut nothing = nothing;
        assert!(matches!(trust(&mut nothing, "PEM"), Err(ClusterError::Answer)));
    }
}

#[test]
fn tokens_are_read_each_time_and_never_printed() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(file, "first").unwrap();
    let header = token(file.path()).unwrap();
    assert_eq!(header, "Bearer first");
    assert!(!format!("{header:?}").contains("first"));
    std::fs::write(file.path(), "second\n").unwrap();
    assert_eq!(token(file.path()).unwrap(), "Bearer second");
    std::fs::write(file.path(), b"a\x00b").unwrap();
    assert!(matches!(token(file.path()), Err(ClusterError::Token { .. })));
    assert!(matches!(token(Path::new("/nonexistent/token")), Err(ClusterError::Token { .. })));
}
