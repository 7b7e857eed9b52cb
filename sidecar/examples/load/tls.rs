//! Certificates of the measurement: both sides show one, as on the ports of a sidecar with `client_ca_file`.

use std::path::Path;

use ledgerstone_sidecar::tls::{Files, Reloading, Versions, install_crypto_provider};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tonic::transport::{Certificate, ClientTlsConfig, Identity};

/// What each side has.
pub(crate) struct Certificates {
    pub(crate) server: Reloading,
    pub(crate) client: ClientTlsConfig,
}

/// Makes an authority, and a certificate of it for each side.
pub(crate) fn certificates(folder: &Path) -> Certificates {
    install_crypto_provider();
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let issue = || {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        (params.signed_by(&key, &authority).unwrap().pem(), key.serialize_pem())
    };
    let (cert, key) = issue();
    let path = |name: &str, text: &str| {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let (cert, key) = (path("server.pem", &cert), path("server.key", &key));
    let client_ca = Some(path("ca.pem", &authority.pem()));
    let server = Reloading::load(Files { client_ca, ..Files::of(&cert, &key) }, Versions::Tls13).unwrap();
    let (cert, key) = issue();
    let client = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(authority.pem()));
    let client = client.domain_name("localhost").identity(Identity::from_pem(cert, key));
    Certificates { server, client }
}
