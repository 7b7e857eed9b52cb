//! The log as the session sees it: appends are counted before anybody is told.
//!
//! Guarantees: whoever was answered about an entry finds [`Status::committed`] past it, so a receipt asked for right
//! after the answer is waited for and not denied.

use std::sync::Arc;

use bytes::Bytes;
use ledgerstone::entry::Entry;
use ledgerstone::merkle::TreeSize;

use crate::driver::LogHandle;
use crate::intercept::{Append, Appending};
use crate::status::Status;

/// A log whose appends move [`Status::committed`].
pub(super) struct Counted {
    log: LogHandle,
    status: Arc<Status>,
}

impl Counted {
    pub(super) fn new(log: LogHandle, status: Arc<Status>) -> Self {
        Self { log, status }
    }
}

impl Append for Counted {
    fn append(&self, entry: Entry, sealed: Option<Bytes>) -> Appending<'_> {
        Box::pin(async move {
            let index = Append::append(&self.log, entry, sealed).await?;
            self.status.committed_up_to(TreeSize::new(index.get().saturating_add(1)));
            Ok(index)
        })
    }
}
