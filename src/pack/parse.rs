//! The parser of packs: TOML with the keys of `docs/packs.md` and no other.

use core::ops::Range;

use serde::Deserialize;
use toml::Spanned;

use super::{
    After, Certainty, CountsFrom, Erasing, Erasure, Kept, Obligation, PACK_FORMAT, Pack, PackError, PackRef,
    Period, Requirement, Retention, Source, Unchecked, When, is_name,
};
use crate::entry::Kind;
use crate::hash::Hash;
use crate::limits::{PACK_BYTES_MAX, PACK_ITEMS_MAX, PACK_TEXT_BYTES_MAX};
use crate::record::{PathPattern, schema};
use crate::time::Date;

type Text = Spanned<String>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: Text,
    name: Text,
    version: Spanned<u32>,
    as_of: Text,
    title: Text,
    jurisdiction: Text,
    in_force_from: Option<Text>,
    source: Vec<Spanned<SourceTable>>,
    #[serde(default)]
    requires: Vec<Spanned<RequiresTable>>,
    #[serde(default)]
    entry: Vec<Spanned<EntryTable>>,
    #[serde(default)]
    retention: Vec<Spanned<RetentionTable>>,
    erasure: Option<ErasureTable>,
    #[serde(default)]
    unchecked: Vec<Spanned<UncheckedTable>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SourceTable {
    id: Text,
    citation: Text,
    certainty: Certainty,
    seen: Option<Text>,
    remark: Option<Text>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RequiresTable {
    any: Spanned<Vec<Text>>,
    #[serde(default)]
    when: When,
    source: Text,
    rule: Text,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EntryTable {
    kind: Text,
    field: Option<Text>,
    #[serde(default)]
    is: Vec<Text>,
    after: After,
    within: Text,
    source: Text,
    rule: Text,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RetentionTable {
    of: Kept,
    keep: Text,
    from: CountsFrom,
    source: Text,
    rule: Text,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ErasureTable {
    is: Erasure,
    source: Text,
    rule: Text,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UncheckedTable {
    source: Text,
    rule: Text,
}

/// Reads a pack.
pub(super) fn pack(bytes: &[u8]) -> Result<Pack, PackError> {
    if bytes.len() > PACK_BYTES_MAX {
        return Err(PackError::TooLong { len: bytes.len() });
    }
    let text = core::str::from_utf8(bytes).map_err(|_| PackError::NotText)?;
    let reader = Reader { text };
    let file: File = toml::from_str(text).map_err(|error| reader.syntax(&error))?;
    if file.format.get_ref() != PACK_FORMAT {
        let rule = "write \"ledgerstone-pack/v1\", or use a build that knows this format";
        return Err(reader.value("format", &file.format, rule));
    }
    let sources = Sources { reader: &reader, list: reader.sources(&file.source)? };
    let pack = Pack {
        reference: reader.reference(&file, bytes)?,
        as_of: reader.date("as_of", &file.as_of)?,
        title: reader.words("title", &file.title)?,
        jurisdiction: reader.words("jurisdiction", &file.jurisdiction)?,
        in_force_from: file.in_force_from.map(|date| reader.date("in_force_from", &date)).transpose()?,
        requirements: reader.each("requires", &file.requires, |table| sources.requirement(table))?,
        obligations: reader.each("entry", &file.entry, |table| sources.obligation(table))?,
        retention: reader.each("retention", &file.retention, |table| sources.retention(table))?,
        erasure: file.erasure.as_ref().map(|table| sources.erasing(table)).transpose()?,
        unchecked: reader.each("unchecked", &file.unchecked, |table| sources.unchecked(table))?,
        sources: sources.list,
    };
    let is_empty = pack.requirements.is_empty()
        && pack.obligations.is_empty()
        && pack.retention.is_empty()
        && pack.erasure.is_none()
        && pack.unchecked.is_empty();
    if is_empty { Err(PackError::Empty) } else { Ok(pack) }
}

/// The text of a pack, for messages that name a line of it.
struct Reader<'a> {
    text: &'a str,
}

impl Reader<'_> {
    fn line(&self, span: Range<usize>) -> usize {
        self.text.bytes().take(span.start).filter(|byte| *byte == b'\n').count() + 1
    }

    fn syntax(&self, error: &toml::de::Error) -> PackError {
        let line = self.line(error.span().unwrap_or(0..0));
        PackError::Toml { line, problem: error.message().replace('\n', ": ") }
    }

    fn value(&self, key: &'static str, value: &Text, rule: &'static str) -> PackError {
        PackError::Value { line: self.line(value.span()), key, text: value.get_ref().clone(), rule }
    }

    /// Reads each table of a list.
    fn each<T, R>(
        &self,
        key: &'static str,
        tables: &[Spanned<T>],
        read: impl Fn(&T) -> Result<R, PackError>,
    ) -> Result<Vec<R>, PackError> {
        if let Some(surplus) = tables.get(PACK_ITEMS_MAX) {
            return Err(PackError::TooMany { line: self.line(surplus.span()), key });
        }
        tables.iter().map(|table| read(table.get_ref())).collect()
    }

    fn reference(&self, file: &File, bytes: &[u8]) -> Result<PackRef, PackError> {
        if !is_name(file.name.get_ref()) {
            let rule =
                "write 1 to 64 characters of a-z, 0-9 and '-', beginning and ending with a letter or digit";
            return Err(self.value("name", &file.name, rule));
        }
        if *file.version.get_ref() == 0 {
            let (line, text) = (self.line(file.version.span()), "0".to_owned());
            let rule = "count versions from 1, and raise the number with every change";
            return Err(PackError::Value { line, key: "version", text, rule });
        }
        let name = file.name.get_ref().clone();
        Ok(PackRef { name, version: *file.version.get_ref(), digest: Hash::of(bytes) })
    }

    fn date(&self, key: &'static str, text: &Text) -> Result<Date, PackError> {
        let rule = "write a date as YYYY-MM-DD, in quotes";
        Date::parse(text.get_ref()).ok_or_else(|| self.value(key, text, rule))
    }

    /// Words for a person: something, not too much, and nothing that a terminal would take for a command.
    fn words(&self, key: &'static str, text: &Text) -> Result<String, PackError> {
        let words = text.get_ref();
        if words.trim().is_empty() || words.len() > PACK_TEXT_BYTES_MAX || words.chars().any(char::is_control)
        {
            let rule = "write 1 to 1024 bytes of text on one line, without control characters";
            return Err(self.value(key, text, rule));
        }
        Ok(words.clone())
    }

    fn period(&self, key: &'static str, text: &Text) -> Result<Period, PackError> {
        Period::parse(text.get_ref()).ok_or_else(|| self.value(key, text, Period::RULE))
    }

    fn sources(&self, tables: &[Spanned<SourceTable>]) -> Result<Vec<Source>, PackError> {
        let mut sources: Vec<Source> = Vec::new();
        for source in self.each("source", tables, |table| self.source(table))? {
            if sources.iter().any(|earlier| earlier.id == source.id) {
                let tables = tables.iter().map(Spanned::get_ref);
                let second = tables.map(|table| &table.id).filter(|id| *id.get_ref() == source.id).nth(1);
                let line = second.map_or(1, |id| self.line(id.span()));
                return Err(PackError::DuplicateSource { line, id: source.id });
            }
            sources.push(source);
        }
        Ok(sources)
    }

    fn source(&self, table: &SourceTable) -> Result<Source, PackError> {
        let words = |key, text: &Option<Text>| text.as_ref().map(|text| self.words(key, text)).transpose();
        Ok(Source {
            id: self.words("id", &table.id)?,
            citation: self.words("citation", &table.citation)?,
            certainty: table.certainty,
            seen: words("seen", &table.seen)?,
            remark: words("remark", &table.remark)?,
        })
    }

    /// A pattern that some record can fit.
    fn pattern(&self, text: &Text) -> Result<PathPattern, PackError> {
        let (line, written) = (self.line(text.span()), text.get_ref().clone());
        let pattern = match PathPattern::parse(&written) {
            Ok(pattern) => pattern,
            Err(source) => return Err(PackError::Pattern { line, text: written, source }),
        };
        if schema::can_select(&pattern) {
            Ok(pattern)
        } else {
            Err(PackError::UnknownPath { line, text: written })
        }
    }
}

/// Reads rules, each of which names its source.
struct Sources<'a> {
    reader: &'a Reader<'a>,
    list: Vec<Source>,
}

/// First segments that only later entries have.
const LATER_ROOTS: [&str; 5] = ["review", "notice", "contest", "correction", "opt_out"];

impl Sources<'_> {
    /// The place of a rule's source, and the rule in words.
    fn rule(&self, source: &Text, rule: &Text) -> Result<(usize, String), PackError> {
        let place = self.list.iter().position(|known| known.id == *source.get_ref());
        let place = place.ok_or_else(|| PackError::UnknownSource {
            line: self.reader.line(source.span()),
            id: source.get_ref().clone(),
        })?;
        Ok((place, self.reader.words("rule", rule)?))
    }

    fn requirement(&self, table: &RequiresTable) -> Result<Requirement, PackError> {
        let line = self.reader.line(table.any.span());
        let paths = table.any.get_ref();
        if paths.is_empty() {
            let (text, rule) = ("[]".to_owned(), "list the paths of which one must be there");
            return Err(PackError::Value { line, key: "any", text, rule });
        }
        if paths.len() > PACK_ITEMS_MAX {
            return Err(PackError::TooMany { line, key: "any" });
        }
        let mut any = Vec::with_capacity(paths.len());
        for text in paths {
            let pattern = self.reader.pattern(text)?;
            let root = pattern.as_str().split('/').next().unwrap_or_default();
            if LATER_ROOTS.contains(&root) || root == "*" {
                let (line, text) = (self.reader.line(text.span()), text.get_ref().clone());
                return Err(if root == "*" {
                    let rule = "begin with a root such as input or explanation: any record has some field";
                    PackError::Value { line, key: "any", text, rule }
                } else {
                    PackError::LaterPath { line, text }
                });
            }
            any.push(pattern);
        }
        let (source, rule) = self.rule(&table.source, &table.rule)?;
        Ok(Requirement { any, when: table.when, source, rule })
    }

    fn obligation(&self, table: &EntryTable) -> Result<Obligation, PackError> {
        let kind = Kind::ALL.into_iter().filter(|kind| kind.is_follow_up());
        let kind = kind.into_iter().find(|kind| kind.as_str() == table.kind.get_ref()).ok_or_else(|| {
            let rule = "write outcome, explanation, review, notice, contest or correction";
            self.reader.value("kind", &table.kind, rule)
        })?;
        let field = table.field.as_ref().map(|text| self.field_of(kind, text)).transpose()?;
        if let (None, Some(first)) = (&field, table.is.first()) {
            return Err(self.reader.value("is", first, "say with `field` which field must be that"));
        }
        if let Some(surplus) = table.is.get(PACK_ITEMS_MAX) {
            return Err(PackError::TooMany { line: self.reader.line(surplus.span()), key: "is" });
        }
        let is = table.is.iter().map(|text| self.reader.words("is", text)).collect::<Result<_, _>>()?;
        let within = self.reader.period("within", &table.within)?;
        let (source, rule) = self.rule(&table.source, &table.rule)?;
        Ok(Obligation { kind, field, is, after: table.after, within, source, rule })
    }

    fn field_of(&self, kind: Kind, text: &Text) -> Result<PathPattern, PackError> {
        let pattern = self.reader.pattern(text)?;
        if pattern.as_str().split('/').next() == Some(kind.as_str()) {
            return Ok(pattern);
        }
        let line = self.reader.line(text.span());
        Err(PackError::ForeignPath { line, text: text.get_ref().clone(), kind: kind.as_str() })
    }

    fn retention(&self, table: &RetentionTable) -> Result<Retention, PackError> {
        let keep = self.reader.period("keep", &table.keep)?;
        let (source, rule) = self.rule(&table.source, &table.rule)?;
        Ok(Retention { of: table.of, keep, from: table.from, source, rule })
    }

    fn erasing(&self, table: &ErasureTable) -> Result<Erasing, PackError> {
        let (source, rule) = self.rule(&table.source, &table.rule)?;
        Ok(Erasing { erasure: table.is, source, rule })
    }

    fn unchecked(&self, table: &UncheckedTable) -> Result<Unchecked, PackError> {
        let (source, rule) = self.rule(&table.source, &table.rule)?;
        Ok(Unchecked { source, rule })
    }
}
