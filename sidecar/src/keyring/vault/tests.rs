use super::*;

fn answer(status: u16, body: &str) -> Answer {
    Answer { status: StatusCode::from_u16(status).unwrap(), retry_after: None, body: body.to_owned().into() }
}

/// A ciphertext of version `version` with `length` bytes.
fn ciphertext(version: &str, length: usize) -> String {
    format!("vault:v{version}:{}", base64_encode(&vec![7; length]))
}

#[test]
fn takes_the_ciphertext_and_the_key_of_an_answer() {
    let text = ciphertext("12", 60);
    let body =
        format!(r#"{{"request_id":"x","data":{{"ciphertext":"{text}","key_version":12}},"warnings":null}}"#);
    assert_eq!(encrypted(&answer(200, &body)), Ok(text));
    let plaintext = base64_encode(&[9; KEY_BYTES]);
    let key = decrypted(&answer(200, &format!(r#"{{"data":{{"plaintext":"{plaintext}"}}}}"#))).unwrap();
    assert_eq!(key.expose(), &[9; KEY_BYTES]);
    // The same text with every character escaped, as JSON allows.
    let escaped: String = plaintext.bytes().map(|c| format!("\\u{c:04x}")).collect();
    let key = decrypted(&answer(200, &format!(r#"{{"data":{{"plaintext":"{escaped}"}}}}"#))).unwrap();
    assert_eq!(key.expose(), &[9; KEY_BYTES]);
}

#[test]
fn refuses_answers_that_are_not_what_the_interface_describes() {
    let texts = [
        String::new(),
        "vault:v1:".into(),
        ciphertext("0", 60),
        ciphertext("", 60),
        ciphertext("-1", 60),
        ciphertext("+1", 60),
        ciphertext("4294967296", 60),
        ciphertext("1", KEY_BYTES + OVERHEAD_BYTES_MIN - 1),
        ciphertext("1", 1024),
        ciphertext("1", 60).replace("vault:v", "vaultv"),
        format!("{}=", ciphertext("1", 60)),
        format!(" {}", ciphertext("1", 60)),
        format!("{}\\n", ciphertext("1", 60)),
    ];
    for text in &texts {
        let ended = encrypted(&answer(200, &format!(r#"{{"data":{{"ciphertext":"{text}"}}}}"#)));
        assert!(matches!(ended, Err(Fault::Malformed { .. })), "{text}: {ended:?}");
    }
    let [short, long, good] = [31, 33, 32].map(|length| base64_encode(&vec![1; length]));
    for text in ["", "=", &short, &long, &format!("{good} "), &good[1..]] {
        let ended = decrypted(&answer(200, &format!(r#"{{"data":{{"plaintext":"{text}"}}}}"#)));
        assert!(matches!(ended, Err(Fault::Malformed { .. })), "{text}");
    }
    for body in [
        "",
        "null",
        "[]",
        "{}",
        "<html>",
        r#"{"data":null}"#,
        r#"{"data":{}}"#,
        r#"{"data":{"ciphertext":1,"plaintext":[]}}"#,
    ] {
        assert!(matches!(encrypted(&answer(200, body)), Err(Fault::Malformed { .. })), "{body}");
        assert!(matches!(decrypted(&answer(200, body)), Err(Fault::Malformed { .. })), "{body}");
    }
}

#[test]
fn says_what_each_refusal_asks_for() {
    let errors = |text: &str| format!(r#"{{"errors":["{text}"]}}"#);
    let cases = [
        (503, errors("Vault is sealed"), Fault::Sealed),
        (503, errors("OpenBao is sealed"), Fault::Sealed),
        (
            503,
            errors("local node not active"),
            Fault::Failed { status: 503, said: "local node not active".into() },
        ),
        (500, String::new(), Fault::Failed { status: 500, said: String::new() }),
        (412, "{}".into(), Fault::Failed { status: 412, said: "{}".into() }),
        (429, errors("request path: quota"), Fault::Throttled { said: "request path: quota".into() }),
        (403, errors("permission denied"), Fault::Denied { said: "permission denied".into() }),
        (404, errors("no handler"), Fault::NoKey { said: "no handler".into() }),
        (404, r#"{"errors":[]}"#.into(), Fault::NoKey { said: "no reason given".into() }),
        (400, errors("encryption key not found"), Fault::NoKey { said: "encryption key not found".into() }),
        (418, "\u{1b}[31m\r\n<b>".into(), Fault::Rejected { status: 418, said: "[31m  <b>".into() }),
    ];
    for (status, body, expected) in cases {
        assert_eq!(encrypted(&answer(status, &body)), Err(expected.clone()), "{status} {body}");
        assert_eq!(decrypted(&answer(status, &body)).unwrap_err(), expected, "{status} {body}");
    }
    assert!(matches!(encrypted(&answer(307, "")), Err(Fault::Http(_))));
}

#[test]
fn tells_a_changed_ciphertext_from_an_ill_server() {
    let decrypt = |text: &str| decrypted(&answer(400, &format!(r#"{{"errors":["{text}"]}}"#))).unwrap_err();
    for text in ["cipher: message authentication failed", "invalid ciphertext: could not decode base64"] {
        assert_eq!(decrypt(text), Fault::NotWrapped);
    }
    // A server restored from before a rotation: the ciphertext is well.
    for text in
        ["invalid ciphertext: version is too new", "ciphertext version is disallowed by policy (too old)"]
    {
        assert!(matches!(decrypt(text), Fault::Rejected { .. }), "{text}");
    }
}

#[test]
fn a_body_has_nothing_that_json_would_escape() {
    let access = Access {
        address: Address::parse("http://127.0.0.1:1").unwrap(),
        mount: "transit".into(),
        key: "k".into(),
        namespace: None,
        token: SecretSource::Variable("NONE".into()),
        bound: base64_encode(&bound(&KeyId::new("loans-1").unwrap())),
    };
    let body = access.body("plaintext", &base64_encode(&[255; 32]));
    let json: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(json["plaintext"], base64_encode(&[255; 32]));
    let bound = base64_decode(json["associated_data"].as_str().unwrap()).unwrap();
    assert_eq!(bound, b"ledgerstone/record-key/v1\nloans-1");
}
