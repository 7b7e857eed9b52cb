//! A walk through the page: a process that says where it is, and goes on when it is told to.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// Where the page and its tests lie.
pub(crate) fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../web/console")
}

pub(crate) struct Walk {
    scene: &'static str,
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

/// Whether a walk is possible here; with CI=true it must be.
pub(crate) fn is_possible() -> bool {
    let has = |program: &str| {
        Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success())
    };
    let chromium = std::env::var("CHROMIUM").ok().filter(|path| !path.is_empty());
    let missing = [
        ("node", has("node")),
        ("Chromium", has(chromium.as_deref().unwrap_or("/usr/bin/chromium"))),
        ("`npm ci` in web/console", source().join("node_modules/playwright-core").exists()),
    ];
    let missing: Vec<&str> = missing.into_iter().filter(|(_, has)| !has).map(|(what, _)| what).collect();
    let is_ci = std::env::var_os("CI").is_some_and(|ci| ci == "true");
    assert!(missing.is_empty() || !is_ci, "needed under CI=true: {missing:?}");
    if !missing.is_empty() {
        println!("skipped because these are missing: {missing:?}");
    }
    missing.is_empty()
}

impl Walk {
    /// Begins the walk `scene` through the console at `address`.
    pub(crate) fn start(scene: &'static str, address: SocketAddr) -> Self {
        let mut command = Command::new("node");
        command.arg(source().join("test/walk.mjs")).arg(scene).arg(format!("http://{address}"));
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (input, output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Self { scene, child, input, output }
    }

    /// Waits until the walk comes to `word`.
    pub(crate) fn until(mut self, word: &str) -> Self {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        if line.trim_end() != word {
            self.fail(&format!("it should come to {word:?} and says {line:?}"));
        }
        self
    }

    /// Lets it go on.
    pub(crate) fn go(mut self, line: &str) -> Self {
        writeln!(self.input, "{line}").unwrap();
        self
    }

    /// Waits until it is at its end, and sees that all was as it should be.
    pub(crate) fn end(mut self) {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        if !line.is_empty() || !self.child.wait().unwrap().success() {
            self.fail(&line);
        }
    }

    fn fail(mut self, what: &str) -> ! {
        _ = self.child.kill();
        let output = self.child.wait_with_output().unwrap();
        panic!("the walk {}: {what}\n{}", self.scene, String::from_utf8_lossy(&output.stderr));
    }
}

/// Runs what waits for the walk on a thread of its own, so that the sidecar goes on.
pub(crate) async fn beside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
