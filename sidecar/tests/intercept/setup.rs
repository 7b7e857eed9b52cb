//! The interceptor under test: on a real log in a temporary folder, with a tap that sees and can hold every append.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use ledgerstone::checkpoint::LogKeys;
use ledgerstone::entry::{Entry, GapDetails, Kind, KindDetails, SealedRef, SessionId, WriterName};
use ledgerstone::hash::Hash;
use ledgerstone::merkle::LeafIndex;
use ledgerstone::note::KeyName;
use ledgerstone::record::{FieldPath, Value};
use ledgerstone_sidecar::driver::{self, LogHandle};
use ledgerstone_sidecar::intercept::{
    Append, AppendFault, Appending, Intercept, Limits, Recorder, RouteConfig, Routes, Session, SessionOptions,
};
use ledgerstone_sidecar::keyring::{FileKeyProvider, KeyId};
use ledgerstone_sidecar::listen::{Counts, Door};
use ledgerstone_sidecar::metrics::Metrics;
use ledgerstone_sidecar::seal::{self, SealedContent};
use ledgerstone_sidecar::tls::Protocols;
use ledgerstone_sidecar::upstream::{Upstream, UpstreamOptions};
use tokio::sync::Semaphore;
use tonic::transport::Server;

use super::peers::listener;

pub(crate) const ORIGIN: &str = "test.example/log";

/// What the tap does with the next entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    Passes,
    Refuses,
    Halts,
}

/// Between the interceptor and the log: sees every entry, and holds, refuses or halts where that is the subject.
pub(crate) struct Tap {
    log: LogHandle,
    mood: Mutex<Mood>,
    taken: Mutex<Vec<Taken>>,
    /// Appends wait for a permit before they reach the log.
    pub(crate) gate: Semaphore,
    /// One permit for each append that has arrived at the gate.
    pub(crate) arrived: Semaphore,
}

/// One entry that the log took.
#[derive(Clone, Debug)]
pub(crate) struct Taken {
    pub(crate) index: LeafIndex,
    pub(crate) entry: Entry,
    pub(crate) sealed: Option<Bytes>,
}

impl Tap {
    pub(crate) fn set(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    pub(crate) fn close(&self) {
        self.gate.forget_permits(Semaphore::MAX_PERMITS);
    }

    pub(crate) fn taken(&self) -> Vec<Taken> {
        self.taken.lock().unwrap().clone()
    }

    pub(crate) fn gaps(&self) -> Vec<GapDetails> {
        let gap = |taken: Taken| match taken.entry.kind_details().unwrap() {
            KindDetails::Gap(gap) => Some(gap),
            _ => None,
        };
        self.taken().into_iter().filter_map(gap).collect()
    }
}

impl Append for Tap {
    fn append(&self, entry: Entry, sealed: Option<Bytes>) -> Appending<'_> {
        Box::pin(async move {
            self.arrived.add_permits(1);
            self.gate.acquire().await.unwrap().forget();
            let mood = *self.mood.lock().unwrap();
            match mood {
                Mood::Passes => {
                    let index = Append::append(&self.log, entry.clone(), sealed.clone()).await?;
                    let entry = Entry { sealed: sealed.as_deref().map(SealedRef::of), ..entry };
                    self.taken.lock().unwrap().push(Taken { index, entry, sealed });
                    Ok(index)
                }
                Mood::Refuses => Err(AppendFault::NotStored("told to refuse".into())),
                Mood::Halts => Err(AppendFault::Halted("told to halt".into())),
            }
        })
    }
}

/// One recorded decision, opened.
#[derive(Debug)]
pub(crate) struct Decision {
    pub(crate) index: LeafIndex,
    pub(crate) entry: Entry,
    pub(crate) content: SealedContent,
}

impl Decision {
    pub(crate) fn value(&self, path: &str) -> Option<Value> {
        self.content.record.value(&FieldPath::parse(path).unwrap()).cloned()
    }

    pub(crate) fn text(&self, path: &str) -> String {
        match self.value(path) {
            Some(Value::Text(text)) => text,
            other => panic!("{path} is {other:?}; there are {:?}", self.paths()),
        }
    }

    pub(crate) fn float(&self, path: &str) -> f64 {
        match self.value(path) {
            Some(Value::Float(value)) => value,
            other => panic!("{path} is {other:?}; there are {:?}", self.paths()),
        }
    }

    pub(crate) fn digest(&self, path: &str) -> Hash {
        match self.value(path) {
            Some(Value::Bytes(bytes)) => Hash::try_from(bytes.as_slice()).unwrap(),
            other => panic!("{path} is {other:?}; there are {:?}", self.paths()),
        }
    }

    pub(crate) fn paths(&self) -> Vec<String> {
        self.content.record.fields().iter().map(|field| field.path.to_string()).collect()
    }

    pub(crate) fn status(&self) -> u32 {
        match self.entry.kind_details().unwrap() {
            KindDetails::Decision(details) => details.status,
            other => panic!("{other:?}"),
        }
    }
}

/// A sidecar's interceptor, served.
pub(crate) struct Sidecar {
    pub(crate) addr: SocketAddr,
    pub(crate) tap: Arc<Tap>,
    pub(crate) session: Arc<Session>,
    keys: Arc<FileKeyProvider>,
    _store: tempfile::TempDir,
}

impl Sidecar {
    /// In front of `upstream`, with the default limits and no route.
    pub(crate) async fn start(upstream: SocketAddr) -> Self {
        Self::with(upstream, "", Limits::default(), |_| {}).await
    }

    /// With `routes` as the configuration file writes them.
    pub(crate) async fn routed(upstream: SocketAddr, routes: &str) -> Self {
        Self::with(upstream, routes, Limits::default(), |_| {}).await
    }

    pub(crate) async fn with(
        upstream: SocketAddr,
        routes: &str,
        limits: Limits,
        change: impl FnOnce(&mut UpstreamOptions),
    ) -> Self {
        let store = tempfile::tempdir().unwrap();
        let tap = Arc::new(tap(store.path()));
        let options = SessionOptions {
            writer: WriterName::parse("test").unwrap(),
            id: SessionId::from_bytes([9; 16]),
            version: "0.0.0".to_owned(),
            configuration: Hash::of(b""),
            previous: None,
        };
        let session = Session::start(tap.clone(), options).await.unwrap();
        tokio::spawn(Arc::clone(&session).run(std::time::Duration::from_secs(3600)));
        let keys = Arc::new(FileKeyProvider::from_key(KeyId::new("test").unwrap(), &[5; 32]));
        let routes = Routes::build(&parse(routes), Path::new(".")).unwrap();
        let metrics = Metrics::new().unwrap();
        let recorder = Recorder::new(Arc::clone(&session), keys.clone(), routes, ORIGIN, metrics);
        let mut options = UpstreamOptions::new(&format!("http://{upstream}"));
        change(&mut options);
        let service = Intercept::new(recorder, Upstream::new(&options).unwrap(), limits);
        let (listener, addr) = listener().await;
        tokio::spawn(Server::builder().add_service(service).serve_with_incoming(
            Door::new("grpc", Protocols::Http2).open(listener, &Counts::default()).unwrap(),
        ));
        Self { addr, tap, session, keys, _store: store }
    }

    /// Every decision in the log, opened.
    pub(crate) fn decisions(&self) -> Vec<Decision> {
        let taken = self.tap.taken().into_iter();
        taken.filter(|taken| taken.entry.kind == Kind::Decision).map(|taken| self.open(taken)).collect()
    }

    /// The only decision in the log.
    pub(crate) fn decision(&self) -> Decision {
        let mut decisions = self.decisions();
        assert_eq!(decisions.len(), 1);
        decisions.pop().unwrap()
    }

    fn open(&self, taken: Taken) -> Decision {
        let id = taken.entry.decision.unwrap();
        let sealed = taken.sealed.unwrap();
        let named = taken.entry.sealed.unwrap();
        assert_eq!(named.digest, Hash::of(&sealed));
        assert_eq!(named.length, sealed.len() as u64);
        let content = seal::open(self.keys.as_ref(), &id, Kind::Decision, &sealed).unwrap();
        let commitment = content.record.commit(&content.secret).commitment();
        assert_eq!(taken.entry.commitment, Some(commitment), "the entry commits to the sealed fields");
        Decision { index: taken.index, entry: taken.entry, content }
    }

    /// Ends the session and checks that every number of it is accounted for (INV-10).
    pub(crate) async fn stop(&self) {
        let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(10);
        self.session.stop(deadline).await.unwrap();
        let mut covered: Vec<u64> = self.tap.taken().iter().map(|taken| taken.entry.sequence).collect();
        covered.extend(self.tap.gaps().iter().flat_map(|gap| gap.first..=gap.last));
        covered.sort_unstable();
        assert_eq!(covered, (0..covered.len() as u64).collect::<Vec<_>>(), "INV-10");
    }
}

fn tap(store: &Path) -> Tap {
    let keys = || LogKeys::generate_from_seeds(&KeyName::new(ORIGIN).unwrap(), [1; 32], [2; 32]).unwrap();
    driver::init(store, &keys()).unwrap();
    let (log, _) = driver::open(store, keys(), driver::Options::default()).unwrap();
    Tap {
        log,
        mood: Mutex::new(Mood::Passes),
        taken: Mutex::default(),
        gate: Semaphore::new(Semaphore::MAX_PERMITS),
        arrived: Semaphore::new(0),
    }
}

#[derive(serde::Deserialize)]
struct File {
    #[serde(default)]
    route: Vec<RouteConfig>,
}

fn parse(routes: &str) -> Vec<RouteConfig> {
    toml::from_str::<File>(routes).unwrap().route
}
