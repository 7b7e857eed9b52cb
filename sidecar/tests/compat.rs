//! Logs that earlier releases wrote.
//!
//! Scenario: `tests/compat/` holds a small log of each release, as it lay on the disk. Danger: a release that cannot read what another
//! one wrote, or that takes a later format for damage. End state: each log opens, verifies, goes on, and its receipts hold; a format
//! that this release does not know is refused with a word about which release to use.
//!
//! `UPDATE_COMPAT=1 cargo test -p ledgerstone-sidecar --all-features --test compat` writes the log of this release, where there is none.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::disallowed_macros,
    unreachable_pub,
    missing_docs,
    reason = "tests fail by panicking, and may read the environment, start programs and print"
)]

#[path = "restart/load.rs"]
#[allow(dead_code, reason = "another test uses the rest")]
mod load;
mod support;

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use ledgerstone::entry::Kind;
use ledgerstone::verify::{self, Verdict};
use tonic::transport::{Channel, Endpoint};

use load::{call, chain, entries, verifies};
use support::{Running, Sidecar, copy, free_port, serve_doubler};

/// Decisions of the first session: more than a tile is wide, so that full tiles and bundles are in it.
const FIRST: usize = 262;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("tests/compat")
}

/// The log of each release, by its version.
fn releases() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let mut releases: Vec<PathBuf> = entries.filter(|path| path.is_dir()).collect();
    releases.sort();
    assert!(
        releases.iter().any(|path| path.ends_with(env!("CARGO_PKG_VERSION"))),
        "this release's is missing: {releases:?}"
    );
    releases
}

/// A copy of a release's log, to be run here.
struct Kept {
    _folder: tempfile::TempDir,
    sidecar: Sidecar,
    upstream: SocketAddr,
    recorder: SocketAddr,
}

impl Kept {
    async fn of(release: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        copy(release, folder.path());
        // Version control keeps no modes: a clone's key could be read by others.
        let private = std::fs::Permissions::from_mode(0o600);
        for key in ["log.key", "kek.key", "receipt.key"] {
            std::fs::set_permissions(folder.path().join(key), private.clone()).unwrap();
        }
        let address = || SocketAddr::from(([127, 0, 0, 1], free_port()));
        let sidecar =
            Sidecar { folder: folder.path().to_owned(), grpc: address(), http: address(), admin: address() };
        Self { _folder: folder, sidecar, upstream: serve_doubler().await, recorder: address() }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.sidecar.command(arguments[0]);
        command.args(&arguments[1..]);
        for (key, value) in [
            ("server.listen", self.sidecar.grpc),
            ("server.http_listen", self.sidecar.http),
            ("server.admin_listen", self.sidecar.admin),
            ("recorder.listen", self.recorder),
        ] {
            command.args(["--set", &format!("{key}={value}")]);
        }
        command.args(["--set", &format!("upstream.address=http://{}", self.upstream)]);
        command
    }

    async fn start(&self) -> (Running, Channel) {
        let running = self.sidecar.start_as(self.command(&["run"]));
        drop(self.sidecar.client().await);
        (running, Endpoint::from_shared(format!("http://{}", self.sidecar.grpc)).unwrap().connect_lazy())
    }

    async fn stop(&self, mut running: Running) {
        let stopped = tokio::task::spawn_blocking(move || running.stop()).await.unwrap();
        assert!(stopped.success(), "{}", self.sidecar.log_lines());
    }

    async fn does(&self, arguments: &[&str]) -> (bool, String) {
        let mut command = self.command(arguments);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        (output.status.success(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
    }

    /// Receipts by the decision that they are about.
    fn receipts(&self) -> Vec<(String, Vec<u8>)> {
        let files = std::fs::read_dir(self.sidecar.folder.join("receipts"))
            .unwrap()
            .map(|entry| entry.unwrap().path());
        files
            .map(|path| {
                (path.file_stem().unwrap().to_str().unwrap().to_owned(), std::fs::read(path).unwrap())
            })
            .collect()
    }

    fn receipts_hold(&self) {
        for (decision, receipt) in self.receipts() {
            let report = verify::receipt(&receipt, Some(&self.sidecar.policy()));
            assert_eq!(report.verdict(), Verdict::Verified, "{decision}: {report:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_of_each_release_opens_verifies_and_goes_on() {
    for release in releases() {
        let kept = Kept::of(&release).await;
        let before = entries(&kept.sidecar.store());
        assert!(before.len() > FIRST, "{}", release.display());
        verifies(&kept.sidecar);
        kept.receipts_hold();

        let (running, channel) = kept.start().await;
        let mut told = Vec::new();
        for n in 0..5 {
            told.push(call(&channel, &format!("later-{n}")).await.unwrap());
        }
        let receipts = kept.receipts();
        assert_eq!(receipts.len(), 3);
        for (decision, _) in &receipts {
            let anew = kept.sidecar.receipt(decision).await;
            let report = verify::receipt(&anew, Some(&kept.sidecar.policy()));
            assert_eq!(report.verdict(), Verdict::Verified, "{decision}: {report:?}");
        }
        kept.stop(running).await;

        let after = entries(&kept.sidecar.store());
        assert_eq!(after[..before.len()], before[..], "what was recorded is what it was");
        for (index, decision) in &told {
            assert_eq!(after[*index as usize].decision.unwrap().to_string(), *decision);
        }
        let sessions =
            |log: &[ledgerstone::entry::Entry]| log.iter().filter(|entry| entry.kind == Kind::Start).count();
        assert_eq!(chain(&after), sessions(&before) + 1);
        verifies(&kept.sidecar);
        kept.receipts_hold();
        let erased = std::fs::read_to_string(kept.sidecar.folder.join("erased")).unwrap();
        let (opened, said) = kept.does(&["record", "open", erased.trim()]).await;
        assert!(!opened && said.contains("erased"), "what was erased stays erased: {said}");
        let (opened, said) = kept.does(&["record", "open", &receipts[0].0]).await;
        assert!(opened, "{said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_format_that_this_release_does_not_know_is_refused_with_the_release_to_use() {
    let release = folder().join(env!("CARGO_PKG_VERSION"));
    let kept = Kept::of(&release).await;
    let store = kept.sidecar.store();
    let journal = std::fs::read_dir(store.join("journal")).unwrap().next().unwrap().unwrap().path();
    let mut segment = std::fs::read(&journal).unwrap();
    segment[7] = 2;
    std::fs::write(&journal, segment).unwrap();
    let (ran, said) = kept.does(&["run"]).await;
    assert!(
        !ran && said.contains("format version 2, and this release reads 1: go on with the release"),
        "{said}"
    );

    let kept = Kept::of(&release).await;
    let keyring = rusqlite::Connection::open(kept.sidecar.store().join("keyring/keyring.db")).unwrap();
    keyring.pragma_update(None, "user_version", 2).unwrap();
    keyring.close().unwrap();
    let (ran, said) = kept.does(&["run"]).await;
    assert!(
        !ran && said
            .contains("the keyring has format 2, and this build reads 1: use the build that wrote it"),
        "{said}"
    );

    let kept = Kept::of(&release).await;
    let (decision, receipt) = kept.receipts().remove(0);
    let newer =
        String::from_utf8(receipt).unwrap().replace("ledgerstone-receipt/v1", "ledgerstone-receipt/v2");
    let report = verify::receipt(newer.as_bytes(), Some(&kept.sidecar.policy()));
    let said = format!("{report:?}");
    assert!(
        report.verdict() != Verdict::Verified && said.contains("use a verifier that knows this format"),
        "{decision}: {said}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_the_log_of_this_release_where_there_is_none() {
    if std::env::var_os("UPDATE_COMPAT").is_none() {
        return println!("UPDATE_COMPAT is not set: nothing is written");
    }
    let target = folder().join(env!("CARGO_PKG_VERSION"));
    assert!(
        !target.exists(),
        "{} is there already, and what a release wrote does not change",
        target.display()
    );
    let made = tempfile::tempdir().unwrap();
    let upstream = serve_doubler().await;
    drop(Sidecar::init(made.path(), upstream));
    let config = made.path().join("sidecar.toml");
    let text = std::fs::read_to_string(&config)
        .unwrap()
        .replace("[keys]", "[receipt]\nkey_file = \"receipt.key\"\n\n[keys]\npool = \"2048\"");
    std::fs::write(&config, text).unwrap();
    for left in ["store", "log.key", "kek.key"] {
        let path = made.path().join(left);
        if path.is_dir() {
            std::fs::remove_dir_all(path).unwrap()
        } else {
            std::fs::remove_file(path).unwrap()
        }
    }
    let kept = Kept::of(made.path()).await;
    let (done, said) = kept.does(&["init"]).await;
    assert!(done, "{said}");
    let (running, channel) = kept.start().await;
    let mut told = Vec::new();
    for n in 0..FIRST {
        told.push(call(&channel, &format!("first-{n}")).await.unwrap().1);
    }
    let (done, said) = kept
        .does(&[
            "erase",
            "record",
            "--decision",
            &told[7],
            "--ground",
            "subject-request",
            "--operator",
            "op-1",
        ])
        .await;
    assert!(done, "{said}");
    kept.stop(running).await;
    let (running, channel) = kept.start().await;
    told.push(call(&channel, "second").await.unwrap().1);
    std::fs::create_dir(kept.sidecar.folder.join("receipts")).unwrap();
    for decision in [&told[0], &told[200], told.last().unwrap()] {
        let receipt = kept.sidecar.receipt(decision).await;
        std::fs::write(kept.sidecar.folder.join(format!("receipts/{decision}.json")), receipt).unwrap();
    }
    kept.stop(running).await;
    std::fs::write(kept.sidecar.folder.join("erased"), format!("{}\n", told[7])).unwrap();
    std::fs::remove_dir_all(kept.sidecar.store().join("index")).unwrap();
    std::fs::remove_file(kept.sidecar.store().join("lock")).unwrap();
    std::fs::remove_file(kept.sidecar.folder.join("sidecar.log")).unwrap();
    copy(&kept.sidecar.folder, &target);
}
