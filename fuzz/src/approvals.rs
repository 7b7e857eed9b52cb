//! Parsers of approvals: what approvers sign, who they are, and what an entry holds of it.

use std::collections::BTreeMap;

use ledgerstone::approval::{
    Approvals, ChangeKind, History, PublicRoster, Recorded, Roster, Rule, Statement,
};
use ledgerstone::entry::Entry;
use ledgerstone::merkle::LeafIndex;

/// A signed statement, or the text of one alone.
pub fn approval(bytes: &[u8]) -> bool {
    let statement = core::str::from_utf8(bytes).ok().and_then(|text| {
        let statement = Statement::parse(text).ok()?;
        assert_eq!(statement.to_text(), text, "a statement has one spelling");
        Some(statement)
    });
    let Ok(approvals) = Approvals::parse(bytes) else { return statement.is_some() };
    assert_eq!(approvals.to_string().as_bytes(), bytes, "a signed statement is its own spelling");
    let text = approvals.note().text();
    assert_eq!(Statement::parse(text).as_ref(), Ok(approvals.statement()));
    true
}

/// A roster of a log, or a file of approvers.
pub fn roster(bytes: &[u8]) -> bool {
    if let Ok(roster) = PublicRoster::parse(bytes) {
        assert_eq!(roster.to_bytes(), bytes, "a roster is its own encoding");
        return true;
    }
    let Ok(rule) = "1 of alice".parse::<Rule>() else { return false };
    let rules = BTreeMap::from([(ChangeKind::Roster, rule)]);
    let Ok(roster) = Roster::new(bytes, &rules) else { return false };
    assert_eq!(PublicRoster::parse(&roster.public().to_bytes()).as_ref(), Ok(roster.public()));
    true
}

/// An entry, for what it says of approvals.
pub fn approved_entry(bytes: &[u8]) -> bool {
    let Ok(entry) = Entry::decode(bytes) else { return false };
    let mut history = History::default();
    history.apply(LeafIndex::new(0), &entry);
    history.apply(LeafIndex::new(1), &entry);
    if let Ok(Some(recorded)) = Recorded::of(&entry) {
        assert_eq!(recorded.add_to(entry.details.clone()), entry.details, "what is read is written again");
    }
    true
}
