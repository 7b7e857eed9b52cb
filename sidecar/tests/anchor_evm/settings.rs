//! `[[anchors.ethereum]]`: what is refused, with what, and what `config explain` shows.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use ledgerstone_sidecar::anchor::evm::key::FileSigner;
use ledgerstone_sidecar::config::{Config, Inputs};

use crate::support::Sidecar;

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
    assert_eq!((lane.gas, lane.gas_budget), (200_000, 9_600_000));
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
        ("gas_budget = 1000", "200000 or more"),
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

const CHAIN: &str = "beacon_chain = { preset = \"minimal\", genesis_validators_root = \"0xabababababababababababababababababababababababababababababababab\", forks = [{ fork = \"deneb\", epoch = 0, version = \"0x20000093\" }, { fork = \"fulu\", epoch = 9, version = \"0x20000095\" }] }\n";

const BEACON: &str = "beacon = \"http://127.0.0.1:3500\"\n";

#[test]
fn reads_a_beacon_chain_of_ones_own() {
    let lane = load(&format!("{TABLE}{BEACON}{CHAIN}")).unwrap().anchors.ethereum[0].clone();
    let chain = lane.beacon_chain.unwrap();
    assert_eq!((chain.preset.as_str(), chain.genesis_validators_root), ("minimal", [0xab; 32]));
    let forks: Vec<_> = chain.forks.iter().map(|at| (at.fork.as_str(), at.epoch, at.version)).collect();
    assert_eq!(forks, [("deneb", 0, [0x20, 0, 0, 0x93]), ("fulu", 9, [0x20, 0, 0, 0x95])]);
    let alone = load(&format!("{TABLE}{CHAIN}")).unwrap_err();
    assert!(alone.contains("beacon beside it"), "{alone}");
    for (from, to, words) in [
        ("0xabab", "0xab", "64 hexadecimal digits"),
        ("0x20000093", "20000093", "8 hexadecimal digits"),
        ("0x20000093", "0x2000009", "8 hexadecimal digits"),
        ("epoch = 9", "epoch = -9", "u64"),
        ("epoch = 9, ", "", "epoch"),
        ("preset", "present", "present"),
    ] {
        let error = load(&format!("{TABLE}{BEACON}{}", CHAIN.replacen(from, to, 1))).unwrap_err();
        assert!(error.contains(words), "{from} as {to}: {error}");
    }
    let none = "beacon_chain = { genesis_validators_root = \"0x00\", forks = [] }\n";
    let error = load(&format!("{TABLE}{BEACON}{none}")).unwrap_err();
    assert!(error.contains("1 to 16 forks"), "{error}");
}

#[test]
fn a_beacon_chain_that_makes_no_sense_ends_the_start_and_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let files = Sidecar::init(folder.path(), SocketAddr::from(([127, 0, 0, 1], 1)));
    FileSigner::create(&folder.path().join("anchor.key"), None).unwrap();
    let whole = std::fs::read_to_string(files.config()).unwrap();
    let table = TABLE.replace("chain_id = 1\n", "chain_id = 1337\n");
    for (lines, words) in [
        (
            BEACON.to_owned(),
            "the beacon chain of chain 1337 is not known here: describe it with `beacon_chain`",
        ),
        (format!("{BEACON}{}", CHAIN.replace("minimal", "small")), "write mainnet or minimal"),
        (format!("{BEACON}{}", CHAIN.replace("fulu", "osaka")), "the fork \"osaka\" of `beacon_chain`"),
        (format!("{BEACON}{}", CHAIN.replace("fulu", "capella")), "write them by rising epoch"),
    ] {
        std::fs::write(files.config(), format!("{whole}{table}{lines}")).unwrap();
        let output = files.command("run").output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(words), "{lines}: {said}");
    }
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
