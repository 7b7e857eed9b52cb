//! Killed at any moment, and set back to an older copy.

use std::path::Path;
use std::time::Duration;

use ledgerstone_sidecar::anchor::GuardError;
use ledgerstone_sidecar::app::RecoverError;

use crate::support::{copy, request};
use crate::world::{Authority, Calendar, Stopped, calendar_lane, until};

/// xorshift64*: the moments of the kills.
fn next(state: &mut u64) -> u64 {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    state.wrapping_mul(0x2545_f491_4f6c_dd1d)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_kills_at_any_moment_every_statement_is_there_once_and_said_once() {
    let folder = tempfile::tempdir().unwrap();
    let Some(authority) = Authority::start() else { return };
    let Some(calendar) = Calendar::start(folder.path(), "one") else { return };
    let bitcoin = calendar_lane("bitcoin", &[&calendar], "quorum = 1");
    let stopped = Stopped::new(&format!("{}{bitcoin}", authority.lane("tsa"))).await;
    let mut state = u64::from(std::process::id()) << 16 | 1;
    println!("moments of the kills follow from {state}");
    for round in 0..15 {
        let mut running = stopped.files.start();
        let mut model = stopped.files.client().await;
        let calls = tokio::spawn(async move {
            for n in 0.. {
                if model.model_infer(request(&format!("{round}-{n}"), 1.5)).await.is_err() {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        if round % 3 == 1 {
            calendar.mine(1).await;
        }
        tokio::time::sleep(Duration::from_millis(next(&mut state) % 1_500)).await;
        running.kill();
        calls.await.unwrap();
    }
    let world = stopped.start().await;
    world.decide(10).await;
    let size = world.published().await;
    world.until_confirmed("tsa", size).await;
    let mined = async {
        let seq = world.stopped.count("bitcoin");
        while !world.stopped.entries().contains_key(&("bitcoin".to_owned(), seq)) {
            calendar.mine(1).await;
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        seq
    };
    let bitcoin = tokio::time::timeout(Duration::from_secs(60), mined).await.expect("all are confirmed");
    let tsa = world.stopped.count("tsa") - 1;
    world.until_said("tsa", tsa).await;
    let stopped = world.stop().await;
    println!("{tsa} statements to the authority, {bitcoin} to the calendar");
    assert!(tsa >= 5 && bitcoin >= 5);
    stopped.assert_chain_and_entries("tsa", tsa);
    stopped.assert_chain_and_entries("bitcoin", bitcoin);
    for seq in 1..=tsa {
        assert!(authority.openssl_takes(&stopped.statement("tsa", seq)), "statement {seq}");
    }
}

/// Puts the log of `older` in the place of that of `stopped`, whose anchors stay.
fn set_back(stopped: &Stopped, older: &Path) {
    for part in ["log", "journal", "sealed", "index", "keyring"] {
        let place = stopped.store().join(part);
        std::fs::remove_dir_all(&place).unwrap();
        copy(&older.join(part), &place);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_copy_of_the_log_is_refused_and_nothing_is_signed() {
    let Some(authority) = Authority::start() else { return };
    let copies = tempfile::tempdir().unwrap();
    let (older, newer) = (copies.path().join("older"), copies.path().join("newer"));
    let world = Stopped::new(&authority.lane("tsa")).await.start().await;
    world.decide(20).await;
    world.until_confirmed("tsa", 20).await;
    let stopped = world.stop().await;
    copy(&stopped.store(), &older);
    let world = stopped.start().await;
    world.decide(20).await;
    world.until_confirmed("tsa", 40).await;
    let stopped = world.stop().await;
    copy(&stopped.store(), &newer);

    set_back(&stopped, &older);
    let refused = stopped.refused().await;
    assert!(matches!(refused, RecoverError::Guard(GuardError::Behind { .. })), "{refused:?}");
    let text = refused.to_string();
    assert!(text.contains("lane tsa anchored") && text.contains("Bring back the store"), "{text}");
    let checkpoint = |store: &Path| std::fs::read(store.join("log/checkpoint")).unwrap();
    assert_eq!(checkpoint(&stopped.store()), checkpoint(&older), "nothing was signed");
    let run = stopped.files.command("run").output().unwrap();
    assert_eq!(run.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&run.stderr).contains("an older copy was restored"));

    // The copy went on without its anchors and is larger than what was anchored: it is another history all the same.
    let anchors = copies.path().join("anchors");
    std::fs::rename(stopped.store().join("anchors"), &anchors).unwrap();
    let config = std::fs::read_to_string(stopped.files.config()).unwrap();
    let without = config.split("[[anchors").next().unwrap();
    std::fs::write(stopped.files.config(), without).unwrap();
    let world = stopped.start().await;
    world.decide(100).await;
    let stopped = world.stop().await;
    std::fs::rename(&anchors, stopped.store().join("anchors")).unwrap();
    let refused = stopped.refused().await;
    assert!(matches!(refused, RecoverError::Guard(GuardError::Fork { .. })), "{refused:?}");
    std::fs::write(stopped.files.config(), config).unwrap();
    let refused = stopped.refused().await;
    assert!(matches!(refused, RecoverError::Guard(GuardError::Fork { .. })), "{refused:?}");

    // What is asked for helps.
    set_back(&stopped, &newer);
    let world = stopped.start().await;
    let size = world.published().await;
    world.until_confirmed("tsa", size.min(60)).await;
    world.stop().await.chain("tsa");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_journal_and_a_missing_statement_are_refused_with_what_to_do() {
    let Some(authority) = Authority::start() else { return };
    let world = Stopped::new(&authority.lane("tsa")).await.start().await;
    for size in [10, 20, 30] {
        world.decide(10).await;
        world.until_confirmed("tsa", size).await;
    }
    let seq = world.stopped.count("tsa") - 1;
    until("the entry", || async { world.stopped.entries().len() as u64 >= seq }).await;
    let stopped = world.stop().await;
    let journal = stopped.store().join("anchors/journal/tsa");
    let whole = std::fs::read(&journal).unwrap();
    let mut changed = whole.clone();
    changed[120] ^= 1;
    std::fs::write(&journal, &changed).unwrap();
    let text = stopped.refused().await.to_string();
    assert!(text.contains("anchors/journal/tsa") && text.contains("restore the file"), "{text}");
    // A torn end is not damage.
    std::fs::write(&journal, &whole[..whole.len() - 3]).unwrap();
    let stopped = stopped.start().await.stop().await;
    let hidden = stopped.statement("tsa", 1).join("statement");
    let bytes = std::fs::read(&hidden).unwrap();
    std::fs::remove_file(&hidden).unwrap();
    let text = stopped.refused().await.to_string();
    assert!(text.contains("statement 1 of lane tsa is missing"), "{text}");
    std::fs::write(&hidden, bytes).unwrap();
    let world = stopped.start().await;
    world.decide(5).await;
    let size = world.published().await;
    world.until_confirmed("tsa", size).await;
    let stopped = world.stop().await;
    let count = stopped.count("tsa");
    stopped.assert_chain_and_entries("tsa", count - 1);
}
