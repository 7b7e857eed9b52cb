//! A web server that serves a directory, and misbehaves on purpose where a test says so.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// What a server does instead of serving the file.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// Answers with this status and no body.
    Status(u16),
    /// Serves these bytes.
    Bytes(Vec<u8>),
    /// Announces this many bytes more than it sends, then closes.
    Short(usize),
    /// Redirects to itself.
    Loop,
    /// Takes this long to answer, and then serves the file.
    Late(Duration),
}

/// Starts a server of the files in `root`; `faults` are by path. Returns its URL. It ends with the process.
pub(crate) fn serve(root: &Path, faults: &[(&str, Fault)]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let root = root.to_path_buf();
    let faults = faults.iter().map(|(path, fault)| ((*path).to_owned(), fault.clone())).collect();
    let served: Arc<(PathBuf, BTreeMap<String, Fault>)> = Arc::new((root, faults));
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let served = Arc::clone(&served);
            thread::spawn(move || answer(stream, &served.0, &served.1));
        }
    });
    url
}

/// Answers one request and closes.
fn answer(mut stream: TcpStream, root: &Path, faults: &BTreeMap<String, Fault>) {
    let mut lines = BufReader::new(stream.try_clone().expect("a socket")).lines().map_while(Result::ok);
    let request = lines.next().unwrap_or_default();
    lines.take_while(|line| !line.is_empty()).for_each(drop);
    let path = request.split(' ').nth(1).unwrap_or("/").trim_start_matches('/').to_owned();
    if let Some(Fault::Late(late)) = faults.get(&path) {
        thread::sleep(*late);
    }
    let (status, extra, body, announced) = match faults.get(&path) {
        Some(Fault::Status(status)) => (*status, String::new(), Vec::new(), 0),
        Some(Fault::Bytes(bytes)) => (200, String::new(), bytes.clone(), bytes.len()),
        Some(Fault::Loop) => (302, format!("Location: /{path}\r\n"), Vec::new(), 0),
        fault => match std::fs::read(root.join(&path)) {
            Ok(bytes) => {
                let missing = if let Some(Fault::Short(missing)) = fault { *missing } else { 0 };
                let announced = bytes.len() + missing;
                (200, String::new(), bytes, announced)
            }
            Err(_) => (404, String::new(), Vec::new(), 0),
        },
    };
    let head =
        format!("HTTP/1.1 {status} -\r\n{extra}Content-Length: {announced}\r\nConnection: close\r\n\r\n");
    // A client that hangs up early is its own business.
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
}
