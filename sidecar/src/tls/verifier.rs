//! Checks the certificates of clients.

use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, SignatureScheme,
};

use super::certificate::Leaf;
use super::error::TlsError;
use super::provider;
use super::reloading::Clients;

/// The checks of `rustls` on the chain, and ours on what its leaf says.
#[derive(Debug)]
pub(super) struct Verifier {
    chain: Arc<dyn ClientCertVerifier>,
}

impl Verifier {
    /// For ports that ask for a certificate, and for ports that need one.
    pub(super) fn pair(clients: &Clients) -> Result<Option<[Arc<dyn ClientCertVerifier>; 2]>, TlsError> {
        let Clients::Of { roots, crls, from } = clients else { return Ok(None) };
        let roots = Arc::new(roots.clone());
        let builder = || {
            let builder = WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), provider());
            builder.with_crls(crls.iter().cloned()).enforce_revocation_expiration()
        };
        let refused = |reason| TlsError::Clients { from: from.clone(), reason };
        let asked = builder().allow_unauthenticated().build().map_err(refused)?;
        let needed = builder().build().map_err(refused)?;
        Ok(Some([asked, needed].map(|chain| Arc::new(Self { chain }) as Arc<dyn ClientCertVerifier>)))
    }
}

impl ClientCertVerifier for Verifier {
    fn offer_client_auth(&self) -> bool {
        self.chain.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.chain.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.chain.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.chain.verify_client_cert(end_entity, intermediates, now)?;
        let told = |error| Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(error))));
        Leaf::read(end_entity).map_err(told)?;
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
}
