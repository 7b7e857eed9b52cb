//! The node's process: started, asked where it listens, watched, ended.
//!
//! *Guarantees*: the node takes a free port by itself, on loopback; it is killed when the value is dropped; if it ends before, the
//! error says so and where its words are.
//!
//! *Does not do*: end the node when this program is itself killed.

use std::env;
use std::fs::File;
use std::io::Read as _;
use std::net::SocketAddr;
use std::path::{MAIN_SEPARATOR, Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::str::FromStr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Error, Result, bail, ensure};

/// How long the node may take until it listens.
const READY: Duration = Duration::from_secs(20);

/// How often its words are looked at until then.
const POLL: Duration = Duration::from_millis(50);

/// How long a process may take to be gone after its sockets are.
const GONE: Duration = Duration::from_millis(200);

/// Bytes of what a node says before it listens: anvil says 1 kB.
const WORDS_BYTES_MAX: u64 = 64 * 1024;

/// What anvil says before its address.
const LISTENING: &str = "Listening on ";

/// The program of a chain node.
#[derive(Clone, Debug)]
pub struct Program(PathBuf);

impl FromStr for Program {
    type Err = Error;

    /// Finds the program as a shell would: by its path, or by its name in `PATH`.
    fn from_str(text: &str) -> Result<Self> {
        let path = env::var_os("PATH").unwrap_or_default();
        let found = if text.contains(MAIN_SEPARATOR) {
            Some(PathBuf::from(text)).filter(|program| program.is_file())
        } else {
            env::split_paths(&path).map(|folder| folder.join(text)).find(|program| program.is_file())
        };
        found.map(Self).with_context(|| {
            format!("there is no program {text:?}; scripts/anvil-path installs anvil and prints its path")
        })
    }
}

/// The node, running.
#[derive(Debug)]
pub(super) struct Node {
    child: Child,
    program: PathBuf,
    words: PathBuf,
    address: SocketAddr,
}

impl Node {
    /// Starts a node whose chain makes a block a second and holds it for final two blocks later. What it says goes to the file
    /// `words`.
    pub(super) async fn start(program: &Program, words: PathBuf, chain_id: u64) -> Result<Self> {
        let file = File::create(&words).with_context(|| format!("cannot write {}", words.display()))?;
        let child = Command::new(&program.0)
            .args(["--host", "127.0.0.1", "--port", "0", "--chain-id", &chain_id.to_string()])
            .args(["--block-time", "1", "--slots-in-an-epoch", "1", "--accounts", "0", "--color", "never"])
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
            .with_context(|| format!("cannot start {}", program.0.display()))?;
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut node = Self { child, program: program.0.clone(), words, address: nowhere };
        node.address = node.listens().await?;
        Ok(node)
    }

    /// Waits until it says where it listens.
    async fn listens(&mut self) -> Result<SocketAddr> {
        let until = Instant::now() + READY;
        loop {
            let words = read(&self.words)?;
            if let Some(address) = address(&words) {
                return Ok(address);
            }
            let program = self.program.display().to_string();
            let last =
                words.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("nothing").trim().to_owned();
            self.stands()
                .with_context(|| format!("{program} is not anvil, or cannot run; it said last: {last}"))?;
            let is_patient = Instant::now() < until && (words.len() as u64) < WORDS_BYTES_MAX;
            ensure!(
                is_patient,
                "{program} does not say where it listens, as anvil does; what it said is in {}",
                self.words.display()
            );
            tokio::time::sleep(POLL).await;
        }
    }

    /// Where it answers.
    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Whether it is still there.
    pub(super) fn stands(&mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!("{} ended ({status}); what it said is in {}", self.program.display(), self.words.display());
        }
        Ok(())
    }

    /// What came of asking it; if that failed because it ended, this is said.
    pub(super) async fn or_ended<T>(&mut self, came: Result<T>) -> Result<T> {
        if let Err(error) = came {
            tokio::time::sleep(GONE).await;
            return Err(match self.stands() {
                Ok(()) => error.context(format!("the chain at {} is of no use", self.url())),
                Err(ended) => ended,
            });
        }
        came
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // It may have ended already.
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// The beginning of what a node said.
fn read(words: &Path) -> Result<String> {
    let mut bytes = Vec::new();
    File::open(words)?.take(WORDS_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The address in what anvil says. A line that is not written to its end does not count.
fn address(words: &str) -> Option<SocketAddr> {
    let whole = words.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
    whole.filter_map(|line| line.strip_prefix(LISTENING)).find_map(|address| address.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_where_a_node_listens() {
        let words = "\n    1.7.1\n\nGenesis Number\n==================\n\n0\n\nListening on 127.0.0.1:33341\n\n    Block Number: 1\n";
        assert_eq!(address(words), Some(SocketAddr::from(([127, 0, 0, 1], 33_341))));
        for words in [
            "",
            "Listening on 127.0.0.1:333",
            "Listening on \n",
            "Listening on a:b\n",
            "  Listening on 127.0.0.1:1\n",
        ] {
            assert_eq!(address(words), None, "{words:?}");
        }
    }

    #[test]
    fn finds_a_program_by_path_and_by_name() {
        assert!("sh".parse::<Program>().unwrap().0.is_file());
        assert!("/bin/sh".parse::<Program>().is_ok());
        for text in ["", "/", "./", "/bin", "no-such-program", "/no/such/program", "./sh"] {
            let error = text.parse::<Program>().unwrap_err().to_string();
            assert!(error.contains("scripts/anvil-path"), "{text}: {error}");
        }
    }
}
