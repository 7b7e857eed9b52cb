//! Tokens that break one rule each: status, content, signer, attributes, algorithms.

use ledgerstone::anchor::rfc3161::{Imprint, Request, StampError, Trust, checks, examine, verify};
use ledgerstone::check::Status;
use ledgerstone::code::Code;

use crate::authority::{DATA, local, roots};
use crate::pki::{CA, EC, Info, Node, Pki, STAMPING, der, has_openssl, soon};

/// A folder with `signer` below `root`.
fn signed() -> Pki {
    let pki = Pki::new();
    pki.certificate("signer", Some("root"), EC, &[STAMPING]);
    pki
}

fn refused(reply: &[u8], trust: &Trust) -> StampError {
    verify(reply, &Imprint::of(DATA), None, trust).unwrap_err()
}

#[test]
fn a_token_made_by_hand_verifies_and_its_fields_are_read() {
    if !has_openssl() {
        return;
    }
    let pki = signed();
    let trust = roots(&pki);
    let at = soon();
    let mut info = Info::of(DATA);
    info.time = crate::pki::generalized(at).replace('Z', ".0625Z");
    info.nonce = Some(77);
    for options in ["-cades", "-cades -keyid", "-cades -md sha384", "-cades -md sha256"] {
        let reply = pki.reply("signer", &[], &info.der(), options);
        let stamp = verify(&reply, &Imprint::of(DATA), Some(77), &trust).expect(options).stamp;
        assert_eq!(stamp.time, at.plus_millis(62), "{options}");
        assert!(!stamp.claims_qualified);
    }
    // The statement of a qualified timestamp (ETSI EN 319 422, section 9.1), in an extension that is not critical.
    let statement = der(0x30, &[&der(0x30, &[&[6, 7, 4, 0, 0x81, 0x97, 0x5e, 1, 1]])]);
    let extension = der(0x30, &[&[6, 8, 0x2b, 6, 1, 5, 5, 7, 1, 3], &der(4, &[&statement])]);
    info.rest = der(0xa1, &[&extension]);
    let reply = pki.reply("signer", &[], &info.der(), "-cades");
    let stamp = examine(&reply, &Imprint::of(DATA), Some(77), &Trust::default()).unwrap();
    assert!(stamp.claims_qualified);
    let detail = checks(DATA, &reply, Some(&trust)).remove(0).detail;
    assert!(detail.ends_with("it says that it is a qualified timestamp"), "{detail}");
}

#[test]
fn a_token_for_other_bytes_or_changed_after_it_was_signed_is_refused() {
    if !has_openssl() {
        return;
    }
    let pki = signed();
    let trust = roots(&pki);
    let other = pki.reply("signer", &[], &Info::of(b"other bytes").der(), "-cades");
    let found = refused(&other, &trust);
    assert!(matches!(found, StampError::Imprint { .. }), "{found}");
    assert_eq!(found.code(), Code::Inconsistent);
    // The same 32 bytes, said to be of SHA3-256.
    let mut named = Info::of(DATA).der();
    let at = named.windows(4).position(|window| window == [3, 4, 2, 1]).unwrap();
    named[at + 3] = 8;
    let found = refused(&pki.reply("signer", &[], &named, "-cades"), &trust);
    assert!(matches!(&found, StampError::Imprint { found, .. } if found == "SHA3-256"), "{found}");
    // The imprint that is asked for, put where the signed one was.
    let mut tree = Node::parse(&other);
    *tree.signed_data().at(&[2, 1, 0]) = Node::Leaf(4, Info::of(DATA).der());
    assert_eq!(refused(&tree.der(), &trust), StampError::Content);
    let mut later = Info::of(DATA);
    later.time = "20300101000000Z".into();
    let mut tree = Node::parse(&pki.reply("signer", &[], &Info::of(DATA).der(), "-cades"));
    *tree.signed_data().at(&[2, 1, 0]) = Node::Leaf(4, later.der());
    assert_eq!(refused(&tree.der(), &trust), StampError::Content);
    // With its digest in the attributes changed too, the signature does not hold.
    let digest = ledgerstone::hash::Hash::of(&later.der());
    for attribute in tree.signer().at(&[3]).children() {
        if matches!(attribute.at(&[0]), Node::Leaf(6, oid) if oid.last() == Some(&4)) {
            *attribute.at(&[1, 0]) = Node::Leaf(4, digest.as_bytes().to_vec());
        }
    }
    assert_eq!(refused(&tree.der(), &trust), StampError::Signature { of: "token".into() });
}

#[test]
fn a_status_other_than_granted_is_refused() {
    let (authority, trust) = local();
    let reply = authority.answer(&Request::new(Imprint::of(DATA), 5).encode(), soon(), 1);
    let with_status = |parts: &[&[u8]]| {
        let mut tree = Node::parse(&reply);
        *tree.at(&[0]) = Node::parse(&der(0x30, parts));
        refused(&tree.der(), &trust)
    };
    assert_eq!(with_status(&[&[2, 1, 1]]), StampError::GrantedWithModifications);
    let found = with_status(&[&[2, 1, 3]]);
    assert!(matches!(found, StampError::Rejected { status: 3, failure: None, .. }), "{found}");
    assert!(found.is_transient());
    let found = with_status(&[&[2, 1, 2], &[3, 2, 0, 0x80]]);
    assert!(!found.is_transient() && found.to_string().contains("badAlg"), "{found}");
    // A failure beside *granted* contradicts it.
    assert_eq!(with_status(&[&[2, 1, 0], &[3, 2, 0, 0x80]]), StampError::Malformed("status of the reply"));
    // A refusal's text cannot break out of its line.
    let text = der(0x30, &[&der(12, &[b"no\n\x1b[31m"])]);
    let found = with_status(&[&[2, 1, 2], &text]);
    assert!(found.to_string().contains(r"no\0A\1B[31m"), "{found}");
    // Text beside *granted* is not signed, is common, and says nothing.
    let mut tree = Node::parse(&reply);
    tree.at(&[0]).children().push(Node::parse(&der(0x30, &[&der(12, &[b"Operation Okay"])])));
    let plain = verify(&reply, &Imprint::of(DATA), Some(5), &trust).unwrap();
    assert_eq!(verify(&tree.der(), &Imprint::of(DATA), Some(5), &trust).unwrap(), plain);
}

#[test]
fn there_is_one_signer_with_signed_attributes_that_bind_its_certificate() {
    if !has_openssl() {
        return;
    }
    let pki = signed();
    let trust = roots(&pki);
    let info = Info::of(DATA).der();
    pki.certificate("second", Some("root"), EC, &[STAMPING]);
    let both = pki.reply("signer", &[], &info, "-cades -signer second.pem -inkey second.key");
    assert_eq!(refused(&both, &trust), StampError::Signers);
    let unbound = pki.reply("signer", &[], &info, "");
    assert_eq!(refused(&unbound, &trust), StampError::Attribute("signingCertificate"));
    let bare = pki.reply("signer", &[], &info, "-noattr");
    assert_eq!(refused(&bare, &trust), StampError::Malformed("signer of the token"));
    let good = pki.reply("signer", &[], &info, "-cades");
    for (last, refusal) in [
        (3, StampError::Attribute("contentType")),
        (4, StampError::Attribute("messageDigest")),
        (47, StampError::Attribute("signingCertificate")),
    ] {
        let is_it =
            |node: &Node| matches!(node.clone().at(&[0]), Node::Leaf(6, oid) if oid.last() == Some(&last));
        let mut tree = Node::parse(&good);
        let attributes = tree.signer().at(&[3]).children();
        let found = attributes.iter().position(is_it).unwrap();
        let attribute = attributes.remove(found);
        assert_eq!(refused(&tree.der(), &trust), refusal);
        let mut twice = Node::parse(&good);
        twice.signer().at(&[3]).children().push(attribute);
        let found = refused(&twice.der(), &trust);
        assert!(matches!(found, StampError::Repeated(_)), "{found}");
    }
    // Signed as another type of content than a TSTInfo.
    pki.write("info.der", &info);
    pki.openssl(
        "cms -sign -binary -nodetach -in info.der -signer signer.pem -inkey signer.key -cades -outform DER -out token.der",
    );
    let other = der(0x30, &[&der(0x30, &[&[2, 1, 0]]), &pki.read("token.der")]);
    assert!(matches!(refused(&other, &trust), StampError::Malformed(_)));
    let mut tree = Node::parse(&good);
    *tree.signed_data().at(&[2, 0]) = Node::Leaf(6, vec![0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 1]);
    assert_eq!(refused(&tree.der(), &trust), StampError::Malformed("content of the token"));
    let mut none = Node::parse(&good);
    none.signed_data().children().last_mut().unwrap().children().clear();
    assert!(matches!(refused(&none.der(), &trust), StampError::Malformed(_)));
}

#[test]
fn what_nobody_signed_is_refused() {
    if !has_openssl() {
        return;
    }
    let pki = signed();
    let trust = roots(&pki);
    let good = pki.reply("signer", &[], &Info::of(DATA).der(), "-cades");
    verify(&good, &Imprint::of(DATA), None, &trust).unwrap();
    let mut tree = Node::parse(&good);
    let attribute = tree.signer().at(&[3, 0]).clone();
    tree.signer().children().push(Node::Tree(0xa1, vec![attribute]));
    assert_eq!(refused(&tree.der(), &trust), StampError::Unsigned("unsigned attributes"));
    let mut tree = Node::parse(&good);
    tree.signed_data().children().insert(4, Node::Tree(0xa1, vec![Node::Tree(0x30, Vec::new())]));
    assert_eq!(refused(&tree.der(), &trust), StampError::Unsigned("revocation lists"));
    let mut tree = Node::parse(&good);
    *tree.signed_data().at(&[0]) = Node::Leaf(2, vec![4]);
    assert_eq!(refused(&tree.der(), &trust), StampError::Malformed("version of the signed data"));
    // The same number in two bytes.
    let mut tree = Node::parse(&good);
    *tree.signed_data().at(&[0]) = Node::Leaf(2, vec![0, 3]);
    assert_eq!(refused(&tree.der(), &trust), StampError::Malformed("signed data of the token"));
    let mut tree = Node::parse(&good);
    let digest = tree.signed_data().at(&[1, 0]).clone();
    tree.signed_data().at(&[1]).children().push(digest);
    assert_eq!(refused(&tree.der(), &trust), StampError::Malformed("digest algorithms of the token"));
    let mut tree = Node::parse(&good);
    *tree.signer().at(&[0]) = Node::Leaf(2, vec![2]);
    assert_eq!(refused(&tree.der(), &trust), StampError::Malformed("signer of the token"));
}

#[test]
fn a_tst_info_in_another_form_is_refused() {
    if !has_openssl() {
        return;
    }
    let pki = signed();
    let trust = roots(&pki);
    let stamp = |info: &[u8]| refused(&pki.reply("signer", &[], info, "-cades"), &trust);
    let with = |time: &str, rest: &[u8]| {
        let mut info = Info::of(DATA);
        time.clone_into(&mut info.time);
        info.rest = rest.to_vec();
        stamp(&info.der())
    };
    let time = crate::pki::generalized(soon());
    for text in
        ["20300101000000", "203001010000Z", "20300101000000.10Z", "20300101000000+0100", "20301301000000Z"]
    {
        assert_eq!(with(text, &[]), StampError::Malformed("genTime"), "{text}");
    }
    // Accuracy: milliseconds from 1 to 999; a time and a half of a field more is too much.
    for accuracy in [&[0x30, 3, 0x80, 1, 0][..], &[0x30, 4, 0x80, 2, 3, 0xe8], &[0x30, 3, 0x82, 1, 1]] {
        assert_eq!(with(&time, accuracy), StampError::Malformed("accuracy"), "{accuracy:?}");
    }
    assert_eq!(with(&time, &[1, 1, 7]), StampError::Malformed("TSTInfo"));
    assert_eq!(with(&time, &[5, 0]), StampError::Malformed("TSTInfo"));
    // A critical extension that is not known.
    let extension = der(0x30, &[&[6, 2, 0x2a, 3], &[1, 1, 0xff], &[4, 0]]);
    let extensions = der(0xa1, &[&extension]);
    assert_eq!(with(&time, &extensions), StampError::Malformed("extensions of the TSTInfo"));
    let mut version = Info::of(DATA).der();
    version[4] = 2;
    assert_eq!(stamp(&version), StampError::Malformed("TSTInfo"));
    // `tsa` is the certificate's name, or the token is refused.
    let name = |text: &[u8]| {
        let pair = der(0x30, &[&[6, 3, 0x55, 4, 3], &der(12, &[text])]);
        der(0xa0, &[&der(0xa4, &[&der(0x30, &[&der(0x31, &[&pair])])])])
    };
    assert_eq!(with(&time, &name(b"somebody")), StampError::Authority { subject: "CN=signer".into() });
    let mut info = Info::of(DATA);
    info.rest = name(b"signer");
    let reply = pki.reply("signer", &[], &info.der(), "-cades");
    verify(&reply, &Imprint::of(DATA), None, &trust).unwrap();
}

#[test]
fn every_supported_algorithm_verifies_and_every_other_is_told_by_name() {
    if !has_openssl() {
        return;
    }
    let pki = Pki::new();
    let trust = roots(&pki);
    let curve = |name: &str| format!("-newkey ec -pkeyopt ec_paramgen_curve:{name}");
    let pss = "-keyopt rsa_padding_mode:pss -keyopt rsa_pss_saltlen:-1";
    let info = Info::of(DATA).der();
    for (number, (key, options, unsupported)) in [
        (curve("P-256"), "-md sha256".to_owned(), None),
        (curve("P-256"), "-md sha384".to_owned(), None),
        (curve("P-384"), "-md sha256".to_owned(), None),
        (curve("P-384"), "-md sha384".to_owned(), None),
        ("-newkey rsa:2048".to_owned(), "-md sha256".to_owned(), None),
        ("-newkey rsa:2048".to_owned(), "-md sha384".to_owned(), None),
        ("-newkey rsa:2048".to_owned(), format!("-md sha256 {pss}"), None),
        ("-newkey rsa:2048".to_owned(), format!("-md sha384 {pss}"), None),
        ("-newkey rsa:2048".to_owned(), format!("-md sha512 {pss}"), None),
        (
            "-newkey rsa:2048".to_owned(),
            "-md sha256 -keyopt rsa_padding_mode:pss -keyopt rsa_pss_saltlen:20".to_owned(),
            Some("RSASSA-PSS with RSA"),
        ),
        (curve("P-521"), "-md sha256".to_owned(), Some("ECDSA with SHA-256 with ECDSA key on P-521")),
        (curve("P-384"), "-md sha512".to_owned(), Some("ECDSA with SHA-512 with ECDSA key on P-384")),
        (curve("secp256k1"), "-md sha256".to_owned(), Some("ECDSA with SHA-256 with ECDSA key on secp256k1")),
        ("-newkey rsa:2048".to_owned(), "-md sha1".to_owned(), Some("SHA-1")),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("signer{number}");
        pki.certificate(&name, Some("root"), &key, &[STAMPING]);
        let reply = pki.reply(&name, &[], &info, &format!("-cades {options}"));
        match (verify(&reply, &Imprint::of(DATA), None, &trust), unsupported) {
            (Ok(_), None) => {}
            (Err(StampError::Unsupported { algorithm, of }), Some(name)) => {
                assert_eq!((algorithm.as_str(), of.as_str()), (name, "token"));
                let statuses = checks(DATA, &reply, Some(&trust));
                assert!(statuses.iter().all(|check| check.status == Status::NotChecked), "{key} {options}");
            }
            (found, _) => panic!("{key} {options}: {found:?}"),
        }
    }
    // RSA of 1,024 bits is too short for any signature to hold.
    pki.certificate("short", Some("root"), "-newkey rsa:1024", &[STAMPING]);
    let reply = pki.reply("short", &[], &info, "-cades");
    assert_eq!(refused(&reply, &trust), StampError::Signature { of: "token".into() });
}

#[test]
fn ed25519_signs_certificates_and_tokens() {
    if !has_openssl() {
        return;
    }
    let pki = Pki::new();
    pki.certificate("edroot", None, "-newkey ed25519", &CA);
    pki.certificate("signer", Some("edroot"), EC, &[STAMPING]);
    let mut trust = Trust::default();
    trust.add_roots(&pki.read("edroot.pem")).unwrap();
    let reply = pki.reply("signer", &[], &Info::of(DATA).der(), "-cades");
    verify(&reply, &Imprint::of(DATA), None, &trust).unwrap();
    // The token's signature made by hand: OpenSSL before 3.2 makes none with Ed25519 in CMS.
    pki.certificate("ed", Some("root"), "-newkey ed25519", &[STAMPING]);
    pki.openssl("x509 -in ed.pem -outform DER -out ed.der");
    let mut tree = Node::parse(&reply);
    let mut certificate = Node::parse(&pki.read("ed.der"));
    let (issuer, serial) = (certificate.at(&[0, 3]).clone(), certificate.at(&[0, 1]).clone());
    *tree.signed_data().at(&[3]) = Node::Tree(0xa0, vec![certificate.clone()]);
    *tree.signer().at(&[1]) = Node::Tree(0x30, vec![issuer, serial]);
    let hash = ledgerstone::hash::Hash::of(&certificate.der());
    for attribute in tree.signer().at(&[3]).children() {
        if matches!(attribute.at(&[0]), Node::Leaf(6, oid) if oid.last() == Some(&47)) {
            let id = Node::Tree(0x30, vec![Node::Leaf(4, hash.as_bytes().to_vec())]);
            *attribute.at(&[1, 0]) = Node::Tree(0x30, vec![Node::Tree(0x30, vec![id])]);
        }
    }
    let mut attributes: Vec<Vec<u8>> = tree.signer().at(&[3]).children().iter().map(Node::der).collect();
    attributes.sort();
    *tree.signer().at(&[3]) = Node::parse(&der(0xa0, &[&attributes.concat()]));
    pki.write("attributes", &der(0x31, &[&attributes.concat()]));
    pki.openssl("pkeyutl -sign -inkey ed.key -rawin -in attributes -out signature");
    *tree.signer().at(&[4]) = Node::Tree(0x30, vec![Node::Leaf(6, vec![0x2b, 0x65, 0x70])]);
    *tree.signer().at(&[5]) = Node::Leaf(4, pki.read("signature"));
    let verified = verify(&tree.der(), &Imprint::of(DATA), None, &roots(&pki)).unwrap();
    assert_eq!(verified.stamp.signer.subject, "CN=ed");
    pki.write("attributes", b"something else");
    pki.openssl("pkeyutl -sign -inkey ed.key -rawin -in attributes -out signature");
    *tree.signer().at(&[5]) = Node::Leaf(4, pki.read("signature"));
    assert_eq!(refused(&tree.der(), &roots(&pki)), StampError::Signature { of: "token".into() });
}
