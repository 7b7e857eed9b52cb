//! The sidecar is killed at any moment of decisions and erasures.

use std::time::Duration;

use serde_json::json;

use crate::support::free_port;
use crate::world::{Files, about, http};

/// xorshift64*: the moments of the kills.
fn next(state: &mut u64) -> u64 {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    state.wrapping_mul(0x2545_f491_4f6c_dd1d)
}

fn seed() -> u64 {
    std::env::var("KILL_SEED")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(u64::from(std::process::id()) << 16 | 1)
}

/// Danger: a kill gives one key to two persons, loses the key of an answered decision, or leaves keys destroyed without an
/// entry. End state: whoever was erased is closed and the log says so; every other answered decision opens.
#[tokio::test(flavor = "multi_thread")]
async fn whatever_the_moment_of_a_kill_each_decision_is_open_or_lawfully_erased() {
    let rounds: u64 = std::env::var("KILL_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(25);
    let mut state = seed();
    println!("KILL_ROUNDS={rounds} KILL_SEED={state}");
    let files = Files::new("").await;
    let recorder = std::net::SocketAddr::from(([127, 0, 0, 1], free_port()));
    let text = std::fs::read_to_string(files.sidecar.config()).unwrap();
    std::fs::write(files.sidecar.config(), format!("{text}\n[recorder]\nlisten = \"{recorder}\"\n")).unwrap();
    // By person: the decisions that were answered since the person was erased last, and whether an erasure may be open.
    let (mut answered, mut interrupted, mut finished) = (Vec::<(String, u64)>::new(), 0, 0);
    for round in 0..rounds {
        let mut running = files.sidecar.start();
        let mut model = files.sidecar.client().await;
        for n in 0..6 {
            let person = n % 3;
            let Ok(answer) = model.model_infer(about(&format!("person-{round}-{person}"))).await else {
                break;
            };
            let id = answer.metadata().get("ledgerstone-decision-id").unwrap().to_str().unwrap().to_owned();
            answered.push((id, round * 3 + person));
        }
        let body =
            json!({ "subject": format!("person-{round}-1"), "ground": "subject-request", "operator": "dpo" });
        let mut erasing =
            tokio::spawn(async move { http(recorder, "POST", "/erasures", &body.to_string()).await.0 });
        // Every fifth is killed once it has answered, the others wherever they are.
        let patience = if round % 5 == 4 { 30_000_000 } else { next(&mut state) % 120_000 };
        let answered = tokio::time::timeout(Duration::from_micros(patience), &mut erasing).await;
        running.kill();
        let answered = match answered {
            Ok(answered) => answered,
            Err(_) => erasing.await,
        };
        match answered {
            Ok(200) => finished += 1,
            _ => interrupted += 1,
        }
    }
    println!("{finished} erasures were answered, {interrupted} were not");
    assert!(finished >= rounds / 5 && finished > 0, "without one that was answered the test shows nothing");

    let mut running = files.sidecar.start();
    drop(files.sidecar.client().await);
    let mut standing = serde_json::Value::Null;
    for _ in 0..100 {
        standing = http(recorder, "GET", "/keyring", "").await.1;
        if standing["unfinished"] == json!(0) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(standing["unfinished"], json!(0), "every note became an entry: {standing}");
    let mut closed = [0_u64; 2];
    for (decision, person) in &answered {
        let (status, history) = http(recorder, "GET", &format!("/decisions/{decision}"), "").await;
        assert_eq!(status, 200, "{history}");
        let record = history["entries"][0]["record"].as_str().unwrap();
        let may_be_erased = person % 3 == 1;
        match record {
            "opened" => {}
            "erased" if may_be_erased => closed[0] += 1,
            other => panic!("{decision} of person {person} is {other}"),
        }
        closed[1] += u64::from(may_be_erased);
    }
    assert!(running.stop().success(), "{}", files.sidecar.log_lines());
    println!("{} of {} decisions of erased persons are closed", closed[0], closed[1]);
    let said = files.verify();
    let told: u64 =
        files.erasures().iter().filter(|details| details.part == 0).map(|details| details.records).sum();
    let mut ids: Vec<_> = files.erasures().iter().map(|details| (details.id, details.part)).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), files.erasures().len(), "no erasure is told twice");
    assert_eq!(told, closed[0], "{said}");
    assert!(files.erasures().len() as u64 >= finished, "an answered erasure is in the log");
    assert!(closed[0] >= 2 * finished, "an answered erasure is done");
}
