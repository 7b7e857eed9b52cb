use std::fs;

use super::*;

const BEFORE: UnixMillis = UnixMillis::new(1_999);
const LATER: UnixMillis = UnixMillis::new(2_000);

fn decision(byte: u8) -> DecisionId {
    DecisionId::from_bytes([byte; 16])
}

fn book() -> (tempfile::TempDir, LinkBook) {
    let folder = tempfile::tempdir().unwrap();
    let book = LinkBook::open(&folder.path().join("links")).unwrap();
    (folder, book)
}

#[test]
fn a_link_opens_its_receipt_until_it_expires() {
    let (_folder, book) = book();
    let token = book.add(decision(1), LATER).unwrap();
    let link = book.find(&token, BEFORE).unwrap().unwrap();
    assert_eq!((link.decision, link.expires), (decision(1), LATER));
    assert_eq!(book.find(&token, LATER).unwrap(), None);
    assert!(book.is_open(decision(1), BEFORE).unwrap() && !book.is_open(decision(1), LATER).unwrap());
    assert!(!book.is_open(decision(2), BEFORE).unwrap());
}

#[test]
fn a_token_is_27_letters_that_nobody_draws_twice_and_no_log_line_shows() {
    let (_folder, book) = book();
    let tokens: Vec<Token> = (0..50).map(|_| book.add(decision(1), LATER).unwrap()).collect();
    let distinct: std::collections::HashSet<&str> = tokens.iter().map(|token| token.0.as_str()).collect();
    assert_eq!(distinct.len(), tokens.len());
    for token in &tokens {
        assert_eq!(token.0.len(), 27);
        let url = token.url("https://receipts.example.com/");
        assert_eq!(url, format!("https://receipts.example.com/r/{}", token.0));
        assert_eq!(Token::parse(&url).unwrap(), *token);
        assert_eq!(format!("{token:?}"), "Token(..)");
    }
}

#[test]
fn the_file_opens_nothing_for_whoever_reads_it() {
    let (_folder, book) = book();
    let token = book.add(decision(1), LATER).unwrap();
    let file = fs::read_to_string(&book.path).unwrap();
    assert!(file.contains(&token.hash().to_string()) && !file.contains(&token.0), "{file}");
    #[cfg(unix)]
    {
        let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&book.path).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[test]
fn what_is_no_token_is_none() {
    for text in ["", "/r/", "short", &"A".repeat(26), &"A".repeat(28), &"A".repeat(1000), &"é".repeat(27)] {
        assert!(Token::parse(text).is_none(), "{text}");
    }
    // 27 letters hold 162 bits: the last two must be zero, so a token has one spelling.
    assert!(Token::parse(&"A".repeat(27)).is_some());
    assert!(Token::parse(&format!("{}B", "A".repeat(26))).is_none());
    assert!(Token::parse(&format!("{}+", "A".repeat(26))).is_none());
}

#[test]
fn what_another_process_adds_or_revokes_holds_at_once() {
    let (_folder, book) = book();
    let other = LinkBook::open(&book.path).unwrap();
    let (one, two) = (other.add(decision(1), LATER).unwrap(), other.add(decision(1), LATER).unwrap());
    assert!(book.find(&one, BEFORE).unwrap().is_some());
    assert!(other.revoke(&one).unwrap() && !other.revoke(&one).unwrap());
    assert_eq!(book.find(&one, BEFORE).unwrap(), None);
    assert!(book.find(&two, BEFORE).unwrap().is_some());
    assert_eq!(other.revoke_decision(decision(1)).unwrap(), 1);
    assert!(!book.is_open(decision(1), BEFORE).unwrap());
}

#[test]
fn dead_lines_go_and_whoever_had_read_the_old_file_reads_the_new_one() {
    let (_folder, book) = book();
    let other = LinkBook::open(&book.path).unwrap();
    let kept = book.add(decision(1), LATER).unwrap();
    let expired = book.add(decision(2), UnixMillis::new(5)).unwrap();
    let revoked = book.add(decision(3), LATER).unwrap();
    book.revoke(&revoked).unwrap();
    assert!(other.find(&kept, BEFORE).unwrap().is_some());
    book.prune(UnixMillis::new(10)).unwrap();
    assert_eq!(fs::read_to_string(&book.path).unwrap().lines().count(), 2);
    for reader in [&book, &other] {
        assert!(reader.find(&kept, BEFORE).unwrap().is_some());
        assert_eq!(reader.find(&expired, UnixMillis::new(0)).unwrap(), None);
        assert_eq!(reader.find(&revoked, BEFORE).unwrap(), None);
    }
    let fresh = other.add(decision(4), LATER).unwrap();
    assert!(book.find(&fresh, BEFORE).unwrap().is_some());
}

#[test]
fn a_line_that_a_crash_cut_off_is_passed_over_and_then_overwritten() {
    let (_folder, book) = book();
    let kept = book.add(decision(1), LATER).unwrap();
    let mut file = OpenOptions::new().append(true).open(&book.path).unwrap();
    file.write_all(b"link 00ff").unwrap();
    assert!(book.find(&kept, BEFORE).unwrap().is_some());
    let next = book.add(decision(2), LATER).unwrap();
    assert!(book.find(&next, BEFORE).unwrap().is_some());
    assert!(!fs::read_to_string(&book.path).unwrap().contains("00ff"));
}

#[test]
fn a_file_that_is_none_is_refused_and_says_where() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("links");
    let hash = "0".repeat(64);
    for (text, at) in [
        ("something else\n".to_owned(), 0),
        (format!("{HEADER}link\n"), 21),
        (format!("{HEADER}link {hash} x 5\n"), 21),
        (format!("{HEADER}link {hash} {} -5\n", decision(1)), 21),
        (format!("{HEADER}revoke 00\n"), 21),
        (format!("{HEADER}revoke {hash}\n\n"), 21 + 72),
    ] {
        fs::write(&path, &text).unwrap();
        let error = LinkBook::open(&path).unwrap_err();
        assert!(matches!(error, LinkError::Malformed { at: found, .. } if found == at), "{text}: {error}");
    }
}
