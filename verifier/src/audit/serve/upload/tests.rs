use super::super::folder::Folder;
use super::*;

fn file_of(bytes: &[u8]) -> wire::AuditFile {
    wire::AuditFile { sha256: Hash::of(bytes).to_string(), size_bytes: bytes.len() as u64 }
}

fn start() -> wire::SubmitRunStart {
    wire::SubmitRunStart {
        bundle: Some(file_of(b"bundle")),
        draw: Some(file_of(b"draw")),
        ..wire::SubmitRunStart::default()
    }
}

fn problem(error: &ServeError) -> String {
    error.to_string()
}

/// Sends the chunks one after the other and says how that ended.
fn send(chunks: &[&[u8]]) -> Result<(), ServeError> {
    let desk = tempfile::tempdir().unwrap();
    let folder = Folder::open(desk.path()).unwrap();
    let staged = folder.stage().unwrap();
    let mut upload = Upload::new(&announced(start(), 100)?);
    for chunk in chunks {
        upload.take(chunk, &staged)?;
    }
    upload.finish()
}

#[test]
fn files_arrive_in_their_order_in_pieces_of_any_length() {
    send(&[b"draw", b"bundle"]).unwrap();
    send(&[b"d", b"ra", b"w", b"b", b"u", b"n", b"d", b"l", b"e"]).unwrap();
}

#[test]
fn every_other_order_is_refused() {
    let cases: [(&[&[u8]], &str); 9] = [
        (&[b"bundle", b"draw"], "past the end"),
        (&[b"drawbundle"], "past the end"),
        (&[b"dra", b"wb", b"undle"], "past the end"),
        (&[b"draw"], "ended before"),
        (&[], "ended before"),
        (&[b"draw", b"bundl"], "ended before"),
        (&[b"draw", b"bundle", b"x"], "more arrives"),
        (&[b"", b"draw", b"bundle"], "at least one byte"),
        (&[b"warp", b"bundle"], "the draw that arrived has the SHA-256"),
    ];
    for (chunks, said) in cases {
        let error = send(chunks).expect_err(said);
        assert!(problem(&error).contains(said), "{chunks:?}: {error}");
    }
    let large = vec![0; CHUNK_BYTES_MAX + 1];
    assert!(problem(&send(&[&large]).unwrap_err()).contains("at most 1 MiB"));
}

#[test]
fn a_changed_bundle_is_refused() {
    let error = send(&[b"draw", b"bundlE"]).unwrap_err();
    assert!(matches!(error, ServeError::OtherBytes { file: "bundle", .. }), "{error}");
}

#[test]
fn nothing_lies_on_the_disk_of_what_was_refused() {
    let desk = tempfile::tempdir().unwrap();
    let folder = Folder::open(desk.path()).unwrap();
    let uploads = || std::fs::read_dir(desk.path().join("uploads")).unwrap().count();
    let staged = folder.stage().unwrap();
    let mut upload = Upload::new(&announced(start(), 100).unwrap());
    upload.take(b"dra", &staged).unwrap();
    assert_eq!(uploads(), 1);
    drop((upload, staged));
    assert_eq!(uploads(), 0);
}

#[test]
fn what_is_announced_must_make_sense() {
    type Change = fn(&mut wire::SubmitRunStart);
    let cases: [(Change, &str); 9] = [
        (|start| start.bundle = None, "names no bundle"),
        (|start| start.bundle = Some(wire::AuditFile::default()), "64 digits"),
        (|start| start.bundle.as_mut().unwrap().sha256 = "AB".repeat(32), "64 digits"),
        (|start| start.bundle.as_mut().unwrap().size_bytes = 0, "at least one byte"),
        (|start| start.bundle.as_mut().unwrap().size_bytes = 101, "this service takes 100"),
        (|start| start.draw.as_mut().unwrap().size_bytes = u64::MAX, "the draw has"),
        (
            |start| start.description = Some(wire::AuditFile { size_bytes: 1 << 40, ..file_of(b"x") }),
            "the description has",
        ),
        (|start| start.label = "l".repeat(129), "a label"),
        (|start| start.label = "two\nlines".to_owned(), "a label"),
    ];
    assert!(announced(start(), 100).is_ok());
    for (change, said) in cases {
        let mut start = start();
        change(&mut start);
        let error = announced(start, 100).expect_err(said);
        assert!(problem(&error).contains(said), "{error}");
    }
    let mut inbox = start();
    inbox.inbox_file = "july.bundle".to_owned();
    inbox.bundle.as_mut().unwrap().size_bytes = 1 << 40;
    assert!(announced(inbox, 100).is_ok(), "a file in the inbox is no upload");
}
