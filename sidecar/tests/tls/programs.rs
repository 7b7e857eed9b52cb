//! OpenSSL and curl as clients.

use std::io::Write as _;
use std::net::SocketAddr;
use std::process::{Command, Stdio};

use ledgerstone::hash::Hash;
use ledgerstone_sidecar::tls::{Ask, Versions};

use crate::desk::Desk;
use crate::pki::Identity;

/// Whether a program is there. Under `CI=true` it must be.
fn has(program: &str) -> bool {
    let there = Command::new(program).arg("version").output().is_ok();
    let ci = std::env::var("CI").is_ok_and(|value| value == "true");
    assert!(there || !ci, "{program} is needed under CI=true");
    if !there {
        println!("skipped: what needs {program}, because it is not installed");
    }
    there
}

/// What a program printed, both ways, and whether it was content.
fn run(program: &str, arguments: &[&str], input: &str) -> (bool, String) {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}

async fn curl(desk: &Desk, identity: Option<&Identity>, more: &[&str]) -> (bool, String) {
    let ca = desk.path("servers-ca.pem");
    std::fs::write(&ca, desk.servers.pem()).unwrap();
    let url = format!("https://localhost:{}/", desk.address.port());
    let resolve = format!("localhost:{}:127.0.0.1", desk.address.port());
    let mut arguments: Vec<String> =
        ["-sS", "--fail", "--max-time", "20", "--noproxy", "*", "--resolve", &resolve, &url, "--cacert"]
            .map(str::to_owned)
            .into();
    arguments.push(ca.display().to_string());
    if let Some(identity) = identity {
        let (cert, key) = identity.write(desk.folder.path(), "curl");
        arguments.extend([
            "--cert".into(),
            cert.display().to_string(),
            "--key".into(),
            key.display().to_string(),
        ]);
    }
    arguments.extend(more.iter().map(|&word| word.to_owned()));
    let run = move || run("curl", &arguments.iter().map(String::as_str).collect::<Vec<_>>(), "");
    tokio::task::spawn_blocking(run).await.unwrap()
}

#[tokio::test]
async fn curl_gets_in_with_a_certificate_and_by_either_http() {
    if !has("curl") {
        return;
    }
    let desk = Desk::new().await;
    let one = desk.clients.good();
    let expected = format!("{} - localhost", Hash::of(&one.der));
    for version in ["--http1.1", "--http2"] {
        assert_eq!(curl(&desk, Some(&one), &[version]).await, (true, expected.clone()), "{version}");
    }
    let (good, said) = curl(&desk, None, &[]).await;
    assert!(!good && said.contains("curl: ("), "{said}");
    let (good, said) = curl(&desk, Some(&one), &["--tls-max", "1.2"]).await;
    assert!(!good, "{said}");
}

async fn s_client(
    address: SocketAddr,
    desk: &Desk,
    identity: &Identity,
    more: &[&str],
    input: &'static str,
) -> (bool, String) {
    let (cert, key) = identity.write(desk.folder.path(), "openssl");
    let ca = desk.path("servers-ca.pem");
    std::fs::write(&ca, desk.servers.pem()).unwrap();
    let mut arguments: Vec<String> = vec![
        "s_client".into(),
        "-connect".into(),
        address.to_string(),
        "-servername".into(),
        "localhost".into(),
    ];
    for (flag, path) in [("-cert", &cert), ("-key", &key), ("-CAfile", &ca)] {
        arguments.extend([flag.to_owned(), path.display().to_string()]);
    }
    arguments.extend(more.iter().map(|&word| word.to_owned()));
    let run = move || run("openssl", &arguments.iter().map(String::as_str).collect::<Vec<_>>(), input);
    tokio::task::spawn_blocking(run).await.unwrap()
}

#[tokio::test]
async fn openssl_speaks_1_3_and_is_refused_with_anything_older() {
    if !has("openssl") {
        return;
    }
    let (desk, lenient) =
        (Desk::new().await, Desk::with(Ask::CertificateAlways, Versions::Tls12And13, None).await);
    let one = desk.clients.good();
    let (_, said) = s_client(desk.address, &desk, &one, &["-brief"], "").await;
    assert!(said.contains("Protocol version: TLSv1.3") && said.contains("Verification: OK"), "{said}");
    let low = ["-cipher", "DEFAULT@SECLEVEL=0"];
    for old in ["-tls1", "-tls1_1", "-tls1_2"] {
        let (good, said) =
            s_client(desk.address, &desk, &one, &[&[old, "-brief"][..], &low].concat(), "").await;
        assert!(!good && said.contains("alert"), "{old}: {said}");
    }
    let other = lenient.clients.good();
    for (old, may) in [("-tls1", false), ("-tls1_1", false), ("-tls1_2", true)] {
        let arguments = [&[old, "-brief"][..], &low].concat();
        let (_, said) = s_client(lenient.address, &lenient, &other, &arguments, "").await;
        assert_eq!(said.contains("CONNECTION ESTABLISHED"), may, "{old}: {said}");
    }
    // A client that says it was turned down with 1.3 before, which is what somebody in between would make it say.
    let (good, said) =
        s_client(lenient.address, &lenient, &other, &["-tls1_2", "-fallback_scsv", "-brief"], "").await;
    println!("with TLS_FALLBACK_SCSV: {good} {said}");
}

#[tokio::test]
async fn no_client_renegotiates() {
    if !has("openssl") {
        return;
    }
    let desk = Desk::with(Ask::CertificateAlways, Versions::Tls12And13, None).await;
    let one = desk.clients.good();
    // A line of one R asks s_client for a renegotiation.
    let (_, said) = s_client(desk.address, &desk, &one, &["-tls1_2"], "R\n").await;
    assert!(
        said.contains("Secure Renegotiation IS supported"),
        "the extension of RFC 5746 is there:\n{said}"
    );
    assert!(said.contains("RENEGOTIATING"), "{said}");
    assert!(
        said.contains("no renegotiation") || said.contains("unexpected message") || said.contains("error"),
        "{said}"
    );
}
