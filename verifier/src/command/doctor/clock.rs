//! How far this machine's clock and the sidecar's are apart.

use ledgerstone::time::{Date, UnixMillis};

use super::finding::Findings;

/// What the way between two machines, and whole seconds in a header, may make of it.
const FINE_MS: u64 = 5_000;

/// From here on timestamps, tokens and certificates go wrong.
const WRONG_MS: u64 = 60_000;

/// Says how far `theirs` is from `now`; `what` says whose it is.
pub(super) fn judge(findings: &mut Findings, now: UnixMillis, theirs: UnixMillis, what: &str) {
    let (ahead, behind) = (theirs.millis_since(now), now.millis_since(theirs));
    let apart = ahead.max(behind);
    let detail = format!(
        "{what} is {} s {} this machine's clock.",
        apart / 1000,
        if ahead > behind { "ahead of" } else { "behind" }
    );
    const FIX: &str = "Have both machines follow a time server (timedatectl, chronyc tracking). The sidecar refuses entries while its \
                       clock is set back, so let it be slewed, not stepped.";
    if apart <= FINE_MS {
        findings.ok("clock", format!("{what} and this machine's clock agree within 5 s."));
    } else if apart <= WRONG_MS {
        findings.warn("clock", detail, FIX);
    } else {
        findings.fail("clock", detail, FIX);
    }
}

/// Reads the header `date` of HTTP in the form that servers must send: `Sun, 06 Nov 1994 08:49:37 GMT`.
pub(super) fn http_date(text: &str) -> Option<UnixMillis> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let mut words = text.split(' ').skip(1);
    let (day, month, year, time) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let month = MONTHS.iter().position(|known| *known == month)? + 1;
    let date = Date::parse(&format!("{year}-{month:02}-{day}"))?;
    let mut parts = time.split(':').map(|part| part.parse::<u64>().ok());
    let (hour, minute, second) = (parts.next()??, parts.next()??, parts.next()??);
    let fits = hour < 24 && minute < 60 && second <= 60 && words.next() == Some("GMT");
    fits.then(|| date.start().plus_millis((hour * 3600 + minute * 60 + second) * 1000))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::doctor::finding::Level;

    #[test]
    fn reads_the_date_of_http_and_nothing_like_it() {
        assert_eq!(http_date("Sun, 06 Nov 1994 08:49:37 GMT"), Some(UnixMillis::new(784_111_777_000)));
        for text in [
            "",
            "Sun",
            "Sun, 06 Nov 1994 08:49:37",
            "Sun, 06 Nov 1994 08:49:37 UTC",
            "Sun, 31 Feb 1994 08:49:37 GMT",
            "Sun, 06 nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 24:00:00 GMT",
            "Sun, 06 Nov 1994 08:49 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun, 06 Nov 99999999999999999999 08:49:37 GMT",
        ] {
            assert_eq!(http_date(text), None, "{text}");
        }
    }

    #[test]
    fn seconds_are_fine_and_minutes_are_not() {
        let level = |now, theirs| {
            let mut findings = Findings::default();
            judge(&mut findings, UnixMillis::new(now), UnixMillis::new(theirs), "it");
            findings.all[0].level
        };
        assert_eq!((level(9_000, 4_000), level(4_000, 9_000)), (Level::Ok, Level::Ok));
        assert_eq!((level(9_000, 3_999), level(0, 60_000)), (Level::Warn, Level::Warn));
        assert_eq!((level(60_001, 0), level(0, 600_000)), (Level::Fail, Level::Fail));
    }
}
