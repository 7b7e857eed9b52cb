//! The sidecar is killed while an approved change is on its way.

use std::time::Duration;

use ledgerstone::check::Status as CheckStatus;
use ledgerstone::entry::{Kind, KindDetails};

use crate::support::free_port;
use crate::world::{Files, approval, model, register};

/// Danger: a kill between the append and the answer loses the change, or the retry makes it twice or is refused as a replay. End
/// state: whoever asks again with the same approval gets the one entry that stands in the log.
#[tokio::test(flavor = "multi_thread")]
async fn whatever_the_moment_of_a_kill_a_change_is_made_once() {
    let files = Files::new().await;
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], free_port()));
    files.add(&format!("[registry]\nlisten = \"{address}\""));
    let (mut lost, mut found) = (0, 0);
    for round in 0..8_u64 {
        let change = model(&round.to_string());
        let note = approval(&change, &["alice", "bob"]);
        let mut running = files.sidecar.start();
        drop(files.sidecar.client().await);
        let asking = {
            let (change, note) = (change.clone(), note.clone());
            tokio::spawn(async move { register(address, &change, &note).await })
        };
        tokio::time::sleep(Duration::from_millis(3 * round)).await;
        running.kill();
        let answered = asking.await.unwrap().map(|answer| answer.leaf_index).ok();
        let mut running = files.sidecar.start();
        drop(files.sidecar.client().await);
        let made = register(address, &change, &note).await.unwrap().leaf_index;
        assert!(answered.is_none_or(|answered| answered == made), "an answer before the kill holds");
        match files.entries(Kind::Model).iter().filter(|(index, _)| *index < made).count() as u64 {
            before if before == round => {}
            before => panic!("{before} entries before the one of round {round}"),
        }
        lost += u64::from(answered.is_none());
        found += u64::from(answered.is_some());
        assert!(running.stop().success());
    }
    println!("{lost} were killed before the answer, {found} after");
    let versions: Vec<String> = files
        .entries(Kind::Model)
        .into_iter()
        .map(|(_, entry)| match entry.kind_details().unwrap() {
            KindDetails::Model(model) => model.version.to_string(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(versions, (0..8).map(|round| round.to_string()).collect::<Vec<_>>());
    let check = files.verify();
    assert_eq!(check.status, CheckStatus::Passed);
    assert_eq!(check.detail, "8 changes were approved as the roster in force asked.");
}
