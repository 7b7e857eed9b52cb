//! What an example says while it runs. Everything that it prints is here, in `steps` or in its `main`.

use std::io::IsTerminal as _;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use ledgerstone::code::CheckName;
use ledgerstone::verify::{Report, Status, Verdict};
use ledgerstone_verifier::output::thousands;

/// Where the text of a step begins.
const INDENT: &str = "   ";

/// Columns of a line.
const WIDTH: usize = 96;

/// Columns of the word that sums up what stands beside it, with the gap.
const WORD: usize = 8;

/// Opens a step of the story.
pub fn step(number: u32, title: &str) {
    println!("\n{} {}", bold(&number.to_string()), bold(title));
}

/// Says something within a step, broken into lines.
pub fn say(text: &str) {
    beside("", "", text);
}

/// Says something beside a word that sums it up; `word` and `painted` are the same word.
fn beside(word: &str, painted: &str, text: &str) {
    let gap = if word.is_empty() { 0 } else { WORD };
    let mut line = format!("{INDENT}{painted}{}", " ".repeat(gap.saturating_sub(word.len())));
    let start = INDENT.len() + gap;
    let mut column = start;
    for word in text.split(' ') {
        let width = word.chars().count();
        if column > start && column + 1 + width > WIDTH {
            println!("{line}");
            line = " ".repeat(start);
            column = start;
        }
        if column > start {
            line.push(' ');
            column += 1;
        }
        line.push_str(word);
        column += width;
    }
    println!("{line}");
}

/// Says several things as rows of two columns.
pub fn table(rows: &[(&str, String)]) {
    let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    for (name, value) in rows {
        println!("{INDENT}{name:width$}  {value}");
    }
}

/// Says what a report found: the checks that `shown` names one by one, how many others passed, and the verdict. A check
/// that did not pass is always said.
pub fn report(report: &Report, shown: &[CheckName]) {
    let mut others = 0_usize;
    for check in report.checks() {
        match check.status {
            Status::Passed if shown.contains(&check.name) => {
                beside("passed", &green("passed"), &check.detail);
            }
            Status::Passed => others += 1,
            Status::Failed => beside("FAILED", &red("FAILED"), &check.detail),
            Status::NotChecked => beside("open", "open", &check.detail),
        }
    }
    beside("passed", &green("passed"), &format!("{others} other checks"));
    let verdict = match report.verdict() {
        Verdict::Verified => green("VERIFIED"),
        Verdict::Failed => red("NOT VERIFIED"),
        Verdict::Undecided => "COULD NOT DECIDE".to_owned(),
    };
    println!("{INDENT}{verdict}");
}

/// Says how one check of a report went, from the report's JSON.
pub fn check(status: &str, detail: &str) {
    match status {
        "passed" => beside("passed", &green("passed"), detail),
        "failed" => beside("FAILED", &red("FAILED"), detail),
        _ => beside("open", "open", detail),
    }
}

/// Says what gave a forged record away.
pub fn caught(how: &str) {
    beside("caught", &red("caught"), how);
}

/// A bar for `total` things; hidden where nobody watches.
#[must_use]
pub fn progress(total: usize, things: &str) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(total as u64), ProgressDrawTarget::stderr());
    let template = format!("   {{bar:40}} {{human_pos}} of {{human_len}} {things}, {{rate}} a second");
    let rate = |state: &ProgressState, text: &mut dyn std::fmt::Write| {
        // Nothing can be done about a bar that cannot be drawn.
        let _ = write!(text, "{:.0}", state.per_sec());
    };
    let style = ProgressStyle::with_template(&template).map(|style| style.with_key("rate", rate));
    style.map_or_else(|_| bar.clone(), |style| bar.clone().with_style(style))
}

/// A count with its thousands set apart.
#[must_use]
pub fn count(number: usize) -> String {
    thousands(number as u64)
}

/// A duration as people read it.
#[must_use]
pub fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

/// How many a second.
#[must_use]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a figure for people"
)]
pub fn rate(number: usize, duration: Duration) -> String {
    thousands((number as f64 / duration.as_secs_f64().max(1e-9)) as u64)
}

/// Text that matters, green on a terminal.
#[must_use]
pub fn green(text: &str) -> String {
    paint("1;32", text)
}

/// Text that alarms, red on a terminal.
#[must_use]
pub fn red(text: &str) -> String {
    paint("1;31", text)
}

/// Text that stands out on a terminal.
#[must_use]
pub fn bold(text: &str) -> String {
    paint("1", text)
}

fn paint(sgr: &str, text: &str) -> String {
    let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    if colour { format!("\u{1b}[{sgr}m{text}\u{1b}[0m") } else { text.to_owned() }
}
