//! A timestamp authority: in order, out of order, lying, and of certificates that may not stamp.

use std::time::Duration;

use crate::world::{Authority, Stopped, World, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stamps_a_chain_of_statements_while_decisions_are_made() {
    let Some(authority) = Authority::start() else { return };
    let world = World::new(&authority.lane("tsa")).await;
    for _ in 0..3 {
        let size = world.published().await;
        world.decide(200).await;
        world.until_confirmed("tsa", size + 200).await;
    }
    assert_eq!(world.metric("ledgerstone_anchor_alarms_standing{lane=\"tsa\"}").await, 0.0);
    let page = world.page().await;
    assert!(page.starts_with("tsa rfc3161 ") && page.contains("confirmed: "), "{page}");
    let stopped = world.stop().await;
    let count = stopped.count("tsa");
    assert!((3..30).contains(&count), "{count} statements: they are made by time, one for all that came");
    let anchored = stopped.chain("tsa");
    assert!(anchored.last().unwrap().to.size.get() >= 600);
    stopped.assert_chain_and_entries("tsa", count - 1);
    for seq in 1..count {
        assert!(authority.openssl_takes(&stopped.statement("tsa", seq)), "statement {seq}");
    }
    // The check of OpenSSL is one: another statement beside the same reply is refused.
    let (one, two) = (stopped.statement("tsa", 1), stopped.statement("tsa", 2));
    std::fs::copy(one.join("statement"), two.join("statement")).unwrap();
    assert!(!authority.openssl_takes(&two));
}

/// How an authority goes wrong, and what the page says about it.
const FAULTS: [(&str, &str); 13] = [
    ("slow", "did not answer within 2 s"),
    ("garbage", "refused"),
    ("empty", "refused"),
    ("oversized", "larger than 65536 bytes"),
    ("redirect", "redirect (HTTP 302)"),
    ("error", "HTTP 500: out of order"),
    ("close", "closed the connection"),
    ("truncated", "refused"),
    ("replay", "refused"),
    ("nonce", "refused"),
    ("expired", "refused"),
    ("purpose", "refused"),
    ("revoked", "refused"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keeps_no_reply_that_is_not_in_order_and_makes_up_for_all_with_one_statement() {
    let Some(authority) = Authority::start() else { return };
    let serial = authority.pki.serial("revoked");
    let list = authority.pki.revocation_list("root", "20240101000000Z", &[("240101000000Z", &serial)], "");
    authority.pki.write("crl.pem", &list);
    let lists = authority.pki.dir.path().join("crl.pem");
    let lane = format!("{}crl_file = \"{}\"\n", authority.lane("tsa"), lists.display());
    let mut world = World::new(&lane).await;
    world.until_confirmed("tsa", 1).await;
    for (mode, said) in FAULTS {
        authority.mode(mode).await;
        world.decide(20).await;
        world.until_page_says_all(&[said, "ALARM: "]).await;
        assert!(world.metric("ledgerstone_anchor_alarms_total{lane=\"tsa\"}").await > 0.0);
        let seq = world.stopped.count("tsa");
        let proof = world.stopped.statement("tsa", seq).join("proof.tsr");
        assert!(!proof.exists(), "{mode}: a reply was kept");
        world.decide(20).await;
        let size = world.published().await;
        // A restart takes the wait after the failures away, and must not change what is made up for.
        let stopped = world.stop().await;
        authority.mode("ok").await;
        world = stopped.start().await;
        world.until_confirmed("tsa", size).await;
        assert!(proof.exists());
        assert!(world.stopped.count("tsa") <= seq + 3, "{mode}: what waited was stated piece by piece");
        let page = world.page().await;
        assert!(!page.contains("ALARM") && !page.contains("last error"), "{mode}: {page}");
    }
    let stopped = world.stop().await;
    let count = stopped.count("tsa");
    stopped.assert_chain_and_entries("tsa", count - 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn goes_on_by_itself_when_an_authority_comes_back() {
    let Some(mut authority) = Authority::start() else { return };
    authority.stop();
    let world = World::new(&authority.lane("tsa")).await;
    world.decide(50).await;
    world.until_page_says_all(&["cannot be reached", "next attempt: "]).await;
    assert_eq!(world.confirmed("tsa").await, 0);
    until("a lag in the metrics", || async {
        world.metric("ledgerstone_anchor_lag_entries{lane=\"tsa\"}").await >= 50.0
    })
    .await;
    authority.start_again();
    world.until_confirmed("tsa", 50).await;
    world.stop().await.assert_chain_and_entries("tsa", 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_that_waits_too_long_is_an_alarm_until_it_is_anchored() {
    let Some(mut authority) = Authority::start() else { return };
    authority.stop();
    let anchors = format!(
        "[anchors]\nlag_alarm = \"1s\"\nquorum = \"1 of rfc3161, bitcoin\"\n{}",
        authority.lane("tsa")
    );
    let world = World::new(&anchors).await;
    world.decide(5).await;
    let page = world.until_page_says("waits for more than 1 s").await;
    assert!(page.contains("quorum 1 of bitcoin, rfc3161: 0 of ") || page.contains(": 0 of "), "{page}");
    until("a lag in the metrics", || async {
        world.metric("ledgerstone_anchor_lag_seconds{lane=\"tsa\"}").await >= 1.0
    })
    .await;
    assert_eq!(world.metric("ledgerstone_anchored_size").await, 0.0);
    authority.start_again();
    world.until_confirmed("tsa", 5).await;
    assert!(world.metric("ledgerstone_anchored_size").await >= 5.0);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_lane_that_is_down_holds_up_no_other() {
    let (Some(good), Some(mut bad)) = (Authority::start(), Authority::start()) else { return };
    bad.stop();
    let world = World::new(&format!("{}{}", bad.lane("down"), good.lane("up"))).await;
    world.decide(30).await;
    world.until_confirmed("up", 30).await;
    assert_eq!(world.confirmed("down").await, 0);
    assert!(world.metrics().await.contains("ledgerstone_anchor_state{lane=\"down\",state=\"planned\"} 1"));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn asks_over_https_only_whom_its_certificates_name() {
    let Some(authority) = Authority::start_tls() else { return };
    let file = |name: &str| authority.pki.dir.path().join(name).display().to_string();
    let with = |ca: &str| format!("{}ca_file = \"{}\"\n", authority.lane("tsa"), file(ca));
    let world = World::new(&with("stranger.pem")).await;
    world.until_page_says("cannot be reached").await;
    world.stop().await;
    let world = World::new(&with("root.pem")).await;
    world.until_confirmed("tsa", 1).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn asks_for_its_policy_and_takes_no_other() {
    let Some(authority) = Authority::start() else { return };
    let world = World::new(&format!("{}policy = \"1.2.3.4.5\"\n", authority.lane("tsa"))).await;
    world.until_confirmed("tsa", 1).await;
    world.stop().await;
    let world = World::new(&format!("{}policy = \"1.2.3.4.9\"\n", authority.lane("tsa"))).await;
    world.until_page_says("refused").await;
    assert_eq!(world.confirmed("tsa").await, 0);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_goes_on_with_the_next_statement() {
    let Some(authority) = Authority::start() else { return };
    let mut stopped = Stopped::new(&authority.lane("tsa")).await;
    for round in 1..=3_u64 {
        let world = stopped.start().await;
        world.decide(10).await;
        world.until_confirmed("tsa", round * 10).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        stopped = world.stop().await;
    }
    let count = stopped.count("tsa");
    stopped.assert_chain_and_entries("tsa", count - 1);
}
