//! OpenSSL's authority checked here, and the library's checked by OpenSSL.

use ledgerstone::anchor::rfc3161::authority::{Authority, AuthorityError};
use ledgerstone::anchor::rfc3161::{
    Digest, Failure, Imprint, Request, StampError, Trust, checks, examine, verify,
};
use ledgerstone::check::Status;
use ledgerstone::code::Code;
use ledgerstone::time::UnixMillis;

use crate::pki::{CA, EC, Pki, STAMPING, has_openssl, soon};

pub const DATA: &[u8] = b"a statement's bytes";
const YEAR: u64 = 365 * 86_400_000;

/// An authority of the library's that is valid now, and what trusts it.
pub fn local() -> (Authority, Trust) {
    // From 2020-01-01 on, past 2050 where certificates write times in another way: the same in every run.
    let from = UnixMillis::new(1_577_836_800_000);
    let authority =
        Authority::create(&[7; 32], "A local authority", from, from.plus_millis(35 * YEAR)).unwrap();
    let mut trust = Trust::default();
    trust.add_roots(authority.root_pem().as_bytes()).unwrap();
    (authority, trust)
}

/// A folder with OpenSSL's authority: `signer` of `key` below `middle` below `root`.
pub fn openssl_authority(key: &str, settings: &str) -> Pki {
    let pki = Pki::new();
    pki.certificate("middle", Some("root"), EC, &CA);
    pki.certificate("signer", Some("middle"), key, &[STAMPING, "keyUsage=critical,digitalSignature"]);
    let chain = [pki.read("middle.pem"), pki.read("root.pem")].concat();
    pki.write("chain.pem", &chain);
    pki.write("serial", b"0F\n");
    pki.write(
        "tsa.cnf",
        format!(
            "[tsa]\ndefault_tsa = t\n[t]\nserial = serial\nsigner_cert = signer.pem\ncerts = chain.pem\nsigner_key = signer.key\n\
             default_policy = 1.2.3.4.1\nother_policies = 1.2.3.4.5\ndigests = sha256, sha384, sha512\n{settings}\n"
        )
        .as_bytes(),
    );
    pki
}

/// OpenSSL's reply to a request.
pub fn ask(pki: &Pki, request: &Request) -> Vec<u8> {
    pki.write("request.tsq", &request.encode());
    pki.openssl("ts -reply -config tsa.cnf -queryfile request.tsq -out reply.tsr");
    pki.read("reply.tsr")
}

pub fn roots(pki: &Pki) -> Trust {
    let mut trust = Trust::default();
    trust.add_roots(&pki.read("root.pem")).unwrap();
    trust
}

#[test]
fn replies_of_openssl_verify_with_every_kind_of_key() {
    if !has_openssl() {
        return;
    }
    for (key, settings) in [
        (
            EC,
            "signer_digest = sha256\naccuracy = secs:1, millisecs:500, microsecs:100\nordering = yes\ntsa_name = yes",
        ),
        ("-newkey ec -pkeyopt ec_paramgen_curve:P-384", "signer_digest = sha384\nclock_precision_digits = 3"),
        ("-newkey rsa:2048", "signer_digest = sha256\ness_cert_id_alg = sha1"),
        ("-newkey rsa:3072", "signer_digest = sha512\ness_cert_id_alg = sha512\ness_cert_id_chain = yes"),
    ] {
        let pki = openssl_authority(key, settings);
        let mut request = Request::new(Imprint::of(DATA), 0xfedc_ba98_7654_3210);
        request.policy = Some("1.2.3.4.5".parse().unwrap());
        let reply = ask(&pki, &request);
        let mut trust = roots(&pki);
        trust.add_policy("1.2.3.4.5".parse().unwrap());
        let verified = verify(&reply, &Imprint::of(DATA), request.nonce, &trust).expect(key);
        assert_eq!(verified.stamp.policy.to_string(), "1.2.3.4.5");
        assert_eq!(verified.stamp.serial, "10", "one past the number in the file");
        assert_eq!(verified.stamp.signer.subject, "CN=signer");
        let subjects: Vec<_> = verified.path.certificates.iter().map(|one| one.subject.as_str()).collect();
        assert_eq!(subjects, ["CN=signer", "CN=middle", "CN=root"]);
        assert!(
            verified.stamp.time.millis_since(UnixMillis::new(soon().get() - 3_700_000)) < 200_000,
            "{key}"
        );
        let exact = settings.contains("accuracy");
        assert_eq!(verified.stamp.accuracy_micros, exact.then_some(1_500_100));
        assert_eq!(verified.stamp.ordering, exact);
        pki.write("data", DATA);
        pki.openssl("ts -verify -in reply.tsr -queryfile request.tsq -CAfile root.pem");
        pki.openssl("ts -verify -in reply.tsr -data data -CAfile root.pem");
    }
}

#[test]
fn a_trusted_policy_and_the_nonce_are_asked_for() {
    if !has_openssl() {
        return;
    }
    let pki = openssl_authority(EC, "signer_digest = sha256");
    let request = Request::new(Imprint::of(DATA), 5);
    let reply = ask(&pki, &request);
    let mut trust = roots(&pki);
    let imprint = Imprint::of(DATA);
    verify(&reply, &imprint, Some(5), &trust).unwrap();
    verify(&reply, &imprint, None, &trust).unwrap();
    assert_eq!(verify(&reply, &imprint, Some(6), &trust), Err(StampError::Nonce));
    trust.add_policy("1.2.3.4.5".parse().unwrap());
    let refused = verify(&reply, &imprint, Some(5), &trust);
    assert_eq!(refused, Err(StampError::Policy { found: "1.2.3.4.1".into() }));
    let unasked = ask(&pki, &Request { nonce: None, ..request });
    assert_eq!(examine(&unasked, &imprint, Some(5), &Trust::default()), Err(StampError::Nonce));
    assert_eq!(verify(&unasked, &imprint, None, &Trust::default()), Err(StampError::NoRoots));
}

#[test]
fn a_refusal_of_openssl_is_told_with_its_reason() {
    if !has_openssl() {
        return;
    }
    let pki = openssl_authority(EC, "signer_digest = sha256");
    let mut request = Request::new(Imprint::of(DATA), 5);
    request.policy = Some("1.2.3.4.9".parse().unwrap());
    let refused =
        examine(&ask(&pki, &request), &request.imprint, request.nonce, &Trust::default()).unwrap_err();
    let text = "Requested policy is not supported.".to_owned();
    assert_eq!(refused, StampError::Rejected { status: 2, failure: Some(Failure::UnacceptedPolicy), text });
    assert_eq!((refused.code(), refused.is_transient()), (Code::Misuse, false));
    assert!(
        refused.to_string().contains("unacceptedPolicy, \"Requested policy is not supported.\""),
        "{refused}"
    );
}

#[test]
fn openssl_verifies_what_the_library_answers() {
    if !has_openssl() {
        return;
    }
    let pki = Pki::new();
    let (authority, trust) = local();
    pki.write("local.pem", authority.root_pem().as_bytes());
    pki.write("data", DATA);
    for (query, serial) in [
        ("-sha256 -cert", 1),
        ("-sha384 -cert", 127),
        ("-sha512 -cert -no_nonce", 128),
        ("-sha256 -cert -tspolicy 1.3.6.1.4.1.32473.3161.1", u64::MAX),
    ] {
        pki.openssl(&format!("ts -query -data data {query} -out query.tsq"));
        let request = Request::parse(&pki.read("query.tsq")).unwrap();
        assert_eq!(request.encode(), pki.read("query.tsq"), "{query}");
        let at = soon().plus_millis(serial % 1000);
        let reply = authority.answer(&request.encode(), at, serial);
        pki.write("reply.tsr", &reply);
        pki.openssl("ts -verify -in reply.tsr -queryfile query.tsq -CAfile local.pem");
        pki.openssl("ts -verify -in reply.tsr -data data -CAfile local.pem");
        pki.openssl("x509 -in local.pem -noout -text");
        let verified = verify(&reply, &request.imprint, request.nonce, &trust).unwrap();
        assert_eq!((verified.stamp.time, &verified.stamp.policy), (at, &authority.policy()));
        assert_eq!(u64::from_str_radix(&verified.stamp.serial, 16), Ok(serial));
        pki.write("data", DATA);
    }
    pki.write("other", b"other bytes");
    assert!(!pki.try_openssl("ts -verify -in reply.tsr -data other -CAfile local.pem").0);
    assert!(!pki.try_openssl("ts -verify -in reply.tsr -data data -CAfile root.pem").0);
}

#[test]
fn the_library_refuses_what_it_cannot_stamp_with_a_reason_that_openssl_prints() {
    if !has_openssl() {
        return;
    }
    let pki = Pki::new();
    let (authority, _) = local();
    let request = Request::new(Imprint::of(DATA), 5);
    let with_policy = Request { policy: Some("1.2.3".parse().unwrap()), ..request.clone() };
    let mut sha1 = request.encode();
    let at = sha1.windows(9).position(|window| window == [0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1]).unwrap();
    sha1[at + 8] = 8;
    let mut extended = request.encode();
    extended.extend([0xa0, 2, 0x30, 0]);
    extended[1] += 4;
    let late = UnixMillis::new(soon().get() + 40 * YEAR);
    for (bytes, at, failure, name) in [
        (with_policy.encode(), soon(), Failure::UnacceptedPolicy, "policy"),
        (sha1, soon(), Failure::BadAlgorithm, "algorithm"),
        (extended, soon(), Failure::UnacceptedExtension, "extension"),
        (b"no request".to_vec(), soon(), Failure::BadDataFormat, "format"),
        (vec![0; 1025], soon(), Failure::BadRequest, "not permitted"),
        (request.encode(), late, Failure::TimeNotAvailable, "time source"),
    ] {
        let reply = authority.answer(&bytes, at, 1);
        let refused = examine(&reply, &request.imprint, None, &Trust::default()).unwrap_err();
        assert!(
            matches!(&refused, StampError::Rejected { status: 2, failure: Some(found), text }
                if *found == failure && !text.is_empty()),
            "{refused:?}"
        );
        assert_eq!(refused.is_transient(), failure == Failure::TimeNotAvailable);
        pki.write("refused.tsr", &reply);
        let (_, printed) = pki.try_openssl("ts -reply -in refused.tsr -text");
        assert!(printed.contains("Rejected.") && printed.contains(name), "{printed}");
    }
}

#[test]
fn an_authority_is_made_from_its_seed_alone() {
    let (first, again) = (local().0, local().0);
    assert_eq!(first.root_pem(), again.root_pem());
    let request = Request::new(Imprint::of(DATA), 5).encode();
    let now = soon();
    assert_eq!(first.answer(&request, now, 1), again.answer(&request, now, 1));
    let other = Authority::create(&[8; 32], "A local authority", now, now.plus_millis(YEAR)).unwrap();
    assert_ne!(first.root_pem(), other.root_pem());
    let reply = other.answer(&request, now, 1);
    let refused = verify(&reply, &Imprint::of(DATA), None, &local().1).unwrap_err();
    assert!(
        matches!(&refused, StampError::Signature { of } if of == "certificate of CN=A local authority"),
        "{refused}"
    );
    let fails = |name: &str, to| Authority::create(&[8; 32], name, now, to).unwrap_err();
    assert_eq!(fails("", now.plus_millis(YEAR)), AuthorityError::Name);
    assert_eq!(fails(&"x".repeat(60), now.plus_millis(YEAR)), AuthorityError::Name);
    assert_eq!(fails("x", now), AuthorityError::Validity);
    assert_eq!(fails("x", UnixMillis::new(u64::MAX)), AuthorityError::Validity);
    assert!(!format!("{other:?}").contains("key"));
}

#[test]
fn a_report_names_what_each_check_rests_on() {
    let (authority, trust) = local();
    let reply = authority.answer(&Request::new(Imprint::of(DATA), 5).encode(), soon(), 1);
    let outcome = |trust: Option<&Trust>, data: &[u8], reply: &[u8]| {
        checks(data, reply, trust)
            .into_iter()
            .map(|check| (check.name.as_str(), check.status))
            .collect::<Vec<_>>()
    };
    let (token, certificate) = ("anchor.rfc3161.token", "anchor.rfc3161.certificate");
    let all = checks(DATA, &reply, Some(&trust));
    assert_eq!(outcome(Some(&trust), DATA, &reply), [(token, Status::Passed), (certificate, Status::Passed)]);
    let basis = all[0].rests_on.as_ref().unwrap();
    assert!(basis.starts_with("the certificate of CN=A local authority (serial "), "{basis}");
    let basis = all[1].rests_on.as_ref().unwrap();
    assert!(basis.starts_with("the trusted root CN=A local authority root (serial "), "{basis}");
    assert!(all[1].detail.contains("no revocation list"), "{}", all[1].detail);
    assert_eq!(outcome(None, DATA, &reply), [(token, Status::Passed), (certificate, Status::NotChecked)]);
    let none = Some(&trust);
    assert_eq!(outcome(none, b"other", &reply), [(token, Status::Failed), (certificate, Status::NotChecked)]);
    assert_eq!(outcome(none, DATA, b"junk"), [(token, Status::Failed), (certificate, Status::NotChecked)]);
    assert_eq!(checks(b"other", &reply, None)[0].code, Some(Code::Inconsistent));
    let bare = Request { certificates: false, ..Request::new(Imprint::of(DATA), 5) };
    let bare = authority.answer(&bare.encode(), soon(), 1);
    assert_eq!(outcome(none, DATA, &bare), [(token, Status::NotChecked), (certificate, Status::NotChecked)]);
}

#[test]
fn requests_are_read_strictly() {
    let request = Request::new(Imprint::new(Digest::Sha384, &[3; 48]).unwrap(), 1 << 63);
    let bytes = request.encode();
    assert_eq!(Request::parse(&bytes), Ok(request));
    for end in 0..bytes.len() {
        assert!(Request::parse(&bytes[..end]).is_err(), "{end}");
    }
    assert!(Request::parse(&[&bytes[..], &[0]].concat()).is_err());
    assert_eq!(Imprint::new(Digest::Sha256, &[0; 31]), None);
}
