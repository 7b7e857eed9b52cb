//! SPIFFE ids: `spiffe://TRUST-DOMAIN/PATH` (SPIFFE-ID, section 2).

use std::fmt;

use ledgerstone::code::Code;

/// Bytes of a SPIFFE id (SPIFFE-ID, section 2.3).
pub const ID_BYTES_MAX: usize = 2048;

/// Bytes of the name of a trust domain: what RFC 3986 gives a host (SPIFFE-ID, section 2.3).
pub const TRUST_DOMAIN_BYTES_MAX: usize = 255;

const SCHEME: &str = "spiffe://";

/// A SPIFFE id: a trust domain and a path, which is empty for the domain itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpiffeId {
    text: String,
    /// Where the path begins.
    path: usize,
}

impl SpiffeId {
    /// Reads a SPIFFE id. It has one spelling only: no percent-encoding, no upper case in the trust domain, no `.` or `..` and no
    /// empty segment in the path (SPIFFE-ID, sections 2.1 and 2.2).
    ///
    /// # Errors
    /// [`SpiffeIdError`] says which rule it breaks.
    pub fn parse(text: &str) -> Result<Self, SpiffeIdError> {
        if text.len() > ID_BYTES_MAX {
            return Err(SpiffeIdError::TooLong);
        }
        let rest = text.strip_prefix(SCHEME).ok_or(SpiffeIdError::Scheme)?;
        let (domain, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
        let in_domain = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || b".-_".contains(&c);
        if domain.is_empty() || domain.len() > TRUST_DOMAIN_BYTES_MAX || !domain.bytes().all(in_domain) {
            return Err(SpiffeIdError::TrustDomain);
        }
        let in_path = |c: u8| c.is_ascii_alphanumeric() || b".-_".contains(&c);
        let fine = |segment: &str| !matches!(segment, "" | "." | "..") && segment.bytes().all(in_path);
        if !path.is_empty() && !path.split('/').skip(1).all(fine) {
            return Err(SpiffeIdError::Path);
        }
        Ok(Self { text: text.to_owned(), path: SCHEME.len() + domain.len() })
    }

    /// The whole id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The name of the trust domain.
    #[must_use]
    pub fn trust_domain(&self) -> &str {
        self.text.get(SCHEME.len()..self.path).unwrap_or_default()
    }

    /// The path with its slash; empty where the id names the trust domain.
    #[must_use]
    pub fn path(&self) -> &str {
        self.text.get(self.path..).unwrap_or_default()
    }
}

impl fmt::Display for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Why a text is no SPIFFE id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SpiffeIdError {
    /// It does not begin with `spiffe://`.
    #[error("a SPIFFE id begins with spiffe://")]
    Scheme,
    /// It is too long.
    #[error("a SPIFFE id has at most {ID_BYTES_MAX} bytes")]
    TooLong,
    /// The trust domain.
    #[error(
        "the trust domain of a SPIFFE id is 1 to {TRUST_DOMAIN_BYTES_MAX} characters of a-z, 0-9, '.', '-' and '_', without user or port"
    )]
    TrustDomain,
    /// The path.
    #[error(
        "the segments of a SPIFFE id's path are of a-z, A-Z, 0-9, '.', '-' and '_'; none is empty, '.' or '..', and no query or fragment follows"
    )]
    Path,
}

impl SpiffeIdError {
    /// What the reader must do about it.
    #[must_use]
    pub const fn code(self) -> Code {
        Code::Malformed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_ids_apart() {
        let id = SpiffeId::parse("spiffe://k8s-west.example_1.com/ns/staging/sa/Default-2").unwrap();
        assert_eq!(id.trust_domain(), "k8s-west.example_1.com");
        assert_eq!(id.path(), "/ns/staging/sa/Default-2");
        assert_eq!(id.as_str(), "spiffe://k8s-west.example_1.com/ns/staging/sa/Default-2");
        let domain = SpiffeId::parse("spiffe://example.org").unwrap();
        assert_eq!((domain.trust_domain(), domain.path()), ("example.org", ""));
        assert!(SpiffeId::parse("spiffe://example.org/...").is_ok(), "three dots are a name");
    }

    #[test]
    fn refuses_what_is_spelled_otherwise() {
        use SpiffeIdError::{Path, Scheme, TooLong, TrustDomain};
        let long = format!("spiffe://a/{}", "b".repeat(ID_BYTES_MAX));
        let wide = format!("spiffe://{}/b", "a".repeat(TRUST_DOMAIN_BYTES_MAX + 1));
        for (text, error) in [
            ("", Scheme),
            ("https://example.org/a", Scheme),
            ("SPIFFE://example.org/a", Scheme),
            ("spiffe:/example.org/a", Scheme),
            ("spiffe://", TrustDomain),
            ("spiffe:///a", TrustDomain),
            ("spiffe://Example.org/a", TrustDomain),
            ("spiffe://user@example.org/a", TrustDomain),
            ("spiffe://example.org:8443/a", TrustDomain),
            ("spiffe://example.org:/a", TrustDomain),
            ("spiffe://[::1]/a", TrustDomain),
            ("spiffe://ex%61mple.org/a", TrustDomain),
            ("spiffe://example.org?a", TrustDomain),
            ("spiffe://exämple.org/a", TrustDomain),
            ("spiffe://example.org\0/a", TrustDomain),
            ("spiffe://example.org/", Path),
            ("spiffe://example.org/a/", Path),
            ("spiffe://example.org/a//b", Path),
            ("spiffe://example.org/./a", Path),
            ("spiffe://example.org/a/..", Path),
            ("spiffe://example.org/a?b", Path),
            ("spiffe://example.org/a#b", Path),
            ("spiffe://example.org/a%2fb", Path),
            ("spiffe://example.org/a b", Path),
            ("spiffe://example.org/ä", Path),
            (&wide, TrustDomain),
            (&long, TooLong),
        ] {
            assert_eq!(SpiffeId::parse(text), Err(error), "{text}");
        }
        let whole = &long[..ID_BYTES_MAX];
        assert!(SpiffeId::parse(whole).is_ok(), "exactly as long as it may be");
    }
}
