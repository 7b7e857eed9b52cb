//! How long records are kept, and the sweep that erases those whose time is over.
//!
//! Guarantees: a record is never erased before the longest of its rules is over; a class that nobody knows is kept; what is held
//! stays. Keys are for one class and month, so a sweep destroys keys and opens no record, however large the log is.
//! Does not do: records about nobody's class: without a class, and without `retention.default`, a record is kept.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ledgerstone::code::Code;
use ledgerstone::entry::RegisteredName;
use ledgerstone::record::SubjectKeyId;
use serde::Deserialize;
use tokio::task::spawn_blocking;

use crate::erasure::{EraseError, Erasures};
use crate::intercept::recorder::now;
use crate::keyring::{Keyring, RingError, month};

/// Keys that one erasure destroys: ten entries.
const BATCH: usize = 10 * ledgerstone::limits::ERASURE_KEYS_MAX;

/// Keys that one call of a sweep destroys.
const SWEEP: u64 = 20 * BATCH as u64;

/// How long after the start the first scheduled sweep and backup are, however long the interval: a sidecar that is restarted
/// more often than that has them too.
pub(crate) const SOON: Duration = Duration::from_secs(60);

/// Rules that an operator may add.
const RULES_MAX: usize = 256;

/// The longest period: what is kept longer is kept for good.
const MONTHS_MAX: u32 = 100 * 12;

/// The classes and their periods.
#[derive(Clone, Debug)]
pub struct Matrix {
    rules: BTreeMap<String, Rule>,
    /// For records without a class.
    default: Option<String>,
}

/// How long one class is kept.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    name: String,
    months: u32,
    #[serde(default)]
    must_be_kept: bool,
    source: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    class: Vec<Rule>,
}

impl Matrix {
    /// The rules that come with the sidecar, those of `more` (`NAME=PERIOD`, with commas between them) over them, and what
    /// holds for records without a class.
    ///
    /// # Errors
    /// [`MatrixError`] names what is wrong.
    pub fn new(more: &str, default: Option<&str>) -> Result<Self, MatrixError> {
        let file: File =
            toml::from_str(include_str!("retention/matrix.toml")).map_err(|_| MatrixError::Defect)?;
        let mut rules: BTreeMap<String, Rule> =
            file.class.into_iter().map(|rule| (rule.name.clone(), rule)).collect();
        let added = more.split(',').map(str::trim).filter(|rule| !rule.is_empty());
        if added.clone().count() > RULES_MAX {
            return Err(MatrixError::TooMany);
        }
        for rule in added {
            let (name, months) = rule.split_once('=').ok_or(MatrixError::Rule)?;
            let months = period(months.trim()).ok_or(MatrixError::Rule)?;
            let name = RegisteredName::parse(name.trim()).map_err(|_| MatrixError::Rule)?.to_string();
            let known = rules.get(&name);
            let must_be_kept = known.is_some_and(|rule| rule.must_be_kept);
            if known.is_some_and(|rule| rule.must_be_kept && months < rule.months) {
                return Err(MatrixError::Shorter { name });
            }
            let source = "the configuration".to_owned();
            rules.insert(name.clone(), Rule { name, months, must_be_kept, source });
        }
        let matrix = Self { rules, default: default.map(str::to_owned) };
        match &matrix.default {
            Some(class) if matrix.months(class).is_none() => Err(MatrixError::Default),
            _ => Ok(matrix),
        }
    }

    /// For how many months records of `class` are kept: the longest of its rules. None: for good, or until somebody says.
    #[must_use]
    pub fn months(&self, class: &str) -> Option<u32> {
        let class = if class.is_empty() { self.default.as_deref()? } else { class };
        let terms = class.split('+').map(|term| self.term(term.trim()).map(|(months, _)| months));
        terms.collect::<Option<Vec<u32>>>()?.into_iter().max()
    }

    /// Whether a rule forbids, in the month `now`, to erase what was recorded in the month `of`.
    #[must_use]
    pub fn refuses(&self, class: &str, of: u32, now: u32) -> bool {
        let class = if class.is_empty() { self.default.as_deref().unwrap_or_default() } else { class };
        let mut terms = class.split('+').filter_map(|term| self.term(term.trim()));
        terms.any(|(months, must_be_kept)| must_be_kept && of.saturating_add(months) >= now)
    }

    /// The newest month whose records of `class` are over in the month `now`.
    #[must_use]
    pub fn over(&self, class: &str, now: u32) -> Option<u32> {
        // What was recorded in a month is over when as many whole months lie between.
        now.checked_sub(self.months(class)?.checked_add(1)?)
    }

    /// Every rule in force, one a line.
    #[must_use]
    pub fn to_text(&self) -> String {
        let rule = |rule: &Rule| {
            let kept = if rule.must_be_kept { " must be kept" } else { "" };
            format!("class {} {} months{kept}\n", rule.name, rule.months)
        };
        let mut text: String = self.rules.values().map(rule).collect();
        if let Some(class) = &self.default {
            text.push_str(&format!("default {class:?}\n"));
        }
        text
    }

    fn term(&self, term: &str) -> Option<(u32, bool)> {
        let rule = self.rules.get(term).map(|rule| (rule.months, rule.must_be_kept));
        rule.or_else(|| period(term).map(|months| (months, false)))
    }
}

/// Months of `25mo` or `7y`.
fn period(text: &str) -> Option<u32> {
    let (number, unit) = match text.strip_suffix("mo") {
        Some(number) => (number, 1),
        None => (text.strip_suffix('y')?, 12),
    };
    let is_number = (1..=4).contains(&number.len()) && number.bytes().all(|c| c.is_ascii_digit());
    let months = number.parse::<u32>().ok().filter(|_| is_number)?.checked_mul(unit)?;
    (1..=MONTHS_MAX).contains(&months).then_some(months)
}

/// Why there are no rules.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MatrixError {
    /// A rule is none.
    #[error("a rule is NAME=PERIOD with a period such as 25mo or 7y; a name has a-z, 0-9, '.', '_' and '-'")]
    Rule,
    /// A rule that a law sets was to be shortened.
    #[error("{name} cannot be shortened: its period is the law's")]
    Shorter {
        /// The class.
        name: String,
    },
    /// There are too many.
    #[error("256 rules at most")]
    TooMany,
    /// The class of records without one is not known.
    #[error("the default class is none of the known ones, and no period such as 25mo or 7y")]
    Default,
    /// The rules that come with the sidecar do not read.
    #[error("the retention rules do not read; report this")]
    Defect,
}

impl MatrixError {
    /// What the reader must do about it.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Defect => Code::Internal,
            _ => Code::Misuse,
        }
    }
}

/// What a sweep finds in one class.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The class; empty for records without one.
    pub class: String,
    /// For how many months its records are kept; none: for good.
    pub months: Option<u32>,
    /// Keys of records whose time is over.
    pub keys: u64,
    /// Those records.
    pub records: u64,
}

/// What a sweep would do now: every class with what is over, and nothing is changed. Holds are not looked at. Blocks.
///
/// # Errors
/// [`RingError`] if the keyring cannot be read.
pub fn dry_run(ring: &Keyring, matrix: &Matrix, now_month: u32) -> Result<Vec<Found>, RingError> {
    let mut found = Vec::new();
    let classes = ring.database().classes()?;
    for class in classes {
        let months = matrix.months(&class);
        let mut here = Found { class: class.clone(), months, ..Found::default() };
        if let Some(until) = matrix.over(&class, now_month) {
            let mut after = 0;
            loop {
                let keys = ring.database().of_class(&class, until, after, BATCH)?;
                let Some(last) = keys.last() else { break };
                after = last.number;
                here.keys += keys.len() as u64;
                here.records += keys.iter().map(|key| key.records).sum::<u64>();
            }
        }
        found.push(here);
    }
    found.sort_by(|one, other| one.class.cmp(&other.class));
    Ok(found)
}

/// What one call of a sweep did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Keys that were destroyed.
    pub keys: u64,
    /// Records that nobody opens any more.
    pub records: u64,
    /// Whether there may be more.
    pub more: bool,
}

/// Erases what is over, up to a bound for one call.
///
/// # Errors
/// [`EraseError`] says whether to ask again; what was erased before stays erased.
pub async fn sweep(erasures: &Erasures, operator: &RegisteredName) -> Result<Swept, EraseError> {
    sweep_at(erasures, operator, month(now())).await
}

/// The same in a month that is given.
///
/// # Errors
/// As [`sweep`].
pub async fn sweep_at(
    erasures: &Erasures,
    operator: &RegisteredName,
    now_month: u32,
) -> Result<Swept, EraseError> {
    Sweep::new(erasures, now_month).await?.go_on(erasures, operator).await
}

/// A sweep under way: what is held is looked at once, however many calls it takes.
struct Sweep {
    month: u32,
    /// Classes that are not done.
    classes: Vec<String>,
    /// The last key that was looked at in the one that is under way, which is the last.
    after: i64,
}

impl Sweep {
    async fn new(erasures: &Erasures, month: u32) -> Result<Self, EraseError> {
        let classes = with(erasures, |ring| ring.database().classes()).await?;
        Ok(Self { month, classes, after: 0 })
    }

    async fn go_on(&mut self, erasures: &Erasures, operator: &RegisteredName) -> Result<Swept, EraseError> {
        let mut swept = Swept::default();
        while let Some(class) = self.classes.last().cloned() {
            if swept.keys >= SWEEP {
                return Ok(Swept { more: true, ..swept });
            }
            let (until, after) = (erasures.matrix().over(&class, self.month), self.after);
            let keys = match until {
                None => Vec::new(),
                Some(until) => {
                    with(erasures, move |ring| ring.database().of_class(&class, until, after, BATCH)).await?
                }
            };
            let Some(last) = keys.last() else {
                self.classes.pop();
                self.after = 0;
                continue;
            };
            let ids: Vec<SubjectKeyId> = keys.iter().map(|key| key.id).collect();
            if let Some(erased) = erasures.expire(ids, operator.clone()).await? {
                swept.keys += erased.keys;
                swept.records += erased.records;
            }
            self.after = last.number;
        }
        Ok(swept)
    }
}

async fn with<T: Send + 'static>(
    erasures: &Erasures,
    read: impl FnOnce(&Keyring) -> Result<T, RingError> + Send + 'static,
) -> Result<T, EraseError> {
    let ring = Arc::clone(erasures.ring());
    Ok(spawn_blocking(move || read(&ring)).await.map_err(|_| EraseError::Defect)??)
}

/// Sweeps soon after the start and then every `interval` until the sidecar ends.
pub async fn run(erasures: Erasures, operator: RegisteredName, interval: Duration) {
    tokio::time::sleep(interval.min(SOON)).await;
    loop {
        if let Err(error) = sweep_all(&erasures, &operator).await {
            tracing::error!(%error, code = %error.code(), "the retention sweep stopped; it goes on at its next time");
        }
        tokio::time::sleep(interval).await;
    }
}

/// Says what is over and erases it.
async fn sweep_all(erasures: &Erasures, operator: &RegisteredName) -> Result<(), EraseError> {
    let (month, matrix) = (month(now()), erasures.matrix().clone());
    let found = with(erasures, move |ring| dry_run(ring, &matrix, month)).await?;
    for Found { class, months, keys, records } in found.iter().filter(|found| found.keys > 0) {
        tracing::info!(class, months, keys, records, "records are over; what is held stays");
    }
    let mut sweep = Sweep::new(erasures, month).await?;
    loop {
        let Swept { keys, records, more } = sweep.go_on(erasures, operator).await?;
        tracing::info!(keys, records, more, "retention sweep");
        if !more {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_rule_wins() {
        let matrix = Matrix::new("", None).unwrap();
        assert_eq!(matrix.months("reg-b"), Some(25));
        assert_eq!(matrix.months("reg-b+colorado-sb26-189"), Some(36));
        assert_eq!(matrix.months("7y + reg-b"), Some(84));
        assert_eq!(matrix.months("reg-b+unheard-of"), None, "what nobody knows is kept");
        assert_eq!(matrix.months(""), None);
        assert_eq!(Matrix::new("", Some("12mo")).unwrap().months(""), Some(12));
    }

    #[test]
    fn nothing_is_over_a_day_too_early() {
        let matrix = Matrix::new("", None).unwrap();
        // Recorded on 31 January 2026 and kept for 25 months: to 28 February 2028 at least.
        let recorded = 2026 * 12;
        assert_eq!(matrix.over("reg-b", 2028 * 12 + 1), Some(recorded - 1));
        assert_eq!(matrix.over("reg-b", 2028 * 12 + 2), Some(recorded));
        assert_eq!(matrix.over("unheard-of", 9999 * 12), None);
    }

    #[test]
    fn what_the_law_keeps_is_refused_until_its_time_is_over() {
        let matrix = Matrix::new("", None).unwrap();
        assert!(matrix.refuses("sec17a4", 100, 100));
        assert!(matrix.refuses("reg-b+sec17a4", 100, 172));
        assert!(!matrix.refuses("sec17a4", 100, 173));
        assert!(!matrix.refuses("reg-b", 100, 100));
        assert!(Matrix::new("", Some("sec17a4")).unwrap().refuses("", 100, 100));
    }

    #[test]
    fn an_operator_adds_rules_and_shortens_none_of_the_law() {
        let matrix = Matrix::new("house=18mo, reg-b=3y", None).unwrap();
        assert_eq!((matrix.months("house"), matrix.months("reg-b")), (Some(18), Some(36)));
        assert_eq!(
            Matrix::new("sec17a4=1y", None).unwrap_err(),
            MatrixError::Shorter { name: "sec17a4".to_owned() }
        );
        assert!(Matrix::new("sec17a4=10y", None).unwrap().refuses("sec17a4", 0, 100));
        for wrong in
            ["house", "house=", "house=18", "house=18d", "house=0mo", "Ho use=1y", "house=99999y", "a=-1y"]
        {
            assert_eq!(Matrix::new(wrong, None).unwrap_err(), MatrixError::Rule, "{wrong}");
        }
        assert_eq!(Matrix::new("", Some("nothing")).unwrap_err(), MatrixError::Default);
        let many = |count: usize| (0..count).map(|n| format!("house-{n}=18mo")).collect::<Vec<_>>().join(",");
        assert_eq!(Matrix::new(&many(RULES_MAX), None).unwrap().months("house-255"), Some(18));
        assert_eq!(Matrix::new(&many(RULES_MAX + 1), None).unwrap_err(), MatrixError::TooMany);
    }
}
