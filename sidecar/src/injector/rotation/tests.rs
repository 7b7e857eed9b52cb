use std::sync::Mutex;

use serde_json::json;

use super::super::authority::Files as Kept;
use super::super::authority::tests::terms;
use super::super::kubernetes::Secret;
use super::*;

/// 2026-11-18.
const NOW: u64 = 1_795_000_000;
const DAY: u64 = 86_400;

/// An API server with both objects.
#[derive(Default)]
struct World(Mutex<State>);

#[derive(Default)]
struct State {
    files: Vec<String>,
    version: u64,
    bundle: String,
    told: usize,
    /// Somebody else writes before the next write.
    race: bool,
}

impl Cluster for World {
    async fn secret(&self) -> Result<Secret, ClusterError> {
        let state = self.0.lock().unwrap();
        let mut secret = Secret::read(json!({"metadata": {"resourceVersion": state.version.to_string()}}))?;
        if let [authorities, authority_key, certificate, key, text] = state.files.as_slice() {
            secret.files = Kept {
                authorities: authorities.clone(),
                authority_key: authority_key.clone().into(),
                certificate: certificate.clone(),
                key: key.clone().into(),
                state: text.clone(),
            };
        }
        Ok(secret)
    }

    async fn put_secret(&self, read: Secret, files: Kept) -> Result<(), ClusterError> {
        let mut state = self.0.lock().unwrap();
        if std::mem::take(&mut state.race) {
            state.version += 1;
        }
        if read.version() != Some(state.version.to_string()) {
            return Err(ClusterError::Conflict);
        }
        state.version += 1;
        let Kept { authorities, authority_key, certificate, key, state: text } = files;
        state.files = vec![authorities, authority_key.to_string(), certificate, key.to_string(), text];
        Ok(())
    }

    async fn tell(&self, bundle: &str) -> Result<bool, ClusterError> {
        let mut state = self.0.lock().unwrap();
        let is_told = state.bundle == bundle;
        state.told += usize::from(!is_told);
        bundle.clone_into(&mut state.bundle);
        Ok(is_told)
    }
}

async fn looked(world: &World, seconds: u64) -> Option<Pair> {
    look(world, &terms(), UnixTime::since_unix_epoch(Duration::from_secs(seconds))).await.unwrap()
}

#[tokio::test]
async fn an_empty_secret_is_filled_and_the_api_server_told_before_anything_is_served() {
    let world = World::default();
    let pair = looked(&world, NOW).await.unwrap();
    let state = world.0.lock().unwrap();
    assert_eq!(state.bundle, state.files[0]);
    assert_eq!(pair.certificate, state.files[2]);
    assert_eq!((state.version, state.told), (1, 1));
}

#[tokio::test]
async fn two_injectors_serve_the_same() {
    let world = World::default();
    world.0.lock().unwrap().race = true;
    let first = looked(&world, NOW).await.unwrap();
    let second = looked(&world, NOW + 1).await.unwrap();
    assert_eq!(first.certificate, second.certificate);
    assert_eq!(world.0.lock().unwrap().told, 1);
}

#[tokio::test]
async fn over_the_years_everything_is_exchanged_and_the_api_server_always_trusts_what_is_served() {
    let world = World::default();
    let (mut served, mut told) = (std::collections::BTreeSet::new(), std::collections::BTreeSet::new());
    // What the API server trusts as it goes on between two looks.
    let mut trusted = String::new();
    for minute in 0..(200 * DAY / 600) {
        let now = UnixTime::since_unix_epoch(Duration::from_secs(NOW + minute * 600));
        let pair = look(&world, &terms(), now).await.unwrap().expect("something is always served");
        let bundle = world.0.lock().unwrap().bundle.clone();
        if served.insert(pair.certificate.clone()) && !trusted.is_empty() {
            let roots = verifies(&pair, &trusted, now);
            assert!(roots, "served at {minute} before the API server was told");
        }
        assert!(verifies(&pair, &bundle, now));
        told.insert(bundle.clone());
        trusted = bundle;
    }
    assert!(served.len() > 20, "{}", served.len());
    assert!(told.len() > 8, "{}", told.len());
}

fn verifies(pair: &Pair, bundle: &str, now: UnixTime) -> bool {
    use rustls::client::danger::ServerCertVerifier as _;
    use rustls::pki_types::pem::PemObject as _;
    use rustls::pki_types::{CertificateDer, ServerName};
    let mut roots = rustls::RootCertStore::empty();
    for authority in CertificateDer::pem_slice_iter(bundle.as_bytes()) {
        roots.add(authority.unwrap()).unwrap();
    }
    let verifier = rustls::client::WebPkiServerVerifier::builder(roots.into()).build().unwrap();
    let leaf = CertificateDer::from_pem_slice(pair.certificate.as_bytes()).unwrap();
    let name = ServerName::try_from("loans.lending.svc").unwrap();
    verifier.verify_server_cert(&leaf, &[], &name, &[], now).is_ok()
}

#[tokio::test]
async fn what_somebody_spoiled_is_drawn_again() {
    let world = World::default();
    let first = looked(&world, NOW).await.unwrap();
    world.0.lock().unwrap().files[4] = "{\"authorities\": 1}".into();
    let second = looked(&world, NOW).await.unwrap();
    assert_ne!(first.certificate, second.certificate);
    // The key of another authority.
    let other = World::default();
    looked(&other, NOW).await.unwrap();
    let key = other.0.lock().unwrap().files[1].clone();
    {
        let mut state = world.0.lock().unwrap();
        state.files[1] = key;
        state.files[2].clear();
    }
    let third = looked(&world, NOW).await.unwrap();
    assert!(verifies(
        &third,
        &world.0.lock().unwrap().bundle,
        UnixTime::since_unix_epoch(Duration::from_secs(NOW))
    ));
}

/// Every write is overtaken.
struct Restless(World);

impl Cluster for Restless {
    async fn secret(&self) -> Result<Secret, ClusterError> {
        self.0.secret().await
    }

    async fn put_secret(&self, read: Secret, files: Kept) -> Result<(), ClusterError> {
        self.0.0.lock().unwrap().race = true;
        self.0.put_secret(read, files).await
    }

    async fn tell(&self, bundle: &str) -> Result<bool, ClusterError> {
        self.0.tell(bundle).await
    }
}

#[tokio::test]
async fn a_secret_that_changes_all_the_time_is_given_up_until_the_next_look() {
    let ended = look(&Restless(World::default()), &terms(), UnixTime::now()).await;
    assert!(matches!(ended, Err(RotationError::Restless)));
}

#[tokio::test]
async fn what_is_served_lies_in_files_of_this_user_alone_and_is_exchanged() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let (keeper, first) = Keeper::new(World::default(), terms(), folder.path().to_owned());
    keeper.look().await.unwrap();
    assert!(first.borrow().is_some());
    let mode = std::fs::metadata(folder.path().join("tls.key")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let missing = folder.path().join("missing");
    let (keeper, _first) = Keeper::new(World::default(), terms(), missing);
    assert!(matches!(keeper.look().await, Err(RotationError::Folder { .. })));
}
