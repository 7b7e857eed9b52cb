//! A sidecar that records under each provider, and reads what it recorded.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::support::{Sidecar, free_port, request, serve_doubler};
use crate::tools::{Kms, SoftHsm, Vault};

/// The smallest pool of subject keys that may be configured.
const POOL: usize = ledgerstone::limits::SUBJECT_KEYS_MAX;

/// A sidecar with an environment of its own, and one decision for each configuration of its keys so far.
struct World {
    files: Sidecar,
    environment: Vec<(String, String)>,
    decisions: Vec<String>,
    _folder: tempfile::TempDir,
}

impl World {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let files = Sidecar::init(folder.path(), serve_doubler().await);
        let recorder = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let text = std::fs::read_to_string(files.config()).unwrap();
        std::fs::write(files.config(), format!("{text}\n[recorder]\nlisten = \"{recorder}\"\n")).unwrap();
        Self { files, environment: Vec::new(), decisions: Vec::new(), _folder: folder }
    }

    fn folder(&self) -> &Path {
        &self.files.folder
    }

    fn set(&mut self, name: &str, value: impl ToString) {
        self.environment.push((name.to_owned(), value.to_string()));
    }

    /// Puts `keys` in the place of `[keys]`.
    fn configure(&self, keys: &str) {
        let text = std::fs::read_to_string(self.files.config()).unwrap();
        let (before, rest) = text.split_once("[keys]\n").unwrap();
        let after = &rest[rest.find("[heartbeat]").unwrap()..];
        std::fs::write(self.files.config(), format!("{before}[keys]\n{keys}\n{after}")).unwrap();
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.files.command(arguments[0]);
        command.args(&arguments[1..]).envs(self.environment.iter().cloned());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// What a command prints that ends well.
    fn says(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let (said, error) =
            (String::from_utf8(output.stdout).unwrap(), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{arguments:?}: {}: {said}{error}", output.status);
        said
    }

    /// Has a decision recorded, every key wrapped under `key`, and the sidecar stopped; then every decision so far is read.
    async fn record_and_read(&mut self, key: &str) {
        let mut running = self.files.start_as(self.command(&["run"]));
        let answer = self.files.client().await.model_infer(request("r", 2.5)).await.unwrap();
        let decision = answer.metadata().get("ledgerstone-decision-id").unwrap().to_str().unwrap().to_owned();
        self.files.receipt(&decision).await;
        let rotated = self.says(&["keyring", "rotate"]);
        assert!(rotated.ends_with("none is under an earlier key-encryption key\n"), "{rotated}");
        let status = self.says(&["keyring", "status"]);
        assert!(status.starts_with(&format!("key-encryption key   {key}")), "{status}");
        assert!(running.stop().success());
        self.decisions.push(decision);
        for decision in &self.decisions {
            let record: Value = serde_json::from_str(&self.says(&["record", "open", decision])).unwrap();
            assert_eq!(record["decision_id"], *decision);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn records_under_a_token_are_read_and_the_key_rotates_to_a_vault_and_to_aws() {
    let mut world = World::new().await;
    let folder = world.folder().to_owned();
    world.record_and_read("kek-").await;
    let Some(hsm) = SoftHsm::start("records under a token", &folder) else { return };
    world.set("SOFTHSM2_CONF", hsm.configuration().display());

    let file = "\n[[keys.previous]]\nfile = \"kek.key\"\n".to_owned();
    world.configure(&format!("{}{file}", hsm.keys("hsm-1")));
    assert!(!world.run(&["keys", "check"]).status.success(), "there is no key yet");
    assert_eq!(world.says(&["keys", "create"]), "made the key hsm-1 in pkcs11\n");
    assert_eq!(world.says(&["keys", "create"]), "found the key hsm-1 in pkcs11\n");
    let checked = world.says(&["keys", "check"]);
    assert!(checked.starts_with("pkcs11 hsm-1 (wraps and unwraps)\n  wrapped a random key in "), "{checked}");
    assert!(checked.contains("file kek-") && checked.contains("(earlier, unwraps)"), "{checked}");
    world.record_and_read("hsm-1").await;

    let Some(vault) = Vault::start("records under a Vault", &folder, false).await else { return };
    let earlier = format!("\n[[keys.previous]]\n{}{file}", hsm.keys("hsm-1"));
    world.configure(&format!("{}{earlier}", vault.keys("vault-1")));
    let checked = world.says(&["keys", "check"]);
    assert!(checked.starts_with("vault vault-1 (wraps and unwraps)"), "{checked}");
    world.record_and_read("vault-1").await;

    let Some(kms) = Kms::start("records under AWS KMS") else { return };
    world.set("AWS_ACCESS_KEY_ID", kms.text("access_key_id"));
    world.set("AWS_SECRET_ACCESS_KEY", kms.text("secret_access_key"));
    let earlier = format!("\n[[keys.previous]]\n{}{earlier}", vault.keys("vault-1"));
    world.configure(&format!("{}{earlier}", kms.keys("kms-1", "alias/records")));
    assert_eq!(world.says(&["keys", "create"]), "made the key kms-1 in aws-kms\n");
    let checked = world.says(&["keys", "check"]);
    assert_eq!(checked.matches("unwrapped it in").count(), 4, "{checked}");

    // Before the keys were wrapped anew nothing opens without the earlier provider, and it is said which one is missing.
    let alone = kms.keys("kms-1", "alias/records");
    world.configure(&alone);
    let output = world.run(&["record", "open", &world.decisions[1]]);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        !output.status.success() && error.contains("configure the key provider that holds vault-1"),
        "{error}"
    );

    // Afterwards every record opens with the newest one alone: no record was touched, and no earlier key is needed.
    world.configure(&format!("{alone}{earlier}"));
    world.record_and_read("kms-1").await;
    world.configure(&alone);
    world.record_and_read("kms-1").await;
}

/// The module takes itself apart when a program ends. What a session still does in it by then kills the program. Each
/// thread has a token of its own: SoftHSM writes a token's file at every login, and who reads it meanwhile sees none.
#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_used_a_token_ends_well_however_often() {
    let mut worlds = Vec::new();
    for _ in 0..4 {
        let mut world = World::new().await;
        let Some(hsm) = SoftHsm::start("programs that end", world.folder()) else { return };
        world.set("SOFTHSM2_CONF", hsm.configuration().display());
        world.configure(&hsm.keys("hsm-1"));
        world.says(&["keys", "create"]);
        worlds.push(world);
    }
    std::thread::scope(|scope| {
        for world in &worlds {
            scope.spawn(|| (0..100).for_each(|_| _ = world.says(&["keys", "check"])));
        }
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vault_that_is_sealed_stops_answers_once_the_keys_at_hand_are_used_up() {
    let mut world = World::new().await;
    let folder = world.folder().to_owned();
    let Some(vault) = Vault::start("a sealed Vault", &folder, false).await else { return };
    let keys = vault.keys("vault-1");
    world.configure(&format!("pool = {POOL}\n{keys}\n[[keys.previous]]\nfile = \"kek.key\"\n"));
    world.record_and_read("vault-1").await;
    let index = |world: &World| std::fs::read_dir(world.files.store().join("index")).unwrap().count();
    let before = index(&world);

    let mut running = world.files.start_as(world.command(&["run"]));
    let mut client = world.files.client().await;
    vault.seal().await;
    // The keys that were durable before are used up; then nobody gets an answer.
    let mut recorded = 0;
    let refused = loop {
        match client.model_infer(request("sealed", 2.5)).await {
            Ok(_) => recorded += 1,
            Err(refused) => break refused,
        }
    };
    assert_eq!(refused.code(), tonic::Code::Unavailable, "{refused}");
    assert!((1..=POOL).contains(&recorded), "{recorded}");
    vault.unseal().await;
    let answer = client.model_infer(request("open", 2.5)).await.unwrap();
    assert!(answer.metadata().get("ledgerstone-decision-id").is_some());
    assert!(running.stop().success());

    vault.seal().await;
    let output = world.run(&["run"]);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && error.contains("it is sealed: unseal it"), "{error}");
    assert_eq!(index(&world), before, "the index was left alone");
    vault.unseal().await;
    world.record_and_read("vault-1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn check_says_what_to_do_and_shows_no_secret() {
    let world = World::new().await;
    let token = world.folder().join("token");
    crate::tools::secret(&token, "hvs.secret-token");
    let vault = format!(
        "provider = \"vault\"\nid = \"vault-1\"\ntimeout = \"2s\"\nvault = {{ address = \"http://127.0.0.1:9\", key = \"records\", token_file = {token:?} }}\n"
    );
    world.configure(&format!("{vault}\n[[keys.previous]]\nfile = \"kek.key\"\n"));
    let output = world.run(&["keys", "check"]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        said.contains("failed: the key provider of vault-1 is not available: it cannot be reached"),
        "{said}"
    );
    assert!(said.contains("file kek-") && said.contains("unwrapped it in"), "the others are tried: {said}");
    let explained = world.says(&["config", "explain"]);
    assert!(explained.contains("keys.previous \"1\"") && !explained.contains("secret-token"), "{explained}");
}
