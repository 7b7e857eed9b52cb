use super::*;

fn answer(body: &str) -> Answer {
    Answer { status: http::StatusCode::OK, retry_after: None, body: body.to_owned().into() }
}

fn chain(variables: &'static [(&str, &str)]) -> Chain {
    let environment: Environment = Arc::new(|name| {
        let found = variables.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| (*value).to_owned())
    });
    let client = Client::new(Duration::from_secs(2), None).unwrap();
    Chain::new(environment, client, Address::parse("http://127.0.0.1:9/").unwrap())
}

#[tokio::test]
async fn takes_keys_of_the_environment_before_every_role() {
    let chain = chain(&[
        ("AWS_ACCESS_KEY_ID", "AKID"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_SESSION_TOKEN", "token"),
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:9/"),
    ]);
    let credentials = chain.credentials().await.unwrap();
    assert_eq!((credentials.access_key_id(), credentials.session_token()), ("AKID", Some("token")));
}

#[tokio::test]
async fn says_that_there_are_none_or_where_they_cannot_be_had() {
    let none = chain(&[("AWS_EC2_METADATA_DISABLED", "true"), ("AWS_ACCESS_KEY_ID", "half a pair")]);
    assert_eq!(none.credentials().await.unwrap_err(), Fault::NoCredentials);
    let absent = chain(&[
        ("AWS_WEB_IDENTITY_TOKEN_FILE", "/no/such/token"),
        ("AWS_ROLE_ARN", "arn:aws:iam::1:role/x"),
    ]);
    let error = absent.credentials().await.unwrap_err();
    assert!(
        error.to_string().starts_with("AWS credentials cannot be had from AWS STS: cannot read /no/such"),
        "{error}"
    );
}

#[tokio::test]
async fn the_token_of_a_container_goes_to_no_other_machine_in_the_clear() {
    let chain = chain(&[("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://metadata.example.com/role")]);
    assert_eq!(chain.credentials().await.unwrap_err(), Fault::NoCredentials);
}

#[test]
fn reads_what_a_role_is_given_and_when_it_ends() {
    let body = r#"{"Code":"Success","AccessKeyId":"ASIA","SecretAccessKey":"s","Token":"t","Expiration":"2026-11-23T08:00:00Z"}"#;
    let credentials = given(&answer(body)).unwrap();
    let ends = credentials.expiry().unwrap().duration_since(std::time::UNIX_EPOCH).unwrap();
    assert_eq!((ends.as_secs(), credentials.session_token()), (1_795_420_800, Some("t")));
    let unsaid = given(&answer(r#"{"AccessKeyId":"ASIA","SecretAccessKey":"s"}"#)).unwrap();
    assert!(unsaid.expiry().is_some(), "what does not say when it ends is fetched again all the same");
    for body in ["", "{}", "[]", r#"{"AccessKeyId":"A"}"#, &body.replace("2026", "soon")] {
        assert!(matches!(given(&answer(body)), Err(Fault::Malformed { .. })), "{body}");
    }
}

#[test]
fn reads_what_sts_gives_and_refuses_everything_else() {
    let body = "<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
        <AssumeRoleWithWebIdentityResult><Credentials><SessionToken>t/+=</SessionToken>\
        <SecretAccessKey>s</SecretAccessKey><Expiration>2026-11-23T08:00:00Z</Expiration>\
        <AccessKeyId>ASIA</AccessKeyId></Credentials></AssumeRoleWithWebIdentityResult>";
    let credentials = assumed(&answer(body)).unwrap();
    assert_eq!((credentials.access_key_id(), credentials.session_token()), ("ASIA", Some("t/+=")));
    for (from, to) in [
        ("<Credentials>", ""),
        ("</Credentials>", ""),
        ("<AccessKeyId>", ""),
        ("t/+=", ""),
        ("t/+=", "a&amp;b"),
        ("t/+=", "a\r\nb"),
        ("2026-11-23T", "today "),
    ] {
        let changed = body.replace(from, to);
        assert!(matches!(assumed(&answer(&changed)), Err(Fault::Malformed { .. })), "{from} -> {to}");
    }
}

#[test]
fn writes_a_form_as_its_standard_says() {
    assert_eq!(encoded("a B/=+&é~-._9").as_str(), "a%20B%2F%3D%2B%26%C3%A9~-._9");
}
