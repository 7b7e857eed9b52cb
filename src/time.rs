//! Points in time, as numbers that somebody else read from a clock.
//!
//! Guarantees: arithmetic that cannot overflow silently. Does not do: reading a clock; the library has no way to.

use core::fmt;

/// Milliseconds since 1970-01-01T00:00:00Z, leap seconds not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixMillis(u64);

impl UnixMillis {
    /// The point `millis` milliseconds after the epoch.
    #[must_use]
    pub const fn new(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the epoch.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// How far `self` lies after `earlier`, in milliseconds; zero if it does not.
    #[must_use]
    pub const fn millis_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// The point `millis` milliseconds later, or the last representable one.
    #[must_use]
    pub const fn plus_millis(self, millis: u64) -> Self {
        Self(self.0.saturating_add(millis))
    }
}

impl fmt::Display for UnixMillis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let date = CivilTime::from(*self);
        write!(
            f,
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
            date.year, date.month, date.day, date.hour, date.minute, date.second, date.millis
        )
    }
}

/// A proleptic Gregorian date and time of day, UTC.
struct CivilTime {
    year: u64,
    month: u64,
    day: u64,
    hour: u64,
    minute: u64,
    second: u64,
    millis: u64,
}

impl From<UnixMillis> for CivilTime {
    /// Days to civil date by Howard Hinnant's `civil_from_days`, for dates from 1970 on.
    fn from(time: UnixMillis) -> Self {
        let seconds = time.0 / 1000;
        let days = seconds / 86_400 + 719_468;
        let era = days / 146_097;
        let day_of_era = days % 146_097;
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * day_of_year + 2) / 153;
        let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
        Self {
            year: year_of_era + era * 400 + u64::from(month <= 2),
            month,
            day: day_of_year - (153 * shifted_month + 2) / 5 + 1,
            hour: seconds / 3600 % 24,
            minute: seconds / 60 % 60,
            second: seconds % 60,
            millis: time.0 % 1000,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_as_rfc_3339_across_leap_days_and_centuries() {
        for (millis, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (951_868_799_999, "2000-02-29T23:59:59.999Z"),
            (4_107_542_400_001, "2100-03-01T00:00:00.001Z"),
            (1_795_000_000_000, "2026-11-18T11:06:40.000Z"),
        ] {
            assert_eq!(UnixMillis::new(millis).to_string(), text);
        }
    }

    #[test]
    fn counts_no_time_backwards() {
        assert_eq!(UnixMillis::new(5).millis_since(UnixMillis::new(7)), 0);
        assert_eq!(UnixMillis::new(7).millis_since(UnixMillis::new(5)), 2);
    }
}
