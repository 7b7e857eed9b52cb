//! How long and for how many entries a batch is held open.

use std::time::Duration;

/// The longest time a batch is held open for more entries, whatever a sync takes.
const PATIENCE_MAX: Duration = Duration::from_millis(5);

/// Holds batches open for callers that are about to come back.
///
/// Callers that wait for their answer before they append again come in two crowds: those in the batch being synced and
/// those who came meanwhile. Cut as they come, the two take turns for ever and every sync carries half of what it could.
/// So once a batch is committed, its callers get a moment to be answered, come back and join those who wait. Where they
/// could not be back in time, because signing takes longer than the sync that would be saved, the turns are better:
/// one crowd is synced while the other one's checkpoint is signed.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Callers of the last batch, and those that waited when it was committed: no more can be expected soon.
    goal: usize,
    /// What a sync takes: each new one counts for an eighth.
    sync: Duration,
}

impl Pace {
    /// A batch was committed by a sync that `took` so long; `callers` are in it or wait.
    pub(super) fn committed(&mut self, callers: usize, took: Duration) {
        self.goal = callers;
        self.sync = if self.sync.is_zero() { took } else { (self.sync * 7 + took) / 8 };
    }

    /// Nobody will come back.
    pub(super) const fn hurry(&mut self) {
        self.goal = 0;
    }

    /// So many appends are worth a batch at once.
    pub(super) const fn goal(&self) -> usize {
        self.goal
    }

    /// How long fewer are waited with: at most half of what a sync takes, since more would cost more than the larger
    /// batch gains, and not at all where `signing` takes longer than that.
    pub(super) fn patience(&self, signing: Duration) -> Duration {
        let most = (self.sync / 2).min(PATIENCE_MAX);
        if signing < most { most } else { Duration::ZERO }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn waits_for_callers_only_as_long_as_it_pays() {
        let mut pace = Pace::default();
        pace.committed(256, 4 * MS);
        assert_eq!((pace.goal(), pace.patience(MS)), (256, 2 * MS));
        assert_eq!(pace.patience(2 * MS), Duration::ZERO, "they could not be back in time");
        pace.committed(10, 100 * MS);
        assert_eq!(pace.patience(MS), PATIENCE_MAX);
        pace.hurry();
        assert_eq!(pace.goal(), 0);
    }
}
