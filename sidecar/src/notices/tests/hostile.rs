//! Text that would be something else, in every field of the record and of the data.

use ledgerstone::entry::Kind as EntryKind;
use ledgerstone::limits::NOTICE_DATA_BYTES_MAX;
use ledgerstone::record::Value;

use super::super::document::Document;
use super::super::{Data, Format, Kind, NoticeError, Told};
use super::{DATA, DAY, denial, html, make, story, told};

/// What ends an element, an attribute, a style, a template's block, a PDF string or object.
const MARKUP: &str = "</li></p></style><script>alert(1)</script><img src=x onerror=alert(1)>\"'&lt;&#x3c;{{ data }}{% for %}{# ) Tj ET endobj";

fn replaced(told: &Told, with: &str) -> Told {
    let fields: Vec<(String, Value)> = told
        .record
        .fields()
        .iter()
        .map(|field| {
            let is_text = matches!(field.value, Value::Text(_)) && field.path.as_str() != "outcome/action";
            (field.path.to_string(), if is_text { Value::from(with) } else { field.value.clone() })
        })
        .collect();
    let fields: Vec<(&str, Value)> =
        fields.iter().map(|(path, value)| (path.as_str(), value.clone())).collect();
    super::told(told.kind, 0, &fields)
}

/// The tags of a page; its own style has none.
fn tags(html: &str) -> Vec<String> {
    html.split('<').skip(1).map(|tag| tag.split('>').next().unwrap().to_owned()).collect()
}

#[test]
fn markup_in_the_record_stays_text() {
    let story: Vec<Told> = story().iter().map(|told| replaced(told, MARKUP)).collect();
    let hostile = html(&story, DATA).unwrap();
    let calm: Vec<Told> = super::story().iter().map(|told| replaced(told, "calm words")).collect();
    assert_eq!(tags(&hostile), tags(&html(&calm, DATA).unwrap()));
    assert!(hostile.contains("&lt;script&gt;alert(1)"));
    // A name of a feature is text of the record, too.
    let named = denial(&[("input/feature/%3Cscript%3E", Value::from(MARKUP))]);
    let told = [named, super::explanation(DAY, &super::REASONS)];
    let data = "contact = \"x\"\nrole_of_technology = \"x\"\ndata_categories = [\"x\"]\ndata_sources = [\"x\"]\n\
                [person]\nname = \"x\"\naddress = [\"x\"]\n[deployer]\nname = \"x\"\naddress = [\"x\"]\n";
    let notice = make("admt-disclosure", "en", Format::Html, data, &told).unwrap();
    let page = String::from_utf8(notice.bytes).unwrap();
    assert!(page.contains("&lt;script&gt;") && !page.contains("<script"), "{page}");
}

#[test]
fn markup_in_every_text_of_the_data_stays_text() {
    let mut lines = 0;
    let calm = tags(&html(&story(), DATA).unwrap());
    for line in DATA.lines().filter(|line| line.contains('"') && !line.starts_with("record")) {
        let quoted = line.split('"').nth(1).unwrap();
        let data = DATA.replacen(&format!("\"{quoted}\""), &format!("'''{MARKUP}'''"), 1);
        let page = html(&story(), &data).unwrap();
        assert_eq!(tags(&page), calm, "{line}");
        assert!(page.contains("&lt;script&gt;alert(1)"), "{line}");
        lines += 1;
    }
    assert!(lines > 10);
}

#[test]
fn what_is_hidden_in_the_record_becomes_a_mark() {
    for (hidden, mark) in [
        ("\u{202e}", "[U+202E]"),
        ("\u{0}", "[U+0000]"),
        ("\u{200b}", "[U+200B]"),
        ("\u{1b}[2J", "[U+001B][2J"),
        ("\u{2066}", "[U+2066]"),
        ("\u{e0041}", "[U+E0041]"),
    ] {
        let text = format!("too {hidden}much debt");
        let told = [denial(&[]), super::explanation(DAY, &[(&text, -1.0)])];
        let page = html(&told, DATA).unwrap();
        assert!(page.contains(&format!("too {mark}much debt")), "{mark}");
        assert!(!page.contains(hidden));
    }
    let lines = [denial(&[]), super::explanation(DAY, &[("two\nlines", -1.0)])];
    assert!(html(&lines, DATA).unwrap().contains("two lines"));
}

#[test]
fn what_is_hidden_in_the_data_is_refused_with_its_key() {
    for hidden in ["\\u202e", "\\u0000", "\\u200b", "\\n", "\\t", "\\u2028", "\\ufeff"] {
        let data = DATA.replace("4 Elm Street", &format!("4 Elm{hidden} Street"));
        let refused = html(&story(), &data).unwrap_err().to_string();
        assert!(refused.contains("applicant.address.0"), "{hidden}: {refused}");
        assert!(!refused.contains("Elm"), "an error may stand in a log: {refused}");
    }
}

#[test]
fn data_that_cannot_be_printed_is_refused() {
    for (data, key) in [
        ("a = \"\"", "a is empty"),
        ("a = \"  \"", "a is empty"),
        ("a = []", "a is empty"),
        ("a = 1.5", "as text"),
        ("a = 2026-11-18", "as text"),
        ("a = { b = { c = { d = { e = 1 } } } }", "too deep"),
        ("a = ", "line"),
        ("a = 1\na = 2", "duplicate"),
    ] {
        let refused = Data::parse(data.as_bytes()).unwrap_err().to_string();
        assert!(refused.contains(key), "{data}: {refused}");
    }
    for broken in ["name = \"Ana\" x", "name = \"Ana\"\nname = \"Ana\"", "name = \"Ana", "name = Ana"] {
        let refused = Data::parse(broken.as_bytes()).unwrap_err().to_string();
        assert!(refused.contains("line") && !refused.contains("Ana"), "{broken}: {refused}");
    }
    assert!(matches!(Data::parse(&[0xff]), Err(NoticeError::Data { .. })));
    assert!(matches!(Data::parse(&vec![b' '; NOTICE_DATA_BYTES_MAX + 1]), Err(NoticeError::DataBytes)));
    assert!(!format!("{:?}", Data::parse(DATA.as_bytes()).unwrap()).contains("Ana"));
}

#[test]
fn the_page_forbids_whatever_is_not_its_own() {
    let page = html(&story(), DATA).unwrap();
    assert!(page.contains("default-src 'none'"));
    let style = page.split("<style>").nth(1).unwrap().split("</style>").next().unwrap();
    let digest =
        ledgerstone::encoding::base64_encode(ledgerstone::hash::Hash::of(style.as_bytes()).as_bytes());
    assert!(page.contains(&format!("style-src 'sha256-{digest}'")));
    assert!(!page.contains("http:") && !page.contains("src=") && !page.contains("href="));
}

/// A history with so many features of 40 kB.
fn essays(count: usize) -> Vec<Told> {
    let essay = "word ".repeat(8_000);
    let paths: Vec<String> = (0..count).map(|n| format!("input/feature/essay{n}")).collect();
    let fields: Vec<(&str, Value)> =
        paths.iter().map(|path| (path.as_str(), Value::from(essay.as_str()))).collect();
    vec![denial(&fields), super::explanation(DAY, &super::REASONS)]
}

#[test]
fn a_longer_text_is_refused_and_not_cut() {
    let data = super::goldens::data("ai-explanation");
    let made = |count, format| make("ai-explanation", "en", format, &data, &essays(count));
    assert!(made(1, Format::Html).is_ok() && made(1, Format::Pdf).is_ok());
    assert!(matches!(made(30, Format::Html), Err(NoticeError::Document { .. })));
    assert!(made(8, Format::Html).is_ok());
    assert!(matches!(made(8, Format::Pdf), Err(NoticeError::TooLong)), "more than forty pages");
}

#[test]
fn what_was_too_long_to_be_recorded_is_named_by_its_digest() {
    let own = denial(&[
        ("input/feature/essay/digest", Value::Bytes(vec![0xab; 32])),
        ("input/feature/essay/length", Value::from(9_u64)),
    ]);
    let data = super::goldens::data("ai-explanation");
    let notice =
        make("ai-explanation", "en", Format::Html, &data, &[own, super::explanation(DAY, &super::REASONS)]);
    let page = String::from_utf8(notice.unwrap().bytes).unwrap();
    assert!(page.contains(&format!("essay</th><td dir=\"auto\">SHA-256 {}", "ab".repeat(32))), "{page}");
}

#[test]
fn every_kind_survives_hostile_text_in_its_record() {
    for kind in Kind::all() {
        let hostile: Vec<Told> = super::goldens::told(&kind.name)
            .iter()
            .map(|told| if told.kind == EntryKind::Review { told.clone() } else { replaced(told, MARKUP) })
            .collect();
        for language in &kind.languages {
            let data = super::goldens::data(&kind.name);
            let notice = make(&kind.name, language, Format::Html, &data, &hostile).unwrap();
            let page = String::from_utf8(notice.bytes).unwrap();
            assert!(!page.contains("<script") && !page.contains("<img"), "{}", kind.name);
            make(&kind.name, language, Format::Pdf, &data, &hostile).unwrap();
        }
    }
    assert!(Document::parse(MARKUP).is_err());
    assert!(matches!(
        told(EntryKind::Decision, 0, &[("decision/id", Value::from("x"))]).kind,
        EntryKind::Decision
    ));
}
