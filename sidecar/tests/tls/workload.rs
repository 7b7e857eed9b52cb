//! Certificates from a SPIFFE Workload API: a small server of this test's own that speaks the published protocol over a unix socket.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use ledgerstone::hash::Hash;
use ledgerstone_sidecar::listen::Counts;
use ledgerstone_sidecar::tls::{Ask, Reloading, TlsError, Versions, install_crypto_provider};
use tempfile::TempDir;
use tokio::net::UnixListener;
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};

use tokio_stream::wrappers::{ReceiverStream, UnixListenerStream};
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::server::{NamedService, ServerStreamingService};
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;

use crate::desk::{ask, ask_on, client, connect, door, serve};
use crate::pki::{Authority, Identity, Wanted};

const PATIENCE: Duration = Duration::from_secs(20);

/// The messages as the specification has them, written once more.
#[derive(Clone, PartialEq, prost::Message)]
struct Asked {}

#[derive(Clone, PartialEq, prost::Message)]
struct Given {
    #[prost(message, repeated, tag = "1")]
    svids: Vec<Svid>,
    #[prost(bytes = "vec", repeated, tag = "2")]
    crl: Vec<Vec<u8>>,
    #[prost(map = "string, bytes", tag = "3")]
    federated_bundles: HashMap<String, Vec<u8>>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Svid {
    #[prost(string, tag = "1")]
    spiffe_id: String,
    #[prost(bytes = "vec", tag = "2")]
    x509_svid: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    x509_svid_key: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    bundle: Vec<u8>,
    #[prost(string, tag = "5")]
    hint: String,
}

/// What the agent does for whoever asks; none: it denies.
type State = Option<Given>;

/// An agent on a socket.
struct Agent {
    folder: TempDir,
    state: watch::Sender<State>,
    /// Its connections end with it.
    server: Option<Runtime>,
}

#[derive(Clone)]
struct Api(watch::Receiver<State>);

impl NamedService for Api {
    const NAME: &'static str = "SpiffeWorkloadAPI";
}

impl Service<http::Request<Body>> for Api {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        assert_eq!(request.uri().path(), "/SpiffeWorkloadAPI/FetchX509SVID");
        let api = self.clone();
        Box::pin(async move {
            let codec: ProstCodec<Given, Asked> = ProstCodec::default();
            Ok(tonic::server::Grpc::new(codec).server_streaming(api, request).await)
        })
    }
}

impl ServerStreamingService<Asked> for Api {
    type Response = Given;
    type ResponseStream = ReceiverStream<Result<Given, Status>>;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Self::ResponseStream>, Status>> + Send>>;

    fn call(&mut self, request: Request<Asked>) -> Self::Future {
        let mut state = self.0.clone();
        Box::pin(async move {
            if request.metadata().get("workload.spiffe.io").is_none_or(|value| value != "true") {
                return Err(Status::invalid_argument("security header missing from request"));
            }
            let (given, stream) = mpsc::channel(1);
            tokio::spawn(async move {
                loop {
                    let now = state.borrow_and_update().clone();
                    let Some(message) = now else {
                        _ = given.send(Err(Status::permission_denied("no identity issued"))).await;
                        return;
                    };
                    if given.send(Ok(message)).await.is_err() || state.changed().await.is_err() {
                        return;
                    }
                }
            });
            Ok(Response::new(ReceiverStream::new(stream)))
        })
    }
}

impl Agent {
    fn new(state: State) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (state, _) = watch::channel(state);
        let server = run(&folder.path().join("agent.sock"), &state);
        Self { folder, state, server: Some(server) }
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("agent.sock")
    }

    fn address(&self) -> String {
        format!("unix:{}", self.socket().display())
    }

    /// Goes away with every connection.
    fn leave(&mut self) {
        self.server.take().unwrap().shutdown_background();
        std::fs::remove_file(self.socket()).unwrap();
    }

    fn come_back(&mut self) {
        self.server = Some(run(&self.socket(), &self.state));
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            server.shutdown_background();
        }
    }
}

fn run(socket: &Path, state: &watch::Sender<State>) -> Runtime {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let entered = runtime.enter();
    let incoming = UnixListenerStream::new(UnixListener::bind(socket).unwrap());
    let server = tonic::transport::Server::builder().add_service(Api(state.subscribe()));
    drop(entered);
    runtime.spawn(async move { server.serve_with_incoming(incoming).await.unwrap() });
    runtime
}

fn svid(authority: &Authority, id: &str) -> Identity {
    authority.issue(&Wanted::uri(id))
}

fn given(id: &str, identity: &Identity, authority: &Authority, federated: &[(&str, &Authority)]) -> Given {
    Given {
        svids: vec![Svid {
            spiffe_id: id.to_owned(),
            x509_svid: identity.der.clone(),
            x509_svid_key: identity.key_der.clone(),
            bundle: authority.der(),
            hint: String::new(),
        }],
        crl: Vec::new(),
        federated_bundles: federated.iter().map(|(id, ca)| ((*id).to_owned(), ca.der())).collect(),
    }
}

const OWN: &str = "spiffe://one.example/ledgerstone";
const LOANS: &str = "spiffe://one.example/loans";
const OTHER: &str = "spiffe://two.example/loans";

/// A port that has its certificate from an agent.
struct Port {
    agent: Agent,
    one: Authority,
    two: Authority,
    address: SocketAddr,
    own: Identity,
}

impl Port {
    async fn new() -> Self {
        install_crypto_provider();
        let (one, two) = (Authority::new("one"), Authority::new("two"));
        let own = svid(&one, OWN);
        let agent = Agent::new(Some(given(OWN, &own, &one, &[("spiffe://two.example", &two)])));
        let tls = Reloading::from_workload_api(&agent.address(), Versions::Tls13).await.unwrap();
        tokio::spawn(tls.clone().watch(Duration::from_secs(3600)));
        let address = serve(door(&tls, Ask::CertificateAlways), &Counts::default()).await;
        Self { agent, one, two, address, own }
    }

    async fn ask(&self, identity: &Identity) -> Result<String, String> {
        ask(self.address, &client(&self.one.pem(), Some(identity))).await
    }

    /// Waits until the port shows `identity`.
    async fn until_shown(&self, identity: &Identity) {
        let begin = Instant::now();
        loop {
            let config = client(&self.one.pem(), Some(&svid(&self.one, LOANS)));
            if let Ok(stream) = connect(self.address, &config).await
                && Hash::of(&stream.get_ref().1.peer_certificates().unwrap()[0]) == Hash::of(&identity.der)
            {
                return;
            }
            assert!(begin.elapsed() < PATIENCE, "it never shows the new certificate");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

#[tokio::test]
async fn clients_are_checked_against_the_bundle_of_their_own_trust_domain() {
    let port = Port::new().await;
    let one = svid(&port.one, LOANS);
    assert_eq!(port.ask(&one).await.unwrap(), format!("{} {LOANS} localhost", Hash::of(&one.der)));
    let two = svid(&port.two, OTHER);
    assert_eq!(port.ask(&two).await.unwrap(), format!("{} {OTHER} localhost", Hash::of(&two.der)));
    for (why, identity) in [
        ("an id of our domain signed by the other one's authority", svid(&port.two, LOANS)),
        ("an id of the other domain signed by our authority", svid(&port.one, OTHER)),
        ("an id of a domain that nobody federates with", svid(&port.one, "spiffe://three.example/loans")),
        ("no id at all", port.one.good()),
        ("an authority of nobody", svid(&Authority::new("one"), LOANS)),
    ] {
        port.ask(&identity).await.expect_err(why);
    }
}

#[tokio::test]
async fn what_the_agent_pushes_is_served_while_connections_go_on() {
    let port = Port::new().await;
    port.until_shown(&port.own).await;
    let config = client(&port.one.pem(), Some(&svid(&port.one, LOANS)));
    let mut open = connect(port.address, &config).await.unwrap();
    assert_eq!(ask_on(&mut open, "/").await.unwrap().0, 200);
    // The next message has no federated bundle: what is not said any more holds no more (Workload API, section 4.4).
    let next = svid(&port.one, OWN);
    port.agent.state.send_replace(Some(given(OWN, &next, &port.one, &[])));
    port.until_shown(&next).await;
    assert_eq!(ask_on(&mut open, "/").await.unwrap().0, 200, "in flight");
    assert!(port.ask(&svid(&port.two, OTHER)).await.is_err());
}

#[tokio::test]
async fn messages_that_make_no_sense_leave_the_old_certificate_in_place() {
    let port = Port::new().await;
    let next = svid(&port.one, OWN);
    let good = given(OWN, &next, &port.one, &[]);
    let with = |change: &dyn Fn(&mut Given)| {
        let mut bad = good.clone();
        change(&mut bad);
        bad
    };
    let other = svid(&port.one, LOANS);
    let expired = port.one.issue(&Wanted { to: -1, ..Wanted::uri(OWN) });
    let bad = [
        Given::default(),
        with(&|given| given.svids[0].spiffe_id = LOANS.into()),
        with(&|given| given.svids[0].spiffe_id = String::new()),
        with(&|given| given.svids[0].x509_svid.truncate(100)),
        with(&|given| given.svids[0].x509_svid = Vec::new()),
        with(&|given| given.svids[0].x509_svid.extend_from_slice(&[0x30, 0x82, 0xff, 0xff])),
        with(&|given| given.svids[0].x509_svid = [0x30, 0].repeat(10_000)),
        with(&|given| given.svids[0].x509_svid_key = other.key_der.clone()),
        with(&|given| given.svids[0].x509_svid_key = Vec::new()),
        with(&|given| given.svids[0].bundle = Vec::new()),
        with(&|given| given.svids[0].bundle = vec![0; 100]),
        with(&|given| given.crl = vec![b"no list".to_vec()]),
        with(&|given| _ = given.federated_bundles.insert("two.example".into(), port.two.der())),
        with(&|given| _ = given.federated_bundles.insert("spiffe://two.example/a".into(), port.two.der())),
        with(&|given| _ = given.federated_bundles.insert("spiffe://two.example".into(), vec![1, 2, 3])),
        with(&|given| {
            given.svids[0].x509_svid = expired.der.clone();
            given.svids[0].x509_svid_key = expired.key_der.clone();
        }),
    ];
    for (n, message) in bad.into_iter().enumerate() {
        port.agent.state.send_replace(Some(message));
        // The stream keeps its order: what is shown after the next good message shows that the bad one was passed over.
        tokio::task::yield_now().await;
        let between = svid(&port.one, OWN);
        port.until_shown(if n == 0 { &port.own } else { &next }).await;
        port.agent.state.send_replace(Some(given(OWN, &between, &port.one, &[])));
        port.until_shown(&between).await;
        port.agent.state.send_replace(Some(good.clone()));
        port.until_shown(&next).await;
    }
}

#[tokio::test]
async fn the_last_certificate_is_served_while_the_agent_is_away() {
    let mut port = Port::new().await;
    port.until_shown(&port.own).await;
    port.agent.leave();
    assert!(port.ask(&svid(&port.one, LOANS)).await.is_ok());
    let next = svid(&port.one, OWN);
    port.agent.state.send_replace(Some(given(OWN, &next, &port.one, &[])));
    port.agent.come_back();
    port.until_shown(&next).await;
}

#[tokio::test]
async fn what_the_agent_takes_back_is_served_no_more_until_it_gives_it_again() {
    let port = Port::new().await;
    port.until_shown(&port.own).await;
    port.agent.state.send_replace(None);
    let one = svid(&port.one, LOANS);
    let begin = Instant::now();
    while port.ask(&one).await.is_ok() {
        assert!(begin.elapsed() < PATIENCE, "it is still served");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    port.agent.state.send_replace(Some(given(OWN, &port.own, &port.one, &[])));
    port.until_shown(&port.own).await;
}

#[tokio::test(start_paused = true)]
async fn a_start_without_an_agent_says_what_is_missing() {
    install_crypto_provider();
    let folder = tempfile::tempdir().unwrap();
    let address = format!("unix:{}", folder.path().join("agent.sock").display());
    let begin = tokio::time::Instant::now();
    let error = Reloading::from_workload_api(&address, Versions::Tls13).await.unwrap_err();
    assert!(matches!(error, TlsError::WorkloadApi { .. }));
    assert!(error.to_string().contains("see that its agent runs"), "{error}");
    assert!(
        (Duration::from_secs(29)..Duration::from_secs(62)).contains(&begin.elapsed()),
        "{:?}",
        begin.elapsed()
    );
}

#[tokio::test]
async fn the_sidecar_takes_its_certificate_from_the_agent_that_its_configuration_names() {
    install_crypto_provider();
    let one = Authority::new("one");
    let own = svid(&one, OWN);
    let agent = Agent::new(Some(given(OWN, &own, &one, &[])));
    let (_folder, running) =
        crate::app::running(&[format!("server.tls.workload_api={}", agent.address())]).await;
    let loans = svid(&one, LOANS);
    let mut admin = connect(running.admin_addr, &client(&one.pem(), Some(&loans))).await.unwrap();
    assert_eq!(ask_on(&mut admin, "/metrics").await.unwrap().0, 200);
    let nobody = client(&one.pem(), None);
    assert!(ask(running.http_addr, &nobody).await.is_err());
    let next = svid(&one, OWN);
    agent.state.send_replace(Some(given(OWN, &next, &one, &[])));
    let begin = Instant::now();
    loop {
        let stream = connect(running.http_addr, &client(&one.pem(), Some(&loans))).await.unwrap();
        if Hash::of(&stream.get_ref().1.peer_certificates().unwrap()[0]) == Hash::of(&next.der) {
            break;
        }
        assert!(begin.elapsed() < PATIENCE, "the new certificate is not taken");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    running.drain(PATIENCE).await.unwrap();
}
