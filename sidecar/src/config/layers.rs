//! Where values come from: the file, then the environment, then flags; the later one wins.
//!
//! Guarantees: every value knows its source. An unknown key in the file or in a flag is refused; an environment variable
//! that fits no key is only reported, because Kubernetes itself sets `LEDGERSTONE_SERVICE_HOST` beside a service of
//! that name.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::access::RuleTable;
use super::anchors::{EthereumTable, OpenTimestampsTable, Rfc3161Table, Tables};
use super::error::ConfigError;
use super::named::Named;
use super::setting::{Fallback, SETTINGS, VARIABLE_PREFIX, find};
use super::siem::SinkTable;
use crate::intercept::route::RouteConfig;
use crate::nearest::nearest;

/// Variables of our prefix that are not keys: the path of the file, and what the command line reads.
const OTHER_VARIABLES: [&str; 3] = ["LEDGERSTONE_CONFIG", "LEDGERSTONE_LOG_FORMAT", "LEDGERSTONE_LOG_FILTER"];

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Source {
    /// Nobody set the key.
    Default,
    /// The configuration file.
    File {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
    },
    /// An environment variable.
    Environment(String),
    /// `--set` on the command line.
    Flag,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{} line {line}", path.display()),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::Flag => f.write_str("--set"),
        }
    }
}

/// What the configuration is read from.
#[derive(Clone, Debug, Default)]
pub struct Inputs {
    /// The file, if there is one.
    pub file: Option<PathBuf>,
    /// Environment variables: name and value.
    pub environment: Vec<(String, String)>,
    /// `KEY=VALUE` of each `--set`.
    pub flags: Vec<String>,
}

/// A value and where it comes from.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) text: String,
    pub(super) source: Source,
}

/// Every value that somebody set, and the lists: routes and lanes.
#[derive(Debug, Default)]
pub(super) struct Layers {
    pub(super) values: BTreeMap<&'static str, Found>,
    pub(super) routes: Vec<(RouteConfig, Source)>,
    pub(super) anchors: Tables,
    /// The keys of each `[[keys.previous]]`.
    pub(super) previous_keys: Vec<BTreeMap<&'static str, Found>>,
    /// Whether there is a section `[access]`, be it empty.
    pub(super) has_access: bool,
    pub(super) access_rules: Vec<(RuleTable, Source)>,
    pub(super) siem: Vec<(SinkTable, Source)>,
    pub(super) ignored: Vec<String>,
    /// The directory that relative paths of the file start from.
    pub(super) base: PathBuf,
    /// What the values name, as they are read.
    pub(super) seen: RefCell<Named>,
}

impl Layers {
    pub(super) fn read(inputs: &Inputs) -> Result<Self, ConfigError> {
        let mut layers = Self::default();
        if let Some(path) = &inputs.file {
            let unreadable = |source| ConfigError::Unreadable { path: path.clone(), source };
            let text = fs::read_to_string(path).map_err(unreadable)?;
            layers.file(path, &text)?;
        }
        layers.environment(&inputs.environment);
        layers.flags(&inputs.flags)?;
        Ok(layers)
    }

    /// Takes the text of a configuration file.
    pub(super) fn file(&mut self, path: &Path, text: &str) -> Result<(), ConfigError> {
        self.base = path.parent().map(Path::to_owned).unwrap_or_default();
        let file = File { path, text };
        let table = DeTable::parse(text).map_err(|error| file.syntax(&error, "table"))?;
        for (key, value) in table.get_ref() {
            match value.get_ref() {
                _ if key.get_ref() == "route" => self.routes(&file, value)?,
                _ if key.get_ref() == "siem" => self.siem(&file, value)?,
                DeValue::Table(table) if key.get_ref() == "anchors" => self.anchors(&file, table)?,
                DeValue::Table(table) if key.get_ref() == "keys" => self.keys(&file, table)?,
                DeValue::Table(table) if key.get_ref() == "access" => self.access(&file, table)?,
                _ => self.section(&file, key.get_ref(), key.span(), value)?,
            }
        }
        Ok(())
    }

    /// Takes a value, or everything in a table.
    fn section(
        &mut self,
        file: &File<'_>,
        name: &str,
        at: Range<usize>,
        value: &Spanned<DeValue<'_>>,
    ) -> Result<(), ConfigError> {
        let is_section =
            SETTINGS.iter().any(|s| s.key.strip_prefix(name).is_some_and(|rest| rest.starts_with('.')));
        if let DeValue::Table(table) = value.get_ref() {
            for (key, value) in table {
                self.section(file, &format!("{name}.{}", key.get_ref()), key.span(), value)?;
            }
            return if is_section || !table.is_empty() { Ok(()) } else { Err(file.unknown(name, at)) };
        }
        let setting = find(name).ok_or_else(|| file.unknown(name, at.clone()))?;
        let source = file.source(at);
        let text = match value.get_ref() {
            DeValue::String(text) => text.to_string(),
            DeValue::Integer(number) if number.radix() == 10 => number.as_str().to_owned(),
            other => {
                let (value, expected) = (other.type_str().to_owned(), "a text in quotes".to_owned());
                return Err(ConfigError::BadValue { from: source, key: setting.key, value, expected });
            }
        };
        self.values.insert(setting.key, Found { text, source });
        Ok(())
    }

    /// Takes the `[[route]]` tables. They are read again from the text, so that an error names its line.
    fn routes(&mut self, file: &File<'_>, value: &Spanned<DeValue<'_>>) -> Result<(), ConfigError> {
        #[derive(Deserialize)]
        struct Routes {
            route: Vec<RouteConfig>,
        }
        let parsed: Routes = toml::from_str(file.text).map_err(|error| file.syntax(&error, "[[route]]"))?;
        self.routes = file.placed(parsed.route, Some(value));
        Ok(())
    }

    /// Takes the `[[siem]]` tables, in the same way.
    fn siem(&mut self, file: &File<'_>, value: &Spanned<DeValue<'_>>) -> Result<(), ConfigError> {
        #[derive(Deserialize)]
        struct Sinks {
            siem: Vec<SinkTable>,
        }
        let parsed: Sinks = toml::from_str(file.text).map_err(|error| file.syntax(&error, "[[siem]]"))?;
        self.siem = file.placed(parsed.siem, Some(value));
        Ok(())
    }

    /// Takes `[anchors]`: its keys, and the lists of lanes in it, which are read again from the text.
    fn anchors(&mut self, file: &File<'_>, table: &DeTable<'_>) -> Result<(), ConfigError> {
        #[derive(Deserialize)]
        struct Parsed {
            anchors: Lists,
        }
        #[derive(Deserialize)]
        struct Lists {
            #[serde(default)]
            rfc3161: Vec<Rfc3161Table>,
            #[serde(default)]
            opentimestamps: Vec<OpenTimestampsTable>,
            #[serde(default)]
            ethereum: Vec<EthereumTable>,
        }
        for (key, value) in table {
            if !Tables::LISTS.contains(&key.get_ref().as_ref()) {
                self.section(file, &format!("anchors.{}", key.get_ref()), key.span(), value)?;
            }
        }
        let parsed: Result<Parsed, _> = toml::from_str(file.text);
        let Lists { rfc3161, opentimestamps, ethereum } =
            parsed.map_err(|error| file.syntax(&error, "lane of [anchors]"))?.anchors;
        self.anchors = Tables {
            rfc3161: file.placed(rfc3161, table.get("rfc3161")),
            opentimestamps: file.placed(opentimestamps, table.get("opentimestamps")),
            ethereum: file.placed(ethereum, table.get("ethereum")),
        };
        Ok(())
    }

    /// Takes `[keys]`: its keys, and the tables of earlier ones, each as a `[keys]` of its own.
    fn keys(&mut self, file: &File<'_>, table: &DeTable<'_>) -> Result<(), ConfigError> {
        for (key, value) in table {
            let (name, tables) = (format!("keys.{}", key.get_ref()), value.get_ref().as_array());
            let Some(tables) = tables.filter(|_| name == "keys.previous") else {
                self.section(file, &name, key.span(), value)?;
                continue;
            };
            for table in tables {
                if !table.get_ref().is_table() {
                    return Err(file.unknown(&name, table.span()));
                }
                let mut earlier = Self::default();
                earlier.section(file, "keys", table.span(), table)?;
                self.previous_keys.push(earlier.values);
            }
        }
        Ok(())
    }

    /// Takes `[access]`: its keys, and the list of rules in it, which is read again from the text.
    fn access(&mut self, file: &File<'_>, table: &DeTable<'_>) -> Result<(), ConfigError> {
        #[derive(Deserialize)]
        struct Parsed {
            access: Lists,
        }
        #[derive(Deserialize)]
        struct Lists {
            #[serde(default)]
            rule: Vec<RuleTable>,
        }
        self.has_access = true;
        for (key, value) in table {
            if key.get_ref() != "rule" {
                self.section(file, &format!("access.{}", key.get_ref()), key.span(), value)?;
            }
        }
        let parsed: Result<Parsed, _> = toml::from_str(file.text);
        let Lists { rule } = parsed.map_err(|error| file.syntax(&error, "[[access.rule]]"))?.access;
        self.access_rules = file.placed(rule, table.get("rule"));
        Ok(())
    }

    fn environment(&mut self, variables: &[(String, String)]) {
        for (name, text) in variables.iter().filter(|(name, _)| name.starts_with(VARIABLE_PREFIX)) {
            let source = Source::Environment(name.clone());
            match SETTINGS.iter().find(|setting| setting.variable() == *name) {
                Some(setting) => _ = self.values.insert(setting.key, Found { text: text.clone(), source }),
                None if OTHER_VARIABLES.contains(&name.as_str()) => {}
                None => self.ignored.push(name.clone()),
            }
        }
    }

    fn flags(&mut self, flags: &[String]) -> Result<(), ConfigError> {
        for flag in flags {
            let parts = flag.split_once('=');
            let (key, text) = parts.ok_or_else(|| ConfigError::Flag { flag: flag.clone() })?;
            let setting = find(key).ok_or_else(|| unknown(key, Source::Flag))?;
            self.values.insert(setting.key, Found { text: text.to_owned(), source: Source::Flag });
        }
        Ok(())
    }

    /// The value of a key, from whoever set it last, or its default.
    pub(super) fn get(&self, key: &str) -> Option<Found> {
        if let Some(found) = self.values.get(key) {
            return Some(found.clone());
        }
        match find(key)?.fallback {
            Fallback::Value(text) => Some(Found { text: text.to_owned(), source: Source::Default }),
            Fallback::Required | Fallback::Unset => None,
        }
    }
}

fn unknown(key: &str, from: Source) -> ConfigError {
    let nearest = nearest(key, SETTINGS.iter().map(|setting| setting.key)).map(str::to_owned);
    ConfigError::UnknownKey { from, key: key.to_owned(), nearest }
}

/// The configuration file, for messages that name a line of it.
struct File<'a> {
    path: &'a Path,
    text: &'a str,
}

impl File<'_> {
    fn line(&self, at: usize) -> usize {
        self.text.bytes().take(at).filter(|c| *c == b'\n').count() + 1
    }

    fn source(&self, span: Range<usize>) -> Source {
        Source::File { path: self.path.to_owned(), line: self.line(span.start) }
    }

    fn unknown(&self, key: &str, span: Range<usize>) -> ConfigError {
        unknown(key, self.source(span))
    }

    /// The items of a list, each with the place of its table.
    fn placed<T>(&self, items: Vec<T>, list: Option<&Spanned<DeValue<'_>>>) -> Vec<(T, Source)> {
        let places = list.and_then(|list| list.get_ref().as_array()).into_iter();
        let places = places.flat_map(|array| array.iter().map(Spanned::span));
        items.into_iter().zip(places.map(|span| self.source(span))).collect()
    }

    /// An error of the TOML reader; for an unknown key of a `table`, with the known key that it comes nearest to.
    fn syntax(&self, error: &toml::de::Error, table: &str) -> ConfigError {
        let mut problem = error.message().replace('\n', ": ");
        let mut names = problem.split('`').skip(1).step_by(2);
        if problem.starts_with("unknown field")
            && let Some(unknown) = names.next()
        {
            problem = match nearest(unknown, names) {
                Some(nearest) => format!("unknown key {unknown:?} in a {table}; did you mean {nearest:?}?"),
                None => problem.replace("unknown field", &format!("unknown key in a {table}")),
            };
        }
        let line = error.span().map(|span| self.line(span.start));
        ConfigError::Syntax { path: self.path.to_owned(), line, problem }
    }
}
