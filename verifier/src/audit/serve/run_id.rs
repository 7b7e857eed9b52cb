//! The name of a run: everything that its results depend on, hashed.

use std::fmt;
use std::str::FromStr;

use ledgerstone::encoding::{hex_decode, hex_encode};
use ledgerstone::hash::Hash;

use super::ServeError;

/// Set apart from every other use of the hash.
const CONTEXT: &str = "ledgerstone/audit-run/v1";

/// The name of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId([u8; 16]);

impl RunId {
    /// The name of the run of these files under the settings of a service.
    #[must_use]
    pub fn new(settings: &Hash, bundle: &Hash, draw: Option<&Hash>, description: Option<&Hash>) -> Self {
        let named = |hash: Option<&Hash>| hash.map_or_else(|| "none".to_owned(), Hash::to_string);
        let text = [
            CONTEXT.to_owned(),
            settings.to_string(),
            bundle.to_string(),
            named(draw),
            named(description),
            String::new(),
        ];
        let mut id = [0; 16];
        for (to, from) in id.iter_mut().zip(Hash::of(text.join("\n").as_bytes()).as_bytes()) {
            *to = *from;
        }
        Self(id)
    }
}

impl FromStr for RunId {
    type Err = ServeError;

    fn from_str(text: &str) -> Result<Self, ServeError> {
        let bytes = hex_decode(text).ok().and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or(ServeError::NoRunId)
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex_encode(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_makes_another_run() {
        let [a, b] = [b"a", b"b"].map(|byte| Hash::of(byte));
        let ids = [
            RunId::new(&a, &b, None, None),
            RunId::new(&b, &b, None, None),
            RunId::new(&a, &a, None, None),
            RunId::new(&a, &b, Some(&a), None),
            RunId::new(&a, &b, None, Some(&a)),
            RunId::new(&a, &b, Some(&a), Some(&a)),
        ];
        let different: std::collections::BTreeSet<_> = ids.iter().collect();
        assert_eq!(different.len(), ids.len());
        assert_eq!(ids[0], RunId::new(&a, &b, None, None));
        assert_eq!(ids[0].to_string().parse::<RunId>().unwrap(), ids[0]);
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for text in ["", "00", "../../etc/passwd", &"g".repeat(32), &"0".repeat(31), &"0".repeat(33)] {
            assert!(text.parse::<RunId>().is_err(), "{text}");
        }
        assert!("AB".repeat(16).parse::<RunId>().is_err(), "one spelling only");
    }
}
