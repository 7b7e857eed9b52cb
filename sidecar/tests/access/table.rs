//! Every method by every role, and no method without a row.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex};

use ledgerstone::proto::FILE_DESCRIPTOR_SET;
use ledgerstone::proto::inference::grpc_inference_service_client::GrpcInferenceServiceClient;
use ledgerstone::proto::inference::grpc_inference_service_server::GrpcInferenceServiceServer;
use ledgerstone_sidecar::access::table::{GRPC, to_markdown};
use ledgerstone_sidecar::access::{Open, Port, Role, TABLE};
use prost::Message;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::Request;
use tonic::transport::Server;

use crate::issuer::Issuer;
use crate::support::{Doubler, request};
use crate::world::{World, with_token, word};

#[tokio::test(flavor = "multi_thread")]
async fn every_method_is_let_pass_or_refused_for_every_role_as_the_table_says() {
    let Some(world) = World::new("").await else { return };
    let mut callers: Vec<(Option<Role>, Option<String>)> = vec![(None, None)];
    callers.push((None, Some(world.issuer.token("u-1", &["unknown-word"]))));
    for role in Role::ALL {
        callers.push((
            Some(role).filter(|role| *role != Role::Applicant),
            Some(world.issuer.token("u-2", &[word(role)])),
        ));
    }
    let (mut passed, mut refused) = (0, 0);
    for row in TABLE {
        for (role, token) in &callers {
            let expected = row.open == Open::Always
                || row.port == Port::Links
                || role.is_some_and(|role| row.roles.has(role));
            let answer = world.call(row, token.as_deref()).await;
            assert!(answer.code != 0 || answer.is_grpc, "no answer from {} {}", row.method, row.path);
            assert_eq!(!answer.is_refused(), expected, "{} {} by {role:?}: {answer:?}", row.method, row.path);
            if expected {
                passed += 1;
                continue;
            }
            refused += 1;
            // 401 for those who are nobody, 403 for those who are somebody else, and in both cases who could.
            let is_nobody = token.is_none();
            let code = match (answer.is_grpc, is_nobody) {
                (true, true) => 16,
                (true, false) => 7,
                (false, true) => 401,
                (false, false) => 403,
            };
            assert_eq!(answer.code, code, "{} by {role:?}: {answer:?}", row.path);
            assert_eq!(answer.stable.as_deref(), Some(if is_nobody { "untrusted" } else { "misuse" }));
            assert!(answer.text.contains(&format!("for the role {}", row.roles)), "{answer:?}");
        }
    }
    assert!(passed > 150 && refused > 200, "{passed} passed, {refused} refused");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_in_no_row_is_refused_whoever_asks() {
    let Some(world) = World::new("").await else { return };
    let words: Vec<&str> = Role::ALL.into_iter().map(word).collect();
    let token = world.issuer.token("u-3", &words);
    for path in [
        "/inference.GRPCInferenceService/Shutdown",
        "/inference.GRPCInferenceService/modelInfer",
        "/inference.model_repository.ModelRepositoryService/RepositoryModelLoad",
        "/ledgerstone.v1.Recorder/GetHistory",
        "/ledgerstone.v1.Audit/SubmitRun",
        "/",
    ] {
        let answer = world.grpc(Port::Grpc, path, Some(&token)).await;
        assert_eq!((answer.code, answer.stable.as_deref()), (7, Some("misuse")), "{path}: {answer:?}");
        assert!(answer.text.contains("no such method for anybody"), "{answer:?}");
    }
    for (port, method, path) in [
        (Port::Http, "GET", "/"),
        (Port::Http, "GET", "/sealed/000"),
        (Port::Http, "POST", "/checkpoint"),
        (Port::Http, "GET", "/receipts/a/../b"),
        (Port::Admin, "GET", "/debug"),
        (Port::Admin, "POST", "/metrics"),
        (Port::Recorder, "DELETE", "/decisions/01a1ee56-5e02-7000-8000-000000000002"),
        (Port::Recorder, "POST", "/decisions/01a1ee56-5e02-7000-8000-000000000002/outcom%65"),
        (Port::Recorder, "GET", "//keyring"),
        (Port::Links, "GET", "/r/a/b"),
    ] {
        let answer = world.http(port, method, path, Some(&token), "{}").await;
        assert_eq!((answer.code, answer.stable.as_deref()), (403, Some("misuse")), "{path}: {answer:?}");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_public_log_is_read_by_everybody_and_nothing_else_is() {
    let Some(world) = World::new("[access]\nlog = \"public\"").await else { return };
    for row in TABLE {
        let expected = row.open != Open::No || row.port == Port::Links;
        let answer = world.call(row, None).await;
        assert_eq!(!answer.is_refused(), expected, "{} {}: {answer:?}", row.method, row.path);
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_for_the_sidecar_goes_no_further_and_the_callers_other_headers_do() {
    let Some(issuer) = Issuer::start() else { return };
    let (seen, listener) =
        (Arc::new(Mutex::new(Vec::new())), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let (kept, address) = (Arc::clone(&seen), listener.local_addr().unwrap());
    let service = GrpcInferenceServiceServer::with_interceptor(Doubler, move |request: Request<()>| {
        let names = request.metadata().keys().map(|key| format!("{key:?}")).collect::<Vec<_>>();
        kept.lock().unwrap().push(names.join(" "));
        Ok(request)
    });
    let incoming = TcpListenerStream::new(listener);
    tokio::spawn(Server::builder().add_service(service).serve_with_incoming(incoming));
    let world = World::before(address, issuer, "").await;
    let token = world.issuer.token("u-1", &[word(Role::Application)]);
    let mut model = GrpcInferenceServiceClient::new(world.channel(Port::Grpc).await);
    let call = || {
        let mut request = with_token(request("r", 1.0), Some(&token));
        request.metadata_mut().insert("x-request-id", "7".parse().unwrap());
        request
    };
    while model.model_infer(call()).await.is_err() {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let seen = seen.lock().unwrap().join("\n");
    assert!(seen.contains("x-request-id") && !seen.contains("authorization"), "{seen}");
    world.stop().await;
}

#[derive(Clone, PartialEq, Message)]
struct Files {
    #[prost(message, repeated, tag = "1")]
    file: Vec<File>,
}

#[derive(Clone, PartialEq, Message)]
struct File {
    #[prost(string, tag = "2")]
    package: String,
    #[prost(message, repeated, tag = "6")]
    service: Vec<Service>,
}

#[derive(Clone, PartialEq, Message)]
struct Service {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, repeated, tag = "2")]
    method: Vec<Named>,
}

#[derive(Clone, PartialEq, Message)]
struct Named {
    #[prost(string, tag = "1")]
    name: String,
}

fn methods(descriptors: &[u8]) -> BTreeSet<String> {
    let files = Files::decode(descriptors).unwrap().file.into_iter();
    let services =
        files.flat_map(|file| file.service.into_iter().map(move |service| (file.package.clone(), service)));
    let methods = services.flat_map(|(package, service)| {
        let path = move |method: Named| format!("/{package}.{}/{}", service.name, method.name);
        service.method.into_iter().map(path).collect::<Vec<_>>()
    });
    methods.collect()
}

#[test]
fn every_method_of_every_service_stands_in_the_table() {
    let rows: BTreeSet<&str> = TABLE.iter().filter(|row| row.method == GRPC).map(|row| row.path).collect();
    let sets = [
        FILE_DESCRIPTOR_SET,
        tonic_health::pb::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
    ];
    let mut described: BTreeSet<String> = sets.into_iter().flat_map(methods).collect();
    // The audit service is the verifier's; the sidecar does not serve it.
    described.retain(|path| !path.starts_with("/ledgerstone.v1.Audit/"));
    assert!(described.len() >= 25, "{described:?}");
    for path in &described {
        assert!(
            rows.contains(path.as_str()),
            "{path} has no row: say in sidecar/src/access/table.rs who may call it"
        );
    }
    // What is no method of a described service is one of the model server's own.
    for path in rows {
        assert!(
            described.contains(path) || path.starts_with("/inference.GRPCInferenceService/"),
            "{path} is no method"
        );
    }
}

/// What the sources say behind `.route(`: paths with their methods.
fn routes(folder: &Path, found: &mut BTreeSet<(String, String)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        // The injector is a program of its own, which API servers ask on ports of its own.
        if path.file_name().is_some_and(|name| name == "injector") {
            continue;
        }
        if path.is_dir() {
            routes(&path, found);
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        for route in text.split(".route(\"").skip(1) {
            let (path, rest) = route.split_once('"').unwrap();
            let method = rest.trim_start_matches([',', ' ', '\n']).split('(').next().unwrap();
            let method = method.rsplit("::").next().unwrap().to_uppercase();
            assert!(["GET", "POST"].contains(&method.as_str()), "{path}: {method}");
            found.insert((method, path.to_owned()));
        }
    }
}

#[test]
fn every_route_in_the_source_stands_in_the_table() {
    let mut found = BTreeSet::new();
    routes(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    assert!(found.len() >= 14, "{found:?}");
    for (method, path) in found {
        if path == "/decisions/{decision_id}/{kind}" {
            // Each kind has a row of its own; a kind without one is refused.
            continue;
        }
        let has_row = TABLE.iter().any(|row| row.method == method && row.path == path);
        assert!(has_row, "{method} {path} has no row: say in sidecar/src/access/table.rs who may call it");
    }
}

#[test]
fn the_docs_print_the_table_that_the_code_checks() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/access.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (begin, end) = ("<!-- table: sidecar/src/access/table.rs -->\n", "<!-- end of the table -->");
    let (before, rest) = text.split_once(begin).unwrap();
    let (_, after) = rest.split_once(end).unwrap();
    let wanted = format!("{before}{begin}{}\n{end}{after}", to_markdown());
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, wanted).unwrap();
        return;
    }
    assert_eq!(text, wanted, "docs/access.md: run with UPDATE_GOLDEN=1, then read the difference");
}
