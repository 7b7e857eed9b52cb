//! A running sidecar, as the kernel sees it.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Output};

use crate::support::{Running, Sidecar, http_get, request, serve_doubler};

/// Who the sidecar is where it is not root: the user of the image.
const NOBODY: u32 = 65532;

fn append(sidecar: &Sidecar, text: &str) {
    let before = fs::read_to_string(sidecar.config()).unwrap();
    fs::write(sidecar.config(), format!("{before}\n{text}\n")).unwrap();
}

const REQUIRED: &str = "[hardening]\nlandlock = \"required\"\nseccomp = \"required\"\nmemory = \"required\"";

/// The value of a line of `/proc/PID/status`.
fn status(folder: &Path, name: &str) -> String {
    let text = fs::read_to_string(folder.join("status")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.unwrap_or_else(|| panic!("no {name}: {text}")).trim().to_owned()
}

async fn text(sidecar: &Sidecar, path: &str) -> String {
    let (code, body) = http_get(sidecar.admin, path).await.unwrap();
    assert_eq!(code, 200, "{path}");
    String::from_utf8(body).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_thread_of_a_running_sidecar_is_restricted_and_it_records_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let sidecar = Sidecar::init(folder.path(), serve_doubler().await);
    append(&sidecar, REQUIRED);
    let mut running = sidecar.start();
    let mut client = sidecar.client().await;
    let answer = client.model_infer(request("r", 2.0)).await.unwrap();
    let decision = answer.metadata().get("ledgerstone-decision-id").unwrap().to_str().unwrap();
    sidecar.receipt(decision).await;

    let proc = std::path::PathBuf::from(format!("/proc/{}", running.id()));
    let threads: Vec<_> = fs::read_dir(proc.join("task")).unwrap().map(|task| task.unwrap().path()).collect();
    assert!(threads.len() > 5, "{threads:?}");
    for thread in &threads {
        assert_eq!(status(thread, "Seccomp"), "2", "{thread:?}: filtered");
        assert_eq!(status(thread, "Seccomp_filters"), "2", "{thread:?}");
        assert_eq!(status(thread, "NoNewPrivs"), "1", "{thread:?}");
    }
    let locked: u64 = status(&proc, "VmLck").strip_suffix(" kB").unwrap().parse().unwrap();
    // 4096 keys of the pool, and room for 65,536 remembered ones, 32 bytes each.
    assert!(locked >= (4096 + 65_536) * 32 / 1024, "{locked} kB");
    let limits = fs::read_to_string(proc.join("limits")).unwrap();
    let cores = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(cores.split_whitespace().collect::<Vec<_>>()[4..6], ["0", "0"], "{cores}");

    let told = text(&sidecar, "/hardening").await;
    for part in ["process   active: ", "landlock  active: ABI ", "seccomp   active: ", "memory    active: "] {
        assert!(told.contains(part), "{told}");
    }
    let metrics = text(&sidecar, "/metrics").await;
    for part in ["process", "landlock", "seccomp", "memory"] {
        assert!(metrics.contains(&format!("ledgerstone_hardening{{part=\"{part}\"}} 1")), "{metrics}");
    }
    let bytes = metrics.lines().find_map(|line| line.strip_prefix("ledgerstone_locked_bytes ")).unwrap();
    assert!(bytes.parse::<u64>().unwrap() / 1024 <= locked, "{bytes} bytes are told, {locked} kB are locked");
    assert!(running.stop().success());
    assert!(sidecar.log_lines().contains("hardened part=\"landlock\""), "{}", sidecar.log_lines());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restricted_sidecar_still_sees_that_its_model_server_can_be_asked_past_it() {
    let folder = tempfile::tempdir().unwrap();
    let sidecar = Sidecar::init(folder.path(), serve_doubler().await);
    append(&sidecar, REQUIRED);
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut command = sidecar.command("run");
    command.args(["--set", &format!("upstream.local_ports={port}"), "--set", "upstream.local_only=require"]);
    let mut running = sidecar.start_as(command);
    sidecar.client().await;
    assert_eq!(http_get(sidecar.admin, "/ready").await.unwrap().0, 200);
    let open = std::net::TcpListener::bind(("0.0.0.0", port)).unwrap();
    let (code, told) = http_get(sidecar.admin, "/ready").await.unwrap();
    assert_eq!(code, 503, "{}", String::from_utf8_lossy(&told));
    drop(open);
    assert_eq!(http_get(sidecar.admin, "/ready").await.unwrap().0, 200);
    assert!(running.stop().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sidecar_that_may_do_without_runs_without_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let sidecar = Sidecar::init(folder.path(), serve_doubler().await);
    append(&sidecar, "[hardening]\nlandlock = \"off\"\nseccomp = \"off\"\nmemory = \"off\"");
    let mut running = sidecar.start();
    sidecar.client().await.model_infer(request("r", 2.0)).await.unwrap();
    let proc = std::path::PathBuf::from(format!("/proc/{}", running.id()));
    assert_eq!((status(&proc, "Seccomp").as_str(), status(&proc, "VmLck").as_str()), ("0", "0 kB"));
    // What costs nobody anything is never off.
    assert_eq!(status(&proc, "NoNewPrivs"), "1");
    let told = text(&sidecar, "/hardening").await;
    assert!(told.contains("landlock  off\nseccomp   off\nmemory    off\n"), "{told}");
    let metrics = text(&sidecar, "/metrics").await;
    assert!(metrics.contains("ledgerstone_hardening{part=\"seccomp\"} 0"), "{metrics}");
    assert!(running.stop().success());
    assert!(sidecar.log_lines().contains("the configuration turned it off"), "{}", sidecar.log_lines());
}

/// Whether this test is root, who can become somebody else.
fn is_root(folder: &Path) -> bool {
    let is_root = fs::metadata(folder).unwrap().uid() == 0;
    if !is_root {
        println!("skipped: only root can run the sidecar as another user");
    }
    is_root
}

/// The sidecar as a user without privileges, with a limit on locked memory.
fn as_nobody(sidecar: &Sidecar, verb: &str, locked_kib: &str) -> Command {
    let inner = sidecar.command(verb);
    // Where programs are built may be closed to others.
    let program = sidecar.config().with_file_name("program");
    if !program.exists() {
        fs::copy(inner.get_program(), &program).unwrap();
    }
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -l \"$1\"; shift; exec \"$@\"", "sh", locked_kib]).arg(program);
    command.args(inner.get_args()).uid(NOBODY).gid(NOBODY);
    command
}

fn give_away(folder: &Path) {
    chown(folder, Some(NOBODY), Some(NOBODY)).unwrap();
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap()) {
        match entry.file_type().unwrap().is_dir() {
            true => give_away(&entry.path()),
            false => chown(entry.path(), Some(NOBODY), Some(NOBODY)).unwrap(),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_of_the_same_user_reads_its_environment_or_its_memory() {
    let folder = tempfile::tempdir().unwrap();
    if !is_root(folder.path()) {
        return;
    }
    let sidecar = Sidecar::init(folder.path(), serve_doubler().await);
    give_away(folder.path());
    let mut running = sidecar.start_as({
        let mut command = as_nobody(&sidecar, "run", "64");
        command.env("VAULT_TOKEN", "hvs.a-token-of-the-environment");
        command
    });
    sidecar.client().await;
    for file in ["environ", "mem", "maps"] {
        let path = format!("/proc/{}/{file}", running.id());
        let output = Command::new("head").args(["-c", "1", &path]).uid(NOBODY).gid(NOBODY).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains("Permission denied"), "{path}: {said}");
    }
    assert!(running.stop().success());
    // The same look at a process that is dumpable succeeds: the check can fail.
    let mut other = Running::of(Command::new("sleep").arg("60").uid(NOBODY).gid(NOBODY).spawn().unwrap());
    let path = format!("/proc/{}/environ", other.id());
    assert!(
        Command::new("head").args(["-c", "1", &path]).uid(NOBODY).gid(NOBODY).status().unwrap().success()
    );
    other.kill();
}

#[tokio::test(flavor = "multi_thread")]
async fn too_little_memory_to_lock_is_told_or_ends_the_start() {
    let folder = tempfile::tempdir().unwrap();
    if !is_root(folder.path()) {
        return;
    }
    let sidecar = Sidecar::init(folder.path(), serve_doubler().await);
    give_away(folder.path());
    let mut running = sidecar.start_as(as_nobody(&sidecar, "run", "0"));
    sidecar.client().await.model_infer(request("r", 2.0)).await.unwrap();
    let told = text(&sidecar, "/hardening").await;
    assert!(told.contains("memory    MISSING: ") && told.contains("LimitMEMLOCK="), "{told}");
    assert!(text(&sidecar, "/metrics").await.contains("ledgerstone_hardening{part=\"memory\"} 0"));
    assert!(running.stop().success());
    let lines = sidecar.log_lines();
    assert_eq!(lines.matches("keys cannot be locked in memory").count(), 1, "told once: {lines}");

    append(&sidecar, REQUIRED);
    for (limit, starts) in [("64", false), ("4096", true)] {
        let mut command = as_nobody(&sidecar, "hardening", limit);
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(if starts { 0 } else { 64 }), "{limit}: {said}");
        if !starts {
            assert!(said.contains("raise the limit to 2"), "{said}");
        }
    }
}

#[test]
fn the_command_says_what_is_left_and_tries_it() {
    let folder = tempfile::tempdir().unwrap();
    let upstream = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (upstream, other) = (upstream.local_addr().unwrap(), other.local_addr().unwrap());
    let sidecar = Sidecar::init(folder.path(), upstream);
    append(&sidecar, REQUIRED);
    let outside = tempfile::tempdir().unwrap();
    let planted = outside.path().join("planted");
    fs::write(&planted, "of somebody else").unwrap();
    // A link inside an allowed folder leads out of it; the kernel looks at where it leads.
    let link = sidecar.store().join("link");
    std::os::unix::fs::symlink(&planted, &link).unwrap();
    let try_it =
        |arguments: &[&str]| -> Output { sidecar.command("hardening").args(arguments).output().unwrap() };
    let key = folder.path().join("log.key");
    let journal = fs::read_dir(sidecar.store().join("journal")).unwrap().next().unwrap().unwrap().path();
    let name = |path: &Path| path.to_str().unwrap().to_owned();
    let may =
        try_it(&["--read", &name(&key), "--write", &name(&journal), "--connect", &upstream.to_string()]);
    let said = String::from_utf8(may.stdout).unwrap();
    assert!(may.status.success(), "{said}{}", String::from_utf8_lossy(&may.stderr));
    assert!(said.contains(&format!("writes      {}\n", sidecar.store().display())), "{said}");
    assert!(said.contains(&format!("connects to {}\n", upstream.port())), "{said}");
    for place in [name(&key), name(&journal), upstream.to_string()] {
        assert!(
            said.lines().any(|line| line.starts_with("may ") && line.ends_with(&place)),
            "{place}: {said}"
        );
    }
    for (flag, place) in [
        ("--read", name(&planted)),
        ("--read", name(&link)),
        ("--read", format!("{}/../log.key/../../{}", sidecar.store().display(), name(&planted))),
        ("--read", name(&sidecar.config())),
        ("--read", "/etc/shadow".to_owned()),
        ("--read", "/etc/ssl/private".to_owned()),
        ("--read", "/proc/self/environ".to_owned()),
        ("--write", name(&key)),
        ("--write", name(&planted)),
        ("--connect", other.to_string()),
        ("--connect", "169.254.169.254:80".to_owned()),
    ] {
        let output = try_it(&[flag, &place]);
        let said = String::from_utf8(output.stdout).unwrap();
        let is_there = flag == "--connect" || Path::new(&place).exists();
        if !is_there {
            continue;
        }
        assert!(
            said.lines().any(|line| line.starts_with("may not ") && line.contains(&place)),
            "{flag} {place}: {said}"
        );
        assert_eq!(output.status.code(), Some(1));
    }
}
