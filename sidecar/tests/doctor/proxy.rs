//! Faults that the sidecar itself tells, or that stand between it and whoever asks: its admin port behind a proxy that changes one page.

use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::desk::Installation;
use crate::support::http_get;

/// Serves what `admin` does, but for one page.
async fn proxy(admin: SocketAddr, page: &'static str, body: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let body = body.clone();
            tokio::spawn(async move {
                let mut head = vec![0; 4096];
                let length = stream.read(&mut head).await.unwrap_or_default();
                let head = String::from_utf8_lossy(&head[..length]).into_owned();
                let path = head.split(' ').nth(1).unwrap_or("/").to_owned();
                let (status, body) = match path == page {
                    true => (200, body.into_bytes()),
                    false => http_get(admin, &path).await.unwrap(),
                };
                let head = format!(
                    "HTTP/1.1 {status} -\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                    body.len()
                );
                _ = stream.write_all(head.as_bytes()).await;
                _ = stream.write_all(&body).await;
            });
        }
    });
    url
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_admin_port_says_is_judged() {
    let Some(world) = Installation::new().await else { return };
    let _running = world.start().await;
    world.decide(3).await;
    world.register().await;
    world.anchored().await;
    let admin = world.sidecar.admin;
    let asked = async |page, body: String| {
        let url = proxy(admin, page, body).await;
        world.doctor(&["--admin", &url]).await
    };
    let status = async |change: fn(&mut Value)| {
        let mut document: Value = serde_json::from_str(&world.page("/status").await).unwrap();
        change(&mut document);
        asked("/status", document.to_string()).await
    };
    asked("/none", String::new()).await.assert_well();

    let said = status(|status| status["version"] = "9.9.9".into()).await;
    said.assert_only("sidecar.version", "warn", "own release");
    let said = status(|status| status["keys"]["wanted"] = "loans-2027".into()).await;
    said.assert_only("approvals", "warn", "approvals status");
    let said = status(|status| status["records_overdue"] = 7.into()).await;
    said.assert_only("retention", "warn", "retention --dry-run");
    let said = status(|status| status["anchors"][0]["lag_seconds"] = 90_000.into()).await;
    said.assert_only("anchors", "fail", "anchor status");
    let said = status(|status| status["anchors"][0]["alarms"] = json!(["split"])).await;
    said.assert_only("anchors", "fail", "anchor status");
    asked("/status", "{}".to_owned()).await.assert_only("admin.status", "fail", "own release");

    asked("/metrics", "<html>no</html>".to_owned()).await.assert_only("metrics.scrape", "fail", "proxy");
    let metrics = world.page("/metrics").await;
    let behind = metrics.replace("ledgerstone_published_size ", "ledgerstone_published_size 90000\n#");
    asked("/metrics", behind).await.assert_only("index.behind", "warn", "index rebuild");
    let late =
        metrics.replace("ledgerstone_published_lag_entries ", "ledgerstone_published_lag_entries 90000\n#");
    asked("/metrics", late).await.assert_only("log.published", "warn", "publishing fails");

    // Pages that are there and say nothing.
    asked("/metrics", String::new()).await.assert_only("metrics.scrape", "fail", "changes or empties");
    asked("/siem", "[]".to_owned()).await.assert_only("siem.sinks", "fail", "own release");
    let said = asked("/status", "{\"format\":\"ledgerstone-status/v1\"}".to_owned()).await;
    said.assert_only("admin.status", "fail", "own release");
    let said = asked("/models", "doubler 00 the log is being read\n".to_owned()).await;
    assert_eq!((said.names("not_checked"), said.exit), (vec!["models"], 2));
}
