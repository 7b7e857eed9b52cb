//! Connections to endpoints are used again, and only where nothing can be mistaken.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::Method;
use ledgerstone_sidecar::outbound::http::{Address, Client, HttpFault, Question};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::endpoint::Fault;
use crate::stage::Stage;

/// What a server does after it read a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Habit {
    Keeps,
    /// Closes after each answer without a word about it.
    Closes,
    /// Says that it will close, and waits for the other.
    SaysClose,
    /// Answers, and then says more than it was asked.
    Babbles,
    /// Answers the first question of each connection only, and leaves the next ones open.
    Sticks,
    /// Answers 404.
    NotFound,
}

struct Server {
    address: Address,
    connections: Arc<AtomicUsize>,
}

impl Server {
    async fn start(habit: Habit) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = Address::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serve(stream, habit));
            }
        });
        Self { address, connections }
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    fn question(&self, answer_bytes_max: usize) -> Question {
        Question {
            method: Method::POST,
            address: self.address.clone(),
            content_type: None,
            accept: "*/*",
            headers: Vec::new(),
            body: b"x".to_vec().into(),
            answer_bytes_max,
        }
    }
}

async fn serve(mut stream: TcpStream, habit: Habit) -> Option<()> {
    for turn in 0.. {
        let mut bytes = Vec::new();
        while !bytes.ends_with(b"\r\n\r\nx") {
            if stream.read_buf(&mut bytes).await.ok()? == 0 {
                return None;
            }
        }
        if habit == Habit::Sticks && turn > 0 {
            return std::future::pending().await;
        }
        let status = if habit == Habit::NotFound { "404 Not Found" } else { "200 OK" };
        let more = if habit == Habit::SaysClose { "Connection: close\r\n" } else { "" };
        let body = format!("answer {turn}");
        let answer = format!("HTTP/1.1 {status}\r\n{more}Content-Length: {}\r\n\r\n{body}", body.len());
        stream.write_all(answer.as_bytes()).await.ok()?;
        if habit == Habit::Babbles {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfalse").await.ok()?;
        }
        if habit == Habit::Closes {
            // After the answer was read, so that only the next question finds it out.
            tokio::time::sleep(Duration::from_millis(5)).await;
            return None;
        }
    }
    None
}

fn client() -> Client {
    Client::new(Duration::from_millis(500), None).unwrap().keeping_connections()
}

#[tokio::test]
async fn questions_to_one_place_share_a_connection() {
    let (one, other) = (Server::start(Habit::Keeps).await, Server::start(Habit::Keeps).await);
    let client = client();
    for turn in 0..3 {
        for server in [&one, &other] {
            let answer = client.clone().ask(server.question(100)).await.unwrap();
            assert_eq!(answer, format!("answer {turn}"));
        }
    }
    assert_eq!((one.connections(), other.connections()), (1, 1));
}

#[tokio::test]
async fn a_client_that_was_not_told_to_keeps_nothing() {
    let server = Server::start(Habit::Keeps).await;
    let client = Client::new(Duration::from_millis(500), None).unwrap();
    for _ in 0..3 {
        assert_eq!(client.ask(server.question(100)).await.unwrap(), "answer 0");
    }
    assert_eq!(server.connections(), 3);
}

#[tokio::test]
async fn whoever_closes_between_questions_is_connected_to_again() {
    for habit in [Habit::Closes, Habit::SaysClose, Habit::Babbles] {
        let server = Server::start(habit).await;
        let client = client();
        for _ in 0..5 {
            assert_eq!(client.ask(server.question(100)).await.unwrap(), "answer 0", "{habit:?}");
            // Time for the end of the connection, or what was not asked for, to arrive.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(server.connections(), 5, "{habit:?}");
    }
}

#[tokio::test]
async fn an_answer_with_another_status_leaves_the_connection_usable() {
    let server = Server::start(Habit::NotFound).await;
    let client = client();
    for turn in 0..3 {
        let fault = client.ask(server.question(100)).await.unwrap_err();
        assert_eq!(fault, HttpFault::Status { status: 404, text: format!("answer {turn}") });
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn an_exchange_that_was_given_up_takes_its_connection_along() {
    let server = Server::start(Habit::Keeps).await;
    let client = client();
    for _ in 0..2 {
        assert_eq!(client.ask(server.question(3)).await, Err(HttpFault::TooLarge { max: 3 }));
    }
    assert_eq!(server.connections(), 2, "an answer that is too large is not read to its end");

    let server = Server::start(Habit::Sticks).await;
    assert_eq!(client.ask(server.question(100)).await.unwrap(), "answer 0");
    let limit = Duration::from_millis(500);
    assert_eq!(client.ask(server.question(100)).await, Err(HttpFault::TimedOut { limit }));
    assert_eq!(client.ask(server.question(100)).await.unwrap(), "answer 0", "on another connection");
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn many_at_once_keep_one_connection() {
    let server = Server::start(Habit::Keeps).await;
    let client = client();
    let mut asked = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (client, question) = (client.clone(), server.question(100));
        asked.spawn(async move { client.ask(question).await.unwrap() });
    }
    asked.join_all().await;
    let before = server.connections();
    assert!(before <= 8);
    for _ in 0..4 {
        client.ask(server.question(100)).await.unwrap();
    }
    assert_eq!(server.connections(), before, "the one that was kept answers");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lane_asks_again_and_again_over_a_connection_until_it_is_closed() {
    let stage = Stage::new(1).await;
    let app = stage.world.start().await;
    stage.is(&app, "broadcast").await;
    let growth = stage.grow();
    stage.world.proved(2).await;
    drop(growth);
    let (opened, calls) = (stage.endpoints[0].connections(), stage.endpoints[0].calls());
    // What is sent or captured beside a look at the chain has a connection of its own.
    assert!(opened * 5 < calls, "{opened} connections for {calls} calls");
    stage.all_have(&Fault::Closed);
    stage.world.says(&app, "closed the connection").await;
    stage.ends_anchored(app, 1).await;
}
