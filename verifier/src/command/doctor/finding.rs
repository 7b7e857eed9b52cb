//! What was found: named lines, each with what it rests on and, where something is to be done, what.
//!
//! Guarantees: what somebody else wrote stays within its own line and is bounded, so it can neither look like a check nor flood a terminal.

use serde::Serialize;

/// How one check went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Nothing to do.
    Ok,
    /// It works, and something is to be looked at.
    Warn,
    /// It does not work, or not as it must.
    Fail,
    /// It could not be checked.
    NotChecked,
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Its name, stable.
    pub name: &'static str,
    /// How it went.
    pub level: Level,
    /// What was found.
    pub detail: String,
    /// What to do; nothing where all is well.
    pub fix: Option<String>,
}

/// Characters of what one check says: whoever says more than a page of text is cut off.
const CHARACTERS_MAX: usize = 4_000;

/// Every check so far, in the order in which they were made.
#[derive(Clone, Debug, Default)]
pub(super) struct Findings {
    pub(super) all: Vec<Finding>,
    /// What was not looked at because nobody named it.
    pub(super) left_out: Vec<&'static str>,
    /// Which log each place says it is of.
    pub(super) origins: Vec<(&'static str, String)>,
}

impl Findings {
    pub(super) fn ok(&mut self, name: &'static str, detail: impl Into<String>) {
        self.all.push(Finding { name, level: Level::Ok, detail: one_line(&detail.into()), fix: None });
    }

    pub(super) fn warn(&mut self, name: &'static str, detail: impl Into<String>, fix: impl Into<String>) {
        self.add(name, Level::Warn, detail.into(), fix.into());
    }

    pub(super) fn fail(&mut self, name: &'static str, detail: impl Into<String>, fix: impl Into<String>) {
        self.add(name, Level::Fail, detail.into(), fix.into());
    }

    pub(super) fn open(&mut self, name: &'static str, detail: impl Into<String>, fix: impl Into<String>) {
        self.add(name, Level::NotChecked, detail.into(), fix.into());
    }

    /// One line for many things of a kind: the worst of them decides, and each that is not well is named.
    pub(super) fn sum(
        &mut self,
        name: &'static str,
        well: impl Into<String>,
        found: Vec<(Level, String)>,
        fix: impl Into<String>,
    ) {
        let worst = [Level::Fail, Level::Warn, Level::NotChecked]
            .into_iter()
            .find(|worst| found.iter().any(|(level, _)| level == worst));
        let Some(worst) = worst else { return self.ok(name, well) };
        let details: Vec<String> = found.into_iter().map(|(_, detail)| detail).collect();
        self.add(name, worst, details.join("; "), fix.into());
    }

    fn add(&mut self, name: &'static str, level: Level, detail: String, fix: String) {
        self.all.push(Finding { name, level, detail: one_line(&detail), fix: Some(one_line(&fix)) });
    }

    /// Says whether every place that was asked is of the same log.
    pub(super) fn one_log(&mut self) {
        let (name, origins) = ("log.origin", std::mem::take(&mut self.origins));
        let Some(((_, first), others)) = origins.split_first() else { return };
        if others.iter().all(|(_, other)| other == first) {
            return self.ok(name, format!("Every place that was asked is of the log {first}."));
        }
        let said: Vec<_> = origins.iter().map(|(place, origin)| format!("{place}: {origin}")).collect();
        self.fail(
            name,
            format!("They are not of one log. {}.", said.join("; ")),
            "Name the ports and the store of one sidecar: one of these addresses leads to another.",
        );
    }

    /// How many went so.
    pub(super) fn count(&self, level: Level) -> usize {
        self.all.iter().filter(|finding| finding.level == level).count()
    }
}

/// The text without line feeds, behind which anything could stand, and cut where it is too long.
fn one_line(text: &str) -> String {
    let cut = text.char_indices().nth(CHARACTERS_MAX).map(|(at, _)| at);
    let shown = text.get(..cut.unwrap_or(text.len())).unwrap_or_default().replace(['\n', '\r'], " ");
    if cut.is_some() { shown + " ..." } else { shown }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_somebody_else_says_stays_in_its_line_and_ends() {
        let mut findings = Findings::default();
        findings.fail("sidecar.live", format!("no\nok    log.tiles   fine{}", "x".repeat(9_000)), "a\r\nb");
        let finding = &findings.all[0];
        assert!(finding.detail.starts_with("no ok "), "{}", finding.detail);
        assert_eq!(finding.detail.chars().count(), CHARACTERS_MAX + 4);
        assert_eq!(finding.fix.as_deref(), Some("a  b"));
    }

    #[test]
    fn places_of_two_logs_are_told() {
        let level = |origins: &[&str]| {
            let origins = origins.iter().map(|origin| ("a place", (*origin).to_owned())).collect();
            let mut findings = Findings { origins, ..Findings::default() };
            findings.one_log();
            findings.all.first().map(|finding| finding.level)
        };
        assert_eq!(
            (level(&[]), level(&["a", "a"]), level(&["a", "a", "b"])),
            (None, Some(Level::Ok), Some(Level::Fail))
        );
    }

    #[test]
    fn the_worst_of_many_decides() {
        let worst = |levels: &[Level]| {
            let mut findings = Findings::default();
            let found = levels.iter().map(|level| (*level, String::new())).collect();
            findings.sum("models", "well", found, "fix");
            findings.all[0].level
        };
        assert_eq!(worst(&[]), Level::Ok);
        assert_eq!(worst(&[Level::NotChecked]), Level::NotChecked);
        assert_eq!(worst(&[Level::NotChecked, Level::Warn]), Level::Warn);
        assert_eq!(worst(&[Level::Warn, Level::Fail, Level::NotChecked]), Level::Fail);
    }
}
