use super::*;

/// Ways to write the metadata service of most clouds, and others of its kind.
const NEVER: [&str; 37] = [
    "169.254.169.254",
    "169.254.0.1",
    "169.254.170.2",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "0.0.0.0",
    "0.1.2.3",
    "255.255.255.255",
    "224.0.0.1",
    "2852039166",
    "0xa9fea9fe",
    "0xA9.0xFE.0xA9.0xFE",
    "169.254.43518",
    "169.16689662",
    "0251.0376.0251.0376",
    "169.254.169.254.",
    "127.1",
    "0",
    "fe80::1",
    "febf::1",
    "::",
    "ff02::1",
    "::ffff:169.254.169.254",
    "::ffff:a9fe:a9fe",
    "::169.254.169.254",
    "64:ff9b::169.254.169.254",
    "64:ff9b:1::169.254.169.254",
    "::ffff:0:169.254.169.254",
    "2002:a9fe:a9fe::1",
    "fd00:ec2::254",
    "fd00:ec2::23",
    "fd20:ce::254",
    "metadata.google.internal",
    "METADATA.google.internal.",
    "metadata",
    "instance-data",
];

#[test]
fn the_platforms_addresses_are_refused_in_every_way_to_write_them() {
    for host in NEVER {
        assert!(check_host(host).is_err(), "{host}");
    }
    for host in ["", ".", "fe80::1%eth0", "a b", "a/b", "a@b", "a\\b", "a\nb", "[::1]"] {
        assert_eq!(check_host(host), Err(Refused::Form), "{host:?}");
    }
}

#[test]
fn model_servers_vaults_and_nodes_are_asked_where_they_are() {
    for host in [
        "localhost",
        "127.0.0.1",
        "::1",
        "10.0.0.7",
        "172.16.3.4",
        "192.168.1.1",
        "fd12:3456::1",
        "8.8.8.8",
        "2606:4700::1111",
        "::ffff:10.0.0.1",
        "model",
        "model-0.model.loans.svc.cluster.local",
        "model_a",
        "h2o",
        "a1b2.example.com",
        "0x.example",
        "metadata.example.com",
        "1.example",
        "100.100.100.201",
    ] {
        assert_eq!(check_host(host), Ok(()), "{host}");
    }
}

#[tokio::test]
async fn a_name_that_leads_to_the_platform_is_not_followed() {
    let refused = resolve("169.254.169.254", 80).await.unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::PermissionDenied);
    assert!(refused.to_string().contains("a link-local address, which is never asked"), "{refused}");
    assert_eq!(resolve("127.0.0.1", 80).await.unwrap(), [SocketAddr::from(([127, 0, 0, 1], 80))]);
    assert_eq!(
        connect("169.254.169.254", 1, false).await.unwrap_err().kind(),
        io::ErrorKind::PermissionDenied
    );
    // Not even for a role, where the address is none of a role's.
    assert_eq!(connect("169.254.1.1", 1, true).await.unwrap_err().kind(), io::ErrorKind::PermissionDenied);
}

#[test]
fn messages_show_of_a_url_neither_user_nor_password_nor_path() {
    for (value, expected) in [
        ("https://user:hunter2@vault.example:8200/v1", "https://...@vault.example:8200/..."),
        ("https://rpc.example/key-4711", "https://rpc.example/..."),
        ("https://rpc.example/", "https://rpc.example/"),
        ("https://a@b/x, http://c/y?token=z", "https://...@b/... http://c/..."),
        ("https://h?token=z", "https://h/..."),
        ("250ms", "250ms"),
        ("sqlite or: https://a/b, and 3", "sqlite or: https://a/... and 3"),
        ("ftp://user@h", "ftp://...@h"),
    ] {
        assert_eq!(shown(value), expected, "{value}");
        assert!(!without_users(value).contains("hunter2"), "{value}");
    }
}

#[test]
fn what_is_explained_keeps_paths_and_hides_users() {
    assert_eq!(without_users("https://u:p@h:1/path?x, http://b/c"), "https://...@h:1/path?x, http://b/c");
    assert_eq!(without_users("no address"), "no address");
}

#[test]
fn the_documentation_has_the_same_table() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/hardening.md");
    let page = std::fs::read_to_string(page).unwrap();
    for Place { key, schemes, what } in PLACES {
        let row = format!("| `{key}` | {schemes} | {what} |");
        assert!(page.contains(&row), "docs/hardening.md lacks {row}");
    }
}

/// A server that answers no further connection, and those that fill it.
async fn full() -> (SocketAddr, Vec<TcpStream>, tokio::net::TcpListener) {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut waiting = Vec::new();
    while let Ok(Ok(stream)) = timeout(Duration::from_millis(200), TcpStream::connect(address)).await {
        waiting.push(stream);
    }
    (address, waiting, listener)
}

#[tokio::test]
async fn an_address_that_answers_nothing_does_not_keep_the_next_one_from_being_asked() {
    let (hole, _waiting, _listener) = full().await;
    let good = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let good = good.local_addr().map(|address| (address, good)).unwrap();
    let connected = timeout(Duration::from_secs(10), first_of(&[hole, good.0])).await;
    assert_eq!(connected.expect("it goes on to the next one").unwrap().peer_addr().unwrap(), good.0);
    assert_eq!(first_of(&[]).await.unwrap_err().kind(), io::ErrorKind::NotFound);
}
