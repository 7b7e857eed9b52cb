//! The Debian package, installed into an empty root and started there; builds that give the same bytes.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::tools::{Running, http, root, skipped};

/// The package of this build's sidecar, in `folder`.
fn package(folder: &Path) -> PathBuf {
    let output = Command::new(root().join("scripts/deb"))
        .arg(folder)
        .arg(env!("CARGO_BIN_EXE_ledgerstone-sidecar"))
        // A program with debug lines takes minutes otherwise.
        .envs([("LEDGERSTONE_DEB_COMPRESSION", "none"), ("SOURCE_DATE_EPOCH", "1795000000")])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    PathBuf::from(String::from_utf8(output.stdout).unwrap().trim())
}

fn said(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(output.status.success(), "{command:?}: {said}");
    said
}

/// A root with nothing in it but what dpkg notes, and what the installed program loads.
struct TestRoot(PathBuf);

impl TestRoot {
    fn new(folder: &Path) -> Self {
        let root = folder.join("root");
        for below in ["var/lib/dpkg/info", "var/lib/dpkg/updates", "var/lib/dpkg/triggers", "proc", "dev"] {
            std::fs::create_dir_all(root.join(below)).unwrap();
        }
        std::fs::write(root.join("var/lib/dpkg/status"), "").unwrap();
        Self(root)
    }

    /// Runs dpkg on it. The packages of the C library are not there; its files come from this machine.
    fn dpkg(&self, arguments: &[&str]) -> String {
        let options = ["--force-depends", "--force-not-root", "--force-confold", "--force-bad-path"];
        said(Command::new("dpkg").arg(format!("--root={}", self.0.display())).args(options).args(arguments))
    }

    fn file(&self, path: &str) -> String {
        std::fs::read_to_string(self.0.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// Copies the libraries that the installed program loads.
    fn link(&self) {
        let listed = said(Command::new("ldd").arg(self.0.join("usr/bin/ledgerstone-sidecar")));
        let paths = listed.split_whitespace().filter(|word| word.starts_with('/'));
        for path in paths {
            let target = self.0.join(&path[1..]);
            std::fs::create_dir_all(target.parent().unwrap()).unwrap();
            std::fs::copy(path, target).unwrap();
        }
    }

    /// What `unit` starts, as a process in the root with the variables of the unit; the credential lies where the unit gets it from.
    fn start(&self, unit: &str, port: &str) -> Command {
        let text = self.file(&format!("usr/lib/systemd/system/{unit}.service"));
        let lines = |key: &str| -> Vec<String> {
            text.lines().filter_map(|line| line.strip_prefix(key).map(str::to_owned)).collect()
        };
        let program = lines("ExecStart=").remove(0);
        let mut command = Command::new("unshare");
        command.args(["--mount", "chroot"]).arg(&self.0).args(program.split(' '));
        command.env_clear().env("PATH", std::env::var("PATH").unwrap());
        for variable in lines("Environment=") {
            let (name, value) = variable.split_once('=').unwrap();
            command.env(name, value.replace("%d", "/etc/ledgerstone").replace("%t", "/run"));
        }
        command.env("LEDGERSTONE_SERVER_ADMIN_LISTEN", port);
        for (name, value) in [("LISTEN", "127.0.0.1:0"), ("HTTP_LISTEN", "127.0.0.1:0")] {
            command.env(format!("LEDGERSTONE_SERVER_{name}"), value);
        }
        command
    }
}

#[test]
fn the_package_is_installed_started_upgraded_and_removed() {
    let what = "the Debian package";
    for program in ["dpkg-deb", "strip", "unshare"] {
        if Command::new(program).arg("--version").output().is_err() {
            return skipped(what, &format!("{program} was not found"));
        }
    }
    if Command::new("unshare").args(["--mount", "true"]).status().map_or(true, |status| !status.success()) {
        return skipped(what, "a mount namespace cannot be had here (unshare --mount; root may)");
    }
    let folder = tempfile::tempdir().unwrap();
    let package = package(folder.path());
    assert!(package.file_name().unwrap().to_str().unwrap().starts_with(concat!(
        "ledgerstone-sidecar_",
        env!("CARGO_PKG_VERSION"),
        "_"
    )));
    let again = tempfile::tempdir().unwrap();
    let (one, other) =
        (std::fs::read(&package).unwrap(), std::fs::read(self::package(again.path())).unwrap());
    assert!(one == other, "the same program gives the same package");

    let root = TestRoot::new(folder.path());
    root.dpkg(&["--install", package.to_str().unwrap()]);
    root.link();
    assert!(root.dpkg(&["--status", "ledgerstone-sidecar"]).contains("Status: install ok installed"));
    assert_eq!(root.dpkg(&["--verify", "ledgerstone-sidecar"]), "", "every file is what the package says");
    for path in [
        "usr/lib/systemd/system/ledgerstone-sidecar@.service",
        "usr/share/ledgerstone/sbom.cdx.json",
        "usr/share/doc/ledgerstone-sidecar/copyright",
    ] {
        assert!(!root.file(path).is_empty());
    }

    // As it is installed it lacks the one thing that nobody can choose for the operator.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let refused = root.start("ledgerstone-sidecar", &port.to_string()).output().unwrap();
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(refused.status.code() == Some(64) && told.contains("log.origin"), "{told}");
    let config = root.0.join("etc/ledgerstone/sidecar.toml");
    let text = root.file("etc/ledgerstone/sidecar.toml").replace("# origin =", "origin =");
    std::fs::write(&config, &text).unwrap();
    said(&mut root.start("ledgerstone-init", &port.to_string()));

    let mut running =
        Running::new(root.start("ledgerstone-sidecar", &port.to_string()).stderr(Stdio::piped()));
    let begun = Instant::now();
    while http(port, "/ready").is_none_or(|(status, _)| status != 200) {
        running.must_run();
        assert!(begun.elapsed() < Duration::from_secs(30), "not ready after {:?}", begun.elapsed());
        std::thread::sleep(Duration::from_millis(5));
    }
    running.terminate();
    assert!(running.wait().success());

    root.dpkg(&["--install", package.to_str().unwrap()]);
    assert_eq!(root.file("etc/ledgerstone/sidecar.toml"), text, "an upgrade keeps the configuration");
    root.dpkg(&["--remove", "ledgerstone-sidecar"]);
    assert!(!root.0.join("usr/bin/ledgerstone-sidecar").exists());
    assert!(
        config.exists() && root.0.join("var/lib/ledgerstone/log/log.policy").exists(),
        "the log is not the package's"
    );
}

#[test]
fn two_builds_in_two_folders_give_the_same_bytes() {
    let build = |more: &[&str]| {
        let mut command = Command::new(root().join("scripts/reproducible"));
        command.args(["--offline", "--manifest-path", "tests/reproducible/Cargo.toml"]);
        // Nothing of this test's own build.
        for name in ["CARGO_TARGET_DIR", "RUSTFLAGS", "CFLAGS", "CARGO_INCREMENTAL"] {
            command.env_remove(name);
        }
        command.args(more).output().unwrap()
    };
    let output = build(&[]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if said.contains("not a git repository") {
        return skipped("two builds", "this is no clone, and the script builds what is committed");
    }
    assert!(output.status.success(), "{said}");
    assert!(String::from_utf8(output.stdout).unwrap().contains("reproducible"), "{said}");
    let nothing = build(&["--examples"]);
    let said = String::from_utf8_lossy(&nothing.stderr).into_owned();
    assert!(!nothing.status.success() && said.contains("no program was built"), "{said}");
}
