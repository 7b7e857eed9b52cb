//! Which certificates get in, and what is known of who got in.

use ledgerstone::hash::Hash;
use ledgerstone_sidecar::tls::{Ask, Files, Reloading, TlsError, Versions};
use rcgen::ExtendedKeyUsagePurpose;

use crate::desk::{Desk, ask, client, client_of, connect, impostor};
use crate::pki::{Authority, HOUR, Identity, Wanted};

const SPIFFE: &str = "spiffe://example.org/ns/loans/sa/scorer";

#[tokio::test]
async fn a_client_is_known_by_its_certificate() {
    let desk = Desk::new().await;
    let one = desk.clients.good();
    let said = desk.ask(Some(&one)).await.unwrap();
    assert_eq!(said, format!("{} - localhost", Hash::of(&one.der)));
    let other = desk
        .clients
        .issue(&Wanted { dns: vec!["a.example".into(), "b.example".into()], ..Wanted::uri(SPIFFE) });
    let said = desk.ask(Some(&other)).await.unwrap();
    assert_eq!(said, format!("{} {SPIFFE} a.example,b.example", Hash::of(&other.der)));
}

#[tokio::test]
async fn a_uri_that_is_no_spiffe_id_is_not_taken_for_one() {
    let desk = Desk::new().await;
    let uris = vec!["https://example.org/a".into(), "urn:example:b".into()];
    let one = desk.clients.issue(&Wanted { uris, ..Wanted::default() });
    assert_eq!(desk.ask(Some(&one)).await.unwrap(), format!("{} - localhost", Hash::of(&one.der)));
}

#[tokio::test]
async fn nobody_gets_in_with_a_certificate_that_does_not_hold() {
    let desk = Desk::new().await;
    let other = Authority::new("clients");
    let issue = |wanted: Wanted| desk.clients.issue(&wanted);
    let both = |a: &str, b: &str| Wanted { uris: vec![a.into(), b.into()], ..Wanted::default() };
    let cases: Vec<(&str, Identity, &str)> = vec![
        ("expired", issue(Wanted { to: -60, ..Wanted::default() }), "expired"),
        ("not yet valid", issue(Wanted { from: HOUR / 2, ..Wanted::default() }), "not_yet_valid"),
        ("another authority of the same name", other.good(), "bad_certificate"),
        ("of the authority of servers", desk.servers.good(), "unknown_issuer"),
        (
            "for servers only",
            issue(Wanted { usages: vec![ExtendedKeyUsagePurpose::ServerAuth], ..Wanted::default() }),
            "bad_certificate",
        ),
        ("a SPIFFE id with a port", issue(Wanted::uri("spiffe://example.org:1/a")), "bad_certificate"),
        ("a SPIFFE id with dots", issue(Wanted::uri("spiffe://example.org/a/../b")), "bad_certificate"),
        ("a SPIFFE id in capitals", issue(Wanted::uri("SPIFFE://example.org/a")), "bad_certificate"),
        ("a SPIFFE id without a path", issue(Wanted::uri("spiffe://example.org")), "bad_certificate"),
        ("two SPIFFE ids", issue(both(SPIFFE, "spiffe://example.org/other")), "bad_certificate"),
        ("a SPIFFE id and another URI", issue(both(SPIFFE, "https://example.org/a")), "bad_certificate"),
        (
            "a SPIFFE id of an authority",
            issue(Wanted { is_authority: true, ..Wanted::uri(SPIFFE) }),
            "bad_certificate",
        ),
        (
            "a hundred names and one",
            issue(Wanted { dns: (0..101).map(|n| format!("{n}.example")).collect(), ..Wanted::default() }),
            "bad_certificate",
        ),
    ];
    for (why, identity, reason) in &cases {
        let before = desk.refused(reason);
        desk.ask(Some(identity)).await.expect_err(why);
        assert_eq!(desk.refused(reason), before + 1, "{why}:\n{}", desk.metrics.render().unwrap());
    }
    assert!(desk.ask(None).await.is_err());
    assert_eq!(desk.refused("no_certificate"), 1);
    let (shown, held) = (desk.clients.good(), desk.clients.good());
    let impostor = impostor(&desk.servers.pem(), &shown, &held);
    assert!(ask(desk.address, &impostor).await.is_err(), "the key of another certificate");
    assert!(desk.ask(Some(&shown)).await.is_ok(), "the certificate itself is fine");
}

#[tokio::test]
async fn an_authority_below_the_trusted_one_is_taken_with_its_certificate_and_not_without() {
    let desk = Desk::new().await;
    let below = desk.clients.below("below");
    let one = below.good();
    assert!(desk.ask(Some(&one)).await.is_err());
    assert!(desk.ask(Some(&one.through(&below))).await.is_ok());
}

#[tokio::test]
async fn the_client_refuses_a_port_with_a_certificate_of_another_name_or_authority() {
    let desk = Desk::new().await;
    let one = desk.clients.good();
    let error = ask(desk.address, &client(&desk.clients.pem(), Some(&one))).await.unwrap_err();
    assert!(error.contains("UnknownIssuer"), "{error}");
    let other = desk.servers.issue(&Wanted { dns: vec!["elsewhere".into()], ..Wanted::default() });
    other.write(desk.folder.path(), "server");
    assert!(desk.tls.reload().unwrap());
    let error = desk.ask(Some(&one)).await.unwrap_err();
    assert!(error.contains("not valid for name"), "{error}");
}

#[tokio::test]
async fn a_revoked_certificate_is_refused_and_so_is_every_other_once_the_list_is_out_of_date() {
    let desk = Desk::with(Ask::CertificateAlways, Versions::Tls13, Some(&|ca| ca.revoked(&[], HOUR))).await;
    let (good, bad) = (desk.clients.good(), desk.clients.good());
    assert!(desk.ask(Some(&bad)).await.is_ok(), "not revoked yet");
    let write = |list: String| {
        std::fs::write(desk.path("clients.crl"), list).unwrap();
        assert!(desk.tls.reload().unwrap());
    };
    write(desk.clients.revoked(&[&bad], HOUR));
    assert!(desk.ask(Some(&bad)).await.is_err());
    assert_eq!(desk.refused("revoked"), 1);
    assert!(desk.ask(Some(&good)).await.is_ok());
    write(desk.clients.revoked(&[&bad], -60));
    assert!(desk.ask(Some(&good)).await.is_err(), "whether it was revoked meanwhile is not known");
    assert_eq!(desk.refused("revocation_unknown"), 1);
    write(Authority::new("others").revoked(&[], HOUR));
    assert!(desk.ask(Some(&good)).await.is_err(), "the list of another authority says nothing");
    assert_eq!(desk.refused("revocation_unknown"), 2);
}

#[tokio::test]
async fn what_may_come_without_a_certificate_may_not_come_with_a_wrong_one() {
    let desk = Desk::with(Ask::Certificate, Versions::Tls13, None).await;
    assert_eq!(desk.ask(None).await.unwrap(), "nobody");
    let one = desk.clients.good();
    assert_eq!(desk.ask(Some(&one)).await.unwrap(), format!("{} - localhost", Hash::of(&one.der)));
    assert!(desk.ask(Some(&Authority::new("clients").good())).await.is_err());
    let open = desk.another(Ask::Nothing).await;
    assert_eq!(ask(open, &desk.client(Some(&one))).await.unwrap(), "nobody", "it does not even ask");
}

#[tokio::test]
async fn a_session_begun_where_nothing_is_asked_is_not_resumed_where_a_certificate_is_needed() {
    let desk = Desk::new().await;
    let open = desk.another(Ask::Nothing).await;
    for versions in [&rustls::version::TLS13, &rustls::version::TLS12] {
        let both = Desk::with(Ask::CertificateAlways, Versions::Tls12And13, None).await;
        let (open, desk) = if versions.version == rustls::ProtocolVersion::TLSv1_3 {
            (open, &desk)
        } else {
            (both.another(Ask::Nothing).await, &both)
        };
        let nobody = client_of(&desk.servers.pem(), None, &[versions]);
        assert_eq!(ask(open, &nobody).await.unwrap(), "nobody");
        let resumed = connect(open, &nobody).await.unwrap();
        assert_eq!(
            resumed.get_ref().1.handshake_kind(),
            Some(rustls::HandshakeKind::Resumed),
            "on its own port it is"
        );
        assert!(ask(desk.address, &nobody).await.is_err(), "{versions:?}");
    }
}

#[tokio::test]
async fn version_1_2_is_spoken_only_where_the_configuration_says_so() {
    let (strict, lenient) =
        (Desk::new().await, Desk::with(Ask::CertificateAlways, Versions::Tls12And13, None).await);
    for (desk, may) in [(&strict, false), (&lenient, true)] {
        let one = desk.clients.good();
        let old = client_of(&desk.servers.pem(), Some(&one), &[&rustls::version::TLS12]);
        assert_eq!(ask(desk.address, &old).await.is_ok(), may);
        assert_eq!(desk.refused("incompatible"), u64::from(!may));
        let any = client_of(&desk.servers.pem(), Some(&one), rustls::ALL_VERSIONS);
        let stream = connect(desk.address, &any).await.unwrap();
        let spoken = stream.get_ref().1.protocol_version();
        assert_eq!(spoken, Some(rustls::ProtocolVersion::TLSv1_3), "the best that both have");
    }
}

#[test]
fn files_that_cannot_be_used_are_named() {
    ledgerstone_sidecar::tls::install_crypto_provider();
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new("servers");
    let (cert, key) = authority.good().write(folder.path(), "server");
    let (_, other_key) = authority.good().write(folder.path(), "other");
    let (old, old_key) =
        authority.issue(&Wanted { to: -60, ..Wanted::default() }).write(folder.path(), "old");
    let path = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let (empty, garbage) = (path("empty", ""), path("garbage", "-----BEGIN CERTIFICATE-----\nAA\n-----END"));
    let half = path("half.pem", &authority.good().cert[..200]);
    let large = path("large.pem", &"#".repeat((1 << 20) + 1));
    let nonsense = path("nonsense.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    let ca = path("ca.pem", &authority.pem());
    let files = |cert, key| Files::of(cert, key);
    let with = |client_ca: &std::path::Path, crl: Option<&std::path::Path>| Files {
        client_ca: Some(client_ca.to_owned()),
        crl: crl.map(std::path::Path::to_owned),
        ..Files::of(&cert, &key)
    };
    let missing = folder.path().join("missing");
    for (files, named) in [
        (files(&missing, &key), "missing: "),
        (files(&cert, &missing), "missing: "),
        (files(&empty, &key), "empty cannot be used"),
        (files(&garbage, &key), "garbage cannot be used"),
        (files(&half, &key), "half.pem cannot be used"),
        (files(&nonsense, &key), "nonsense.pem"),
        (files(&key, &key), "server.key cannot be used"),
        (files(&cert, &cert), "server.pem cannot be used"),
        (files(&cert, &other_key), "other.key does not belong to the first certificate in"),
        (files(&large, &key), "large.pem is larger than 1048576 bytes"),
        (files(&old, &old_key), "old.pem has expired"),
        (with(&empty, None), "empty cannot be used"),
        (with(&nonsense, None), "nonsense.pem cannot be used"),
        (with(&ca, Some(&ca)), "ca.pem cannot be used"),
        (with(&ca, Some(&empty)), "empty cannot be used"),
    ] {
        let error: TlsError = Reloading::load(files, Versions::Tls13).unwrap_err();
        assert!(error.to_string().contains(named), "{named}: {error}");
    }
    assert!(Reloading::load(with(&ca, None), Versions::Tls13).is_ok());
}
