//! Events as lines: CEF, LEEF 2.0 and messages of RFC 5424.

use super::super::rfc5424::SD_ID;
use super::{Fields, FoundError};

/// Names of a CEF header's fields, as its specification calls them.
const CEF_HEADER: [&str; 7] = [
    "Version",
    "Device Vendor",
    "Device Product",
    "Device Version",
    "Device Event Class ID",
    "Name",
    "Severity",
];

/// Names of a LEEF 2.0 header's fields.
const LEEF_HEADER: [&str; 6] = ["Version", "Vendor", "Product", "Product version", "EventID", "Delimiter"];

/// The fields of a CEF event; header fields have names with capitals, which no key has.
pub(super) fn cef(line: &str) -> Result<Fields, FoundError> {
    let mut fields = Fields::new();
    let mut rest = line.strip_prefix("CEF:").ok_or(FoundError::Cef)?;
    for name in CEF_HEADER {
        let end = unescaped(rest, '|').next().ok_or(FoundError::Cef)?;
        let (field, after) = rest.split_at(end);
        fields.insert(name.to_owned(), plain(field)?);
        rest = after.get(1..).unwrap_or_default();
    }
    // A key is the word before an equals sign that is not escaped; its value goes to the blank before the next key.
    let signs: Vec<usize> = unescaped(rest, '=').collect();
    let keys: Vec<(usize, usize)> = signs
        .iter()
        .map(|sign| (rest.get(..*sign).and_then(|before| before.rfind(' ')).map_or(0, |at| at + 1), *sign))
        .collect();
    for (place, (start, sign)) in keys.iter().enumerate() {
        let end = keys.get(place + 1).map_or(rest.len(), |(next, _)| next.saturating_sub(1));
        let (Some(key), Some(value)) = (rest.get(*start..*sign), rest.get(sign + 1..end)) else {
            return Err(FoundError::Cef);
        };
        if key.is_empty() || fields.insert(key.to_owned(), plain(value)?).is_some() {
            return Err(FoundError::Cef);
        }
    }
    Ok(fields)
}

/// Places of `wanted` that no backslash stands before.
fn unescaped(text: &str, wanted: char) -> impl Iterator<Item = usize> + '_ {
    let mut is_escaped = false;
    text.char_indices().filter_map(move |(at, letter)| {
        let is_plain = !core::mem::replace(&mut is_escaped, false);
        if is_plain && letter == '\\' {
            is_escaped = true;
        }
        (is_plain && letter == wanted).then_some(at)
    })
}

/// A text without its escapes.
fn plain(text: &str) -> Result<String, FoundError> {
    let mut plain = String::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => match letters.next() {
                Some('n') => plain.push('\n'),
                Some('r') => plain.push('\r'),
                Some(escaped @ ('\\' | '|' | '=')) => plain.push(escaped),
                _ => return Err(FoundError::Cef),
            },
            _ => plain.push(letter),
        }
    }
    Ok(plain)
}

/// The fields of a LEEF 2.0 event with a tab between attributes.
pub(super) fn leef(line: &str) -> Result<Fields, FoundError> {
    let mut parts = line.strip_prefix("LEEF:").ok_or(FoundError::Leef)?.splitn(LEEF_HEADER.len() + 1, '|');
    let mut fields = Fields::new();
    for name in LEEF_HEADER {
        fields.insert(name.to_owned(), parts.next().ok_or(FoundError::Leef)?.to_owned());
    }
    for attribute in parts.next().ok_or(FoundError::Leef)?.split('\t').filter(|text| !text.is_empty()) {
        let (key, value) = attribute.split_once('=').ok_or(FoundError::Leef)?;
        if fields.insert(key.to_owned(), value.to_owned()).is_some() {
            return Err(FoundError::Leef);
        }
    }
    Ok(fields)
}

/// A message of RFC 5424: header, our element of the structured data, and MSG.
pub(super) struct Message {
    pub(super) fields: Fields,
    pub(super) body: String,
}

/// Names of the header's parts behind PRI and VERSION.
const SYSLOG_HEADER: [&str; 5] = ["timestamp", "hostname", "app-name", "procid", "msgid"];

/// Reads a message of RFC 5424; none if it is one of another syslog, or not of ours.
pub(super) fn syslog(line: &str) -> Option<Result<Message, FoundError>> {
    let (pri, rest) = line.strip_prefix('<')?.split_once('>')?;
    let mut rest = rest.strip_prefix("1 ")?;
    let mut fields = Fields::from([("pri".to_owned(), pri.to_owned())]);
    for name in SYSLOG_HEADER {
        let (part, after) = rest.split_once(' ')?;
        fields.insert(name.to_owned(), part.to_owned());
        rest = after;
    }
    // Without structured data of its own, whatever the message says: another application's.
    if !rest.starts_with('[') || !rest.contains(SD_ID) {
        return None;
    }
    Some(structured_data(rest, &mut fields).map(|body| Message { fields, body }))
}

/// Reads the elements, takes the parameters of ours, and gives back MSG.
fn structured_data(text: &str, fields: &mut Fields) -> Result<String, FoundError> {
    let mut rest = text;
    while let Some(element) = rest.strip_prefix('[') {
        let name_end = element.find([' ', ']']).ok_or(FoundError::Syslog)?;
        let (id, mut params) = element.split_at(name_end);
        while let Some(param) = params.strip_prefix(' ') {
            let (name, value) = param.split_once("=\"").ok_or(FoundError::Syslog)?;
            let end = unescaped(value, '"').next().ok_or(FoundError::Syslog)?;
            let (value, after) = value.split_at(end);
            params = after.get(1..).unwrap_or_default();
            if id == SD_ID && fields.insert(format!("sd.{name}"), param_value(value)).is_some() {
                return Err(FoundError::Syslog);
            }
        }
        rest = params.strip_prefix(']').ok_or(FoundError::Syslog)?;
    }
    // MSG stands behind a blank, or is not there.
    let body = if rest.is_empty() { rest } else { rest.strip_prefix(' ').ok_or(FoundError::Syslog)? };
    Ok(body.strip_prefix('\u{feff}').unwrap_or(body).to_owned())
}

/// A PARAM-VALUE without its escapes; a backslash before any other letter stands for itself (RFC 5424, section 6.3.3).
fn param_value(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letters.peek() {
            Some(next @ ('"' | '\\' | ']')) if letter == '\\' => {
                plain.push(*next);
                letters.next();
            }
            _ => plain.push(letter),
        }
    }
    plain
}
