//! Distinguished names as text for people (RFC 4514).
//!
//! Guarantees: nothing in a name can break a line or a terminal. Does not do: compare names; two are equal where their
//! bytes are.

use core::fmt::Write as _;

use der::Tag;

use super::der::{Fields, Malformed};
use crate::encoding::hex_encode;

/// Short names of attributes: RFC 4514, section 3, and those of authorities' certificates.
const ATTRIBUTES: &[(&str, &str)] = &[
    ("2.5.4.3", "CN"),
    ("2.5.4.5", "serialNumber"),
    ("2.5.4.6", "C"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.9", "STREET"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.97", "organizationIdentifier"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("0.9.2342.19200300.100.1.1", "UID"),
    ("1.2.840.113549.1.9.1", "emailAddress"),
];

/// The text of a Name, the most particular part first.
pub(super) fn text(name: &[u8]) -> String {
    parts(name).map_or_else(
        |_| format!("a name that cannot be read (#{})", hex_encode(name)),
        |mut parts| {
            parts.reverse();
            if parts.is_empty() { "the empty name".to_owned() } else { parts.join(",") }
        },
    )
}

fn parts(name: &[u8]) -> Result<Vec<String>, Malformed> {
    const PART: &str = "name";
    let mut sets = Fields::sequence_of(name, PART)?;
    let mut parts = Vec::new();
    while !sets.is_finished() {
        let mut set = Fields::of(sets.value(Tag::Set)?, PART)?;
        let mut values = Vec::new();
        while !set.is_finished() {
            let mut pair = set.sequence(PART)?;
            let attribute = pair.oid()?.to_string();
            let (tag, value) = pair.any()?;
            pair.end()?;
            let short = ATTRIBUTES.iter().find(|(known, _)| *known == attribute).map(|(_, short)| *short);
            values.push(format!("{}={}", short.unwrap_or(&attribute), value_text(tag, value)));
        }
        parts.push(values.join("+"));
    }
    Ok(parts)
}

/// A value with everything escaped that is a separator, a control character or can turn text around.
fn value_text(tag: Tag, value: &[u8]) -> String {
    let known = matches!(tag, Tag::Utf8String | Tag::PrintableString | Tag::Ia5String | Tag::NumericString);
    let Some(text) = std::str::from_utf8(value).ok().filter(|_| known) else {
        return format!("#{}", hex_encode(value));
    };
    escaped(text)
}

/// `text` with separators, control characters and characters that turn text around escaped.
pub(super) fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            ',' | '+' | '"' | '\\' | '<' | '>' | ';' => {
                safe.push('\\');
                safe.push(c);
            }
            _ if c.is_control() || is_format_character(c) => {
                for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                    let _ = write!(safe, "\\{byte:02X}");
                }
            }
            _ => safe.push(c),
        }
    }
    safe
}

const fn is_format_character(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_names_and_escapes_what_could_mislead() {
        let pair = |oid: &[u8], value: &str| {
            let oid = [&[6, u8::try_from(oid.len()).unwrap()], oid].concat();
            let value = [&[12, u8::try_from(value.len()).unwrap()], value.as_bytes()].concat();
            let pair = [&[0x30, u8::try_from(oid.len() + value.len()).unwrap()], &oid[..], &value].concat();
            [&[0x31, u8::try_from(pair.len()).unwrap()], &pair[..]].concat()
        };
        let sets = [pair(&[0x55, 4, 10], "A, \u{202e}B"), pair(&[0x55, 4, 3], "x\ny"), pair(&[0x2a, 3], "z")];
        let all = sets.concat();
        let name = [&[0x30, u8::try_from(all.len()).unwrap()], &all[..]].concat();
        assert_eq!(text(&name), r"1.2.3=z,CN=x\0Ay,O=A\, \E2\80\AEB");
        assert_eq!(text(&[0x30, 0]), "the empty name");
        assert_eq!(text(&[0x30, 1]), "a name that cannot be read (#3001)");
    }
}
