//! OpenSSL and curl as clients.

use std::io::{Read, Write as _};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

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
fn run(program: &str, arguments: &[&str]) -> (bool, String) {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output().unwrap();
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
    let run = move || run("curl", &arguments.iter().map(String::as_str).collect::<Vec<_>>());
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

/// What `openssl s_client` is called with to reach the port as `identity`.
fn arguments(desk: &Desk, identity: &Identity, more: &[&str]) -> Vec<String> {
    let (cert, key) = identity.write(desk.folder.path(), "openssl");
    let ca = desk.path("servers-ca.pem");
    std::fs::write(&ca, desk.servers.pem()).unwrap();
    let address = desk.address.to_string();
    let mut arguments =
        ["s_client", "-connect", &address, "-servername", "localhost"].map(str::to_owned).to_vec();
    for (flag, path) in [("-cert", &cert), ("-key", &key), ("-CAfile", &ca)] {
        arguments.extend([flag.to_owned(), path.display().to_string()]);
    }
    arguments.extend(more.iter().map(|&word| word.to_owned()));
    arguments
}

async fn s_client(desk: &Desk, identity: &Identity, more: &[&str]) -> (bool, String) {
    let arguments = arguments(desk, identity, more);
    let run = move || run("openssl", &arguments.iter().map(String::as_str).collect::<Vec<_>>());
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
    let (_, said) = s_client(&desk, &one, &["-brief"]).await;
    assert!(said.contains("Protocol version: TLSv1.3") && said.contains("Verification: OK"), "{said}");
    let low = ["-cipher", "DEFAULT@SECLEVEL=0"];
    for old in ["-tls1", "-tls1_1", "-tls1_2"] {
        let (good, said) = s_client(&desk, &one, &[&[old, "-brief"][..], &low].concat()).await;
        assert!(!good && said.contains("alert"), "{old}: {said}");
    }
    let other = lenient.clients.good();
    for (old, may) in [("-tls1", false), ("-tls1_1", false), ("-tls1_2", true)] {
        let arguments = [&[old, "-brief"][..], &low].concat();
        let (_, said) = s_client(&lenient, &other, &arguments).await;
        assert_eq!(said.contains("CONNECTION ESTABLISHED"), may, "{old}: {said}");
    }
    // A client that says it was turned down with 1.3 before, which is what somebody in between would make it say.
    let (good, said) = s_client(&lenient, &other, &["-tls1_2", "-fallback_scsv", "-brief"]).await;
    assert!(
        !good && said.contains("inappropriate fallback"),
        "the server's random says so (RFC 8446, 4.1.3): {said}"
    );
}

#[tokio::test]
async fn no_client_renegotiates() {
    if !has("openssl") {
        return;
    }
    let desk = Desk::with(Ask::CertificateAlways, Versions::Tls12And13, None).await;
    let one = desk.clients.good();
    // A line of one R asks s_client for a renegotiation.
    let arguments = arguments(&desk, &one, &["-tls1_2", "-msg"]);
    let said = tokio::task::spawn_blocking(move || renegotiate(&arguments)).await.unwrap();
    assert!(
        said.contains("Secure Renegotiation IS supported"),
        "the extension of RFC 5746 is there:\n{said}"
    );
    assert!(said.contains("RENEGOTIATING"), "s_client does not try:\n{said}");
    assert_eq!(said.matches(", ClientHello").count(), 2, "it asks again:\n{said}");
    assert_eq!(said.matches(", ServerHello\n").count(), 1, "and gets no second answer:\n{said}");
}

/// What s_client says until a while after it asked for a renegotiation.
fn renegotiate(arguments: &[String]) -> String {
    let mut command = Command::new("openssl");
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.as_mut().unwrap().write_all(b"R\n").unwrap();
    let (sender, said) = mpsc::channel();
    let outputs: [Box<dyn Read + Send>; 2] =
        [Box::new(child.stdout.take().unwrap()), Box::new(child.stderr.take().unwrap())];
    for mut output in outputs {
        let sender = sender.clone();
        std::thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(read @ 1..) = output.read(&mut piece) {
                _ = sender.send(String::from_utf8_lossy(&piece[..read]).into_owned());
            }
        });
    }
    drop(sender);
    let mut whole = String::new();
    let wait = |whole: &str| match whole.contains("RENEGOTIATING") {
        // An answer would come at once.
        true => Duration::from_secs(2),
        false => Duration::from_secs(20),
    };
    while let Ok(piece) = said.recv_timeout(wait(&whole)) {
        whole.push_str(&piece);
    }
    child.kill().unwrap();
    child.wait().unwrap();
    whole
}
