//! The image: what the Dockerfile says, and its root file system run read-only as its user.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::tools::{Running, http, list, read, root, skipped, text};

/// Assembles the root file system of the image of `program` from a binary that is there; why not, where it cannot be.
fn assembled(program: &str, binary: &str, folder: &Path) -> Result<(), String> {
    let mut command = Command::new(root().join("scripts/rootfs"));
    let output = command.arg(program).arg(folder).arg(binary).output().map_err(|error| error.to_string())?;
    if output.status.success() {
        Ok(())
    } else {
        Err(String::from_utf8(output.stderr).unwrap().trim().to_owned())
    }
}

/// The instructions of the Dockerfile, each with its continued lines.
fn instructions() -> Vec<String> {
    let text = read("deploy/Dockerfile").replace("\\\n", " ");
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
    lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

#[test]
fn the_dockerfile_takes_every_file_from_the_script_and_runs_as_a_numeric_user() {
    let instructions = instructions();
    let last = instructions.iter().rposition(|line| line.starts_with("FROM ")).unwrap();
    let (build, image) = instructions.split_at(last);
    assert_eq!(image[0], "FROM scratch");
    let files: Vec<_> = image
        .iter()
        .filter(|line| ["COPY", "ADD", "RUN"].iter().any(|verb| line.starts_with(verb)))
        .collect();
    assert_eq!(files, ["COPY --from=build /rootfs/ /"]);
    let made: Vec<_> = build.iter().filter(|line| line.contains("/rootfs")).collect();
    let [made] = made.as_slice() else { panic!("{made:?}") };
    assert!(made.ends_with(" scripts/rootfs \"$PROGRAM\" /rootfs"), "{made}");
    assert!(image.contains(&"ENTRYPOINT [\"/program\"]".to_owned()));

    let user = image.iter().find_map(|line| line.strip_prefix("USER ")).unwrap();
    let (uid, gid) = user.split_once(':').unwrap();
    assert!(uid.parse::<u32>().unwrap() > 0 && uid == gid, "{user}");
    assert!(read("scripts/rootfs").contains(&format!("\nuser={uid}\n")));
    for key in ["runAsUser", "runAsGroup", "fsGroup"] {
        assert!(
            read("deploy/helm/ledgerstone/values.yaml").contains(&format!("\n  {key}: {uid}\n")),
            "{key}"
        );
    }
}

#[test]
fn the_image_runs_read_only_as_its_user_and_needs_nothing_else() {
    let what = "the image's root file system";
    if Command::new("unshare").args(["--mount", "true"]).status().map_or(true, |status| !status.success()) {
        return skipped(what, "a mount namespace cannot be had here (unshare --mount; root may)");
    }
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join("image");
    let binary = env!("CARGO_BIN_EXE_ledgerstone-sidecar");
    if let Err(problem) = assembled("ledgerstone-sidecar", binary, &image) {
        return skipped(what, &problem);
    }
    holds_nothing_else(&image);
    let volume = Volume::new(&image, folder.path());
    assert!(volume.output(&["--version"]).starts_with("ledgerstone-sidecar "));
    assert!(volume.output(&["init", "--if-absent"]).starts_with("created the keys"));
    let policy = std::fs::read(volume.store().join("log.policy")).unwrap();
    let again = volume.output(&["init", "--if-absent"]);
    assert!(again.ends_with("nothing was changed\n"), "{again}");
    assert_eq!(std::fs::read(volume.store().join("log.policy")).unwrap(), policy);

    let begun = Instant::now();
    let mut running = Running::new(volume.command(&["run"]).stderr(Stdio::piped()));
    while http(volume.admin, "/ready").is_none_or(|(status, _)| status != 200) {
        running.must_run();
        assert!(begun.elapsed() < Duration::from_secs(30), "not ready after {:?}", begun.elapsed());
        std::thread::sleep(Duration::from_millis(5));
    }
    println!("ready {:?} after its start, namespaces included", begun.elapsed());
    let proc = PathBuf::from(format!("/proc/{}", running.id()));
    let status = std::fs::read_to_string(proc.join("status")).unwrap();
    for line in
        ["Uid:\t65532\t65532\t65532\t65532", "Gid:\t65532\t65532\t65532\t65532", "CapEff:\t0000000000000000"]
    {
        assert!(status.lines().any(|found| found == line), "{line}: {status}");
    }
    let mounts = std::fs::read_to_string(proc.join("mountinfo")).unwrap();
    let options =
        mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>()).find(|parts| parts[4] == "/").unwrap()
            [5];
    assert!(options.split(',').any(|option| option == "ro"), "{options}");
    let (status, metrics) = http(volume.admin, "/metrics").unwrap();
    assert!(status == 200 && metrics.contains("ledgerstone_ready 1"), "{metrics}");

    running.terminate();
    assert!(running.wait().success());
}

/// The program, its loader and libraries, and files of text; nothing that only root may read, nothing with a set bit.
fn holds_nothing_else(image: &Path) {
    let mut programs = Vec::new();
    let mut folders = vec![image.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap()) {
            let metadata = entry.path().symlink_metadata().unwrap();
            let name = entry.path().strip_prefix(image).unwrap().display().to_string();
            if metadata.is_dir() {
                folders.push(entry.path());
            } else if metadata.is_file() {
                let mode = metadata.permissions().mode();
                assert_eq!(mode & 0o7022, 0, "{name} has mode {mode:o}");
                assert_eq!(mode & 0o444, 0o444, "{name} has mode {mode:o}");
                if std::fs::read(entry.path()).unwrap().starts_with(b"\x7fELF") {
                    programs.push(name);
                }
            } else {
                assert_eq!(name, "program", "a link, or worse");
            }
        }
    }
    let libraries = programs.iter().filter(|name| name.contains(".so")).count();
    assert_eq!(programs.len() - libraries, 1, "{programs:?}");
    let materials: Value =
        serde_json::from_slice(&std::fs::read(image.join("usr/share/ledgerstone/sbom.cdx.json")).unwrap())
            .unwrap();
    lists_what_is_linked(&materials);
}

fn lists_what_is_linked(materials: &Value) {
    assert_eq!((&materials["bomFormat"], &materials["specVersion"]), (&"CycloneDX".into(), &"1.6".into()));
    assert_eq!(materials["metadata"]["component"]["name"], "ledgerstone-sidecar");
    assert_eq!(materials["metadata"]["component"]["version"], env!("CARGO_PKG_VERSION"));
    let components = list(&materials["components"]);
    let names: Vec<_> = components.iter().map(|component| text(&component["name"])).collect();
    for linked in ["ledgerstone", "tonic", "rustls", "sled", "aws-sigv4", "ed25519-dalek"] {
        assert!(names.contains(&linked), "{linked} is linked and not listed");
    }
    for other in ["ledgerstone-verifier", "criterion", "proptest", "ledgerstone-sidecar"] {
        assert!(!names.contains(&other), "{other} is listed and not linked");
    }
    let lock = read("Cargo.lock");
    for component in components {
        let (name, version) = (text(&component["name"]), text(&component["version"]));
        assert_eq!(component["purl"], format!("pkg:cargo/{name}@{version}"));
        assert!(component["licenses"][0]["expression"].is_string(), "{name} has no licence");
        let known = format!("[[package]]\nname = \"{name}\"\nversion = \"{version}\"\n");
        assert!(lock.contains(&known), "{name} {version}");
        let hash = &component["hashes"][0]["content"];
        assert!(name == "ledgerstone" || lock.contains(&format!("checksum = {hash}")), "{name}: {hash}");
    }
}

/// What a pod mounts into the image: configuration and a writable volume.
struct Volume {
    image: PathBuf,
    state: PathBuf,
    configuration: PathBuf,
    admin: std::net::SocketAddr,
}

impl Volume {
    fn new(image: &Path, folder: &Path) -> Self {
        let port = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let (state, configuration, admin) = (folder.join("state"), folder.join("configuration"), port());
        std::fs::create_dir(&state).unwrap();
        std::fs::create_dir(&configuration).unwrap();
        std::os::unix::fs::chown(&state, Some(65532), Some(65532)).unwrap();
        // The folder of a test is its owner's alone, and the sidecar is somebody else.
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).unwrap();
        let text = format!(
            "log = {{ origin = \"log.example/image\", store = \"/var/lib/ledgerstone/log\", key_file = \"/var/lib/ledgerstone/keys/log.key\" }}\n\
             keys = {{ file = \"/var/lib/ledgerstone/keys/records.key\" }}\n\
             server = {{ listen = \"127.0.0.1:0\", http_listen = \"127.0.0.1:0\", admin_listen = \"{admin}\" }}\n\
             upstream = {{ address = \"http://127.0.0.1:1\" }}\n"
        );
        std::fs::write(configuration.join("sidecar.toml"), text).unwrap();
        Self { image: image.to_owned(), state, configuration, admin }
    }

    fn store(&self) -> PathBuf {
        self.state.join("log")
    }

    /// The image's entry point as a container runtime starts it: a root that cannot be written, no /proc, no /dev.
    fn command(&self, arguments: &[&str]) -> Command {
        let steps = "set -e; mount --make-rprivate /; mount --bind \"$1\" \"$1\"; mount -o remount,bind,ro \"$1\"; \
                     mount --bind \"$2\" \"$1/var/lib/ledgerstone\"; mount --bind \"$3\" \"$1/etc/ledgerstone\"; root=$1; shift 3; \
                     exec env -i PATH=\"$PATH\" LEDGERSTONE_CONFIG=/etc/ledgerstone/sidecar.toml chroot --userspec=65532:65532 --groups= \"$root\" /program \"$@\"";
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "sh", "-c", steps, "sh"])
            .args([&self.image, &self.state, &self.configuration])
            .args(arguments);
        command
    }

    fn output(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}
