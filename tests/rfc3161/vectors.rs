//! The replies of `trailofbits/rfc3161-client`, with the verdicts that its tests give.

use std::path::PathBuf;

use ledgerstone::anchor::rfc3161::{Digest, Imprint, Request, StampError, Trust, examine, verify};

fn vectors() -> Option<PathBuf> {
    let ci = std::env::var_os("CI").is_some_and(|ci| ci == "true");
    match std::env::var_os("LEDGERSTONE_VECTORS").map(|dir| PathBuf::from(dir).join("rfc3161")) {
        Some(path) if path.exists() => Some(path),
        _ if ci => panic!("LEDGERSTONE_VECTORS has no rfc3161: under CI=true the vectors must be there"),
        _ => {
            println!(
                "skipped: LEDGERSTONE_VECTORS has no rfc3161, which leaves out 4 replies and 2 requests"
            );
            None
        }
    }
}

/// The certificates of a `ts_chain.pem`: the authority's first, the root last.
fn chain(path: &PathBuf) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap();
    let blocks = text.split_inclusive("-----END CERTIFICATE-----");
    blocks.filter(|block| block.contains("BEGIN")).map(str::to_owned).collect()
}

fn trust(chain: &[String]) -> Trust {
    let mut trust = Trust::default();
    let (root, others) = chain.split_last().unwrap();
    trust.add_roots(root.as_bytes()).unwrap();
    for certificate in others {
        trust.add_certificates(certificate.as_bytes()).unwrap();
    }
    trust
}

fn hello() -> Imprint {
    Imprint::new(Digest::Sha512, &Digest::Sha512.of(b"hello")).unwrap()
}

#[test]
fn outside_replies_have_their_verdicts() {
    let Some(dir) = vectors() else { return };
    let read = |name: &str| std::fs::read(dir.join("test_tsa").join(name)).unwrap();
    let chain = chain(&dir.join("test_tsa/ts_chain.pem"));
    let trust = trust(&chain);
    let nonce = |name| Request::parse(&read(name)).unwrap().nonce;
    let (own, other) = (nonce("request.der"), nonce("other_request.der"));
    assert!(own.is_some() && other.is_some() && own != other);
    let verified = verify(&read("response.tsr"), &hello(), own, &trust).unwrap();
    assert_eq!(verified.stamp.time.to_string(), "2024-10-08T15:40:32.000Z");
    assert_eq!(verified.stamp.accuracy_micros, Some(1_000_000));
    assert_eq!(verified.stamp.serial, "797035501f358571fed54952bebbd000497461dc");
    assert_eq!(verified.stamp.policy.to_string(), "1.3.6.1.4.1.57264.2");
    assert_eq!(verified.stamp.signer.subject, "CN=Test TSA Timestamping,O=local");
    assert_eq!(verified.path.certificates.len(), 3);
    // Another reply for the same bytes: it answers neither of the requests, and was made by an authority of the same names whose
    // root had another key.
    for nonce in [own, other] {
        assert_eq!(verify(&read("other_response.tsr"), &hello(), nonce, &trust), Err(StampError::Nonce));
    }
    examine(&read("other_response.tsr"), &hello(), None, &trust).unwrap();
    let of = "certificate of CN=Test TSA Timestamping,O=local".to_owned();
    let refused = verify(&read("other_response.tsr"), &hello(), None, &trust);
    assert_eq!(refused, Err(StampError::Signature { of }));
    let wrong = Imprint::new(Digest::Sha512, &[0; 64]).unwrap();
    let refused = verify(&read("response.tsr"), &wrong, own, &trust);
    assert!(matches!(refused, Err(StampError::Imprint { .. })), "{refused:?}");
    let refused = verify(&read("response.tsr"), &Imprint::of(b"hello"), own, &trust);
    assert!(matches!(refused, Err(StampError::Imprint { .. })), "{refused:?}");
}

#[test]
fn injected_certificates_are_not_taken_for_the_signers() {
    let Some(dir) = vectors() else { return };
    let reply = std::fs::read(dir.join("test_tsa/response-injected-certs.tsr")).unwrap();
    let trust = trust(&chain(&dir.join("test_tsa/ts_chain.pem")));
    // The token names its true signer, and the spoofed certificates have no part in its path.
    let stamp = examine(&reply, &hello(), None, &trust).unwrap();
    assert_eq!(stamp.signer.subject, "CN=Test TSA Timestamping,O=local");
    let refused = verify(&reply, &hello(), None, &trust).unwrap_err();
    assert_eq!(refused, StampError::Stranger { subject: "CN=Spoofed TSA".into() });
}

#[test]
fn a_certificate_that_has_expired_since_does_not_matter() {
    let Some(dir) = vectors() else { return };
    let read = |name: &str| std::fs::read(dir.join("sigstore.mock").join(name)).unwrap();
    let chain = chain(&dir.join("sigstore.mock/ts_chain.pem"));
    let imprint = Imprint::of(&read("payload"));
    let verified = verify(&read("response-expired.tsr"), &imprint, None, &trust(&chain)).unwrap();
    assert_eq!(verified.stamp.time.to_string(), "2023-02-01T00:00:00.000Z");
    // It carries no certificate, so that without the authority's nothing can be said.
    let mut root = Trust::default();
    root.add_roots(chain.last().unwrap().as_bytes()).unwrap();
    assert_eq!(verify(&read("response-expired.tsr"), &imprint, None, &root), Err(StampError::NoCertificate));
}
