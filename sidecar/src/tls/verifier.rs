//! Checks the certificates of clients.

use std::collections::BTreeMap;
use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientCertVerifierBuilder, WebPkiClientVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, RootCertStore,
    SignatureScheme,
};

use super::certificate::Leaf;
use super::error::TlsError;
use super::provider;
use super::reloading::Clients;

/// The checks of `rustls` on the chain, and ours on what its leaf says.
#[derive(Clone, Debug)]
pub(super) struct Verifier {
    chains: Chains,
    /// The names of the authorities, for clients that have several certificates.
    hints: Arc<[DistinguishedName]>,
    algorithms: WebPkiSupportedAlgorithms,
    is_mandatory: bool,
}

/// Which authorities a chain must lead to.
#[derive(Clone, Debug)]
enum Chains {
    /// To one of these.
    Any(Arc<dyn ClientCertVerifier>),
    /// To one of those of the trust domain that the leaf's SPIFFE id names.
    OfDomain(Arc<BTreeMap<String, Arc<dyn ClientCertVerifier>>>),
}

impl Verifier {
    /// For ports that ask for a certificate, and for ports that need one.
    pub(super) fn pair(clients: &Clients) -> Result<Option<[Arc<dyn ClientCertVerifier>; 2]>, TlsError> {
        let (chains, hints) = match clients {
            Clients::NotAsked => return Ok(None),
            Clients::Of { roots, crls, from } => {
                // Whoever gives lists means every authority: one without a list, or with one that is out of date, is refused.
                let builder = builder(roots, crls).enforce_revocation_expiration();
                (Chains::Any(build(builder, from)?), roots.subjects())
            }
            Clients::OfDomains { domains, crls, from } => {
                // The API gives the lists that there are (Workload API, section 5.1).
                let chain = |roots| build(builder(roots, crls).allow_unknown_revocation_status(), from);
                let chains = domains.iter().map(|(name, roots)| Ok((name.clone(), chain(roots)?)));
                (Chains::OfDomain(Arc::new(chains.collect::<Result<_, TlsError>>()?)), Vec::new())
            }
        };
        let algorithms = provider().signature_verification_algorithms;
        let asked = Self { chains, hints: hints.into(), algorithms, is_mandatory: false };
        let needed = Self { is_mandatory: true, ..asked.clone() };
        Ok(Some([Arc::new(asked), Arc::new(needed)]))
    }
}

fn builder(
    roots: &RootCertStore,
    crls: &[CertificateRevocationListDer<'static>],
) -> ClientCertVerifierBuilder {
    let roots = Arc::new(roots.clone());
    WebPkiClientVerifier::builder_with_provider(roots, provider()).with_crls(crls.iter().cloned())
}

fn build(builder: ClientCertVerifierBuilder, from: &str) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    builder.build().map_err(|reason| TlsError::Clients { from: from.to_owned(), reason })
}

impl ClientCertVerifier for Verifier {
    fn client_auth_mandatory(&self) -> bool {
        self.is_mandatory
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.hints
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let read = || {
            let told =
                |error| Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(error))));
            Leaf::read(end_entity).map_err(told)
        };
        match &self.chains {
            Chains::Any(chain) => {
                let verified = chain.verify_client_cert(end_entity, intermediates, now)?;
                read().map(|_| verified)
            }
            Chains::OfDomain(domains) => {
                let id = read()?.id;
                let domain = id.and_then(|id| domains.get(id.trust_domain()));
                let domain = domain.ok_or(Error::InvalidCertificate(CertificateError::UnknownIssuer))?;
                domain.verify_client_cert(end_entity, intermediates, now)
            }
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
