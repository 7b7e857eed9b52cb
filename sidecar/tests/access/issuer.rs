//! The issuer of the tests, and the tokens that it signs.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, OnceLock};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value as Json, json};

pub(crate) const NAME: &str = "https://login.bank.example/realms/staff";
pub(crate) const AUDIENCE: &str = "ledgerstone";

/// The issuer's process; it ends when dropped.
pub(crate) struct Issuer {
    child: Child,
    talk: Mutex<(ChildStdin, BufReader<ChildStdout>)>,
    pub(crate) address: String,
}

fn python() -> Option<&'static PathBuf> {
    static PYTHON: OnceLock<Option<PathBuf>> = OnceLock::new();
    let find = || {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let requirements = root.join("tests/access/requirements.txt");
        let made =
            Command::new(root.join("../scripts/py-env")).arg(requirements).arg("--no-deps").output().unwrap();
        if made.status.success() {
            return Some(PathBuf::from(String::from_utf8(made.stdout).unwrap().trim()));
        }
        let why = String::from_utf8_lossy(&made.stderr).into_owned();
        assert!(std::env::var("CI").as_deref() != Ok("true"), "CI needs an issuer: {why}");
        println!("skipped because scripts/py-env failed: {why}");
        None
    };
    PYTHON.get_or_init(find).as_ref()
}

impl Issuer {
    /// Nothing where Python is not to be had.
    pub(crate) fn start() -> Option<Self> {
        let mut command = Command::new(python()?);
        command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/access/issuer.py"));
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let said: Json = serde_json::from_str(&line).unwrap();
        let address = said["address"].as_str().unwrap().to_owned();
        let talk = Mutex::new((child.stdin.take().unwrap(), output));
        Some(Self { child, talk, address })
    }

    fn ask(&self, question: &Json) -> Json {
        let mut talk = self.talk.lock().unwrap();
        writeln!(talk.0, "{question}").unwrap();
        talk.0.flush().unwrap();
        let mut line = String::new();
        talk.1.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }

    /// Serves the keys in another way from now on.
    pub(crate) fn mode(&self, mode: &str) {
        self.ask(&json!({ "do": "mode", "mode": mode }));
    }

    /// The keys, as they are served when all is well.
    pub(crate) fn keys(&self) -> Vec<u8> {
        self.ask(&json!({ "do": "keys" })).to_string().into_bytes()
    }

    pub(crate) fn sign(&self, key: &str, header: &Json, claims: &Json) -> String {
        let asked = json!({ "do": "sign", "key": key, "header": header, "claims": claims });
        self.ask(&asked)["token"].as_str().unwrap().to_owned()
    }

    /// A token of somebody whose role claim has `words`.
    pub(crate) fn token(&self, subject: &str, words: &[&str]) -> String {
        self.sign("es", &json!({ "alg": "ES256", "kid": "es" }), &claims(subject, words))
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// Claims that hold for five minutes.
pub(crate) fn claims(subject: &str, words: &[&str]) -> Json {
    json!({ "iss": NAME, "aud": AUDIENCE, "sub": subject, "exp": now() + 300, "iat": now(), "roles": words })
}
