//! What templates may print, and whose templates are taken.

use std::fs;

use ledgerstone::time::Date;

use super::super::document::{Block, Document, DocumentError, Span, plain};
use super::super::{Data, Format, Kind, NoticeError, Request, Templates, render};
use super::{DATA, story};

fn parse(body: &str) -> Result<Document, DocumentError> {
    Document::parse(&format!("<h1>T</h1>\n{body}"))
}

#[test]
fn reads_the_blocks_that_there_are() {
    let document = parse(
        "<p> a  b\n c&amp;&lt;&#x2f;&#39; </p><address>x <br> y<br>z</address>\
         <ul><li>one</li> <li><strong>two</strong> and</li></ul><table><tr><th>n</th><td>v</td></tr></table>",
    )
    .unwrap();
    let [_, paragraph, address, list, facts] = document.blocks.as_slice() else { panic!("{document:?}") };
    assert!(matches!(paragraph, Block::Paragraph(line) if plain(line) == "a b c&</'"));
    assert!(matches!(address, Block::Address(line) if plain(line) == "x y z"));
    let Block::List { is_numbered: false, items } = list else { panic!("{list:?}") };
    let strong = Span::Text { text: "two".to_owned(), is_strong: true };
    assert_eq!(items[1], [strong, Span::Text { text: " and".to_owned(), is_strong: false }]);
    assert!(matches!(facts, Block::Facts(rows) if rows.len() == 1));
    assert_eq!(document.title(), "T");
}

#[test]
fn refuses_every_other_element_and_every_attribute() {
    for body in [
        "<script>x</script>",
        "<p onclick=x>a</p>",
        "<p >a</p>",
        "<P>a</P>",
        "<p>a<img></p>",
        "<a href=x>a</a>",
        "<style>a</style>",
        "<!-- a -->",
        "<p>a</h2>",
        "<p>a",
        "<p",
        "<",
        "</p>",
        "<p>a<p>b</p></p>",
        "<ul><p>a</p></ul>",
        "<table><tr><td>a</td><th>b</th></tr></table>",
        "<table><tr><th>a</th></tr></table>",
        "<table><tr><th>a</th><td>b</td><td>c</td></tr></table>",
        "<p>a<strong>b</p></strong>",
        "<p><strong><strong>a</strong></strong></p>",
        "<br>",
        "<li>a</li>",
        "<p\u{0}>a</p>",
    ] {
        assert!(matches!(parse(body), Err(DocumentError::Tag { .. })), "{body:?}: {:?}", parse(body));
    }
    for body in ["a", "<p>a</p>b", "<ul>a</ul>", "<table><tr>a</tr></table>"] {
        assert!(matches!(parse(body), Err(DocumentError::LooseText { .. })), "{body:?}");
    }
    for body in [
        "<p>a & b</p>",
        "<p>&copy;</p>",
        "<p>&#xZ;</p>",
        "<p>&#;</p>",
        "<p>&#x110000;</p>",
        "<p>&#+5;</p>",
        "<p>&amp</p>",
    ] {
        assert!(matches!(parse(body), Err(DocumentError::Reference { .. })), "{body:?}");
    }
    for body in ["<p></p>", "<p> <br> </p>", "<ul></ul>", "<table></table>", "<ol><li>&#32;</li></ol>"] {
        assert!(matches!(parse(body), Err(DocumentError::Empty { .. })), "{body:?}: {:?}", parse(body));
    }
    for body in ["<p>a\u{202e}b</p>", "<p>a&#x202e;b</p>", "<p>a\u{0}b</p>", "<p>&#8203;a</p>"] {
        assert!(matches!(parse(body), Err(DocumentError::Hidden { .. })), "{body:?}");
    }
}

#[test]
fn a_notice_has_one_title_at_its_beginning_and_a_bounded_size() {
    for text in ["", "<p>a</p>", "<p>a</p><h1>t</h1>", "<h1>t</h1><h1>t</h1>", "<h2>t</h2>"] {
        assert_eq!(Document::parse(text), Err(DocumentError::Title), "{text:?}");
    }
    assert_eq!(parse(&"<p>a</p>".repeat(5000)), Err(DocumentError::TooLong));
    assert_eq!(parse(&" ".repeat(2 << 20)), Err(DocumentError::TooLong));
}

/// A folder of templates with one file in it.
fn folder(name: &str, text: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
    folder
}

fn with(folder: &tempfile::TempDir, language: &str) -> Result<String, NoticeError> {
    let (kind, data) = (Kind::find("adverse-action").unwrap(), Data::parse(DATA.as_bytes()).unwrap());
    let date = Date::parse("2026-11-20").unwrap();
    let told = story();
    let request =
        Request { kind: &kind, language, format: Format::Html, date, row: None, data: &data, told: &told };
    let templates = Templates::new(Some(folder.path().to_owned()));
    render(&templates, &request).map(|notice| String::from_utf8(notice.bytes).unwrap())
}

fn built_in() -> &'static str {
    Templates::built_in().iter().find(|(name, _)| *name == "adverse-action/en.html").unwrap().1
}

#[test]
fn a_template_of_the_operator_stands_in_the_place_of_the_one_that_comes_along() {
    let changed = built_in().replace("Dear", "Good day");
    assert!(with(&folder("adverse-action/en.html", &changed), "en").unwrap().contains("Good day Ana"));
    // Another language is a file more.
    assert!(with(&folder("adverse-action/vi.html", &changed), "vi").unwrap().contains("<html lang=\"vi\">"));
    let unknown = with(&folder("adverse-action/vi.html", &changed), "pl").unwrap_err().to_string();
    assert!(unknown.contains("there are en, es"), "{unknown}");
    for language in ["../en", "", "e", "en/x", "en\0", "toolonglanguage"] {
        assert!(
            matches!(with(&folder("x", ""), language), Err(NoticeError::Language { .. })),
            "{language:?}"
        );
    }
    let styled = with(&folder("style.css", "p { color: green }"), "en").unwrap();
    assert!(styled.contains("<style>p { color: green }</style>"));
    let escaping = with(&folder("style.css", "</style><script>"), "en");
    assert!(matches!(escaping, Err(NoticeError::Malformed { .. })));
    let gone = Templates::new(Some("/nowhere".into())).find(&Kind::find("adverse-action").unwrap(), "en");
    assert!(
        matches!(gone, Err(NoticeError::Unreadable { .. })),
        "a folder that is not there is no empty one"
    );
    let long = with(&folder("adverse-action/en.html", &" ".repeat(70_000)), "en");
    assert!(matches!(long, Err(NoticeError::TemplateBytes { .. })));
    let binary = folder("x", "");
    fs::create_dir_all(binary.path().join("adverse-action")).unwrap();
    fs::write(binary.path().join("adverse-action/en.html"), [0xff, 0xfe]).unwrap();
    assert!(matches!(with(&binary, "en"), Err(NoticeError::Malformed { .. })));
}

#[test]
fn a_template_that_leaves_out_what_must_be_shown_is_refused() {
    for (cut, name) in [
        (
            "{% for reason in reasons %}<li>{{ reason.said }}{% if reason.recorded %} ({{ reason.recorded }}){% endif %}</li>{% endfor %}",
            "reasons",
        ),
        ("{{ data.federal_agency.name }}", "data.federal_agency.name"),
        ("{{ decision.id }}", "decision.id"),
        ("{{ data.reporting_agency.phone }}", "data.reporting_agency.phone"),
    ] {
        assert!(built_in().contains(cut), "{cut}");
        let text = built_in().replace(cut, if cut.contains("<li>") { "<li>x</li>" } else { "x" });
        let refused = with(&folder("adverse-action/en.html", &text), "en").unwrap_err();
        assert!(
            matches!(&refused, NoticeError::LeftOut { names, .. } if names.iter().any(|one| one == name)),
            "{name}: {refused}"
        );
    }
}

#[test]
fn a_template_that_asks_for_what_is_not_there_is_refused_with_all_of_it() {
    let text = built_in().replace("Dear ", "{{ data.salutation }} {{ decision.amount }} ");
    let refused = with(&folder("adverse-action/en.html", &text), "en").unwrap_err().to_string();
    assert!(
        refused.contains("line")
            && refused.contains("data.salutation")
            && refused.contains("decision.amount"),
        "{refused}"
    );
    for (text, what) in [
        ("{{ x", "syntax"),
        ("{{ data.applicant.name|safe }}", "filter"),
        ("{% include 'x' %}", ""),
        ("{{ range(9) }}", ""),
        (
            "{% for a in reasons %}{% for b in reasons %}<p>{{ a.nothing }}</p>{% endfor %}{% endfor %}",
            "undefined",
        ),
    ] {
        let refused =
            with(&folder("adverse-action/en.html", &format!("<h1>x</h1>{text}")), "en").unwrap_err();
        assert!(matches!(refused, NoticeError::Template { .. }), "{text}: {refused}");
        assert!(refused.to_string().contains(what), "{refused}");
    }
    let loops = "{% for a in features %}".repeat(12) + "x" + &"{% endfor %}".repeat(12);
    let endless = format!("<h1>x</h1><p>{loops}</p>");
    assert!(with(&folder("adverse-action/en.html", &endless), "en").is_err(), "3^12 turns end at the limit");
}
