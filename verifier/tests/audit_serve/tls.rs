//! TLS, certificates of callers, health and reflection.

use std::path::Path;
use std::process::Command;

use tonic::transport::Endpoint;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use crate::evidence::Evidence;
use crate::node::{Desk, said};

fn openssl(folder: &Path, arguments: &str) -> bool {
    let ran = Command::new("openssl").args(arguments.split(' ')).current_dir(folder).output();
    ran.is_ok_and(|ran| ran.status.success())
}

/// A certificate for localhost, an authority of callers, and a caller's certificate; false where there is no openssl.
fn certificates(desk: &Desk) -> bool {
    let folder = desk.path(".");
    desk.write("caller.ext", b"basicConstraints=critical,CA:FALSE\n");
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2";
    let server =
        "-subj /CN=localhost -addext subjectAltName=DNS:localhost -addext basicConstraints=critical,CA:FALSE";
    let made = openssl(&folder, &format!("req -x509 {key} {server} -keyout tls.key -out tls.pem"))
        && openssl(&folder, &format!("req -x509 {key} -subj /CN=callers -keyout callers.key -out callers.pem"))
        && openssl(&folder, &format!("req -x509 {key} -subj /CN=others -keyout others.key -out others.pem"))
        && ["callers", "others"].iter().all(|authority| {
            let (request, out) = (format!("{authority}.csr"), format!("{authority}-caller"));
            openssl(&folder, &format!("req -new {} -subj /CN=caller -keyout {out}.key -out {request}", &key[..key.len() - 8]))
                && openssl(&folder, &format!("x509 -req -in {request} -CA {authority}.pem -CAkey {authority}.key -days 2 -extfile caller.ext -out {out}.pem"))
        });
    let ci = std::env::var("CI").is_ok_and(|value| value == "true");
    assert!(made || !ci, "openssl is needed under CI=true");
    if !made {
        println!("skipped: openssl is not installed, 1 case");
    }
    made
}

#[test]
fn only_callers_of_the_named_authority_are_served() {
    let desk = Desk::new();
    if !certificates(&desk) {
        return;
    }
    desk.write("july.bundle", &Evidence::of(300, 1).bundle());
    let node = desk.serve(&["--tls-cert", "tls.pem", "--tls-key", "tls.key", "--client-ca", "callers.pem"]);
    let port = node.address.rsplit(':').next().unwrap();
    let (tls, plain) = (format!("grpcs://localhost:{port}"), format!("grpc://localhost:{port}"));
    let submit = |rest: &[&str]| desk.run(&[&["audit", "submit", "july.bundle"][..], rest].concat());
    let own = ["--cert-file", "callers-caller.pem", "--key-file", "callers-caller.key"];
    let others = ["--cert-file", "others-caller.pem", "--key-file", "others-caller.key"];
    let ca = ["--ca-file", "tls.pem"];
    for (why, arguments) in [
        ("no TLS", vec!["--to", plain.as_str()]),
        ("no certificate", [&["--to", &tls][..], &ca].concat()),
        ("another authority's certificate", [&["--to", &tls][..], &ca, &others].concat()),
        ("a service that is not trusted", [&["--to", &tls][..], &own].concat()),
    ] {
        let refused = submit(&arguments);
        assert_eq!(refused.status.code(), Some(2), "{why}: {}", said(&refused));
        assert!(said(&refused).contains("cannot be reached"), "{why}: {}", said(&refused));
    }
    let served = submit(&[&["--to", &tls, "-o", "july.jsonl"][..], &ca, &own].concat());
    assert_eq!(served.status.code(), Some(0), "{}", said(&served));
    assert!(desk.read("july.jsonl") == desk.local("july.bundle"));
    node.stop();
}

#[tokio::test]
async fn health_and_reflection_speak_of_the_audit_service() {
    let desk = Desk::new();
    let node = desk.serve(&[]);
    let url = format!("http://{}", node.address);
    let channel = Endpoint::from_shared(url).unwrap().connect().await.unwrap();
    let mut health = HealthClient::new(channel.clone());
    for service in ["", "ledgerstone.v1.Audit"] {
        let request = HealthCheckRequest { service: service.to_owned() };
        let answer = health.check(request).await.unwrap().into_inner();
        assert_eq!(answer.status, 1, "{service} is serving");
    }
    let mut reflection = ServerReflectionClient::new(channel);
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut answers =
        reflection.server_reflection_info(tokio_stream::iter([request])).await.unwrap().into_inner();
    let answer = answers.message().await.unwrap().unwrap();
    let Some(MessageResponse::ListServicesResponse(list)) = answer.message_response else { panic!() };
    let names: Vec<_> = list.service.iter().map(|service| service.name.as_str()).collect();
    assert!(names.contains(&"ledgerstone.v1.Audit") && !names.contains(&"ledgerstone.v1.Log"), "{names:?}");
    node.stop();
}
