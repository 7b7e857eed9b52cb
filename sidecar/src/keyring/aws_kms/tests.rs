use super::*;

const ARN: &str = "arn:aws:kms:eu-central-1:123456789012:key/e2d8fe1e-768f-4fba-afd4-b30939b86be2";
const ID: &str = "e2d8fe1e-768f-4fba-afd4-b30939b86be2";

fn answer(status: u16, body: &str) -> Answer {
    Answer {
        status: http::StatusCode::from_u16(status).unwrap(),
        retry_after: None,
        body: body.to_owned().into(),
    }
}

fn encrypted_as(key: &str, length: usize) -> Answer {
    let blob = base64_encode(&vec![3; length]);
    answer(
        200,
        &format!(
            r#"{{"CiphertextBlob":"{blob}","KeyId":"{key}","EncryptionAlgorithm":"SYMMETRIC_DEFAULT"}}"#
        ),
    )
}

fn decrypted_as(key: &str, length: usize) -> Answer {
    let plaintext = base64_encode(&vec![9; length]);
    answer(
        200,
        &format!(
            r#"{{"KeyId":"{key}","Plaintext":"{plaintext}","EncryptionAlgorithm":"SYMMETRIC_DEFAULT"}}"#
        ),
    )
}

#[test]
fn takes_answers_about_the_key_that_was_named() {
    for wanted in [ARN, ID, "alias/loans", "arn:aws:kms:eu-central-1:123456789012:alias/loans"] {
        assert_eq!(encrypted(&encrypted_as(ARN, 184), wanted), Ok(vec![3; 184]));
        assert_eq!(decrypted(&decrypted_as(ARN, 32), wanted).unwrap().expose(), &[9; 32]);
    }
}

#[test]
fn refuses_answers_about_another_key() {
    let other = ARN.replace("e2d8", "e2d9");
    for wanted in [ARN, ID] {
        assert!(matches!(encrypted(&encrypted_as(&other, 184), wanted), Err(Fault::Malformed { .. })));
        assert!(matches!(decrypted(&decrypted_as(&other, 32), wanted), Err(Fault::Malformed { .. })));
    }
}

#[test]
fn refuses_answers_that_are_not_what_the_interface_describes() {
    for length in [0, 1, 32, WRAPPED_KEY_BYTES_MAX + 1] {
        let ended = encrypted(&encrypted_as(ARN, length), ARN);
        assert!(matches!(ended, Err(Fault::Malformed { .. })), "{length}: {ended:?}");
    }
    for length in [0, 31, 33] {
        assert!(
            matches!(decrypted(&decrypted_as(ARN, length), ARN), Err(Fault::Malformed { .. })),
            "{length}"
        );
    }
    for body in
        ["", "{}", "[]", "null", "<xml/>", r#"{"KeyId":1}"#, r#"{"Plaintext":null,"CiphertextBlob":{}}"#]
    {
        assert!(matches!(encrypted(&answer(200, body), ARN), Err(Fault::Malformed { .. })), "{body}");
        assert!(matches!(decrypted(&answer(200, body), ARN), Err(Fault::Malformed { .. })), "{body}");
    }
}

#[test]
fn says_what_each_refusal_asks_for() {
    let refused = |status, kind: &str| {
        let body = format!(r#"{{"__type":"{kind}","message":"why"}}"#);
        encrypted(&answer(status, &body), ARN).unwrap_err()
    };
    assert!(matches!(refused(400, "ThrottlingException"), Fault::Throttled { .. }));
    assert!(matches!(refused(400, "com.amazonaws.kms#ThrottlingException"), Fault::Throttled { .. }));
    assert!(matches!(refused(400, "NotFoundException"), Fault::NoKey { .. }));
    assert!(matches!(refused(400, "DisabledException"), Fault::NoKey { .. }));
    assert!(matches!(refused(403, "AccessDeniedException"), Fault::Denied { .. }));
    assert!(matches!(refused(400, "ExpiredTokenException"), Fault::Denied { .. }));
    assert!(matches!(refused(400, "InvalidCiphertextException"), Fault::NotWrapped));
    assert!(matches!(refused(500, "KMSInternalException"), Fault::Failed { .. }));
    assert!(matches!(refused(503, "SomethingNew"), Fault::Failed { .. }));
    assert!(matches!(refused(400, "SomethingNew"), Fault::Rejected { .. }));
    assert!(matches!(encrypted(&answer(502, "<html>"), ARN), Err(Fault::Failed { .. })));
    assert!(matches!(encrypted(&answer(400, "no"), ARN), Err(Fault::Rejected { .. })));
    let Fault::NoKey { said } = refused(400, "NotFoundException") else { panic!("it is NoKey") };
    assert_eq!(said, "NotFoundException: why");
}

#[test]
fn a_body_is_json_with_key_and_context() {
    let config = AwsKmsConfig {
        id: KeyId::new("loans-1").unwrap(),
        key: ARN.into(),
        region: "eu-central-1".into(),
        endpoint: Address::parse("http://127.0.0.1:1/").unwrap(),
        sts_endpoint: Address::parse("http://127.0.0.1:1/").unwrap(),
        ca_file: "/none".into(),
        timeout: std::time::Duration::from_secs(1),
    };
    let provider = AwsKmsProvider::with_environment(&config, Arc::new(|_| 0), Arc::new(|_| None)).unwrap();
    let json: serde_json::Value = serde_json::from_str(&provider.body("Plaintext", "AAAA")).unwrap();
    let context = serde_json::json!({"ledgerstone": "record-key/v1", "ledgerstone-key-id": "loans-1"});
    assert_eq!(json, serde_json::json!({"KeyId": ARN, "Plaintext": "AAAA", "EncryptionContext": context}));
}
