//! What code inside a restricted process can do: this test program starts itself again, gives up what a configuration says,
//! and tries.

use std::fs;
use std::io::ErrorKind;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use ledgerstone_sidecar::config::{Config, Inputs};
use ledgerstone_sidecar::hardening;
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch, apply_filter};

use crate::support::{Sidecar, free_port};

/// Names the configuration to the process that is restricted.
const CONFIG: &str = "LEDGERSTONE_TEST_INSIDE";

/// SIGSYS: the end of whoever makes a call that ends the process.
const SIGSYS: i32 = 31;

fn inside(test: &str, config: &Path) -> Output {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", &format!("inside::{test}"), "--ignored", "--nocapture", "--test-threads=1"]);
    command.env(CONFIG, config).output().unwrap()
}

/// The configuration, in the process that is to be restricted; nothing in one that runs every ignored test.
fn config() -> Option<Config> {
    let file = PathBuf::from(std::env::var_os(CONFIG)?);
    Some(Config::load(&Inputs { file: Some(file), ..Inputs::default() }).unwrap())
}

fn sidecar(folder: &Path) -> Sidecar {
    Sidecar::init(folder, ([127, 0, 0, 1], free_port()).into())
}

#[test]
fn no_program_is_started_and_no_process() {
    let folder = tempfile::tempdir().unwrap();
    let sidecar = sidecar(folder.path());
    let ended = inside("starts_a_program", &sidecar.config());
    let said = String::from_utf8_lossy(&ended.stdout).into_owned();
    assert!(said.contains("no process: Some(38)"), "{said}");
    assert_eq!(ended.status.signal(), Some(SIGSYS), "{said}{:?}", ended.status);
    assert!(!said.contains("a program was started"), "{said}");
}

#[test]
#[ignore = "the restricted process of another test"]
fn starts_a_program() {
    let Some(config) = config() else { return };
    assert!(hardening::apply(&config).unwrap().seccomp.is_active());
    let forked = Command::new("/bin/echo").arg("a program was started").status();
    println!("no process: {:?}", forked.unwrap_err().raw_os_error());
    let error = Command::new("/bin/echo").arg("a program was started").exec();
    println!("it was only refused: {error}");
}

#[test]
fn files_and_ports_that_the_configuration_does_not_name_are_out_of_reach() {
    let folder = tempfile::tempdir().unwrap();
    let ended = inside("reaches_out", &sidecar(folder.path()).config());
    assert!(
        ended.status.success(),
        "{}{}",
        String::from_utf8_lossy(&ended.stdout),
        String::from_utf8_lossy(&ended.stderr)
    );
}

#[test]
#[ignore = "the restricted process of another test"]
fn reaches_out() {
    let Some(config) = config() else { return };
    let store = config.log.store.clone();
    // Whoever started this process deletes it.
    let outside = config.base.join("outside");
    fs::create_dir(&outside).unwrap();
    let planted = outside.join("planted");
    fs::write(&planted, "of somebody else").unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let reachable = listener.local_addr().unwrap();
    TcpStream::connect(reachable).unwrap();
    assert!(hardening::apply(&config).unwrap().landlock.is_active());

    let refused = |what: &str, error: Option<std::io::Error>| {
        let kind = error.map(|error| error.kind());
        assert!(
            matches!(
                kind,
                Some(ErrorKind::PermissionDenied | ErrorKind::CrossesDevices | ErrorKind::Unsupported)
            ),
            "{what}: {kind:?}"
        );
    };
    refused("read outside", fs::read(&planted).err());
    refused("list outside", fs::read_dir(&outside).err());
    refused("write outside", fs::write(outside.join("new"), "").err());
    refused("delete outside", fs::remove_file(&planted).err());
    refused(
        "change the configuration",
        fs::OpenOptions::new().append(true).open(config.base.join("sidecar.toml")).err(),
    );
    refused("change its key", fs::OpenOptions::new().append(true).open(&config.log.key_file).err());
    refused("a name beside the store", fs::write(config.base.join("new"), "").err());
    refused("a step upwards", fs::read(store.join("../sidecar.toml")).err());
    refused("move out of the store", {
        fs::write(store.join("of-its-own"), "").unwrap();
        fs::rename(store.join("of-its-own"), outside.join("stolen")).err()
    });
    refused("a link", std::os::unix::fs::symlink("/etc/passwd", store.join("link")).err());
    refused("a socket", std::os::unix::net::UnixListener::bind(store.join("socket")).err());
    refused("its environment", fs::read("/proc/self/environ").err());
    refused("its memory", fs::read("/proc/self/maps").err());
    refused("connect to another port", TcpStream::connect(reachable).err());
    refused("the metadata service", TcpStream::connect("169.254.169.254:80").err());
    refused("listen on another port", TcpListener::bind("127.0.0.1:0").err());

    // What it needs it has.
    fs::read(&config.log.key_file).unwrap();
    fs::create_dir(store.join("a")).unwrap();
    fs::rename(store.join("of-its-own"), store.join("a/moved")).unwrap();
    fs::remove_dir_all(store.join("a")).unwrap();
    TcpListener::bind(config.server.listen).unwrap();
    UdpSocket::bind("127.0.0.1:0").unwrap();
    let thread = std::thread::spawn(move || fs::read(&planted).is_err());
    assert!(thread.join().unwrap(), "a thread that is started later is restricted too");
}

/// Answers one system call as a kernel that does not have it, then becomes the sidecar.
#[test]
#[ignore = "the process of another test that becomes a sidecar"]
fn becomes_a_sidecar_under_an_older_kernel() {
    let (Some(config), Ok(call)) = (std::env::var_os(CONFIG), std::env::var("LEDGERSTONE_TEST_WITHOUT"))
    else {
        return;
    };
    let rules = [(call.parse::<i64>().unwrap(), Vec::new())].into();
    let arch = TargetArch::try_from(std::env::consts::ARCH).unwrap();
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, SeccompAction::Errno(38), arch).unwrap();
    let program: BpfProgram = filter.try_into().unwrap();
    apply_filter(&program).unwrap();
    let mut sidecar = Command::new(env!("CARGO_BIN_EXE_ledgerstone-sidecar"));
    let error = sidecar.arg("--config").arg(config).arg("hardening").exec();
    panic!("{error}");
}

#[test]
fn a_kernel_without_landlock_or_seccomp_is_told_or_ends_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let sidecar = sidecar(folder.path());
    let plain = fs::read_to_string(sidecar.config()).unwrap();
    let without = |call: i64, demand: &str| {
        fs::write(sidecar.config(), format!("{plain}\n[hardening]\n{demand}\n")).unwrap();
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args([
            "--exact",
            "inside::becomes_a_sidecar_under_an_older_kernel",
            "--ignored",
            "--nocapture",
        ]);
        command.env(CONFIG, sidecar.config()).env("LEDGERSTONE_TEST_WITHOUT", call.to_string());
        let output = command.output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(said).unwrap())
    };
    for (call, part, other, why) in [
        (
            libc::SYS_landlock_create_ruleset,
            "landlock",
            "seccomp",
            "this kernel has no Landlock (Linux 5.13)",
        ),
        (libc::SYS_seccomp, "seccomp", "landlock", "the kernel refused it: "),
    ] {
        let (status, said) = without(call, "");
        assert_eq!(status, Some(1), "{said}");
        assert!(said.contains(&format!("{part:<10}MISSING: {why}")), "{said}");
        assert!(said.contains(&format!("{other:<10}active: ")), "the other part holds: {said}");
        let (status, said) = without(call, &format!("{part} = \"required\""));
        assert_eq!(status, Some(64), "{said}");
        let message = format!("hardening.{part} is \"required\" and cannot be had: {why}");
        assert!(said.contains(&message) && said.contains("= \"best-effort\""), "{said}");
        let (status, said) = without(call, &format!("{part} = \"off\""));
        assert!(status == Some(0) && said.contains(&format!("{part:<10}off")), "{said}");
    }
}
