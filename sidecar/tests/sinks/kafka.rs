//! A real broker of Apache Kafka in KRaft mode, read back with Kafka's own console consumer.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::lossy::Lossy;
use crate::pki;
use crate::support::{Running, free_port};
use crate::tools::{script, skipped};
use crate::world::{Arrived, World, folder, listens, secret};

const TOPIC: &str = "audit.decisions";

/// What Kafka's programs need of Java, with as little memory as they can do with.
fn java(jars: &Path) -> Command {
    let mut command = Command::new("java");
    command.args(["-Xmx192m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp"]);
    command.arg(format!("{}/*", jars.display())).stdin(Stdio::null());
    command
}

/// A broker with an open listener and one with TLS and SASL.
struct Broker {
    jars: PathBuf,
    folder: tempfile::TempDir,
    open: u16,
    closed: u16,
    running: Option<Running>,
}

impl Broker {
    /// Prepares a broker whose open listener is on the port `open` and advertised as on another; nothing where there is no Kafka.
    fn prepare(what: &str, open: u16, advertised: u16) -> Option<Self> {
        let jars = script("kafka-path", &[]).map_err(|problem| skipped(what, &problem)).ok()?;
        let folder = folder();
        let path = folder.path();
        pki::write(path);
        let (closed, controller) = (free_port(), free_port());
        // Kafka reads a key and its chain out of one file.
        let pem = ["server.key", "server.pem"].map(|name| std::fs::read_to_string(path.join(name)).unwrap());
        std::fs::write(path.join("keystore.pem"), pem.concat()).unwrap();
        let shown = path.display();
        let jaas = "org.apache.kafka.common.security.plain.PlainLoginModule required username=\"ledger\" password=\"plain-word\" user_ledger=\"plain-word\";";
        let scram = "org.apache.kafka.common.security.scram.ScramLoginModule required;";
        let properties = format!(
            "process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=OPEN://127.0.0.1:{open},CLOSED://127.0.0.1:{closed},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=OPEN://127.0.0.1:{advertised},CLOSED://127.0.0.1:{closed}
controller.listener.names=CONTROLLER
inter.broker.listener.name=CLOSED
sasl.mechanism.inter.broker.protocol=PLAIN
listener.security.protocol.map=OPEN:PLAINTEXT,CLOSED:SASL_SSL,CONTROLLER:PLAINTEXT
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512
listener.name.closed.plain.sasl.jaas.config={jaas}
listener.name.closed.scram-sha-256.sasl.jaas.config={scram}
listener.name.closed.scram-sha-512.sasl.jaas.config={scram}
ssl.keystore.type=PEM
ssl.keystore.location={shown}/keystore.pem
ssl.truststore.type=PEM
ssl.truststore.location={shown}/ca.pem
log.dirs={shown}/data
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
num.io.threads=2
num.network.threads=2
log.cleaner.dedupe.buffer.size=20000000
auto.create.topics.enable=false
log.flush.interval.messages=1
"
        );
        std::fs::write(path.join("server.properties"), properties).unwrap();
        let broker = Self { jars, folder, open, closed, running: None };
        let scram = |hash| format!("SCRAM-SHA-{hash}=[name=ledger,password=scram-word]");
        broker.tool(
            "kafka.tools.StorageTool",
            &[
                "format",
                "-t",
                "MkU3OEVBNTcwNTJENDM2Qg",
                "-c",
                &broker.file("server.properties"),
                "--add-scram",
                &scram(256),
                "--add-scram",
                &scram(512),
            ],
        );
        Some(broker)
    }

    fn file(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// Runs a program of Kafka's to its end.
    fn tool(&self, class: &str, arguments: &[&str]) -> String {
        let output = java(&self.jars).arg(class).args(arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{class}: {said}{}", String::from_utf8_lossy(&output.stdout));
        String::from_utf8(output.stdout).unwrap()
    }

    async fn start(&mut self) {
        let log = std::fs::File::options().create(true).append(true).open(self.file("broker.log")).unwrap();
        let mut command = java(&self.jars);
        command
            .args(["kafka.Kafka", &self.file("server.properties")])
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        self.running = Some(Running::of(command.spawn().unwrap()));
        listens(self.open, "the broker").await;
        listens(self.closed, "the broker with TLS").await;
    }

    /// `kill -9`.
    fn kill(&mut self) {
        self.running.take().unwrap().kill();
    }

    /// Creates the topic with two partitions, as an admin without the lossy line.
    fn create(&self) {
        let closed = format!("127.0.0.1:{}", self.closed);
        self.tool(
            "org.apache.kafka.tools.TopicCommand",
            &[
                "--bootstrap-server",
                &closed,
                "--command-config",
                &self.client(),
                "--create",
                "--topic",
                TOPIC,
                "--partitions",
                "2",
            ],
        );
    }

    /// The settings of Kafka's own clients.
    fn client(&self) -> String {
        let path = self.folder.path().join("client.properties");
        let text = format!(
            "security.protocol=SASL_SSL\nsasl.mechanism=PLAIN\nssl.truststore.type=PEM\nssl.truststore.location={}\n\
             sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required username=\"ledger\" \
             password=\"plain-word\";\n",
            self.file("ca.pem")
        );
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    /// Everything in a partition, in its order: the headers, the id, the event.
    fn read(&self, partition: u32) -> Vec<(BTreeMap<String, String>, Arrived)> {
        let (closed, client) = (format!("127.0.0.1:{}", self.closed), self.client());
        let (of, partition) = (format!("{TOPIC}:{partition}"), partition.to_string());
        let common = ["--bootstrap-server", &closed, "--command-config", &client];
        let end = [common.as_slice(), &["--topic-partitions", &of]].concat();
        let end = self.tool("org.apache.kafka.tools.GetOffsetShell", &end);
        // The consumer ends with the last one, however slow the machine is.
        let count = end.trim().rsplit(':').next().unwrap().to_owned();
        if count == "0" {
            return Vec::new();
        }
        let from =
            ["--topic", TOPIC, "--partition", &partition, "--offset", "earliest", "--max-messages", &count];
        let shown = ["print.key=true", "print.headers=true", "key.separator=\t"];
        let shown: Vec<&str> =
            shown.iter().flat_map(|property| ["--formatter-property", *property]).collect();
        let all = [common.as_slice(), &from, &["--timeout-ms", "60000"], &shown].concat();
        let said = self.tool("org.apache.kafka.tools.consumer.ConsoleConsumer", &all);
        let line = |line: &str| {
            let [headers, key, value] = line.splitn(3, '\t').collect::<Vec<_>>().try_into().unwrap();
            let headers = headers.split(',').filter_map(|header| header.split_once(':'));
            let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
            (headers, (key.to_owned(), value.to_owned()))
        };
        said.lines().map(line).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_entry_is_in_the_partition_after_lost_answers_and_a_killed_broker() {
    // The line is what the broker advertises, so it must be there first.
    let open = free_port();
    let line = Lossy::to(open, 4).await;
    let Some(mut broker) = Broker::prepare("export to Kafka", open, line.port) else { return };
    broker.start().await;
    broker.create();
    let table = format!(
        "kind = \"kafka\"\nbrokers = [\"tcp://127.0.0.1:{}\"]\ntopic = \"{TOPIC}\"\npartition = 1",
        line.port
    );
    let mut world = World::start(folder(), &table).await;
    world.decide(120).await;
    broker.kill();
    world.decide(60).await;
    world.error("").await;
    broker.start().await;
    world.decide(60).await;
    let standing = world.caught_up().await;
    let stopped = world.stop();
    let read = broker.read(1);
    let arrived: Vec<Arrived> = read.iter().map(|(_, arrived)| arrived.clone()).collect();
    let copies = stopped.compare(&arrived);
    assert!(line.lost() > 5 && copies > 0, "{} answers lost, {copies} copies: {standing}", line.lost());
    assert!(broker.read(0).is_empty(), "one partition has everything");
    // First copies stand in the order of the log.
    let mut next = 0;
    for (headers, (id, _)) in &read {
        let Some(index) = headers.get("leaf_index") else { continue };
        let index: usize = index.parse().unwrap();
        assert!(index <= next, "entry {index} stands before entry {next}");
        next = next.max(index + 1);
        let leaf = stopped.events[index].leaf().unwrap();
        assert_eq!(
            (headers["leaf_hash"].as_str(), id),
            (leaf.hash.to_string().as_str(), &stopped.events[index].id().to_string())
        );
        assert_eq!(headers["log_id"], stopped.events[index].log().id().to_string());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_with_tls_and_sasl_is_told_who_produces() {
    let Some(mut broker) = Broker::prepare("export to Kafka over TLS", free_port(), free_port()) else {
        return;
    };
    broker.start().await;
    broker.create();
    let mut arrived = Vec::new();
    for (mechanism, word) in
        [("PLAIN", "plain-word"), ("SCRAM-SHA-256", "scram-word"), ("SCRAM-SHA-512", "scram-word")]
    {
        let folder = folder();
        std::fs::copy(broker.file("ca.pem"), folder.path().join("ca.pem")).unwrap();
        secret(folder.path(), "password", "wrong\n");
        let table = format!(
            "kind = \"kafka\"\nbrokers = [\"tls://127.0.0.1:{}\"]\ntopic = \"{TOPIC}\"\nca_file = \"ca.pem\"\n\
             sasl = \"{mechanism}\"\nuser = \"ledger\"\npassword_file = \"password\"",
            broker.closed
        );
        let mut world = World::start(folder, &table).await;
        world.decide(20).await;
        let error = world.error("refused this sender").await;
        assert!(error.contains("Authentication failed") || error.contains("credentials"), "{error}");
        // The password is read anew for each connection.
        secret(world.folder.path(), "password", word);
        world.caught_up().await;
        let stopped = world.stop();
        assert!(!stopped.lines.contains(word), "a password is in the log lines");
        let before = arrived.len();
        arrived = broker.read(0).into_iter().map(|(_, arrived)| arrived).collect();
        stopped.compare(&arrived[before..]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_leads_elsewhere_is_not_followed() {
    let elsewhere = free_port();
    let Some(mut broker) =
        Broker::prepare("a broker that advertises another address", free_port(), elsewhere)
    else {
        return;
    };
    broker.start().await;
    broker.create();
    let table =
        format!("kind = \"kafka\"\nbrokers = [\"tcp://127.0.0.1:{}\"]\ntopic = \"{TOPIC}\"", broker.open);
    let world = World::start(folder(), &table).await;
    let error = world.error("siem.brokers").await;
    assert!(error.contains(&format!("127.0.0.1:{elsewhere}")), "{error}");
    drop(world);
    let table =
        format!("kind = \"kafka\"\nbrokers = [\"tcp://127.0.0.1:{}\"]\ntopic = \"other\"", broker.open);
    let world = World::start(folder(), &table).await;
    let error = world.error("UNKNOWN_TOPIC").await;
    assert!(error.contains("create the topic"), "{error}");
}
