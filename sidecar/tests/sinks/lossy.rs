//! A line that loses answers: it hands on everything that is said to a server, and now and then, when the server says something, it breaks
//! instead of handing that on. When, is the same in every run.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

pub(crate) struct Lossy {
    pub(crate) port: u16,
    lost: Arc<AtomicU64>,
}

impl Lossy {
    /// A line to the server on `to`, of whose answers one in `n` is lost with what would follow.
    pub(crate) async fn to(to: u16, n: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (answers, lost) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let counted = Arc::clone(&lost);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (answers, lost) = (Arc::clone(&answers), Arc::clone(&counted));
                tokio::spawn(async move {
                    let Ok(server) = TcpStream::connect(("127.0.0.1", to)).await else { return };
                    line(client, server, n, &answers, &lost).await;
                });
            }
        });
        Self { port, lost }
    }

    /// How often it broke.
    pub(crate) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

async fn line(client: TcpStream, server: TcpStream, n: u64, answers: &AtomicU64, lost: &AtomicU64) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let there = async { tokio::io::copy(&mut from_client, &mut to_server).await };
    let back = async {
        let mut bytes = vec![0; 1 << 16];
        loop {
            let read = from_server.read(&mut bytes).await.unwrap_or(0);
            if read == 0 {
                return;
            }
            // Mixed, so that no rhythm of a protocol fits into the line's: Knuth's multiplier.
            let drawn = answers
                .fetch_add(1, Ordering::Relaxed)
                .wrapping_add(1)
                .wrapping_mul(6_364_136_223_846_793_005)
                >> 33;
            if drawn.is_multiple_of(n) {
                lost.fetch_add(1, Ordering::Relaxed);
                return;
            }
            if to_client.write_all(&bytes[..read]).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        _ = there => {}
        () = back => {}
    }
}
