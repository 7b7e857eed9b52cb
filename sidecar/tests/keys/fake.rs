//! A server that answers as a test says: here the fault itself is the subject.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// What it answers.
pub(crate) enum Reply {
    /// These bytes, as they are.
    Bytes(Vec<u8>),
    /// Nothing, and the connection stays open.
    Nothing,
    /// The beginning of an answer, and then nothing.
    Half,
    /// A body of that many bytes.
    Flood(usize),
    /// The end of the connection.
    Close,
}

impl Reply {
    pub(crate) fn status(status: u16, body: &str) -> Self {
        let length = body.len();
        Self::Bytes(format!("HTTP/1.1 {status} Said\r\nContent-Length: {length}\r\n\r\n{body}").into_bytes())
    }

    pub(crate) fn ok(body: &str) -> Self {
        Self::status(200, body)
    }
}

type Answers = dyn Fn(usize, &str) -> Reply + Send + Sync;

/// A server on loopback for as long as the runtime lives.
pub(crate) struct Fake {
    address: SocketAddr,
    count: Arc<AtomicUsize>,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Fake {
    /// Answers the n-th request, counted from 0, with what `answers` says.
    pub(crate) async fn serve(answers: impl Fn(usize, &str) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let fake =
            Self { address: listener.local_addr().unwrap(), count: Arc::default(), requests: Arc::default() };
        let (answers, count, requests): (Arc<Answers>, _, _) =
            (Arc::new(answers), Arc::clone(&fake.count), Arc::clone(&fake.requests));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(speak(stream, Arc::clone(&answers), Arc::clone(&count), Arc::clone(&requests)));
            }
        });
        fake
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Requests so far.
    pub(crate) fn count(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }

    /// The requests as they came.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

async fn speak(
    mut stream: TcpStream,
    answers: Arc<Answers>,
    count: Arc<AtomicUsize>,
    requests: Arc<Mutex<Vec<String>>>,
) -> Option<()> {
    let mut bytes = Vec::new();
    loop {
        let end = loop {
            if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
            if stream.read_buf(&mut bytes).await.ok()? == 0 {
                return None;
            }
        };
        let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
        let length =
            head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
        while bytes.len() < end + length {
            if stream.read_buf(&mut bytes).await.ok()? == 0 {
                return None;
            }
        }
        let request = String::from_utf8_lossy(&bytes[..end + length]).into_owned();
        bytes.drain(..end + length);
        requests.lock().unwrap().push(request.clone());
        match answers(count.fetch_add(1, Ordering::SeqCst), &request) {
            Reply::Bytes(answer) => stream.write_all(&answer).await.ok()?,
            Reply::Close => return None,
            Reply::Nothing => std::future::pending().await,
            Reply::Half => {
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"data\":").await.ok()?;
                std::future::pending::<()>().await;
            }
            Reply::Flood(length) => {
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
                stream.write_all(head.as_bytes()).await.ok()?;
                for _ in 0..length / 65536 {
                    stream.write_all(&[b'x'; 65536]).await.ok()?;
                }
            }
        }
    }
}
