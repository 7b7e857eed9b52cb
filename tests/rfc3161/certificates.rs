//! Certificates, paths and revocation lists that break one rule each.

use ledgerstone::anchor::rfc3161::{
    Imprint, PolicyId, PurposeFault, StampError, Trust, TrustError, checks, examine, verify,
};
use ledgerstone::check::Status;

use crate::authority::{DATA, roots};
use crate::pki::{CA, EC, Info, Pki, STAMPING, has_openssl};

/// A reply of `signer`, whose certificate `issuer` signed with these extensions, with the certificates of `chain`.
fn reply(pki: &Pki, issuer: &str, extensions: &[&str], chain: &[&str]) -> Vec<u8> {
    pki.certificate("signer", Some(issuer), EC, extensions);
    pki.reply("signer", chain, &Info::of(DATA).der(), "-cades")
}

fn refused(reply: &[u8], trust: &Trust) -> StampError {
    verify(reply, &Imprint::of(DATA), None, trust).unwrap_err()
}

#[test]
fn a_certificate_for_anything_but_timestamps_is_refused() {
    if !has_openssl() {
        return;
    }
    let pki = Pki::new();
    let trust = roots(&pki);
    let signs = "keyUsage=critical,digitalSignature";
    let commits = "keyUsage=critical,nonRepudiation";
    for good in [&[STAMPING][..], &[STAMPING, signs], &[STAMPING, commits]] {
        verify(&reply(&pki, "root", good, &[]), &Imprint::of(DATA), None, &trust).unwrap();
    }
    let unknown = PurposeFault::CriticalExtension("2.5.29.30".into());
    for (extensions, fault) in [
        (&[signs][..], PurposeFault::NoExtendedKeyUsage),
        (&["extendedKeyUsage=timeStamping"], PurposeFault::NotCritical),
        (&["extendedKeyUsage=critical,codeSigning"], PurposeFault::OtherPurposes),
        (&["extendedKeyUsage=critical,timeStamping,codeSigning"], PurposeFault::OtherPurposes),
        (&["extendedKeyUsage=critical,timeStamping,timeStamping"], PurposeFault::OtherPurposes),
        (&["extendedKeyUsage=critical,2.5.29.37.0"], PurposeFault::OtherPurposes),
        (&[STAMPING, "keyUsage=critical,keyEncipherment"], PurposeFault::KeyUsage),
        (&[STAMPING, "nameConstraints=critical,permitted;DNS:x"], unknown),
    ] {
        let reply = reply(&pki, "root", extensions, &[]);
        let found = refused(&reply, &trust);
        assert_eq!(found, StampError::Purpose { subject: "CN=signer".into(), fault }, "{extensions:?}");
        // Without any root it is known too, and a client does not keep such a reply.
        assert_eq!(checks(DATA, &reply, None)[1].status, Status::Failed);
        assert_eq!(examine(&reply, &Imprint::of(DATA), None, &Trust::default()), Err(found));
    }
}

#[test]
fn a_certificate_counts_at_the_tokens_time_alone() {
    if !has_openssl() {
        return;
    }
    let pki = Pki::new();
    let trust = roots(&pki);
    pki.certificate("signer", Some("root"), EC, &[STAMPING]);
    for (time, is_valid) in
        [("20200101000000Z", false), ("20990101000000Z", false), ("20300101000000Z", true)]
    {
        let info = Info { time: time.into(), ..Info::of(DATA) };
        let reply = pki.reply("signer", &[], &info.der(), "-cades");
        match verify(&reply, &Imprint::of(DATA), None, &trust) {
            Ok(_) => assert!(is_valid, "{time}"),
            Err(StampError::NotValidThen { subject, not_before, not_after, at }) => {
                assert_eq!(subject, "CN=signer");
                assert!(!is_valid && (at < not_before || not_after < at), "{time}");
                assert_eq!(checks(DATA, &reply, None)[1].status, Status::Failed);
            }
            Err(other) => panic!("{time}: {other}"),
        }
    }
    // A root or an authority between that was not valid then does not hold either.
    pki.openssl("req -x509 -config req.cnf -new -key root.key -subj /CN=root -days 1 -out brief.pem -addext basicConstraints=critical,CA:TRUE");
    let info = Info { time: "20300101000000Z".into(), ..Info::of(DATA) };
    let reply = pki.reply("signer", &[], &info.der(), "-cades");
    let mut brief = Trust::default();
    brief.add_roots(&pki.read("brief.pem")).unwrap();
    let found = refused(&reply, &brief);
    assert!(matches!(&found, StampError::NotValidThen { subject, .. } if subject == "CN=root"), "{found}");
}

#[test]
fn a_path_ends_at_a_trusted_root_and_nowhere_else() {
    if !has_openssl() {
        return;
    }
    let pki = Pki::new();
    pki.certificate("middle", Some("root"), EC, &CA);
    pki.certificate("stranger", None, EC, &CA);
    let whole = reply(&pki, "middle", &[STAMPING], &["middle", "root"]);
    verify(&whole, &Imprint::of(DATA), None, &roots(&pki)).unwrap();
    // The root in the reply is not a root because the reply says so.
    let mut other = Trust::default();
    other.add_roots(&pki.read("stranger.pem")).unwrap();
    let no_path =
        |subject: &str, issuer: &str| StampError::NoPath { subject: subject.into(), issuer: issuer.into() };
    assert_eq!(refused(&whole, &other), no_path("CN=root", "CN=root"));
    assert_eq!(refused(&whole, &Trust::default()), StampError::NoRoots);
    // Another root of the same name.
    pki.named("imitation", "root", None, EC, &CA);
    let mut imitation = Trust::default();
    imitation.add_roots(&pki.read("imitation.pem")).unwrap();
    assert_eq!(refused(&whole, &imitation), StampError::Signature { of: "certificate of CN=middle".into() });
    // Beside the true one it does not matter.
    let mut both = imitation;
    both.add_roots(&pki.read("root.pem")).unwrap();
    verify(&whole, &Imprint::of(DATA), None, &both).unwrap();
    // Without the certificate between, until the auditor adds it.
    let short = pki.reply("signer", &[], &Info::of(DATA).der(), "-cades");
    assert_eq!(refused(&short, &roots(&pki)), no_path("CN=signer", "CN=middle"));
    let mut helped = roots(&pki);
    helped.add_certificates(&pki.read("middle.pem")).unwrap();
    verify(&short, &Imprint::of(DATA), None, &helped).unwrap();
    // An authority's own certificate may be trusted, and one between.
    for trusted in ["signer", "middle"] {
        let mut own = Trust::default();
        own.add_roots(&pki.read(&format!("{trusted}.pem"))).unwrap();
        let path = verify(&short, &Imprint::of(DATA), None, &own).unwrap().path;
        assert_eq!(path.certificates.last().unwrap().subject, format!("CN={trusted}"));
    }
}

#[test]
fn a_certificate_that_has_no_part_in_the_path_is_refused() {
    if !has_openssl() {
        return;
    }
    let pki = Pki::new();
    pki.certificate("stranger", None, EC, &CA);
    let injected = reply(&pki, "root", &[STAMPING], &["stranger"]);
    assert_eq!(refused(&injected, &roots(&pki)), StampError::Stranger { subject: "CN=stranger".into() });
    let mut known = roots(&pki);
    known.add_certificates(&pki.read("stranger.pem")).unwrap();
    verify(&injected, &Imprint::of(DATA), None, &known).unwrap();
    // A certificate by which an older root vouches for the trusted one: authorities send it for the sake of old clients.
    pki.named("cross", "root", Some("stranger"), "-key root.key", &CA);
    let crossed = reply(&pki, "root", &[STAMPING], &["cross"]);
    verify(&crossed, &Imprint::of(DATA), None, &roots(&pki)).unwrap();
    // Whoever trusts only the older one gets there by it.
    let mut older = Trust::default();
    older.add_roots(&pki.read("stranger.pem")).unwrap();
    let path = verify(&crossed, &Imprint::of(DATA), None, &older).unwrap().path;
    assert_eq!(path.certificates.len(), 3);
}

#[test]
fn an_exchanged_certificate_is_refused() {
    if !has_openssl() {
        return;
    }
    let pki = Pki::new();
    let trust = |name: &str| {
        let mut trust = roots(&pki);
        trust.add_certificates(&pki.read(&format!("{name}.pem"))).unwrap();
        trust
    };
    let issue = |file: &str, serial: u8, key: &str, more: &str| {
        pki.openssl(&format!(
            "req -x509 -config req.cnf -new {key} -nodes -CA root.pem -CAkey root.key -subj /CN=signer -days 3650 \
             -set_serial {serial} -addext {STAMPING} {more} -out {file}.pem"
        ));
    };
    issue("signer", 7, &format!("{EC} -keyout signer.key"), "");
    issue("number", 8, "-key signer.key", "");
    issue("content", 7, "-key signer.key", "-addext subjectAltName=DNS:exchanged");
    let reply = pki.reply("signer", &[], &Info::of(DATA).der(), "-cades -nocerts");
    verify(&reply, &Imprint::of(DATA), None, &trust("signer")).unwrap();
    assert_eq!(refused(&reply, &trust("number")), StampError::NoCertificate);
    assert_eq!(refused(&reply, &trust("content")), StampError::Binding { subject: "CN=signer".into() });
    // Both at hand: the bound one is taken.
    let mut both = trust("content");
    both.add_certificates(&pki.read("signer.pem")).unwrap();
    verify(&reply, &Imprint::of(DATA), None, &both).unwrap();
}

#[test]
fn an_issuer_must_be_allowed_to_issue() {
    if !has_openssl() {
        return;
    }
    let pki = Pki::new();
    let trust = roots(&pki);
    let ca = "basicConstraints=critical,CA:TRUE";
    for good in [
        &[ca][..],
        &CA,
        &[ca, "extendedKeyUsage=timeStamping,codeSigning"],
        &[ca, "extendedKeyUsage=2.5.29.37.0"],
    ] {
        pki.certificate("middle", Some("root"), EC, good);
        verify(&reply(&pki, "middle", &[STAMPING], &["middle"]), &Imprint::of(DATA), None, &trust).unwrap();
    }
    for (extensions, fault) in [
        (&["keyUsage=critical,keyCertSign"][..], PurposeFault::NotAnAuthority),
        (&["basicConstraints=critical,CA:FALSE"], PurposeFault::NotAnAuthority),
        (&[], PurposeFault::NotAnAuthority),
        (&[ca, "keyUsage=critical,digitalSignature"], PurposeFault::KeyUsage),
        (&[ca, "extendedKeyUsage=codeSigning"], PurposeFault::OtherPurposes),
        (
            &[ca, "nameConstraints=critical,permitted;DNS:x"],
            PurposeFault::CriticalExtension("2.5.29.30".into()),
        ),
    ] {
        pki.certificate("middle", Some("root"), EC, extensions);
        let found = refused(&reply(&pki, "middle", &[STAMPING], &["middle"]), &trust);
        assert_eq!(found, StampError::NotAnIssuer { subject: "CN=middle".into(), fault }, "{extensions:?}");
    }
    // One authority may stand below `upper`, and two do.
    pki.certificate("upper", Some("root"), EC, &["basicConstraints=critical,CA:TRUE,pathlen:0"]);
    pki.certificate("middle", Some("upper"), EC, &CA);
    let found = refused(&reply(&pki, "middle", &[STAMPING], &["middle", "upper"]), &trust);
    let fault = PurposeFault::PathLength { allowed: 0, found: 1 };
    assert_eq!(found, StampError::NotAnIssuer { subject: "CN=upper".into(), fault });
    pki.certificate("upper", Some("root"), EC, &["basicConstraints=critical,CA:TRUE,pathlen:1"]);
    pki.certificate("middle", Some("upper"), EC, &CA);
    verify(&reply(&pki, "middle", &[STAMPING], &["middle", "upper"]), &Imprint::of(DATA), None, &trust)
        .unwrap();
}

#[test]
fn a_certificate_of_version_1_may_issue_only_where_it_is_trusted_as_a_root() {
    if !has_openssl() {
        return;
    }
    let pki = Pki::new();
    pki.openssl(&format!("req -config req.cnf -new {EC} -nodes -subj /CN=old -keyout old.key -out old.csr"));
    pki.openssl("x509 -req -in old.csr -CA root.pem -CAkey root.key -set_serial 3 -days 3650 -out old.pem");
    let reply = reply(&pki, "old", &[STAMPING], &["old"]);
    let found = refused(&reply, &roots(&pki));
    assert_eq!(
        found,
        StampError::NotAnIssuer { subject: "CN=old".into(), fault: PurposeFault::NotAnAuthority }
    );
    let mut old = Trust::default();
    old.add_roots(&pki.read("old.pem")).unwrap();
    assert_eq!(verify(&reply, &Imprint::of(DATA), None, &old).unwrap().path.certificates.len(), 2);
}

#[test]
fn paths_and_certificates_are_bounded() {
    if !has_openssl() {
        return;
    }
    let pki = Pki::new();
    let trust = roots(&pki);
    let names: Vec<String> = (1..=7).map(|number| format!("ca{number}")).collect();
    for (number, name) in names.iter().enumerate() {
        let issuer = if number == 0 { "root" } else { names[number - 1].as_str() };
        pki.certificate(name, Some(issuer), EC, &CA);
    }
    let chain: Vec<&str> = names.iter().map(String::as_str).collect();
    let longest = reply(&pki, "ca6", &[STAMPING], &chain[..6]);
    assert_eq!(verify(&longest, &Imprint::of(DATA), None, &trust).unwrap().path.certificates.len(), 8);
    let longer = reply(&pki, "ca7", &[STAMPING], &chain);
    assert_eq!(refused(&longer, &trust), StampError::PathTooLong { max: 8 });
    // Many issuers of one name that all certify each other: the search ends.
    let mut crowd = Vec::new();
    for number in 0..15 {
        let name = format!("crowd{number}");
        pki.named(&name, "crowd", None, EC, &CA);
        crowd.push(name);
    }
    pki.named("crowdroot", "crowd", None, EC, &CA);
    let crowd: Vec<&str> = crowd.iter().map(String::as_str).collect();
    let crowded = reply(&pki, "crowdroot", &[STAMPING], &crowd);
    let found = refused(&crowded, &trust);
    assert!(matches!(found, StampError::Signature { .. } | StampError::PathTooLong { .. }), "{found}");
    pki.named("one_more", "crowd", None, EC, &CA);
    let many: Vec<&str> = crowd.iter().copied().chain(["one_more"]).collect();
    let found = refused(&pki.reply("signer", &many, &Info::of(DATA).der(), "-cades"), &trust);
    assert_eq!(found, StampError::TooMany { what: "certificates", max: 16 });
    let found = refused(&vec![0x30; 64 * 1024 + 1], &trust);
    assert_eq!(found, StampError::TooLong { bytes: 64 * 1024 + 1, max: 64 * 1024 });
}

#[test]
fn a_revoked_certificate_is_refused_as_its_reason_says() {
    if !has_openssl() {
        return;
    }
    let pki = Pki::new();
    pki.certificate("middle", Some("root"), EC, &CA);
    let reply = reply(&pki, "middle", &[STAMPING], &["middle"]);
    let (serial, middle) = (pki.serial("signer"), pki.serial("middle"));
    let judge = |lists: &[Vec<u8>]| {
        let mut trust = roots(&pki);
        for list in lists {
            trust.add_revocation_lists(list).unwrap();
        }
        verify(&reply, &Imprint::of(DATA), None, &trust).map(|verified| verified.path.revocation_checked)
    };
    let (late, early) = ("20300101000000Z", "20200101000000Z");
    let (after, before) = ("290101000000Z", "210101000000Z");
    let list = |at: &str, revoked: &[(&str, &str)]| pki.revocation_list("middle", at, revoked, "");
    assert_eq!(judge(&[]), Ok(0));
    assert_eq!(judge(&[list(late, &[])]), Ok(1));
    assert_eq!(judge(&[list(early, &[])]), Ok(0), "a list from before the token says nothing of its time");
    assert_eq!(judge(&[list(late, &[(before, "7777")])]), Ok(1), "somebody else was revoked");
    let upper = pki.revocation_list("root", late, &[], "");
    assert_eq!(judge(&[list(late, &[]), upper]), Ok(2));
    for reason in ["", ",keyCompromise", ",superseded", ",cessationOfOperation", ",certificateHold"] {
        let since = format!("{before}{reason}");
        let found = judge(&[list(late, &[(&since, &serial)])]);
        assert!(
            matches!(&found, Err(StampError::Revoked { subject, .. }) if subject == "CN=signer"),
            "{reason}: {found:?}"
        );
    }
    // Revoked after the token: it holds if the reason says that the key was in nobody else's hands, and only then.
    for (reason, holds) in [
        ("", false),
        (",keyCompromise", false),
        (",CACompromise", false),
        (",superseded", true),
        (",affiliationChanged", true),
        (",cessationOfOperation", true),
    ] {
        let since = format!("{after}{reason}");
        assert_eq!(judge(&[list(late, &[(&since, &serial)])]).is_ok(), holds, "{reason}");
    }
    // An authority between that was revoked takes those below it along.
    let upper = pki.revocation_list("root", late, &[(&format!("{before},keyCompromise"), &middle)], "");
    let found = judge(&[upper]);
    assert!(
        matches!(&found, Err(StampError::Revoked { subject, .. }) if subject == "CN=middle"),
        "{found:?}"
    );
}

#[test]
fn a_revocation_list_that_its_issuer_did_not_sign_is_not_believed() {
    if !has_openssl() {
        return;
    }
    let pki = Pki::new();
    let reply = reply(&pki, "root", &[STAMPING], &[]);
    pki.named("imitation", "root", None, EC, &CA);
    let trust = |list: &[u8]| {
        let mut trust = roots(&pki);
        trust.add_revocation_lists(list).unwrap();
        trust
    };
    let list = pki.revocation_list("imitation", "20300101000000Z", &[], "");
    assert_eq!(
        refused(&reply, &trust(&list)),
        StampError::Signature { of: "revocation list of CN=root".into() }
    );
    let list = pki.revocation_list(
        "root",
        "20300101000000Z",
        &[],
        "crl_extensions = e\n[e]\nissuingDistributionPoint = critical,@i\n[i]\nonlyuser = TRUE",
    );
    let found = refused(&reply, &trust(&list));
    assert_eq!(found, StampError::RevocationList { issuer: "CN=root".into(), extension: "2.5.29.28".into() });
    // A root that may not sign lists.
    pki.openssl("req -x509 -config req.cnf -new -key root.key -subj /CN=root -days 3650 -out root.pem -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign");
    let list = pki.revocation_list("root", "20300101000000Z", &[], "");
    let found = refused(&reply, &trust(&list));
    assert_eq!(found, StampError::NotAnIssuer { subject: "CN=root".into(), fault: PurposeFault::KeyUsage });
}

#[test]
fn trust_is_read_from_pem_and_der_and_nothing_else() {
    let (authority, trust) = crate::authority::local();
    let pem = authority.root_pem();
    let base64: String = pem.lines().filter(|line| !line.starts_with("--")).collect();
    let der = ledgerstone::encoding::base64_decode(&base64).unwrap();
    let mut same = Trust::default();
    same.add_roots(&der).unwrap();
    same.add_roots(format!("a comment\n{pem}\nanother\n{pem}").as_bytes()).unwrap();
    assert_eq!(same, trust, "one root, however often it is given");
    let mut none = Trust::default();
    let what = "certificate";
    assert_eq!(none.add_roots(b""), Err(TrustError::NotOne { what }));
    assert_eq!(none.add_roots(&[0xff]), Err(TrustError::NotOne { what }));
    assert_eq!(
        none.add_roots(pem.replace("CERTIFICATE", "PUBLIC KEY").as_bytes()),
        Err(TrustError::NotOne { what })
    );
    assert_eq!(
        none.add_roots(pem.split("-----END").next().unwrap().as_bytes()),
        Err(TrustError::NotOne { what })
    );
    for end in 1..der.len() {
        assert!(none.add_roots(&der[..end]).is_err(), "{end}");
    }
    assert!(none.add_revocation_lists(&der).is_err());
    let long = vec![b' '; 1024 * 8 * 1024 + 1];
    assert!(matches!(none.add_roots(&long), Err(TrustError::TooMany { .. })));
    let long = vec![b' '; 32 * 1024 * 1024 + 1];
    assert!(matches!(none.add_revocation_lists(&long), Err(TrustError::TooMany { .. })));
    assert!(!none.has_roots());
    assert_eq!("1.2.03".parse::<PolicyId>(), Err(TrustError::Policy));
    assert_eq!("policy".parse::<PolicyId>(), Err(TrustError::Policy));
    assert_eq!("1.2.3".parse::<PolicyId>().unwrap().to_string(), "1.2.3");
}
