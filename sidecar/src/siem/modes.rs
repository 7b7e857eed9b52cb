//! Which promise each route recorded under when the sidecar last started, so that a weaker one is told.
//!
//! Guarantees: what is told is in the file of alerts before the new promise is remembered, so a crash tells it again rather than never; a
//! route that is gone for a while is remembered with the promise that it had. Does not do: judging the promise; a route that was never
//! seen, and one whose file was lost, has none to be weaker than.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use ledgerstone::entry::Mode;
use ledgerstone::siem::Fact;
use ledgerstone::store::disk::Disk as _;
use ledgerstone::store::fs::StdDisk;
use tokio::task::spawn_blocking;

use super::alerts::Alerts;
use super::cursor::{FOLDER, put};

/// The file, below the store.
const FILE: &str = "siem/modes";

/// Bytes of the file: more than the routes of any configuration.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Routes that are remembered although they are not configured any more.
const GONE_MAX: usize = 1024;

/// Routes and their promises.
pub(crate) type Modes = BTreeMap<String, Mode>;

/// Tells of each route in `now` that recorded under a stronger promise before.
pub(super) async fn tell(disk: StdDisk, alerts: Arc<Alerts>, now: Modes) {
    let from = disk.clone();
    let Ok(before) = spawn_blocking(move || read(&from)).await else { return };
    let before = before.unwrap_or_else(|error| {
        tracing::error!(%error, file = FILE, "the promises of routes before this start cannot be read, so a weaker one is not told");
        Modes::new()
    });
    let weaker = weaker(&before, &now);
    let remembered = remembered(&before, &now);
    if remembered == before {
        return;
    }
    let is_weaker = !weaker.is_empty();
    weaker.into_iter().for_each(|fact| alerts.raise(fact));
    if is_weaker && !alerts.write().await {
        return;
    }
    let written = spawn_blocking(move || write(&disk, &remembered)).await;
    if let Ok(Err(error)) = written {
        tracing::warn!(%error, file = FILE, "the promises of routes cannot be remembered");
    }
}

fn weaker(before: &Modes, now: &Modes) -> Vec<Fact> {
    let one = |(route, to): (&String, &Mode)| {
        let from = before.get(route).filter(|from| from.number() < to.number())?;
        Some(Fact::ModeDowngrade { route: route.clone(), from: *from, to: *to })
    };
    now.iter().filter_map(one).collect()
}

/// What is configured, and of what is not as much as there is room for.
fn remembered(before: &Modes, now: &Modes) -> Modes {
    let gone = before.iter().filter(|(route, _)| !now.contains_key(*route)).take(GONE_MAX);
    gone.chain(now).map(|(route, mode)| (route.clone(), *mode)).collect()
}

fn read(disk: &StdDisk) -> io::Result<Modes> {
    let bytes = match disk.read(FILE, FILE_BYTES_MAX) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Modes::new()),
        Err(error) => return Err(error),
    };
    let found: BTreeMap<String, u64> = serde_json::from_slice(&bytes)?;
    let mode = |(route, number)| Some((route, Mode::from_number(number)?));
    found.into_iter().map(mode).collect::<Option<_>>().ok_or_else(|| io::ErrorKind::InvalidData.into())
}

fn write(disk: &StdDisk, modes: &Modes) -> io::Result<()> {
    let numbers: BTreeMap<&String, u64> = modes.iter().map(|(route, mode)| (route, mode.number())).collect();
    disk.create_folder(FOLDER)?;
    put(disk, FILE, (serde_json::to_string(&numbers)? + "\n").as_bytes())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use ledgerstone::entry::Mode::{Bounded, Observe, Strict};
    use ledgerstone::entry::WriterName;
    use ledgerstone::siem::EventKind;

    use super::*;
    use crate::driver::system_clock;

    const WEAKER: EventKind = EventKind::ModeDowngrade;

    /// Routes that are told when a sidecar starts with `now`, each with what it was before and is.
    async fn start(store: &std::path::Path, now: &[(&str, Mode)]) -> Vec<(String, Mode, Mode)> {
        let writer = WriterName::parse("sidecar-0").unwrap();
        let alerts = Alerts::open(store, writer, Arc::new(system_clock));
        let before = alerts.newest(usize::MAX).len();
        let now = now.iter().map(|(route, mode)| ((*route).to_owned(), *mode)).collect();
        tell(StdDisk::new(store), Arc::clone(&alerts), now).await;
        let told = alerts.newest(usize::MAX).len() - before;
        let fact = |alert: ledgerstone::siem::Alert| match alert.fact {
            Fact::ModeDowngrade { route, from, to } => (route, from, to),
            other => panic!("{other:?} is no {WEAKER}"),
        };
        alerts.newest(told).into_iter().map(fact).collect()
    }

    #[tokio::test]
    async fn a_weaker_promise_is_told_once_and_a_stronger_one_never() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path();
        assert_eq!(start(store, &[("loans", Strict), ("jobs", Observe)]).await, []);
        assert_eq!(start(store, &[("loans", Strict), ("jobs", Bounded), ("new", Observe)]).await, []);
        let told = start(store, &[("loans", Bounded), ("jobs", Bounded)]).await;
        assert_eq!(told, [("loans".to_owned(), Strict, Bounded)]);
        assert_eq!(start(store, &[("loans", Bounded)]).await, [], "it was told");
        assert_eq!(start(store, &[]).await, []);
        let told = start(store, &[("jobs", Observe)]).await;
        assert_eq!(told, [("jobs".to_owned(), Bounded, Observe)], "it was gone for a while");
    }

    #[tokio::test]
    async fn a_file_that_is_damaged_says_nothing_of_before_and_is_mended() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path();
        assert_eq!(start(store, &[("loans", Mode::Strict)]).await, []);
        for damage in ["", "{\"loans\":7}", "[]"] {
            fs::write(store.join(FILE), damage).unwrap();
            assert_eq!(start(store, &[("loans", Mode::Strict)]).await, [], "{damage}");
        }
        let told = start(store, &[("loans", Mode::Observe)]).await;
        assert_eq!(told, [("loans".to_owned(), Mode::Strict, Mode::Observe)]);
    }

    #[tokio::test]
    async fn a_promise_is_not_remembered_before_what_is_told_of_it_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path();
        assert_eq!(start(store, &[("loans", Mode::Strict)]).await, []);
        let before = fs::read(store.join(FILE)).unwrap();
        // Another process has the file of alerts.
        let held = StdDisk::new(store).lock("siem/alerts.lock").unwrap().unwrap();
        assert_eq!(start(store, &[("loans", Mode::Observe)]).await.len(), 1);
        assert_eq!(fs::read(store.join(FILE)).unwrap(), before);
        drop(held);
        assert_eq!(start(store, &[("loans", Mode::Observe)]).await.len(), 1, "told again rather than never");
    }
}
