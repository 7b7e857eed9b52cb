//! Certificates, keys, authorities and lists replaced while connections go on.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use ledgerstone::hash::Hash;
use ledgerstone_sidecar::tls::{Ask, Versions};
use rustls::{ClientConfig, HandshakeKind};

use crate::desk::{Desk, ask, ask_on, connect};
use crate::pki::{Authority, HOUR, Wanted};

/// SHA-256 of the certificate that the port shows now.
async fn shown(desk: &Desk, config: &Arc<ClientConfig>) -> Hash {
    let mut fresh = ClientConfig::clone(config);
    fresh.resumption = rustls::client::Resumption::disabled();
    let fresh = Arc::new(fresh);
    let stream = connect(desk.address, &fresh).await.unwrap();
    Hash::of(&stream.get_ref().1.peer_certificates().unwrap()[0])
}

#[tokio::test]
async fn a_new_certificate_is_served_to_new_connections_and_open_ones_go_on() {
    let desk = Desk::new().await;
    let config = desk.client(Some(&desk.clients.good()));
    let mut open = connect(desk.address, &config).await.unwrap();
    assert_eq!(ask_on(&mut open, "/").await.unwrap().0, 200);
    assert!(!desk.tls.reload().unwrap(), "nothing changed");
    let next = desk.servers.good();
    next.write(desk.folder.path(), "server");
    assert!(desk.tls.reload().unwrap());
    assert_eq!(shown(&desk, &config).await, Hash::of(&next.der));
    assert_eq!(ask_on(&mut open, "/").await.unwrap().0, 200, "in flight");
    let text = desk.metrics.render().unwrap();
    assert!(text.contains("ledgerstone_tls_reloads_total{result=\"taken\"} 1"), "{text}");
    assert!(text.contains(&format!(
        "ledgerstone_tls_certificate_expiration_timestamp_seconds {}",
        desk.tls.not_after().get() / 1000
    )));
}

#[tokio::test]
async fn what_is_half_written_or_does_not_fit_leaves_the_old_one_in_place() {
    let desk = Desk::new().await;
    let config = desk.client(Some(&desk.clients.good()));
    let before = shown(&desk, &config).await;
    let next = desk.servers.good();
    let (cert, key, ca) = (desk.path("server.pem"), desk.path("server.key"), desk.path("clients.pem"));
    let half = |text: &str| text[..text.len() / 2].to_owned();
    let steps: [(&str, &Path, String); 6] = [
        ("the certificate without its key", &cert, next.cert.clone()),
        ("half a certificate", &cert, half(&next.cert)),
        ("nothing at all", &cert, String::new()),
        ("half a key", &key, half(&next.key)),
        ("no authority", &ca, String::new()),
        ("half an authority", &ca, half(&fs::read_to_string(&ca).unwrap())),
    ];
    for (n, (why, path, text)) in steps.into_iter().enumerate() {
        let old = fs::read_to_string(path).unwrap();
        fs::write(path, text).unwrap();
        desk.tls.reload().expect_err(why);
        assert!(!desk.tls.reload().unwrap(), "{why}: told once");
        assert_eq!(shown(&desk, &config).await, before, "{why}");
        assert!(desk.ask(None).await.is_err(), "{why}: certificates are asked for as before");
        let refused = format!("ledgerstone_tls_reloads_total{{result=\"refused\"}} {}", n + 1);
        assert!(desk.metrics.render().unwrap().contains(&refused), "{why}");
        fs::write(path, old).unwrap();
        desk.tls.reload().unwrap();
    }
    fs::remove_file(&cert).unwrap();
    desk.tls.reload().unwrap_err();
    next.write(desk.folder.path(), "server");
    assert!(desk.tls.reload().unwrap(), "whole at last");
    assert_eq!(shown(&desk, &config).await, Hash::of(&next.der));
}

#[tokio::test]
async fn a_client_whose_authority_is_gone_gets_in_no_more_by_a_session_from_before_either() {
    let desk = Desk::new().await;
    let before = desk.client(Some(&desk.clients.good()));
    ask(desk.address, &before).await.unwrap();
    let resumed = connect(desk.address, &before).await.unwrap();
    assert_eq!(resumed.get_ref().1.handshake_kind(), Some(HandshakeKind::Resumed));
    let next = Authority::new("next");
    fs::write(desk.path("clients.pem"), next.pem()).unwrap();
    assert!(desk.tls.reload().unwrap());
    assert!(ask(desk.address, &before).await.is_err());
    assert!(desk.ask(Some(&next.good())).await.is_ok());
}

#[tokio::test]
async fn a_revoked_client_does_not_come_back_by_a_resumed_session() {
    let desk = Desk::with(Ask::CertificateAlways, Versions::Tls13, Some(&|ca| ca.revoked(&[], HOUR))).await;
    let one = desk.clients.good();
    let config = desk.client(Some(&one));
    ask(desk.address, &config).await.unwrap();
    fs::write(desk.path("clients.crl"), desk.clients.revoked(&[&one], HOUR)).unwrap();
    assert!(desk.tls.reload().unwrap());
    assert!(ask(desk.address, &config).await.is_err());
}

#[tokio::test]
async fn a_resumed_session_ends_with_the_certificate_it_began_with() {
    let desk = Desk::new().await;
    let short = desk.clients.issue(&Wanted { to: 3, ..Wanted::default() });
    let config = desk.client(Some(&short));
    ask(desk.address, &config).await.unwrap();
    let began = std::time::Instant::now();
    // Until its certificate is over, a session is resumed as often as it likes; then no more.
    while ask(desk.address, &config).await.is_ok() {
        assert!(began.elapsed().as_secs() < 30, "still let in");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert!(began.elapsed().as_secs() >= 1, "not at once");
    assert!(desk.refused("expired") >= 1);
}
