//! Crowds that never get anywhere: slow handshakes, connections without a certificate, bytes that are no TLS.

use std::time::{Duration, Instant};

use ledgerstone_sidecar::listen::{CONNECTIONS_MAX, HANDSHAKE_TIME, HANDSHAKES_MAX};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::desk::{Desk, Outcome, ask, connect, knock};
use crate::ports::Child;

/// Connections that the sidecar sees in the largest crowd.
const CROWD: usize = 10_000;

/// Memory that the crowd may cost: what 256 handshakes and the allocator's slack take, far from what 10,000 would.
const GROWTH_KIB_MAX: u64 = 32 << 10;

#[tokio::test]
async fn handshakes_that_never_end_hold_up_nobody() {
    let desk = Desk::new().await;
    let config = desk.client(Some(&desk.clients.good()));
    let mut silent = Vec::new();
    for n in 0..HANDSHAKES_MAX + 50 {
        let mut stream = TcpStream::connect(desk.address).await.unwrap();
        if n % 2 == 0 {
            // The head of a handshake record whose body never comes.
            stream.write_all(&[22, 3, 1, 2, 0, 1]).await.unwrap();
        }
        silent.push(stream);
    }
    let begin = Instant::now();
    ask(desk.address, &config).await.unwrap();
    assert!(begin.elapsed() < Duration::from_secs(4), "no handshake had to time out first");
    // Accepting them all may end after the answer: the accept queue is in order.
    assert!(desk.refused("made_room") >= 50, "{}", desk.metrics.render().unwrap());
    let mut buffer = Vec::new();
    assert!(matches!(silent[0].read_to_end(&mut buffer).await, Ok(0) | Err(_)), "the oldest was closed");
}

#[tokio::test]
async fn a_handshake_has_its_time_and_no_more() {
    let desk = Desk::new().await;
    let mut stream = TcpStream::connect(desk.address).await.unwrap();
    let begin = Instant::now();
    // The head of a record of 16 KiB, and then a byte now and then, which does not buy more time.
    stream.write_all(&[22, 3, 1, 0x40, 0]).await.unwrap();
    while stream.write_all(&[1]).await.is_ok() {
        assert!(begin.elapsed() < Duration::from_secs(20), "still open");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert_eq!(desk.refused("too_slow"), 1);
    assert!(begin.elapsed() >= HANDSHAKE_TIME, "not before its time was over");
}

#[tokio::test]
async fn what_is_no_tls_is_answered_with_an_alert_or_nothing_and_never_in_the_clear() {
    let desk = Desk::new().await;
    let config = desk.client(Some(&desk.clients.good()));
    let large = vec![0xff; 70_000];
    let record = [&[22, 3, 3, 0xff, 0xff][..], &[0; 4000]].concat();
    for garbage in [
        &b"GET /checkpoint HTTP/1.1\r\nHost: localhost\r\n\r\n"[..],
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\0",
        b"\x80\x2e\x01\0\x02\0\x15\0\0\0\x10",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        &[22, 3, 1, 0, 4, 1, 0, 0, 0],
        &record,
        &large,
    ] {
        let mut stream = TcpStream::connect(desk.address).await.unwrap();
        _ = stream.write_all(garbage).await;
        _ = stream.shutdown().await;
        let mut answer = Vec::new();
        _ = stream.read_to_end(&mut answer).await;
        assert!(
            answer.is_empty() || answer[0] == 21,
            "{:?} got {answer:?}",
            &garbage[..garbage.len().min(20)]
        );
    }
    assert!(desk.refused("not_tls") >= 5, "{}", desk.metrics.render().unwrap());
    ask(desk.address, &config).await.unwrap();
}

#[tokio::test]
async fn the_connections_of_a_port_are_counted_and_the_next_one_is_closed_at_once() {
    let desk = Desk::new().await;
    let config = desk.client(Some(&desk.clients.good()));
    let mut open = Vec::new();
    for _ in 0..CONNECTIONS_MAX {
        open.push(connect(desk.address, &config).await.unwrap());
    }
    assert_eq!(knock(desk.address, Some(&config)).await, Outcome::Refused);
    assert!(desk.refused("too_many") >= 1);
    open.truncate(CONNECTIONS_MAX / 2);
    let begin = Instant::now();
    while ask(desk.address, &config).await.is_err() {
        assert!(begin.elapsed() < Duration::from_secs(20), "places come back when connections end");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// 10,000 connections without a certificate: most say nothing, the others finish their side of the handshake.
#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_connections_without_a_certificate_cost_little_and_keep_nobody_out() {
    let child = Child::start("").await;
    let (grpc, nobody) = (child.files.grpc, child.client(None));
    let one = child.client(Some(&child.clients.good()));
    assert_eq!(knock(grpc, Some(&one)).await, Outcome::Served);
    let before = child.resident_kib();
    let (mut waiting, mut slowest) = (std::collections::VecDeque::new(), Duration::ZERO);
    for n in 0..CROWD {
        if n % 100 == 0 {
            assert!(
                connect(grpc, &nobody).await.is_err() || knock(grpc, Some(&nobody)).await == Outcome::Refused
            );
        } else {
            waiting.push_back(TcpStream::connect(grpc).await.unwrap());
        }
        // As many as a crowd of one machine can hold open at a time beside this test's other work.
        if waiting.len() > 2 * HANDSHAKES_MAX {
            waiting.pop_front();
        }
        if n % 1000 == 999 {
            let begin = Instant::now();
            assert_eq!(knock(grpc, Some(&one)).await, Outcome::Served, "after {n}");
            slowest = slowest.max(begin.elapsed());
        }
    }
    let grown = child.resident_kib().saturating_sub(before);
    println!(
        "{CROWD} connections without a certificate: {grown} KiB, slowest answer to somebody with one {slowest:?}"
    );
    assert!(grown < GROWTH_KIB_MAX, "{grown} KiB");
    assert!(slowest < Duration::from_secs(5), "{slowest:?}");
}
