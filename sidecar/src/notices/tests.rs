mod documents;
mod goldens;
mod hostile;
mod pages;

use ledgerstone::entry::Kind as EntryKind;
use ledgerstone::record::{FieldPath, RecordBuilder, Value};
use ledgerstone::time::{Date, UnixMillis};

use super::{Data, Format, Kind, Notice, NoticeError, Request, Templates, Told, render};

/// 18 November 2026, 11:06:40 UTC.
const DECIDED: UnixMillis = UnixMillis::new(1_795_000_000_000);

const DAY: u64 = 86_400_000;

pub(super) fn told(kind: EntryKind, after: u64, fields: &[(&str, Value)]) -> Told {
    let mut record = RecordBuilder::new();
    for (path, value) in fields {
        record.add(FieldPath::parse(path).unwrap(), value.clone()).unwrap();
    }
    Told { kind, recorded_at: DECIDED.plus_millis(after), record: record.build().unwrap() }
}

/// A denial by a model whose low scores deny, without reasons.
fn denial(more: &[(&str, Value)]) -> Told {
    let own = [
        ("decision/id", Value::from("01a1ee56-5e02-7000-8000-000000000002")),
        ("time/decided", Value::from(DECIDED.get())),
        ("model/title", Value::from("Credit risk")),
        ("model/version", Value::from("3.1")),
        ("model/threshold", Value::Float(0.5)),
        ("input/feature/income", Value::Float(2750.5)),
        ("input/feature/debt%20ratio", Value::Float(0.61)),
        ("input/feature/first_home", Value::Bool(true)),
        ("output/score/approve", Value::Float(0.31)),
        ("outcome/action", Value::from("deny")),
        ("outcome/adverse", Value::Bool(true)),
    ];
    told(EntryKind::Decision, 0, &[&own[..], more].concat())
}

/// Reasons as a later entry brings them: text, contribution.
pub(super) fn explanation(after: u64, reasons: &[(&str, f64)]) -> Told {
    let paths: Vec<[String; 2]> = (0..reasons.len())
        .map(|place| ["text", "contribution"].map(|part| format!("explanation/reason/[{place}]/{part}")))
        .collect();
    let mut fields = vec![("explanation/method", Value::from("by hand"))];
    for ([text, contribution], (said, weight)) in paths.iter().zip(reasons) {
        fields.push((text, Value::from(*said)));
        fields.push((contribution, Value::Float(*weight)));
    }
    told(EntryKind::Explanation, after, &fields)
}

/// Six reasons: one in favor, five against.
const REASONS: [(&str, f64); 6] = [
    ("Length of employment", -0.1),
    ("Income insufficient for amount of credit requested", -1.5),
    ("No delinquent past obligations", 0.9),
    ("Excessive obligations in relation to income", -2.25),
    ("Number of recent inquiries", -0.2),
    ("Length of residence", -0.4),
];

fn story() -> Vec<Told> {
    vec![denial(&[]), explanation(DAY, &REASONS)]
}

pub(super) const DATA: &str = r#"
application = "No. 2026-4711"
contact = "Loan desk, (303) 555-0142"
consumer_report = true

[applicant]
name = "Ana María Pérez"
address = ["4 Elm Street", "Boulder, CO 80301"]

[creditor]
name = "First Example Bank"
address = ["1 Main Street", "Denver, CO 80202"]

[federal_agency]
name = "Federal Deposit Insurance Corporation"
address = ["1100 Walnut Street, Box #11", "Kansas City, MO 64106"]

[reporting_agency]
name = "Example Credit Bureau"
address = ["P.O. Box 1000", "Chester, PA 19016"]
phone = "(800) 555-0100"

[credit_score]
record = "output/score/approve"
low = "0"
high = "1"
source = "First Example Bank"
"#;

/// Makes a notice on 20 November 2026.
pub(super) fn make(
    kind: &str,
    language: &str,
    format: Format,
    data: &str,
    told: &[Told],
) -> Result<Notice, NoticeError> {
    let kind = Kind::find(kind).unwrap();
    let data = Data::parse(data.as_bytes())?;
    let date = Date::parse("2026-11-20").unwrap();
    let request = Request { kind: &kind, language, format, date, row: None, data: &data, told };
    render(&Templates::default(), &request)
}

pub(super) fn html(told: &[Told], data: &str) -> Result<String, NoticeError> {
    let notice = make("adverse-action", "en", Format::Html, data, told)?;
    Ok(String::from_utf8(notice.bytes).unwrap())
}

/// The items of the numbered list.
fn reasons(html: &str) -> Vec<String> {
    let list = html.split("<ol>").nth(1).unwrap().split("</ol>").next().unwrap();
    let items = list.split("<li dir=\"auto\">").skip(1);
    items.map(|item| item.split("</li>").next().unwrap().to_owned()).collect()
}

#[test]
fn every_kind_that_comes_along_can_be_read_and_has_its_templates() {
    let kinds = Kind::all();
    assert_eq!(kinds.len(), super::kind::FILES.len());
    let mut count = 0;
    for kind in &kinds {
        for language in &kind.languages {
            Templates::default().find(kind, language).unwrap();
            count += 1;
        }
        for pack in &kind.packs {
            assert!(ledgerstone::pack::Pack::built_in(pack).is_some(), "{pack}");
        }
    }
    assert_eq!(count + 1, Templates::built_in().len(), "one style, and no template that no kind names");
    assert_eq!(Kind::find("ai-explanation").unwrap().languages, ["en", "de", "fr", "es"]);
}

#[test]
fn the_four_reasons_that_weighed_most_are_given_and_none_in_favor() {
    let notice = make("adverse-action", "en", Format::Html, DATA, &story()).unwrap();
    assert_eq!((notice.reasons, notice.reasons_left_out), (4, 1));
    let html = String::from_utf8(notice.bytes).unwrap();
    assert_eq!(
        reasons(&html),
        [
            "Excessive obligations in relation to income",
            "Income insufficient for amount of credit requested",
            "Length of residence",
            "Number of recent inquiries"
        ]
    );
    assert!(html.contains("these principal reasons, the ones that weighed most"));
    assert!(!html.contains("delinquent"), "a reason in favor is none for a denial");
}

#[test]
fn high_scores_that_deny_turn_the_side_round() {
    let mut own = denial(&[]);
    let fields: Vec<(String, Value)> =
        own.record.fields().iter().map(|f| (f.path.to_string(), f.value.clone())).collect();
    let fields: Vec<(&str, Value)> = fields
        .iter()
        .map(|(path, value)| match path.as_str() {
            "output/score/approve" => ("output/score/approve", Value::Float(0.7)),
            path => (path, value.clone()),
        })
        .collect();
    own = told(EntryKind::Decision, 0, &fields);
    let page = html(&[own, explanation(DAY, &REASONS)], DATA).unwrap();
    assert_eq!(reasons(&page), ["No delinquent past obligations"]);
    // The caller's word stands over what score and threshold seem to say.
    let page = html(&story(), &format!("against = \"up\"\n{DATA}")).unwrap();
    assert_eq!(reasons(&page), ["No delinquent past obligations"]);
}

#[test]
fn contributions_whose_side_nobody_says_are_refused() {
    let own = told(
        EntryKind::Decision,
        0,
        &[
            ("decision/id", Value::from("d")),
            ("outcome/action", Value::from("deny")),
            ("outcome/adverse", Value::Bool(true)),
            ("output/score/approve", Value::Float(1.0)),
        ],
    );
    let story = [own, explanation(DAY, &REASONS)];
    assert!(matches!(html(&story, DATA), Err(NoticeError::Side)));
    assert!(html(&story, &format!("against = \"down\"\n{DATA}")).is_ok());
    assert!(matches!(html(&story, &format!("against = \"left\"\n{DATA}")), Err(NoticeError::Data { .. })));
}

#[test]
fn reasons_without_weights_keep_the_order_of_the_record() {
    let plain = |texts: &[&str]| {
        let paths: Vec<String> = (0..texts.len()).map(|n| format!("explanation/reason/[{n}]/text")).collect();
        let mut fields = vec![("explanation/method", Value::from("by hand"))];
        fields.extend(paths.iter().zip(texts).map(|(path, text)| (path.as_str(), Value::from(*text))));
        told(EntryKind::Explanation, DAY, &fields)
    };
    let page = html(&[denial(&[]), plain(&["too short a history", "no income", "no income"])], DATA).unwrap();
    assert_eq!(reasons(&page), ["too short a history", "no income"], "the same reason is given once");
    // The newest explanation stands, the whole of it.
    let page = html(&[denial(&[]), plain(&["first", "second"]), plain(&["third"])], DATA).unwrap();
    assert_eq!(reasons(&page), ["third"]);
}

#[test]
fn reasons_that_the_rule_calls_insufficient_are_refused() {
    for text in [
        "Failed to achieve a qualifying score",
        "You failed to achieve a  QUALIFYING\tscore on our credit scoring system",
        "Our internal standards were not met",
        "Internal policies",
        "Credit score too low",
        "No alcanzó la puntuación mínima",
        "---",
    ] {
        let story = [denial(&[]), explanation(DAY, &[(text, -1.0), ("Length of employment", -2.0)])];
        let refused = html(&story, DATA).unwrap_err();
        assert!(
            matches!(&refused, NoticeError::Insufficient { reasons } if reasons.len() == 1),
            "{text}: {refused}"
        );
    }
    // One that is not shown because four others weighed more does no harm.
    let mut many = REASONS.to_vec();
    many.push(("Failed to achieve a qualifying score", -0.01));
    assert!(html(&[denial(&[]), explanation(DAY, &many)], DATA).is_ok());
}

#[test]
fn a_reason_with_a_code_only_needs_words() {
    let coded = told(
        EntryKind::Explanation,
        DAY,
        &[
            ("explanation/method", Value::from("by hand")),
            ("explanation/reason/[0]/code", Value::from("R7")),
            ("explanation/reason/[1]/feature", Value::from("income")),
            ("explanation/reason/[1]/contribution", Value::Float(-1.0)),
            ("explanation/reason/[2]/text", Value::from("Length of employment")),
        ],
    );
    let story = [denial(&[]), coded];
    let refused = html(&story, DATA).unwrap_err().to_string();
    assert!(refused.contains("R7; income"), "{refused}");
    let words = "[reason_texts]\nR7 = \"Bankruptcy\"\nincome = \"Income insufficient\"\n";
    let page = html(&story, &format!("{DATA}\n{words}\"Length of employment\" = \"Antigüedad\"")).unwrap();
    assert_eq!(reasons(&page), ["Bankruptcy", "Income insufficient", "Antigüedad (Length of employment)"]);
    // Words of the caller cannot make an insufficient reason out of a good one, or the other way round.
    let page = html(&story, &format!("{DATA}\n[reason_texts]\nR7 = \"internal policy\"\nincome = \"x\""));
    assert!(matches!(page, Err(NoticeError::Insufficient { .. })));
}

#[test]
fn a_reason_that_only_its_digest_or_its_weight_tells_is_not_left_out_in_silence() {
    for (path, value) in [
        ("explanation/reason/[1]/text/digest", Value::Bytes(vec![1; 32])),
        ("explanation/reason/[1]/contribution", Value::Float(-9.0)),
    ] {
        let fields = [("explanation/reason/[0]/text", Value::from("no income")), (path, value)];
        let refused = html(&[denial(&fields)], DATA).unwrap_err();
        assert!(matches!(&refused, NoticeError::Wordless { reasons } if reasons == &["[1]"]), "{refused}");
    }
}

#[test]
fn everything_that_lacks_is_named_at_once() {
    let own = told(EntryKind::Decision, 0, &[("outcome/adverse", Value::Bool(true))]);
    let refused = html(&[own], "consumer_report = true").unwrap_err();
    let NoticeError::Lacks { missing } = &refused else { panic!("{refused}") };
    let names: Vec<&str> = missing.iter().map(|lacking| lacking.name.as_str()).collect();
    for name in [
        "decision.id",
        "reasons",
        "data.applicant.name",
        "data.creditor.address",
        "data.federal_agency.name",
        "data.reporting_agency.phone",
        "score.value",
    ] {
        assert!(names.contains(&name), "{name}: {refused}");
    }
    let text = refused.to_string();
    assert!(text.contains("add an explanation entry") && text.contains("data file"), "{text}");
    // Whether a consumer report was used has to be said.
    let silent = DATA.replace("consumer_report = true\n", "");
    assert!(html(&story(), &silent).unwrap_err().to_string().contains("data.consumer_report"));
    // Where none was, none of it is asked for or printed.
    let none = "consumer_report = false\n".to_owned() + DATA.split("consumer_report = true").nth(1).unwrap();
    let none = none.split("[reporting_agency]").next().unwrap();
    let page = html(&story(), none).unwrap();
    assert!(!page.contains("credit score") && page.contains("Federal Equal Credit Opportunity Act"));
}

#[test]
fn a_notice_is_made_only_about_a_decision_that_it_is_for() {
    let approved = told(
        EntryKind::Decision,
        0,
        &[("decision/id", Value::from("d")), ("outcome/adverse", Value::Bool(false))],
    );
    let refused = html(&[approved.clone(), explanation(1, &REASONS)], DATA).unwrap_err();
    assert!(matches!(refused, NoticeError::Decision { .. }), "{refused}");
    assert!(matches!(html(&[], DATA), Err(NoticeError::Decision { .. })));
    // An outcome that was set later counts.
    let outcome = |adverse| {
        told(
            EntryKind::Outcome,
            DAY,
            &[("outcome/action", Value::from("deny")), ("outcome/adverse", Value::Bool(adverse))],
        )
    };
    let of = |more: Told| {
        let own = told(
            EntryKind::Decision,
            0,
            &[
                ("decision/id", Value::from("d")),
                ("outcome/adverse", Value::Bool(false)),
                ("output/score/approve", Value::Float(0.1)),
            ],
        );
        html(&[own, more, explanation(DAY, &[("Length of employment", f64::NAN)])], DATA)
    };
    assert!(of(outcome(true)).is_ok());
    assert!(of(outcome(false)).is_err());
    let unreviewed = make("clinician-override", "en", Format::Html, "", &[approved]);
    assert!(matches!(unreviewed, Err(NoticeError::Decision { .. })));
}

#[test]
fn in_a_call_about_several_people_each_has_a_notice_of_its_own() {
    let mut fields = vec![("decision/id".to_owned(), Value::from("d"))];
    for (row, (adverse, text)) in
        [(true, "no income"), (false, ""), (true, "too short a history")].into_iter().enumerate()
    {
        fields.push((format!("outcome/action/[{row}]"), Value::from("deny")));
        fields.push((format!("outcome/adverse/[{row}]"), Value::Bool(adverse)));
        fields.push((format!("output/score/approve/[{row}]"), Value::Float(0.25 * row as f64)));
        fields.push((format!("input/feature/income/[{row}]"), Value::from(row as u64)));
        if adverse {
            fields.push((format!("explanation/reason/[0]/text/[{row}]"), Value::from(text)));
        }
    }
    let fields: Vec<(&str, Value)> =
        fields.iter().map(|(path, value)| (path.as_str(), value.clone())).collect();
    let story = [told(EntryKind::Decision, 0, &fields)];
    let of = |row| {
        let (kind, data) = (Kind::find("adverse-action").unwrap(), Data::parse(DATA.as_bytes()).unwrap());
        let date = Date::parse("2026-11-20").unwrap();
        let request = Request {
            kind: &kind,
            language: "en",
            format: Format::Html,
            date,
            row,
            data: &data,
            told: &story,
        };
        render(&Templates::default(), &request).map(|notice| String::from_utf8(notice.bytes).unwrap())
    };
    assert_eq!(reasons(&of(Some(0)).unwrap()), ["no income"]);
    let third = of(Some(2)).unwrap();
    assert_eq!(reasons(&third), ["too short a history"]);
    assert!(third.contains(">0.5<"), "the score of that row: {third}");
    assert!(matches!(of(Some(1)), Err(NoticeError::Decision { .. })), "it was not against the second one");
    for row in [None, Some(3)] {
        let refused = of(row).unwrap_err();
        assert!(matches!(refused, NoticeError::Row { rows: 3 }), "{refused}");
    }
}

#[test]
fn a_score_comes_from_the_record_and_never_from_the_caller() {
    let with = |line: &str| html(&story(), &DATA.replace("record = \"output/score/approve\"", line));
    assert!(with("record = \"output/score/approve\"").unwrap().contains(">0.31<"));
    assert!(with("record = \"input/feature/income\"").unwrap().contains(">2750.5<"));
    for wrong in ["record = \"decision/id\"", "record = \"output score\"", "value = \"812\""] {
        assert!(matches!(with(wrong), Err(NoticeError::Data { .. })), "{wrong}");
    }
    let unknown = with("record = \"output/score/other\"").unwrap_err().to_string();
    assert!(unknown.contains("score.value"), "{unknown}");
    let five = "record = \"output/score/approve\"\nfactors = [\"a\", \"b\", \"c\", \"d\", \"e\"]";
    assert!(matches!(with(five), Err(NoticeError::Data { .. })), "at most four key factors");
    let own = "record = \"output/score/approve\"\nfactors = [\"Too few accounts\"]\ninquiries = true\ndate = \"2026-11-02\"";
    let page = with(own).unwrap();
    assert!(
        page.contains("Too few accounts")
            && page.contains("recent inquiries on")
            && page.contains("November 2, 2026")
    );
}

#[test]
fn the_same_record_template_data_and_day_give_the_same_bytes() {
    for format in [Format::Html, Format::Pdf] {
        let made = || make("adverse-action", "en", format, DATA, &story()).unwrap();
        let (one, two) = (made(), made());
        assert_eq!(one.bytes, two.bytes);
        assert_eq!(one.digest, two.digest);
        assert!(one.template_version.starts_with("adverse-action/en "));
        let other = make("adverse-action", "en", format, &DATA.replace("4 Elm", "5 Elm"), &story()).unwrap();
        assert_ne!(one.digest, other.digest);
        assert_eq!(one.template_version, other.template_version);
    }
}

#[test]
fn says_days_and_numbers_as_the_reader_does() {
    let date = Date::parse("2026-03-01").unwrap();
    for (language, paper, day, number) in [
        ("en", super::Paper::Letter, "March 1, 2026", "0.5"),
        ("en", super::Paper::A4, "1 March 2026", "0.5"),
        ("de-AT", super::Paper::A4, "1. März 2026", "0,5"),
        ("fr", super::Paper::A4, "1er mars 2026", "0,5"),
        ("es", super::Paper::A4, "1 de marzo de 2026", "0,5"),
        ("es", super::Paper::Letter, "1 de marzo de 2026", "0.5"),
        ("pl", super::Paper::A4, "2026-03-01", "0.5"),
    ] {
        let words = super::words::Words::new(language, paper);
        assert_eq!((words.day(date), words.number(0.5)), (day.to_owned(), number.to_owned()), "{language}");
    }
}
