use ledgerstone::entry::WriterName;
use ledgerstone::hash::empty_root;
use ledgerstone::merkle::TreeSize;
use ledgerstone::note::KeyName;
use ledgerstone::siem::{Alert, Event, Fact, Log};
use ledgerstone::time::UnixMillis;
use tokio::net::TcpListener;

use super::*;

fn event() -> Rendered {
    let alert = Alert {
        time: UnixMillis::new(1_795_000_000_000),
        writer: WriterName::parse("sidecar-0").unwrap(),
        tree_size: TreeSize::new(1),
        root: empty_root(),
        about: None,
        decision: None,
        fact: Fact::KeyUse { key: "kek".into(), purpose: "rotation".into() },
    };
    let event = Event::of_alert(&Log::new(&KeyName::new("example.com/tests").unwrap()), &alert);
    Rendered { event, text: "one".to_owned() }
}

/// A sink to the port on this machine, whose connections rest for `rest`.
fn sink(port: u16, transport: Transport, confirm: Confirm, rest: Duration) -> SyslogSink {
    let config = SyslogConfig {
        transport,
        host: "127.0.0.1".to_owned(),
        port,
        server_name: None,
        tls: crate::config::siem::TlsFiles::default(),
        confirm,
        confirm_interval: rest,
    };
    SyslogSink::new(&config, Duration::from_secs(10)).unwrap()
}

/// Both ends of a connection.
async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    (near, listener.accept().await.unwrap().0)
}

/// Waits until the end that the other side said is here.
async fn ended(near: &TcpStream) {
    near.readable().await.unwrap();
}

#[tokio::test]
async fn what_a_receiver_read_before_it_closed_is_confirmed() {
    for sends_first in [true, false] {
        let (mut near, mut far) = pair().await;
        near.write_all(b"3 one").await.unwrap();
        far.read_exact(&mut [0; 5]).await.unwrap();
        if sends_first {
            drop(far);
            ended(&near).await;
            close(Box::new(near), CROSSING_MAX).await.unwrap();
        } else {
            let closing = tokio::spawn(close(Box::new(near), CROSSING_MAX));
            assert_eq!(far.read(&mut [0; 5]).await.unwrap(), 0);
            drop(far);
            closing.await.unwrap().unwrap();
        }
    }
}

#[tokio::test]
async fn what_crossed_the_end_of_a_receiver_that_closes_by_itself_is_not_confirmed() {
    let (mut near, mut far) = pair().await;
    near.write_all(b"3 one").await.unwrap();
    far.read_exact(&mut [0; 5]).await.unwrap();
    drop(far);
    ended(&near).await;
    // Nobody reads it, and what is read here is an end like any other.
    near.write_all(b"3 two").await.unwrap();
    let fault = close(Box::new(near), CROSSING_MAX).await.unwrap_err();
    assert!(matches!(fault, SinkFault::Unconfirmed { .. } | SinkFault::Unreachable { .. }), "{fault}");
}

#[tokio::test]
async fn a_connection_that_the_receiver_reset_confirms_nothing() {
    let (mut near, far) = pair().await;
    near.write_all(b"3 one").await.unwrap();
    far.set_zero_linger().unwrap();
    drop(far);
    ended(&near).await;
    close(Box::new(near), CROSSING_MAX).await.unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_stands_rests_before_what_was_sent_last_counts_as_acknowledged() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let rest = Duration::from_secs(8);
    let mut sink = sink(listener.local_addr().unwrap().port(), Transport::Tcp, Confirm::Sent, rest);
    sink.deliver(&[event()]).await.unwrap();
    sleep(rest - Duration::from_millis(1)).await;
    sink.deliver(&[event()]).await.unwrap();
    let sent = Instant::now();
    sink.confirm().await.unwrap();
    assert!(sent.elapsed() >= rest, "{:?} after the last message", sent.elapsed());
    // A receiver that is gone acknowledges nothing for half of that, and the connection breaks.
    assert!(sink.unacknowledged_max() <= rest / 2);
}

#[tokio::test(start_paused = true)]
async fn a_name_is_resolved_anew_for_datagrams() {
    let receiver = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let port = receiver.local_addr().unwrap().port();
    let mut sink = sink(port, Transport::Udp, Confirm::Close, Duration::from_secs(8));
    let mut from = Vec::new();
    for pause in [Duration::ZERO, RESOLVED_MAX / 2, RESOLVED_MAX] {
        sleep(pause).await;
        sink.deliver(&[event()]).await.unwrap();
        let (length, address) = receiver.recv_from(&mut [0; 16]).await.unwrap();
        assert_eq!(length, 3);
        from.push(address);
    }
    assert_eq!(from[0], from[1], "one socket for a while");
    assert_ne!(from[1], from[2], "then another one");
}
