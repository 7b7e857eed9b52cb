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

    /// The same time of day on the same day of the month, `months` later; where that month has no such day, on its last.
    #[must_use]
    pub fn plus_months(self, months: u32) -> Self {
        let from = CivilTime::from(self);
        let month = (from.year * 12 + from.month - 1).saturating_add(u64::from(months));
        let (year, month) = (month / 12, month % 12 + 1);
        let day = from.day.min(days_in_month(year, month));
        Self(
            days_since_epoch(year, month, day).saturating_mul(DAY_MILLIS).saturating_add(self.0 % DAY_MILLIS),
        )
    }
}

/// Milliseconds of a day.
const DAY_MILLIS: u64 = 86_400_000;

/// A day of the proleptic Gregorian calendar, from 1970 to 9999.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date {
    year: u64,
    month: u64,
    day: u64,
}

impl Date {
    /// Reads `YYYY-MM-DD`, as RFC 3339 (section 5.6, `full-date`) writes it; `None` for anything else, such as a 30th of February.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let part = |range: core::ops::Range<usize>| -> Option<u64> {
            let digits = text.get(range).filter(|part| part.bytes().all(|byte| byte.is_ascii_digit()))?;
            digits.parse().ok()
        };
        let is_shaped = text.len() == 10 && text.get(4..5) == Some("-") && text.get(7..8) == Some("-");
        let (year, month, day) = (part(0..4)?, part(5..7)?, part(8..10)?);
        let exists =
            year >= 1970 && (1..=12).contains(&month) && (1..=days_in_month(year, month)).contains(&day);
        (is_shaped && exists).then_some(Self { year, month, day })
    }

    /// The day of a time, UTC; the last one that can be written for times after it.
    #[must_use]
    pub fn of(time: UnixMillis) -> Self {
        let civil = CivilTime::from(time);
        if civil.year > 9999 {
            return Self { year: 9999, month: 12, day: 31 };
        }
        Self { year: civil.year, month: civil.month, day: civil.day }
    }

    /// Year, month from 1, and day of the month.
    #[must_use]
    pub const fn parts(self) -> (u64, u64, u64) {
        (self.year, self.month, self.day)
    }

    /// The first millisecond of the day, UTC.
    #[must_use]
    pub const fn start(self) -> UnixMillis {
        UnixMillis(days_since_epoch(self.year, self.month, self.day).saturating_mul(DAY_MILLIS))
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

/// Howard Hinnant's `days_from_civil`, for dates from 1970 on.
const fn days_since_epoch(year: u64, month: u64, day: u64) -> u64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year / 400, year % 400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

const fn days_in_month(year: u64, month: u64) -> u64 {
    match month {
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
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
    fn reads_dates_that_exist_and_no_others() {
        for (text, millis) in [
            ("1970-01-01", 0),
            ("2000-02-29", 951_782_400_000),
            ("2100-03-01", 4_107_542_400_000),
            ("2026-11-18", 1_794_960_000_000),
        ] {
            let date = Date::parse(text).unwrap();
            assert_eq!((date.start().get(), date.to_string().as_str()), (millis, text));
        }
        for text in [
            "",
            "2026-11-1",
            "2026-11-181",
            "2026/11/18",
            "2026-13-01",
            "2026-00-01",
            "2026-01-00",
            "2026-04-31",
            "2026-02-29",
            "2100-02-29",
            "1969-12-31",
            "+026-01-01",
            "2026-1 -01",
            "20\u{e9}6-01-01",
            "2026-01-0\u{e9}",
        ] {
            assert_eq!(Date::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn every_day_of_four_centuries_prints_and_reads_as_itself() {
        for day in 0..146_097 {
            let start = UnixMillis::new(day * DAY_MILLIS);
            let text = start.to_string();
            let date = Date::parse(&text[..10]).unwrap();
            assert_eq!(date.start(), start, "{text}");
            assert_eq!(Date::of(start.plus_millis(DAY_MILLIS - 1)), date, "{text}");
        }
    }

    #[test]
    fn a_time_past_what_dates_can_say_is_on_their_last_day() {
        assert_eq!(Date::of(UnixMillis::new(u64::MAX)).to_string(), "9999-12-31");
        assert_eq!(Date::parse("2026-11-18").unwrap().parts(), (2026, 11, 18));
    }

    #[test]
    fn adds_months_to_the_same_day_or_the_last_one() {
        let time = |text: &str| Date::parse(text).unwrap().start().plus_millis(12_345);
        for (from, months, to) in [
            ("2026-01-31", 1, "2026-02-28"),
            ("2028-01-31", 1, "2028-02-29"),
            ("2026-11-30", 3, "2027-02-28"),
            ("2026-12-15", 1, "2027-01-15"),
            ("2026-02-28", 25, "2028-03-28"),
            ("2028-02-29", 12, "2029-02-28"),
            ("2026-05-05", 0, "2026-05-05"),
        ] {
            assert_eq!(time(from).plus_months(months), time(to), "{from} and {months} months");
        }
        assert!(
            UnixMillis::new(u64::MAX).plus_months(u32::MAX) >= UnixMillis::new(u64::MAX - DAY_MILLIS * 40)
        );
    }

    #[test]
    fn counts_no_time_backwards() {
        assert_eq!(UnixMillis::new(5).millis_since(UnixMillis::new(7)), 0);
        assert_eq!(UnixMillis::new(7).millis_since(UnixMillis::new(5)), 2);
    }
}
