//! Points in time as ASN.1 writes them.
//!
//! Guarantees: UTC only, one spelling, as DER (X.690, sections 11.7 and 11.8) and RFC 3161, section 2.4.2, ask for: no
//! trailing zero in a fraction, no offset, no leap second. Does not do: dates before 1970, which become its beginning.

use der::Tag;

use super::der::{Fields, Malformed};
use crate::time::UnixMillis;

/// Characters of a GeneralizedTime: 15 and a point with a fraction to the attosecond.
const CHARACTERS_MAX: usize = 15 + 1 + 18;

/// A `Time` of RFC 5280, section 4.1.2.5: UTCTime or GeneralizedTime, to the second.
pub(super) fn read_time(fields: &mut Fields<'_>, part: &'static str) -> Result<UnixMillis, Malformed> {
    let time = match fields.any()? {
        (Tag::UtcTime, text) => utc_time(text),
        (Tag::GeneralizedTime, text) if text.len() == 15 => generalized_time(text),
        _ => None,
    };
    time.ok_or(Malformed(part))
}

/// `YYMMDDhhmmssZ`: years from 1950 to 2049.
fn utc_time(text: &[u8]) -> Option<UnixMillis> {
    let rest = text.strip_suffix(b"Z").filter(|rest| rest.len() == 12)?;
    let (year, rest) = number(rest, 2)?;
    seconds(if year < 50 { 2000 + year } else { 1900 + year }, rest).map(UnixMillis::new)
}

/// `YYYYMMDDhhmmss[.s...]Z`; what is finer than a millisecond is cut off.
pub(super) fn generalized_time(text: &[u8]) -> Option<UnixMillis> {
    let rest = text.strip_suffix(b"Z").filter(|_| text.len() <= CHARACTERS_MAX)?;
    let (whole, fraction) = rest.split_at_checked(14)?;
    let (year, day) = number(whole, 4)?;
    let start = seconds(year, day)?;
    let millis = match fraction {
        [] => 0,
        [b'.', digits @ .., last] if *last != b'0' => {
            let all = digits.iter().chain([last]);
            let value = |digit: &u8| digit.is_ascii_digit().then(|| u64::from(digit - b'0'));
            let digits = all.map(value).collect::<Option<Vec<u64>>>()?;
            digits.iter().zip([100, 10, 1]).map(|(digit, unit)| digit * unit).sum()
        }
        _ => return None,
    };
    Some(UnixMillis::new(start + millis))
}

/// The `digits` decimal digits at the start, and what follows them.
fn number(text: &[u8], digits: usize) -> Option<(u64, &[u8])> {
    let (head, rest) = text.split_at_checked(digits)?;
    let add = |sum: u64, digit: &u8| digit.is_ascii_digit().then(|| sum * 10 + u64::from(digit - b'0'));
    Some((head.iter().try_fold(0, add)?, rest))
}

/// Milliseconds of a year and `MMDDhhmmss`.
fn seconds(year: u64, text: &[u8]) -> Option<u64> {
    let (month, text) = number(text, 2)?;
    let (day, text) = number(text, 2)?;
    let (hour, text) = number(text, 2)?;
    let (minute, text) = number(text, 2)?;
    let (second, text) = number(text, 2)?;
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => return None,
    };
    let fits = (1..=days).contains(&day) && hour < 24 && minute < 60 && second < 60 && text.is_empty();
    fits.then(|| (day_number(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second) * 1000)
}

/// Days since 1970-01-01, zero before it: Howard Hinnant's `days_from_civil`.
fn day_number(year: u64, month: u64, day: u64) -> u64 {
    let shifted_year = if month <= 2 { year.saturating_sub(1) } else { year };
    let era = shifted_year / 400;
    let year_of_era = shifted_year % 400;
    let shifted_month = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * shifted_month + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    (era * 146_097 + day_of_era).saturating_sub(719_468)
}

/// The text of a GeneralizedTime, with a fraction where `time` has one. None past the year 9999.
#[cfg(feature = "rfc3161-authority")]
pub(super) fn write_generalized(time: UnixMillis) -> Option<String> {
    let text: String = time.to_string().chars().filter(|c| c.is_ascii_digit() || *c == '.').collect();
    let text = text.trim_end_matches('0');
    let (whole, fraction) = text.split_once('.')?;
    let point = if fraction.is_empty() { "" } else { "." };
    (whole.len() == 14).then(|| format!("{whole}{point}{fraction}Z"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_dates_as_the_clock_prints_them() {
        for (text, printed) in [
            ("19700101000000Z", "1970-01-01T00:00:00.000Z"),
            ("20000229235959.999Z", "2000-02-29T23:59:59.999Z"),
            ("21000301000000.001Z", "2100-03-01T00:00:00.001Z"),
            ("20261118110640.5Z", "2026-11-18T11:06:40.500Z"),
            ("20261118110640.1239999Z", "2026-11-18T11:06:40.123Z"),
            ("99991231235959Z", "9999-12-31T23:59:59.000Z"),
            ("19500101000000Z", "1970-01-01T00:00:00.000Z"),
        ] {
            assert_eq!(generalized_time(text.as_bytes()).unwrap().to_string(), printed);
        }
        assert_eq!(utc_time(b"491231235959Z").unwrap().to_string(), "2049-12-31T23:59:59.000Z");
        assert_eq!(utc_time(b"700101000001Z").unwrap(), UnixMillis::new(1000));
    }

    #[test]
    fn refuses_what_is_no_date_or_has_a_second_spelling() {
        for text in [
            "20261118110640.50Z",
            "20261118110640.0Z",
            "20261118110640.Z",
            "20261118110640,5Z",
            "20261118110640",
            "20261118110640+0100",
            "202611181106Z",
            "20261118110660Z",
            "20261118240000Z",
            "20261118116000Z",
            "20260229000000Z",
            "20261301000000Z",
            "20260001000000Z",
            "20260100000000Z",
            "20260431000000Z",
            "2026 118110640Z",
            "20261118110640.1234567890123456789Z",
            "Z",
            "",
        ] {
            assert_eq!(generalized_time(text.as_bytes()), None, "{text}");
        }
        assert_eq!(utc_time(b"2611181106Z"), None);
        assert_eq!(utc_time(b"20261118110640Z"), None);
    }
}
