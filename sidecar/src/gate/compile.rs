//! Text to a compiled rule.
//!
//! Guarantees: what compiles names only variables that the route can have at the time of the rule, nests no deeper and is no
//! larger than the limits, and gives true or false where that can be told beforehand.
//! Does not do: evaluating.

use cel::common::ast::SourceInfo;
use cel::parser::{ParseError, Parser};

use super::config::When;
use super::error::{RuleError, Wrong};
use super::lower::Lowering;
use super::program::Program;
use super::variable::Names;
use super::{DEPTH_MAX, RULE_BYTES_MAX};

/// The parser's own trees nest as deep as a text of [`RULE_BYTES_MAX`] bytes can say (`1+1+1+...`), before their depth is looked
/// at: 2048 levels of at most 8 KiB each. They live and die on a thread with room for that.
const STACK_BYTES: usize = 2048 * 8 * 1024 + 16 * 1024 * 1024;

/// Characters of what the parser says that are passed on.
const SAID_CHARS_MAX: usize = 160;

/// Compiles a rule that is evaluated at `when` over decisions of a route with `names`.
///
/// # Errors
/// [`RuleError`] says where the text is no rule, and what to write instead.
pub fn compile(text: &str, when: When, names: &Names) -> Result<Program, RuleError> {
    let at_start = |what| RuleError { line: 1, column: 1, what };
    if text.len() > RULE_BYTES_MAX {
        return Err(at_start(Wrong::TooLong));
    }
    if text.trim().is_empty() {
        return Err(at_start(Wrong::Empty));
    }
    if let Some(place) = too_deep(text) {
        return Err(located(text, place, Wrong::TooDeep));
    }
    let compiled = std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("rule".to_owned()).stack_size(STACK_BYTES);
        thread.spawn_scoped(scope, || parse(text, when, names)).map(std::thread::ScopedJoinHandle::join)
    });
    match compiled {
        Ok(Ok(compiled)) => compiled,
        Ok(Err(_)) | Err(_) => {
            let what = "a text that the parser fails at".to_owned();
            Err(at_start(Wrong::Unsupported { what }))
        }
    }
}

fn parse(text: &str, when: When, names: &Names) -> Result<Program, RuleError> {
    let depth = u16::try_from(2 * DEPTH_MAX).unwrap_or(u16::MAX);
    let parsed = Parser::new().max_recursion_depth(depth).parse_with_source_info(text);
    let (expression, info) = parsed.map_err(|errors| syntax(text, errors.errors.first()))?;
    let place = |id: u64| start(&info, id);
    Lowering::new(when, names).program(&expression).map_err(|(id, what)| located(text, place(id), what))
}

/// Where brackets nest deeper than a rule may, in bytes: the parser need not see such a text. Brackets in quotes count, too; no
/// sensible rule quotes so many.
fn too_deep(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (place, byte) in text.bytes().enumerate() {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEPTH_MAX {
            return Some(place);
        }
    }
    None
}

fn syntax(text: &str, error: Option<&ParseError>) -> RuleError {
    let lines = text.lines().count().max(1);
    let number = |value: isize, most: usize| usize::try_from(value).unwrap_or(1).clamp(1, most);
    let (line, column) = error.map_or((1, 1), |error| error.pos);
    let said = error.map_or("it cannot be read", |error| error.msg.as_str());
    let said: String =
        said.chars().map(|c| if c.is_control() { ' ' } else { c }).take(SAID_CHARS_MAX).collect();
    RuleError {
        line: number(line, lines),
        column: number(column, RULE_BYTES_MAX),
        what: Wrong::Syntax { said },
    }
}

/// Where the part `id` begins, in bytes.
fn start(info: &SourceInfo, id: u64) -> usize {
    info.offset_for(id).map_or(0, |(start, _)| start) as usize
}

fn located(text: &str, place: usize, what: Wrong) -> RuleError {
    let before = text.get(..place).unwrap_or_default();
    let line = before.rsplit('\n').next().unwrap_or_default();
    RuleError { line: before.matches('\n').count() + 1, column: line.chars().count() + 1, what }
}
