//! The file that wrapped subject keys lie in: SQLite, small, changed in place.
//!
//! Guarantees: a secret stands in exactly one place of the file. Rows of `secrets` have one size, are only ever appended or
//! overwritten where they stand, and never move, because what SQLite leaves behind when it moves rows between pages is not
//! wiped, whatever `secure_delete` says. After [`Database::wipe`] the write-ahead log is empty too. A file with another
//! schema, another log's, or a damaged one is refused.
//! Does not do: remnants below the file system (a journaling one, a solid-state disk, a snapshot): destroy the
//! key-encryption key behind a rotation for those.
//!
//! The index from a person's tag to keys holds 24 bits of the tag only, because rows of an index do move.

use std::fmt;
use std::path::{Path, PathBuf};

use ledgerstone::hash::Hash;
use ledgerstone::merkle::TreeSize;
use ledgerstone::record::SubjectKeyId;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, Transaction, TransactionBehavior, params};

use super::error::RingError;
use super::hot::{Given, Tag};
use super::{KeyId, WrappedKey};

mod secret;

use secret::{TAG_BYTES, bucket, read_secret, secret};

/// `PRAGMA application_id` of a keyring: "LSKR".
const APPLICATION_ID: i64 = 0x4c53_4b52;

/// `PRAGMA user_version`: the format.
const FORMAT: i64 = 1;

/// What SQLite may keep of the file in memory, in KiB.
const CACHE_KIB: i64 = 16 * 1024;

/// How long another process that reads the file is waited for, in milliseconds.
const BUSY_MS: u32 = 5_000;

const SCHEMA: &str = "
CREATE TABLE meta(name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE names(number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE secrets(slot INTEGER PRIMARY KEY, bytes BLOB NOT NULL);
CREATE TABLE free(slot INTEGER PRIMARY KEY, size INTEGER NOT NULL);
CREATE INDEX free_by_size ON free(size);
CREATE TABLE keys(number INTEGER PRIMARY KEY, slot INTEGER NOT NULL UNIQUE, id BLOB NOT NULL UNIQUE, kek INTEGER NOT NULL, bucket INTEGER, class INTEGER, month INTEGER, records INTEGER NOT NULL DEFAULT 0, shared INTEGER NOT NULL DEFAULT 0);
CREATE INDEX keys_by_bucket ON keys(bucket) WHERE bucket IS NOT NULL;
CREATE INDEX keys_by_class ON keys(class, month);
CREATE INDEX keys_by_kek ON keys(kek);
CREATE TABLE rekeyed(record BLOB PRIMARY KEY, keys BLOB NOT NULL, wrapped BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE rekeyed_by(key BLOB NOT NULL, record BLOB NOT NULL, PRIMARY KEY(key, record)) WITHOUT ROWID;
CREATE TABLE destroyed(key BLOB PRIMARY KEY, ground INTEGER NOT NULL, leaf INTEGER) WITHOUT ROWID;
CREATE TABLE erasures(id BLOB NOT NULL, part INTEGER NOT NULL, entry BLOB NOT NULL, PRIMARY KEY(id, part)) WITHOUT ROWID;
CREATE TABLE holds(id BLOB PRIMARY KEY, mark BLOB, decision BLOB, record BLOB, keys BLOB, leaf INTEGER NOT NULL) WITHOUT ROWID;
";

/// An open keyring file.
#[derive(Debug)]
pub(crate) struct Database {
    connection: Connection,
    path: PathBuf,
}

/// One key as it is stored.
#[derive(Clone)]
pub(crate) struct StoredKey {
    /// Counts up as keys are made; stays when its secret moves.
    pub(crate) number: i64,
    /// Where its secret lies.
    pub(crate) slot: i64,
    pub(crate) id: SubjectKeyId,
    /// The key-encryption key that it is wrapped under.
    pub(crate) kek: KeyId,
    pub(crate) wrapped: WrappedKey,
    pub(crate) tag: Tag,
    /// Nothing while it is nobody's.
    pub(crate) class: Option<String>,
    pub(crate) month: u32,
    /// Records under it.
    pub(crate) records: u64,
    /// Whether a record under it is about others too.
    pub(crate) shared: bool,
}

impl fmt::Debug for StoredKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoredKey({} under {})", self.id, self.kek)
    }
}

impl Database {
    /// Opens the keyring of the log `origin` at `path`, or makes it. Says whether it is new.
    pub(crate) fn open(path: &Path, origin: Hash) -> Result<(Self, bool), RingError> {
        if !path.exists() {
            // The file holds wrapped keys only, but whose business are they.
            drop(
                super::create_private(path)
                    .map_err(|source| RingError::File { path: path.to_owned(), source })?,
            );
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let database = Self::connect(path, flags)?;
        let is_new = database.is_empty()?;
        if is_new {
            database.create(origin)?;
        }
        database.check(origin)?;
        database.connection.pragma_update(None, "journal_mode", "WAL")?;
        database.connection.pragma_update(None, "synchronous", "FULL")?;
        Ok((database, is_new))
    }

    /// Opens it to be read beside a sidecar that may be running.
    pub(crate) fn open_to_read(path: &Path, origin: Hash) -> Result<Self, RingError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let database = Self::connect(path, flags)?;
        database.connection.pragma_update(None, "query_only", true)?;
        database.check(origin)?;
        Ok(database)
    }

    fn connect(path: &Path, flags: OpenFlags) -> Result<Self, RingError> {
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(std::time::Duration::from_millis(BUSY_MS.into()))?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
        connection.set_prepared_statement_cache_capacity(64);
        let database = Self { connection, path: path.to_owned() };
        for (name, value) in
            [("cell_size_check", 1), ("secure_delete", 1), ("cache_size", -CACHE_KIB), ("temp_store", 2)]
        {
            database.pragma(name, value)?;
        }
        Ok(database)
    }

    /// Sets a pragma, whether or not it answers.
    fn pragma(&self, name: &str, value: i64) -> Result<(), RingError> {
        let mut statement = self.connection.prepare(&format!("PRAGMA {name} = {value}"))?;
        let mut rows = statement.query([])?;
        while rows.next()?.is_some() {}
        Ok(())
    }

    fn is_empty(&self) -> Result<bool, RingError> {
        let count: i64 =
            self.connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        let id: i64 = self.connection.query_row("PRAGMA application_id", [], |row| row.get(0))?;
        Ok(count == 0 && id == 0)
    }

    fn create(&self, origin: Hash) -> Result<(), RingError> {
        self.connection.execute_batch(&format!(
            "BEGIN IMMEDIATE; {SCHEMA} PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {FORMAT};"
        ))?;
        self.connection.execute("INSERT INTO meta VALUES('origin', ?1)", [origin.as_bytes().as_slice()])?;
        self.connection.execute_batch("COMMIT")?;
        Ok(())
    }

    /// Checks that this is a keyring of this format and of this log.
    fn check(&self, origin: Hash) -> Result<(), RingError> {
        let number = |pragma: &str| self.connection.query_row(pragma, [], |row| row.get::<_, i64>(0));
        if number("PRAGMA application_id")? != APPLICATION_ID {
            return Err(RingError::NoKeyring { path: self.path.clone() });
        }
        let format = number("PRAGMA user_version")?;
        if format != FORMAT {
            return Err(RingError::Format { found: format });
        }
        let mut statement =
            self.connection.prepare("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY sql")?;
        let found = statement.query_map([], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
        // A copy without free space has them in another order.
        let mut expected: Vec<&str> =
            SCHEMA.split(';').map(str::trim).filter(|sql| !sql.is_empty()).collect();
        expected.sort_unstable();
        if !found.iter().map(String::as_str).eq(expected) {
            return Err(RingError::Damaged { what: "its tables are not those of a keyring" });
        }
        match self.meta("origin")? {
            Some(found) if found == origin.as_bytes() => Ok(()),
            _ => Err(RingError::OtherLog),
        }
    }

    /// Looks at every page: for a file that comes from elsewhere.
    pub(crate) fn check_whole(&self) -> Result<(), RingError> {
        let said: String = self.connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
        if said == "ok" { Ok(()) } else { Err(RingError::Damaged { what: "SQLite finds it inconsistent" }) }
    }

    /// Begins a change.
    pub(crate) fn begin(&mut self) -> Result<Change<'_>, RingError> {
        Ok(Change(self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?))
    }

    /// Empties the write-ahead log, so that no older version of a page is left beside the file.
    pub(crate) fn wipe(&self) -> Result<(), RingError> {
        let busy: i64 = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
        if busy == 0 { Ok(()) } else { Err(RingError::Busy) }
    }

    /// Empties the write-ahead log and lets go of the file. Whatever is asked afterwards is an error: there is no table.
    pub(crate) fn close(&mut self) -> Result<(), RingError> {
        let wiped = self.wipe();
        let open = std::mem::replace(&mut self.connection, Connection::open_in_memory()?);
        open.close().map_err(|(_, error)| error)?;
        wiped
    }

    /// Writes a copy without any free space to `path`, which must not exist.
    pub(crate) fn copy_to(&self, path: &Path) -> Result<(), RingError> {
        let path = path.to_str().ok_or(RingError::Path)?;
        // Nothing of this file is written, but SQLite cannot know.
        let only_read: i64 = self.connection.query_row("PRAGMA query_only", [], |row| row.get(0))?;
        self.pragma("query_only", 0)?;
        let copied = self.connection.execute("VACUUM INTO ?1", [path]);
        self.pragma("query_only", only_read)?;
        Ok(copied.map(drop)?)
    }

    pub(crate) fn meta(&self, name: &str) -> Result<Option<Vec<u8>>, RingError> {
        let mut statement = self.connection.prepare_cached("SELECT value FROM meta WHERE name = ?1")?;
        Ok(statement.query_row([name], |row| row.get(0)).optional()?)
    }

    /// Whether it has no key and never had one.
    pub(crate) fn has_no_keys(&self) -> Result<bool, RingError> {
        let sql = "SELECT NOT EXISTS(SELECT 1 FROM keys) AND NOT EXISTS(SELECT 1 FROM destroyed)";
        Ok(self.connection.query_row(sql, [], |row| row.get(0))?)
    }

    /// How much of the log it knows.
    pub(crate) fn watermark(&self) -> Result<TreeSize, RingError> {
        let Some(bytes) = self.meta("watermark")? else { return Ok(TreeSize::new(0)) };
        let bytes = bytes.try_into().map_err(|_| RingError::Damaged { what: "its watermark is none" })?;
        Ok(TreeSize::new(u64::from_be_bytes(bytes)))
    }

    pub(crate) fn key(&self, id: &SubjectKeyId) -> Result<Option<StoredKey>, RingError> {
        self.keys_where("k.id = ?1", [id.as_bytes().as_slice()]).map(|keys| keys.into_iter().next())
    }

    /// The keys of a person.
    pub(crate) fn keys_of(&self, tag: &Tag) -> Result<Vec<StoredKey>, RingError> {
        let mut keys = self.keys_where("k.bucket = ?1", [bucket(tag)])?;
        keys.retain(|key| key.tag == *tag);
        Ok(keys)
    }

    /// Keys that are nobody's, `count` of them at most, after the one with `number`. One that a record is under is somebody's, even
    /// if nobody could say whose.
    pub(crate) fn pooled_after(&self, number: i64, count: usize) -> Result<Vec<StoredKey>, RingError> {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        self.keys_where(
            "k.class IS NULL AND k.records = 0 AND k.number > ?1 ORDER BY k.number LIMIT ?2",
            [number, count],
        )
    }

    /// Keys under another key-encryption key than `kek`, `count` of them at most.
    pub(crate) fn not_under(&self, kek: &KeyId, count: usize) -> Result<Vec<StoredKey>, RingError> {
        let kek = self.connection.query_row(
            "SELECT number FROM names WHERE name = ?1",
            [format!("kek {kek}")],
            |row| row.get::<_, i64>(0),
        );
        let kek = kek.optional()?.unwrap_or(-1);
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        // Two ranges, so that the index serves both.
        let mut keys = self.keys_where("k.kek < ?1 LIMIT ?2", [kek, count])?;
        keys.extend(self.keys_where("k.kek > ?1 LIMIT ?2", [kek, count])?);
        Ok(keys)
    }

    /// How many keys are under another key-encryption key than `kek`. Counts them: for somebody who asks.
    pub(crate) fn left_under_others(&self, kek: &KeyId) -> Result<u64, RingError> {
        let count: i64 = self.connection.query_row(
            "SELECT count(*) FROM keys WHERE kek <> ifnull((SELECT number FROM names WHERE name = ?1), -1)",
            [format!("kek {kek}")],
            |row| row.get(0),
        )?;
        Ok(u64::try_from(count).unwrap_or_default())
    }

    /// Keys of a class up to a month, `count` of them at most, after the one with `number`.
    pub(crate) fn of_class(
        &self,
        class: &str,
        until: u32,
        after: i64,
        count: usize,
    ) -> Result<Vec<StoredKey>, RingError> {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        self.keys_where(
            "k.class = (SELECT number FROM names WHERE name = ?1) AND k.month <= ?2 AND k.number > ?3 ORDER BY k.number LIMIT ?4",
            params![format!("class {class}"), until, after, count],
        )
    }

    /// The classes that keys have.
    pub(crate) fn classes(&self) -> Result<Vec<String>, RingError> {
        let mut statement =
            self.connection.prepare_cached("SELECT name FROM names WHERE name LIKE 'class %'")?;
        let names = statement.query_map([], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
        Ok(names.iter().filter_map(|name| name.strip_prefix("class ")).map(str::to_owned).collect())
    }

    fn keys_where(
        &self,
        condition: &str,
        values: impl rusqlite::Params,
    ) -> Result<Vec<StoredKey>, RingError> {
        let sql = format!(
            "SELECT k.slot, k.id, e.name, s.bytes, c.name, k.month, k.records, k.shared, k.number FROM keys k JOIN secrets s ON s.slot = k.slot \
             JOIN names e ON e.number = k.kek LEFT JOIN names c ON c.number = k.class WHERE {condition}"
        );
        let mut statement = self.connection.prepare_cached(&sql)?;
        let mut rows = statement.query(values)?;
        let mut keys = Vec::new();
        while let Some(row) = rows.next()? {
            let damaged = |what| RingError::Damaged { what };
            let id: Vec<u8> = row.get(1)?;
            let (kek, class): (String, Option<String>) = (row.get(2)?, row.get(4)?);
            let kek = kek.strip_prefix("kek ").and_then(|kek| KeyId::new(kek).ok());
            let (tag, wrapped) =
                read_secret(row.get_ref(3)?.as_blob().map_err(|_| damaged("a secret is none"))?)?;
            let class = class.map(|class| class.strip_prefix("class ").unwrap_or_default().to_owned());
            keys.push(StoredKey {
                number: row.get(8)?,
                slot: row.get(0)?,
                id: SubjectKeyId::from_bytes(id.try_into().map_err(|_| damaged("a key has no name"))?),
                kek: kek.ok_or(damaged("a key names no key-encryption key"))?,
                wrapped,
                tag,
                class,
                month: row.get::<_, Option<u32>>(5)?.unwrap_or_default(),
                records: u64::try_from(row.get::<_, i64>(6)?).unwrap_or_default(),
                shared: row.get(7)?,
            });
        }
        Ok(keys)
    }

    /// The connection, for what the other parts of the keyring ask.
    pub(super) const fn connection(&self) -> &Connection {
        &self.connection
    }
}

/// A change of the keyring; nothing of it holds unless it is committed.
#[derive(Debug)]
pub(crate) struct Change<'a>(pub(super) Transaction<'a>);

impl Change<'_> {
    /// Makes the change durable.
    pub(crate) fn commit(self) -> Result<(), RingError> {
        Ok(self.0.commit()?)
    }

    pub(crate) fn set_meta(&self, name: &str, value: &[u8]) -> Result<(), RingError> {
        let mut statement = self.0.prepare_cached("INSERT OR REPLACE INTO meta VALUES(?1, ?2)")?;
        statement.execute(params![name, value])?;
        Ok(())
    }

    /// Adds a key that is nobody's.
    pub(crate) fn insert(
        &self,
        id: &SubjectKeyId,
        kek: &KeyId,
        wrapped: &WrappedKey,
    ) -> Result<i64, RingError> {
        let bytes = secret(&[0; TAG_BYTES], wrapped);
        let slot = self.place(&bytes)?;
        let kek = self.name(&format!("kek {kek}"))?;
        let mut statement = self.0.prepare_cached("INSERT INTO keys(slot, id, kek) VALUES(?1, ?2, ?3)")?;
        statement.execute(params![slot, id.as_bytes().as_slice(), kek])?;
        Ok(slot)
    }

    /// Says whose a key is, if it was nobody's.
    pub(crate) fn assign(&self, id: &SubjectKeyId, given: &Given) -> Result<(), RingError> {
        let class = self.name(&format!("class {}", given.class))?;
        let mut statement = self.0.prepare_cached(
            "UPDATE keys SET bucket = ?2, class = ?3, month = ?4 WHERE id = ?1 AND class IS NULL RETURNING slot",
        )?;
        let values = params![id.as_bytes().as_slice(), given.tag.as_ref().map(bucket), class, given.month];
        let slot: Option<i64> = statement.query_row(values, |row| row.get(0)).optional()?;
        let (Some(slot), Some(tag)) = (slot, given.tag) else { return Ok(()) };
        let bytes: Vec<u8> =
            self.0.query_row("SELECT bytes FROM secrets WHERE slot = ?1", [slot], |row| row.get(0))?;
        let (_, wrapped) = read_secret(&bytes)?;
        self.overwrite(slot, &secret(&tag, &wrapped))
    }

    /// Counts `records` more under a key. Says whether the keyring has it.
    pub(crate) fn count(&self, id: &SubjectKeyId, records: u64) -> Result<bool, RingError> {
        let mut statement = self.0.prepare_cached("UPDATE keys SET records = records + ?2 WHERE id = ?1")?;
        Ok(statement
            .execute(params![id.as_bytes().as_slice(), i64::try_from(records).unwrap_or(i64::MAX)])?
            > 0)
    }

    /// A record under a key is about others too.
    pub(crate) fn share(&self, id: &SubjectKeyId) -> Result<(), RingError> {
        let mut statement =
            self.0.prepare_cached("UPDATE keys SET shared = 1 WHERE id = ?1 AND shared = 0")?;
        statement.execute([id.as_bytes().as_slice()])?;
        Ok(())
    }

    /// Wraps a key anew: in its place, or where the new bytes have another size in another one.
    pub(crate) fn rewrap(&self, key: &StoredKey, kek: &KeyId, wrapped: &WrappedKey) -> Result<(), RingError> {
        let (old, new) = (secret(&key.tag, &key.wrapped), secret(&key.tag, wrapped));
        let kek = self.name(&format!("kek {kek}"))?;
        let slot = if old.len() == new.len() {
            self.overwrite(key.slot, &new)?;
            key.slot
        } else {
            self.vacate(key.slot, old.len())?;
            self.place(&new)?
        };
        self.0.execute(
            "UPDATE keys SET kek = ?2, slot = ?3 WHERE number = ?1",
            params![key.number, kek, slot],
        )?;
        Ok(())
    }

    /// Destroys a key: its secret is overwritten where it stands. Says whether it was there.
    pub(crate) fn destroy(
        &self,
        id: &SubjectKeyId,
        ground: u64,
        leaf: Option<u64>,
    ) -> Result<bool, RingError> {
        let mut statement = self.0.prepare_cached("DELETE FROM keys WHERE id = ?1 RETURNING slot")?;
        let slot: Option<i64> =
            statement.query_row([id.as_bytes().as_slice()], |row| row.get(0)).optional()?;
        if let Some(slot) = slot {
            let mut size = self.0.prepare_cached("SELECT length(bytes) FROM secrets WHERE slot = ?1")?;
            let size: i64 = size.query_row([slot], |row| row.get(0))?;
            self.vacate(slot, usize::try_from(size).unwrap_or_default())?;
        }
        let leaf = leaf.and_then(|leaf| i64::try_from(leaf).ok());
        let mut statement = self.0.prepare_cached(
            "INSERT INTO destroyed VALUES(?1, ?2, ?3) ON CONFLICT(key) DO UPDATE SET leaf = ifnull(leaf, ?3)",
        )?;
        statement.execute(params![
            id.as_bytes().as_slice(),
            i64::try_from(ground).unwrap_or_default(),
            leaf
        ])?;
        Ok(slot.is_some())
    }

    fn overwrite(&self, slot: i64, bytes: &[u8]) -> Result<(), RingError> {
        let mut statement = self.0.prepare_cached("UPDATE secrets SET bytes = ?2 WHERE slot = ?1")?;
        statement.execute(params![slot, bytes])?;
        Ok(())
    }

    fn vacate(&self, slot: i64, size: usize) -> Result<(), RingError> {
        self.overwrite(slot, &vec![0; size])?;
        let mut statement = self.0.prepare_cached("INSERT OR REPLACE INTO free VALUES(?1, ?2)")?;
        statement.execute(params![slot, i64::try_from(size).unwrap_or_default()])?;
        Ok(())
    }

    /// Puts a secret into a free place of its size, or behind all others.
    fn place(&self, bytes: &[u8]) -> Result<i64, RingError> {
        let size = i64::try_from(bytes.len()).unwrap_or_default();
        let mut free = self.0.prepare_cached(
            "DELETE FROM free WHERE slot = (SELECT slot FROM free WHERE size = ?1 LIMIT 1) RETURNING slot",
        )?;
        if let Some(slot) = free.query_row([size], |row| row.get::<_, i64>(0)).optional()? {
            self.overwrite(slot, bytes)?;
            return Ok(slot);
        }
        self.0.prepare_cached("INSERT INTO secrets(bytes) VALUES(?1)")?.execute([bytes])?;
        Ok(self.0.last_insert_rowid())
    }

    /// The number of a name, a new one if it is not known.
    fn name(&self, name: &str) -> Result<i64, RingError> {
        let mut statement = self.0.prepare_cached("SELECT number FROM names WHERE name = ?1")?;
        if let Some(number) = statement.query_row([name], |row| row.get(0)).optional()? {
            return Ok(number);
        }
        self.0.execute("INSERT INTO names(name) VALUES(?1)", [name])?;
        Ok(self.0.last_insert_rowid())
    }
}

#[cfg(test)]
mod tests;
