//! What a `[[siem]]` table may say.

use std::path::Path;

use ledgerstone_sidecar::config::Config;
use ledgerstone_sidecar::config::siem::{Confirm, Exported, StartAt, Target, Transport};

const BASE: &str = r#"
[log]
origin = "example.com/tests"
store = "store"
key_file = "log.key"
[upstream]
address = "http://127.0.0.1:8001"
[keys]
file = "kek.key"
"#;

fn read(tables: &str) -> Result<Config, String> {
    Config::from_toml(&format!("{BASE}{tables}"), Path::new("/base")).map_err(|error| error.to_string())
}

#[test]
fn a_table_says_where_what_goes_and_the_rest_has_defaults() {
    let config = read(
        r#"
[[siem]]
name = "soc"
kind = "syslog"
address = "tls://siem.example:6514"
ca_file = "ca.pem"
[[siem]]
name = "files"
kind = "file"
format = "leef"
path = "out/log"
export = "alerts"
start = "end"
"#,
    )
    .unwrap();
    let [soc, files] = &config.siem[..] else { panic!("{:?}", config.siem) };
    let Target::Syslog(syslog) = &soc.target else { panic!("{soc:?}") };
    assert_eq!((syslog.transport, syslog.host.as_str(), syslog.port), (Transport::Tls, "siem.example", 6514));
    assert_eq!((syslog.confirm, syslog.confirm_interval.as_secs()), (Confirm::Close, 10));
    assert_eq!((soc.export, soc.start, soc.batch_events), (Exported::All, StartAt::Beginning, 512));
    assert_eq!((files.export, files.start), (Exported::Alerts, StartAt::End));
    let Target::File(file) = &files.target else { panic!("{files:?}") };
    assert_eq!(file.path, Path::new("/base/out/log"));
    assert_eq!((file.rotate_bytes, file.keep), (100 << 20, 10));
    let explained = ledgerstone_sidecar::config::Config::from_toml(BASE, Path::new("")).unwrap();
    assert_ne!(explained.digest, config.digest, "sinks are part of what the start entry names");
}

#[test]
fn what_makes_no_sense_is_refused_with_the_line_and_what_to_write() {
    let table = |rest: &str| format!("[[siem]]\nname = \"a\"\n{rest}\n");
    let file = "kind = \"file\"\npath = \"f\"\n";
    let hook = "kind = \"webhook\"\nurl = \"http://127.0.0.1:1/x\"\n";
    let twice = table(file) + &table(file);
    let many: String = (0..17).map(|n| format!("[[siem]]\nname = \"s{n}\"\n{file}")).collect();
    for (tables, what) in [
        (twice, "that no other sink has"),
        (many, "at most 16 sinks"),
        (table(""), "missing field `kind`"),
        (table("kind = \"pigeon\""), "write syslog, file"),
        (format!("[[siem]]\nname = \"A b\"\n{file}"), "1 to 32 characters"),
        (table(&format!("{file}format = \"xml\"")), "siem.format"),
        (table(&format!("{file}format = \"native\"")), "native for syslog only"),
        (table(&format!("{hook}format = \"cef\"\nsecret_variable = \"S\"")), "a format of JSON"),
        (table(&format!("{file}rotate = \"1KiB\"")), "a size from 64KiB on"),
        (table(&format!("{file}keep = 0")), "from 1 to 1000"),
        (table(&format!("{file}batch_events = 0")), "1 to 4096"),
        (table(&format!("{file}batch_events = 5000")), "1 to 4096"),
        (table(&format!("{file}timeout = \"5\"")), "siem.timeout"),
        (table(&format!("{file}adress = \"x\"")), "unknown field `adress`"),
        (table("kind = \"file\""), "missing field `path`"),
        (table(hook), "siem.secret_file"),
        (table(&format!("{hook}secret_file = \"s\"\nsecret_variable = \"S\"")), "siem.secret_file"),
        (
            table("kind = \"webhook\"\nurl = \"https://127.0.0.1:1/x\"\nsecret_variable = \"S\""),
            "ca_file beside an https",
        ),
        (table(&format!("{hook}secret_variable = \"S\"\ncert = \"c\"\nkey = \"k\"")), "siem.cert"),
        (
            table(
                "kind = \"webhook\"\nurl = \"https://a/x\"\nca_file = \"x\"\nsecret_variable = \"S\"\nkey = \"k\"",
            ),
            "siem.cert",
        ),
        (table("kind = \"syslog\"\naddress = \"siem:514\""), "udp://HOST:PORT"),
        (table("kind = \"syslog\"\naddress = \"tls://siem:6514\""), "whose certificates to trust"),
        (
            table("kind = \"syslog\"\naddress = \"tcp://siem:514\"\nca_file = \"x\""),
            "beside a tls:// address only",
        ),
        (
            table("kind = \"syslog\"\naddress = \"tls://siem:6514\"\nca_file = \"x\"\ncert = \"c\""),
            "siem.key",
        ),
        (table("kind = \"syslog\"\naddress = \"tcp://siem:514\"\nconfirm = \"never\""), "close, or sent"),
        (table("kind = \"syslog\"\naddress = \"udp://169.254.169.254:514\""), "no link-local"),
        ("siem = 3\n".to_owned(), "expected a sequence"),
        ("[siem]\nname = \"a\"\n".to_owned(), "expected a sequence"),
    ] {
        let at_top =
            if tables.starts_with("siem") { format!("{tables}{BASE}") } else { format!("{BASE}{tables}") };
        let error = Config::from_toml(&at_top, Path::new("")).map(drop).map_err(|error| error.to_string());
        let error = error.expect_err(&tables);
        assert!(error.contains(what), "{tables}: {error}");
    }
}
