//! File systems in memory that a test fills, shrinks or makes read-only.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A file system in memory, unmounted when dropped.
pub(crate) struct Mount(PathBuf);

impl Mount {
    /// Mounts one of `size` at `path`; nothing where this user may not.
    pub(crate) fn new(path: &Path, size: &str) -> Option<Self> {
        fs::create_dir_all(path).unwrap();
        let options = format!("size={size}");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "ledgerstone-test"])
            .arg(path)
            .output();
        let mounted = mounted.is_ok_and(|output| output.status.success());
        let ci = std::env::var("CI").is_ok_and(|value| value == "true");
        assert!(mounted || !ci, "mounting a file system needs root under CI=true");
        if !mounted {
            println!("skipped: this user may not mount a file system, 1 case");
        }
        mounted.then(|| Self(path.to_owned()))
    }

    /// Where it is mounted.
    #[allow(dead_code, reason = "each test that shares this file uses a part of it")]
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn remount(&self, how: &str) {
        let status =
            Command::new("mount").args(["-o", &format!("remount,{how}")]).arg(&self.0).status().unwrap();
        assert!(status.success(), "remount {how}");
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
