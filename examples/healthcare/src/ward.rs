//! The ward: the sidecar's configuration for both models, and the ward's own requests.
//!
//! The sidecar sees the model server as it would see any other: nothing here knows that it is recorded.

use anyhow::Result;
use example_desk::client::{self, Answer};
use example_desk::desk::{self, quoted_lines};
use ledgerstone::proto::inference::ModelInferRequest;

use crate::biopsies::Biopsy;
use crate::notes::{self, Note};
use crate::{triage, tumour};

/// The request's parameter that says who it is about.
pub const PATIENT: &str = "patient";

/// The folder of the model of biopsies, in the run's folder.
pub const TUMOUR_MODEL: &str = "tumour-model";

/// The folder of the language model.
pub const TRIAGE_MODEL: &str = "triage-model";

/// What the ward keeps of one biopsy.
#[derive(Clone, Debug)]
pub struct Scored {
    /// The biopsy's number.
    pub case: u32,
    /// Whether it was malignant.
    pub malignant: bool,
    /// Whether the model calls it suspicious.
    pub suspicious: bool,
    /// What came back.
    pub answer: Answer,
}

/// A biopsy as a request.
///
/// # Errors
/// If it has more columns than the protocol can say.
pub fn biopsy_request(biopsy: &Biopsy) -> Result<ModelInferRequest> {
    let case = biopsy.case.to_string();
    let patient = format!("case-{case}");
    client::request(tumour::NAME, &case, &[(PATIENT, &patient)], tumour::INPUT, &biopsy.features)
}

/// What came back for a biopsy.
///
/// # Errors
/// If the answer has no probability.
pub fn scored(biopsy: &Biopsy, answer: Answer, threshold: f64) -> Result<Scored> {
    let suspicious = answer.value::<f64>(tumour::PROBABILITY)? >= threshold;
    Ok(Scored { case: biopsy.case, malignant: biopsy.malignant, suspicious, answer })
}

/// A triage note as a request.
///
/// # Errors
/// If it has more columns than the protocol can say.
pub fn note_request(note: &Note) -> Result<ModelInferRequest> {
    let number = note.patient.to_string();
    let patient = format!("patient-{number}");
    client::request(triage::NAME, &number, &[(PATIENT, &patient)], triage::PROMPT, &[notes::prompt(note)])
}

/// The sidecar's configuration file. Paths start from the folder that it lies in.
///
/// # Errors
/// If the committed metrics have no threshold.
pub fn configuration(columns: &[String], with_notes: bool) -> Result<String> {
    let names = quoted_lines(columns);
    let threshold = tumour::threshold()?;
    let common = format!(
        r#"{begins}# A language model on a busy processor takes its time.
request_timeout = "10m"

# Biopsies. A suspicious one is referred; not to be is what a patient may want explained.
[[route]]
name = "{tumour}"
match = {{ model = "{tumour}" }}
model = {{ folder = "{TUMOUR_MODEL}" }}
subject = {{ parameter = "{PATIENT}" }}
score = {{ tensor = "{probability}" }}
threshold = {{ value = {threshold}, above = "suspicious", below = "benign" }}
actions = {{ suspicious = "refer", benign = "triage" }}
adverse = ["benign"]
explanation = {{ tensor = "{contributions}", method = "treeshap" }}

[[route.features]]
tensor = "{input}"
names = [
{names}]
"#,
        begins = desk::configuration("healthcare"),
        tumour = tumour::NAME,
        probability = tumour::PROBABILITY,
        contributions = tumour::CONTRIBUTIONS,
        input = tumour::INPUT,
    );
    Ok(if with_notes { common + &notes_route() } else { common })
}

fn notes_route() -> String {
    format!(
        r#"
# Triage notes, read by a language model: Annex III, point 5(d) of the AI Act. What it makes nothing of, a person reads.
[[route]]
name = "{triage}"
match = {{ model = "{triage}" }}
model = {{ folder = "{TRIAGE_MODEL}" }}
use_case = "5d"
subject = {{ parameter = "{PATIENT}" }}
label = {{ tensor = "{label}", names = ["urgent", "routine", "review"] }}
actions = {{ urgent = "triage", routine = "triage", review = "refer" }}
adverse = ["routine"]

[[route.features]]
tensor = "{prompt}"
names = ["{prompt}"]
"#,
        triage = triage::NAME,
        label = triage::LABEL,
        prompt = triage::PROMPT,
    )
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use ledgerstone_sidecar::config::Config;

    use super::*;

    #[test]
    fn writes_a_configuration_that_the_sidecar_takes() {
        let model = tumour::load().unwrap();
        let routes = |with_notes| {
            let text = configuration(model.feature_names(), with_notes).unwrap();
            Config::from_toml(&text, Path::new("/run")).unwrap().routes
        };
        let (one, two) = (routes(false), routes(true));
        assert_eq!((one.len(), two.len()), (1, 2));
        assert_eq!(two[0].features[0].names, model.feature_names());
        assert_eq!(two[1].label.as_ref().unwrap().names, ["urgent", "routine", "review"]);
    }
}
