//! Certificate, key and authorities from the SPIFFE Workload API.
//!
//! Guarantees: each message of the API is taken whole or not at all; a client is checked against the bundle of the trust domain that its
//! SPIFFE id names, and no other (Workload API, section 4.6); while the agent is away the last SVID is served on, and clients refuse it once it has ended; what
//! the agent takes back is served no more. Implements the client of `FetchX509SVID` (Workload API, section 5; Workload Endpoint,
//! sections 3 to 6), of the SVIDs the first, which is the default identity (section 5.3).

use std::collections::BTreeMap;
use std::str::FromStr as _;
use std::time::Duration;

use http::uri::PathAndQuery;
use ledgerstone::grpc::screened;
use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::time::{Instant, timeout_at};
use tonic::metadata::MetadataValue;
use tonic::transport::Endpoint;
use tonic::{Request, Status, Streaming};
use tonic_prost::ProstCodec;
use x509_cert::der::{Reader as _, SliceReader};

use self::messages::{X509Svid, X509SvidRequest, X509SvidResponse};
use super::certificate::Leaf;
use super::error::TlsError;
use super::reloading::{Clients, Material, Reloading, Versions};
use super::spiffe::SpiffeId;
use crate::telemetry::with_causes;

mod messages;

/// How long the first SVID may take: an agent that starts with the pod has synchronised its entries by then.
const FIRST: Duration = Duration::from_secs(30);

/// Pauses between attempts to reach the agent: the first, and the longest, which doubling leads to.
const PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(30));

/// Bytes of one message: a hundred SVIDs of 8 KiB, and as many bundles of four authorities of 2 KiB, are under 2 MiB.
const MESSAGE_BYTES_MAX: usize = 4 << 20;

/// Certificates of one chain or bundle.
const CERTIFICATES_MAX: usize = 100;

/// Trust domains that are federated with.
const DOMAINS_MAX: usize = 1000;

/// The method that is called.
const METHOD: &str = "/SpiffeWorkloadAPI/FetchX509SVID";

/// What every call must say, so that nobody is tricked into making one (Workload Endpoint, section 6).
const HEADER: &str = "workload.spiffe.io";

/// An agent's Workload API.
#[derive(Clone, Debug)]
pub(super) struct WorkloadApi {
    address: String,
    endpoint: Endpoint,
}

/// Reads the address of a Workload API: `unix:/PATH` or `unix:///PATH`.
#[must_use]
pub fn socket(text: &str) -> Option<String> {
    let path = text.strip_prefix("unix:")?;
    let path = path.strip_prefix("//").unwrap_or(path);
    (path.starts_with('/') && path.len() > 1).then(|| format!("unix:{path}"))
}

impl Reloading {
    /// Takes certificate, key and the authorities of clients from the Workload API at `address`, `unix:/PATH`. Waits for the agent if
    /// it is not there yet.
    ///
    /// # Errors
    /// [`TlsError`] if it gives nothing that can be used within 30 seconds.
    pub async fn from_workload_api(address: &str, versions: Versions) -> Result<Self, TlsError> {
        let refused = |reason: String| TlsError::WorkloadApi { address: address.to_owned(), reason };
        let endpoint =
            Endpoint::from_shared(address.to_owned()).map_err(|error| refused(error.to_string()))?;
        let api = WorkloadApi { address: address.to_owned(), endpoint };
        let (until, mut pause, mut reason) =
            (Instant::now() + FIRST, PAUSES.0, "it does not answer".to_owned());
        loop {
            match timeout_at(until, api.first()).await {
                Err(_) => return Err(refused(reason)),
                Ok(Ok(material)) => return Self::from_material(api, &material, versions),
                Ok(Err(why)) if Instant::now() >= until => return Err(refused(why)),
                Ok(Err(why)) => reason = why,
            }
            tokio::time::sleep_until(until.min(Instant::now() + pause)).await;
            pause = PAUSES.1.min(pause * 2);
        }
    }

    /// Follows what the agent says, for ever.
    pub(super) async fn follow_workload_api(self, api: WorkloadApi) {
        let mut pause = PAUSES.0;
        loop {
            let ended = self.follow_stream(&api, &mut pause).await;
            if let Err(status) = &ended
                && status.code() == tonic::Code::PermissionDenied
            {
                self.withdraw();
                tracing::error!(
                    address = api.address,
                    "the Workload API gives this workload no certificate any more: no port takes connections until it does"
                );
            } else {
                let why = ended
                    .map_or_else(|status| status.message().to_owned(), |()| "it ended the call".to_owned());
                tracing::warn!(address = api.address, %why, "the Workload API is away; TLS goes on with what it gave last");
            }
            tokio::time::sleep(pause).await;
            pause = PAUSES.1.min(pause * 2);
        }
    }

    async fn follow_stream(&self, api: &WorkloadApi, pause: &mut Duration) -> Result<(), Status> {
        let mut stream = api.stream().await?;
        while let Some(message) = stream.message().await? {
            *pause = PAUSES.0;
            let material = material(message, &api.address);
            match material.and_then(|material| self.replace(&material)) {
                Ok(()) => tracing::info!("TLS goes on with a new certificate of the Workload API"),
                Err(error) => {
                    tracing::error!(
                        error = with_causes(&error),
                        "TLS goes on with the old certificate: the new one cannot be used"
                    );
                }
            }
        }
        Ok(())
    }
}

impl WorkloadApi {
    /// What the agent says first.
    async fn first(&self) -> Result<Material, String> {
        let told =
            |status: Status| format!("{}: {}", crate::metrics::code_name(status.code()), status.message());
        let mut stream = self.stream().await.map_err(told)?;
        let message = stream.message().await.map_err(told)?.ok_or("it ended the call without an answer")?;
        material(message, &self.address).map_err(|error| error.to_string())
    }

    async fn stream(&self) -> Result<Streaming<X509SvidResponse>, Status> {
        let away = |error: tonic::transport::Error| Status::unavailable(with_causes(&error));
        let channel = self.endpoint.connect().await.map_err(away)?;
        let mut client =
            tonic::client::Grpc::new(screened(channel)).max_decoding_message_size(MESSAGE_BYTES_MAX);
        client.ready().await.map_err(away)?;
        let mut request = Request::new(X509SvidRequest {});
        request.metadata_mut().insert(HEADER, MetadataValue::from_static("true"));
        let codec: ProstCodec<X509SvidRequest, X509SvidResponse> = ProstCodec::default();
        let path = PathAndQuery::from_str(METHOD).map_err(|_| Status::internal("the path of the method"))?;
        Ok(client.server_streaming(request, path, codec).await?.into_inner())
    }
}

/// Whether `message`, the bytes of one `X509SVIDResponse`, holds what a port can be served with.
///
/// # Errors
/// [`TlsError`] says what is missing or malformed.
pub fn check_message(message: &[u8]) -> Result<(), TlsError> {
    let address = "the Workload API";
    let expected = "an X509SVIDResponse";
    let message = <X509SvidResponse as prost::Message>::decode(message)
        .map_err(|_| TlsError::Unusable { from: address.to_owned(), expected })?;
    material(message, address).map(|_| ())
}

/// Reads one message.
fn material(message: X509SvidResponse, address: &str) -> Result<Material, TlsError> {
    let unusable = |expected| TlsError::Unusable { from: format!("what {address} gave"), expected };
    let X509SvidResponse { svids, crl, federated_bundles } = message;
    let mut svid = svids.into_iter().next().ok_or_else(|| unusable("an SVID"))?;
    let chain = certificates(&svid.x509_svid).ok_or_else(|| unusable("the SVID's certificates"))?;
    let id = SpiffeId::parse(&svid.spiffe_id).map_err(|_| unusable("the SVID's SPIFFE id"))?;
    let leaf = chain.first().and_then(|leaf| Leaf::read(leaf).ok()).and_then(|leaf| leaf.id);
    if leaf.as_ref() != Some(&id) {
        return Err(unusable("an SVID whose certificate has its SPIFFE id"));
    }
    let mut domains = BTreeMap::new();
    let own = bundle(&svid.bundle).ok_or_else(|| unusable("the bundle of the SVID's trust domain"))?;
    if federated_bundles.len() > DOMAINS_MAX {
        return Err(unusable("at most 1,000 federated bundles"));
    }
    for (domain, bytes) in &federated_bundles {
        let domain = SpiffeId::parse(domain).ok().filter(|domain| domain.path().is_empty());
        let domain = domain.ok_or_else(|| unusable("federated bundles by trust domain"))?;
        let roots = bundle(bytes).ok_or_else(|| unusable("federated bundles"))?;
        domains.insert(domain.trust_domain().to_owned(), roots);
    }
    // Last, so that no federated bundle stands in the place of our own.
    domains.insert(id.trust_domain().to_owned(), own);
    let crls = crl.into_iter().map(CertificateRevocationListDer::from).collect();
    let key = std::mem::take(&mut svid.x509_svid_key);
    Ok(Material {
        chain,
        key: PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key)),
        clients: Clients::OfDomains { domains, crls, from: address.to_owned() },
        cert_from: address.to_owned(),
        key_from: address.to_owned(),
    })
}

/// The certificates that stand one after the other in `der`; at least one.
fn certificates(der: &[u8]) -> Option<Vec<CertificateDer<'static>>> {
    let mut reader = SliceReader::new(der).ok()?;
    let mut certificates = Vec::new();
    while !reader.is_finished() {
        if certificates.len() == CERTIFICATES_MAX {
            return None;
        }
        certificates.push(CertificateDer::from(reader.tlv_bytes().ok()?.to_vec()));
    }
    (!certificates.is_empty()).then_some(certificates)
}

fn bundle(der: &[u8]) -> Option<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for der in certificates(der)? {
        roots.add(der).ok()?;
    }
    Some(roots)
}

impl Drop for X509Svid {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.x509_svid_key);
    }
}
