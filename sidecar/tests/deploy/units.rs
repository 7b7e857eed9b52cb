//! The systemd units.

use std::process::Command;

use crate::tools::{read, root, skipped};

const UNITS: [&str; 3] = ["ledgerstone-sidecar", "ledgerstone-init", "ledgerstone-sidecar@"];

/// The most that `systemd-analyze security` may find, in tenths: 10 is "exposed", 0 is "safe".
const EXPOSURE_MAX: &str = "15";

#[test]
fn systemd_takes_the_units_and_finds_them_hardened() {
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        return skipped("the systemd units", "systemd-analyze was not found (package systemd)");
    }
    let folder = tempfile::tempdir().unwrap();
    for name in UNITS {
        let installed = read(&format!("deploy/systemd/{name}.service"))
            .replace("/usr/local/bin/ledgerstone-sidecar", env!("CARGO_BIN_EXE_ledgerstone-sidecar"));
        let unit = folder.path().join(format!("{name}.service"));
        std::fs::write(&unit, &installed).unwrap();
        let analyze = |arguments: &[&str]| {
            let output = Command::new("systemd-analyze").args(arguments).arg(&unit).output().unwrap();
            let said = [output.stdout, output.stderr].concat();
            (output.status.success(), String::from_utf8(said).unwrap())
        };
        assert_eq!(analyze(&["verify", "--man=no"]), (true, String::new()), "{name}");
        let threshold = format!("--threshold={EXPOSURE_MAX}");
        let (hardened, said) = analyze(&["security", "--offline=true", &threshold]);
        assert!(hardened, "{name}: {said}");

        // Both checks can fail.
        std::fs::write(&unit, installed.replace("ProtectSystem=strict", "ProtectSystm=strict")).unwrap();
        assert!(analyze(&["verify", "--man=no"]).1.contains("ProtectSystm"), "{name}");
        std::fs::write(
            &unit,
            installed.replace("CapabilityBoundingSet=\n", "").replace("SystemCallFilter=", "#"),
        )
        .unwrap();
        assert!(!analyze(&["security", "--offline=true", &threshold]).0, "{name}");
    }
}

#[test]
fn the_units_are_hardened_alike_and_only_one_creates_a_log() {
    let [sidecar, init, instance] = UNITS.map(|name| read(&format!("deploy/systemd/{name}.service")));
    let hardening = |unit: &str| {
        let from = unit.find("\nUser=").unwrap();
        unit[from..unit.find("\n[Install]").unwrap_or(unit.len())].trim().to_owned()
    };
    assert_eq!(hardening(&sidecar), hardening(&init));
    assert_eq!(hardening(&sidecar), hardening(&instance));
    assert!(instance.contains("ExecStart=/usr/local/bin/ledgerstone-sidecar run --take-over\n"));
    assert!(sidecar.contains("ExecStart=/usr/local/bin/ledgerstone-sidecar run\n"));
    assert!(init.contains("ExecStart=/usr/local/bin/ledgerstone-sidecar init\n"));
    assert!(
        !sidecar.contains("ledgerstone-sidecar init\n"),
        "a lost store must not become a new log by itself"
    );
    assert!(!init.contains("[Install]"), "it is started by hand");
    assert!(root().join("deploy/systemd").is_dir());
}
