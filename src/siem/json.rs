//! Objects as JSON (RFC 8259), written in one pass.
//!
//! Guarantees: one line; every string is escaped here and nowhere else, and what steers a terminal leaves as its escape.

use core::fmt::Write as _;

use super::attribute::{Attribute, Value, push_uint};

/// An object being written, or an array of objects.
pub(super) struct Json<'a> {
    out: &'a mut String,
    is_first: bool,
}

impl<'a> Json<'a> {
    /// Writes one object to `out`.
    pub(super) fn object(out: &'a mut String, write: impl FnOnce(&mut Json<'_>)) {
        out.push('{');
        write(&mut Json { out, is_first: true });
        out.push('}');
    }

    /// An object within the object.
    pub(super) fn within(&mut self, key: &str, write: impl FnOnce(&mut Json<'_>)) {
        self.key(key);
        Json::object(self.out, write);
    }

    /// An array of one object.
    pub(super) fn one_of(&mut self, key: &str, write: impl FnOnce(&mut Json<'_>)) {
        self.key(key);
        self.out.push('[');
        Json::object(self.out, write);
        self.out.push(']');
    }

    /// An array of objects, one for each of `items`.
    pub(super) fn each<T>(&mut self, key: &str, items: &[T], write: impl Fn(&mut Json<'_>, &T)) {
        self.key(key);
        self.out.push('[');
        for (place, item) in items.iter().enumerate() {
            if place > 0 {
                self.out.push(',');
            }
            Json::object(self.out, |json| write(json, item));
        }
        self.out.push(']');
    }

    /// An array of strings.
    pub(super) fn texts(&mut self, key: &str, texts: &[&str]) {
        self.key(key);
        self.out.push('[');
        for (place, text) in texts.iter().enumerate() {
            if place > 0 {
                self.out.push(',');
            }
            string(text, self.out);
        }
        self.out.push(']');
    }

    /// A string.
    pub(super) fn text(&mut self, key: &str, text: &str) {
        self.key(key);
        string(text, self.out);
    }

    /// What `write` writes, as a string; it must write nothing that would need an escape.
    pub(super) fn plain(&mut self, key: &str, write: impl FnOnce(&mut String)) {
        self.key(key);
        self.out.push('"');
        write(self.out);
        self.out.push('"');
    }

    /// A number.
    pub(super) fn uint(&mut self, key: &str, value: u64) {
        self.key(key);
        push_uint(value, self.out);
    }

    /// A truth.
    pub(super) fn bool(&mut self, key: &str, value: bool) {
        self.key(key);
        self.out.push_str(if value { "true" } else { "false" });
    }

    /// A value of an event.
    pub(super) fn value(&mut self, key: &str, value: &Value) {
        match value {
            Value::Uint(value) => self.uint(key, *value),
            Value::Bool(value) => self.bool(key, *value),
            Value::Word(word) => self.text(key, word),
            Value::Text(text) => self.text(key, text.as_str()),
            Value::Hash(_) | Value::Uuid(_) | Value::Indices(_) => self.plain(key, |out| value.write(out)),
        }
    }

    /// The value where there is one.
    pub(super) fn some(&mut self, key: &str, value: Option<&Value>) {
        if let Some(value) = value {
            self.value(key, value);
        }
    }

    /// All attributes under their own names.
    pub(super) fn attributes(&mut self, attributes: &[Attribute]) {
        let mut key = String::with_capacity(32);
        for attribute in attributes {
            key.clear();
            attribute.name.write(&mut key);
            self.value(&key, &attribute.value);
        }
    }

    fn key(&mut self, key: &str) {
        if !self.is_first {
            self.out.push(',');
        }
        self.is_first = false;
        string(key, self.out);
        self.out.push(':');
    }
}

/// Adds `text` as a JSON string.
pub(super) fn string(text: &str, out: &mut String) {
    out.push('"');
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\')) {
        out.push_str(text);
    } else {
        for letter in text.chars() {
            match letter {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                // Control characters are below U+00A0, so four digits are enough. Writing to a string cannot fail.
                _ if letter.is_control() => _ = write!(out, "\\u{:04x}", u32::from(letter)),
                _ => out.push(letter),
            }
        }
    }
    out.push('"');
}
