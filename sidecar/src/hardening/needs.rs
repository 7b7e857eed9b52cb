//! What a configuration needs of the machine: files to read, folders to write, ports to listen on and to ask.
//!
//! Guarantees: a file that may be replaced while the sidecar runs is allowed with its folder, both where it is named and where
//! its links lead (a mounted Kubernetes Secret is a link to a folder that is exchanged); `/` is never allowed as a whole.
//! Does not do: opening any of it.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use crate::config::Config;
use crate::config::keys::ProviderConfig;
use crate::keyring::SecretSource;
use crate::outbound::http::Address;

/// Keys of files that are read once, at the start: these files alone, not their folders.
const READ_ONCE: [&str; 3] = ["log.key_file", "keys.file", "receipt.key_file"];

/// What resolving names, counting processors and telling the memory in use reads.
const SYSTEM: [&str; 17] = [
    "/etc/gai.conf",
    "/etc/host.conf",
    "/etc/hosts",
    "/etc/localtime",
    "/etc/nsswitch.conf",
    "/etc/resolv.conf",
    "/dev/null",
    "/dev/urandom",
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/proc/self/cgroup",
    "/proc/self/mountinfo",
    "/proc/self/statm",
    "/proc/stat",
    "/proc/sys/vm/overcommit_memory",
    "/sys/devices/system/cpu",
    "/sys/fs/cgroup",
];

/// Where a PKCS#11 module, its libraries and its settings are.
const MODULES: [&str; 5] = ["/etc", "/lib", "/lib64", "/opt", "/usr"];

/// Variables that name files with tokens for a role in AWS.
const TOKEN_FILES: [&str; 2] = ["AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"];

/// Variables that name addresses of a role in AWS.
const ROLES: [&str; 2] = ["AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_EC2_METADATA_SERVICE_ENDPOINT"];

/// DNS over TCP, for answers that do not fit a datagram.
const DNS: u16 = 53;

/// Bytes of SoftHSM's configuration that are looked at.
const SOFTHSM_BYTES_MAX: u64 = 64 * 1024;

/// What the sidecar needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Files and folders to read, with everything below.
    pub read: Vec<PathBuf>,
    /// Folders to write, with everything below.
    pub write: Vec<PathBuf>,
    /// TCP ports to listen on; 0 stands for any free one.
    pub listen: Vec<u16>,
    /// TCP ports to connect to; none where a module of somebody else's decides.
    pub connect: Option<Vec<u16>>,
}

impl Needs {
    /// What `config` needs, in this process's environment.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        Self::with(config, |name| std::env::var(name).ok().filter(|value| !value.is_empty()))
    }

    fn with(config: &Config, variable: impl Fn(&str) -> Option<String>) -> Self {
        let mut needs = Self { listen: config.named.ports.clone(), ..Self::default() };
        needs.read.extend(SYSTEM.iter().map(PathBuf::from));
        for (key, path) in &config.named.paths {
            match *key {
                "log.store" => needs.write.push(path.clone()),
                // It was made before, and is inherited.
                "server.handover" => {}
                "links.file" => needs.write.extend(path.parent().map(Path::to_owned)),
                key if READ_ONCE.contains(&key) => needs.read.push(path.clone()),
                _ => needs.replaced(path),
            }
        }
        needs.routes(config);
        needs.siem(config);
        let mut asked = needs.anchors(config);
        asked.extend(config.named.addresses.iter().map(|(_, address)| address.clone()));
        needs.read.extend(config.hardening.read.iter().cloned());
        needs.write.extend(config.hardening.write.iter().cloned());
        needs.keys(config, &variable, &mut asked);
        let mut ports: Vec<u16> = asked.iter().map(Address::port).collect();
        let sinks = config.siem.iter().flat_map(|sink| sink.target.hosts());
        ports.extend(sinks.clone().filter_map(|(_, port)| port));
        if asked.iter().map(Address::host).chain(sinks.map(|(host, _)| host)).any(is_name) {
            // Whoever manages /etc/resolv.conf may put another file in its place.
            needs.read.push("/etc".into());
            needs.replaced(Path::new("/etc/resolv.conf"));
            ports.push(DNS);
        }
        needs.connect = (!config.keys.loads_a_module()).then_some(ports);
        needs.tidy();
        needs
    }

    /// A file that may be replaced, or a folder.
    fn replaced(&mut self, path: &Path) {
        for path in [Some(path.to_owned()), path.canonicalize().ok()].into_iter().flatten() {
            let folder =
                if path.is_dir() { None } else { path.parent().filter(|folder| folder.parent().is_some()) };
            self.read.push(folder.map_or(path.clone(), Path::to_owned));
        }
    }

    /// The files of models, and packs of the operator's own.
    fn routes(&mut self, config: &Config) {
        for route in &config.routes {
            let model = route.model.folder.iter().chain(&route.model.file);
            let packs = route.packs.iter().filter(|name| name.ends_with(".toml")).map(PathBuf::from);
            let named: Vec<_> = model.cloned().chain(packs).map(|path| config.base.join(path)).collect();
            named.iter().for_each(|path| self.replaced(path));
        }
    }

    /// The files of the lanes; the addresses that they ask.
    fn anchors(&mut self, config: &Config) -> Vec<Address> {
        let anchors = &config.anchors;
        let files = anchors.lanes().filter_map(|lane| lane.ca_file.as_ref());
        let files = files.chain(anchors.rfc3161.iter().map(|lane| &lane.roots_file));
        let files = files.chain(anchors.rfc3161.iter().filter_map(|lane| lane.crl_file.as_ref()));
        let files = files.chain(anchors.opentimestamps.iter().filter_map(|lane| lane.headers.as_ref()));
        files.chain(anchors.ethereum.iter().map(|lane| &lane.key_file)).for_each(|path| self.replaced(path));
        let urls = anchors.rfc3161.iter().map(|lane| &lane.url);
        let urls = urls.chain(anchors.opentimestamps.iter().flat_map(|lane| &lane.calendars));
        let urls = urls.chain(anchors.ethereum.iter().flat_map(|lane| lane.rpc.iter().chain(&lane.beacon)));
        urls.cloned().collect()
    }

    /// What sinks read and write.
    fn siem(&mut self, config: &Config) {
        for target in config.siem.iter().map(|sink| &sink.target) {
            target.files().into_iter().for_each(|path| self.replaced(path));
            self.write.extend(target.folder().map(Path::to_owned));
        }
    }

    /// What the providers of keys need beyond what their settings name.
    fn keys(
        &mut self,
        config: &Config,
        variable: &impl Fn(&str) -> Option<String>,
        asked: &mut Vec<Address>,
    ) {
        for provider in std::iter::once(&config.keys.current).chain(&config.keys.previous) {
            match provider {
                ProviderConfig::File { .. } => {}
                ProviderConfig::Vault(vault) => {
                    asked.push(vault.address.clone());
                    if let SecretSource::File(path) = &vault.token {
                        self.replaced(path);
                    }
                }
                ProviderConfig::AwsKms(kms) => {
                    asked.extend([kms.endpoint.clone(), kms.sts_endpoint.clone()]);
                    asked.extend(Address::of_role("http://169.254.169.254"));
                    asked.extend(ROLES.iter().filter_map(|name| Address::of_role(&variable(name)?)));
                    let files = TOKEN_FILES.iter().filter_map(|name| variable(name));
                    files.for_each(|path| self.replaced(Path::new(&path)));
                }
                ProviderConfig::Pkcs11(token) => {
                    self.read.extend(MODULES.iter().map(PathBuf::from));
                    self.replaced(&token.module);
                    variable("SOFTHSM2_CONF").into_iter().for_each(|path| self.softhsm(Path::new(&path)));
                }
            }
        }
    }

    /// SoftHSM keeps its tokens in a folder that its configuration names.
    fn softhsm(&mut self, configuration: &Path) {
        self.replaced(configuration);
        let is_small = std::fs::metadata(configuration).is_ok_and(|about| about.len() <= SOFTHSM_BYTES_MAX);
        let text =
            if is_small { std::fs::read_to_string(configuration).unwrap_or_default() } else { String::new() };
        let values = text.lines().filter_map(|line| line.split_once('='));
        let folder =
            values.filter(|(key, _)| key.trim() == "directories.tokendir").map(|(_, value)| value.trim());
        self.write.extend(folder.filter(|folder| folder.starts_with('/')).map(PathBuf::from));
    }

    /// Each once.
    fn tidy(&mut self) {
        self.read.sort();
        self.read.dedup();
        self.write.sort();
        self.write.dedup();
        for ports in [Some(&mut self.listen), self.connect.as_mut()].into_iter().flatten() {
            ports.sort_unstable();
            ports.dedup();
        }
    }
}

/// Whether a host is looked up outside this machine.
fn is_name(host: &str) -> bool {
    host.parse::<IpAddr>().is_err() && host != "localhost"
}

#[cfg(test)]
mod tests;
