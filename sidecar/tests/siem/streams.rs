//! Syslog receivers that are down, gone without a word, slow, or break off.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ledgerstone::siem::Format;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::world::{World, free, syslog};

/// What a receiver does with a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    /// Reads all, and closes when the other side does.
    Good,
    /// Reads nothing, and never closes.
    Deaf,
    /// Reads some bytes, keeps whole messages of them, and resets the connection.
    Breaks,
    /// Reads all, answers with something, and never closes.
    Talks,
}

/// A receiver of octet-counted frames.
struct Receiver {
    address: SocketAddr,
    messages: Arc<Mutex<Vec<String>>>,
    manner: Arc<Mutex<Manner>>,
}

impl Receiver {
    async fn start(address: SocketAddr, manner: Manner) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        // Small, so that a receiver that does not read is noticed.
        socket.set_recv_buffer_size(8 << 10).unwrap();
        socket.bind(address).unwrap();
        let listener = socket.listen(16).unwrap();
        let receiver = Self {
            address: listener.local_addr().unwrap(),
            messages: Arc::default(),
            manner: Arc::new(Mutex::new(manner)),
        };
        tokio::spawn(serve(listener, Arc::clone(&receiver.messages), Arc::clone(&receiver.manner)));
        receiver
    }

    fn manner(&self, manner: Manner) {
        *self.manner.lock().unwrap() = manner;
    }

    fn messages(&self) -> Vec<String> {
        self.messages.lock().unwrap().clone()
    }
}

async fn serve(listener: TcpListener, messages: Arc<Mutex<Vec<String>>>, manner: Arc<Mutex<Manner>>) {
    let mut deaf = Vec::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let manner = *manner.lock().unwrap();
        match manner {
            Manner::Deaf => deaf.push(stream),
            _ => drop(tokio::spawn(receive(stream, manner, Arc::clone(&messages)))),
        }
    }
}

async fn receive(mut stream: TcpStream, manner: Manner, messages: Arc<Mutex<Vec<String>>>) {
    let (mut bytes, mut chunk) = (Vec::new(), [0; 4096]);
    let mut whole = 0;
    loop {
        let count = stream.read(&mut chunk).await.unwrap_or(0);
        bytes.extend_from_slice(&chunk[..count]);
        while let Some((message, rest)) = frame(&bytes) {
            messages.lock().unwrap().push(message);
            bytes.drain(..rest);
            whole += 1;
        }
        match manner {
            Manner::Breaks if whole >= 7 => {
                stream.set_zero_linger().unwrap();
                return;
            }
            Manner::Talks if count > 0 => {
                stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap()
            }
            Manner::Talks if count == 0 => std::future::pending().await,
            _ if count == 0 => return,
            _ => {}
        }
    }
}

/// The first whole message, and how many bytes it took.
fn frame(bytes: &[u8]) -> Option<(String, usize)> {
    let space = bytes.iter().position(|byte| *byte == b' ')?;
    let length: usize = std::str::from_utf8(&bytes[..space]).unwrap().parse().unwrap();
    let message = bytes.get(space + 1..space + 1 + length)?;
    Some((String::from_utf8(message.to_vec()).unwrap(), space + 1 + length))
}

fn table(name: &str, address: SocketAddr, confirm: &str) -> String {
    format!(
        r#"
[[siem]]
name = "{name}"
kind = "syslog"
address = "tcp://{address}"
confirm = "{confirm}"
confirm_interval = "200ms"
timeout = "1s"
retry_max = "200ms"
late = "500ms"
batch_events = 32
"#
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_receiver_did_not_read_before_it_broke_off_is_sent_again() {
    let receiver = Receiver::start(free(), Manner::Breaks).await;
    let world = World::new(&table("breaks", receiver.address, "close")).await;
    let mut running = world.start().await;
    world.decide(100).await;
    world.until("breaks", "tried again and again", |sink| sink["retries"].as_u64() > Some(3)).await;
    receiver.manner(Manner::Good);
    let size = world.size();
    world.accepted("breaks", size).await;
    let there = receiver.messages();
    world.assert_has(&there, size, syslog(Some(Format::Ocsf)));
    assert!(there.len() as u64 > size, "some came twice, with the same bytes and so the same id");
    assert!(running.stop().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_only_takes_the_connection_has_accepted_nothing() {
    let receiver = Receiver::start(free(), Manner::Deaf).await;
    let world = World::new(&table("deaf", receiver.address, "close")).await;
    let mut running = world.start().await;
    let longest = world.decide(100).await;
    assert!(longest < Duration::from_secs(1), "decisions do not wait for a sink: {longest:?}");
    // More than the buffers of both sides hold, so that not even the operating system takes it.
    world.decide(1500).await;
    let standing = world.until("deaf", "found deaf", |sink| sink["retries"].as_u64() > Some(1)).await;
    assert_eq!(standing["state"], "retrying", "{standing}");
    assert!(standing["lag_events"].as_u64() > Some(1000), "{standing}");
    assert!(standing["lag_seconds"].as_u64() >= Some(1), "{standing}");
    receiver.manner(Manner::Good);
    let size = world.size();
    world.accepted("deaf", size).await;
    let there = receiver.messages();
    world.assert_has(&there, size, syslog(Some(Format::Ocsf)));
    assert!(there.iter().any(|line| line.contains("sink_late")), "being late was told");
    assert!(running.stop().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_talks_and_leaves_the_connection_open_is_told_how_to_be_configured() {
    let receiver = Receiver::start(free(), Manner::Talks).await;
    let world = World::new(&table("talks", receiver.address, "close")).await;
    let mut running = world.start().await;
    world.decide(5).await;
    let standing = world.until("talks", "unconfirmed", |sink| sink["retries"].as_u64() > Some(1)).await;
    assert!(standing["error"].as_str().unwrap().contains("confirm = \"sent\""), "{standing}");
    assert!(running.stop().success());
    let receiver = Receiver::start(free(), Manner::Talks).await;
    world.add(&table("sent", receiver.address, "sent"));
    let mut running = world.start().await;
    let size = world.size();
    world.accepted("sent", size).await;
    world.assert_has(&receiver.messages(), size, syslog(Some(Format::Ocsf)));
    assert!(running.stop().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_is_down_holds_up_neither_another_nor_a_decision_and_costs_no_memory() {
    let (down, up) = (free(), Receiver::start(free(), Manner::Good).await);
    let world = World::new(&(table("down", down, "close") + &table("up", up.address, "close"))).await;
    let mut running = world.start().await;
    world.decide(200).await;
    world.accepted("up", world.size()).await;
    let before = resident(running.id());
    let longest = world.decide(3000).await;
    let size = world.size();
    world.accepted("up", size).await;
    world.assert_has(&up.messages(), size, syslog(Some(Format::Ocsf)));
    let grown = resident(running.id()).saturating_sub(before);
    assert!(grown < 24 << 20, "{grown} bytes more after 3000 decisions with a stalled sink");
    assert!(longest < Duration::from_secs(1), "{longest:?}");
    let standing = world.sink("down").await;
    assert_eq!(
        (&standing["next_leaf_index"], &standing["state"]),
        (&0.into(), &"retrying".into()),
        "{standing}"
    );
    let late = Receiver::start(down, Manner::Good).await;
    world.accepted("down", size).await;
    world.assert_has(&late.messages(), size, syslog(Some(Format::Ocsf)));
    assert!(running.stop().success());
}

/// Bytes that the process has in memory.
fn resident(pid: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}
