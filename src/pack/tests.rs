//! Packs that come along, the ways in which a text is none, and what is owed by when.

use std::sync::Arc;

use super::*;
use crate::code::Code;
use crate::limits::{PACK_BYTES_MAX, PACK_ITEMS_MAX};
use crate::record::{Field, Value};

/// A pack with a rule of each sort.
const WHOLE: &str = r#"format = "ledgerstone-pack/v1"
name = "house"
version = 3
as_of = "2026-11-21"
title = "House rules"
jurisdiction = "Here"
in_force_from = "2026-01-01"

[[source]]
id = "a"
citation = "Rule A"
certainty = "read"
seen = "the rule itself"
remark = "short"

[[requires]]
any = ["explanation/reason/*/text", "explanation/reason/*/code"]
when = "adverse"
source = "a"
rule = "Reasons."

[[requires]]
any = ["input/feature/*"]
source = "a"
rule = "Inputs."

[[entry]]
kind = "notice"
field = "notice/*/kind"
is = ["adverse_action", "denial"]
after = "adverse"
within = "30 days"
source = "a"
rule = "Notice."

[[entry]]
kind = "contest"
field = "contest/*/outcome"
after = "contest"
within = "1 month"
source = "a"
rule = "Answer."

[[entry]]
kind = "review"
after = "decision"
within = "2 years"
source = "a"
rule = "Review."

[[retention]]
of = "records"
keep = "25 months"
from = "decision"
source = "a"
rule = "Records."

[[retention]]
of = "documents"
keep = "10 years"
from = "unstated"
source = "a"
rule = "Documents."

[erasure]
is = "refused"
source = "a"
rule = "None."

[[unchecked]]
source = "a"
rule = "Something else."
"#;

fn refusal(text: &str) -> PackError {
    Pack::parse(text.as_bytes()).expect_err(text)
}

#[test]
fn every_pack_that_comes_along_reads_and_has_the_name_of_its_file() {
    for (name, text) in BUILT_IN {
        let pack = Pack::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(pack.reference.name(), name);
        assert_eq!(pack.reference.digest(), Hash::of(text.as_bytes()));
        assert_eq!(PackRef::parse(&pack.reference.to_string()), Some(pack.reference.clone()));
        assert_eq!(pack.as_of.to_string(), "2026-11-21", "{name}");
        assert!(!pack.sources.is_empty() && !pack.requirements.is_empty(), "{name}");
        assert_eq!(Pack::built_in(name), Some(pack));
    }
    assert!(BUILT_IN.is_sorted_by_key(|(name, _)| *name));
    assert_eq!(Pack::built_in("reg-z"), None);
}

#[test]
fn every_file_of_the_folder_of_packs_comes_along() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("packs");
    let mut files: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap().replace(".toml", ""))
        .collect();
    files.sort();
    assert_eq!(files, BUILT_IN.map(|(name, _)| name));
}

#[test]
fn the_packs_say_what_the_rules_were_read_to_say() {
    let pack = |name: &str| Pack::built_in(name).unwrap();
    let time = |text: &str| Date::parse(text).unwrap().start();
    let reg_b = pack("reg-b");
    assert_eq!(
        reg_b.obligations[0].to_string(),
        "notice with notice/*/kind = adverse_action within 30 days of the adverse decision"
    );
    assert_eq!(reg_b.keep_records_until(time("2026-01-31")), Some(time("2028-02-29")));
    assert_eq!(pack("sec-17a4").erasure.unwrap().erasure, Erasure::Refused);
    assert_eq!(pack("sec-17a4").keep_records_until(time("2026-01-31")), Some(time("2032-01-31")));
    assert_eq!(pack("eu-ai-act").keep_records_until(time("2026-01-31")), Some(time("2026-07-31")));
    assert_eq!(pack("nyc-ll144").keep_records_until(time("2026-01-31")), None);
    assert!(!pack("colorado-sb26-189").binds_at(time("2026-12-31")));
    assert!(pack("colorado-sb26-189").binds_at(time("2027-01-01")));
    assert!(reg_b.binds_at(time("1970-01-01")));
    let certainty = |name: &str, id: &str| {
        pack(name).sources.into_iter().find(|source| source.id == id).unwrap().certainty
    };
    assert_eq!(certainty("reg-b", "1002.9"), Certainty::Excerpt);
    assert_eq!(certainty("reg-b", "1002.12"), Certainty::Unverified);
    assert_eq!(certainty("eu-ai-act", "art-14"), Certainty::Unverified);
}

#[test]
fn the_pack_of_the_page_reads() {
    let page = include_str!("../../docs/packs.md");
    let blocks = page.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let packs: Vec<&str> = blocks.filter(|block| block.starts_with("format")).collect();
    assert_eq!(packs.len(), 1);
    assert_eq!(Pack::parse(packs[0].as_bytes()).unwrap().obligations[0].within, Period::Days(14));
    for (name, text) in BUILT_IN {
        let pack = Pack::parse(text.as_bytes()).unwrap();
        let since = pack.in_force_from.map_or("not stated".to_owned(), |date| date.to_string());
        let row = page.lines().find(|line| line.starts_with(&format!("| `{name}` |"))).expect(name);
        assert!(row.ends_with(&format!("| {since} |")), "{row}");
    }
}

#[test]
fn reads_every_key() {
    let pack = Pack::parse(WHOLE.as_bytes()).unwrap();
    assert_eq!((pack.reference.name(), pack.reference.version()), ("house", 3));
    assert_eq!((pack.requirements.len(), pack.obligations.len(), pack.retention.len()), (2, 3, 2));
    assert_eq!((pack.requirements[0].when, pack.requirements[1].when), (When::Adverse, When::Always));
    assert_eq!(pack.obligations[0].is, ["adverse_action", "denial"]);
    assert_eq!(pack.obligations[1].within, Period::Months(1));
    assert_eq!(pack.retention[0].keep, Period::Months(25));
    assert_eq!(pack.source(pack.unchecked[0].source).unwrap().citation, "Rule A");
    assert_eq!(pack.source(9), None);
    let shortest = WHOLE.split("\n[[requires]]").next().unwrap();
    assert_eq!(refusal(shortest), PackError::Empty);
    assert!(
        Pack::parse(format!("{shortest}\n[[unchecked]]\nsource = \"a\"\nrule = \"r\"").as_bytes()).is_ok()
    );
}

#[test]
fn refuses_what_breaks_a_rule_and_names_the_line() {
    for (from, to, line, message) in [
        ("format = \"ledgerstone-pack/v1\"", "format = \"ledgerstone-pack/v2\"", 1, "ledgerstone-pack/v1"),
        ("name = \"house\"", "name = \"House\"", 2, "a-z, 0-9 and '-'"),
        ("name = \"house\"", "name = \"\"", 2, "1 to 64"),
        ("name = \"house\"", "name = \"-house\"", 2, "beginning and ending"),
        ("name = \"house\"", "name = \"a b\"", 2, "a-z"),
        ("name = \"house\"", "name = \"house.toml\"", 2, "a-z"),
        ("version = 3", "version = 0", 3, "count versions from 1"),
        ("version = 3", "version = -1", 3, "invalid value"),
        ("version = 3", "version = \"3\"", 3, "invalid type"),
        ("as_of = \"2026-11-21\"", "as_of = \"21.11.2026\"", 4, "YYYY-MM-DD"),
        ("as_of = \"2026-11-21\"", "as_of = \"2026-02-30\"", 4, "YYYY-MM-DD"),
        ("as_of = \"2026-11-21\"", "as_of = 2026-11-21", 4, "invalid type"),
        ("in_force_from = \"2026-01-01\"", "in_force_from = \"soon\"", 7, "YYYY-MM-DD"),
        ("title = \"House rules\"", "title = \" \"", 5, "1 to 1024 bytes"),
        ("title = \"House rules\"", "title = \"a\\u001b[2Jb\"", 5, "control characters"),
        ("title = \"House rules\"", "title = \"a\\nb\"", 5, "on one line"),
        ("title = \"House rules\"", "titel = \"House rules\"", 5, "unknown field `titel`"),
        ("jurisdiction = \"Here\"", "jurisdiction = \"Here\"\njurisdiction = \"There\"", 7, "duplicate key"),
        ("certainty = \"read\"", "certainty = \"sure\"", 12, "unknown variant `sure`"),
        ("certainty = \"read\"\n", "", 9, "missing field `certainty`"),
        ("seen = \"the rule itself\"", "seen = \"\"", 13, "1 to 1024"),
        ("seen = \"the rule itself\"", "where = \"x\"", 13, "unknown field `where`"),
        ("id = \"a\"", "id = \"b\"", 19, "no [[source]] has the id \"a\""),
        ("when = \"adverse\"", "when = \"bad\"", 18, "unknown variant `bad`"),
        ("any = [\"input/feature/*\"]", "any = []", 23, "list the paths"),
        ("any = [\"input/feature/*\"]", "any = \"input/feature/*\"", 23, "invalid type"),
        ("\"input/feature/*\"", "\"input/features/*\"", 23, "not in the vocabulary"),
        ("\"input/feature/*\"", "\"input//feature\"", 23, "path segment is empty"),
        ("\"input/feature/*\"", "\"input/feature/a b\"", 23, "not canonical"),
        ("\"input/feature/*\"", "\"*\"", 23, "begin with a root"),
        ("\"input/feature/*\"", "\"notice/*/kind\"", 23, "write [[entry]]"),
        ("\"input/feature/*\"", "\"review/*\"", 23, "write [[entry]]"),
        ("\"input/feature/*\"", "\"opt_out\"", 23, "write [[entry]]"),
        ("kind = \"notice\"", "kind = \"decision\"", 28, "write outcome, explanation"),
        ("kind = \"notice\"", "kind = \"erasure\"", 28, "write outcome, explanation"),
        ("field = \"notice/*/kind\"", "field = \"review/*/action\"", 29, "no field of notice entries"),
        ("field = \"notice/*/kind\"", "field = \"notice/*/kid\"", 29, "not in the vocabulary"),
        ("field = \"notice/*/kind\"\n", "", 29, "say with `field`"),
        ("\"denial\"]", "\"\"]", 30, "1 to 1024"),
        ("after = \"adverse\"", "after = \"notice\"", 31, "unknown variant `notice`"),
        ("within = \"30 days\"", "within = \"30\"", 32, "30 days"),
        ("within = \"30 days\"", "within = \"30d\"", 32, "30 days"),
        ("within = \"30 days\"", "within = \"0 days\"", 32, "1 to 12000"),
        ("within = \"30 days\"", "within = \"030 days\"", 32, "1 to 12000"),
        ("within = \"30 days\"", "within = \"12001 days\"", 32, "1 to 12000"),
        ("within = \"30 days\"", "within = \"-1 days\"", 32, "1 to 12000"),
        ("within = \"30 days\"", "within = \"10 working days\"", 32, "1 to 12000"),
        ("keep = \"25 months\"", "keep = \"1 months\"", 53, "1 to 12000"),
        ("of = \"records\"", "of = \"logs\"", 52, "unknown variant `logs`"),
        ("from = \"decision\"", "from = \"notice\"", 54, "unknown variant `notice`"),
        ("is = \"refused\"", "is = \"maybe\"", 66, "unknown variant `maybe`"),
        ("[erasure]", "[[erasure]]", 65, "wanted exactly 1 element"),
        ("[[unchecked]]", "[[requires ]", 70, ""),
        ("rule = \"Something else.\"", "rule = 1", 72, "invalid type"),
    ] {
        assert!(WHOLE.contains(from), "{from}");
        let error = refusal(&WHOLE.replacen(from, to, 1)).to_string();
        assert!(error.starts_with(&format!("line {line}: ")), "{from} -> {to}: {error}");
        assert!(error.contains(message), "{from} -> {to}: {error}");
    }
}

#[test]
fn refuses_a_second_source_of_one_name() {
    let second = "[[source]]\nid = \"a\"\ncitation = \"B\"\ncertainty = \"read\"\n\n[[requires]]";
    let text = WHOLE.replacen("[[requires]]", second, 1);
    assert_eq!(refusal(&text), PackError::DuplicateSource { line: 17, id: "a".to_owned() });
}

#[test]
fn refuses_too_much() {
    let too_long = format!("{WHOLE}#{}", "x".repeat(PACK_BYTES_MAX));
    assert_eq!(refusal(&too_long).code(), Code::Limit);
    assert_eq!(Pack::parse(b"\xff"), Err(PackError::NotText));
    let head = WHOLE.split("\n[[requires]]").next().unwrap();
    let unchecked = |count| "[[unchecked]]\nsource = \"a\"\nrule = \"r\"\n".repeat(count);
    assert!(Pack::parse(format!("{head}{}", unchecked(PACK_ITEMS_MAX)).as_bytes()).is_ok());
    let error = refusal(&format!("{head}{}", unchecked(PACK_ITEMS_MAX + 1)));
    assert!(matches!(error, PackError::TooMany { key: "unchecked", .. }), "{error}");
    let requires = |count: usize| {
        let any = vec!["\"input/feature/*\""; count].join(", ");
        format!("{head}\n[[requires]]\nany = [{any}]\nsource = \"a\"\nrule = \"r\"\n")
    };
    assert!(Pack::parse(requires(PACK_ITEMS_MAX).as_bytes()).is_ok());
    assert!(matches!(refusal(&requires(PACK_ITEMS_MAX + 1)), PackError::TooMany { key: "any", .. }));
    let words = format!("is = [{}]", vec!["\"x\""; PACK_ITEMS_MAX + 1].join(", "));
    let error = refusal(&WHOLE.replacen("is = [\"adverse_action\", \"denial\"]", &words, 1));
    assert!(matches!(error, PackError::TooMany { key: "is", .. }), "{error}");
    let deep = format!("{head}\nx = {}{}", "[".repeat(20_000), "]".repeat(20_000));
    assert!(matches!(refusal(&deep), PackError::Toml { .. }));
}

#[test]
fn names_of_packs_in_records_have_one_spelling() {
    let digest = Hash::of(b"x").to_string();
    assert!(PackRef::parse(&format!("reg-b 1 {digest}")).is_some());
    for text in [
        String::new(),
        "reg-b 1".to_owned(),
        format!("reg-b 01 {digest}"),
        format!("reg-b +1 {digest}"),
        format!("Reg-b 1 {digest}"),
        format!("reg-b  1 {digest}"),
        format!("reg-b 1 {digest} "),
        format!("reg-b 1 {}", digest.to_uppercase()),
        format!("reg-b 1 {}", &digest[2..]),
        format!("reg-b 4294967296 {digest}"),
    ] {
        assert_eq!(PackRef::parse(&text), None, "{text:?}");
    }
}

#[test]
fn periods_have_one_spelling_and_end_at_the_time_of_day_they_began() {
    let start = Date::parse("2026-01-31").unwrap().start().plus_millis(1);
    let end = |text: &str| Date::parse(text).unwrap().start().plus_millis(1);
    for (text, until) in [
        ("1 day", "2026-02-01"),
        ("30 days", "2026-03-02"),
        ("1 month", "2026-02-28"),
        ("25 months", "2028-02-29"),
        ("1 year", "2027-01-31"),
        ("10 years", "2036-01-31"),
    ] {
        let period = Period::parse(text).unwrap();
        assert_eq!((period.after(start), period.to_string().as_str()), (end(until), text));
    }
    for text in [
        "",
        "day",
        " day",
        "1 days",
        "2 day",
        "1  day",
        "1 day ",
        "+1 day",
        "1 week",
        "1.5 years",
        "99999999999 days",
    ] {
        assert_eq!(Period::parse(text), None, "{text:?}");
    }
}

/// A decision's story: what happened when, in days after the decision.
struct Story {
    set: PackSet,
    docket: Docket,
}

const DECIDED: u64 = 1_795_000_000_000;
const DAY: u64 = 86_400_000;

fn day(days: u64) -> UnixMillis {
    UnixMillis::new(DECIDED + days * DAY)
}

fn fields(fields: &[(&str, Value)]) -> Vec<Field> {
    let field =
        |(path, value): &(&str, Value)| Field { path: FieldPath::parse(path).unwrap(), value: value.clone() };
    fields.iter().map(field).collect()
}

fn millis(time: UnixMillis) -> Value {
    Value::from(time.get())
}

impl Story {
    fn of(pack: &str, answered: bool, decision: &[(&str, Value)]) -> Self {
        let pack = Pack::parse(pack.as_bytes()).unwrap();
        let set = PackSet::new(vec![Arc::new(pack)]);
        let fields = fields(decision);
        let told = Told { kind: Kind::Decision, recorded_at: day(0), answered, fields: &fields };
        Self { docket: Docket::open(&set, &told), set }
    }

    fn then(mut self, kind: Kind, recorded_at: UnixMillis, later: &[(&str, Value)]) -> Self {
        let fields = fields(later);
        self.docket.add(&self.set, &Told { kind, recorded_at, answered: false, fields: &fields });
        self
    }

    /// The findings at `now` in words: `lacks 0`, `lacks 0 masked`, `due 1`, `overdue 1`, ...
    fn at(&self, now: UnixMillis) -> Vec<String> {
        let word = |finding: Finding| match finding {
            Finding::Lacks { rule, masked } => {
                format!("lacks {}{}", rule.rule, if masked { " masked" } else { "" })
            }
            Finding::Owes { rule, owing, .. } => format!("{owing:?} {}", rule.rule).to_lowercase(),
        };
        self.docket.findings(&self.set, now).map(word).collect()
    }
}

/// The requirements alone.
fn requires(when: &str, any: &str) -> String {
    let head = WHOLE.split("\n[[requires]]").next().unwrap();
    format!("{head}\n[[requires]]\nany = {any}\nwhen = \"{when}\"\nsource = \"a\"\nrule = \"r\"\n")
}

fn owes(entry: &str) -> String {
    let head = WHOLE.split("\n[[requires]]").next().unwrap();
    format!("{head}\n[[entry]]\n{entry}\nsource = \"a\"\nrule = \"r\"\n")
}

#[test]
fn finds_what_a_record_lacks() {
    const REASONS: &str = r#"["explanation/reason/*/text", "explanation/reason/*/code"]"#;
    let (adverse, text) = (("outcome/adverse", Value::Bool(true)), "explanation/reason/[0]/text");
    let masked = [("privacy/masked/[0]/pointer", Value::from(text)), adverse.clone()];
    let lacks: &[&str] = &["lacks 0"];
    type Case<'a> = (&'a str, bool, Vec<(&'a str, Value)>, &'a [&'a str]);
    let cases: Vec<Case<'_>> = vec![
        ("adverse", true, vec![adverse.clone()], lacks),
        ("adverse", true, vec![("outcome/adverse", Value::Bool(false))], &[]),
        ("adverse", true, vec![], &[]),
        ("adverse", true, vec![adverse.clone(), (text, Value::from("debt"))], &[]),
        ("adverse", true, vec![adverse.clone(), ("explanation/reason/[3]/code", Value::from("R1"))], &[]),
        ("adverse", true, vec![adverse.clone(), ("explanation/reason/[0]/feature", Value::from("x"))], lacks),
        ("adverse", true, vec![adverse.clone(), (text, Value::from(" "))], lacks),
        ("adverse", true, vec![adverse.clone(), (text, Value::Null)], lacks),
        ("adverse", true, masked.to_vec(), &["lacks 0 masked"]),
        (
            "adverse",
            true,
            vec![adverse.clone(), ("explanation/reason/[0]/text/digest", Value::Bytes(vec![0; 32]))],
            lacks,
        ),
        ("answered", true, vec![], lacks),
        ("answered", false, vec![], &[]),
        ("always", false, vec![], lacks),
        ("always", false, vec![(text, Value::from("debt"))], &[]),
    ];
    for (when, answered, decision, expected) in cases {
        let story = Story::of(&requires(when, REASONS), answered, &decision);
        assert_eq!(story.at(day(0)), expected, "{when} {answered} {decision:?}");
    }
}

#[test]
fn a_call_about_several_people_needs_the_field_for_each_of_them() {
    const REASONS: &str = r#"["explanation/reason/*/text"]"#;
    let bools = |all: [bool; 3]| {
        ["outcome/adverse/[0]", "outcome/adverse/[1]", "outcome/adverse/[2]"]
            .into_iter()
            .zip(all.map(Value::Bool))
            .collect::<Vec<_>>()
    };
    let reason = |row: usize| {
        (
            [
                "explanation/reason/[0]/text/[0]",
                "explanation/reason/[0]/text/[1]",
                "explanation/reason/[0]/text/[2]",
            ][row],
            Value::from("r"),
        )
    };
    let pack = requires("adverse", REASONS);
    let story = |adverse, rows: &[usize]| {
        let decision: Vec<_> =
            bools(adverse).into_iter().chain(rows.iter().map(|row| reason(*row))).collect();
        Story::of(&pack, true, &decision)
    };
    assert_eq!(story([true, false, true], &[0, 2]).at(day(0)), [""; 0]);
    assert_eq!(story([true, false, true], &[0, 1]).at(day(0)), ["lacks 0"]);
    assert_eq!(story([false; 3], &[]).at(day(0)), [""; 0]);
    let later = |rows: &[usize]| {
        let fields: Vec<_> = rows.iter().map(|row| reason(*row)).collect();
        story([true, false, true], &[0]).then(Kind::Explanation, day(1), &fields)
    };
    assert_eq!(later(&[1]).at(day(1)), ["lacks 0"]);
    assert_eq!(later(&[2]).at(day(1)), [""; 0]);
    // One value for the call does for every row.
    let whole = [("explanation/reason/[0]/text", Value::from("r"))];
    assert_eq!(story([true; 3], &[]).then(Kind::Explanation, day(1), &whole).at(day(1)), [""; 0]);
}

#[test]
fn a_later_entry_brings_what_the_record_lacks() {
    let story = Story::of(&requires("answered", r#"["explanation/reason/*/text"]"#), true, &[]);
    let story = story.then(Kind::Explanation, day(3), &[("explanation/reason/[0]/text", Value::Null)]);
    assert_eq!(story.at(day(3)), ["lacks 0"]);
    let story =
        story.then(Kind::Explanation, day(4), &[("explanation/reason/[0]/text", Value::from("debt"))]);
    assert_eq!(story.at(day(4)), [""; 0]);
}

#[test]
fn a_notice_is_due_until_its_deadline_and_overdue_after_it() {
    let pack = owes(
        "kind = \"notice\"\nfield = \"notice/*/kind\"\nis = [\"denial\"]\nafter = \"adverse\"\nwithin = \"30 days\"",
    );
    let denied = || Story::of(&pack, true, &[("outcome/adverse", Value::Bool(true))]);
    let notice = |kind: &'static str, at| {
        [("notice/[0]/kind", Value::from(kind)), ("notice/[0]/delivered_at", millis(at))]
    };
    let just_after = |time: UnixMillis| time.plus_millis(1);
    assert_eq!(denied().at(day(30)), ["due 0"]);
    assert_eq!(denied().at(just_after(day(30))), ["overdue 0"]);
    assert_eq!(Story::of(&pack, true, &[]).at(day(99)), [""; 0], "nothing was adverse");

    let told = |at, recorded| denied().then(Kind::Notice, recorded, &notice("denial", at));
    assert_eq!(told(day(30), day(30)).at(day(99)), [""; 0]);
    assert_eq!(told(just_after(day(30)), day(40)).at(day(99)), ["late 0"]);
    assert_eq!(told(day(29), just_after(day(30))).at(day(99)), ["claimed 0"]);
    assert_eq!(told(day(50), day(10)).at(day(20)), ["due 0"], "a delivery that is to come is none yet");
    assert_eq!(told(day(50), day(10)).at(day(31)), ["overdue 0"]);
    assert_eq!(denied().then(Kind::Notice, day(1), &notice("pre_use", day(1))).at(day(31)), ["overdue 0"]);
    assert_eq!(denied().then(Kind::Review, day(1), &[]).at(day(31)), ["overdue 0"]);
    let without_time = denied().then(Kind::Notice, day(31), &[("notice/[0]/kind", Value::from("denial"))]);
    assert_eq!(
        without_time.at(day(40)),
        ["late 0"],
        "without a time of its own, when the log took it counts"
    );
    // The time is that of the notice asked for, not of another one in the same entry.
    let two = [
        ("notice/[0]/kind", Value::from("pre_use")),
        ("notice/[0]/delivered_at", millis(day(1))),
        ("notice/[1]/kind", Value::from("denial")),
        ("notice/[1]/delivered_at", millis(day(35))),
        ("notice/[10]/kind", Value::from("other")),
        ("notice/[10]/delivered_at", millis(day(2))),
    ];
    assert_eq!(denied().then(Kind::Notice, day(36), &two).at(day(40)), ["late 0"]);
}

#[test]
fn an_outcome_that_turns_adverse_later_starts_the_deadline_then() {
    let pack = owes("kind = \"notice\"\nafter = \"adverse\"\nwithin = \"10 days\"");
    let adverse = [("outcome/action", Value::from("deny")), ("outcome/adverse", Value::Bool(true))];
    let approved = || Story::of(&pack, true, &[("outcome/adverse", Value::Bool(false))]);
    let denied = approved().then(Kind::Outcome, day(20), &adverse);
    assert_eq!(denied.at(day(30)), ["due 0"]);
    assert_eq!(denied.at(day(31)), ["overdue 0"]);
    // Said twice, the first time counts; a later change of mind leaves the notice owed.
    let twice = denied.then(Kind::Outcome, day(29), &adverse);
    let reversed = twice.then(Kind::Outcome, day(29), &[("outcome/adverse", Value::Bool(false))]);
    assert_eq!(reversed.at(day(31)), ["overdue 0"]);
    let notice = [("notice/[0]/delivered_at", millis(day(15)))];
    let told_before = approved().then(Kind::Notice, day(15), &notice).then(Kind::Outcome, day(20), &adverse);
    assert_eq!(told_before.at(day(40)), [""; 0]);
}

#[test]
fn each_contest_is_answered_in_its_own_time() {
    let pack =
        owes("kind = \"contest\"\nfield = \"contest/*/outcome\"\nafter = \"contest\"\nwithin = \"10 days\"");
    let story = || Story::of(&pack, true, &[]);
    let received = |at| [("contest/[0]/received_at", millis(at))];
    let answer = |received, decided| {
        [
            ("contest/[0]/received_at", millis(received)),
            ("contest/[0]/outcome", Value::from("upheld")),
            ("contest/[0]/decided_at", millis(decided)),
        ]
    };
    assert_eq!(story().at(day(99)), [""; 0]);
    assert_eq!(story().then(Kind::Contest, day(1), &[("opt_out", Value::Bool(true))]).at(day(99)), [""; 0]);
    // Counted from when it was received, not from when somebody entered it.
    let contested = || story().then(Kind::Contest, day(6), &received(day(5)));
    assert_eq!(contested().at(day(15)), ["due 0"]);
    assert_eq!(contested().at(day(16)), ["overdue 0"]);
    // A contest from the future cannot push its own deadline back.
    assert_eq!(story().then(Kind::Contest, day(6), &received(day(60))).at(day(17)), ["overdue 0"]);
    assert_eq!(contested().then(Kind::Contest, day(15), &answer(day(5), day(15))).at(day(99)), [""; 0]);
    let late = contested().then(Kind::Contest, day(20), &answer(day(5), day(20)));
    assert_eq!(late.at(day(99)), ["late 0"]);
    // Received and answered in one entry.
    assert_eq!(story().then(Kind::Contest, day(9), &answer(day(5), day(9))).at(day(99)), [""; 0]);
    // A second contest is owed an answer of its own, and that the first came late is not forgotten.
    let again = late.then(Kind::Contest, day(40), &received(day(40)));
    assert_eq!(again.at(day(50)), ["due 0", "late 0"]);
    assert_eq!(again.at(day(51)), ["overdue 0", "late 0"]);
}

#[test]
fn a_review_follows_every_answered_decision() {
    let pack = owes("kind = \"review\"\nafter = \"decision\"\nwithin = \"1 month\"");
    let due = Date::parse("2026-12-18").unwrap().start();
    let now = |millis| due.plus_millis(DECIDED % DAY).plus_millis(millis);
    assert_eq!(day(0).to_string(), "2026-11-18T11:06:40.000Z");
    let story = Story::of(&pack, true, &[]);
    assert_eq!(story.at(now(0)), ["due 0"]);
    assert_eq!(story.at(now(1)), ["overdue 0"]);
    assert_eq!(Story::of(&pack, false, &[]).at(now(1)), [""; 0]);
    let reviewed = story.then(Kind::Review, day(2), &[("review/[0]/at", millis(day(2)))]);
    assert_eq!(reviewed.at(now(1)), [""; 0]);
}

#[test]
fn rules_of_several_packs_are_told_apart() {
    let packs = ["reg-b", "colorado-sb26-189"].map(|name| Arc::new(Pack::built_in(name).unwrap()));
    let set = PackSet::new(packs.to_vec());
    let fields = fields(&[("outcome/adverse", Value::Bool(true)), ("outcome/action", Value::from("deny"))]);
    let told = Told { kind: Kind::Decision, recorded_at: day(0), answered: true, fields: &fields };
    let mut docket = Docket::open(&set, &told);
    let owed = |docket: &Docket| -> Vec<usize> {
        let owes = |finding| match finding {
            Finding::Owes { rule, owing: Owing::Overdue, .. } => Some(rule.pack),
            _ => None,
        };
        docket.findings(&set, day(31)).filter_map(owes).collect()
    };
    assert_eq!(owed(&docket), [0, 1]);
    let notice = [("notice/[0]/kind", Value::from("admt")), ("notice/[0]/delivered_at", millis(day(3)))];
    let notice = super::tests::fields(&notice);
    docket.add(&set, &Told { kind: Kind::Notice, recorded_at: day(3), answered: false, fields: &notice });
    assert_eq!(owed(&docket), [0]);
    assert!(docket.bytes() > size_of::<Docket>());
    assert!(docket.findings(&set, day(31)).all(|finding| finding.is_open()));
}
