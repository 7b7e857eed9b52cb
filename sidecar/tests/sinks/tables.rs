//! What `[[siem]]` of these kinds may say, and what each refusal names.

use ledgerstone_sidecar::config::{Config, Inputs};

/// The configuration with one sink, or why there is none.
fn load(table: &str) -> Result<Config, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sidecar.toml");
    let text = format!(
        "[log]\norigin = \"example.com/tests\"\nstore = \"store\"\nkey_file = \"log.key\"\n[upstream]\naddress = \
         \"http://127.0.0.1:1\"\n[keys]\nfile = \"kek.key\"\n[[siem]]\nname = \"sink\"\n{table}\n"
    );
    std::fs::write(&path, text).unwrap();
    Config::load(&Inputs { file: Some(path), ..Inputs::default() }).map_err(|error| error.to_string())
}

const HEC: &str =
    "kind = \"hec\"\nurl = \"https://splunk.example:8088\"\nca_file = \"ca.pem\"\ntoken_file = \"token\"\n";
const OTLP: &str = "kind = \"otlp\"\nurl = \"https://collector.example:4317\"\nca_file = \"ca.pem\"\n";
const KAFKA: &str =
    "kind = \"kafka\"\nbrokers = [\"tls://kafka.example:9093\"]\nca_file = \"ca.pem\"\ntopic = \"audit\"\n";
const NATS: &str = "kind = \"nats\"\nservers = [\"tls://nats.example:4222\"]\nca_file = \"ca.pem\"\nsubject = \"audit.a\"\nstream = \"A\"\n";

#[test]
fn takes_each_kind_with_everything_that_it_knows() {
    for (table, more) in [
        (
            HEC,
            "index = \"audit\"\nsource = \"a\"\nsourcetype = \"b\"\nhost = \"c\"\nacknowledgement = \"none\"\ncompression = \"none\"\nformat = \"cef\"\ncert = \"c\"\nkey = \"k\"",
        ),
        (
            OTLP,
            "protocol = \"grpc\"\ncert = \"c\"\nkey = \"k\"\ntoken_file = \"token\"\ncompression = \"none\"\nformat = \"otlp\"",
        ),
        (
            KAFKA,
            "partition = 3\nsasl = \"SCRAM-SHA-512\"\nuser = \"a=b,c\"\npassword_file = \"p\"\ncert = \"c\"\nkey = \"k\"\nconnect_timeout = \"1s\"",
        ),
        (
            NATS,
            "credentials_file = \"c\"\ntls_first = true\ncert = \"c\"\nkey = \"k\"\nconnect_timeout = \"1s\"",
        ),
        (NATS, "token_file = \"t\""),
        (NATS, "user = \"u\"\npassword_file = \"t\""),
    ] {
        assert!(load(table).is_ok(), "{table}");
        let config = load(&format!("{table}{more}")).unwrap();
        let target = &config.siem[0].target;
        assert_eq!(target.hosts().len(), 1);
        assert!(target.files().len() >= 2, "every file is known to Landlock: {more}");
    }
}

#[test]
fn refuses_what_makes_no_sense_and_names_the_key() {
    let plain = |table: &str| table.replace("tls://", "tcp://").replace("https://", "http://");
    for (table, part) in [
        (HEC.replace("token_file", "token"), "token"),
        (HEC.replace("ca_file = \"ca.pem\"\n", ""), "siem.url"),
        (plain(HEC), "siem.token_file"),
        (HEC.replace("splunk.example", "169.254.169.254"), "siem.url"),
        (format!("{HEC}acknowledgement = \"maybe\""), "siem.acknowledgement"),
        (format!("{HEC}index = \"a b\""), "siem.index"),
        (format!("{HEC}format = \"native\""), "siem.format"),
        (format!("{HEC}topic = \"a\""), "topic"),
        (format!("{HEC}cert = \"c\""), "siem.key"),
        (format!("{}cert = \"c\"\nkey = \"k\"", plain(OTLP)), "siem.cert"),
        (format!("{}cert = \"c\"\nkey = \"k\"", KAFKA.replace("tls://", "tcp://")), "siem.cert"),
        (format!("{OTLP}protocol = \"json\""), "siem.protocol"),
        (format!("{OTLP}format = \"cef\""), "siem.format"),
        (format!("{OTLP}compression = \"zstd\""), "siem.compression"),
        (OTLP.replace(":4317", ":4317/v1/logs"), "siem.url"),
        (format!("{}token_file = \"t\"", plain(OTLP)), "siem.token_file"),
        (KAFKA.replace("tls://kafka.example:9093", "kafka.example:9093"), "siem.brokers"),
        (KAFKA.replace(":9093", ""), "siem.brokers"),
        (KAFKA.replace("kafka.example", "metadata.google.internal"), "siem.brokers"),
        (KAFKA.replace("[\"", "[\"tcp://a.example:1\", \""), "siem.brokers"),
        (KAFKA.replace("[\"tls://kafka.example:9093\"]", "[]"), "siem.brokers"),
        (KAFKA.replace("ca_file = \"ca.pem\"\n", ""), "siem.brokers"),
        (KAFKA.replace("\"audit\"", "\"a/b\""), "siem.topic"),
        (KAFKA.replace("\"audit\"", "\"\""), "siem.topic"),
        (format!("{KAFKA}partition = -1"), "integer `-1`"),
        (format!("{KAFKA}partition = 2147483648"), "siem.partition"),
        (format!("{KAFKA}sasl = \"PLAIN\""), "siem.user"),
        (format!("{KAFKA}user = \"u\"\npassword_file = \"p\""), "siem.sasl"),
        (format!("{KAFKA}sasl = \"GSSAPI\"\nuser = \"u\"\npassword_file = \"p\""), "siem.sasl"),
        (
            format!("{}sasl = \"PLAIN\"\nuser = \"u\"\npassword_file = \"p\"", plain(KAFKA)),
            "siem.password_file",
        ),
        (format!("{KAFKA}cert = \"c\""), "siem.key"),
        (NATS.replace("tls://nats.example", "tcp://nats.example"), "siem.servers"),
        (NATS.replace("audit.a", "audit.>"), "siem.subject"),
        (NATS.replace("audit.a", "audit..a"), "siem.subject"),
        (NATS.replace("audit.a", "a b"), "siem.subject"),
        (NATS.replace("\"A\"", "\"A.B\""), "siem.stream"),
        (format!("{NATS}credentials_file = \"c\"\ntoken_file = \"t\""), "siem.credentials_file"),
        (format!("{NATS}user = \"u\""), "siem.password_file"),
        (format!("{}token_file = \"t\"", NATS.replace("tls://", "nats://")), "siem.token_file"),
        ("kind = \"carrier-pigeon\"".to_owned(), "siem.kind"),
    ] {
        let error = load(&table).expect_err(&table);
        assert!(error.contains(part), "{part}: {error}");
    }
}
