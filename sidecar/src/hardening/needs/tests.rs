use std::fs;
use std::os::unix::fs::symlink;

use super::*;

const BASE: &str = r#"
[log]
origin = "example.com/tests"
store = "store"
key_file = "secrets/log.key"
[server]
listen = "127.0.0.1:0"
http_listen = "127.0.0.1:7001"
admin_listen = "127.0.0.1:7002"
[upstream]
address = "http://127.0.0.1:8001"
[keys]
"#;

fn needs(folder: &Path, keys: &str, rest: &str, variables: &[(&str, &str)]) -> Needs {
    let config = Config::from_toml(&format!("{BASE}{keys}\n{rest}"), folder).unwrap();
    Needs::with(&config, |name| {
        variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    })
}

#[test]
fn a_small_configuration_needs_its_store_its_two_keys_and_its_ports() {
    let folder = tempfile::tempdir().unwrap();
    let needs = needs(folder.path(), "file = \"secrets/kek.key\"", "", &[]);
    let own: Vec<_> = needs.read.iter().filter(|path| path.starts_with(folder.path())).collect();
    assert_eq!(own, [&folder.path().join("secrets/kek.key"), &folder.path().join("secrets/log.key")]);
    assert_eq!(needs.write, [folder.path().join("store")]);
    assert_eq!((needs.listen, needs.connect), (vec![0, 7001, 7002], Some(vec![8001])));
    assert!(!needs.read.contains(&PathBuf::from("/etc")), "nothing is looked up outside");
}

#[test]
fn a_name_needs_whatever_resolves_it() {
    let folder = tempfile::tempdir().unwrap();
    let vault = "provider = \"vault\"\nid = \"v\"\n[keys.vault]\naddress = \"https://vault.example:8200\"\nkey = \"k\"\ntoken_file = \"tokens/vault\"\nca_file = \"tls/ca.pem\"";
    let needs = needs(folder.path(), vault, "", &[]);
    for path in [PathBuf::from("/etc"), folder.path().join("tokens"), folder.path().join("tls")] {
        assert!(needs.read.contains(&path), "{path:?}: {:?}", needs.read);
    }
    assert_eq!(needs.connect, Some(vec![53, 8001, 8200]));
}

#[test]
fn a_mounted_secret_is_allowed_where_its_links_lead() {
    // As the kubelet mounts it: tls.pem -> ..data/tls.pem, ..data -> ..2026_11_23, which is exchanged; and one outside.
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().canonicalize().unwrap();
    for name in ["mount/..2026_11_23", "archive", "live"] {
        fs::create_dir_all(base.join(name)).unwrap();
    }
    fs::write(base.join("mount/..2026_11_23/tls.pem"), "").unwrap();
    symlink("..2026_11_23", base.join("mount/..data")).unwrap();
    symlink("..data/tls.pem", base.join("mount/tls.pem")).unwrap();
    fs::write(base.join("archive/key1.pem"), "").unwrap();
    symlink("../archive/key1.pem", base.join("live/key.pem")).unwrap();
    let server = "[server.tls]\ncert = \"mount/tls.pem\"\nkey = \"live/key.pem\"";
    let needs = needs(&base, "file = \"kek.key\"", server, &[]);
    for path in ["mount", "live", "archive"] {
        assert!(needs.read.contains(&base.join(path)), "{path}: {:?}", needs.read);
    }
}

#[test]
fn a_role_in_aws_needs_its_token_and_its_address() {
    let folder = tempfile::tempdir().unwrap();
    let aws =
        "provider = \"aws-kms\"\nid = \"k\"\n[keys.aws_kms]\nkey = \"alias/k\"\nregion = \"eu-central-1\"";
    let token = folder.path().join("tokens/eks");
    let token = token.to_str().unwrap();
    let variables = [
        ("AWS_WEB_IDENTITY_TOKEN_FILE", token),
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:51679/x"),
    ];
    let needs = needs(folder.path(), aws, "", &variables);
    assert!(needs.read.contains(&folder.path().join("tokens")), "{:?}", needs.read);
    assert!(needs.read.contains(&PathBuf::from("/etc/ssl/certs")), "{:?}", needs.read);
    assert_eq!(needs.connect, Some(vec![53, 80, 443, 8001, 51679]));
}

#[test]
fn a_module_is_let_connect_and_softhsm_writes_its_tokens() {
    let folder = tempfile::tempdir().unwrap();
    let tokens = folder.path().join("tokens");
    let configuration = folder.path().join("softhsm2.conf");
    fs::write(&configuration, format!("log.level = INFO\ndirectories.tokendir = {}\n", tokens.display()))
        .unwrap();
    let pkcs11 = "provider = \"pkcs11\"\nid = \"h\"\n[keys.pkcs11]\nmodule = \"/opt/hsm/lib/module.so\"\ntoken = \"t\"\nkey = \"k\"\npin_variable = \"PIN\"";
    let variables = [("SOFTHSM2_CONF", configuration.to_str().unwrap())];
    let hardening = "[hardening]\nread = \"/srv/hsm\"\nwrite = \"/var/lib/hsm:/run/hsm\"";
    let needs = needs(folder.path(), pkcs11, hardening, &variables);
    assert_eq!(needs.connect, None);
    let expected = [PathBuf::from("/run/hsm"), "/var/lib/hsm".into(), folder.path().join("store"), tokens];
    assert!(
        expected.iter().all(|path| needs.write.contains(path)) && needs.write.len() == 4,
        "{:?}",
        needs.write
    );
    for path in ["/srv/hsm", "/opt/hsm/lib", "/usr"] {
        assert!(needs.read.contains(&PathBuf::from(path)), "{path}");
    }
}

#[test]
fn the_root_folder_is_never_allowed_as_a_whole() {
    let folder = tempfile::tempdir().unwrap();
    let rest = "[receipt]\nkey_file = \"/receipts.key\"\n[notices]\ntemplates = \"/templates\"\n[upstream]";
    let text = format!(
        "{}file = \"/kek.key\"\n{rest}\nca_file = \"/ca.pem\"\naddress = \"https://127.0.0.1:1\"",
        BASE.replace("[upstream]\naddress = \"http://127.0.0.1:8001\"\n", "")
    );
    let needs = Needs::with(&Config::from_toml(&text, folder.path()).unwrap(), |_| None);
    for path in ["/kek.key", "/receipts.key", "/templates", "/ca.pem"] {
        assert!(needs.read.contains(&PathBuf::from(path)), "{path}: {:?}", needs.read);
    }
    assert!(!needs.read.iter().chain(&needs.write).any(|path| path == Path::new("/")), "{needs:?}");
}

#[test]
fn sinks_need_their_folders_their_files_and_the_ports_of_tcp() {
    let folder = tempfile::tempdir().unwrap();
    let sinks = r#"
[[siem]]
name = "a"
kind = "syslog"
address = "tls://127.0.0.1:6514"
ca_file = "tls/ca.pem"
cert = "own/cert.pem"
key = "own/key.pem"
[[siem]]
name = "b"
kind = "syslog"
address = "udp://127.0.0.1:514"
[[siem]]
name = "c"
kind = "file"
path = "out/events.json"
[[siem]]
name = "d"
kind = "webhook"
url = "http://127.0.0.1:9001/in"
secret_file = "secrets/hook"
"#;
    let found = needs(folder.path(), "file = \"kek.key\"", sinks, &[]);
    assert_eq!(found.connect, Some(vec![6514, 8001, 9001]));
    for path in ["tls", "own", "secrets"] {
        assert!(found.read.contains(&folder.path().join(path)), "{path}: {:?}", found.read);
    }
    assert_eq!(found.write, [folder.path().join("out"), folder.path().join("store")]);
    assert!(!found.read.contains(&PathBuf::from("/etc")), "nothing is looked up outside");
    let named = sinks.replace("udp://127.0.0.1", "udp://siem.example");
    let found = needs(folder.path(), "file = \"kek.key\"", &named, &[]);
    assert!(found.read.contains(&PathBuf::from("/etc")) && found.connect.unwrap().contains(&53));
}
