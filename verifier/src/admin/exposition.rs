//! Prometheus text: samples with their labels, out of what a scrape would read.
//!
//! Guarantees: a text is read whole or refused with its line; the number of samples is bounded; a value that is no number is refused.
//! Does not do: types, help, timestamps; they are skipped.
//! Format: Prometheus text exposition format 0.0.4 (prometheus.io/docs/instrumenting/exposition_formats), and the exemplars of OpenMetrics.

/// Bytes of a scrape: some hundred series of 200 bytes and a few dozen for each route.
pub const EXPOSITION_BYTES_MAX: usize = 8 << 20;

/// Samples of one scrape: at 64 bytes of text each, what [`EXPOSITION_BYTES_MAX`] holds.
pub const SAMPLES_MAX: usize = EXPOSITION_BYTES_MAX / 64;

/// One value.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The metric's name, with `_total`, `_bucket` and the like.
    pub name: String,
    /// Its labels, as they stand.
    pub labels: Vec<(String, String)>,
    /// The value; a gauge may be infinite or not a number.
    pub value: f64,
}

impl Sample {
    /// The value of a label; empty where there is none.
    #[must_use]
    pub fn label(&self, name: &str) -> &str {
        self.labels.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }
}

/// One scrape.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Exposition(Vec<Sample>);

/// Why a text is no scrape.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExpositionError {
    /// It is not UTF-8.
    #[error("it is not UTF-8 text")]
    NotText,
    /// A line is no sample.
    #[error("line {line} is no sample")]
    Line {
        /// From 1.
        line: usize,
    },
    /// There are too many samples.
    #[error("it has more than {SAMPLES_MAX} samples")]
    TooMany,
}

impl Exposition {
    /// Reads a scrape.
    ///
    /// # Errors
    /// [`ExpositionError`] names the line.
    pub fn parse(bytes: &[u8]) -> Result<Self, ExpositionError> {
        let text = str::from_utf8(bytes).map_err(|_| ExpositionError::NotText)?;
        let mut samples = Vec::new();
        for (line, at) in text.lines().zip(1..) {
            let line = line.trim_matches([' ', '\t', '\r']);
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if samples.len() >= SAMPLES_MAX {
                return Err(ExpositionError::TooMany);
            }
            samples.push(sample(line).ok_or(ExpositionError::Line { line: at })?);
        }
        Ok(Self(samples))
    }

    /// Every sample of a name, in the order of the text.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Sample> {
        self.0.iter().filter(move |sample| sample.name == name)
    }

    /// The value of a metric without labels.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<f64> {
        self.all(name).next().map(|sample| sample.value)
    }

    /// The sum over every series of a name; nothing where there is none.
    #[must_use]
    pub fn sum(&self, name: &str) -> Option<f64> {
        let mut values = self.all(name).map(|sample| sample.value).peekable();
        values.peek()?;
        Some(values.sum())
    }
}

/// `name{label="value",…} value [timestamp] [# exemplar]`.
fn sample(line: &str) -> Option<Sample> {
    let end = line.find(|c: char| !is_name(c)).unwrap_or(line.len());
    let (name, rest) = line.split_at_checked(end)?;
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(rest) => labels(rest)?,
        None => (Vec::new(), rest),
    };
    let value = rest.split_ascii_whitespace().next()?;
    let value = match value {
        "+Inf" => f64::INFINITY,
        "-Inf" => f64::NEG_INFINITY,
        "NaN" => f64::NAN,
        // Rust's own words for these are none of the format's.
        number if number.bytes().any(|c| c.is_ascii_digit()) => number.parse().ok()?,
        _ => return None,
    };
    Some(Sample { name: name.to_owned(), labels, value })
}

const fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | ':')
}

/// Labels up to `}`, and what follows it.
fn labels(mut rest: &str) -> Option<(Vec<(String, String)>, &str)> {
    let mut labels = Vec::new();
    loop {
        rest = rest.trim_start_matches([' ', ',']);
        if let Some(rest) = rest.strip_prefix('}') {
            return Some((labels, rest));
        }
        let (name, after) = rest.split_once('=')?;
        let (value, after) = quoted(after.trim_start().strip_prefix('"')?)?;
        if name.is_empty() || !name.trim_end().chars().all(is_name) {
            return None;
        }
        labels.push((name.trim_end().to_owned(), value));
        rest = after;
    }
}

/// A value up to its closing quote, and what follows that.
fn quoted(text: &str) -> Option<(String, &str)> {
    let (mut value, mut characters) = (String::new(), text.char_indices());
    while let Some((at, c)) = characters.next() {
        match c {
            '"' => return Some((value, text.get(at + 1..)?)),
            '\\' => match characters.next()?.1 {
                'n' => value.push('\n'),
                other => value.push(other),
            },
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_format_has() {
        let text = "# HELP a b\n# TYPE a counter\na_total{route=\"x\\\"y\\\\z\\n,}\",code=\"OK\"} 3 1700000000000\n\n\
                    b 1e3\nc{} +Inf\nd NaN # {trace_id=\"1\"} 2\nb{lane = \"q\" , } -1.5\r\n";
        let read = Exposition::parse(text.as_bytes()).unwrap();
        let a = read.all("a_total").next().unwrap();
        assert_eq!((a.label("route"), a.label("code"), a.label("none")), ("x\"y\\z\n,}", "OK", ""));
        assert_eq!((read.value("a_total"), read.value("c")), (Some(3.0), Some(f64::INFINITY)));
        assert!(read.value("d").unwrap().is_nan());
        assert_eq!((read.sum("b"), read.sum("none")), (Some(998.5), None));
    }

    #[test]
    fn refuses_what_is_no_sample_and_names_its_line() {
        for line in [
            "a",
            "a{",
            "a{}",
            "a{b} 1",
            "a{b=c} 1",
            "a{b=\"c} 1",
            "a{b=\"c\" 1",
            "{} 1",
            "1a 1",
            "a x",
            "a infinity",
            "a{=\"c\"} 1",
            "a{é=\"c\"} 1",
            "<html>",
            "a{b=\"\\",
            "é 1",
        ] {
            let error = Exposition::parse(format!("ok 1\n{line}\n").as_bytes());
            assert_eq!(error, Err(ExpositionError::Line { line: 2 }), "{line}");
        }
        assert_eq!(Exposition::parse(b"a\xff 1"), Err(ExpositionError::NotText));
        let many = "a 1\n".repeat(SAMPLES_MAX + 1);
        assert_eq!(Exposition::parse(many.as_bytes()), Err(ExpositionError::TooMany));
    }
}
