//! Forms: which fields an entry that adds to a decision may and must have, by its kind.
//!
//! Guarantees: fields that pass are paths of the kind's own part of the vocabulary, of the right shape, and complete: each
//! review names who, what and when, each notice which and when. Does not do: saying which kinds a decision needs; the
//! packs do.

use super::{Shape, find};
use crate::code::Code;
use crate::record::{FieldPath, Value};

/// What an entry of one kind holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Form {
    /// The entry's kind as a word, which is also the first segment of its paths.
    pub kind: &'static str,
    /// First segments beside that one.
    also: &'static [&'static str],
    /// Paths that must be there. One with `[n]` must be there for every place of the list that occurs.
    required: &'static [&'static str],
}

/// The forms, in the order of the kinds' numbers.
pub const FORMS: [Form; 6] = [
    Form { kind: "outcome", also: &[], required: &["outcome/action"] },
    Form { kind: "explanation", also: &[], required: &["explanation/method"] },
    Form {
        kind: "review",
        also: &[],
        required: &["review/[n]/reviewer", "review/[n]/action", "review/[n]/at"],
    },
    Form { kind: "notice", also: &[], required: &["notice/[n]/kind", "notice/[n]/delivered_at"] },
    Form { kind: "contest", also: &["opt_out"], required: &["contest/[n]/received_at"] },
    Form { kind: "correction", also: &[], required: &[] },
];

/// Paths whose text is one of a few words.
const WORDS: [(&str, &[&str]); 2] = [
    ("outcome/action", &["approve", "deny", "refer", "counteroffer", "rank", "triage", "score"]),
    ("review/[n]/action", &["confirm", "override", "stop"]),
];

/// Why fields do not make an entry of a kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FormError {
    /// There are none.
    #[error("no field: {kind} entries have fields such as {kind}/...")]
    Empty {
        /// The kind.
        kind: &'static str,
    },
    /// A path that the kind does not have.
    #[error("{path} is no field of {kind} entries; docs/history.md lists them")]
    Foreign {
        /// The kind.
        kind: &'static str,
        /// The path.
        path: FieldPath,
    },
    /// A value of another shape.
    #[error("the value of {path} is not {shape}")]
    Shape {
        /// The path.
        path: FieldPath,
        /// What it should be.
        shape: Shape,
    },
    /// A word that is none of those that may stand there.
    #[error("the value of {path} is none of {}", words.join(", "))]
    Word {
        /// The path.
        path: FieldPath,
        /// The words.
        words: &'static [&'static str],
    },
    /// A path that must be there is not.
    #[error("{path} is missing: {kind} entries always have it")]
    Missing {
        /// The kind.
        kind: &'static str,
        /// The path.
        path: String,
    },
    /// A list without one of its places.
    #[error("the list {list} has no [{place}]: count its places from 0, leaving none out")]
    Place {
        /// The list.
        list: &'static str,
        /// The first place that is missing.
        place: usize,
    },
}

impl FormError {
    /// What the reader must do next.
    #[must_use]
    pub const fn code(&self) -> Code {
        Code::Misuse
    }
}

impl Form {
    /// The form of entries of this kind; `None` if the kind adds nothing to a decision.
    #[must_use]
    pub fn of(kind: &str) -> Option<&'static Self> {
        FORMS.iter().find(|form| form.kind == kind)
    }

    /// Checks the fields of an entry of this kind.
    ///
    /// # Errors
    /// [`FormError`], the first reason found.
    pub fn check(&self, fields: &[(FieldPath, Value)]) -> Result<(), FormError> {
        let own = |path: &FieldPath| {
            path.segments().next().is_some_and(|root| root == self.kind || self.also.contains(&root))
        };
        if fields.is_empty() {
            return Err(FormError::Empty { kind: self.kind });
        }
        for (path, value) in fields {
            let spec = find(path).filter(|_| own(path));
            let spec = spec.ok_or_else(|| FormError::Foreign { kind: self.kind, path: path.clone() })?;
            if !spec.shape.admits(value) {
                return Err(FormError::Shape { path: path.clone(), shape: spec.shape });
            }
            check_word(path, spec.pattern, value)?;
        }
        let places = self.places(fields)?;
        let missing = |path: String| FormError::Missing { kind: self.kind, path };
        for pattern in self.required {
            if !pattern.contains("[n]") {
                let is_there = fields.iter().any(|(path, _)| path_or_row(path, pattern));
                is_there.then_some(()).ok_or_else(|| missing((*pattern).to_owned()))?;
            }
            for place in 0..if pattern.contains("[n]") { places } else { 0 } {
                let wanted = pattern.replace("[n]", &format!("[{place}]"));
                let is_there = fields.iter().any(|(path, _)| path.as_str() == wanted);
                is_there.then_some(()).ok_or_else(|| missing(wanted))?;
            }
        }
        Ok(())
    }

    /// How many places the kind's own list has; 0 if it is none.
    fn places(&self, fields: &[(FieldPath, Value)]) -> Result<usize, FormError> {
        let place = |path: &FieldPath| -> Option<usize> {
            let mut segments = path.segments();
            segments.next().filter(|root| *root == self.kind)?;
            segments.next()?.strip_prefix('[')?.strip_suffix(']')?.parse().ok()
        };
        let mut places: Vec<usize> = fields.iter().filter_map(|(path, _)| place(path)).collect();
        places.sort_unstable();
        places.dedup();
        match places.iter().enumerate().find(|(at, place)| at != *place) {
            Some((at, _)) => Err(FormError::Place { list: self.kind, place: at }),
            None => Ok(places.len()),
        }
    }
}

/// Whether `path` is `wanted`, or one row of it in a record about several people.
fn path_or_row(path: &FieldPath, wanted: &str) -> bool {
    let rest = path.as_str().strip_prefix(wanted);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("/["))
}

fn check_word(path: &FieldPath, pattern: &str, value: &Value) -> Result<(), FormError> {
    let pattern =
        pattern.strip_suffix("action/[n]").map_or(pattern.to_owned(), |list| format!("{list}action"));
    let words = WORDS.iter().find(|(of, _)| *of == pattern).map(|(_, words)| *words);
    match (words, value) {
        (Some(words), Value::Text(text)) if !words.contains(&text.as_str()) => {
            Err(FormError::Word { path: path.clone(), words })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::ROOTS;
    use super::*;

    fn fields(texts: &[(&str, Value)]) -> Vec<(FieldPath, Value)> {
        texts.iter().map(|(path, value)| (FieldPath::parse(path).unwrap(), value.clone())).collect()
    }

    fn check(kind: &str, texts: &[(&str, Value)]) -> Result<(), String> {
        Form::of(kind).unwrap().check(&fields(texts)).map_err(|error| error.to_string())
    }

    fn review() -> Vec<(&'static str, Value)> {
        vec![
            ("review/[0]/reviewer", "u-17".into()),
            ("review/[0]/action", "override".into()),
            ("review/[0]/at", Value::Int(1_795_000_000_000)),
        ]
    }

    #[test]
    fn every_form_names_paths_of_the_vocabulary() {
        for form in FORMS {
            assert!(ROOTS.contains(&form.kind));
            assert!(form.also.iter().all(|root| ROOTS.contains(root)));
            for path in form.required {
                assert!(super::super::PATHS.iter().any(|spec| spec.pattern == *path), "{path}");
            }
        }
        for (path, _) in WORDS {
            assert!(super::super::PATHS.iter().any(|spec| spec.pattern == path), "{path}");
        }
    }

    #[test]
    fn takes_what_is_complete() {
        assert_eq!(
            check("outcome", &[("outcome/action", "deny".into()), ("outcome/adverse", true.into())]),
            Ok(())
        );
        assert_eq!(check("outcome", &[("outcome/action/[0]", "deny".into())]), Ok(()));
        assert_eq!(check("review", &review()), Ok(()));
        assert_eq!(check("contest", &[("opt_out", true.into())]), Ok(()));
        assert_eq!(check("correction", &[("correction/[0]/income", "corrected".into())]), Ok(()));
        assert_eq!(check("explanation", &[("explanation/method", Value::Null)]), Ok(()));
    }

    #[test]
    fn a_second_reviewer_is_as_complete_as_the_first() {
        let mut two = review();
        two.extend([("review/[1]/reviewer", "u-18".into()), ("review/[1]/action", "confirm".into())]);
        let refused = "review/[1]/at is missing: review entries always have it";
        assert_eq!(check("review", &two), Err(refused.to_owned()));
        two.push(("review/[1]/at", Value::Int(1)));
        assert_eq!(check("review", &two), Ok(()));
    }

    #[test]
    fn refuses_what_is_not_the_kinds_own() {
        let foreign =
            |kind, texts: &[(&str, Value)]| check(kind, texts).unwrap_err().contains("is no field of");
        assert!(foreign(
            "outcome",
            &[("outcome/action", "deny".into()), ("review/[0]/reviewer", "u".into())]
        ));
        assert!(foreign("outcome", &[("outcome/actions", "deny".into())]));
        assert!(foreign("review", &[("decision/subject", "u".into())]));
        assert!(foreign("correction", &[("correction/income", "u".into())]));
    }

    #[test]
    fn refuses_wrong_shapes_words_gaps_and_nothing() {
        let error = |kind, texts: &[(&str, Value)]| check(kind, texts).unwrap_err();
        assert!(error("outcome", &[("outcome/action", "denied".into())]).contains("none of approve, deny"));
        assert!(error("outcome", &[("outcome/action/[3]", "no".into())]).contains("none of approve, deny"));
        assert!(error("outcome", &[("outcome/adverse", "yes".into())]).contains("is not true or false"));
        assert!(error("outcome", &[("outcome/adverse", true.into())]).contains("outcome/action is missing"));
        assert!(error("outcome", &[]).contains("no field"));
        let gap = [("contest/[1]/received_at", Value::Int(1))];
        assert!(error("contest", &gap).contains("the list contest has no [0]"));
        assert_eq!(Form::of("decision"), None);
        assert_eq!(Form::of("erasure"), None);
    }
}
