//! Kinds of notices: which rule one is of, which decisions it is for, and what it must show.

use serde::Deserialize;

/// What the first key of a kind says.
const FORMAT: &str = "ledgerstone-notice/v1";

/// The kinds that come along, by name.
pub(super) const FILES: [(&str, &str); 6] = [
    ("admt-disclosure", include_str!("../../notices/admt-disclosure/kind.toml")),
    ("adverse-action", include_str!("../../notices/adverse-action/kind.toml")),
    ("ai-explanation", include_str!("../../notices/ai-explanation/kind.toml")),
    ("clinician-override", include_str!("../../notices/clinician-override/kind.toml")),
    ("pre-use-illinois", include_str!("../../notices/pre-use-illinois/kind.toml")),
    ("pre-use-nyc", include_str!("../../notices/pre-use-nyc/kind.toml")),
];

/// A kind of notice.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kind {
    /// What the command line calls it.
    #[serde(skip)]
    pub name: String,
    format: String,
    /// What it is, for a person.
    pub title: String,
    /// What the log calls it: `notice/[n]/kind`.
    pub entry: String,
    /// The packs that ask for it.
    pub packs: Vec<String>,
    /// The rules, as lawyers cite them.
    pub sources: Vec<String>,
    /// Which decisions it is for.
    pub about: About,
    /// The languages that come along.
    pub languages: Vec<String>,
    /// What it is printed on.
    pub paper: Paper,
    /// What must be there.
    pub needs: Vec<String>,
    /// What must be there and be found in the notice.
    pub shows: Vec<String>,
    /// What must be there and be found in the notice if something else is there.
    #[serde(default)]
    pub when: Vec<When>,
    /// What reasons it shows.
    pub reasons: Option<ReasonsRule>,
}

/// Which decisions a notice is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum About {
    /// Those against the person.
    Adverse,
    /// Any that the model answered.
    Any,
    /// Those that a person reviewed.
    Reviewed,
    /// It comes before the decision.
    None,
}

/// The size of its pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Paper {
    /// ISO 216, 210 mm by 297 mm.
    A4,
    /// ANSI A, 8.5 inches by 11.
    Letter,
}

/// What a notice must show if something is there.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct When {
    /// What is there, and not `false`.
    pub given: String,
    /// What must be shown.
    pub shows: Vec<String>,
}

/// What reasons a notice shows.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReasonsRule {
    /// At most so many, those that weighed most.
    pub most: usize,
    /// Only those against the person.
    pub only_against: bool,
    /// Words in a reason that make it insufficient, in small letters.
    pub insufficient: Vec<String>,
}

impl Kind {
    /// Every kind, by name.
    #[must_use]
    pub fn all() -> Vec<Self> {
        FILES.iter().filter_map(|(name, text)| Self::read(name, text)).collect()
    }

    /// The kind of that name.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        FILES.iter().find(|(known, _)| *known == name).and_then(|(name, text)| Self::read(name, text))
    }

    fn read(name: &str, text: &str) -> Option<Self> {
        let kind: Self = toml::from_str(text).ok()?;
        (kind.format == FORMAT).then(|| Self { name: name.to_owned(), ..kind })
    }
}
