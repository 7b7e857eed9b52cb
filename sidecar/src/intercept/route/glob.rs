//! The pattern of the configuration: text in which `*` stands for any characters, `/` included.
//!
//! Guarantees: matching takes time linear in pattern times text, whatever the pattern. Does not do: `?`, `[...]`,
//! escapes; a model name or field path that holds a `*` can only be matched by one.

/// A pattern with `*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob(String);

impl Glob {
    /// Takes a pattern; every text is one.
    #[must_use]
    pub fn new(pattern: &str) -> Self {
        Self(pattern.to_owned())
    }

    /// Whether the whole of `text` fits the pattern.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        let mut pieces = self.0.split('*');
        let Some(rest) = pieces.next().and_then(|first| text.strip_prefix(first)) else {
            return false;
        };
        let Some(last) = pieces.next_back() else {
            return rest.is_empty();
        };
        let Some(mut rest) = rest.strip_suffix(last) else {
            return false;
        };
        for piece in pieces {
            let Some((_, after)) = rest.split_once(piece) else {
                return false;
            };
            rest = after;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::Glob;

    #[test]
    fn matches_whole_texts_only() {
        for (pattern, text, fits) in [
            ("loan", "loan", true),
            ("loan", "loans", false),
            ("loan", "a loan", false),
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("*", "a/b", true),
            ("decision/*", "decision/id", true),
            ("decision/*", "decision", false),
            ("output/*", "output/tensor/y/digest", true),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("a*b*c", "aXbYc", true),
            ("a*b*c", "acb", false),
            ("*b*", "abc", true),
            ("*bc", "abcbc", true),
            ("**", "x", true),
            ("a**b", "ab", true),
            ("*ab*ba*", "aba", false),
        ] {
            assert_eq!(Glob::new(pattern).matches(text), fits, "{pattern} {text}");
        }
    }
}
