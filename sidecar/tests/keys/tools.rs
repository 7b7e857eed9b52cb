//! The programs that hold keys in these tests, and how they are started.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use http::{HeaderName, HeaderValue, Method};
use ledgerstone_sidecar::keyring::{KEY_BYTES, KeyId, RecordKey};
use ledgerstone_sidecar::outbound::http::{Address, Client, Question};
use serde_json::{Value, json};
use zeroize::Zeroizing;

/// The label of the token and the PIN of its user.
pub(crate) const TOKEN: &str = "ledgerstone";
pub(crate) const PIN: &str = "1234";

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Says that `what` was skipped, which must not happen under CI.
pub(crate) fn skipped(what: &str, because: &str) {
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{what}: {because}");
    println!("skipped: {what}, because {because}");
}

pub(crate) fn id(name: &str) -> KeyId {
    KeyId::new(name).unwrap()
}

pub(crate) fn key(byte: u8) -> RecordKey {
    RecordKey::new(Zeroizing::new([byte; KEY_BYTES]))
}

/// Writes a secret as only its owner may read it.
pub(crate) fn secret(path: &Path, text: &str) {
    use std::os::unix::fs::OpenOptionsExt as _;
    let renamed = path.with_extension("new");
    _ = std::fs::remove_file(&renamed);
    let mut file =
        std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&renamed).unwrap();
    file.write_all(text.as_bytes()).unwrap();
    std::fs::rename(renamed, path).unwrap();
}

/// What a script of `scripts/` prints.
fn script(name: &str, arguments: &[&Path]) -> Result<PathBuf, String> {
    let output = Command::new(root().join("scripts").join(name)).args(arguments).output().unwrap();
    match output.status.success() {
        true => Ok(PathBuf::from(String::from_utf8(output.stdout).unwrap().trim())),
        false => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
    }
}

/// A SoftHSM with one token, in a folder.
pub(crate) struct SoftHsm {
    pub(crate) folder: PathBuf,
    pub(crate) module: PathBuf,
}

impl SoftHsm {
    /// Nothing where SoftHSM is not installed.
    pub(crate) fn start(what: &str, folder: &Path) -> Option<Self> {
        let places = ["/usr/lib/softhsm/libsofthsm2.so", "/usr/lib64/pkcs11/libsofthsm2.so"];
        let found = places.iter().map(PathBuf::from).find(|path| path.exists());
        let Some(module) = found else {
            skipped(what, "SoftHSM is not installed (package softhsm2)");
            return None;
        };
        let hsm = Self { folder: folder.to_owned(), module };
        std::fs::create_dir_all(hsm.tokens()).unwrap();
        let text = format!(
            "directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\n",
            hsm.tokens().display()
        );
        std::fs::write(hsm.configuration(), text).unwrap();
        secret(&hsm.pin_file(), &format!("{PIN}\n"));
        hsm.util(&["--init-token", "--free", "--label", TOKEN, "--pin", PIN, "--so-pin", "5678"]);
        Some(hsm)
    }

    pub(crate) fn configuration(&self) -> PathBuf {
        self.folder.join("softhsm2.conf")
    }

    pub(crate) fn tokens(&self) -> PathBuf {
        self.folder.join("tokens")
    }

    pub(crate) fn pin_file(&self) -> PathBuf {
        self.folder.join("pin")
    }

    pub(crate) fn util(&self, arguments: &[&str]) {
        let mut command = Command::new("softhsm2-util");
        let output = command.args(arguments).env("SOFTHSM2_CONF", self.configuration()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// `[keys]` for it.
    pub(crate) fn keys(&self, id: &str) -> String {
        format!(
            "provider = \"pkcs11\"\nid = \"{id}\"\npkcs11 = {{ module = {:?}, token = {TOKEN:?}, key = \"records\", pin_file = {:?} }}\n",
            self.module,
            self.pin_file()
        )
    }
}

/// Runs the named test again in a process of its own whose SoftHSM lies in `folder`, because the module reads its
/// environment, and is one for the process. True in that process.
pub(crate) fn alone(test: &str, folder: &Path) -> bool {
    if std::env::var_os("LEDGERSTONE_TEST_ALONE").is_some() {
        return true;
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture"])
        .env("LEDGERSTONE_TEST_ALONE", folder)
        .env("SOFTHSM2_CONF", folder.join("softhsm2.conf"))
        .output()
        .unwrap();
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("test result: ok. 1 passed"), "{text}");
    false
}

/// A program that answers until it is dropped.
struct Program {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Program {
    fn start(mut command: Command) -> Self {
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let (input, output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, input, output }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        assert!(line.ends_with('\n'), "the program ended");
        line
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// A Vault server: initialised, unsealed, with a transit engine and a token that may only encrypt and decrypt with one key.
pub(crate) struct Vault {
    _program: Program,
    pub(crate) address: String,
    client: Client,
    root: String,
    unseal: String,
    pub(crate) folder: PathBuf,
}

impl Vault {
    /// Nothing where it cannot be had. With `tls` the folder holds `tls.pem` and `tls.key`.
    pub(crate) async fn start(what: &str, folder: &Path, tls: bool) -> Option<Self> {
        let path = match script("vault-path", &[]) {
            Ok(path) => path,
            Err(problem) => {
                skipped(what, &problem);
                return None;
            }
        };
        let mut command = Command::new(path);
        if tls {
            command.arg("-cert").arg(folder.join("tls.pem")).arg("-key").arg(folder.join("tls.key"));
        }
        let mut program = Program::start(command);
        let port = program.line().trim().rsplit(':').next().unwrap().to_owned();
        let address =
            if tls { format!("https://localhost:{port}") } else { format!("http://127.0.0.1:{port}") };
        let ca_file = tls.then(|| folder.join("tls.pem"));
        let client = Client::new(Duration::from_secs(20), ca_file.as_deref()).unwrap();
        let mut vault = Self {
            _program: program,
            address,
            client,
            root: String::new(),
            unseal: String::new(),
            folder: folder.to_owned(),
        };
        let made = vault.ask("PUT", "sys/init", json!({"secret_shares": 1, "secret_threshold": 1})).await.1;
        vault.root = made["root_token"].as_str().unwrap().to_owned();
        vault.unseal = made["keys"][0].as_str().unwrap().to_owned();
        vault.unseal().await;
        assert_eq!(vault.ask("POST", "sys/mounts/transit", json!({"type": "transit"})).await.0, 204);
        let policy = "path \"transit/encrypt/records\" { capabilities = [\"update\"] }\n\
                      path \"transit/decrypt/records\" { capabilities = [\"update\"] }";
        assert_eq!(vault.ask("PUT", "sys/policy/sidecar", json!({"policy": policy})).await.0, 204);
        let key = json!({"type": "aes256-gcm96"});
        assert!(vault.ask("POST", "transit/keys/records", key).await.0 < 300);
        secret(&vault.token_file(), &vault.token().await);
        Some(vault)
    }

    pub(crate) fn token_file(&self) -> PathBuf {
        self.folder.join("token")
    }

    /// A fresh token for the sidecar.
    pub(crate) async fn token(&self) -> String {
        let asked = json!({"policies": ["sidecar"], "no_parent": true});
        let made = self.ask("POST", "auth/token/create", asked).await.1;
        made["auth"]["client_token"].as_str().unwrap().to_owned()
    }

    pub(crate) fn root_token(&self) -> &str {
        &self.root
    }

    pub(crate) async fn unseal(&self) {
        let answer = self.ask("PUT", "sys/unseal", json!({"key": self.unseal})).await.1;
        assert_eq!(answer["sealed"], false, "{answer}");
    }

    pub(crate) async fn seal(&self) {
        assert_eq!(self.ask("PUT", "sys/seal", json!({})).await.0, 204);
    }

    /// Asks as root.
    pub(crate) async fn ask(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let question = Question {
            method: Method::from_bytes(method.as_bytes()).unwrap(),
            address: Address::parse(&format!("{}/v1/{path}", self.address)).unwrap(),
            content_type: Some("application/json"),
            accept: "application/json",
            headers: vec![(
                HeaderName::from_static("x-vault-token"),
                HeaderValue::from_str(&self.root).unwrap(),
            )],
            body: body.to_string().into(),
            answer_bytes_max: 1 << 20,
        };
        let answer = self.client.answer(question).await.unwrap();
        (answer.status.as_u16(), serde_json::from_slice(&answer.body).unwrap_or(Value::Null))
    }

    /// `[keys]` for it.
    pub(crate) fn keys(&self, id: &str) -> String {
        let ca = if self.address.starts_with("https") {
            format!(", ca_file = {:?}", self.folder.join("tls.pem"))
        } else {
            String::new()
        };
        format!(
            "provider = \"vault\"\nid = \"{id}\"\nvault = {{ address = {:?}, key = \"records\", token_file = {:?}{ca} }}\n",
            self.address,
            self.token_file()
        )
    }
}

/// AWS KMS, STS and IAM as moto implements them.
pub(crate) struct Kms {
    program: Program,
    pub(crate) said: Value,
}

impl Kms {
    /// Nothing where it cannot be had.
    pub(crate) fn start(what: &str) -> Option<Self> {
        let folder = root().join("sidecar/tests/keys");
        let python = match script("py-env", &[&folder.join("requirements.txt")]) {
            Ok(python) => python,
            Err(problem) => {
                skipped(what, &problem);
                return None;
            }
        };
        let mut command = Command::new(python);
        command.arg(folder.join("kms.py"));
        let mut program = Program::start(command);
        let said = serde_json::from_str(&program.line()).unwrap();
        Some(Self { program, said })
    }

    pub(crate) fn text(&self, name: &str) -> String {
        self.said[name].as_str().unwrap().to_owned()
    }

    /// Has boto3 do something.
    pub(crate) fn ask(&mut self, question: &Value) -> Value {
        writeln!(self.program.input, "{question}").unwrap();
        serde_json::from_str(&self.program.line()).unwrap()
    }

    /// `[keys]` for its key named `key`.
    pub(crate) fn keys(&self, id: &str, key: &str) -> String {
        let endpoint = self.text("endpoint");
        format!(
            "provider = \"aws-kms\"\nid = \"{id}\"\naws_kms = {{ key = \"{key}\", region = \"eu-central-1\", endpoint = {endpoint:?}, sts_endpoint = {endpoint:?} }}\n"
        )
    }
}

/// A provider as the configuration `keys` names it.
pub(crate) fn config(keys: &str) -> ledgerstone_sidecar::config::keys::KeysConfig {
    let rest = "[log]\norigin = \"a.example/log\"\nstore = \"store\"\nkey_file = \"log.key\"\n[upstream]\naddress = \"http://127.0.0.1:1\"\n";
    let text = format!("{rest}[keys]\n{keys}");
    ledgerstone_sidecar::config::Config::from_toml(&text, Path::new("/none")).unwrap().keys
}
