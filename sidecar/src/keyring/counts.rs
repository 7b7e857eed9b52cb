//! How many keys, holds and notes a keyring has.

use super::database::Database;
use super::error::RingError;

/// How many there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Keys that somebody has.
    pub assigned: u64,
    /// Keys that are nobody's yet.
    pub pooled: u64,
    /// Keys that were destroyed.
    pub destroyed: u64,
    /// Holds that stand.
    pub holds: u64,
    /// Erasures whose entries are not in the log yet.
    pub unfinished: u64,
    /// Bytes of the file.
    pub bytes: u64,
}

impl Database {
    pub(crate) fn counts(&self) -> Result<Counts, RingError> {
        let count = |sql: &str| -> Result<u64, RingError> {
            let mut statement = self.connection().prepare_cached(sql)?;
            Ok(u64::try_from(statement.query_row([], |row| row.get::<_, i64>(0))?).unwrap_or_default())
        };
        Ok(Counts {
            assigned: count("SELECT count(*) FROM keys WHERE class IS NOT NULL")?,
            pooled: count("SELECT count(*) FROM keys WHERE class IS NULL")?,
            destroyed: count("SELECT count(*) FROM destroyed")?,
            holds: count("SELECT count(*) FROM holds")?,
            unfinished: count("SELECT count(*) FROM erasures")?,
            bytes: count("PRAGMA page_count")? * count("PRAGMA page_size")?,
        })
    }
}
