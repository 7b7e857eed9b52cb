//! The room on the disk that the service may fill.
//!
//! *Guarantees*: what is taken never passes the bound, except for what lay there at the start. *Does not do*: look at the disk.

use super::ServeError;

/// How much of the room is taken.
#[derive(Debug)]
pub(super) struct Space {
    bytes_max: u64,
    taken: u64,
}

impl Space {
    /// Room for `bytes_max` bytes, of which `taken` are.
    pub(super) const fn new(bytes_max: u64, taken: u64) -> Self {
        Self { bytes_max, taken }
    }

    /// Takes room.
    ///
    /// # Errors
    /// [`ServeError::NoRoom`] if there is not so much.
    pub(super) fn take(&mut self, bytes: u64) -> Result<(), ServeError> {
        let taken = self.taken.checked_add(bytes).filter(|taken| *taken <= self.bytes_max);
        self.taken = taken.ok_or(ServeError::NoRoom {
            bytes,
            left: self.bytes_max.saturating_sub(self.taken),
            bytes_max: self.bytes_max,
        })?;
        Ok(())
    }

    /// Takes room for what is written already, and says whether it was within the bound.
    pub(super) fn grow(&mut self, bytes: u64) -> bool {
        self.taken = self.taken.saturating_add(bytes);
        self.taken <= self.bytes_max
    }

    /// Gives room back.
    pub(super) fn give_back(&mut self, bytes: u64) {
        self.taken = self.taken.saturating_sub(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_up_to_the_bound_and_no_byte_more() {
        let mut space = Space::new(10, 4);
        assert!(matches!(space.take(7), Err(ServeError::NoRoom { bytes: 7, left: 6, bytes_max: 10 })));
        space.take(6).unwrap();
        assert!(space.take(1).is_err());
        assert!(space.take(u64::MAX).is_err());
        space.give_back(3);
        space.take(3).unwrap();
        assert!(!space.grow(1), "what is written is counted all the same");
        assert!(space.take(0).is_err());
        space.give_back(1);
        assert!(space.take(0).is_ok());
    }

    #[test]
    fn a_folder_that_is_too_full_already_takes_nothing() {
        let mut space = Space::new(10, 40);
        assert!(matches!(space.take(1), Err(ServeError::NoRoom { left: 0, .. })));
    }
}
