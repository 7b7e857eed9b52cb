//! `[[anchors.ethereum]]`: what is refused, with what, and what `config explain` shows.

use std::path::Path;
use std::time::Duration;

use ledgerstone_sidecar::config::{Config, Inputs};

const REST: &str = "[log]\norigin = \"a.example/log\"\nstore = \"store\"\nkey_file = \"log.key\"\n[upstream]\naddress = \"http://127.0.0.1:1\"\n[keys]\nfile = \"kek.key\"\n";

const TABLE: &str = "[[anchors.ethereum]]\nname = \"mainnet\"\nchain_id = 1\nrpc = [\"http://node.example:8545/v3/secret\"]\ncontract = \"0xC897230AA7D65F9bf5DedE61AA0ef447C49cc70e\"\nkey_file = \"anchor.key\"\n";

fn load(anchors: &str) -> Result<Config, String> {
    Config::from_toml(&format!("{REST}{anchors}"), Path::new("/etc/ledgerstone"))
        .map_err(|error| error.to_string())
}

#[test]
fn reads_a_lane_with_its_defaults() {
    let config = load(TABLE).unwrap().anchors;
    let lane = &config.ethereum[0];
    assert_eq!((lane.lane.name.as_str(), lane.chain_id, lane.quorum), ("mainnet", 1, 1));
    assert_eq!((lane.lane.interval, lane.confirmations), (Duration::from_secs(3600), None));
    assert_eq!((lane.max_fee, lane.max_tip), (50_000_000_000, 2_000_000_000));
    assert_eq!((lane.gas, lane.gas_budget), (120_000, 5_760_000));
    assert_eq!(lane.key_file, Path::new("/etc/ledgerstone/anchor.key"));
    assert_eq!(lane.contract[..3], [0xc8, 0x97, 0x23]);
    assert_eq!(config.lanes().count(), 1);
    let three = TABLE.replace(
        "rpc = [",
        "finality = \"12 confirmations\"\nrpc = [\"http://a.example\", \"http://b.example\", ",
    );
    let lane = load(&three).unwrap().anchors.ethereum[0].clone();
    assert_eq!((lane.quorum, lane.confirmations), (2, Some(12)), "more than half of three");
}

#[test]
fn refuses_what_makes_no_sense_and_says_what_to_write() {
    for (line, words) in [
        ("chain_id = 0", "1 or more"),
        ("chain_id = \"1\"", "expected u64"),
        ("rpc = []", "1 to 8 addresses"),
        ("rpc = [\"http://a.example\", \"http://a.example\"]", "none of them twice"),
        ("rpc = [\"ws://a.example\"]", "http://HOST"),
        ("rpc = [\"https://a.example\"]", "ca_file"),
        ("rpc = [\"http://user:word@a.example\"]", "without a user and a password"),
        ("contract = \"0x12\"", "40 hexadecimal digits"),
        ("contract = \"C897230AA7D65F9bf5DedE61AA0ef447C49cc70e\"", "40 hexadecimal digits"),
        ("key_file = \"\"", "a path"),
        ("name = \"Main\"", "a-z"),
    ] {
        let key = line.split(' ').next().unwrap();
        let rows = TABLE.lines().map(|row| if row.starts_with(&format!("{key} ")) { line } else { row });
        let error = load(&rows.collect::<Vec<_>>().join("\n")).unwrap_err();
        assert!(error.contains(words), "{line}: {error}");
    }
    for (line, words) in [
        ("quorum = 2", "1 to their number"),
        ("quorum = 0", "1 to their number"),
        ("finality = \"soon\"", "N confirmations"),
        ("finality = \"2000 confirmations\"", "0 to 1024"),
        ("max_fee = \"50\"", "gwei"),
        ("max_tip = \"1ether\"", "gwei"),
        ("gas = 21000", "60000 or more"),
        ("gas_budget = 1000", "120000 or more"),
        ("entries = 3", "64 or more"),
        ("interval = \"1\"", "unit"),
        ("first_key = \"me\"", "40 hexadecimal digits"),
        ("beacon = \"beacon.example\"", "http://HOST"),
        ("contrat = \"x\"", "did you mean"),
    ] {
        let error = load(&format!("{TABLE}{line}\n")).unwrap_err();
        assert!(error.contains(words), "{line}: {error}");
    }
    let twice = load(&format!("{TABLE}{TABLE}")).unwrap_err();
    assert!(twice.contains("no other lane has"), "{twice}");
}

#[test]
fn explains_a_lane_without_the_key_in_its_address() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sidecar.toml");
    std::fs::write(&file, format!("{REST}{TABLE}")).unwrap();
    let explained = Config::explain(&Inputs { file: Some(file), ..Inputs::default() }).unwrap().to_string();
    assert!(explained.contains("http://node.example:8545/..."), "{explained}");
    assert!(!explained.contains("secret"), "{explained}");
}
