//! The sealed records of a store against the digests and lengths that the entries state.
//!
//! Guarantees: every byte of every sealed file is covered by the digest of one entry, or reported. Does not do: opening
//! a sealed record; that needs the operator's keys, and nothing here has them.
//! Layout: `docs/spec/store.md`, section on sealed records.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use ledgerstone::code::{CheckName, Code};
use ledgerstone::entry::{Entry, SealedRef};
use ledgerstone::hash::StreamHasher;
use ledgerstone::merkle::LeafIndex;
use ledgerstone::record::SealedUnder;
use ledgerstone::tile::{EntryBundle, TilePath};
use ledgerstone::verify::{Check, PLACES_MAX, Place};

use super::erased::Erasures;
use crate::output::plural;

/// Bytes read at a time.
const BUFFER_BYTES: usize = 64 * 1024;

/// The sealed files of a store while its log is walked.
pub(super) struct Sealed {
    folder: PathBuf,
    checked: u64,
    wrong: u64,
    places: Vec<Place>,
    /// Which keys the log says were destroyed.
    erasures: Erasures,
    /// Records under one of them.
    erased: u64,
    /// Why some records could not be checked.
    unreadable: Option<String>,
    /// Bytes after the last sealed record of the last bundle, which entries after the checkpoint may explain.
    after_the_end: Option<Place>,
}

impl Sealed {
    /// The sealed files of the store in `store`.
    pub(super) fn new(store: &Path) -> Self {
        Self {
            folder: store.join("sealed"),
            checked: 0,
            wrong: 0,
            places: Vec::new(),
            erasures: Erasures::default(),
            erased: 0,
            unreadable: None,
            after_the_end: None,
        }
    }

    /// Checks the sealed records of the entries in one bundle.
    pub(super) fn bundle(&mut self, path: TilePath, bytes: &[u8]) {
        // An entry that does not decode fails elsewhere; here its sealed record, if it has one, becomes one too many.
        let Ok(entries) = EntryBundle::decode(bytes) else {
            return self.bundle_missing(path);
        };
        self.erasures.note(&entries);
        let stated: Vec<_> = (path.start().get()..)
            .zip(entries.iter().take(usize::from(path.width())))
            .filter_map(|(index, entry)| Some((LeafIndex::new(index), Entry::decode(entry).ok()?.sealed?)))
            .collect();
        let name = path.to_full().to_string();
        let name = name.trim_start_matches("tile/entries/");
        if let Some(place) = self.after_the_end.take() {
            self.fail(place);
        }
        match self.file(name, &stated) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.fail_missing(name, &stated);
            }
            Err(error) => {
                self.unreadable.get_or_insert(format!("sealed/{name} cannot be read: {error}"));
            }
        }
    }

    /// Whether the log says that keys were destroyed, so that [`Sealed::count_erased`] has something to count.
    pub(super) fn saw_erasures(&self) -> bool {
        !self.erasures.is_empty()
    }

    /// Counts the records of one bundle whose keys the log says were destroyed, by their headers.
    pub(super) fn count_erased(&mut self, path: TilePath, bytes: &[u8]) {
        let Ok(entries) = EntryBundle::decode(bytes) else { return };
        let name = path.to_full().to_string();
        let Ok(mut file) = open(&self.folder.join(name.trim_start_matches("tile/entries/"))) else { return };
        let mut start = 0_u64;
        for (index, entry) in (path.start().get()..).zip(entries.iter().take(usize::from(path.width()))) {
            let Ok(entry) = Entry::decode(entry) else { return };
            let Some(sealed) = entry.sealed else { continue };
            let most = sealed.length.min(SealedUnder::HEADER_BYTES_MAX as u64);
            let mut header = Vec::new();
            let read = file
                .seek(SeekFrom::Start(start))
                .and_then(|_| (&mut file).take(most).read_to_end(&mut header));
            start = start.saturating_add(sealed.length);
            let under = read.ok().and_then(|_| SealedUnder::of_beginning(&header).ok());
            let of = entry.links.first().copied().filter(|_| entry.kind.is_follow_up());
            if under
                .is_some_and(|under| self.erasures.closed(of.unwrap_or(LeafIndex::new(index)), under.keys()))
            {
                self.erased += 1;
            }
        }
    }

    /// Takes note that a bundle could not be had, so that its sealed records cannot be told apart.
    pub(super) fn bundle_missing(&mut self, path: TilePath) {
        self.unreadable
            .get_or_insert(format!("Without {path} its entries' sealed records cannot be checked"));
    }

    /// The sum; where entries after the checkpoint are known to be there, their sealed records may follow at the end.
    pub(super) fn check(mut self, more_may_follow: bool) -> Check {
        if let Some(place) = self.after_the_end.take().filter(|_| !more_may_follow) {
            self.fail(place);
        }
        let name = CheckName::LogSealed;
        if self.wrong > 0 {
            let detail = format!(
                "{} not what the entries say.",
                if self.wrong == 1 {
                    "1 sealed record is".to_owned()
                } else {
                    format!("{} sealed records are", self.wrong)
                }
            );
            return Check::failed(name, Code::Inconsistent, detail).at(self.places);
        }
        if let Some(why) = self.unreadable {
            return Check::not_checked(name, format!("{why}."));
        }
        let records = plural(self.checked, "sealed record", "sealed records");
        let erased = match self.erased {
            0 => String::new(),
            1 => " 1 of them was lawfully erased: the log names its keys as destroyed, and its commitment is intact."
                .to_owned(),
            many => format!(
                " {many} of them were lawfully erased: the log names their keys as destroyed, and their commitments are intact."
            ),
        };
        Check::passed(
            name,
            format!("{records}, each with the length and digest that its entry states.{erased}"),
        )
    }

    /// Checks one sealed file against what the entries of its bundle state, in their order.
    fn file(&mut self, name: &str, stated: &[(LeafIndex, SealedRef)]) -> io::Result<()> {
        let path = format!("sealed/{name}");
        let mut file = match open(&self.folder.join(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && stated.is_empty() => return Ok(()),
            other => BufReader::with_capacity(BUFFER_BYTES, other?),
        };
        let mut start = 0_u64;
        for (index, sealed) in stated {
            let end = start.saturating_add(sealed.length);
            let mut hasher = StreamHasher::new();
            let read = hash_into(&mut hasher, &mut file, sealed.length)?;
            self.checked += 1;
            let what = if read < sealed.length {
                format!("The file ends here, {} bytes before this sealed record does.", sealed.length - read)
            } else if hasher.finish() != sealed.digest {
                "This sealed record is not the one that the entry was made with.".to_owned()
            } else {
                start = end;
                continue;
            };
            let bytes = Some((start, start + read));
            self.fail(Place { leaf_index: Some(*index), path: Some(path.clone()), bytes, what });
            start = end;
        }
        let extra = hash_into(&mut StreamHasher::new(), &mut file, u64::MAX)?;
        if extra > 0 {
            let what = "No entry states a sealed record here.".to_owned();
            let bytes = Some((start, start.saturating_add(extra)));
            self.after_the_end = Some(Place { leaf_index: None, path: Some(path), bytes, what });
        }
        Ok(())
    }

    fn fail_missing(&mut self, name: &str, stated: &[(LeafIndex, SealedRef)]) {
        for (index, _) in stated {
            let what = "The file with this sealed record is missing.".to_owned();
            self.fail(Place {
                leaf_index: Some(*index),
                path: Some(format!("sealed/{name}")),
                bytes: None,
                what,
            });
        }
    }

    fn fail(&mut self, place: Place) {
        self.wrong += 1;
        if self.places.len() < PLACES_MAX {
            self.places.push(place);
        }
    }
}

/// Opens a regular file.
fn open(path: &Path) -> io::Result<File> {
    if path.metadata()?.is_file() {
        File::open(path)
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"))
    }
}

/// Hashes the next `length` bytes of `reader`, or as many as there are, and says how many that were.
fn hash_into(hasher: &mut StreamHasher, reader: &mut impl BufRead, length: u64) -> io::Result<u64> {
    let mut left = length;
    while left > 0 {
        let buffer = reader.fill_buf()?;
        let usable = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let Some(bytes) = buffer.get(..usable).filter(|bytes| !bytes.is_empty()) else {
            break;
        };
        hasher.update(bytes);
        reader.consume(usable);
        left -= usable as u64;
    }
    Ok(length - left)
}
