//! Figures of decisions that are made here, so that every count is known.

use std::sync::Arc;

use ledgerstone::entry::{DecisionDetails, DecisionId, Entry, Kind, SessionId, WriterName};
use ledgerstone::evidence::{Absence, RecordPart};
use ledgerstone::merkle::LeafIndex;
use ledgerstone::note::KeyName;
use ledgerstone::record::{FieldPath, Record, RecordBuilder, RecordSecret, Value, encode_contents};
use ledgerstone::vault::{PersonTag, Vault};

use super::decided::Person;
use super::groups::{Counted, Table};
use super::*;

const ORIGIN: &str = "example.com/hiring";

fn secret(number: u64) -> RecordSecret {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    RecordSecret::from_bytes(bytes)
}

fn record(fields: &[(&str, Value)]) -> Record {
    let mut builder = RecordBuilder::new();
    for (path, value) in fields {
        builder.add(FieldPath::parse(path).unwrap(), value.clone()).unwrap();
    }
    builder.build().unwrap()
}

fn session() -> (WriterName, SessionId, u64) {
    (WriterName::parse("writer").unwrap(), SessionId::from_bytes([1; 16]), 1)
}

/// An entry about the decision at `index`, with its record.
fn decision(index: u64, fields: &[(&str, Value)]) -> (LeafIndex, Entry, RecordPart) {
    let (writer, session, sequence) = session();
    let (secret, record) = (secret(index), record(fields));
    let commitment = record.commit(&secret).commitment();
    let id = DecisionId::from_bytes(id(index));
    let entry = Entry::decision(writer, session, sequence, id, commitment, DecisionDetails { status: 0 });
    (LeafIndex::new(index), entry, RecordPart::Opened(encode_contents(&secret, &record, None, None)))
}

fn later(index: u64, of: u64, kind: Kind, fields: &[(&str, Value)]) -> (LeafIndex, Entry, RecordPart) {
    let (secret, record) = (secret(index), record(fields));
    let commitment = record.commit(&secret).commitment();
    let id = DecisionId::from_bytes(id(of));
    let entry = Entry::follow_up(kind, session(), id, LeafIndex::new(of), commitment);
    (LeafIndex::new(index), entry, RecordPart::Opened(encode_contents(&secret, &record, None, None)))
}

/// A UUIDv7 of its own.
fn id(number: u64) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[6] = 0x70;
    bytes[8..].copy_from_slice(&number.to_be_bytes());
    bytes[8] = 0x80;
    bytes
}

fn read(entries: &[(LeafIndex, Entry, RecordPart)]) -> Decided {
    let mut reader = Reader::new(None);
    for (index, entry, record) in entries {
        reader.take(*index, entry, record).unwrap();
    }
    reader.finish()
}

fn source() -> Source {
    Source {
        origin: ORIGIN.to_owned(),
        tree_size: 100,
        root: "00".repeat(32),
        checkpoint_verified: true,
        entries: (0, 99),
    }
}

fn against(truth: bool) -> (&'static str, Value) {
    ("outcome/adverse", Value::Bool(truth))
}

/// Whether the answer was for a person, the person's sex and race as the vault has them, and the score.
type Row = (bool, Option<&'static str>, Option<&'static str>, Option<f64>);

/// People about whom there is a decision each.
struct People(Vec<Row>);

impl People {
    fn decided(&self) -> (Decided, Vault) {
        let names = vec!["sex".to_owned(), "race".to_owned()];
        let mut vault = Vault::new(KeyName::new(ORIGIN).unwrap(), names).unwrap();
        let mut decided = Decided::default();
        for ((selected, sex, race, score), number) in self.0.iter().zip(0_u64..) {
            let tag = PersonTag::new(&secret(number), 0);
            decided.decisions.push(Decision {
                index: LeafIndex::new(number),
                month: Arc::from("2026-11"),
                route: Some(Arc::from("screen")),
                is_answered: true,
                confirmed: 0,
                overridden: 0,
                contested: 0,
                notices: 0,
                outcome: None,
            });
            decided.people.push(Person {
                decision: usize::try_from(number).unwrap(),
                place: 0,
                against: Some(!selected),
                finally_against: Some(false),
                score: *score,
                tag,
            });
            vault.insert(tag, [sex, race].map(|value| value.map(str::to_owned)).into()).unwrap();
        }
        (decided, vault)
    }
}

fn counted(table: &mut Table, values: &[&str], people: u64, selected: u64) {
    for number in 0..people {
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        table.count(Some(values), Counted { is_selected: number < selected, is_above: None });
    }
}

fn shown(group: &Group) -> (&str, &str, bool) {
    (
        group.selection_rate.as_deref().unwrap_or("none"),
        group.impact_ratio.as_deref().unwrap_or("none"),
        group.below_four_fifths,
    )
}

#[test]
fn a_quotient_is_rounded_half_up_to_four_digits() {
    for (dividend, divisor, expected) in [
        (1, 3, "0.3333"),
        (2, 3, "0.6667"),
        (1, 20_000, "0.0001"),
        (1, 20_001, "0.0000"),
        (7, 7, "1.0000"),
        (5, 2, "2.5000"),
    ] {
        assert_eq!(quotient(dividend, divisor).unwrap(), expected, "{dividend}/{divisor}");
    }
    assert_eq!(quotient(0, 0), None);
    assert_eq!(quotient(u64::MAX, u64::MAX).unwrap(), "1.0000");
}

#[test]
fn the_example_of_the_citys_rules_comes_out() {
    let mut table = Table::new(vec!["sex".to_owned()]);
    counted(&mut table, &["Male"], 1390, 667);
    counted(&mut table, &["Female"], 1181, 555);
    let dimension = table.finish(false);
    assert_eq!(shown(&dimension.groups[0]), ("0.4699", "0.9793", false));
    assert_eq!(shown(&dimension.groups[1]), ("0.4799", "1.0000", false));
}

#[test]
fn four_fifths_are_compared_before_rounding() {
    // 0.799992 of the highest rounds to 0.8000 and is below it.
    let mut table = Table::new(vec!["sex".to_owned()]);
    counted(&mut table, &["a"], 100_000, 100_000);
    counted(&mut table, &["b"], 125_001, 100_000);
    counted(&mut table, &["c"], 125_000, 100_000);
    let dimension = table.finish(false);
    assert_eq!(shown(&dimension.groups[1]), ("0.8000", "0.8000", true));
    assert_eq!(shown(&dimension.groups[2]), ("0.8000", "0.8000", false), "exactly four fifths is not below");
}

#[test]
fn a_small_group_is_left_out_only_when_a_reason_is_given_and_sets_no_highest_rate() {
    let table = || {
        let mut table = Table::new(vec!["race".to_owned()]);
        counted(&mut table, &["large"], 980, 490);
        counted(&mut table, &["small"], 19, 19);
        table.count(None, Counted { is_selected: true, is_above: None });
        table
    };
    let compared = table().finish(false);
    assert_eq!(shown(&compared.groups[0]), ("0.5000", "0.5000", true));
    let left_out = table().finish(true);
    assert_eq!(shown(&left_out.groups[0]), ("0.5000", "1.0000", false));
    assert_eq!(shown(&left_out.groups[1]), ("1.0000", "none", false), "its rate is still shown");
    assert!(left_out.groups[1].left_out && !left_out.groups[0].left_out);
    assert_eq!((left_out.unknown, left_out.unknown_selected), (1, 1));
    // Two percent of 1,000 are 20: a group of 20 is not below.
    let mut table = Table::new(vec!["race".to_owned()]);
    counted(&mut table, &["large"], 980, 490);
    counted(&mut table, &["small"], 20, 20);
    assert!(table.finish(true).groups.iter().all(|group| !group.left_out));
}

#[test]
fn rates_of_nobody_are_none_and_where_nobody_was_selected_there_is_no_ratio() {
    let mut table = Table::new(vec!["sex".to_owned()]);
    counted(&mut table, &["a"], 10, 0);
    counted(&mut table, &["b"], 5, 0);
    let dimension = table.finish(false);
    assert_eq!(shown(&dimension.groups[0]), ("0.0000", "none", false));
    assert_eq!(dimension.groups[0].scoring_rate, None);
    assert!(Table::new(vec![]).finish(true).groups.is_empty());
}

#[test]
fn attributes_are_crossed_and_whoever_lacks_one_is_not_known() {
    let people = People(vec![
        (true, Some("f"), Some("x"), Some(1.0)),
        (false, Some("f"), Some("y"), Some(2.0)),
        (true, Some("m"), Some("x"), Some(3.0)),
        (true, Some("m"), None, Some(4.0)),
        (false, None, None, Some(5.0)),
    ]);
    let (decided, vault) = people.decided();
    let (fairness, files) = fairness(&decided, source(), &vault, String::new(), &Options::default()).unwrap();
    let names: Vec<_> =
        fairness.dimensions.iter().map(|dimension| dimension.attributes.join(" x ")).collect();
    assert_eq!(names, ["sex", "race", "sex x race"]);
    let crossed = &fairness.dimensions[2];
    let groups: Vec<_> = crossed.groups.iter().map(|group| (group.values.join("/"), group.people)).collect();
    assert_eq!(groups, [("f/x".to_owned(), 1), ("f/y".to_owned(), 1), ("m/x".to_owned(), 1)]);
    assert_eq!((crossed.unknown, crossed.unknown_selected), (2, 1));
    assert_eq!((fairness.people, fairness.selected, fairness.median_score), (5, 3, Some(3.0)));
    let sex = &fairness.dimensions[0];
    assert_eq!((sex.groups[1].scored, sex.groups[1].above_median), (2, 1), "4 is above 3, 3 is not");
    // The trace has one line for each person, and its digest stands in the figures.
    assert_eq!(files.trace.lines().count(), 6);
    assert!(files.trace.contains("3,0,2026-11,screen,,1,4,1,m,\r\n"), "{}", files.trace);
    assert_eq!(ledgerstone::hash::Hash::of(files.trace.as_bytes()).to_string(), fairness.trace_sha256);
    // Every count of a table is the number of lines of the trace with its values.
    let lines =
        |sex: &str| files.trace.lines().filter(|line| line.split(',').nth(8) == Some(sex)).count() as u64;
    assert_eq!(
        (lines("f"), lines("m"), lines("")),
        (sex.groups[0].people, sex.groups[1].people, sex.unknown)
    );
}

#[test]
fn the_final_outcome_is_counted_when_it_is_asked_for_and_lower_scores_may_be_better() {
    let people = People(vec![
        (false, Some("f"), None, Some(1.0)),
        (true, Some("m"), None, Some(2.0)),
        (true, Some("m"), None, Some(9.0)),
    ]);
    let (decided, vault) = people.decided();
    let count = |of, lower_is_better| {
        let options = Options { of, lower_is_better, by: vec![vec!["sex".to_owned()]], ..Options::default() };
        let (fairness, _) = fairness(&decided, source(), &vault, String::new(), &options).unwrap();
        let groups = &fairness.dimensions[0].groups;
        (groups[0].selected, groups[0].above_median, groups[1].above_median)
    };
    assert_eq!(count(Of::Answer, false), (0, 0, 1));
    assert_eq!(count(Of::Final, true), (1, 1, 0));
}

#[test]
fn a_vault_of_another_log_or_without_the_attribute_gives_no_figures() {
    let (decided, vault) = People(vec![(true, Some("f"), None, None)]).decided();
    let other = Source { origin: "example.com/other".to_owned(), ..source() };
    let figures = |source, decided: &Decided, by: &str| {
        let options = Options { by: vec![vec![by.to_owned()]], ..Options::default() };
        fairness(decided, source, &vault, String::new(), &options).unwrap_err().to_string()
    };
    assert!(figures(other, &decided, "sex").contains("example.com/other"));
    assert!(figures(source(), &decided, "age").contains("it has sex, race"));
    assert!(figures(source(), &Decided::default(), "sex").contains("for or against"));
}

#[test]
fn rows_of_a_batch_are_people_and_later_entries_change_what_they_name() {
    let rows = [
        ("decision/route", Value::from("screen")),
        ("outcome/adverse/[0]", Value::Bool(true)),
        ("outcome/adverse/[1]", Value::Bool(false)),
        ("output/score/fit/[0]", Value::Float(0.25)),
        ("output/score/fit/[1]", Value::Float(0.75)),
    ];
    let decided = read(&[
        decision(3, &rows),
        decision(4, &[("decision/route", Value::from("loans")), against(true)]),
        later(
            5,
            4,
            Kind::Review,
            &[("review/[0]/action", "override".into()), ("review/[1]/action", "confirm".into())],
        ),
        later(6, 4, Kind::Outcome, &[against(false)]),
        later(7, 3, Kind::Outcome, &[("outcome/adverse/[0]", Value::Bool(false))]),
        later(8, 3, Kind::Contest, &[("contest/[0]/ground", "wrong".into())]),
        later(9, 1, Kind::Notice, &[("notice/[0]/kind", "adverse-action".into())]),
    ]);
    let people: Vec<_> = decided
        .people
        .iter()
        .map(|person| (person.decision, person.place, person.against, person.finally_against, person.score))
        .collect();
    let (yes, no) = (Some(true), Some(false));
    assert_eq!(people, [(0, 0, yes, no, Some(0.25)), (0, 1, no, no, Some(0.75)), (1, 0, yes, no, None)]);
    assert_eq!(decided.people[1].tag, PersonTag::new(&secret(3), 1));
    assert_eq!(decided.decisions[1].outcome, Some(LeafIndex::new(6)));
    assert_eq!(decided.apart, 1, "the decision at index 1 is not here");
    let (summary, files) = summary(&decided, source());
    let all = &summary.all;
    assert_eq!((all.decisions, all.people, all.against, all.changed), (2, 3, 2, 2));
    assert_eq!((all.confirmed, all.overridden, all.contested, all.noticed), (1, 1, 1, 0));
    assert_eq!(all.adverse_rate.as_deref(), Some("0.6667"));
    let routes: Vec<_> = summary.lines.iter().map(|line| line.route.as_deref().unwrap()).collect();
    assert_eq!(routes, ["loans", "screen"]);
    assert_eq!(files.csv.lines().count(), 3);
    assert!(
        files.trace.lines().nth(1).unwrap().starts_with("3,1970-01,screen,1,0,2,1,0,0.5000,1,"),
        "{}",
        files.trace
    );
}

#[test]
fn records_that_are_not_there_are_counted_and_nobody_is_made_up_for_them() {
    let (index, entry, _) = decision(1, &[against(true)]);
    let (.., other) = decision(2, &[against(true)]);
    let (place, erased, _) = decision(2, &[against(true)]);
    let decided = read(&[
        (index, entry, other),
        (place, erased, RecordPart::Absent(Absence::Erased)),
        decision(3, &[("decision/route", "screen".into())]),
    ]);
    assert_eq!((decided.decisions.len(), decided.people.len()), (3, 1));
    assert_eq!(decided.unread.values().sum::<u64>(), 2, "{:?}", decided.unread);
    assert_eq!(decided.people[0].against, None, "its record says nothing about an outcome");
    let (summary, _) = summary(&decided, source());
    assert_eq!((summary.all.without_outcome, summary.all.adverse_rate), (1, None));
}

#[test]
fn text_from_records_and_vaults_is_markup_and_formula_nowhere() {
    let evil = "=HYPERLINK(\"http://x\")<script>alert(1)</script>";
    let value: &'static str = Box::leak(evil.chars().take(60).collect::<String>().into_boxed_str());
    let (mut decided, vault) =
        People(vec![(true, Some(value), Some("y"), None), (false, Some("m"), Some("x"), None)]).decided();
    decided.decisions[0].route = Some(Arc::from(evil));
    let (_, fairness) = fairness(&decided, source(), &vault, String::new(), &Options::default()).unwrap();
    let (_, summary) = summary(&decided, source());
    for files in [fairness, summary] {
        let page = crate::report::html(&files.page);
        assert!(!page.contains("<script>") && page.contains("&lt;script&gt;"), "{page}");
        for cell in (files.csv + &files.trace).split(['\n', ',']) {
            assert!(!cell.starts_with("=HY") && !cell.starts_with("\"=HY"), "{cell}");
        }
    }
}

#[test]
fn the_same_decisions_give_the_same_bytes() {
    let (decided, vault) =
        People(vec![(true, Some("f"), Some("x"), Some(0.5)), (false, Some("m"), Some("y"), None)]).decided();
    let made = || {
        let (_, files) = fairness(&decided, source(), &vault, String::new(), &Options::default()).unwrap();
        (
            crate::report::pdf(&files.page),
            crate::report::html(&files.page),
            files.json,
            files.csv,
            files.trace,
        )
    };
    assert_eq!(made(), made());
}
