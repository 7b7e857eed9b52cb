//! Notices in PDF, read back by another program.

use std::io::Write as _;
use std::process::{Command, Stdio};

use super::super::{Format, Kind, NoticeError};
use super::{DATA, DAY, denial, explanation, make, story};

/// The text of a PDF as poppler reads it; none where it is missing and nobody insists.
pub(super) fn pdftotext(pdf: &[u8]) -> Option<String> {
    let child = Command::new("pdftotext")
        .args(["-layout", "-enc", "UTF-8", "-", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut child) = child else {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "pdftotext (poppler-utils) is missing");
        println!("skipped: pdftotext is missing");
        return None;
    };
    let mut input = child.stdin.take().unwrap();
    let bytes = pdf.to_vec();
    let writing = std::thread::spawn(move || input.write_all(&bytes));
    let output = child.wait_with_output().unwrap();
    writing.join().unwrap().unwrap();
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && complaints.is_empty(), "{complaints}");
    Some(String::from_utf8(output.stdout).unwrap())
}

fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn pdf(data: &str, reasons: &[(&str, f64)]) -> Result<Vec<u8>, NoticeError> {
    make("adverse-action", "en", Format::Pdf, data, &[denial(&[]), explanation(DAY, reasons)])
        .map(|notice| notice.bytes)
}

#[test]
fn the_text_of_a_pdf_is_that_of_the_page() {
    for kind in Kind::all() {
        for language in &kind.languages {
            let (told, data) = (super::goldens::told(&kind.name), super::goldens::data(&kind.name));
            let file = make(&kind.name, language, Format::Pdf, &data, &told).unwrap().bytes;
            assert!(file.starts_with(b"%PDF-1.7"));
            let Some(text) = pdftotext(&file) else { return };
            let text = words(&text);
            let page = make(&kind.name, language, Format::Html, &data, &told).unwrap().bytes;
            let page = String::from_utf8(page).unwrap();
            let body = page.split("<body>").nth(1).unwrap();
            let lines = body.split('<').filter_map(|part| part.split_once('>')).map(|(_, text)| text.trim());
            // Every word of every line, in its order; lines of tables are set beside each other.
            for line in lines.filter(|line| !line.is_empty()) {
                let line = line.replace("&#39;", "'").replace("&quot;", "\"").replace("&amp;", "&");
                let mut at = 0;
                for word in line.split(' ') {
                    let found = text[at..].find(word).map(|found| at + found).or_else(|| text.find(word));
                    let found =
                        found.unwrap_or_else(|| panic!("{} {language}: {word:?} of {line:?}", kind.name));
                    at = found + word.len();
                }
            }
        }
    }
}

#[test]
fn syntax_of_pdf_in_a_text_stays_text() {
    let hostile =
        ") Tj ET Q endstream endobj 1 0 obj << /OpenAction << /S /JavaScript /JS (app.alert(1)) >> >> \\) %";
    let file = pdf(DATA, &[(hostile, -1.0)]).unwrap();
    let shown = String::from_utf8_lossy(&file);
    assert!(!shown.contains("JavaScript") && !shown.contains("app.alert"));
    let calm = pdf(DATA, &[("calm words", -1.0)]).unwrap();
    let objects = |file: &[u8]| String::from_utf8_lossy(file).matches(" 0 obj").count();
    assert!(objects(&file) < objects(&calm) + 8, "more lines are more marked pieces, and nothing else");
    let Some(text) = pdftotext(&file) else { return };
    assert!(words(&text).contains("/JS (app.alert(1)) >> >> \\) %"), "{text}");
    // The title of the file is no text of the record.
    let titled =
        make("adverse-action", "en", Format::Pdf, &DATA.replace("First Example Bank", "B) /JS (x"), &story());
    let Some(text) = pdftotext(&titled.unwrap().bytes) else { return };
    assert!(text.contains("B) /JS (x"));
}

#[test]
fn letters_that_the_fonts_lack_are_refused_and_named() {
    for (name, is_there) in [
        ("Łukasz Žižka-Ångström", true),
        ("Δημήτρης Παπαδόπουλος", true),
        ("Наталья Ёлкина", true),
        ("Nguyễn Thị Hồng", true),
        ("山田太郎", false),
        ("محمد", false),
        ("Ana 😀", false),
    ] {
        let data = DATA.replace("Ana María Pérez", name);
        let made = pdf(&data, &[("Length of employment", -1.0)]);
        match (made, is_there) {
            (Ok(file), true) => {
                let Some(text) = pdftotext(&file) else { return };
                assert!(text.contains(name), "{name}: {text}");
            }
            (Err(NoticeError::Letters { letters }), false) => {
                assert!(letters.chars().all(|letter| name.contains(letter)), "{letters}");
            }
            (made, _) => panic!("{name}: {:?}", made.map(|file| file.len())),
        }
        let page = make("adverse-action", "en", Format::Html, &data, &story()).unwrap();
        assert!(String::from_utf8(page.bytes).unwrap().contains(name), "HTML takes every letter");
    }
}

#[test]
fn long_words_and_many_pages_stay_within_the_margins() {
    let long = format!("{} {}", "w".repeat(400), "many words of one reason ".repeat(300));
    let file = pdf(DATA, &[(&long, -1.0)]).unwrap();
    let Some(text) = pdftotext(&file) else { return };
    let pages = text.matches('\u{c}').count();
    assert!(pages > 2, "{pages}");
    for page in 1..=pages {
        assert!(text.replace(' ', "").contains(&format!("{page}/{pages}\n")), "page {page}");
    }
    let letters = text.chars().filter(|letter| *letter == 'w').count();
    assert!(letters >= 400 + 300, "no letter is lost: {letters}");
    // What is set outside of the page is not read by a program that crops to it.
    let cropped = Command::new("pdftotext")
        .args(["-layout", "-x", "60", "-y", "0", "-W", "492", "-H", "792", "-", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let mut child = cropped.unwrap();
    child.stdin.take().unwrap().write_all(&file).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(words(&String::from_utf8(output.stdout).unwrap()), words(&text));
}
