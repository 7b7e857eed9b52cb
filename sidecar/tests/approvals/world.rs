//! A sidecar whose changes need approval, and the people who approve.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Parser as _;
use ledgerstone::approval::{Approvals, Change, Nonce, Statement};
use ledgerstone::checkpoint::LogKeys;
use ledgerstone::code::CheckName;
use ledgerstone::entry::{Entry, Kind, RegisteredName, RegisteredVersion};
use ledgerstone::hash::Hash;
use ledgerstone::merkle::LeafIndex;
use ledgerstone::note::KeyName;
use ledgerstone::proto::ledgerstone_v1::keyring_client::KeyringClient;
use ledgerstone::proto::ledgerstone_v1::registry_client::RegistryClient;
use ledgerstone::proto::ledgerstone_v1::{
    RegisterModelRequest, RegisterPolicyRequest, RegisterResponse, RotateRequest, RotateResponse,
};
use ledgerstone::store::disk::Disk as _;
use ledgerstone::store::fs::{FsReader, StdDisk};
use ledgerstone::time::UnixMillis;
use ledgerstone::verify::{Check, Verdict};
use ledgerstone_sidecar::app::{App, RecoverError, Running};
use ledgerstone_sidecar::config::Config;
use ledgerstone_verifier::cli::Arguments;
use ledgerstone_verifier::command;
use ledgerstone_verifier::command::verify_log;
use ledgerstone_verifier::exit::{Exit, Refusal};
use ledgerstone_verifier::output::Output;
use ledgerstone_verifier::progress::Silent;
use tempfile::TempDir;
use tonic::Status;
use tonic::transport::Endpoint;

use crate::support::{Sidecar, serve_doubler};

pub(crate) const DRAIN: Duration = Duration::from_secs(20);

/// Who may approve what, unless a test says otherwise.
pub(crate) const RULES: &str = "model = \"2 of alice, bob, carol\"\npolicy = \"2 of alice, bob, carol\"\n\
                                roster = \"2 of alice, bob, carol\"\n";

const DAY: u64 = 86_400_000;

/// The folder of a log, with the approvers' keys in it.
pub(crate) struct Files {
    pub(crate) folder: TempDir,
    pub(crate) sidecar: Sidecar,
}

/// A running application.
pub(crate) struct World {
    pub(crate) files: Files,
    pub(crate) app: Running,
}

/// The keys of an approver; `alice-card` is a second key of Alice.
pub(crate) fn keys(name: &str) -> LogKeys {
    let seed = |salt: &str| *Hash::of(format!("{name} {salt}").as_bytes()).as_bytes();
    let origin = KeyName::new(&format!("bank.example/{name}")).unwrap();
    LogKeys::generate_from_seeds(&origin, seed("one"), seed("two")).unwrap()
}

/// A line of the file of approvers.
pub(crate) fn approver(person: &str, key: &str) -> String {
    format!("approver {person} {}\n", keys(key).vkeys()[0])
}

pub(crate) fn everybody() -> String {
    [("alice", "alice"), ("alice", "alice-card"), ("bob", "bob"), ("carol", "carol")]
        .map(|(person, key)| approver(person, key))
        .concat()
}

impl Files {
    /// A log that asks for nothing yet.
    pub(crate) async fn bare() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let sidecar = Sidecar::init(folder.path(), serve_doubler().await);
        fs::create_dir(folder.path().join("approved")).unwrap();
        Self { folder, sidecar }
    }

    /// A log whose changes two of three must approve.
    pub(crate) async fn new() -> Self {
        let files = Self::bare().await;
        files.ask(RULES, &everybody());
        files
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Puts `rules` and `approvers` into the configuration, in the place of those before.
    pub(crate) fn ask(&self, rules: &str, approvers: &str) {
        fs::write(self.path("approvers"), approvers).unwrap();
        self.no_approvals();
        let section = format!("[approvals]\napprovers = \"approvers\"\nfolder = \"approved\"\n{rules}");
        self.add(&section);
    }

    /// Takes `[approvals]` out of the configuration.
    pub(crate) fn no_approvals(&self) {
        let text = fs::read_to_string(self.sidecar.config()).unwrap();
        let (before, rest) = text.split_once("[approvals]\n").unwrap_or((&text, ""));
        let after = rest.find("\n[").map_or("", |at| &rest[at..]);
        fs::write(self.sidecar.config(), format!("{before}{after}")).unwrap();
    }

    /// Puts a section in front of the routes.
    pub(crate) fn add(&self, section: &str) {
        self.change("[[route]]", &format!("{section}\n[[route]]"));
    }

    pub(crate) fn change(&self, old: &str, new: &str) {
        let text = fs::read_to_string(self.sidecar.config()).unwrap();
        assert!(text.contains(old), "{old} in {text}");
        fs::write(self.sidecar.config(), text.replacen(old, new, 1)).unwrap();
    }

    pub(crate) fn config(&self) -> Config {
        self.sidecar.load(&["registry.listen=127.0.0.1:0", "recorder.listen=127.0.0.1:0"])
    }

    pub(crate) async fn run(self) -> World {
        let app = App::build(self.config()).await.unwrap().spawn().await.unwrap();
        World { files: self, app }
    }

    /// Why the sidecar does not start.
    pub(crate) async fn refused(&self) -> String {
        let refused = match App::build(self.config()).await.unwrap().recover().await {
            Err(RecoverError::Approvals(error)) => error.to_string(),
            Err(error) => panic!("{error}"),
            Ok(_) => panic!("it starts"),
        };
        // A process would end here; in this one the log's thread takes a moment to let go of the store.
        let disk = StdDisk::new(&self.sidecar.store());
        while disk.lock("lock").unwrap().is_none() {
            tokio::task::yield_now().await;
        }
        refused
    }

    /// Every entry of a kind.
    pub(crate) fn entries(&self, kind: Kind) -> Vec<(u64, Entry)> {
        let reader = FsReader::open(&self.sidecar.store());
        let size = reader.size().unwrap();
        let entry = |index: u64| Entry::decode(&reader.entry(LeafIndex::new(index), size).unwrap()).unwrap();
        (0..size.get()).map(|index| (index, entry(index))).filter(|(_, entry)| entry.kind == kind).collect()
    }

    /// The log verifies, and this is what it shows of approvals.
    pub(crate) fn verify(&self) -> Check {
        let options = verify_log::Options { policy: Some(self.sidecar.policy()), ..Default::default() };
        let report = verify_log::run_on_dir(&self.sidecar.store(), &options, &mut Silent).unwrap().report;
        assert_eq!(report.verdict(), Verdict::Verified, "{:#?}", report.checks());
        report.check(CheckName::LogApprovals).unwrap().clone()
    }

    /// The same of a log that must not pass.
    pub(crate) fn fails(&self) -> Check {
        let options = verify_log::Options { policy: Some(self.sidecar.policy()), ..Default::default() };
        let report = verify_log::run_on_dir(&self.sidecar.store(), &options, &mut Silent).unwrap().report;
        assert_eq!(report.verdict(), Verdict::Failed, "{:#?}", report.checks());
        report.check(CheckName::LogApprovals).unwrap().clone()
    }

    /// Runs the sidecar's binary; its output and whether it ended well.
    pub(crate) fn type_in(&self, words: &[&str]) -> (bool, String) {
        let mut command = self.sidecar.command(words[0]);
        let output = command.args(&words[1..]).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(text).unwrap())
    }

    /// Has `names` sign the statement in `file`, with the verifier's command, and puts the result into the folder.
    pub(crate) fn have_signed(&self, file: &Path, names: &[&str]) {
        let mut file = file.to_owned();
        for (n, name) in names.iter().enumerate() {
            let key = self.path(&format!("{name}.key"));
            fs::write(&key, keys(name).to_text().as_bytes()).unwrap();
            let next = file.with_extension(format!("{n}.signed"));
            let words =
                ["approval", "sign", text(&file), "--key", text(&key), "--yes", "--output", text(&next)];
            ledgerstone(&words).unwrap();
            file = next;
        }
        let count = fs::read_dir(self.path("approved")).unwrap().count();
        fs::copy(&file, self.path("approved").join(format!("{count}.note"))).unwrap();
    }

    /// Writes the statements for what the configuration changes and has `names` sign each.
    pub(crate) fn approve(&self, names: &[&str]) {
        let count = fs::read_dir(self.folder.path()).unwrap().count();
        let folder = self.path(&format!("proposed-{count}"));
        let (done, said) = self.type_in(&["approvals", "propose", "--output", text(&folder)]);
        assert!(done, "{said}");
        for file in fs::read_dir(&folder).unwrap() {
            let path = file.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "statement") {
                self.have_signed(&path, names);
            }
        }
    }
}

impl World {
    pub(crate) async fn new() -> Self {
        Files::new().await.run().await
    }

    pub(crate) async fn stop(self) -> Files {
        self.app.drain(DRAIN).await.unwrap();
        self.files
    }

    pub(crate) async fn register(
        &self,
        change: &Change,
        approval: &[u8],
    ) -> Result<RegisterResponse, Status> {
        register(self.app.registry_addr.unwrap(), change, approval).await
    }

    pub(crate) async fn rotate(&self, approval: &[u8]) -> Result<RotateResponse, Status> {
        let address = self.app.recorder_addr.unwrap();
        let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
        let mut client = KeyringClient::new(endpoint.connect().await.unwrap());
        let request = RotateRequest { approval: approval.to_vec().into() };
        client.rotate(request).await.map(tonic::Response::into_inner)
    }
}

pub(crate) async fn register(
    address: std::net::SocketAddr,
    change: &Change,
    approval: &[u8],
) -> Result<RegisterResponse, Status> {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
    let channel = endpoint.connect().await.map_err(|error| Status::unavailable(error.to_string()))?;
    let mut client = RegistryClient::new(channel);
    let approval = approval.to_vec().into();
    let bytes = |hash: &Hash| hash.as_bytes().to_vec().into();
    let answer = match change {
        Change::Model { name, version, digest, signature } => {
            let request = RegisterModelRequest {
                name: name.to_string(),
                version: version.to_string(),
                digest: bytes(digest),
                signature_digest: signature.as_ref().map(bytes).unwrap_or_default(),
                approval,
            };
            client.register_model(request).await
        }
        Change::Policy { kind, digest } => {
            let request = RegisterPolicyRequest { kind: kind.to_string(), digest: bytes(digest), approval };
            client.register_policy(request).await
        }
        other => panic!("{other} is not registered"),
    };
    answer.map(tonic::Response::into_inner)
}

/// The time, as the sidecar sees it.
pub(crate) fn now() -> UnixMillis {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    UnixMillis::new(u64::try_from(since.as_millis()).unwrap())
}

pub(crate) fn model(version: &str) -> Change {
    Change::Model {
        name: RegisteredName::parse("loans").unwrap(),
        version: RegisteredVersion::parse(version).unwrap(),
        digest: Hash::of(version.as_bytes()),
        signature: None,
    }
}

pub(crate) fn policy(kind: &str, text: &str) -> Change {
    Change::Policy { kind: RegisteredName::parse(kind).unwrap(), digest: Hash::of(text.as_bytes()) }
}

pub(crate) fn statement(change: &Change) -> Statement {
    let mut nonce = [0; 16];
    getrandom::fill(&mut nonce).unwrap();
    Statement {
        log: KeyName::new("example.com/tests").unwrap(),
        change: change.clone(),
        created: now(),
        expires: now().plus_millis(7 * DAY),
        nonce: Nonce::new(nonce),
    }
}

pub(crate) fn signed(statement: &Statement, names: &[&str]) -> Vec<u8> {
    let mut signatures = Vec::new();
    let mut note = String::new();
    for name in names {
        let keys = keys(name);
        let next = Approvals::sign(statement.clone(), &signatures, |text| keys.sign_text(text)).unwrap();
        signatures = next.note().signatures().to_vec();
        note = next.to_string();
    }
    note.into_bytes()
}

/// A fresh statement of a change, signed.
pub(crate) fn approval(change: &Change, names: &[&str]) -> Vec<u8> {
    signed(&statement(change), names)
}

/// The verifier's command line; not on a thread of the runtime where it calls a server.
pub(crate) fn ledgerstone(words: &[&str]) -> Result<Exit, Refusal> {
    let arguments = Arguments::parse_from([&["ledgerstone"], words].concat());
    command::run(&arguments.command, &mut Output::standard(arguments.output))
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
