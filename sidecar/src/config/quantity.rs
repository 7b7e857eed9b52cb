//! Quantities as a person writes them: `250ms`, `64KiB`, `1024`.
//!
//! Guarantees: a duration or a size without a unit is refused, because a bare number means something else to every
//! reader. Does not do: fractions, and decimal sizes such as `64kB`.

use std::time::Duration;

/// The units of durations in microseconds.
const DURATION_UNITS: [(&str, u64); 6] = [
    ("us", 1),
    ("ms", 1_000),
    ("s", 1_000_000),
    ("m", 60_000_000),
    ("h", 3_600_000_000),
    ("d", 86_400_000_000),
];

/// The units of sizes in bytes.
const BYTE_UNITS: [(&str, u64); 4] = [("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];

/// What a duration must look like.
pub(super) const DURATION: &str = "a duration with its unit, for example \"250ms\", \"2s\" or \"5m\"";

/// What a size must look like.
pub(super) const BYTES: &str = "a size with its unit, for example \"64KiB\" or \"16MiB\"";

/// What a count must look like.
pub(super) const COUNT: &str = "a whole number, for example 1024";

/// Reads a duration longer than nothing.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let micros = with_unit(text, &DURATION_UNITS)?;
    (micros > 0).then(|| Duration::from_micros(micros))
}

/// Reads a size of at least one byte.
pub(super) fn bytes(text: &str) -> Option<u64> {
    with_unit(text, &BYTE_UNITS).filter(|bytes| *bytes > 0)
}

/// Reads a count of at least one.
pub(super) fn count(text: &str) -> Option<usize> {
    text.parse().ok().filter(|count| *count > 0 && is_digits(text))
}

fn with_unit(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let (_, scale) = units.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*scale)
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|c| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_durations_with_units() {
        for (text, micros) in
            [("1us", 1), ("250ms", 250_000), ("2s", 2_000_000), ("5m", 300_000_000), ("1h", 3_600_000_000)]
        {
            assert_eq!(duration(text), Some(Duration::from_micros(micros)), "{text}");
        }
        for text in [
            "",
            "250",
            "ms",
            "0ms",
            "-1s",
            "+1s",
            "1.5s",
            "1 s",
            "1S",
            "1min",
            "99999999999999999999s",
            "9999999999999h",
        ] {
            assert_eq!(duration(text), None, "{text}");
        }
    }

    #[test]
    fn reads_sizes_with_units() {
        for (text, size) in [("1B", 1), ("64KiB", 65_536), ("16MiB", 16_777_216), ("2GiB", 2_147_483_648)] {
            assert_eq!(bytes(text), Some(size), "{text}");
        }
        for text in
            ["", "64", "KiB", "0B", "64kB", "64KB", "64K", "1TiB", "1.5MiB", "64 KiB", "99999999999GiB"]
        {
            assert_eq!(bytes(text), None, "{text}");
        }
    }

    #[test]
    fn reads_counts() {
        assert_eq!(count("1024"), Some(1024));
        for text in ["", "0", "-1", "+1", "1k", "1_000", "1.0", " 1", "99999999999999999999"] {
            assert_eq!(count(text), None, "{text}");
        }
    }
}
