//! An installation to look at, and the doctor as its command line has it.

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Parser as _;
use ledgerstone::time::UnixMillis;
use ledgerstone_verifier::cli::{Arguments, Command as Verb, OutputArguments};
use ledgerstone_verifier::command;
use ledgerstone_verifier::output::Output;
use ledgerstone_verifier::source::install_crypto_provider;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Running, Sidecar, free_port, http_get, request, serve_doubler};
use crate::world::{Authority, until};

/// What one run of the doctor said.
#[derive(Debug)]
pub struct Said {
    pub exit: u8,
    pub checks: Vec<Value>,
}

impl Said {
    /// The names of the checks that went so.
    pub fn names(&self, level: &str) -> Vec<&str> {
        let checks = self.checks.iter().filter(|check| check["level"] == level);
        checks.map(|check| check["name"].as_str().unwrap()).collect()
    }

    /// Nothing is to be fixed and everything was looked at.
    pub fn assert_well(&self) {
        let ill: Vec<_> = self.checks.iter().filter(|check| check["level"] != "ok").collect();
        assert!(ill.is_empty() && self.exit == 0, "exit {}: {ill:#?}", self.exit);
    }

    /// Exactly `name` is not well, and its fix has these words.
    pub fn assert_only(&self, name: &str, level: &str, words: &str) {
        let ill = [self.names("fail"), self.names("warn")].concat();
        assert_eq!(ill, [name], "{:#?}", self.checks);
        let check = self.checks.iter().find(|check| check["name"] == name).unwrap();
        assert_eq!(check["level"], level, "{check:#}");
        let fix = check["fix"].as_str().unwrap();
        assert!(fix.contains(words), "the fix does not say `{words}`: {fix}");
        match level {
            "fail" => assert_eq!(self.exit, 1),
            _ => assert_ne!(self.exit, 1),
        }
    }
}

/// What the doctor prints is kept.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

pub fn now() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    UnixMillis::new(since.as_millis() as u64)
}

/// Runs the doctor on a machine whose clock is `ahead`.
pub async fn doctor_ahead(ahead: Duration, arguments: &[String]) -> Said {
    let line: Vec<String> = ["ledgerstone", "doctor", "--json"]
        .map(str::to_owned)
        .into_iter()
        .chain(arguments.to_vec())
        .collect();
    tokio::task::spawn_blocking(move || {
        install_crypto_provider();
        let arguments = Arguments::try_parse_from(&line).unwrap_or_else(|error| panic!("{line:?}: {error}"));
        let Verb::Doctor(asked) = &arguments.command else { panic!("another command") };
        let kept = Kept::default();
        let said = OutputArguments { json: true, progress: false };
        let mut output = Output::into(said, Box::new(kept.clone()), Box::new(std::io::sink()));
        let exit = command::doctor::run_at(asked, &mut output, now().plus_millis(ahead.as_millis() as u64));
        let exit = exit.unwrap_or_else(|refusal| panic!("{line:?}: {refusal}"));
        output.flush().unwrap();
        let text = kept.0.lock().unwrap().clone();
        let document: Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(
            (&document["format"], &document["exit"]),
            (&"ledgerstone-doctor/v1".into(), &exit.status().into())
        );
        Said { exit: exit.status(), checks: document["checks"].as_array().unwrap().clone() }
    })
    .await
    .unwrap()
}

/// Runs the doctor.
pub async fn doctor(arguments: &[String]) -> Said {
    doctor_ahead(Duration::ZERO, arguments).await
}

/// A configured sidecar and what stands around it.
pub struct Installation {
    pub folder: TempDir,
    pub sidecar: Sidecar,
    pub authority: Authority,
    pub registry: SocketAddr,
    pub upstream: SocketAddr,
    /// The trust policy, kept elsewhere than in the store.
    pub policy: PathBuf,
    /// A variable that the sidecar is started with.
    pub environment: Option<(&'static str, PathBuf)>,
}

impl Installation {
    /// One with nothing to be said against it, but that its model is not registered; nothing where its authority cannot be had.
    pub async fn new() -> Option<Self> {
        Self::within(tempfile::tempdir().unwrap()).await
    }

    /// The same in a folder.
    pub async fn within(folder: TempDir) -> Option<Self> {
        let authority = Authority::start()?;
        let upstream = serve_doubler().await;
        let sidecar = Sidecar::init(folder.path(), upstream);
        let registry = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let policy = folder.path().join("kept.policy");
        std::fs::copy(sidecar.store().join("log.policy"), &policy).unwrap();
        std::fs::create_dir(folder.path().join("model")).unwrap();
        std::fs::write(folder.path().join("model/weights"), b"2.0").unwrap();
        let world = Self { folder, sidecar, authority, registry, upstream, policy, environment: None };
        world.edit("[keys]\n", "[keys]\nbackup_interval = \"1h\"\n");
        world.edit("name = \"doubler\"\nmatch", "name = \"doubler\"\nmodel = { folder = \"model\" }\nmatch");
        let lane = world.authority.lane("tsa");
        world.edit(
            "[[route]]",
            &format!(
                "[retention]\ninterval = \"24h\"\n\n[registry]\nlisten = \"{registry}\"\n\n[models]\nwatch_interval = \"100ms\"\n\n{lane}\n[[route]]"
            ),
        );
        Some(world)
    }

    /// Changes the configuration file; what is replaced must be there.
    pub fn edit(&self, from: &str, to: &str) {
        let text = std::fs::read_to_string(self.sidecar.config()).unwrap();
        assert!(text.contains(from), "no {from} in\n{text}");
        std::fs::write(self.sidecar.config(), text.replacen(from, to, 1)).unwrap();
    }

    /// Starts it with a limit on open files.
    pub fn spawn(&self, files: u32) -> Running {
        let command = self.sidecar.command("run");
        let mut limited = Command::new("sh");
        limited.args(["-c", &format!("ulimit -n {files}; exec \"$0\" \"$@\"")]);
        limited.arg(command.get_program()).args(command.get_args());
        limited.envs(self.environment.clone());
        self.sidecar.start_as(limited)
    }

    /// Starts it and waits until it is ready.
    pub async fn start(&self) -> Running {
        let running = self.spawn(4096);
        drop(self.sidecar.client().await);
        running
    }

    pub async fn decide(&self, count: usize) {
        let mut client = self.sidecar.client().await;
        for at in 0..count {
            client.model_infer(request(&format!("r{at}"), at as f32)).await.unwrap();
        }
    }

    /// `ledgerstone model register`, as its command line has it.
    pub async fn register(&self) {
        let (folder, registry) = (self.path("model"), self.registry);
        let registered = tokio::task::spawn_blocking(move || {
            let line = format!(
                "ledgerstone model register {} --sidecar grpc://{registry} --name doubler --version 1",
                folder.display()
            );
            let arguments = Arguments::try_parse_from(line.split(' ')).unwrap();
            let mut output = Output::into(
                OutputArguments::default(),
                Box::new(std::io::sink()),
                Box::new(std::io::sink()),
            );
            command::run(&arguments.command, &mut output)
        });
        registered.await.unwrap().unwrap();
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What the doctor is asked, beside `more`.
    pub fn asked(&self, more: &[&str]) -> Vec<String> {
        let path = |path: &Path| path.display().to_string();
        let mut asked = vec!["--config".to_owned(), path(&self.sidecar.config())];
        asked.extend(["--policy".to_owned(), path(&self.policy)]);
        asked.extend(more.iter().map(|word| (*word).to_owned()));
        asked
    }

    pub async fn doctor(&self, more: &[&str]) -> Said {
        doctor(&self.asked(more)).await
    }

    /// A page of the admin port.
    pub async fn page(&self, path: &str) -> String {
        let (_, body) = http_get(self.sidecar.admin, path).await.unwrap_or_default();
        String::from_utf8(body).unwrap()
    }

    /// Waits until the lane has fixed something and nothing is wrong with it.
    pub async fn anchored(&self) {
        until("the lane anchors", async || {
            let page = self.page("/anchors").await;
            page.contains("confirmed: 1")
                || page.contains("confirmed:")
                    && !page.contains("confirmed: none")
                    && !page.contains("last error")
        })
        .await;
    }
}

/// `mode` of a file.
pub fn chmod(path: &Path, mode: &str) {
    assert!(Command::new("chmod").arg(mode).arg(path).status().unwrap().success());
}
