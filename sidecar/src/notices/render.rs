//! From facts and template to a notice.

use std::collections::BTreeMap;

use ledgerstone::hash::Hash;
use ledgerstone::limits::NOTICE_FUEL;
use minijinja::value::{Serde, Value};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior};
use serde_json::Value as Json;

use super::document::Document;
use super::{Lacking, Notice, NoticeError, Request, Template, Templates, facts, write};

/// Makes a notice.
pub(super) fn notice(templates: &Templates, request: &Request<'_>) -> Result<Notice, NoticeError> {
    let template = templates.find(request.kind, request.language)?;
    let facts = facts::gather(request)?;
    let (reasons, reasons_left_out) = (facts.reasons.len(), facts.reasons_left_out);
    let facts = serde_json::to_value(&facts).map_err(|error| NoticeError::Template {
        template: template.name.clone(),
        what: error.to_string(),
    })?;
    let shown = required(request, &facts)?;
    let document = print(&template, &facts)?;
    check_shown(&template, &document, &shown)?;
    let about = (request.language, request.kind.paper, request.date);
    let bytes = write(&document, request.format, about, &templates.style()?)?;
    let digest = Hash::of(&bytes);
    Ok(Notice { bytes, digest, template_version: template.version(), reasons, reasons_left_out })
}

/// A name with the texts that must be found in the notice.
struct Required {
    name: String,
    texts: Vec<String>,
}

/// What the notice must show; refused with the list of what is not there.
fn required(request: &Request<'_>, facts: &Json) -> Result<Vec<Required>, NoticeError> {
    let kind = request.kind;
    let mut missing: Vec<Lacking> = Vec::new();
    let mut shown = Vec::new();
    for name in &kind.needs {
        if look_up(facts, name).is_none() {
            missing.push(Lacking { name: name.clone() });
        }
    }
    let given = |name: &str| {
        look_up(facts, name).is_some_and(|value| *value != Json::Bool(false) && !texts(value).is_empty())
    };
    let conditional = kind.when.iter().filter(|when| given(&when.given)).flat_map(|when| &when.shows);
    for name in kind.shows.iter().chain(conditional) {
        let texts = look_up(facts, name).map(texts).unwrap_or_default();
        if texts.is_empty() {
            missing.push(Lacking { name: name.clone() });
        } else {
            shown.push(Required { name: name.clone(), texts });
        }
    }
    if missing.is_empty() { Ok(shown) } else { Err(NoticeError::Lacks { missing }) }
}

fn look_up<'a>(facts: &'a Json, name: &str) -> Option<&'a Json> {
    name.split('.').try_fold(facts, |value, part| value.get(part))
}

/// Every text of a value.
fn texts(value: &Json) -> Vec<String> {
    match value {
        Json::Null => Vec::new(),
        Json::Bool(truth) => vec![truth.to_string()],
        Json::Number(number) => vec![number.to_string()],
        Json::String(text) if text.trim().is_empty() => Vec::new(),
        Json::String(text) => vec![text.clone()],
        Json::Array(items) => items.iter().flat_map(texts).collect(),
        Json::Object(fields) => fields.values().flat_map(texts).collect(),
    }
}

/// Runs the template. It has no filters, functions or includes: what it is given, conditions and loops.
fn print(template: &Template, facts: &Json) -> Result<Document, NoticeError> {
    let mut environment = Environment::empty();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
    environment.set_formatter(|out, state, value| {
        if value.is_none() || value.is_undefined() {
            return Err(Error::new(ErrorKind::UndefinedError, "nothing to print"));
        }
        minijinja::escape_formatter(out, state, value)
    });
    environment.set_fuel(Some(NOTICE_FUEL));
    let wrong = |error: &Error| NoticeError::Template { template: template.name.clone(), what: said(error) };
    environment.add_template(&template.name, &template.text).map_err(|error| wrong(&error))?;
    let compiled = environment.get_template(&template.name).map_err(|error| wrong(&error))?;
    let printed = compiled.render(Value::from(Serde(facts))).map_err(|error| {
        let mut names: Vec<String> = compiled.undeclared_variables(true).into_iter().collect();
        names.retain(|name| look_up(facts, name).is_none());
        names.sort();
        match (error.kind(), names.is_empty()) {
            (ErrorKind::UndefinedError, false) => NoticeError::Template {
                template: template.name.clone(),
                what: format!("{}; of what it names there is no {}", said(&error), names.join(", ")),
            },
            _ => wrong(&error),
        }
    })?;
    let unreadable = |source| NoticeError::Document { template: template.name.clone(), source };
    Document::parse(&printed).map_err(unreadable)
}

fn said(error: &Error) -> String {
    let line = error.line().map_or(String::new(), |line| format!("line {line}: "));
    let detail = error.detail().map_or(String::new(), |detail| format!(": {detail}"));
    format!("{line}{}{detail}", error.kind())
}

/// A template that leaves out what must be shown is refused. What two of them say must be found twice.
fn check_shown(template: &Template, document: &Document, shown: &[Required]) -> Result<(), NoticeError> {
    let text = spaced(&document.text());
    let mut wanted: BTreeMap<String, usize> = BTreeMap::new();
    for one in shown.iter().flat_map(|required| &required.texts) {
        *wanted.entry(spaced(one)).or_default() += 1;
    }
    wanted.retain(|one, times| text.matches(one.as_str()).count() < *times);
    let lacks = |required: &&Required| required.texts.iter().any(|one| wanted.contains_key(&spaced(one)));
    let names: Vec<String> = shown.iter().filter(lacks).map(|required| required.name.clone()).collect();
    if names.is_empty() {
        Ok(())
    } else {
        Err(NoticeError::LeftOut { template: template.name.clone(), names })
    }
}

/// A text with one space wherever it has white space, as documents have it.
fn spaced(text: &str) -> String {
    text.split_ascii_whitespace().collect::<Vec<_>>().join(" ")
}
