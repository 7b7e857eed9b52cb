//! `[anchors]` in the configuration: what is refused, with what, and what `config explain` shows.

use std::path::Path;
use std::time::Duration;

use ledgerstone_sidecar::config::{Config, Inputs};
use ledgerstone_sidecar::keyring::{FileKeyProvider, KeyId};

const REST: &str = "[log]\norigin = \"a.example/log\"\nstore = \"store\"\nkey_file = \"log.key\"\n[upstream]\naddress = \"http://127.0.0.1:1\"\n[keys]\nfile = \"kek.key\"\n";

fn load(anchors: &str) -> Result<Config, String> {
    Config::from_toml(&format!("{REST}{anchors}"), Path::new("/etc/ledgerstone"))
        .map_err(|error| error.to_string())
}

const TSA: &str =
    "[[anchors.rfc3161]]\nname = \"tsa\"\nurl = \"http://tsa.example/tsr\"\nroots_file = \"roots.pem\"\n";
const OTS: &str = "[[anchors.opentimestamps]]\nname = \"bitcoin\"\ncalendars = [\"http://a.example\", \"http://b.example\"]\n";

#[test]
fn reads_lanes_with_their_defaults() {
    let config =
        load(&format!("[anchors]\nquorum = \"2 of bitcoin, rfc3161\"\nlag_alarm = \"3h\"\n{TSA}{OTS}"))
            .unwrap()
            .anchors;
    assert_eq!(config.quorum.unwrap().to_string(), "2 of bitcoin, rfc3161");
    assert_eq!(config.lag_alarm, Duration::from_secs(3 * 3600));
    let tsa = &config.rfc3161[0];
    assert_eq!(
        (tsa.lane.name.as_str(), tsa.lane.interval, tsa.lane.entries),
        ("tsa", Duration::from_secs(3600), 100_000)
    );
    assert_eq!(tsa.roots_file, Path::new("/etc/ledgerstone/roots.pem"));
    let ots = &config.opentimestamps[0];
    assert_eq!((ots.quorum, ots.calendars.len(), ots.upgrade_interval), (2, 2, Duration::from_secs(1800)));
    let none = load("").unwrap().anchors;
    assert!(none.lanes().next().is_none() && none.quorum.is_none());
}

#[test]
fn refuses_what_makes_no_sense_and_says_what_to_write() {
    let tsa = |from: &str, to: &str| TSA.replace(from, to);
    let ots = |from: &str, to: &str| OTS.replace(from, to);
    let cases = [
        (format!("{TSA}colour = \"red\"\n"), "unknown key in a lane of [anchors]"),
        (
            format!("{TSA}intervall = \"1h\"\n"),
            "unknown key \"intervall\" in a lane of [anchors]; did you mean \"interval\"?",
        ),
        (format!("{OTS}upgrade = \"1h\"\n"), "unknown key"),
        ("[anchors]\ncolour = \"red\"\n".to_owned(), "unknown key \"anchors.colour\""),
        ("[[anchors.notary]]\nname = \"x\"\n".to_owned(), "anchors.notary"),
        ("[anchors.rfc3161]\nname = \"x\"\n".to_owned(), "sidecar"),
        ("[anchors]\nquorum = \"3 of bitcoin, rfc3161\"\n".to_owned(), "a number and kinds"),
        ("[anchors]\nlag_alarm = \"3\"\n".to_owned(), "a duration with its unit"),
        (tsa("name = \"tsa\"", "name = \"TSA\""), "1 to 32 characters"),
        (tsa("name = \"tsa\"", "name = \"journal\""), "\"checkpoint\" are taken"),
        (tsa("name = \"tsa\"", "name = \"lanes\""), "\"checkpoint\" are taken"),
        (tsa("name = \"tsa\"", "name = \"../x\""), "1 to 32 characters"),
        (format!("{TSA}{TSA}"), "a name that no other lane has"),
        (format!("{TSA}{}", ots("name = \"bitcoin\"", "name = \"tsa\"")), "a name that no other lane has"),
        (tsa("http://tsa", "ftp://tsa"), "http://HOST"),
        (tsa("http://tsa", "http://me:secret@tsa"), "without a user"),
        (tsa("http://tsa", "https://tsa"), "ca_file beside an https address"),
        (tsa("roots_file = \"roots.pem\"\n", ""), "roots_file"),
        (format!("{TSA}policy = \"3.1\"\n"), "an object identifier"),
        (format!("{TSA}policy = \"freetsa\"\n"), "an object identifier"),
        (format!("{TSA}interval = \"0s\"\n"), "a duration with its unit"),
        (format!("{TSA}entries = 2\n"), "64 or more"),
        (format!("{OTS}quorum = 3\n"), "1 to their number"),
        (format!("{OTS}quorum = 0\n"), "1 to their number"),
        (format!("{OTS}network = \"testnet\"\n"), "mainnet"),
        (ots("http://b.example", "http://a.example"), "none of them twice"),
        (ots("[\"http://a.example\", \"http://b.example\"]", "[]"), "1 to 8 addresses"),
    ];
    for (text, said) in cases {
        let refused = load(&text).map(drop).expect_err(&text);
        assert!(refused.contains(said) || said == "sidecar", "{text}\n{refused}");
        assert!(
            refused.contains("line ") || refused.contains("configuration"),
            "it names the place: {refused}"
        );
    }
    let many: String = (0..17).map(|n| TSA.replace("\"tsa\"", &format!("\"tsa-{n}\""))).collect();
    assert!(load(&many).map(drop).unwrap_err().contains("at most 16 lanes"));
}

#[test]
fn explains_every_lane_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sidecar.toml");
    std::fs::write(&file, format!("{REST}[anchors]\nquorum = \"1 of rfc3161\"\n{TSA}{OTS}")).unwrap();
    let inputs = Inputs { file: Some(file), ..Inputs::default() };
    let explained = Config::explain(&inputs).unwrap();
    let row =
        |key: &str| explained.rows.iter().find(|row| row.key == key).unwrap_or_else(|| panic!("no {key}"));
    assert_eq!(row("anchors.quorum").value.as_deref(), Some("1 of rfc3161"));
    assert_eq!(row("anchors.lag_alarm").value.as_deref(), Some("24h"));
    let tsa = row("anchors.rfc3161 \"tsa\"");
    let value = tsa.value.clone().unwrap();
    assert!(value.contains("\"interval\":\"1h\"") && value.contains("\"entries\":100000"), "{value}");
    assert!(tsa.source.to_string().ends_with("line 11"), "{}", tsa.source);
    assert!(explained.to_string().contains(&value), "it is printed as it is");
    assert!(row("anchors.opentimestamps \"bitcoin\"").value.is_some());
}

#[test]
fn names_the_file_that_a_lane_cannot_use() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(path("empty.pem"), b"").unwrap();
    let keys = FileKeyProvider::from_key(KeyId::new("file-1").unwrap(), &[7; 32]);
    let lanes = |text: &str| {
        let config = load(text).unwrap();
        ledgerstone_sidecar::anchor::setup::lanes(&config.anchors, &config.log.origin, &keys)
            .map(|lanes| lanes.len())
            .map_err(|error| error.to_string())
    };
    let missing = lanes(&TSA.replace("roots.pem", &path("missing.pem"))).unwrap_err();
    assert!(missing.contains("lane tsa") && missing.contains("missing.pem"), "{missing}");
    let empty = lanes(&TSA.replace("roots.pem", &path("empty.pem"))).unwrap_err();
    assert!(empty.contains("roots_file") && empty.contains("empty.pem"), "{empty}");
    let ca = OTS.replace("http:", "https:") + &format!("ca_file = \"{}\"\n", path("empty.pem"));
    assert!(lanes(&ca).unwrap_err().contains("ca_file"));
}
