//! The `[[route.gate]]` tables of the configuration file.

use serde::{Deserialize, Serialize};

use super::MESSAGE_BYTES_MAX;
use super::error::GateError;

/// One `[[route.gate]]` table: a rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GateConfig {
    /// Name of the rule; records, answers and metrics refer to it.
    pub name: String,
    /// When it is evaluated.
    pub when: When,
    /// What must hold, in CEL.
    pub rule: String,
    /// What happens where it does not hold; `refuse`, also where it is left out.
    #[serde(default)]
    pub otherwise: Otherwise,
    /// What callers are told where it does not hold. The record and the receipt have it, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// When a rule is evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// Before the model is called.
    Request,
    /// Before the model's answer is released.
    Answer,
}

impl When {
    /// As it stands in a record.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Answer => "answer",
        }
    }
}

/// What happens where a rule does not hold. Where it cannot be evaluated the decision is refused in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Otherwise {
    /// No answer of the model goes out.
    #[default]
    Refuse,
    /// The answer goes out, marked for a person's review.
    Review,
}

impl Otherwise {
    /// As the configuration writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Refuse => "refuse",
            Self::Review => "review",
        }
    }
}

impl GateConfig {
    /// Checks everything but the rule itself.
    pub(super) fn check(&self) -> Result<(), GateError> {
        let allowed = |c: u8| matches!(c, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-');
        if !(1..=64).contains(&self.name.len()) || !self.name.bytes().all(allowed) {
            return Err(GateError::Name { name: self.name.chars().take(64).collect() });
        }
        let rule = || self.name.clone();
        let Some(message) = &self.message else { return Ok(()) };
        if message.is_empty() || message.len() > MESSAGE_BYTES_MAX || message.chars().any(is_unprintable) {
            return Err(GateError::Message { rule: rule() });
        }
        Ok(())
    }
}

/// Whether a character steers a terminal or the direction of text: messages are shown to people as they are.
fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}
