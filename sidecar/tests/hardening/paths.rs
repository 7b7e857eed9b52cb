//! Paths that try to leave their folder, at every port and in every name that somebody else chooses.

use std::net::SocketAddr;

use ledgerstone::proto::ledgerstone_v1::GetReceiptRequest;
use ledgerstone::proto::ledgerstone_v1::receipts_client::ReceiptsClient;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::{Sidecar, free_port, request, serve_doubler};

/// Ways out of a folder, to a file that is there.
fn ways_out(file: &str) -> Vec<String> {
    let mut ways = Vec::new();
    for up in [
        "../",
        "..%2f",
        "%2e%2e/",
        "%2e%2e%2f",
        "..%252f",
        "....//",
        "..\\",
        "..%5c",
        "..;/",
        ".%00./",
        "%c0%ae%c0%ae/",
        "..%c0%af",
    ] {
        for depth in 1..=4 {
            ways.push(format!("{}{file}", up.repeat(depth)));
        }
    }
    ways.extend([
        format!("/{file}"),
        format!("./{file}"),
        format!("%2f{file}"),
        format!("x/../../{file}"),
        format!("{file}%00"),
        format!("{file}?"),
    ]);
    ways
}

/// The answer to a request with this target, byte for byte.
async fn raw(address: SocketAddr, verb: &str, target: &str) -> Vec<u8> {
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let head = format!(
        "{verb} {target} HTTP/1.1\r\nHost: {address}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // A connection that is closed on nonsense is an answer too.
    _ = stream.read_to_end(&mut answer).await;
    answer
}

fn holds(bytes: &[u8], needle: &[u8]) -> bool {
    bytes.windows(needle.len()).any(|window| window == needle)
}

#[tokio::test(flavor = "multi_thread")]
async fn no_port_gives_out_a_file_beside_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let sidecar = Sidecar::init(folder.path(), serve_doubler().await);
    let port = || SocketAddr::from(([127, 0, 0, 1], free_port()));
    let (links, recorder) = (port(), port());
    let before = std::fs::read_to_string(sidecar.config()).unwrap();
    let more =
        format!("[links]\nlisten = \"{links}\"\nfile = \"links\"\n[recorder]\nlisten = \"{recorder}\"\n");
    std::fs::write(sidecar.config(), format!("{before}\n{more}")).unwrap();
    let planted = "planted-beside-the-store";
    for place in [
        folder.path().to_owned(),
        sidecar.store(),
        sidecar.store().join("log"),
        sidecar.store().join("log/tile"),
    ] {
        std::fs::create_dir_all(&place).unwrap();
        std::fs::write(place.join("secret.txt"), planted).unwrap();
    }
    let mut running = sidecar.start();
    sidecar.client().await.model_infer(request("r", 2.0)).await.unwrap();
    let secrets = ["log.key", "kek.key"].map(|name| std::fs::read(sidecar.folder.join(name)).unwrap());
    let needles: Vec<&[u8]> =
        [planted.as_bytes(), b"root:"].into_iter().chain(secrets.iter().map(Vec::as_slice)).collect();
    let ports = [
        (
            sidecar.http,
            vec![
                "/",
                "/tile/",
                "/tile/0/",
                "/tile/entries/",
                "/receipts/",
                "/anchors/",
                "/anchors/x/",
                "/log/",
            ],
        ),
        (sidecar.admin, vec!["/", "/metrics/", "/models/"]),
        (links, vec!["/", "/r/", "/r/x/"]),
        (recorder, vec!["/", "/decisions/", "/decisions/x/"]),
    ];
    let mut tried = 0;
    for (address, prefixes) in ports {
        for prefix in prefixes {
            for way in ["secret.txt", "log.key", "sidecar.toml", "keyring/keyring.db", "etc/passwd"]
                .into_iter()
                .flat_map(ways_out)
            {
                let target = format!("{prefix}{way}");
                let answer = raw(address, "GET", &target).await;
                let status = String::from_utf8_lossy(&answer).split(' ').nth(1).unwrap_or("").to_owned();
                assert!(!status.starts_with('2') && !status.starts_with('5'), "{address} {target}: {status}");
                assert!(!needles.iter().any(|needle| holds(&answer, needle)), "{address} {target}");
                tried += 1;
            }
        }
    }
    assert!(tried > 4000, "{tried}");
    let channel = tonic::transport::Endpoint::from_shared(format!("http://{}", sidecar.grpc)).unwrap();
    let mut receipts = ReceiptsClient::new(channel.connect().await.unwrap());
    for way in ways_out("log.key") {
        let refused =
            receipts.get_receipt(GetReceiptRequest { decision_id: way.clone(), ..Default::default() }).await;
        assert_eq!(refused.unwrap_err().code(), tonic::Code::InvalidArgument, "{way}");
    }
    assert!(running.stop().success());
}

#[test]
fn no_command_takes_a_name_for_a_path_or_shows_a_file_that_is_something_else() {
    let folder = tempfile::tempdir().unwrap();
    let sidecar = Sidecar::init(folder.path(), ([127, 0, 0, 1], 9).into());
    let key = std::fs::read_to_string(folder.path().join("log.key")).unwrap();
    // Its base64 may hold the sign that the parts stand between.
    let secret = key.trim().splitn(5, '+').nth(4).unwrap().to_owned();
    assert!(secret.len() > 40, "{secret}");
    let run = |arguments: &[&str]| {
        let output = sidecar.command(arguments[0]).args(&arguments[1..]).output().unwrap();
        (
            output.status.success(),
            String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned(),
        )
    };
    let log_key = folder.path().join("log.key").display().to_string();
    let as_pack = folder.path().join("pack.toml");
    std::fs::copy(&log_key, &as_pack).unwrap();
    for arguments in [
        vec!["record", "open", "../log.key"],
        vec!["record", "open", &log_key],
        vec!["receipt", "link", "--decision", "../../log.key"],
        vec!["packs", "show", "../log.key"],
        vec!["packs", "show", as_pack.to_str().unwrap()],
        vec!["notice", "preview", "--kind", "../../../etc/passwd"],
        vec!["keyring", "restore", &log_key],
    ] {
        let (done, said) = run(&arguments);
        assert!(!done, "{arguments:?}: {said}");
        assert!(!said.contains(&secret) && !said.contains("root:"), "{arguments:?}: {said}");
    }
}
