//! What a SIEM is told, and what it gives back.

use ledgerstone::merkle::LeafIndex;
use ledgerstone::note::KeyName;
use ledgerstone::siem::found::{Claim, Shape, read};
use ledgerstone::siem::{Event, Format, Log};

/// The log of the corpus.
fn log() -> Option<Log> {
    KeyName::new("example.com/decisions").ok().map(|origin| Log::new(&origin))
}

/// An entry: its event is one line in every shape, and is read back from each as itself.
pub fn siem_event(bytes: &[u8]) -> bool {
    let Some(log) = log() else { return false };
    let Ok(event) = Event::of_entry(&log, LeafIndex::new(42), bytes) else { return false };
    let bodies = [None].into_iter().chain(Format::ALL.map(Some)).map(Shape::Syslog);
    for shape in Format::ALL.map(Shape::Bare).into_iter().chain(bodies) {
        let mut text = String::new();
        shape.render(&event, &mut text);
        assert!(!text.contains(['\n', '\r', '\u{1b}']), "an event is one line: {text:?}");
        let found = read(&text).unwrap_or_default();
        assert_eq!(found.len(), 1, "{shape:?} is one event: {text}");
        for found in &found {
            assert_eq!((found.claim(), found.shape()), (Claim::Leaf(LeafIndex::new(42)), shape), "{text}");
            assert_eq!(found.differences(&event), Vec::<String>::new(), "{text}");
        }
    }
    true
}

/// A line of an export.
pub fn siem_line(bytes: &[u8]) -> bool {
    let Ok(line) = core::str::from_utf8(bytes) else { return false };
    let Ok(found) = read(line) else { return false };
    let event = log().and_then(|log| Event::of_entry(&log, LeafIndex::new(10), ENTRY).ok());
    let Some(event) = event else { return false };
    let Some(leaf) = event.leaf() else { return false };
    for found in found.iter().filter(|found| found.differences(&event).is_empty()) {
        assert_eq!((found.log_id(), found.claim()), (event.log().id(), Claim::Leaf(leaf.index)), "{line}");
        assert!(line.contains(&leaf.hash.to_string()), "what is the same names the leaf's hash: {line}");
    }
    !found.is_empty()
}

/// The entry that the corpus of lines is about.
const ENTRY: &[u8] = include_bytes!("../corpus/siem_event/decision");
