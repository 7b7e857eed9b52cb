//! One notice of each kind in each language, as HTML and as the text of its PDF.
//!
//! `UPDATE_GOLDEN=1 cargo test -p ledgerstone-sidecar --lib notices` rewrites the files; read the diff before you commit it.

use std::fs;
use std::path::PathBuf;

use ledgerstone::entry::Kind as EntryKind;
use ledgerstone::record::Value;

use super::super::{Format, Kind, Told};
use super::pages::pdftotext;
use super::{DATA, DAY, DECIDED, denial, explanation, make};

/// A history of which that kind of notice can be made.
pub(super) fn told(kind: &str) -> Vec<Told> {
    match kind {
        "pre-use-nyc" | "pre-use-illinois" => Vec::new(),
        "ai-explanation" => {
            let more = super::told(
                EntryKind::Explanation,
                DAY,
                &[
                    ("explanation/method", Value::from("by hand")),
                    (
                        "explanation/reason/[0]/text",
                        Value::from("Excessive obligations in relation to income"),
                    ),
                    ("explanation/reason/[1]/text", Value::from("Short employment")),
                    (
                        "explanation/counterfactual/[0]",
                        Value::from("With a debt ratio below 0.4 the loan would have been granted."),
                    ),
                ],
            );
            vec![denial(&[]), more, review("loan officer", "confirm", "income could not be proved")]
        }
        "clinician-override" => {
            let own = super::told(
                EntryKind::Decision,
                0,
                &[
                    ("decision/id", Value::from("01a1ee56-5e02-7000-8000-000000000003")),
                    ("time/decided", Value::from(DECIDED.get())),
                    ("model/name", Value::from("sepsis-alert")),
                    ("outcome/action", Value::from("triage")),
                ],
            );
            vec![
                own,
                review("attending physician", "override", "The infection was ruled out by a blood culture."),
            ]
        }
        _ => vec![denial(&[]), explanation(DAY, &super::REASONS)],
    }
}

fn review(role: &str, action: &str, reason: &str) -> Told {
    super::told(
        EntryKind::Review,
        DAY,
        &[
            ("review/[0]/reviewer", Value::from("u-17")),
            ("review/[0]/role", Value::from(role)),
            ("review/[0]/action", Value::from(action)),
            ("review/[0]/reason", Value::from(reason)),
            ("review/[0]/at", Value::from(DECIDED.get() + DAY)),
        ],
    )
}

/// What a caller says for that kind.
pub(super) fn data(kind: &str) -> String {
    const PERSON: &str =
        "[person]\nname = \"Ana María Pérez\"\naddress = [\"4 Elm Street\", \"Boulder, CO 80301\"]\n";
    let rest = match kind {
        "adverse-action" => return DATA.to_owned(),
        "admt-disclosure" => {
            r#"contact = "privacy@first.example, (303) 555-0142"
role_of_technology = "A model computed a score from the application. A loan officer decided, and followed the score."
data_categories = ["Financial information", "Housing"]
data_sources = ["Your application", "Example Credit Bureau"]
[feature_names]
income = "Monthly income"
"debt ratio" = "Debt in relation to income"
first_home = "First home"
[deployer]
name = "First Example Bank"
address = ["1 Main Street", "Denver, CO 80202"]
"#
        }
        "ai-explanation" => {
            r#"contact = "datenschutz@bank.example, +49 30 555 0142"
role_of_ai = "The system computed a score; a clerk decided and could depart from it."
procedure = "A forest of decision trees weighed income, debt and housing. A score below 0.5 leads to a refusal."
[feature_names]
income = "Income"
[controller]
name = "Beispielbank AG"
address = ["Hauptstraße 1", "10115 Berlin"]
"#
        }
        "pre-use-nyc" => {
            r#"contact = "jobs@employer.example"
tool = "Résumé ranking 2.1"
position = "Claims adjuster"
use_from = "December 7, 2026"
characteristics = ["Years of experience", "Licenses held"]
data_sources = ["Your résumé", "Your application form"]
data_retention = "4 years"
[employer]
name = "Example Insurance"
address = ["5 Broadway", "New York, NY 10004"]
"#
        }
        "pre-use-illinois" => {
            r#"contact = "jobs@employer.example"
tool = "Résumé ranking 2.1"
purpose = "To order applications by how well they fit the position"
decisions = ["Recruitment", "Hiring"]
positions = ["Claims adjuster"]
data_collected = ["Résumé", "Application form"]
[employer]
name = "Example Insurance"
address = ["5 Wacker Drive", "Chicago, IL 60606"]
"#
        }
        "clinician-override" => {
            r#"contact = "(303) 555-0199"
recommendation = "Treat for sepsis within the hour"
clinician = "Dr. Lee"
[patient]
name = "Ana María Pérez"
[provider]
name = "Example Hospital"
address = ["9 Hill Road", "Denver, CO 80202"]
"#
        }
        other => panic!("{other}"),
    };
    format!("{rest}{PERSON}")
}

fn compare(name: &str, text: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/notices").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, text).unwrap();
    }
    let known = fs::read_to_string(&path).unwrap_or_default();
    assert!(known == text, "{name} has changed:\n{text}");
}

#[test]
fn notices_of_every_kind_and_language_are_as_they_were() {
    for kind in Kind::all() {
        for language in &kind.languages {
            let (told, data) = (told(&kind.name), data(&kind.name));
            let html = make(&kind.name, language, Format::Html, &data, &told).unwrap();
            compare(&format!("{}.{language}.html", kind.name), &String::from_utf8(html.bytes).unwrap());
            let pdf = make(&kind.name, language, Format::Pdf, &data, &told).unwrap();
            let Some(text) = pdftotext(&pdf.bytes) else { continue };
            // How far columns are set apart is the reader's business, and differs between its versions.
            let lines = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
            let lines: Vec<String> =
                lines.filter(|line| !line.is_empty()).map(|line| line.replace(" / ", "/")).collect();
            compare(&format!("{}.{language}.txt", kind.name), &(lines.join("\n") + "\n"));
        }
    }
}
