//! Templates: those that come along, and the operator's folder, whose files stand in their place.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use ledgerstone::hash::Hash;
use ledgerstone::limits::NOTICE_TEMPLATE_BYTES_MAX;

use super::{Kind, NoticeError};

macro_rules! files {
    ($($name:literal),+ $(,)?) => { [$(($name, include_str!(concat!("../../notices/", $name)))),+] };
}

/// The files that come along, as the folder would hold them.
const FILES: [(&str, &str); 15] = files![
    "admt-disclosure/en.html",
    "admt-disclosure/es.html",
    "adverse-action/en.html",
    "adverse-action/es.html",
    "ai-explanation/de.html",
    "ai-explanation/en.html",
    "ai-explanation/es.html",
    "ai-explanation/fr.html",
    "clinician-override/en.html",
    "clinician-override/es.html",
    "pre-use-illinois/en.html",
    "pre-use-illinois/es.html",
    "pre-use-nyc/en.html",
    "pre-use-nyc/es.html",
    "style.css",
];

/// How a notice in HTML looks.
const STYLE: &str = "style.css";

/// Where templates come from.
#[derive(Clone, Debug, Default)]
pub struct Templates {
    folder: Option<PathBuf>,
}

/// A template.
#[derive(Clone, Debug)]
pub struct Template {
    /// Kind and language, as in `adverse-action/en`.
    pub name: String,
    /// Its text.
    pub text: String,
}

impl Template {
    /// Name and SHA-256, as `notice/[n]/template_version` holds it.
    #[must_use]
    pub fn version(&self) -> String {
        format!("{} {}", self.name, Hash::of(self.text.as_bytes()))
    }
}

impl Templates {
    /// Those that come along, and `folder`, whose files stand in their place.
    #[must_use]
    pub const fn new(folder: Option<PathBuf>) -> Self {
        Self { folder }
    }

    /// The template of a kind in a language.
    ///
    /// # Errors
    /// [`NoticeError`] if there is none, or it cannot be read.
    pub fn find(&self, kind: &Kind, language: &str) -> Result<Template, NoticeError> {
        let name = format!("{}/{language}", kind.name);
        let known = is_language(language).then(|| self.text(&format!("{name}.html"))).transpose()?.flatten();
        match known {
            Some(text) => Ok(Template { name, text }),
            None => Err(NoticeError::Language {
                kind: kind.name.clone(),
                language: language.to_owned(),
                known: kind.languages.clone(),
            }),
        }
    }

    /// The style of notices in HTML.
    ///
    /// # Errors
    /// [`NoticeError`] if it cannot be read, or could end the element that it stands in.
    pub fn style(&self) -> Result<String, NoticeError> {
        let style = self.text(STYLE)?.unwrap_or_default();
        if style.contains('<') {
            let path = self.folder.clone().unwrap_or_default().join(STYLE);
            return Err(NoticeError::Malformed { path, what: "a style has no '<'".to_owned() });
        }
        Ok(style)
    }

    /// The files that come along, by their path in a folder of templates.
    #[must_use]
    pub const fn built_in() -> &'static [(&'static str, &'static str)] {
        &FILES
    }

    fn text(&self, name: &str) -> Result<Option<String>, NoticeError> {
        if let Some(folder) = &self.folder {
            let path = folder.join(name);
            match read(&path) {
                Ok(bytes) => return text(name, &path, bytes).map(Some),
                Err(source) if source.kind() == io::ErrorKind::NotFound && folder.is_dir() => {}
                Err(source) => return Err(NoticeError::Unreadable { path, source }),
            }
        }
        let known = FILES.iter().find(|(known, _)| *known == name);
        Ok(known.map(|(_, text)| (*text).to_owned()))
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // One byte past the limit is enough to be refused for its length.
    File::open(path)?.take(NOTICE_TEMPLATE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn text(name: &str, path: &Path, bytes: Vec<u8>) -> Result<String, NoticeError> {
    if bytes.len() > NOTICE_TEMPLATE_BYTES_MAX {
        return Err(NoticeError::TemplateBytes { template: name.to_owned() });
    }
    let not_text =
        |_| NoticeError::Malformed { path: path.to_owned(), what: "it is not UTF-8 text".to_owned() };
    String::from_utf8(bytes).map_err(not_text)
}

/// Whether it is a language, and no path: `de`, `de-AT`, `zh-Hant`.
fn is_language(text: &str) -> bool {
    let is_part =
        |part: &str| (2..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
    text.len() <= 20 && text.split('-').all(is_part)
}
