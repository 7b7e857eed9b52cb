//! One spelling per statement. Malformed ones stand in `tests/vectors/anchor_statement.json`.

use proptest::prelude::*;

use super::*;

fn second() -> Statement {
    Statement {
        origin: KeyName::new("example.com/lending").unwrap(),
        lane: LaneName::parse("ethereum").unwrap(),
        seq: 2,
        from: Head { size: TreeSize::new(10), root: Hash::of(b"ten") },
        to: Head { size: TreeSize::new(300), root: Hash::of(b"three hundred") },
        previous: Hash::of(b"first"),
        checkpoint: Hash::of(b"note"),
    }
}

fn first() -> Statement {
    Statement { seq: 1, from: Head::empty(), previous: NO_STATEMENT, ..second() }
}

#[test]
fn reads_back_a_first_and_a_later_statement() {
    for statement in [first(), second()] {
        let bytes = statement.encode().unwrap();
        assert_eq!(Statement::decode(&bytes), Ok(statement.clone()));
        assert_eq!(statement.hash(), Ok(Hash::of(&bytes)));
    }
}

#[test]
fn the_largest_statement_fits() {
    let largest = Statement {
        origin: KeyName::new(&"o".repeat(255)).unwrap(),
        lane: LaneName::parse(&"l".repeat(LaneName::LEN_MAX)).unwrap(),
        seq: ANCHOR_SEQ_MAX,
        from: Head { size: TreeSize::new(TREE_SIZE_MAX - 1), ..second().from },
        to: Head { size: TreeSize::new(TREE_SIZE_MAX), ..second().to },
        ..second()
    };
    assert!(largest.encode().unwrap().len() <= STATEMENT_BYTES_MAX);
    let len = STATEMENT_BYTES_MAX + 1;
    assert_eq!(Statement::decode(&vec![0; len]), Err(StatementError::TooLarge { len }));
}

#[test]
fn refuses_parts_that_do_not_fit_together() {
    let with = |base: Statement, change: fn(&mut Statement)| {
        let mut statement = base;
        change(&mut statement);
        statement.encode().map(drop)
    };
    assert_eq!(with(first(), |s| s.seq = 0), Err(StatementError::Seq { seq: 0 }));
    let seq = ANCHOR_SEQ_MAX + 1;
    assert_eq!(with(second(), |s| s.seq = ANCHOR_SEQ_MAX + 1), Err(StatementError::Seq { seq }));
    assert_eq!(with(first(), |s| s.seq = 2), Err(StatementError::NoPrevious { seq: 2 }));
    assert_eq!(with(second(), |s| s.seq = 1), Err(StatementError::Genesis));
    assert_eq!(with(first(), |s| s.previous = Hash::of(b"x")), Err(StatementError::Genesis));
    assert_eq!(with(first(), |s| s.from.root = Hash::of(b"x")), Err(StatementError::Genesis));
    assert_eq!(with(second(), |s| s.previous = NO_STATEMENT), Err(StatementError::NoPrevious { seq: 2 }));
    assert_eq!(with(second(), |s| s.from = Head::empty()), Err(StatementError::NoPrevious { seq: 2 }));
    let same = StatementError::Sizes { from: TreeSize::new(10), to: TreeSize::new(10) };
    assert_eq!(with(second(), |s| s.to.size = s.from.size), Err(same));
    let large = StatementError::Sizes { from: TreeSize::new(10), to: TreeSize::new(1 << 63) };
    assert_eq!(with(second(), |s| s.to.size = TreeSize::new(1 << 63)), Err(large));
}

#[test]
fn no_changed_byte_of_a_statement_reads_as_the_same_statement() {
    for statement in [first(), second()] {
        let bytes = statement.encode().unwrap();
        for at in 0..bytes.len() {
            for byte in (0..=u8::MAX).filter(|byte| *byte != bytes[at]) {
                let mut changed = bytes.clone();
                changed[at] = byte;
                if let Ok(read) = Statement::decode(&changed) {
                    assert_ne!(read, statement, "byte {at} as {byte:02x}");
                    assert_eq!(read.encode(), Ok(changed), "byte {at} as {byte:02x}");
                }
            }
        }
    }
}

#[test]
fn refuses_every_statement_cut_short_or_with_a_byte_more() {
    let mut bytes = second().encode().unwrap();
    for len in 0..bytes.len() {
        assert!(Statement::decode(&bytes[..len]).is_err(), "{len} bytes");
    }
    bytes.push(0);
    assert!(matches!(Statement::decode(&bytes), Err(StatementError::Cbor(CborError::TrailingBytes { .. }))));
}

proptest! {
    #[test]
    fn never_panics_on_any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..500)) {
        let _ = Statement::decode(&bytes);
    }
}
