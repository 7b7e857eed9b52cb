use std::sync::atomic::{AtomicU64, Ordering};

use ledgerstone::entry::{Kind, KindDetails};
use ledgerstone::hash::Hash;
use tokio::sync::Semaphore;

use super::super::append::Appending;
use super::*;

/// What the log does with the next entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mood {
    Takes,
    Refuses,
    Halts,
}

/// A log in memory that refuses or halts when told to, and holds back what it takes until let go.
struct FakeLog {
    mood: Mutex<Mood>,
    entries: Mutex<Vec<Entry>>,
    tried: AtomicU64,
    gate: Semaphore,
}

impl FakeLog {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            mood: Mutex::new(Mood::Takes),
            entries: Mutex::default(),
            tried: AtomicU64::new(0),
            gate: Semaphore::new(Semaphore::MAX_PERMITS),
        })
    }

    fn set(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    fn entries(&self) -> Vec<Entry> {
        self.entries.lock().unwrap().clone()
    }

    fn kinds(&self) -> Vec<(Kind, u64)> {
        self.entries().iter().map(|entry| (entry.kind, entry.sequence)).collect()
    }

    fn gaps(&self) -> Vec<GapDetails> {
        let gap = |entry: &Entry| match entry.kind_details().unwrap() {
            KindDetails::Gap(gap) => Some(gap),
            _ => None,
        };
        self.entries().iter().filter_map(gap).collect()
    }
}

impl Append for FakeLog {
    fn append(&self, entry: Entry, _sealed: Option<Bytes>) -> Appending<'_> {
        Box::pin(async move {
            self.tried.fetch_add(1, Ordering::SeqCst);
            self.gate.acquire().await.unwrap().forget();
            match *self.mood.lock().unwrap() {
                Mood::Takes => {
                    let mut entries = self.entries.lock().unwrap();
                    entries.push(entry);
                    Ok(LeafIndex::new(entries.len() as u64 - 1))
                }
                Mood::Refuses => Err(AppendFault::NotStored("disk full".into())),
                Mood::Halts => Err(AppendFault::Halted("disk gone".into())),
            }
        })
    }
}

use ledgerstone::entry::GapDetails;

async fn started(log: &Arc<FakeLog>) -> Arc<Session> {
    let options = SessionOptions {
        writer: WriterName::parse("w1").unwrap(),
        id: SessionId::from_bytes([1; 16]),
        version: "0.1.0".to_owned(),
        configuration: Hash::of(b"configuration"),
        previous: None,
    };
    Session::start(Arc::clone(log) as Arc<dyn Append>, options).await.unwrap()
}

/// An entry of a request; its kind does not matter to the session.
fn entry(session: &Session, sequence: u64) -> Entry {
    Entry::new(Kind::Key, session.writer().clone(), session.id(), sequence)
}

async fn record(session: &Arc<Session>) -> Result<LeafIndex, AppendFault> {
    let seen = session.see().unwrap();
    let entry = entry(session, seen.sequence());
    seen.append(entry, None).await
}

/// Checks INV-10: every number from 0 to the stop entry's is an entry or inside a gap, exactly once.
fn assert_complete(log: &FakeLog) {
    let entries = log.entries();
    let stop = entries.last().unwrap();
    assert_eq!(stop.kind, Kind::Stop);
    let mut covered: Vec<u64> = entries.iter().map(|entry| entry.sequence).collect();
    covered.extend(log.gaps().iter().flat_map(|gap| gap.first..=gap.last));
    covered.sort_unstable();
    assert_eq!(covered, (0..=stop.sequence).collect::<Vec<_>>(), "INV-10");
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(5)
}

#[tokio::test]
async fn numbers_requests_in_the_order_they_are_seen() {
    let log = FakeLog::new();
    let session = started(&log).await;
    let first = session.see().unwrap();
    let second = session.see().unwrap();
    let late = entry(&session, first.sequence());
    let early = entry(&session, second.sequence());
    second.append(early, None).await.unwrap();
    first.append(late, None).await.unwrap();
    session.stop(soon()).await.unwrap();
    assert_eq!(log.kinds(), [(Kind::Start, 0), (Kind::Key, 2), (Kind::Key, 1), (Kind::Stop, 3)]);
    assert_complete(&log);
}

#[tokio::test]
async fn writes_a_gap_for_a_request_that_was_dropped() {
    let log = FakeLog::new();
    let session = started(&log).await;
    drop(session.see().unwrap());
    session.stop(soon()).await.unwrap();
    let wanted = GapDetails { first: 1, last: 1, reason: GapReason::NotRecorded };
    assert_eq!(log.gaps(), [wanted]);
    assert_complete(&log);
    assert_eq!(session.unrecorded(), 1);
}

#[tokio::test]
async fn admits_nothing_until_the_gap_is_in_the_log() {
    let log = FakeLog::new();
    let session = started(&log).await;
    log.set(Mood::Refuses);
    assert!(matches!(record(&session).await, Err(AppendFault::NotStored(_))));
    assert!(!session.is_admitting());
    assert_eq!(session.see().unwrap_err(), NotAdmitted::Unsettled);
    assert!(session.settle().await.is_err());
    assert_eq!(session.see().unwrap_err(), NotAdmitted::Unsettled);
    log.set(Mood::Takes);
    session.settle().await.unwrap();
    assert!(session.is_admitting());
    record(&session).await.unwrap();
    session.stop(soon()).await.unwrap();
    assert_eq!(log.gaps().len(), 2, "one for the number, one for the two turned away");
    assert_complete(&log);
}

#[tokio::test]
async fn keeps_the_number_of_a_gap_entry_that_had_to_be_tried_again() {
    let log = FakeLog::new();
    let session = started(&log).await;
    log.set(Mood::Refuses);
    let _ = record(&session).await;
    for _ in 0..3 {
        assert!(session.settle().await.is_err());
    }
    log.set(Mood::Takes);
    session.settle().await.unwrap();
    assert_eq!(log.kinds(), [(Kind::Start, 0), (Kind::Gap, 2)]);
}

#[tokio::test]
async fn joins_lost_numbers_that_follow_each_other() {
    let log = FakeLog::new();
    let session = started(&log).await;
    let seen: Vec<Seen> = (0..4).map(|_| session.see().unwrap()).collect();
    let mut seen = seen.into_iter();
    drop(seen.next());
    drop(seen.next());
    let kept = seen.next().unwrap();
    drop(seen.next());
    let kept_entry = entry(&session, kept.sequence());
    kept.append(kept_entry, None).await.unwrap();
    session.stop(soon()).await.unwrap();
    let runs: Vec<(u64, u64)> = log.gaps().iter().map(|gap| (gap.first, gap.last)).collect();
    assert_eq!(runs, [(1, 2), (4, 4)]);
    assert_complete(&log);
}

#[tokio::test]
async fn gives_requests_that_were_turned_away_one_run_of_numbers() {
    let log = FakeLog::new();
    let session = started(&log).await;
    for _ in 0..1000 {
        session.turn_away();
    }
    assert!(session.is_admitting(), "turning away keeps nobody else out");
    record(&session).await.unwrap();
    session.stop(soon()).await.unwrap();
    let wanted = GapDetails { first: 2, last: 1001, reason: GapReason::Dropped };
    assert_eq!(log.gaps(), [wanted]);
    assert_complete(&log);
    assert_eq!(session.unrecorded(), 1000);
}

#[tokio::test]
async fn says_in_a_heartbeat_what_is_in_flight() {
    let log = FakeLog::new();
    let session = started(&log).await;
    session.heartbeat().await.unwrap();
    let seen = [session.see().unwrap(), session.see().unwrap()];
    session.heartbeat().await.unwrap();
    let beats: Vec<KindDetails> =
        log.entries().iter().skip(1).map(|entry| entry.kind_details().unwrap()).collect();
    let beat = |in_flight, lowest_in_flight| {
        KindDetails::Heartbeat(HeartbeatDetails { in_flight, lowest_in_flight })
    };
    assert_eq!(beats, [beat(0, 1), beat(2, 2)]);
    drop(seen);
}

#[tokio::test]
async fn covers_a_heartbeat_that_the_log_refused() {
    let log = FakeLog::new();
    let session = started(&log).await;
    log.set(Mood::Refuses);
    assert!(session.heartbeat().await.is_err());
    log.set(Mood::Takes);
    session.stop(soon()).await.unwrap();
    assert_complete(&log);
}

#[tokio::test(start_paused = true)]
async fn runs_heartbeats_and_gap_entries_until_it_is_stopped() {
    let log = FakeLog::new();
    let session = started(&log).await;
    let running = tokio::spawn(Arc::clone(&session).run(Duration::from_secs(10)));
    sleep(Duration::from_secs(11)).await;
    assert_eq!(log.kinds(), [(Kind::Start, 0), (Kind::Heartbeat, 1)]);
    drop(session.see().unwrap());
    sleep(Duration::from_millis(1)).await;
    assert_eq!(log.gaps().len(), 1, "without waiting for a tick");
    session.turn_away();
    sleep(SWEEP + Duration::from_millis(1)).await;
    assert_eq!(log.gaps().len(), 2);
    session.stop(soon()).await.unwrap();
    running.await.unwrap();
    assert_complete(&log);
}

#[tokio::test(start_paused = true)]
async fn goes_on_by_itself_once_the_log_takes_entries_again() {
    let log = FakeLog::new();
    let session = started(&log).await;
    let running = tokio::spawn(Arc::clone(&session).run(Duration::from_secs(3600)));
    log.set(Mood::Refuses);
    let _ = record(&session).await;
    sleep(Duration::from_secs(60)).await;
    assert!(!session.is_admitting());
    log.set(Mood::Takes);
    sleep(RETRY * 2).await;
    assert!(session.is_admitting());
    session.stop(soon()).await.unwrap();
    running.await.unwrap();
    assert_complete(&log);
}

#[tokio::test(start_paused = true)]
async fn gives_up_at_the_deadline_what_has_no_entry_yet() {
    let log = FakeLog::new();
    let session = started(&log).await;
    let slow = session.see().unwrap();
    session.stop(Instant::now() + Duration::from_secs(1)).await.unwrap();
    assert_complete(&log);
    let late = entry(&session, slow.sequence());
    let error = slow.append(late, None).await.unwrap_err();
    assert!(matches!(error, AppendFault::NotStored(_)), "{error}");
    assert_complete(&log);
    assert_eq!(session.see().unwrap_err(), NotAdmitted::Stopping);
}

#[tokio::test(start_paused = true)]
async fn waits_past_the_deadline_for_an_entry_that_is_with_the_log() {
    let log = FakeLog::new();
    let session = started(&log).await;
    log.gate.forget_permits(Semaphore::MAX_PERMITS);
    let appending = tokio::spawn({
        let session = Arc::clone(&session);
        async move { record(&session).await }
    });
    sleep(Duration::from_millis(1)).await;
    let stopping = tokio::spawn({
        let session = Arc::clone(&session);
        async move { session.stop(Instant::now() + Duration::from_secs(1)).await }
    });
    sleep(Duration::from_secs(60)).await;
    assert!(!stopping.is_finished());
    log.gate.add_permits(100);
    appending.await.unwrap().unwrap();
    stopping.await.unwrap().unwrap();
    assert_complete(&log);
}

#[tokio::test]
async fn ends_without_a_stop_when_the_log_has_halted() {
    let log = FakeLog::new();
    let session = started(&log).await;
    log.set(Mood::Halts);
    assert!(matches!(record(&session).await, Err(AppendFault::Halted(_))));
    log.set(Mood::Takes);
    assert_eq!(session.see().unwrap_err(), NotAdmitted::Broken);
    assert!(matches!(session.stop(soon()).await, Err(SessionError::Broken)));
    assert_eq!(log.kinds(), [(Kind::Start, 0)]);
}

#[tokio::test]
async fn cannot_account_for_an_entry_whose_append_was_dropped() {
    let log = FakeLog::new();
    let session = started(&log).await;
    log.gate.forget_permits(Semaphore::MAX_PERMITS);
    let appending = tokio::spawn({
        let session = Arc::clone(&session);
        async move { record(&session).await }
    });
    while log.tried.load(Ordering::SeqCst) < 2 {
        tokio::task::yield_now().await;
    }
    assert!(!session.is_broken());
    appending.abort();
    assert!(appending.await.unwrap_err().is_cancelled());
    assert!(session.is_broken());
    assert_eq!(session.see().unwrap_err(), NotAdmitted::Broken);
}

#[tokio::test]
async fn does_not_start_without_its_start_entry() {
    let log = FakeLog::new();
    log.set(Mood::Refuses);
    let options = SessionOptions {
        writer: WriterName::parse("w1").unwrap(),
        id: SessionId::from_bytes([1; 16]),
        version: "0.1.0".to_owned(),
        configuration: Hash::of(b"configuration"),
        previous: Some(SessionId::from_bytes([2; 16])),
    };
    let error = Session::start(log, options).await.unwrap_err();
    assert!(matches!(error, SessionError::Log(_)), "{error}");
}
