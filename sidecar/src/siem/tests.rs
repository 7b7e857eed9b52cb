//! Followers and cursors on a real log, with sinks and clocks that do what the test says.

use std::path::Path;

use ledgerstone::checkpoint::LogKeys;
use ledgerstone::entry::{DecisionDetails, DecisionId, Entry, SessionId, WriterName};
use ledgerstone::hash::Hash;
use ledgerstone::merkle::LeafIndex;
use ledgerstone::record::Commitment;
use ledgerstone::siem::{EventKind, Fact};
use ledgerstone::time::UnixMillis;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use super::alerts::KEPT_MAX;
use super::cursor::{Cursor, CursorError, Position};
use super::*;
use crate::config::siem::{Exported, FileConfig, StartAt};
use crate::driver::{self, Draft, LogHandle, Options};

/// How long an event may wait.
const LATE: Duration = Duration::from_secs(60);

struct World {
    folder: TempDir,
    log: LogHandle,
    reader: LogReader,
    alerts: Arc<Alerts>,
    clock: Clock,
}

/// What a sink got, by the names of events.
type Got = Arc<Mutex<Vec<EventKind>>>;

/// A sink that fails so often, panics once where it shall, and takes so long for everything else.
struct Fake {
    panics: bool,
    failures: usize,
    pause: Duration,
    got: Got,
}

#[tonic::async_trait]
impl Sink for Fake {
    async fn deliver(&mut self, batch: &[Rendered]) -> Result<(), SinkError> {
        if self.failures > 0 {
            self.failures -= 1;
            return Err(SinkFault::Unreachable { reason: "a test".to_owned() }.into());
        }
        assert!(!std::mem::take(&mut self.panics), "a test");
        sleep(self.pause).await;
        self.got.lock().unwrap().extend(batch.iter().map(|rendered| rendered.event.kind()));
        Ok(())
    }
}

impl World {
    /// A log of `size` decisions. From then on the clock goes as the runtime's does.
    async fn new(size: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let origin = KeyName::new("siem.example/log").unwrap();
        let keys = || LogKeys::generate_from_seeds(&origin, [1; 32], [2; 32]).unwrap();
        driver::init(folder.path(), &keys()).unwrap();
        let log = driver::open(folder.path(), keys(), Options::default()).unwrap().0;
        let reader = LogReader::open(folder.path(), log.published()).unwrap();
        for sequence in 0..size {
            log.append(decision(sequence)).await.unwrap();
        }
        log.published().wait_for(|published| published.size.get() >= size).await.unwrap();
        let (began, at) = (system_clock().get(), Instant::now());
        let clock: Clock =
            Arc::new(move || UnixMillis::new(began + u64::try_from(at.elapsed().as_millis()).unwrap()));
        let alerts = Alerts::open(folder.path(), WriterName::parse("sidecar-0").unwrap(), Arc::clone(&clock));
        Self { folder, log, reader, alerts, clock }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn cursor(&self) -> Result<Cursor, CursorError> {
        Cursor::open(&StdDisk::new(self.path()), &self.reader, "siem.example/log", &sink())
    }

    fn anew(&self) -> Result<(Cursor, Option<u64>), CursorError> {
        Cursor::anew(&StdDisk::new(self.path()), &self.reader, "siem.example/log", &sink())
    }

    /// Has `to` followed for `time`; how the sink stands then.
    async fn follow(&self, to: Fake, time: Duration) -> Shown {
        let (closing, closes) = watch::channel(false);
        let config = SinkConfig {
            name: sink(),
            format: Some(ledgerstone::siem::Format::Ocsf),
            export: Exported::All,
            start: StartAt::Beginning,
            batch_events: 1,
            timeout: Duration::from_secs(10),
            retry_max: Duration::from_secs(10),
            late: LATE,
            target: Target::File(FileConfig {
                path: self.path().join("events"),
                rotate_bytes: 1 << 20,
                keep: 1,
            }),
        };
        let standing = Standing::new(sink(), "file");
        let source = Source {
            about: Log::new(&KeyName::new("siem.example/log").unwrap()),
            log: self.reader.clone(),
            alerts: Arc::clone(&self.alerts),
            exported: config.export,
            renderer: Renderer::of(&config),
        };
        let follower = Follower {
            config,
            sink: Box::new(to),
            disk: StdDisk::new(self.path()),
            source,
            standing: Arc::clone(&standing),
            clock: Arc::clone(&self.clock),
            closing: closes,
        };
        let task = tokio::spawn(follower.run());
        sleep(time).await;
        let shown = standing.shown((self.clock)(), self.reader.published().size.get());
        closing.send_replace(true);
        task.await.unwrap();
        shown
    }

    fn told(&self) -> Vec<Fact> {
        self.alerts.newest(usize::MAX).into_iter().map(|alert| alert.fact).collect()
    }
}

fn sink() -> SinkName {
    SinkName::parse("soc").unwrap()
}

fn decision(sequence: u64) -> Draft {
    let commitment = Commitment { root: Hash::of(&sequence.to_be_bytes()), count: 1 };
    let (writer, session) = (WriterName::parse("w").unwrap(), SessionId::from_bytes([1; 16]));
    let (decision, details) = (DecisionId::from_bytes([2; 16]), DecisionDetails { status: 0 });
    Draft { entry: Entry::decision(writer, session, sequence, decision, commitment, details), sealed: None }
}

fn quick() -> Fake {
    Fake { panics: false, failures: 0, pause: Duration::ZERO, got: Got::default() }
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_takes_events_too_slowly_is_told_although_nothing_fails() {
    let world = World::new(60).await;
    let slow = Fake { pause: Duration::from_secs(5), ..quick() };
    let shown = world.follow(slow, LATE * 3).await;
    assert_eq!((shown.retries, shown.state), (0, State::Following), "{shown:?}");
    let told = world.told();
    assert!(
        matches!(&told[..], [Fact::SinkLate { sink, next, late_ms }]
        if sink == "soc" && next.get() > 0 && *late_ms > 60_000),
        "{told:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_catches_up_after_a_pause_is_not_told() {
    let world = World::new(60).await;
    sleep(LATE * 60).await;
    let got = Got::default();
    let shown = world.follow(Fake { got: Arc::clone(&got), ..quick() }, LATE).await;
    assert_eq!((shown.next_leaf_index, got.lock().unwrap().len()), (60, 60), "{shown:?}");
    assert_eq!(world.told(), []);
}

#[tokio::test(start_paused = true)]
async fn a_sink_whose_cursor_is_refused_for_too_long_is_told_and_lags() {
    let world = World::new(1).await;
    std::fs::create_dir_all(world.path().join("siem")).unwrap();
    std::fs::write(world.path().join("siem/soc.cursor"), "{").unwrap();
    let shown = world.follow(quick(), LATE / 2).await;
    assert_eq!((shown.state, world.told()), (State::Refused, Vec::new()));
    let shown = world.follow(quick(), LATE * 2).await;
    assert!(shown.state == State::Refused && shown.lag_seconds > LATE.as_secs(), "{shown:?}");
    assert!(
        matches!(&world.told()[..], [Fact::SinkLate { sink, .. }] if sink == "soc"),
        "{:?}",
        world.told()
    );
}

#[tokio::test(start_paused = true)]
async fn a_sink_with_a_defect_is_told_and_another_one_goes_on_from_the_cursor() {
    let world = World::new(3).await;
    let broken = || Fake { panics: true, ..quick() };
    let shown = world.follow(broken(), Duration::from_secs(5)).await;
    assert_eq!((shown.state, shown.next_leaf_index, shown.retries), (State::Retrying, 0, 1), "{shown:?}");
    assert!(shown.error.is_some_and(|error| error.contains("report it")));
    let shown = world.follow(broken(), LATE).await;
    assert_eq!((shown.state, shown.next_leaf_index, shown.delivered), (State::Following, 3, 3), "{shown:?}");
    assert_eq!(std::fs::read_to_string(world.path().join("events")).unwrap().lines().count(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_log_that_a_follower_finds_damaged_is_told_even_to_its_own_sink() {
    let world = World::new(3).await;
    // The bundle of the first three entries.
    let bundle = world.path().join("log/tile/entries/000.p/3");
    std::fs::write(&bundle, std::fs::read(&bundle).unwrap().split_last().unwrap().1).unwrap();
    let got = Got::default();
    let shown = world.follow(Fake { got: Arc::clone(&got), ..quick() }, LATE / 2).await;
    assert!(shown.retries > 0 && shown.next_leaf_index == 0, "{shown:?}");
    assert!(matches!(&world.told()[..], [Fact::Tamper { .. }]), "{:?}", world.told());
    assert_eq!(*got.lock().unwrap(), [EventKind::Tamper]);
}

#[tokio::test(start_paused = true)]
async fn alerts_that_were_given_up_are_counted_once_however_often_the_sink_fails() {
    let world = World::new(0).await;
    let at = Position { entries: 0, alerts: world.alerts.next() };
    world.cursor().unwrap().write(at).unwrap();
    for n in 0..KEPT_MAX + 3 {
        let next = LeafIndex::new(0);
        world.alerts.raise(Fact::SinkLate { sink: format!("sink-{n}"), next, late_ms: 1 });
    }
    let failing = Fake { failures: 5, ..quick() };
    let shown = world.follow(failing, LATE * 2).await;
    assert_eq!((shown.retries, shown.alerts_missed), (5, 3), "{shown:?}");
    assert_eq!(shown.delivered, KEPT_MAX as u64);
}

#[tokio::test]
async fn a_cursor_that_is_set_anew_is_never_absent_and_nobody_elses() {
    let world = World::new(5).await;
    let file = world.path().join("siem/soc.cursor");
    let at = |entries| Position { entries, alerts: 7 };
    world.cursor().unwrap().write(at(3)).unwrap();
    let before = std::fs::read(&file).unwrap();
    let (mut cursor, alerts) = world.anew().unwrap();
    assert_eq!((alerts, std::fs::read(&file).unwrap()), (Some(7), before));
    assert!(matches!(world.cursor(), Err(CursorError::Held { .. })), "a sidecar cannot begin elsewhere");
    assert!(matches!(world.anew(), Err(CursorError::Held { .. })));
    cursor.write(at(1)).unwrap();
    drop(cursor);
    assert_eq!(world.cursor().unwrap().position(), Some(at(1)));
    for damage in ["", "{", "{}"] {
        std::fs::write(&file, damage).unwrap();
        assert_eq!(world.anew().unwrap().1, None, "{damage}");
    }
    world.log.stop().await.unwrap();
}

#[tokio::test]
async fn the_log_that_a_cursor_names_steers_no_terminal() {
    let world = World::new(1).await;
    world.cursor().unwrap().write(Position { entries: 1, alerts: 7 }).unwrap();
    let file = world.path().join("siem/soc.cursor");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("siem.example/log", "\\u001b]0;title\\u0007")).unwrap();
    let told = world.cursor().unwrap_err().to_string();
    assert!(told.contains("is about the log") && !told.contains(char::is_control), "{told:?}");
}
