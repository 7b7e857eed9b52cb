use std::io::{Read as _, Write as _};

use super::*;

fn socket() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("handover.sock");
    (folder, path)
}

#[test]
fn without_a_socket_nobody_is_taken_over() {
    assert!(matches!(Entrance::find(None, false), Ok(Entrance::Alone)));
    assert!(matches!(Entrance::find(None, true), Err(HandoverError::NotConfigured)));
}

#[test]
fn a_socket_that_a_crash_left_is_replaced_and_a_file_is_not() {
    let (_folder, path) = socket();
    let Entrance::First(listener) = Entrance::find(Some(&path), true).unwrap() else { panic!() };
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(matches!(Entrance::find(Some(&path), false), Err(HandoverError::Running { .. })));
    assert!(matches!(Entrance::find(Some(&path), true), Ok(Entrance::Successor(_))));
    drop(listener);
    assert!(path.exists(), "a crash leaves it");
    assert!(matches!(Entrance::find(Some(&path), false), Ok(Entrance::First(_))));

    fs::remove_file(&path).unwrap();
    fs::write(&path, "somebody's").unwrap();
    assert!(matches!(Entrance::find(Some(&path), false), Err(HandoverError::Socket { .. })));
    assert_eq!(fs::read(&path).unwrap(), b"somebody's");
    let nowhere = path.with_file_name("no").join("folder");
    assert!(matches!(Entrance::find(Some(&nowhere), false), Err(HandoverError::Socket { .. })));
}

#[tokio::test]
async fn a_successor_gets_the_sockets_with_who_waits_in_them_and_then_the_log() {
    let (folder, path) = socket();
    let address = "127.0.0.1:0".parse().unwrap();
    let first = Entrance::find(Some(&path), false).unwrap().enter("log.example/a").await.unwrap();
    let listening = first.sockets.listener("server.listen", address).await.unwrap();
    let bound = listening.local_addr().unwrap();
    drop(listening);
    let mut caller = std::net::TcpStream::connect(bound).unwrap();
    caller.write_all(b"hello").unwrap();

    let doorway = first.doorway.unwrap();
    let entrance = Entrance::find(Some(&path), true).unwrap();
    let hands_over = async {
        let successor = doorway.successor(&first.sockets).await;
        successor.serves().await
    };
    let takes_over = async {
        let second = entrance.enter("log.example/a").await.unwrap();
        let listening = second.sockets.listener("server.listen", address).await.unwrap();
        assert_eq!(listening.local_addr().unwrap(), bound);
        let predecessor = second.predecessor.unwrap();
        predecessor.released(folder.path(), Duration::from_secs(5)).await.unwrap();
        let (stream, _) = listening.accept().await.unwrap();
        predecessor.relieve().await;
        (stream.into_std().unwrap(), second.doorway.unwrap())
    };
    let (served, (mut stream, doorway)) = tokio::join!(hands_over, takes_over);
    assert!(served);
    stream.set_nonblocking(false).unwrap();
    let mut heard = [0; 5];
    stream.read_exact(&mut heard).unwrap();
    assert_eq!(&heard, b"hello");
    drop(doorway);
}

#[tokio::test]
async fn whoever_does_not_ask_for_the_log_takes_nothing() {
    let (folder, path) = socket();
    let first = Entrance::find(Some(&path), false).unwrap().enter("log.example/a").await.unwrap();
    let doorway = first.doorway.unwrap();
    let successors = async {
        // One that goes away, one that says something else, one for another log, and one that means it and then fails.
        drop(StdUnixStream::connect(&path).unwrap());
        StdUnixStream::connect(&path).unwrap().write_all(b"X").unwrap();
        let other = Entrance::find(Some(&path), true).unwrap().enter("log.example/b").await;
        assert!(matches!(other, Err(HandoverError::OtherLog { .. })));
        let entered = Entrance::find(Some(&path), true).unwrap().enter("log.example/a").await.unwrap();
        entered.predecessor.unwrap().released(folder.path(), Duration::from_secs(5)).await.unwrap();
    };
    let hands_over = async {
        let successor = doorway.successor(&first.sockets).await;
        successor.serves().await
    };
    let (served, ()) = tokio::join!(hands_over, successors);
    assert!(!served, "it went away before it served");
}

#[tokio::test]
async fn a_port_that_the_successor_does_not_want_is_closed_once_the_other_one_is_gone() {
    let (_folder, path) = socket();
    let address = "127.0.0.1:0".parse().unwrap();
    let first = Entrance::find(Some(&path), false).unwrap().enter("log.example/a").await.unwrap();
    let kept = first.sockets.listener("server.listen", address).await.unwrap().local_addr().unwrap();
    let left = first.sockets.listener("links.listen", address).await.unwrap().local_addr().unwrap();
    let doorway = first.doorway.unwrap();
    let entrance = Entrance::find(Some(&path), true).unwrap();
    let takes_over = async {
        let second = entrance.enter("log.example/a").await.unwrap();
        drop(second.sockets.listener("server.listen", address).await.unwrap());
        wire::say(&second.predecessor.as_ref().unwrap().0, TAKE).await.unwrap();
        second
    };
    let (_, second) = tokio::join!(doorway.successor(&first.sockets), takes_over);
    second.sockets.close_unwanted();
    std::net::TcpStream::connect(left).expect("the sidecar that runs may have to go on");
    drop(first.sockets);
    std::net::TcpStream::connect(kept).unwrap();
    let refused = std::net::TcpStream::connect(left).unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused, "nobody would ever answer there");
}

#[tokio::test]
async fn a_sidecar_that_dies_while_the_successor_prepares_has_let_go_once_its_files_are_closed() {
    let (folder, path) = socket();
    let listener = Entrance::find(Some(&path), false).unwrap();
    let Entrance::First(listener) = listener else { panic!() };
    let entrance = Entrance::find(Some(&path), true).unwrap();
    let first = Entrance::First(listener.try_clone().unwrap()).enter("log.example/a").await.unwrap();
    let doorway = first.doorway.unwrap();
    let greets = async {
        let (stream, _) = doorway.listener.accept().await.unwrap();
        wire::send(&stream, &doorway.listener, &doorway.origin, &first.sockets).await.unwrap();
        // Killed: its end is closed, and its lock a moment later.
    };
    let ((), second) = tokio::join!(greets, entrance.enter("log.example/a"));
    let held = StdDisk::new(folder.path()).lock("lock").unwrap().unwrap();
    let predecessor = second.unwrap().predecessor.unwrap();
    let patience = Duration::from_secs(20);
    let mut released = std::pin::pin!(predecessor.released(folder.path(), patience));
    let early = timeout(Duration::from_millis(50), &mut released).await;
    assert!(early.is_err(), "its files are open: {early:?}");
    drop(held);
    released.await.unwrap();
}
