use http::Method;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::super::Client;
use super::*;

/// A server that answers one question, and the answer kept by `client`.
async fn asked(client: &Client) -> Address {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = Address::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut bytes = Vec::new();
        while !bytes.ends_with(b"\r\n\r\n") {
            stream.read_buf(&mut bytes).await.unwrap();
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.unwrap();
        std::future::pending::<()>().await;
    });
    let question = Question {
        method: Method::GET,
        address: address.clone(),
        content_type: None,
        accept: "*/*",
        headers: Vec::new(),
        body: Bytes::new(),
        answer_bytes_max: 10,
    };
    client.ask(question).await.unwrap();
    address
}

fn client() -> Client {
    Client::new(Duration::from_secs(5), None).unwrap().keeping_connections()
}

#[tokio::test]
async fn places_with_a_connection_are_bounded() {
    let client = client();
    for _ in 0..PLACES_MAX + 3 {
        asked(&client).await;
    }
    assert_eq!(client.kept.as_ref().unwrap().places().len(), PLACES_MAX);
}

#[tokio::test]
async fn a_connection_that_waited_too_long_is_not_used() {
    let client = client();
    let (soon, late) = (asked(&client).await, asked(&client).await);
    let kept = client.kept.as_ref().unwrap();
    assert!(kept.take(&soon).is_some() && kept.take(&soon).is_none(), "it is used by one at a time");
    tokio::time::pause();
    tokio::time::advance(IDLE_MAX).await;
    assert!(kept.take(&late).is_none());
}
