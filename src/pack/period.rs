//! Periods of rules: days, months or years, counted as calendars do.
//!
//! Guarantees: a period ends at the time of day at which it began, UTC; months and years on the same day of the month, or on
//! its last where the month is shorter. That is never later than the end of that day, which is what most rules mean. Does
//! not do: working days and holidays.

use core::fmt;

use crate::limits::PACK_PERIOD_MAX;
use crate::time::UnixMillis;

/// A length of time as a rule writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    /// Days of 24 hours.
    Days(u32),
    /// Calendar months.
    Months(u32),
    /// Calendar years.
    Years(u32),
}

const DAY_MILLIS: u64 = 86_400_000;

impl Period {
    /// What to write for one.
    pub(super) const RULE: &'static str =
        "write a number from 1 to 12000 and days, months or years, for example \"30 days\"";

    /// Reads `N days`, `N months` or `N years`; the unit of 1 has no `s`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (number, _) = text.split_once(' ')?;
        let number = number.parse().ok().filter(|number| (1..=PACK_PERIOD_MAX).contains(number))?;
        // What prints as the text is what it means: one spelling of each period.
        [Self::Days(number), Self::Months(number), Self::Years(number)]
            .into_iter()
            .find(|period| period.to_string() == text)
    }

    /// When it ends if it begins at `time`.
    #[must_use]
    pub fn after(self, time: UnixMillis) -> UnixMillis {
        match self {
            Self::Days(days) => time.plus_millis(u64::from(days) * DAY_MILLIS),
            Self::Months(months) => time.plus_months(months),
            Self::Years(years) => time.plus_months(years.saturating_mul(12)),
        }
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (number, unit) = match self {
            Self::Days(number) => (number, "day"),
            Self::Months(number) => (number, "month"),
            Self::Years(number) => (number, "year"),
        };
        write!(f, "{number} {unit}{}", if *number == 1 { "" } else { "s" })
    }
}
