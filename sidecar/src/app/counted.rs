//! The log as the session sees it: appends are counted before anybody is told.
//!
//! Guarantees: whoever was answered about an entry finds the count past it, so a receipt asked for right
//! after the answer is waited for and not denied.

use bytes::Bytes;
use ledgerstone::entry::Entry;
use ledgerstone::merkle::TreeSize;

use crate::driver::LogHandle;
use crate::intercept::{Append, Appending};
use crate::status::Committed;

/// A log whose appends are counted.
pub(super) struct Counted {
    log: LogHandle,
    committed: Committed,
}

impl Counted {
    pub(super) fn new(log: LogHandle, committed: Committed) -> Self {
        Self { log, committed }
    }
}

impl Append for Counted {
    fn append(&self, entry: Entry, sealed: Option<Bytes>) -> Appending<'_> {
        Box::pin(async move {
            let index = Append::append(&self.log, entry, sealed).await?;
            self.committed.up_to(TreeSize::new(index.get().saturating_add(1)));
            Ok(index)
        })
    }
}
