//! What lies on this machine: the configuration file, the store directory, the files with keys.
//!
//! Guarantees: nothing is changed, locked or decrypted; no key is read, only who may read it. Does not do: reading what the
//! environment and flags of the sidecar say over its file.
//! Format: `deploy/sidecar.example.toml` and `docs/spec/store.md`.

use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use super::finding::{Findings, Level};
use crate::admin::{Disk, Journal, Settings};
use crate::exit::Refusal;
use crate::source::read_input;

/// Bytes of a configuration file: a thousand routes of 1 KiB.
const CONFIG_BYTES_MAX: usize = 1 << 20;

/// Keys of the configuration that name files which only the sidecar may read.
const SECRETS: [&str; 10] = [
    "log.key_file",
    "receipt.key_file",
    "keys.file",
    "keys.vault.token_file",
    "keys.pkcs11.pin_file",
    "links.file",
    "server.tls.key",
    "upstream.key",
    "telemetry.headers_file",
    "telemetry.key",
];

/// The same in each table of these arrays.
const LISTED: [(&str, &[&str]); 3] = [
    ("siem", &["credentials_file", "key", "password_file", "secret_file", "token_file"]),
    ("keys.previous", &["file", "pkcs11.pin_file", "vault.token_file"]),
    ("anchors.ethereum", &["key_file"]),
];

/// A port that the configuration names: its key, its name, and what it listens on where the key is left out.
const PORTS: [(&str, &str, Option<&str>); 6] = [
    ("server.listen", "grpc", Some("127.0.0.1:7450")),
    ("server.http_listen", "http", Some("127.0.0.1:7451")),
    ("server.admin_listen", "admin", Some("127.0.0.1:7452")),
    ("recorder.listen", "recorder", None),
    ("registry.listen", "registry", None),
    ("links.listen", "links", None),
];

/// A configuration file of a sidecar.
pub(super) struct Configured {
    table: toml::Table,
    folder: PathBuf,
}

impl Configured {
    /// Reads it.
    ///
    /// # Errors
    /// It cannot be read, or is no TOML.
    pub(super) fn read(path: &Path) -> Result<Self, Refusal> {
        let bytes = read_input(path, CONFIG_BYTES_MAX)?;
        let text = String::from_utf8_lossy(&bytes);
        let table = text.parse().map_err(|error: toml::de::Error| {
            Refusal::malformed(
                format_args!("{} is no TOML: {}", path.display(), error.message()),
                "Correct it; `ledgerstone-sidecar --config FILE config explain` says line and key.",
            )
        })?;
        Ok(Self { table, folder: path.parent().map(Path::to_owned).unwrap_or_default() })
    }

    fn value(&self, key: &str) -> Option<&toml::Value> {
        let (first, rest) = key.split_once('.').map_or((key, None), |(first, rest)| (first, Some(rest)));
        let value = self.table.get(first)?;
        rest.map_or(Some(value), |rest| below(value, rest))
    }

    pub(super) fn text(&self, key: &str) -> Option<&str> {
        self.value(key)?.as_str()
    }

    fn path(&self, key: &str) -> Option<PathBuf> {
        Some(self.folder.join(self.text(key)?))
    }

    /// The files with secrets that are named.
    fn secrets(&self) -> impl Iterator<Item = PathBuf> {
        let listed = LISTED.iter().flat_map(|(array, keys)| {
            let tables = self.value(array).and_then(toml::Value::as_array).into_iter().flatten();
            tables.flat_map(move |table| keys.iter().filter_map(move |key| below(table, key)?.as_str()))
        });
        SECRETS.iter().filter_map(|key| self.text(key)).chain(listed).map(|path| self.folder.join(path))
    }

    /// The files that hold a key which wraps record keys, the one in force and those before it.
    fn wrapping(&self) -> impl Iterator<Item = PathBuf> {
        let before = self.value("keys.previous").and_then(toml::Value::as_array).into_iter().flatten();
        let before = before.filter_map(|table| table.get("file")?.as_str());
        self.text("keys.file").into_iter().chain(before).map(|path| self.folder.join(path))
    }

    /// The store directory.
    pub(super) fn store(&self) -> Option<PathBuf> {
        self.path("log.store")
    }

    fn has_tls(&self) -> bool {
        ["server.tls.cert", "server.tls.workload_api"].iter().any(|key| self.value(key).is_some())
    }

    /// Where the port called `name` is asked from this machine, with `plain` or `tls` before it.
    pub(super) fn url(&self, name: &str, plain: &str, tls: &str) -> Option<String> {
        let mut address = self.settings().listen.remove(name)?;
        if let Ok(mut everywhere) = address.parse::<SocketAddr>()
            && everywhere.ip().is_unspecified()
        {
            everywhere.set_ip(match everywhere {
                SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
                SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
            });
            address = everywhere.to_string();
        }
        Some(format!("{}://{address}", if self.has_tls() { tls } else { plain }))
    }

    /// As the admin port would say it.
    pub(super) fn settings(&self) -> Settings {
        let listen = PORTS.iter().filter_map(|(key, name, fallback)| {
            Some(((*name).to_owned(), self.text(key).or(*fallback)?.to_owned()))
        });
        let period = |key| self.text(key).and_then(milliseconds);
        Settings {
            listen: listen.collect::<BTreeMap<_, _>>(),
            tls: self.has_tls(),
            access: self.table.contains_key("access"),
            heartbeat_ms: Some(period("heartbeat.interval").unwrap_or(60_000)),
            publish_ms: None,
            keyring_backup_ms: period("keys.backup_interval"),
            retention_ms: period("retention.interval"),
        }
    }

    /// Says who may read the files with keys, and whether they lie beside what they open.
    pub(super) fn files(&self, findings: &mut Findings, shown: &[&Path]) {
        let files: Vec<PathBuf> = self.secrets().chain(shown.iter().map(|path| path.to_path_buf())).collect();
        permissions(findings, &files);
        let real = |path: PathBuf| path.canonicalize().unwrap_or(path);
        let store = self.store().map(real);
        let inside = store.is_some_and(|store| self.wrapping().any(|key| real(key).starts_with(&store)));
        if inside {
            findings.warn(
                "keys.apart",
                "The key that wraps record keys lies in the store itself, so every copy of the store opens every record.",
                "Move keys.file out of log.store, or better use a token or a service (docs/keys.md).",
            );
        } else {
            findings.ok("keys.apart", "The key that wraps record keys lies apart from the store.");
        }
    }
}

/// Says which of these files others may read or write.
pub(super) fn permissions(findings: &mut Findings, files: &[PathBuf]) {
    let found: Vec<(Level, String)> = files.iter().filter_map(|path| exposed(path)).collect();
    findings.sum(
        "files.permissions",
        "Files with keys and tokens are readable by those alone who need them.",
        found,
        "chmod 600 on each, owned by the user of the sidecar. Where others could read a key, exchange it. What cannot be looked at, look at \
         as the user of the sidecar.",
    );
}

/// What `key` leads to within a value, by dots.
fn below<'a>(value: &'a toml::Value, key: &str) -> Option<&'a toml::Value> {
    key.split('.').try_fold(value, |value, part| value.get(part))
}

#[cfg(unix)]
fn exposed(path: &Path) -> Option<(Level, String)> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = match fs::metadata(path) {
        Ok(about) => about.permissions().mode() & 0o777,
        Err(error) => {
            return Some((Level::NotChecked, format!("{} cannot be looked at: {error}.", path.display())));
        }
    };
    // A group may read: Kubernetes mounts secrets so.
    (mode & 0o027 != 0).then(|| (Level::Fail, format!("{} has mode {mode:03o}.", path.display())))
}

#[cfg(not(unix))]
fn exposed(_: &Path) -> Option<(Level, String)> {
    None
}

/// The journal of a store.
pub(super) fn journal(store: &Path) -> Option<Journal> {
    let segments = fs::read_dir(store.join("journal")).ok()?.filter_map(Result::ok);
    // A segment that was recycled meanwhile has no length any more.
    Some(segments.fold(Journal::default(), |sum, segment| Journal {
        segments: sum.segments + 1,
        bytes: sum.bytes + segment.metadata().map_or(0, |about| about.len()),
    }))
}

/// The disk of a store.
#[cfg(unix)]
pub(super) fn disk(store: &Path) -> Option<Disk> {
    let about = rustix::fs::statvfs(store).ok()?;
    let bytes = |blocks: u64| blocks.checked_mul(about.f_frsize);
    Some(Disk { free_bytes: bytes(about.f_bavail)?, total_bytes: bytes(about.f_blocks)? })
}

#[cfg(not(unix))]
pub(super) fn disk(_: &Path) -> Option<Disk> {
    None
}

/// A duration of the configuration: a whole number with `ms`, `s`, `m`, `h` or `d`.
fn milliseconds(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match text.get(digits.len()..)?.trim() {
        // As the sidecar counts them; a period of less than a millisecond is one.
        "us" => return digits.parse().ok().map(|number: u64| number.div_ceil(1_000)),
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    digits.trim().parse().ok().and_then(|number: u64| number.checked_mul(unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configured(text: &str) -> Configured {
        Configured { table: text.parse().unwrap(), folder: PathBuf::from("/etc/ledgerstone") }
    }

    #[test]
    fn addresses_come_from_the_file_and_its_defaults() {
        let plain = configured("[server]\nhttp_listen = \"0.0.0.0:80\"\n[links]\nlisten = \"[::]:1\"");
        assert_eq!(plain.url("http", "http", "https").unwrap(), "http://127.0.0.1:80");
        assert_eq!(plain.url("admin", "http", "https").unwrap(), "http://127.0.0.1:7452");
        assert_eq!(plain.url("links", "http", "https").unwrap(), "http://[::1]:1");
        assert_eq!(plain.url("registry", "grpc", "grpcs"), None);
        let near = configured("[server]\nhttp_listen = \"10.0.0.0:80\"");
        assert_eq!(near.url("http", "http", "https").unwrap(), "http://10.0.0.0:80");
        let tls = configured("[server.tls]\ncert = \"c\"\nkey = \"k\"\n[access]");
        assert_eq!(tls.url("grpc", "grpc", "grpcs").unwrap(), "grpcs://127.0.0.1:7450");
        assert!(tls.settings().tls && tls.settings().access);
        assert_eq!(tls.path("server.tls.key").unwrap(), Path::new("/etc/ledgerstone/k"));
    }

    #[test]
    fn every_file_with_a_secret_is_looked_at_and_one_that_cannot_be_is_no_good_one() {
        let text = "[log]\nstore = \"store\"\n[keys]\nfile = \"a\"\n[[keys.previous]]\nfile = \"store/b\"\n[[keys.previous]]\npkcs11 = { pin_file = \"c\" }\n\
                    [[anchors.ethereum]]\nkey_file = \"d\"\n[[siem]]\ntoken_file = \"e\"\n";
        let configured = configured(text);
        let mut named: Vec<_> =
            configured.secrets().map(|path| path.file_name().unwrap().to_owned()).collect();
        named.sort();
        assert_eq!(named, ["a", "b", "c", "d", "e"]);
        let mut findings = Findings::default();
        configured.files(&mut findings, &[]);
        let levels: Vec<_> = findings.all.iter().map(|finding| (finding.name, finding.level)).collect();
        assert_eq!(levels, [("files.permissions", Level::NotChecked), ("keys.apart", Level::Warn)]);
    }

    #[test]
    fn periods_carry_their_unit() {
        let period = |text| milliseconds(text);
        assert_eq!(
            (period("250ms"), period("2s"), period("30d")),
            (Some(250), Some(2_000), Some(2_592_000_000))
        );
        for text in
            ["", "s", "5", "5 parsecs", "-1s", "1.5h", "99999999999999999999d", "18446744073709551615d"]
        {
            assert_eq!(period(text), None, "{text}");
        }
    }
}
